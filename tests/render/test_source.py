"""Findings in files on a terminal; the pictures are in the snapshots."""

from __future__ import annotations

import re
import subprocess
import sys
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len
from syrupy.assertion import SnapshotAssertion

from queryfit.render import source
from queryfit.render.look import Look
from tests.render.samples import HOSTILE, LINT, LINT_CLEAN, LINT_HOSTILE, WIDER

ANSI = re.compile(r"\x1b\[[0-9;]*m")
PLAIN_80 = Look(80, has_colour=False)
REPORTS = {"lint": LINT, "clean": LINT_CLEAN, "hostile": LINT_HOSTILE}


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", REPORTS)
def test_picture(name: str, width: int, snapshot: SnapshotAssertion) -> None:
    assert source.render(REPORTS[name], Look(width, has_colour=False)) == snapshot


def test_picture_in_colour(snapshot: SnapshotAssertion) -> None:
    text = source.render(LINT, Look(100, has_colour=True))
    assert text == snapshot
    assert ANSI.sub("", text) == source.render(LINT, Look(100, has_colour=False))


@pytest.mark.parametrize("width", [50, 60, 80, 120, 200])
@pytest.mark.parametrize("name", REPORTS)
def test_nothing_but_a_path_is_wider_than_the_terminal(name: str, width: int) -> None:
    text = source.render(REPORTS[name], Look(width, has_colour=False), is_verbose=True)
    wide = [line for line in text.splitlines() if cell_len(line) > width]
    # what is no command any more has grown
    assert [line for line in wide if not line.startswith(("db/", "\\x1b[31mred")) and "\\x3a:" not in line] == []


@pytest.mark.parametrize("colour", [False, True])
def test_hostile_text_steers_no_terminal(colour: bool) -> None:
    text = ANSI.sub("", source.render(LINT_HOSTILE, Look(80, has_colour=colour), is_verbose=True))
    assert text.replace("\n", "").isprintable()
    assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]


def test_places_are_links_in_the_order_of_files_and_lines() -> None:
    text = source.render(replace(LINT, findings=LINT.findings[::-1]), PLAIN_80)
    assert re.findall(r"^(db/\S+)", text, re.MULTILINE) == [
        "db/20260105_indexes.sql:2:1",
        f"{WIDER}:2:15",
        f"{WIDER}:3:2",
        f"{WIDER}:4:1",
        "db/日本.sql:1:1",
        "db/日本.sql:1:38",
    ]


def test_the_last_lines_count_what_was_found_and_what_was_not_looked_at() -> None:
    summary = source.render(LINT, PLAIN_80).splitlines()[-2]
    assert summary == "3 errors, 2 warnings, 1 info in 3 of 4 files · 2 suppressed · 2 not checked"


def test_what_is_clean_takes_one_line() -> None:
    assert source.render(LINT_CLEAN, PLAIN_80) == "No finding in 4 files, 14 statements"
    assert source.render(replace(LINT_CLEAN, files=[]), PLAIN_80) == "No file to lint."
    assert source.render(replace(LINT_CLEAN, rules_run=0), PLAIN_80).startswith("Nothing was judged")


def test_what_was_not_checked_is_said_with_its_place_also_where_nothing_was_found() -> None:
    text = source.render(replace(LINT, findings=()), PLAIN_80)
    assert f"it is put together at run time ({WIDER}:9)" in text
    assert "keeps from judging: index-not-concurrent, table-dropped" in text
    assert text.splitlines()[-1] == "No finding in 4 files, 14 statements · 2 suppressed · 2 not checked"


def test_what_is_suppressed_is_listed_only_when_asked_for() -> None:
    assert "db/20260105_indexes.sql:7:1  index-not-concurrent: empty" in source.render(LINT, PLAIN_80, is_verbose=True)
    assert ": empty" not in source.render(LINT, PLAIN_80)


def test_a_finding_without_its_text_is_shown_without_it() -> None:
    text = source.render(replace(LINT, sources={}), PLAIN_80)
    assert "^" not in text
    assert text.count("foreign-key-checked-at-once") == 1


@pytest.mark.parametrize(
    ("text", "start", "end", "width", "shown", "marks"),
    [
        ("drop table a;", 5, 10, 40, "drop table a;", "     ^^^^^"),
        ("drop table a;", 5, 5, 40, "drop table a;", "     ^"),
        ("drop table a;", 13, 20, 40, "drop table a;", "             ^"),
        ("drop table a;", 50, 60, 40, "drop table a;", "             ^"),
        ("\tdrop table a;", 1, 5, 40, "    drop table a;", "    ^^^^"),
        ("a\tb", 2, 3, 40, "a   b", "    ^"),
        ("a\tb", 1, 2, 40, "a   b", " ^^^"),
        ("日本 x", 1, 2, 40, "日本 x", "  ^^"),
        ("日本 x", 3, 4, 40, "日本 x", "     ^"),
        ("\x1b[1m x", 5, 6, 40, "\\x1b[1m x", "        ^"),
        ("e\u0301 x", 3, 4, 40, "e\u0301 x", "  ^"),
        ("0123456789", 0, 4, 8, "0123456…", "^^^^"),
        ("0123456789", 0, 10, 8, "0123456…", "^^^^^^^"),
        ("0123456789abcdefghij", 15, 18, 16, "…789abcdefghij", "         ^^^"),
        ("x" * 30 + "fault" + "y" * 30, 30, 35, 20, "…" + "x" * 8 + "fault" + "yyyyy…", " " * 9 + "^^^^^"),
    ],
)
def test_marks_stand_under_what_they_mark(  # noqa: PLR0917
    text: str, start: int, end: int, width: int, shown: str, marks: str
) -> None:
    assert source.excerpt(text, start, end, width) == (shown, marks)


@given(
    st.text(alphabet=st.one_of(st.sampled_from("ab \t日\x1b\u0301\u202e\U0001f600"), st.characters()), max_size=200),
    st.integers(0, 200),
    st.integers(0, 200),
    st.integers(24, 120),
)
def test_an_excerpt_fits_and_has_marks(text: str, start: int, end: int, width: int) -> None:
    shown, marks = source.excerpt(text.replace("\n", ""), start, end, width)
    assert all(character.isprintable() or category(character) == "Zs" for character in shown)
    assert set(marks.lstrip(" ")) == {"^"}
    assert cell_len(shown) <= width + 1
    assert len(marks) <= width + 1


def test_a_line_of_a_megabyte_costs_no_more_than_what_is_shown() -> None:
    shown, marks = source.excerpt("é" * 500_000 + "fault" + "é" * 500_000, 500_000, 500_005, 60)
    assert shown[len(marks) - 5 : len(marks)] == "fault"
    assert len(shown) == 60


def test_a_fault_of_several_lines_says_where_it_ends() -> None:
    text = source.render(LINT, PLAIN_80)
    assert "     │ ^^^^^^^^^^^^^^^^ to line 5" in text


def test_a_long_fix_is_cut() -> None:
    fix = "\n".join(f"select {number};" for number in range(20))
    text = source.render(replace(LINT, findings=[replace(LINT.findings[0], fix=fix)]), PLAIN_80)
    assert " fix │ select 0;\n     │ select 1;" in text
    assert "│ … 14 more lines" in text


def test_it_starts_without_rich() -> None:
    program = "import sys; from queryfit.render import source; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_hostile_name_of_a_file_is_shown_as_it_is_written() -> None:
    assert "::error::owned" not in {line.strip() for line in source.render(LINT_HOSTILE, PLAIN_80).splitlines()}
    assert HOSTILE not in source.render(LINT_HOSTILE, PLAIN_80)
