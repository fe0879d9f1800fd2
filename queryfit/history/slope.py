"""A line through points that few wild ones can bend, with the range in which its slope lies.

The slope is the median of the slopes of all pairs of points (Theil 1950, Sen 1968). Its interval comes from Kendall's
tau and knows no distribution (Sen 1968, section 4).

That interval takes the points for independent draws around the line. What accumulates (a sequence, a table's size)
wanders away from any line, and the interval would be several times too narrow. There the rates of the days are what is
drawn anew: the interval is widened to that of their pseudo-median (Hodges and Lehmann 1963, from Wilcoxon's signed
ranks), or to Student's where the days are few.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_Z_90 = 1.6449  # both sides of the normal distribution leave 5 % there
_T_90 = {2: 6.314, 3: 2.920, 4: 2.353, 5: 2.132}  # Student's, by the number of draws
_FEWEST_STRETCHES, _MOST_STRETCHES = 6, 28  # a day each where there are as many


@dataclass(frozen=True, slots=True)
class Slope:
    """Change of a value by unit of time, and the 90 % interval around it."""

    value: float
    low: float
    high: float


def slope(days: Sequence[float], values: Sequence[float], *, accumulates: bool) -> Slope:
    """The slope a day through points at distinct, ascending times in days; two at least.

    `accumulates`: each value is the one before and what came since, as with a counter or a size. Pairs grow with the
    square of the points: thin them first.
    """
    at, value = np.asarray(days, dtype=float), np.asarray(values, dtype=float)
    first, second = np.triu_indices(len(at), 1)
    slopes = np.sort((value[second] - value[first]) / (at[second] - at[first]))
    n = len(at)
    low, high = _inner(slopes, math.sqrt(n * (n - 1) * (2 * n + 5) / 18))
    if accumulates:
        other_low, other_high = _of_stretches(at, value)
        low, high = min(low, other_low), max(high, other_high)
        if bool((np.diff(value) >= 0).all()):
            low = max(low, 0.0)  # what never fell is not expected to
    middle = float(np.median(slopes))
    return Slope(middle, min(low, middle), max(high, middle))


def _inner(ordered: np.ndarray[Any, Any], deviation: float) -> tuple[float, float]:
    """The order statistics that bound 90 %, by the deviation of the statistic that counts pairs."""
    below = max(math.floor((len(ordered) - _Z_90 * deviation) / 2), 0)
    return float(ordered[below]), float(ordered[len(ordered) - 1 - below])


def _of_stretches(at: np.ndarray[Any, Any], value: np.ndarray[Any, Any]) -> tuple[float, float]:
    """The interval of the rate from the rates of stretches of equal length."""
    wanted = min(max(int(at[-1] - at[0]), _FEWEST_STRETCHES), _MOST_STRETCHES)
    edges = np.linspace(at[0], at[-1], min(wanted, len(at) - 1) + 1)
    rates = np.diff(np.interp(edges, at, value)) / (edges[1] - edges[0])
    m = len(rates)
    if m < 2:  # noqa: PLR2004 -- one rate has no spread
        return float(rates[0]), float(rates[0])
    if m in _T_90:
        aside = _T_90[m] * float(np.std(rates, ddof=1)) / math.sqrt(m)
        return float(np.mean(rates)) - aside, float(np.mean(rates)) + aside
    one, other = np.triu_indices(m)
    averages = np.sort((rates[one] + rates[other]) / 2)  # Walsh's
    return _inner(averages, math.sqrt(m * (m + 1) * (2 * m + 1) / 6))
