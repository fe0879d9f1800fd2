"""Text from strangers does no harm wherever it is printed."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryfit.render import escape

ANY_TEXT = st.text(st.characters(codec=None, categories=None))


@given(ANY_TEXT)
def test_nothing_printable_is_lost_and_nothing_unprintable_is_left(text: str) -> None:
    printed = escape.printable(text)
    assert not [c for c in printed if unicodedata.category(c)[0] == "C" or c in "\u2028\u2029"]
    printed.encode("utf-8")
    if text.isprintable():
        assert printed == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", "\\x1b[31m"),
        ("\u202eexe.txt", "\\u202eexe.txt"),
        ("a\u200bb\u00ad", "a\\u200bb\\xad"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("a\tb\nc", "a\\tb\\nc"),
        ("żółć 日本語 🐘", "żółć 日本語 🐘"),
    ],
)
def test_written_out(text: str, shown: str) -> None:
    assert escape.printable(text) == shown


def test_a_block_keeps_its_lines() -> None:
    assert escape.block("select 1,\r\n\t2\x07") == "select 1,\n    2\\x07"


@given(ANY_TEXT, st.integers(1, 60))
def test_a_line_is_one_line_and_no_longer_than_asked(text: str, most: int) -> None:
    shown = escape.line(text, most)
    assert "\n" not in shown
    assert len(shown) <= most


def test_a_megabyte_is_cut_before_it_is_walked() -> None:
    assert escape.line("x " * 500_000, 10) == "x x x x x…"


@given(ANY_TEXT)
def test_markdown_opens_no_tag_and_no_cell(text: str) -> None:
    shown = escape.markdown(text)
    assert "<" not in shown
    assert "\n" not in shown
    assert all(shown[n - 1] == "\\" for n, c in enumerate(shown) if c == "|")


@given(ANY_TEXT)
def test_a_fence_cannot_be_closed_by_its_text(text: str) -> None:
    fence, *body, last = escape.code_block(text, "sql").split("\n")
    assert fence.removesuffix("sql") == last
    assert not [line for line in body if line.strip().startswith(last)]


@given(ANY_TEXT)
def test_a_code_span_is_one_cell(text: str) -> None:
    shown = escape.code_span(text)
    assert "\n" not in shown
    assert all(shown[n - 1] == "\\" for n, c in enumerate(shown) if c == "|")


def test_a_workflow_command_stays_one() -> None:
    assert escape.workflow("50 %\n::error::x") == "50 %25%0A::error::x"
    assert escape.workflow_property("a:b,c\n") == "a%3Ab%2Cc%0A"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_a_spreadsheet_runs_no_formula(text: str) -> None:
    assert escape.csv_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", [-1, -1.5, None, "a=b", ""])
def test_numbers_and_other_words_stay_in_csv(value: object) -> None:
    assert escape.csv_cell(value) == value


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\n::error::owned", "a\n\\x3a:error::owned"),
        ("  ::set-output name=x::y", "  \\x3a:set-output name=x::y"),
        ("\x1b[1m::stop-commands::t", "\x1b[1m\\x3a:stop-commands::t"),
        ("x ##[group]y", "x #\\x23[group]y"),
        ("select a\n  ::int", "select a\n  ::int"),
        ("a ::error::b", "a ::error::b"),
    ],
)
def test_no_line_is_a_command_to_a_ci_runner(text: str, shown: str) -> None:
    assert escape.without_commands(text) == shown
