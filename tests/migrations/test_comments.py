"""Suppressions in comments: what is one, which statement it speaks of, and what it takes out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields

import pglast.parser
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from queryfit.evidence.dictionary import tables
from queryfit.findings import Finding
from queryfit.migrations.comments import Comment, Suppression, _comments, read_suppressions, suppress

KNOWN = ("drop-table", "index-not-concurrent", "prefer-text")


def finding(rule: str, line: int, file: str = "1.sql") -> Finding:
    return Finding(
        id="0" * 12, rule=rule, group="migrations", title=rule, database=None, subject="public.t", severity="error",
        proof="inferred", message="It waits.", fix=None, undo=None, impact_ms_per_day=None, impact_low_ms_per_day=None,
        is_urgent=False, file=file, line=line, evidence={},
    )  # fmt: skip


def judged(
    text: str, findings: Sequence[Finding], statements: Sequence[tuple[int, int]], run: Sequence[str] = KNOWN
) -> tuple[list[Finding], list[Finding], list[Suppression]]:
    comments = {"1.sql": read_suppressions(text)}
    return suppress(findings, comments, {"1.sql": statements}, known_rules=KNOWN, rules_run=run)


@pytest.mark.parametrize(
    ("text", "rules", "reason", "is_file"),
    [
        ("-- queryfit: ignore drop-table it is empty", ("drop-table",), "it is empty", False),
        ("--queryfit: ignore drop-table it is empty", ("drop-table",), "it is empty", False),
        ("-- queryfit:ignore drop-table: it is empty", ("drop-table",), "it is empty", False),
        ("-- queryfit: ignore drop-table -- it is empty", ("drop-table",), "it is empty", False),
        ("/* queryfit: ignore drop-table it is empty */", ("drop-table",), "it is empty", False),
        ("/*\n * queryfit: ignore drop-table it\n * is empty\n */", ("drop-table",), "it is empty", False),
        ("-- queryfit: ignore drop-table", ("drop-table",), None, False),
        ("-- queryfit: ignore a-b,c , d it is empty\r\n", ("a-b", "c", "d"), "it is empty", False),
        ("-- queryfit: ignore-file drop-table it is empty", ("drop-table",), "it is empty", True),
        ("-- queryfit: ignore drop-table 日本 — ok", ("drop-table",), "日本 — ok", False),
    ],
)
def test_what_a_suppression_says(text: str, rules: tuple[str, ...], reason: str | None, is_file: bool) -> None:
    (comment,) = read_suppressions(text)
    assert (comment.rules, comment.reason, comment.is_file, comment.problem) == (rules, reason, is_file, None)


@pytest.mark.parametrize(
    "text",
    [
        "-- queryfit: disable all",
        "-- queryfit: ignore",
        "-- queryfit:",
        "-- queryfit: ignored drop-table",
        "/* queryfit: ignore */",
    ],
)
def test_what_is_not_understood_is_said(text: str) -> None:
    (comment,) = read_suppressions(text)
    assert comment.problem
    assert comment.rules == ()


@pytest.mark.parametrize(
    "text",
    [
        "select '-- queryfit: ignore drop-table x'",
        "select 'it''s -- queryfit: ignore drop-table x'",
        "select E'it\\'s -- queryfit: ignore drop-table x'",
        "select E'a'\n 'b\\' -- queryfit: ignore drop-table x'",
        'select 1 as "-- queryfit: ignore drop-table x"',
        "do $$ begin -- queryfit: ignore drop-table x\n end $$",
        "do $a$ $$ -- queryfit: ignore drop-table x\n $a$",
        "do $ä$ $$ -- queryfit: ignore drop-table x\n $ä$",
        "select 'open -- queryfit: ignore drop-table x",
        "-- see how queryfit: ignore drop-table x works",
        "select 1",
    ],
)
def test_what_only_looks_like_a_suppression_is_none(text: str) -> None:
    assert read_suppressions(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "select a$$b, 1 -- queryfit: ignore drop-table $$ x",
        "select $1$$, -- $$ \n-- queryfit: ignore drop-table x",
        "select value'x\\' -- queryfit: ignore drop-table x",
        "select 1; /* open\nqueryfit: ignore drop-table x",
        "/* a /* b */\nqueryfit: ignore drop-table x\n*/",
        "\ufeff-- queryfit: ignore drop-table x",
        "\x00-- queryfit: ignore drop-table \ud800",
        "select 1;\r-- queryfit: ignore drop-table x\rselect 2;",
    ],
)
def test_odd_text_before_it(text: str) -> None:
    (comment,) = read_suppressions(text)
    assert comment.rules == ("drop-table",)
    assert comment.reason


def test_several_in_one_comment() -> None:
    text = "/* queryfit: ignore drop-table x\n * queryfit: ignore-file prefer-text y\n   z */"
    assert [(entry.line, entry.rules, entry.reason, entry.is_file) for entry in read_suppressions(text)] == [
        (1, ("drop-table",), "x", False),
        (2, ("prefer-text",), "y z", True),
    ]


TEXT = """\
-- queryfit: ignore drop-table nobody reads it
-- (asked on Monday)
drop table a;

drop table b; -- queryfit: ignore drop-table nobody reads it

drop
    -- queryfit: ignore drop-table nobody reads it
    table c;
/* queryfit: ignore drop-table nobody reads it */ drop table d;
-- queryfit: ignore drop-table nobody reads it

drop table e;
"""
STATEMENTS = [(3, 3), (5, 5), (7, 9), (10, 10), (13, 13)]


def test_a_suppression_speaks_of_the_statement_on_its_line_or_directly_below() -> None:
    kept, taken, became = judged(TEXT, [finding("drop-table", first) for first, _ in STATEMENTS], STATEMENTS)
    assert [entry.line for entry in taken] == [3, 5, 7, 10]
    assert all(entry.suppressed_by == "nobody reads it" and entry.is_suppressed_in_source for entry in taken)
    assert [entry.line for entry in kept] == [13]
    assert [(entry.line, entry.number, entry.has_statement, entry.is_used) for entry in became] == [
        (1, 1, True, True), (5, 2, True, True), (8, 3, True, True), (10, 4, True, True), (11, 5, False, False)
    ]  # fmt: skip


def test_the_whole_statement_is_meant_wherever_in_it_the_fault_is() -> None:
    _, taken, _ = judged(TEXT, [finding("drop-table", 9)], STATEMENTS)
    assert len(taken) == 1


def test_a_comment_at_the_end_of_a_line_does_not_speak_of_the_next_one() -> None:
    text = "drop table a; -- queryfit: ignore drop-table x\ndrop table b;\n"
    kept, taken, _ = judged(text, [finding("drop-table", 1), finding("drop-table", 2)], [(1, 1), (2, 2)])
    assert [entry.line for entry in taken] == [1]
    assert [entry.line for entry in kept] == [2]


def test_only_the_rule_that_is_named() -> None:
    text = "-- queryfit: ignore drop-table, prefer-text x\ndrop table a;\n"
    findings = [finding(rule, 2) for rule in KNOWN]
    kept, taken, became = judged(text, findings, [(2, 2)])
    assert [entry.rule for entry in kept] == ["index-not-concurrent"]
    assert [entry.rule for entry in taken] == ["drop-table", "prefer-text"]
    assert [(entry.rule, entry.is_used) for entry in became] == [("drop-table", True), ("prefer-text", True)]


def test_a_whole_file_and_no_other() -> None:
    text = "drop table a;\ndrop table b;\n-- queryfit: ignore-file drop-table they are ours\n"
    findings = [finding("drop-table", 1), finding("drop-table", 2), finding("drop-table", 1, "2.sql")]
    kept, taken, became = judged(text, findings, [(1, 1), (2, 2)])
    assert [entry.line for entry in taken] == [1, 2]
    assert [entry.file for entry in kept] == ["2.sql"]
    assert [(entry.is_file, entry.has_statement, entry.is_used) for entry in became] == [(True, True, True)]


def test_without_a_reason_nothing_is_suppressed_but_it_is_not_useless_either() -> None:
    kept, taken, (became,) = judged(
        "-- queryfit: ignore drop-table\ndrop table a;", [finding("drop-table", 2)], [(2, 2)]
    )
    assert (len(kept), len(taken)) == (1, 0)
    assert (became.reason, became.is_used) == (None, True)


def test_what_is_known_of_rules_that_are_not_there_or_did_not_run() -> None:
    text = "-- queryfit: ignore prefer-text, drop-tabel x\ndrop table a;\n-- queryfit: what\n"
    _, _, became = judged(text, [], [(2, 2)], run=["drop-table"])
    assert [(entry.rule, entry.is_known, entry.has_run) for entry in became] == [
        ("prefer-text", True, False), ("drop-tabel", False, False), (None, False, False)
    ]  # fmt: skip
    assert became[2].problem == "'what' is not understood"


def test_a_suppression_is_a_row_of_its_table() -> None:
    assert [field.name for field in fields(Suppression)] == [
        column.name for column in tables()["migration_suppression"].columns
    ]


def test_many_comments_and_statements_take_no_time_to_speak_of() -> None:
    text = "drop table a; -- queryfit: ignore drop-table x\n" * 20_000
    spans = [(line, line) for line in range(1, 20_001)]
    kept, taken, became = judged(text, [finding("drop-table", line) for line, _ in spans], spans)
    assert (len(kept), len(taken), len(became)) == (0, 20_000, 20_000)


PIECES = st.sampled_from(
    [
        "'",
        "''",
        '"',
        "$$",
        "$a$",
        "$",
        "--",
        "/*",
        "*/",
        "\n",
        "\r",
        " ",
        "E'",
        "e",
        "\\",
        "\\'",
        "a",
        "ä",
        "1",
        ";",
        "(",
    ]
)


@given(st.lists(PIECES, max_size=25).map("".join))
def test_comments_are_where_the_lexer_of_postgresql_sees_them(text: str) -> None:
    # a comment between two strings that continue each other is none of the tokens that the lexer hands out
    assume(not re.search(r"'[ \r\n]*--[^\n\r]*[\n\r]", text))
    try:
        tokens = pglast.parser.scan(text)
    except pglast.parser.ParseError:
        list(_comments(text))
        return
    expected = [(token.start, token.end + 1) for token in tokens if token.name in {"SQL_COMMENT", "C_COMMENT"}]
    assert list(_comments(text)) == expected


@given(st.lists(st.one_of(PIECES, st.text(max_size=5), st.just("queryfit: ignore drop-table x")), max_size=25))
def test_no_text_is_too_odd(parts: list[str]) -> None:
    text = "".join(parts)
    for comment in read_suppressions(text):
        assert isinstance(comment, Comment)
        assert 1 <= comment.line <= text.count("\n") + 1
    judged(text, [finding("drop-table", 1)], [(1, 1)])
