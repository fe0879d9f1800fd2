"""Two totals compared: more is asked of them than of a history, and nothing is made up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryfit.history.levels import Level
from queryfit.history.two_points import compared

DAY = 86_400.0
A = ("app", "a")


def level(calls: float = 1000, mean_ms: float = 1.0, blocks: float = 10, seconds: float = DAY) -> Level:
    return Level(calls, calls, calls * mean_ms, calls * blocks, 0, 0, seconds)


def said(before: dict[Any, Level], now: dict[Any, Level], **options: Any) -> list[tuple[str, str]]:
    facts: dict[str, Any] = {"seconds": DAY, "is_before_whole": True, "still": frozenset({*before, *now}), **options}
    return [(change.fingerprint, change.change) for change in compared(before, now, **facts)]


def test_more_blocks_and_more_time_are_slower_and_less_of_both_faster() -> None:
    assert said({A: level()}, {A: level(mean_ms=3, blocks=500)}) == [("a", "slower")]
    assert said({A: level(mean_ms=3, blocks=500)}, {A: level()}) == [("a", "faster")]


def test_time_alone_has_to_double() -> None:
    assert said({A: level()}, {A: level(mean_ms=1.8)}) == []
    assert said({A: level()}, {A: level(mean_ms=2.5)}) == [("a", "slower")]
    assert said({A: level(calls=8)}, {A: level(calls=8, mean_ms=2.5)}) == []


def test_a_machine_that_got_slower_slows_no_statement_down() -> None:
    before = {("app", f"s{number}"): level() for number in range(12)}
    assert said(before, {key: level(mean_ms=2.5) for key in before}) == []


@pytest.mark.parametrize(("is_whole", "expected"), [(True, [("a", "new")]), (False, [])])
def test_new_only_where_nothing_was_evicted_before(is_whole: bool, expected: list[tuple[str, str]]) -> None:
    assert said({}, {A: level()}, is_before_whole=is_whole) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, [("a", "gone")]), ({"still": frozenset()}, []), ({"seconds": 3600.0}, [])],
)
def test_gone_only_where_its_counters_stand_still_for_a_day(
    options: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert said({A: level()}, {}, **options) == expected


LEVELS = st.builds(
    Level,
    calls=st.integers(1, 10**12).map(float),
    rows=st.floats(0, 1e12),
    execution_ms=st.floats(0, 1e12),
    blocks_hit=st.floats(0, 1e15),
    blocks_read=st.floats(0, 1e15),
    temp_blocks=st.floats(0, 1e15),
    seconds=st.floats(0, 1e9),
)
MANY = st.dictionaries(st.tuples(st.just("app"), st.sampled_from("abcdefghijkl")), LEVELS)


@given(before=MANY, now=MANY, seconds=st.floats(0, 1e9))
def test_whatever_the_counters_hold_each_statement_is_told_once_and_with_the_numbers_it_has(
    before: dict[Any, Level], now: dict[Any, Level], seconds: float
) -> None:
    found = compared(before, now, seconds=seconds, is_before_whole=True, still=frozenset(before))
    assert len({change.key for change in found}) == len(found)
    for change in found:
        assert (change.key in before) == (change.mean_ms_before is not None)
        assert (change.key in now) == (change.mean_ms is not None)
        if change.change == "slower":
            assert change.mean_ms is not None
            assert change.mean_ms_before is not None
            assert change.mean_ms > change.mean_ms_before
