"""Medians, intervals and verdicts of what was measured, without a server."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryfit.advise.measure.measured import Interval, Measured, Outcome, Side, Trial
from queryfit.lab.planner import Query

RATIOS = st.lists(st.floats(0.01, 100), min_size=1, max_size=40)


def outcome(before: list[float], after: list[float], *, name: str = "q", is_control: bool = False) -> Outcome:
    sides = [Side(tuple(times), 10, 5, frozenset()) for times in (before, after)]
    return Outcome(Trial(name, Query(name, "select 1"), 2.0), sides[0], sides[1], 0.05, is_control)


@given(RATIOS)
def test_an_interval_holds_its_median_and_lies_within_the_values(ratios: list[float]) -> None:
    found = Interval.of(ratios)
    assert min(ratios) <= found.low <= found.ratio <= found.high <= max(ratios)
    assert 0 <= found.confidence <= 1


@pytest.mark.parametrize(
    ("count", "low", "high", "confidence"),
    [(1, 1, 1, 0.0), (3, 1, 3, 0.75), (6, 1, 6, 0.969), (8, 1, 8, 0.992), (9, 2, 8, 0.961), (25, 8, 18, 0.957)],
)
def test_intervals_are_the_order_statistics_of_the_textbooks(
    count: int, low: int, high: int, confidence: float
) -> None:
    found = Interval.of([float(number) for number in range(1, count + 1)])
    assert (found.low, found.high) == (low, high)
    assert found.confidence == pytest.approx(confidence, abs=5e-4)


def test_an_interval_holds_the_true_median_as_often_as_it_says() -> None:
    chance = random.Random(7)
    held = 0
    for _ in range(2000):
        found = Interval.of([chance.lognormvariate(0, 1) for _ in range(9)])  # whose median is 1
        held += found.low <= 1 <= found.high
    assert 0.945 < held / 2000 < 0.975


def test_slower_is_only_what_is_slower_beyond_its_own_noise() -> None:
    assert outcome([10, 10, 10, 10, 10, 10], [12, 13, 12, 14, 12, 13]).is_slower
    assert not outcome([10, 10, 10, 10, 10, 10], [9, 30, 30, 30, 30, 30]).is_slower
    assert not outcome([10, 10, 10, 10, 10, 10], [10.2] * 6).is_slower  # always, but within the tolerance
    assert outcome([10] * 6, [2] * 6).is_faster


def test_sides_tell_quartiles_and_blocks() -> None:
    side = Side((1.0, 2.0, 3.0, 4.0, 100.0), 3, 4, frozenset())
    assert (side.median_ms, side.quartiles_ms, side.blocks) == (3.0, (2.0, 4.0), 7)
    assert Side((5.0,), None, None, frozenset(), is_timed_out=True).quartiles_ms == (5.0, 5.0)


def test_totals_are_weighted_and_what_got_slower_comes_worst_first_without_controls() -> None:
    outcomes = (
        outcome([10] * 6, [20] * 6, name="twice"),
        outcome([10] * 6, [30] * 6, name="thrice"),
        outcome([10] * 6, [40] * 6, name="control", is_control=True),
        outcome([10] * 6, [1] * 6, name="twice"),  # another variant of the same statement
    )
    measured = Measured("transaction", outcomes, (), (), (), (), (), (), (), 1.0, is_complete=True)
    assert [found.trial.fingerprint for found in measured.slower] == ["thrice", "twice"]
    assert measured.before_ms == 80
    assert measured.after_ms == 182
    assert measured.noise == (4.0, 4.0)
    assert measured.ratios == {"twice": 1.05, "thrice": 3.0, "control": 4.0}
