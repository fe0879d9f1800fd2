"""What is kept of old history: for how long in hours and days, and which full captures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from queryfit.history.chain import Link, counting
from queryfit.history.holding import Held
from queryfit.history.periods import Period, not_covered
from queryfit.history.reading import engine, read_files

DAILY_FULLS = timedelta(days=14)  # two reports a week apart each find the day before and after a change
# what changes plans: the full captures before and after tell how
_TELLING = frozenset({"index_added", "index_dropped", "column_changed", "setting_changed"})


@dataclass(frozen=True, slots=True)
class Keep:
    """How long history is kept in which grain, from now back.

    Two days of single captures show what happened last night to the minute; five weeks of hours let two months' reports
    be compared hour by hour; four hundred days of days reach to the same week of last year. `most_bytes` bounds what
    one server's folder takes, at the cost of the oldest.
    """

    raw: timedelta = timedelta(days=2)
    hourly: timedelta = timedelta(days=35)
    daily: timedelta = timedelta(days=400)
    most_bytes: int | None = None

    def is_raw(self, day: date, now: datetime) -> bool:
        """Whether single captures of a day are kept: all of its hours have to be past."""
        return datetime.combine(day, datetime.min.time()) + timedelta(days=1) > now - self.raw

    def is_hourly(self, day: date, now: datetime) -> bool:
        return datetime.combine(day, datetime.min.time()) + timedelta(days=1) > now - self.hourly

    def is_daily(self, day: date, now: datetime) -> bool:
        """Whether a day is kept at all. Months go as a whole: a text is kept once a month."""
        return (day.replace(day=1) + timedelta(days=31)).replace(day=1) > (now - self.daily).date()


def removable(held: Held, swallowed: frozenset[str], pinned: frozenset[str], now: datetime) -> list[Link]:
    """The captures that are no longer needed: their work is in a period, and nothing stands on them.

    `pinned` are names that something else in the store refers to.
    """
    fulls = [entry for entry in held.links if entry.is_full]
    kept = _fulls_to_keep(fulls, _changes(held.periods), now) | pinned
    kept |= not_covered(counting(held.links), held.periods).bases
    kept |= {entry.capture.name for entry in (*held.links[-1:], *fulls[-1:])}
    gone = [entry for entry in held.links if entry.capture.name in swallowed and entry.capture.name not in kept]
    names = {entry.capture.name for entry in gone}
    needed = {
        Path(str(base)).name
        for entry in held.links
        if entry.capture.name not in names and (base := entry.capture.meta.get("full"))
    }
    return [entry for entry in gone if entry.capture.name not in needed]


def _fulls_to_keep(fulls: Sequence[Link], changes: Iterable[datetime], now: datetime) -> frozenset[str]:
    last_of: dict[tuple[int, ...], str] = {}
    for entry in fulls:
        week = entry.at.isocalendar()[:2]
        day = (entry.at.year, entry.at.month, entry.at.day)
        last_of[day if entry.at > now - DAILY_FULLS else week] = entry.capture.name
    kept = set(last_of.values())
    for at in changes:
        before = [entry for entry in fulls if entry.at < at]
        after = [entry for entry in fulls if entry.at >= at]
        kept |= {entry.capture.name for entry in (*before[-1:], *after[:1])}
    return frozenset(kept)


def _changes(periods: Sequence[Period]) -> list[datetime]:
    files = [str(path) for period in periods if (path := period.capture.file("server_event")) is not None]
    if not files:
        return []
    with engine() as raw:
        rows = read_files(raw, "server_event", ("happened_at", "kind"), files)
    return sorted({at for _, at, kind in rows if kind in _TELLING})
