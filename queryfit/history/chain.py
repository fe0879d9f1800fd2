"""Which captures make up the history of one server and scope, in which order."""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from queryfit.evidence.store import Capture, Store
from queryfit.history.reading import engine, read_files


@dataclass(frozen=True, slots=True)
class Link:
    """A capture in its place: when it looked (naive UTC, the server's clock), and when it was done."""

    capture: Capture
    at: datetime
    ended_at: datetime

    @property
    def is_full(self) -> bool:
        return self.capture.kind == "full"


def captured_at(capture: Capture) -> datetime:
    """When a capture was taken, naive UTC as in the evidence."""
    at = datetime.fromisoformat(str(capture.meta["captured_at"]))
    return (at.astimezone(UTC) if at.tzinfo else at).replace(tzinfo=None)


def link(capture: Capture) -> Link:
    at = captured_at(capture)
    cost = capture.meta.get("cost")
    elapsed_ms = cost.get("elapsed_ms") if isinstance(cost, Mapping) else None
    lasted = elapsed_ms if isinstance(elapsed_ms, int | float) and 0 <= elapsed_ms < 86_400_000 else 0  # noqa: PLR2004 -- a day
    return Link(capture, at, at + timedelta(milliseconds=lasted))


def day_of(at: datetime) -> datetime:
    """The day that a capture ends a span of: one on the stroke of midnight belongs to the day before."""
    return (at - timedelta(microseconds=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def scope_of(capture: Capture) -> str:
    return str(capture.meta.get("scope"))


def twin(scope: str) -> str | None:
    """The same scope on the other kind of server, standby or primary; None for one of an unknown form."""
    try:
        parts = json.loads(scope)
        database, is_standby, *rest = parts
    except (ValueError, TypeError):
        return None
    return json.dumps([database, not is_standby, *rest]) if isinstance(is_standby, bool) else None


def label(scope: str) -> str:
    """A scope in words: `shop`, `shop (standby)`, `shop, schema sales`."""
    try:
        database, is_standby, databases, schemas, excludes = json.loads(scope)
        said = str(database) if databases == "one" else "all databases" if databases == "all" else ", ".join(databases)
        parts = [
            said + (" (standby)" if is_standby else ""),
            *([f"schema {', '.join(schemas)}"] if schemas else []),
            *([f"without {', '.join(excludes)}"] if excludes else []),
        ]
    except (ValueError, TypeError):
        return scope
    return ", ".join(parts)


def chain(captures: Iterable[Capture], scope: str) -> list[Link]:
    """The captures of a scope in order, with those that the same server made before or after it changed its part.

    A standby that is promoted goes on under another scope. Where both parts are captured at the same time they are two
    servers, each with a history of its own.
    """
    other = twin(scope)
    own: list[Link] = []
    others: list[Link] = []
    for capture in captures:
        if scope_of(capture) == scope:
            own.append(link(capture))
        elif other is not None and scope_of(capture) == other:
            others.append(link(capture))
    own.sort(key=_order)
    others.sort(key=_order)
    if not own or not others:
        return own
    times = [entry.at for entry in own]
    runs: dict[int, list[Link]] = {}
    for entry in others:
        runs.setdefault(bisect_right(times, entry.at), []).append(entry)
    starts = _server_starts(entry.capture for entry in (*own, *others))
    taken = list(own)
    for place, run in runs.items():
        neighbours = {own[index].capture.name for index in (place - 1, place) if 0 <= index < len(own)}
        is_apart = len(runs) == 1 and place in {0, len(own)}
        servers = {starts.get(name) for name in neighbours} - {None}
        if is_apart or servers & {starts.get(run[0].capture.name), starts.get(run[-1].capture.name)}:
            taken += run
    return sorted(taken, key=_order)


def _order(entry: Link) -> tuple[datetime, str]:
    return entry.at, entry.capture.name


def _server_starts(captures: Iterable[Capture]) -> dict[str, datetime]:
    """When the server process began that each capture looked at, by name: what two captures of one server share."""
    files = {str(capture.folder / "server.parquet"): capture.name for capture in captures}
    there = [path for path in files if os.path.exists(path)]  # noqa: PTH110 -- thousands of them
    if not there:
        return {}
    with engine() as raw:
        rows = read_files(raw, "server", ("started_at",), there)
    return {files[path]: started_at for path, started_at in rows if started_at is not None}


def counting(links: Sequence[Link]) -> list[Link]:
    """Those whose counters follow one another, for links in order.

    A look that began before the one before it had ended may hold older counters than that one: a full capture takes
    long, and a sample beside it adds nothing. The same holds where a clock was set back between two captures.
    """
    kept: list[Link] = []
    for entry in _in_order_of_writing(links):
        if kept and entry.at < kept[-1].ended_at:
            if kept[-1].is_full or not entry.is_full:
                continue
            kept.pop()
        kept.append(entry)
    return kept


def _in_order_of_writing(links: Sequence[Link]) -> list[Link]:
    """The longest part that was also written in this order, by the clock of whoever wrote it."""
    written = [_written_at(entry.capture) for entry in links]
    if all(before is None or after is None or before <= after for before, after in pairwise(written)):
        return list(links)
    tails: list[datetime] = []  # the least end of a run of each length
    ends: list[int] = []  # and the link that it is of
    previous: list[int | None] = []
    for index, at in enumerate(written):
        at = at or (tails[-1] if tails else links[0].at)  # noqa: PLW2901 -- unknown: in its place
        place = bisect_right(tails, at)
        previous.append(ends[place - 1] if place else None)
        tails[place:] = [at, *tails[place + 1 :]]
        ends[place:] = [index, *ends[place + 1 :]]
    kept: list[Link] = []
    at_index: int | None = ends[-1] if ends else None
    while at_index is not None:
        kept.append(links[at_index])
        at_index = previous[at_index]
    return kept[::-1]


def _written_at(capture: Capture) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(capture.meta["written_at"]))
    except (KeyError, ValueError):
        return None
    return (at.astimezone(UTC) if at.tzinfo else at).replace(tzinfo=None)


class Scope(NamedTuple):
    """What can be reported on: one server and scope with its captures, oldest first."""

    system_identifier: str
    scope: str
    label: str
    captures: Sequence[Capture]


def scopes_of(system_identifier: str, captures: Sequence[Capture]) -> list[Scope]:
    """The scopes of one server; a promoted standby's two are one, under the later one."""
    chains = {
        scope: [entry.capture for entry in chain(captures, scope)]
        for scope in dict.fromkeys(scope_of(capture) for capture in captures)
    }
    absorbed = set()
    for scope, members in chains.items():
        names = {capture.name for capture in members}
        for other, theirs in chains.items():
            is_older = (len(theirs), other) < (len(members), scope) or (
                len(theirs) == len(members) and scope_of(theirs[-1]) != other
            )
            if other != scope and is_older and names >= {capture.name for capture in theirs}:
                absorbed.add(other)
    return [
        Scope(system_identifier, scope, label(scope), members)
        for scope, members in chains.items()
        if scope not in absorbed
    ]


def scopes(store: Store) -> list[Scope]:
    """What can be reported on, server by server, the longest history first."""
    found = []
    for server in store.servers():
        found += sorted(scopes_of(server, store.captures(server)[0]), key=lambda scope: -len(scope.captures))
    return found
