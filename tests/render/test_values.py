"""Values of evidence in CSV, tables and JSON."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryfit.render.values import cell, plain, to_csv, to_json


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=2, max_size=2))
def test_csv_comes_back(texts: list[str]) -> None:
    rows = list(csv.reader(io.StringIO(to_csv(["a", "b"], [texts]), newline="")))
    assert [value.removeprefix("'") for value in rows[1]] == [value.removeprefix("'") for value in texts]


@given(st.text(min_size=1))
def test_no_cell_of_csv_begins_a_formula(text: str) -> None:
    (_, row) = list(csv.reader(io.StringIO(to_csv(["a"], [[text]]), newline="")))[:2]
    assert not row or not row[0].startswith(("=", "+", "-", "@", "\t", "\r"))


def test_null_and_lists_in_csv() -> None:
    assert to_csv(["a", "b", "c"], [[None, [1, 2.5], -1]]) == 'a,b,c\r\n,"[1, 2.5]",-1\r\n'


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (date(2026, 1, 8), "2026-01-08"),
        (time(1, 2), "01:02:00"),
        (timedelta(minutes=1), 60.0),
        (datetime(2026, 1, 8, tzinfo=UTC), "2026-01-08T00:00:00+00:00"),
        ({1: {2}}, {"1": [2]}),
        (memoryview(b"\x01"), "01"),
        (True, True),
    ],
)
def test_plain(value: object, expected: object) -> None:
    assert plain(value) == expected


@given(st.text())
def test_json_comes_back_and_is_printable(text: str) -> None:
    printed = to_json({"a": text})
    assert json.loads(printed) == {"a": text}
    assert printed.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "true"),
        (1.23456789, "1.23457"),
        ("a\nb", "a b"),
        (datetime.fromisoformat("2026-01-08 01:02:03"), "2026-01-08 01:02:03"),
        ("x" * 500, "x" * 399 + "…"),
    ],
)
def test_cell(value: object, shown: str) -> None:
    assert cell(value) == shown
