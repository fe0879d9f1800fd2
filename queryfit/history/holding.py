"""What a store holds of one server and scope: captures, and the periods that older ones were merged into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from queryfit.evidence.store import PERIOD, Store, Unusable
from queryfit.history.chain import Link, chain, counting
from queryfit.history.events import usual_interval
from queryfit.history.periods import Period, not_covered, periods_of
from queryfit.history.series import Series


@dataclass(slots=True)
class Held:
    """Captures and periods of a scope in order, and what lies in the server's folder that cannot be used."""

    links: Sequence[Link]
    periods: Sequence[Period] = ()
    unusable: list[Unusable] = field(default_factory=list)


def hold(store: Store, system_identifier: str, scope: str) -> Held:
    folders, unusable = store.folders(system_identifier)
    periods, bad = periods_of(folders, scope)
    return Held(chain((folder for folder in folders if folder.kind != PERIOD), scope), periods, [*unusable, *bad])


def fill(
    series: Series, held: Held, begin: datetime, end: datetime, progress: Callable[[str], None] = lambda _: None
) -> None:
    """Make the spans that end after `begin` and not after `end`, naive UTC.

    A period that turns out to be damaged is taken out of `held` and named there.
    """
    periods = [period for period in held.periods if period.ended_at > begin and period.started_at < end]
    if periods:
        progress("history: earlier days")
        bad = series.take_periods(periods, begin, end)
        held.periods = [period for period in held.periods if period.name not in bad]
        held.unusable += [Unusable(period.capture.folder, bad[period.name]) for period in periods if period.name in bad]
    stretch = not_covered([entry for entry in counting(held.links) if entry.at <= end], held.periods)
    series.usual = usual_interval(stretch.links)  # those that are left of merged days are far apart
    first = next((index for index, entry in enumerate(stretch.links) if entry.at > begin), len(stretch.links))
    series.take(stretch.links[max(first - 1, 0) :], progress, bases=stretch.bases)
