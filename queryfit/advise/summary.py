"""What follows from advice, as every renderer needs it: totals, distances, and what becomes of each statement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from queryfit import words
from queryfit.advise.model import Advice, Point, Weighted

TIME = "ms per day"
"""The unit of a workload whose weights turn planner cost into the time that its statements take."""
WINDOW_TIME = "ms"
"""The same over the window of the counters, where nobody knows how long that is."""
_FINE = 0.001
_NEARLY_ALL = 0.995
_SAME = 1e-6  # costs nearer to each other than that are one cost


@dataclass(frozen=True, slots=True)
class Change:
    """What the set does to one statement. `before` and `after` are its part of the workload, in the workload's unit."""

    fingerprint: str
    text: str
    before: float
    after: float
    ratio: float  # cost of one call after / before
    indexes: tuple[str, ...]

    @property
    def saving(self) -> float:
        return self.before - self.after


@dataclass(frozen=True, slots=True)
class Gap:
    """Statements that are not judged for one and the same reason."""

    reason: str
    hint: str | None
    fingerprints: tuple[str, ...]


def is_timed(advice: Advice) -> bool:
    """Whether the workload is in time: captured statements are, a file of statements is in planner cost."""
    return advice.workload.unit in {TIME, WINDOW_TIME}


def is_daily(advice: Advice) -> bool:
    """Whether that time is of one day."""
    return advice.workload.unit == TIME


def saving(advice: Advice) -> float:
    """What the set saves of the workload, upkeep taken off."""
    return advice.cost_before - advice.cost_after


def share(value: float, advice: Advice) -> float:
    """A part of the workload's cost today, 0 where it costs nothing."""
    return value / advice.cost_before if advice.cost_before > 0 else 0.0


def distance(cost: float, bound: float) -> float:
    """How far a cost is above the least that is possible, as a share of that."""
    return max(cost / bound - 1, 0.0) if bound > 0 else 0.0


def amount(value: float, advice: Advice) -> str:
    """A part of the workload: time where it has one, else its share of the cost today."""
    if is_timed(advice):
        return f"{words.duration(value)}{per_what(advice)}"
    return f"{percent(share(value, advice))} of the cost"


def per_what(advice: Advice) -> str:
    """What a time is of, to stand behind it: ` a day`, or ` of what was counted`."""
    return " a day" if is_daily(advice) else " of what was counted"


def percent(part: float) -> str:
    """A share of planner costs, which are no finer than a thousandth; what is not all of it does not read as all."""
    if 0 < part < _FINE:
        return "<0.1 %"
    if _NEARLY_ALL <= part < 1:
        return f"{math.floor(part * 1e4) / 100:g} %"  # not all: 99.97 %
    return words.percent(part)


def changes(advice: Advice) -> list[Change]:
    """Every statement of the workload, what saves most first."""
    statements = {statement.fingerprint: statement for statement in advice.workload.statements}
    found = [
        Change(
            effect.fingerprint,
            _text(statements.get(effect.fingerprint), effect.fingerprint),
            effect.cost_before * effect.weight,
            effect.cost_after * effect.weight,
            effect.cost_after / effect.cost_before if effect.cost_before > 0 else 1.0,
            effect.indexes,
        )
        for effect in advice.effects
    ]
    return sorted(found, key=lambda change: (-change.saving, change.fingerprint))


def _text(statement: Weighted | None, fingerprint: str) -> str:
    return statement.text if statement is not None else fingerprint


def curve(advice: Advice) -> list[Point]:
    """The points that say something: of those with one set the cheapest, the one asked for, and that without limit.

    None where there is nothing that a budget buys.
    """
    kept: list[Point] = []
    if not any(point.size_bytes for point in advice.curve):
        return kept
    for number, point in enumerate(advice.curve):
        before = advice.curve[number - 1] if number else None
        is_same = before is not None and (before.size_bytes, before.cost_after) == (point.size_bytes, point.cost_after)
        if not is_same or point.budget_bytes in {None, advice.budget_bytes}:
            kept.append(point)
    return kept


def helped(entries: Sequence[Change]) -> list[Change]:
    """Statements that get cheaper, what saves most first."""
    return [change for change in entries if change.ratio < 1 - _SAME]


def hurt(entries: Sequence[Change]) -> list[Change]:
    """Statements that get dearer, the worst first."""
    return sorted(
        (change for change in entries if change.ratio > 1 + _SAME), key=lambda change: (-change.ratio, change.saving)
    )


def gaps(advice: Advice) -> list[Gap]:
    """What is not judged, by reason: the reason that stops most statements first."""
    reasons: dict[tuple[str, str | None], list[str]] = {}
    for entry in advice.workload.skipped:
        reasons.setdefault((entry.reason, entry.hint), []).append(entry.fingerprint)
    found = [Gap(reason, hint, tuple(names)) for (reason, hint), names in reasons.items()]
    return sorted(found, key=lambda gap: (-len(gap.fingerprints), gap.reason))
