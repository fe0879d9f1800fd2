"""What a store holds of each server: how far it reaches, in which grain, with which holes and events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from queryfit.evidence.guarding import reading
from queryfit.evidence.store import Capture, Store, Unusable
from queryfit.history.chain import Link, Scope, counting, scopes_of
from queryfit.history.events import step_events, usual_interval
from queryfit.history.holding import Held, hold
from queryfit.history.periods import not_covered, size_of
from queryfit.history.reading import engine, read_files
from queryfit.history.series import Series

# what changes how numbers before and after are to be read; a busy server analyzes and evicts all day
_OF_INTEREST = frozenset(
    {
        "statements_reset",
        "counters_reset",
        "restarted",
        "crashed",
        "failed_over",
        "upgraded",
        "setting_changed",
        "index_added",
        "index_dropped",
        "column_changed",
    }
)
_FACTS = frozenset({"server", "statement_store", "checkpoint"})
_EVENT = ("happened_at", "kind", "database", "subject", "value_before", "value_now", "detail")


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of the history; `at` is naive UTC."""

    at: datetime
    kind: str
    database: str | None
    subject: str | None
    before: str | None
    now: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class Reach:
    """What is held of one server and scope; times are naive UTC."""

    scope: Scope
    version: str | None
    since: datetime
    until: datetime
    usual: timedelta | None
    captures: int
    fulls: int
    hourly_days: int
    daily_days: int
    size_bytes: int
    gaps: Sequence[Happening]
    events: Sequence[Happening]


@dataclass(frozen=True, slots=True)
class Overview:
    """All of a store. `captures` are the single ones, oldest first."""

    reaches: Sequence[Reach]
    captures: Sequence[Capture]
    unusable: Sequence[Unusable] = field(default=())


def overview(store: Store) -> Overview:
    """Look through a store."""
    reaches: list[Reach] = []
    captures: list[Capture] = []
    unusable: dict[str, Unusable] = {}
    with reading(store.folder):
        for server in store.servers():
            good, bad = store.captures(server)
            captures += good
            for scope in scopes_of(server, good):
                held = hold(store, server, scope.scope)
                reaches.append(_reach(scope, held, unusable))
            unusable |= {str(entry.folder): entry for entry in bad}
    return Overview(reaches, captures, list(unusable.values()))


def _reach(scope: Scope, held: Held, unusable: dict[str, Unusable]) -> Reach:
    links = held.links
    stretch = not_covered(counting(links), held.periods)
    usual = usual_interval(stretch.links)
    with engine() as raw:
        series = Series(raw, "hour", only=_FACTS)
        series.take(stretch.links, bases=stretch.bases)
        files = [str(path) for part in held.periods if (path := part.capture.file("server_event")) is not None]
        told = [Happening(*row[1:]) for row in read_files(raw, "server_event", _EVENT, files)]
        newest = [str(path) for entry in links[-1:] if (path := entry.capture.file("server")) is not None]
        versions = read_files(raw, "server", ("version",), newest)
    told += [Happening(*event) for step in series.steps for event in step_events(step, usual)]
    told.sort(key=lambda event: event.at)
    unusable |= {str(entry.folder): entry for entry in (*held.unusable, *series.unusable)}
    times = [entry.at for entry in links]
    return Reach(
        scope=scope,
        version=versions[0][1] if versions else None,
        since=min([*times, *(period.started_at for period in held.periods)]),
        until=max([*times, *(period.ended_at for period in held.periods)]),
        usual=usual,
        captures=len(links),
        fulls=sum(map(_is_full, links)),
        hourly_days=len({period.day for period in held.periods if period.grain == "hour"}),
        daily_days=len({period.day for period in held.periods if period.grain == "day"}),
        size_bytes=sum(size_of(entry.capture.folder) for entry in links)
        + sum(period.size_bytes for period in held.periods),
        gaps=[event for event in told if event.kind == "gap"],
        events=[event for event in told if event.kind in _OF_INTEREST],
    )


def _is_full(entry: Link) -> bool:
    return entry.is_full
