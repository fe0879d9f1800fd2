"""Sees the locks of statements that refuse a transaction block: CONCURRENTLY, VACUUM and the like.

Their locks are gone when they end. So two other sessions stand in their way, each one step weaker than the last: what
waits behind them says in pg_locks which lock it wants and which it has. After that the locks are read as fast as can
be until the end; one that is held for an instant can still be missed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import psycopg

from queryfit.migrations.trace.look import WAITS, levels

QUIET_WAIT_S = 0.002
LONGEST_STAND_S = 2.0  # whatever it waits for that is not seen, nobody stands in its way for longer
_TABLES = b"""
select pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)
from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.oid >= 16384 and c.relkind in ('r', 'p') and c.relpersistence <> 't' and n.nspname <> 'information_schema'
"""
_WEAKER = ("SHARE UPDATE EXCLUSIVE", "ACCESS SHARE")


class Watcher:
    """Watches one statement of `process_id` while it runs.

    `connections` are two that stand in its way and one that looks, all in autocommit mode.
    """

    def __init__(self, connections: Sequence[psycopg.Connection[Any]], process_id: int) -> None:
        *self.blockers, self.observer = connections
        self.query = WAITS.format(process_id=process_id).encode()
        self.seen: dict[int, int] = {}
        self.standing: list[psycopg.Connection[Any]] = []
        self.until = 0.0

    def __enter__(self) -> Self:
        # asked for here: a session of the migration could answer with anything, and this may run as a superuser
        names = ", ".join(row[0] for row in self.observer.execute(_TABLES).fetchall())
        for connection, mode in zip(self.blockers, _WEAKER, strict=True):
            connection.execute(b"begin isolation level repeatable read")
            connection.execute(b"select 1")  # a snapshot: CREATE INDEX CONCURRENTLY waits for those
            if names:
                connection.execute(f"lock table only {names} in {mode} mode".encode())
            self.standing.append(connection)
        self.until = time.monotonic() + LONGEST_STAND_S
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self.standing:
            self._step_aside()

    def __call__(self) -> float:
        """Look once; returns the seconds until the next look. To be called again and again while it runs."""
        rows = self.observer.execute(self.query).fetchall()
        for relation, bits in levels(rows).items():
            self.seen[relation] = self.seen.get(relation, 0) | bits
        if not self.standing:
            return 0.0
        if any(not row[2] for row in rows) or time.monotonic() > self.until:
            self._step_aside()
            return 0.0
        return QUIET_WAIT_S

    def _step_aside(self) -> None:
        self.standing.pop(0).execute(b"rollback")
