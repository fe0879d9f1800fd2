"""Statements compared by two totals: what is left where no history reaches back before the first capture.

Two totals have no noise to be measured by, so more is asked of them than of levels in a history.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median

from queryfit.history.changes import FEWEST_CALLS, LEAST_MS_PER_DAY, LEAST_SHARE, Change, between, compare
from queryfit.history.levels import Level, StatementKey

FACTOR = 2.0  # of time, where blocks per call do not say it as well
MANY_CALLS = 20  # on either side, for a time to be believed
_FEWEST_FOR_MACHINE = 8
_DAY_S = 86_400.0


def compared(
    before: Mapping[StatementKey, Level],
    now: Mapping[StatementKey, Level],
    *,
    seconds: float,
    is_before_whole: bool,
    still: frozenset[StatementKey],
) -> list[Change]:
    """What changed between two stretches, by the totals of each; the greatest difference of time first.

    `seconds` is how long the second was watched. `is_before_whole`: a statement that is not in `before` did not run
    then. `still` are those whose counters are there at the end, so that no call of theirs was lost.
    """
    usual = _usual(before, now)
    total = sum(level.ms_per_day or 0 for level in now.values())
    least_ms = min(LEAST_SHARE * total, LEAST_MS_PER_DAY)
    found = [
        *_tempo(before, now, usual, least_ms),
        *(
            between(key, "new", None, None, level)
            for key, level in now.items()
            if is_before_whole and key not in before and level.calls >= FEWEST_CALLS
        ),
        *(
            between(key, "gone", None, level, None)
            for key, level in before.items()
            if key not in now
            and key in still
            and seconds >= _DAY_S
            and (level.calls_per_day or 0) * seconds / _DAY_S >= MANY_CALLS
        ),
    ]
    return sorted(found, key=lambda change: (-change.weight, change.key))


def _tempo(
    before: Mapping[StatementKey, Level], now: Mapping[StatementKey, Level], usual: float, least_ms: float
) -> Iterator[Change]:
    for key in before.keys() & now.keys():
        was, is_now = before[key], now[key]
        ratio = is_now.mean_ms / max(was.mean_ms, 1e-6) / usual
        name = compare(
            was,
            is_now,
            is_blocks_step=True,
            is_time_step=max(ratio, 1 / max(ratio, 1e-9)) >= FACTOR and min(was.calls, is_now.calls) >= MANY_CALLS,
            usual=usual,
        )
        if name is not None and abs(is_now.mean_ms - was.mean_ms) * (is_now.calls_per_day or 0) >= least_ms:
            yield between(key, name, None, was, is_now)


def _usual(before: Mapping[StatementKey, Level], now: Mapping[StatementKey, Level]) -> float:
    """The factor by which statements in general got slower; 1 where too few tell."""
    ratios = [
        now[key].mean_ms / before[key].mean_ms
        for key in before.keys() & now.keys()
        if min(now[key].calls, before[key].calls) >= MANY_CALLS and before[key].mean_ms > 0 and now[key].mean_ms > 0
    ]
    return median(ratios) if len(ratios) >= _FEWEST_FOR_MACHINE else 1.0
