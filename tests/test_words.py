"""Numbers read in the unit that their column's name says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from queryfit import words


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("mean_ms", 0.4, "0.4 ms"),
        ("mean_ms", 0.012, "0.012 ms"),
        ("mean_ms", 999, "999 ms"),
        ("mean_ms", 1_500, "1.5 s"),
        ("mean_ms", 119_999, "120 s"),
        ("mean_ms", 7_200_000, "2 h"),
        ("mean_ms", 172_800_000, "2 days"),
        ("mean_ms", -1_500, "-1.5 s"),
        ("impact_ms_per_day", 60_000, "60 s/day"),
        ("wal_bytes_per_day", 1 << 30, "1 GB/day"),
        ("size_bytes", 0, "0 B"),
        ("size_bytes", 1023, "1,023 B"),
        ("size_bytes", 48 << 20, "48 MB"),
        ("size_bytes", 3 << 40, "3 TB"),
        ("temp_blocks", 128, "1 MB"),
        ("calls_per_day", 12_000, "12 k/day"),
        ("rows_per_call", 2.5, "2.5"),
        ("time_share", 0.123, "12 %"),
        ("null_fraction", 0.005, "0.5 %"),
        ("window_s", 3600, "60 min"),
        ("days_left", 6.5, "6.5 days"),
        ("calls", 9_999, "9,999"),
        ("calls", 12_345, "12 k"),
        ("calls", 3_400_000, "3.4 M"),
        ("calls", 2 * 10**15, "2,000 T"),
        ("pid", 23_456, "23456"),
        ("blocker_pid", 4_194_304, "4194304"),
        ("is_valid", True, "yes"),
        ("size_bytes", None, "unknown"),
        ("mean_ms", float("nan"), "unknown"),
        ("mean_ms", float("inf"), "unknown"),
        ("vacuumed_at", datetime(2026, 1, 8, 9, 5, tzinfo=UTC), "2026-01-08 09:05"),
        ("relation", 'public."a b"', 'public."a b"'),
    ],
)
def test_a_value_in_words(name: str, value: object, expected: str) -> None:
    assert words.in_words(name, value) == expected


@example("x_share", 1.797693134862316e306)
@example("x_share", -1.797693134862316e306)
@given(
    st.sampled_from(["x_ms", "x_bytes", "x_share", "x_per_day", "x_blocks", "x", "days_left"]),
    st.floats() | st.integers(),
)
def test_any_number_reads_short(name: str, value: float) -> None:
    try:
        float(value)
    except OverflowError:
        return
    said = words.in_words(name, value)
    assert said
    assert "nan" not in said
    assert "inf" not in said


def test_only_plain_names_are_filled_in() -> None:
    assert words.placeholders("{a} {b.c} {d!r} {0} {} {{e}}") == {"a", "0", "e"}
    assert words.fill("{a} {a.__class__} {b}", {"a": "x"}) == "x {a.__class__} unknown"
    assert words.fill("{a}", {"a": "{b}", "b": "never"}) == "{b}"


def test_a_fix_lacks_nothing_or_is_none() -> None:
    assert words.substitute(None, {}) is None
    assert words.substitute("drop index {a}", {"a": None}) is None
    assert words.substitute("drop index {a}", {}) is None
    assert words.substitute("drop index {a}", {"a": '"x\ny"'}) == 'drop index "x\ny"'


@pytest.mark.parametrize("name", ["x\ndrop table a;", "x\r\ndrop table a;", "x\x85drop", "x\u2028drop"])
def test_a_name_cannot_end_the_comment_that_it_stands_in(name: str) -> None:
    filled = words.substitute("-- ask {role} to end it\nselect 1;", {"role": name})
    assert filled
    assert filled.splitlines() == [f"-- ask x {name.splitlines()[1]} to end it", "select 1;"]
