"""Columns of which some values come again and again and all others once: what the number of distinct values hides.

ANALYZE estimates distinct values with Haas and Stokes' Duj1, n d / (n - f1 + f1 n/N), of a sample of n rows with d
values, f1 seen once. That is right where all values are about as frequent. Free texts are not like that: short ones are
many rows' and long ones nobody else's, and the estimate is far too small. The common values tell: where so many values
were seen so often as no even distribution would have them, a pool of K values with a Poisson mean μ in the sample
explains both them and the rows that were not alone, and all other rows have values of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from queryfit.lab.table_facts import ColumnFacts

_SAMPLE_ROWS = 30_000  # 300 times the default statistics target
_TARGET = 100  # most common values that are kept; a full list may lack some that are as frequent
_LEAST_COUNT = 3
_UNLIKELY = 0.2  # of the values seen so often, an even distribution would have fewer than this share
_NEARLY_ALL = 0.8


@dataclass(frozen=True, slots=True)
class Mixture:
    """`count` values share the part `share` of the rows that are not null; every other row has its own."""

    count: float
    share: float


@lru_cache(maxsize=8192)
def mixture(column: ColumnFacts, rows: float) -> Mixture | None:
    """The mixture that a column's statistics point to; null where its values may be about equally frequent."""
    held = rows * (1.0 - (column.null_fraction or 0.0))
    sample = _SAMPLE_ROWS * (1.0 - (column.null_fraction or 0.0))
    distinct, common = column.distinct_in(rows), column.common_frequencies
    if (
        column.category != "S"
        or distinct is None
        or not 0 < len(common) < _TARGET
        or rows <= 2 * _SAMPLE_ROWS
        or distinct < sample
    ):
        return None
    least = round(min(common) * _SAMPLE_ROWS)
    if least < _LEAST_COUNT or distinct * _at_least(sample / distinct, least) > _UNLIKELY * len(common):
        return None
    repeats = 2.0
    found = None
    for _ in range(4):
        alone = _alone(distinct / sample, sample / held, repeats)
        mean = _pool_mean(sample * (1.0 - alone), least, len(common))
        count = sample * (1.0 - alone) / (mean * -math.expm1(-mean))
        several = -math.expm1(-mean) - mean * math.exp(-mean)
        repeats = mean * -math.expm1(-mean) / several
        found = Mixture(count, count * mean / sample)
    return found if found and 0 < found.share < _NEARLY_ALL else None


def _alone(distinct: float, sampled: float, repeats: float) -> float:
    """The share of the sample with a value seen once, from Duj1's answer over n, n/N and how often others were seen."""
    share = (distinct - 1.0 / repeats) / (1.0 - 1.0 / repeats + distinct * (1.0 - sampled))
    return min(1.0 - 1e-6, max(0.0, share))


def _at_least(mean: float, count: int) -> float:
    """The probability that a Poisson variable is so large."""
    term = below = math.exp(-mean)
    for number in range(1, count):
        term *= mean / number
        below += term
    return max(0.0, 1.0 - below) if mean > 0.5 else term * mean / count  # noqa: PLR2004 -- the difference would vanish


def _pool_mean(repeated: float, least: int, seen: int) -> float:
    """The mean count in the sample of a pool that has `repeated` rows not alone and `seen` values at least so often."""
    low, high = 0.02, float(least)
    for _ in range(40):
        middle = (low + high) / 2
        if repeated / (middle * -math.expm1(-middle)) * _at_least(middle, least) > seen:
            high = middle
        else:
            low = middle
    return (low + high) / 2
