"""The slope of a line through points, and its interval: against the truth that the points were made from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queryfit.history.slope import slope

NUMBERS = st.floats(-1e12, 1e12, allow_nan=False)
POINTS = st.lists(NUMBERS, min_size=2, max_size=40)
Array = np.ndarray[Any, Any]


def gauge(random: np.random.Generator, points: int) -> tuple[Array, Array]:
    """A gauge that is read with an error, such as connections; it rises by 100 a day."""
    days = np.arange(points) / points * 7
    return days, 100 * days + random.normal(0, 30, points)


def counter(random: np.random.Generator, points: int) -> tuple[Array, Array]:
    """A counter whose steps are drawn; 100 a day."""
    days = np.arange(points) / points * 7
    return days, np.cumsum(random.gamma(2, 350 / points, points))


def busy_days(random: np.random.Generator, points: int) -> tuple[Array, Array]:
    """Two weeks of a counter with nights, and days that differ by a fifth; 100 a day."""
    hours = np.arange(14 * 24)
    rate = random.normal(1, 0.2, 14).repeat(24) * (1 + 0.8 * np.sin(hours % 24 / 24 * 2 * math.pi)) * 100 / 24
    value = np.cumsum(random.poisson(rate * 10) / 10)
    chosen = np.linspace(0, len(hours) - 1, points).astype(int)
    return hours[chosen] / 24, value[chosen]


@pytest.mark.parametrize("points", [30, 96, 200])
@pytest.mark.parametrize("made", [gauge, counter, busy_days])
def test_the_interval_holds_the_true_slope_about_nine_times_in_ten(made: Any, points: int) -> None:
    random = np.random.default_rng(points)
    held = 0
    for _ in range(200):
        days, values = made(random, points)
        found = slope(list(days), list(values), accumulates=made is not gauge)
        held += found.low <= 100 <= found.high
    assert held >= 160


def test_a_wild_point_does_not_bend_the_line() -> None:
    values = [float(day) for day in range(20)]
    values[7] = 1e9
    found = slope([float(day) for day in range(20)], values, accumulates=False)
    assert found.value == pytest.approx(1)
    assert found.high < 1.2


def test_what_never_fell_is_not_expected_to() -> None:
    found = slope([0, 1, 2], [0, 0, 100], accumulates=True)
    assert found.low == 0
    assert found.high > 50


@settings(deadline=None)
@given(values=POINTS, accumulates=st.booleans())
def test_the_slope_lies_in_its_interval_whatever_the_points_are(values: list[float], accumulates: bool) -> None:
    found = slope([float(day) for day in range(len(values))], values, accumulates=accumulates)
    assert found.low <= found.value <= found.high
    assert all(map(math.isfinite, (found.low, found.value, found.high)))


@settings(deadline=None)
@given(value=NUMBERS, step=st.floats(-1e6, 1e6), count=st.integers(3, 50), accumulates=st.booleans())
def test_a_straight_line_has_its_own_slope(value: float, step: float, count: int, accumulates: bool) -> None:
    found = slope(
        [float(day) for day in range(count)], [value + step * day for day in range(count)], accumulates=accumulates
    )
    tolerance = 1e-3 + abs(value) * 1e-9
    assert found.value == pytest.approx(step, rel=1e-6, abs=tolerance)
    assert found.high - found.low <= 1e-3 + abs(step) * 1e-3 + abs(value) * 1e-6


@settings(deadline=None)
@given(values=POINTS)
def test_the_slope_of_the_mirrored_points_is_the_mirrored_slope(values: list[float]) -> None:
    days = [float(day) for day in range(len(values))]
    one = slope(days, values, accumulates=False)
    other = slope(days, [-value for value in values], accumulates=False)
    assert (other.value, other.low, other.high) == pytest.approx((-one.value, -one.high, -one.low), rel=1e-9, abs=1e-9)
