"""Several looks in a row: what each statement did between them, and who was there."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from queryfit.capture.sessions import read_activity, read_lock_waits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from queryfit.capture.connect import Reader
    from queryfit.capture.scope import Scope
    from queryfit.capture.statements import StatementStore

Row = dict[str, Any]
Key = tuple[int, int, int]  # role oid, database oid, queryid


@dataclass(frozen=True, slots=True)
class Counts:
    """Cumulative counters of one statement at one look."""

    calls: int
    rows: int
    execution_ms: float
    since: datetime | None  # when the entry was made, from pg_stat_statements 1.11

    def less(self, earlier: Counts) -> Counts | None:
        """Return what was added; None where the counters did not simply grow (reset, evicted and made anew)."""
        added = Counts(
            self.calls - earlier.calls, self.rows - earlier.rows, self.execution_ms - earlier.execution_ms, self.since
        )
        if earlier.since != self.since or added.calls < 0 or added.rows < 0 or added.execution_ms < 0:
            return None
        return added


@dataclass(frozen=True, slots=True)
class Look:
    """pg_stat_statements at one moment, without texts."""

    at: datetime
    reset_at: datetime | None
    counts: Mapping[Key, Counts]
    databases: Mapping[int, str]


@dataclass(slots=True)
class Watched:
    """What several looks saw; `intervals` are rows of `statement_interval` with a `queryid` for the fingerprint."""

    intervals: list[Row] = field(default_factory=list)
    activity: list[Row] = field(default_factory=list)
    lock_waits: list[Row] = field(default_factory=list)

    def interval_rows(self, fingerprints: Mapping[tuple[str, int], str]) -> list[Row]:
        """Rows of the evidence table `statement_interval`, summed over the queryids of one fingerprint.

        `fingerprints` by (database, queryid); an entry evicted before its text was read is left out.
        """
        sums: dict[tuple[int, str, str], Row] = {}
        for row in self.intervals:
            fingerprint = fingerprints.get((row["database"], row["queryid"]))
            if fingerprint is None:
                continue
            total = sums.setdefault(
                (row["interval"], row["database"], fingerprint),
                {
                    "interval": row["interval"],
                    "interval_ms": row["interval_ms"],
                    "database": row["database"],
                    "fingerprint": fingerprint,
                    "calls": 0,
                    "rows": 0,
                    "execution_ms": 0.0,
                },
            )
            for name in ("calls", "rows", "execution_ms"):
                total[name] += row[name]
        return list(sums.values())


def take_look(reader: Reader, store: StatementStore) -> Look:
    """Read the counters of all visible top-level statements."""
    since = "s.stats_since" if store.has_times else "null::timestamptz"
    reset = (
        f"(select stats_reset from {store.schema}.pg_stat_statements_info)" if store.has_info else "null::timestamptz"
    )
    rows = reader.query(
        f"""
        select
            statement_timestamp() as at, {reset} as reset_at, d.datname::text as database, s.dbid::int8 as dbid,
            s.userid::int8 as userid, s.queryid, s.calls, s.rows, s.total_exec_time as execution_ms, {since} as since
        from {store.schema}.pg_stat_statements(false) as s
        join pg_database as d on d.oid = s.dbid
        where s.queryid is not null {"and s.toplevel" if store.has_info else ""}
        """
    )
    if not rows:
        now = reader.query(f"select statement_timestamp() as at, {reset} as reset_at")[0]
        return Look(now["at"], now["reset_at"], {}, {})
    return Look(
        rows[0]["at"],
        rows[0]["reset_at"],
        {
            (row["userid"], row["dbid"], row["queryid"]): Counts(
                row["calls"], row["rows"], row["execution_ms"], row["since"]
            )
            for row in rows
        },
        {row["dbid"]: row["database"] for row in rows},
    )


def difference(before: Look, after: Look, number: int) -> list[Row]:
    """Return what each statement did between two looks, never negative: rows of interval `number`.

    A statement whose counters were reset or evicted in between is left out of this interval; after a reset of all,
    every statement is.
    """
    if before.reset_at != after.reset_at:
        return []
    length_ms = (after.at - before.at).total_seconds() * 1000
    rows = []
    for key, counts in after.counts.items():
        earlier = before.counts.get(key)
        # an entry that was not there before was made in between: all it counts belongs to this interval
        added = counts if earlier is None else counts.less(earlier)
        if added is None or added.calls == 0:
            continue
        rows.append(
            {
                "interval": number,
                "interval_ms": length_ms,
                "database": after.databases[key[1]],
                "queryid": key[2],
                "calls": added.calls,
                "rows": added.rows,
                "execution_ms": added.execution_ms,
            }
        )
    return rows


def watch(
    scope: Scope,
    store: StatementStore | None,
    *,
    duration_s: float,
    every_s: float,
    progress: Callable[[str], None],
) -> Watched:
    """Look at statements, sessions and locks every `every_s` seconds for `duration_s` seconds."""
    watched = Watched()
    start = time.monotonic()
    before = take_look(scope.reader, store) if store else None
    number = 0
    while True:
        watched.activity += read_activity(scope)
        watched.lock_waits += read_lock_waits(scope)
        spent = time.monotonic() - start
        if spent >= duration_s:
            return watched
        progress(f"watching: {spent:.0f} of {duration_s:.0f} s")
        number += 1
        # by the clock of the start, so that slow looks do not stretch the whole
        time.sleep(max(0.0, min(number * every_s, duration_s) - spent))
        if store and before:
            after = take_look(scope.reader, store)
            watched.intervals += difference(before, after, number)
            before = after
