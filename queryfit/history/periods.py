"""Periods: what a day of captures was merged into, and which of them a reader has to believe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from queryfit.errors import QueryfitError
from queryfit.evidence.store import PERIOD, Capture, Unusable
from queryfit.history.chain import Link, day_of, scope_of, twin


@dataclass(frozen=True, slots=True)
class Period:
    """A day of history, in hours or as a whole. It begins with the last capture of before, naive UTC."""

    capture: Capture
    started_at: datetime
    ended_at: datetime
    grain: str
    swallowed: frozenset[str]  # captures that it holds the work of
    replaces: frozenset[str]  # periods that it was made from

    @property
    def name(self) -> str:
        return self.capture.name

    @property
    def day(self) -> date:
        return day_of(self.ended_at).date()

    @property
    def size_bytes(self) -> int:
        return size_of(self.capture.folder)


def periods_of(folders: Sequence[Capture], scope: str) -> tuple[list[Period], list[Unusable]]:
    """The periods of a scope in order, each moment in one of them only, and those that cannot be believed.

    Those of the same scope on the other kind of server fill in where the scope has none of its own: a standby that was
    promoted went on under another scope.
    """
    found: list[Period] = []
    unusable: list[Unusable] = []
    for folder in folders:
        if folder.kind != PERIOD or scope_of(folder) not in {scope, twin(scope)}:
            continue
        try:
            folder.check(folder.meta["tables"])
            found.append(_period(folder))
        except QueryfitError as error:
            unusable.append(Unusable(folder.folder, error.message))
        except (KeyError, TypeError, ValueError):
            unusable.append(Unusable(folder.folder, "its capture.json does not say what it holds"))
    replaced = {name for period in found for name in period.replaces}
    kept: list[Period] = []
    # the scope's own first; of two for one stretch the one that was written first, which the other did not know of
    found.sort(key=lambda period: (scope_of(period.capture) != scope, str(period.capture.meta.get("written_at"))))
    for period in found:
        if period.name not in replaced and not any(
            period.started_at < other.ended_at and other.started_at < period.ended_at for other in kept
        ):
            kept.append(period)
    return sorted(kept, key=lambda period: period.started_at), unusable


def _period(folder: Capture) -> Period:
    meta: Any = folder.meta
    started_at, ended_at = (
        datetime.fromisoformat(meta[key]).replace(tzinfo=None) for key in ("started_at", "ended_at")
    )
    if started_at > ended_at or meta["grain"] not in {"hour", "day"}:
        raise ValueError
    swallowed, replaces = (frozenset(str(name) for name in meta[key]) for key in ("swallowed", "replaces"))
    return Period(folder, started_at, ended_at, meta["grain"], swallowed, replaces)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Captures to be read in order; those named in `bases` only give the next one its beginning."""

    links: Sequence[Link]
    bases: frozenset[str]


def not_covered(links: Sequence[Link], periods: Sequence[Period]) -> Stretch:
    """What captures whose counters follow one another tell that no period does.

    A capture that lies in a period is no step of its own, whether the period swallowed it or it came later; and no
    step is taken over a period, or its work would count twice.
    """
    swallowed = {name for period in periods for name in period.swallowed}
    taken: list[Link] = []
    bases: set[str] = set()
    before: Link | None = None
    place = 0
    for entry in links:
        while place < len(periods) and periods[place].ended_at <= (before.at if before else datetime.min):  # noqa: DTZ901
            place += 1
        is_over = place < len(periods) and periods[place].started_at < entry.at
        is_held = entry.capture.name in swallowed or (is_over and entry.at <= periods[place].ended_at)
        if is_held:
            before = entry
            continue
        if before is not None and (not taken or taken[-1] is not before):
            taken.append(before)
            bases.add(before.capture.name)
        taken.append(entry)
        if is_over:
            bases.add(entry.capture.name)
        before = entry
    return Stretch(taken, frozenset(bases))


def size_of(folder: Path) -> int:
    """Bytes of the files of a folder; what is gone meanwhile counts nothing."""
    total = 0
    for path in folder.iterdir():
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total
