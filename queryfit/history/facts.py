"""What each capture says of the server itself, and what must have happened between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from queryfit.evidence.engine import duckdb

_STAMPED = (1, 11)  # pg_stat_statements that says when each entry was made


@dataclass(frozen=True, slots=True)
class Facts:
    """One capture; times are naive UTC of the server's clock, None where it did not say."""

    number: int  # its place in the history
    at: datetime
    version_number: int | None
    version: str | None
    is_standby: bool | None
    started_at: datetime | None
    watcher: tuple[Any, ...]  # role of the capture and what it may see
    has_statements: bool
    is_stamped: bool
    entries: int
    maximum_entries: int | None
    evictions: int | None
    reset_at: datetime | None
    checkpoints_since: datetime | None


def read_facts(raw: duckdb.DuckDBPyConnection, first: int) -> list[Facts]:
    """The facts of the captures that are loaded, from number `first`, in order."""
    rows = raw.execute(
        """
        select
            place.number, place.taken_at, server.version_number, server.version, server.is_standby, server.started_at,
            server.role, server.is_superuser, server.has_monitor, store.extension_version, store.entries,
            store.maximum_entries, store.evictions, store.reset_at, checkpoint.counted_since
        from place
        left join raw_server as server using (number)
        left join raw_statement_store as store using (number)
        left join raw_checkpoint as checkpoint using (number)
        where place.number >= $1
        qualify row_number() over (partition by place.number) = 1 -- a hostile capture may have two servers
        order by place.number
        """,
        [first],
    ).fetchall()
    return [
        Facts(
            number=row[0],
            at=row[1],
            version_number=row[2],
            version=row[3],
            is_standby=row[4],
            started_at=row[5],
            watcher=row[6:9],
            has_statements=row[9] is not None,
            is_stamped=_version(row[9]) >= _STAMPED,
            entries=row[10] or 0,
            maximum_entries=row[11],
            evictions=row[12],
            reset_at=row[13],
            checkpoints_since=row[14],
        )
        for row in rows
    ]


def _version(text: str | None) -> tuple[int, ...]:
    parts = (text or "0").split(".")
    return tuple(int(part) if part.isdecimal() and len(part) < 6 else 0 for part in parts)  # noqa: PLR2004 -- hostile


def is_other_server(before: Facts, now: Facts) -> bool:
    """Whether the second capture looked at another server of the same cluster.

    A server cannot have started, nor its counters have been reset, at a moment that the capture before would have
    seen: such a moment lies in the life of another one.
    """
    pairs = (
        (before.started_at, now.started_at),
        (before.reset_at, now.reset_at),
        (before.checkpoints_since, now.checkpoints_since),
    )
    return any(then is not None and this is not None and then != this and this < before.at for then, this in pairs)


def is_restarted(before: Facts, now: Facts) -> bool:
    return before.started_at is not None and now.started_at is not None and now.started_at != before.started_at


def is_reset(before: Facts, now: Facts) -> bool:
    """Whether all statements were reset in between."""
    return now.reset_at is not None and before.reset_at is not None and now.reset_at != before.reset_at


def is_evicted(before: Facts, now: Facts) -> bool:
    """Whether entries of pg_stat_statements may have been dropped to make room in between."""
    if now.evictions is not None and before.evictions is not None:
        return now.evictions != before.evictions
    if now.maximum_entries is None:
        return True
    # before 1.9 nobody counts: room is made 5 % at a time, so the store is nearly full after it
    return max(before.entries, now.entries) >= 0.9 * now.maximum_entries


def has_crashed(before: Facts, now: Facts) -> bool:
    """Whether the cumulative statistics were thrown away in between, which the server does when it recovers."""
    return (
        now.checkpoints_since is not None
        and before.checkpoints_since is not None
        and now.checkpoints_since != before.checkpoints_since
        and now.checkpoints_since >= before.at
        and (is_restarted(before, now) or is_reset(before, now))
    )


@dataclass(frozen=True, slots=True)
class Step:
    """From one capture to the next. For statements, `before` is the last one that could read them."""

    before: Facts
    now: Facts
    server_number: int  # counts the servers of the history
    statements_before: Facts | None
    is_other_server: bool
    is_same_statistics: bool  # `statements_before` is of the same server

    @property
    def counts_statements(self) -> str:
        """What counters of statements say: `nothing`, `differences`, or all that they hold, after a `reset`."""
        if self.statements_before is None or not self.now.has_statements or not self.is_same_statistics:
            return "nothing"
        return "reset" if is_reset(self.statements_before, self.now) else "differences"

    @property
    def covered_s(self) -> float:
        """Seconds for which the counters of statements were followed."""
        if (counts := self.counts_statements) == "nothing":
            return 0.0
        assert self.statements_before
        since = self.statements_before.at
        if counts == "reset":
            assert self.now.reset_at
            since = max(since, self.now.reset_at)
        return max((self.now.at - since).total_seconds(), 0.0)


@dataclass(slots=True)
class Walk:
    """Goes through the facts in order and remembers what the next step stands on."""

    last: Facts | None = None
    server_number: int = 0
    last_with_statements: Facts | None = None
    statements_server: int = 0
    bases: dict[int, int] = field(default_factory=dict)  # their server numbers

    def steps(self, facts: Sequence[Facts], switched: frozenset[int], bases: frozenset[int]) -> list[Step]:
        """The steps that end in these captures, but for `bases`, which only begin one.

        `switched` are numbers of captures that speak of another server than the one before.
        """
        steps = []
        for now in facts:
            if now.number in bases:
                self.server_number += (
                    1  # what was seen before it is no beginning: the work between is counted elsewhere
                )
                self.bases[now.number] = self.server_number
            elif self.last is not None:
                is_other = is_other_server(self.last, now) or now.number in switched
                self.server_number += is_other
                is_same = self.statements_server == self.server_number
                steps.append(Step(self.last, now, self.server_number, self.last_with_statements, is_other, is_same))
            self.last = now
            if now.has_statements:
                self.last_with_statements, self.statements_server = now, self.server_number
        return steps
