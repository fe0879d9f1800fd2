"""A redacted capture holds no literal and no sample value, and keeps the names that rules need."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryfit.evidence.redact import HIDDEN, redact, without_literals


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select * from a where b = 'secret'", f"select * from a where b = {HIDDEN}"),
        ("select 1, 2.5, 1e9", f"select {HIDDEN}, {HIDDEN}, {HIDDEN}"),
        ("select E'sec\\'ret', U&'\\0061', $$secret$$, $x$secret$x$", ", ".join([f"select {HIDDEN}", *[HIDDEN] * 3])),
        ("select B'101', X'FF'", f"select {HIDDEN}, {HIDDEN}"),
        ('select $1 from "Quoted"', 'select $1 from "Quoted"'),
        ("select a -- secret\nfrom b", "select a \nfrom b"),
        ("select /* secret */ a", "select  a"),
        ("select 'é☃', name from t", f"select {HIDDEN}, name from t"),
        ("select naïve from \"ü\" where x = 'secret'", f'select naïve from "ü" where x = {HIDDEN}'),
    ],
)  # fmt: skip
def test_literals_and_comments_go_and_names_stay(text: str, expected: str) -> None:
    assert without_literals(text) == expected


@pytest.mark.parametrize(
    "text", ["select 'unterminated secret", "select $$secret", "/* secret", 'select "secret', "a\0'secret'"]
)
def test_what_cannot_be_lexed_goes_whole(text: str) -> None:
    assert "secret" not in without_literals(text)


@given(st.text(), st.text(st.characters(exclude_characters="'\\\0", exclude_categories=["Cs"])))
def test_a_quoted_literal_never_survives(before: str, secret: str) -> None:
    marked = f"SECRET{secret}"
    try:
        result = without_literals(f"{before} = '{marked}'")
    except UnicodeEncodeError:
        pytest.fail("a text that is not valid Unicode has to be dropped, not to end the capture")
    # the text before may have opened a quote or a comment: then the whole is dropped, or what follows is a name
    if before.count("'") == before.count('"') == before.count("$") == 0 and "*/" not in before and "--" not in before:
        assert marked not in result


def test_rows_lose_values_by_table() -> None:
    row = {
        "relation": "r",
        "common_values": "{x}",
        "histogram_bounds": "{y}",
        "least_value": 1.0,
        "correlation": 1.0,
    }
    assert redact("column_statistics", row) == {
        "relation": "r", "common_values": None, "histogram_bounds": None, "least_value": None, "correlation": 1.0,
    }  # fmt: skip
    assert redact("statement_text", {"text": "select 'x'", "kind": "select"})["text"] == f"select {HIDDEN}"
    assert redact("activity", {"text": None, "pid": 3}) == {"text": None, "pid": 3}
    assert redact("reference", {"value": "$1"})["value"] == "$1"
    assert redact("reference", {"value": "'paid'"})["value"] is None
    assert redact("relation", {"relation": "public.a"}) == {"relation": "public.a"}


def test_the_given_row_is_not_changed() -> None:
    row = {"text": "select 'x'"}
    redact("statement_text", row)
    assert row == {"text": "select 'x'"}


def test_plans_lose_their_literals_and_keep_their_shape() -> None:
    plan = {
        "Plan": {
            "Node Type": "Index Scan",
            "Relation Name": "a",
            "Index Cond": "(email = 'secret@example.org'::text)",
            "Filter": "(note ~~ 'secret%'::text)",
            "Output": ["id", "'secret'::text"],
            "Sort Key": ["((x = 'secret'::text))"],
            "Plans": [{"Recheck Cond": "(a = 'secret')", "Function Call": "f('secret')", "Total Cost": 1.5}],
        },
        "Query Text": "select 'secret'",
    }
    document = str(redact("plan", {"document": json.dumps(plan)})["document"])
    assert "secret" not in document
    assert json.loads(document)["Plan"]["Plans"][0]["Total Cost"] == 1.5
