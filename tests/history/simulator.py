"""A server that counts as PostgreSQL does, and knows what it really did: captures of it are held against that."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from queryfit.evidence.store import Capture, Store

START = datetime(2026, 1, 1, 11, 50, tzinfo=UTC)
SCOPE = '["shop", false, "one", [], []]'
STANDBY = '["shop", true, "one", [], []]'
SERVER = "7"
Row = dict[str, Any]


@dataclass
class Entry:
    """Counters of one entry of pg_stat_statements."""

    since: datetime
    calls: int = 0
    ms: float = 0.0
    squared: float = 0.0


@dataclass
class Machine:
    """What one server keeps in memory."""

    started_at: datetime
    reset_at: datetime
    checkpoints_since: datetime
    counters_since: datetime | None = None
    evictions: int = 0
    entries: dict[tuple[str, int], Entry] = field(default_factory=dict)
    inserted: dict[str, int] = field(default_factory=dict)
    commits: int = 0


@dataclass
class Simulator:
    """`extension` is pg_stat_statements' version; `calls` and `inserted` are the truth since the first capture."""

    folder: Path
    extension: str = "1.11"
    now: datetime = START
    is_standby: bool = False
    role: str = "watcher"
    has_monitor: bool = True
    locked: set[str] = field(default_factory=set)
    calls: Counter[str] = field(default_factory=Counter)
    ms: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    inserted: Counter[str] = field(default_factory=Counter)
    commits: int = 0
    captures: list[Capture] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.here = self._machine(self.now - timedelta(days=3))
        self.elsewhere = self._machine(self.now - timedelta(days=2))

    def _machine(self, at: datetime) -> Machine:
        return Machine(at, at, at, counters_since=at if self._before_15 else None)

    @property
    def _before_15(self) -> bool:
        return self.extension in {"1.8", "1.9"}

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def call(self, query: int, times: int, ms: float = 1.0, role: str = "app") -> None:
        self.wait(0.001)
        entry = self.here.entries.setdefault((role, query), Entry(self.now))
        entry.calls += times
        entry.ms += times * ms
        entry.squared += times * ms * ms
        self.calls[fingerprint(query)] += times
        self.ms[fingerprint(query)] += times * ms
        self.here.commits += times
        self.commits += times

    def insert(self, table: str, rows: int) -> None:
        self.here.inserted[table] = self.here.inserted.get(table, 0) + rows
        self.inserted[table] += rows

    def evict(self, query: int) -> None:
        self.wait(0.001)
        gone = [key for key in self.here.entries if key[1] == query]
        for key in gone:
            del self.here.entries[key]
        self.here.evictions += bool(gone)

    def reset_statement(self, query: int) -> None:
        self.wait(0.001)
        for key in [key for key in self.here.entries if key[1] == query]:
            del self.here.entries[key]

    def reset_statements(self) -> None:
        self.wait(0.001)
        self.here.entries.clear()
        self.here.reset_at, self.here.evictions = self.now, 0

    def reset_counters(self) -> None:
        self.wait(0.001)
        self.here.inserted = dict.fromkeys(self.here.inserted, 0)
        self.here.commits, self.here.counters_since = 0, self.now

    def rename_table(self, before: str, after: str) -> None:
        if before in self.here.inserted and after not in self.here.inserted:
            self.here.inserted[after] = self.here.inserted.pop(before)

    def drop_table(self, table: str) -> None:
        self.here.inserted.pop(table, None)

    def rename_role(self, before: str, after: str) -> None:
        for role, query in list(self.here.entries):
            if role == before and (after, query) not in self.here.entries:
                self.here.entries[after, query] = self.here.entries.pop((role, query))

    def restart(self) -> None:
        self.wait(1)
        self.here.started_at = self.now
        self.wait(0.001)

    def crash(self) -> None:
        self.wait(1)
        self.here = self._machine(self.now) if self._before_15 else Machine(self.now, self.now, self.now)
        self.here.inserted = dict.fromkeys(self.inserted, 0)
        self.wait(0.001)

    def fail_over(self, *, turns: bool = False) -> None:
        """Another server answers; with `turns`, this one is promoted, or becomes a standby."""
        self.wait(0.001)
        if turns:
            self.is_standby = not self.is_standby
        else:
            self.here, self.elsewhere = self.elsewhere, self.here

    def capture(self, kind: str = "sample", **meta: object) -> Capture:
        """A capture as the real one writes it, and as long."""
        self.wait(1)
        with Store(self.folder).write(kind) as writer:
            writer.meta.update(
                {
                    "system_identifier": SERVER,
                    "captured_at": self.now.isoformat(),
                    "scope": STANDBY if self.is_standby else SCOPE,
                    "is_standby": self.is_standby,
                    "cost": {"elapsed_ms": 500},
                    **meta,
                }
            )
            for table, rows in self._tables(kind).items():
                writer.add(table, rows)
        assert writer.committed
        self.captures.append(writer.committed)
        self.wait(1)
        return writer.committed

    def _tables(self, kind: str) -> dict[str, list[Row]]:
        server = self.here
        stamped, has_info = self.extension >= "1.11", self.extension != "1.8"
        rows: dict[str, list[Row]] = {
            "server": [
                {
                    "system_identifier": SERVER,
                    "version_number": 170000,
                    "version": "17.0",
                    "provider": "self-hosted",
                    "is_standby": self.is_standby,
                    "is_pooled": False,
                    "started_at": naive(server.started_at),
                    "captured_at": naive(self.now),
                    "role": self.role,
                    "is_superuser": False,
                    "has_monitor": self.has_monitor,
                    "has_read_all_data": True,
                }
            ],
            "statement_store": [
                {
                    "extension_version": self.extension,
                    "entries": len(server.entries),
                    "maximum_entries": 5 if not has_info else 5000,
                    "evictions": server.evictions if has_info else None,
                    "reset_at": naive(server.reset_at) if has_info else None,
                }
            ],
            "checkpoint": [{"counted_since": naive(server.checkpoints_since)}],
            "database": [
                {
                    "database": "shop",
                    "is_captured": True,
                    "is_template": False,
                    "allows_connections": True,
                    "connections": 3,
                    "commits": server.commits,
                    "size_bytes": 1000,
                    "counters_since": naive(server.counters_since) if server.counters_since else None,
                }
            ],
            "statement": [
                statement(role, query, entry, naive(max(entry.since, server.reset_at)) if stamped else None)
                | ({} if self.has_monitor else {"queryid": None, "fingerprint": "f" * 16})
                for (role, query), entry in server.entries.items()
            ],
            "statement_text": [
                {
                    "fingerprint": fingerprint(query),
                    "text": f"select {query}",
                    "kind": "select",
                    "is_truncated": False,
                }
                for query in {query for _, query in server.entries}
            ],
            "relation_counter": [
                {"database": "shop", "relation": f"public.{table}", "inserted_rows": inserted}
                for table, inserted in server.inserted.items()
                if table not in self.locked
            ],
            "index_counter": [],
            "relation_sequence": [],
            "activity": [
                {"sampled_at": naive(self.now), "pid": 1, "is_own": True},
                {
                    "sampled_at": naive(self.now),
                    "pid": 2,
                    "backend_type": "client backend",
                    "database": "shop",
                    "role": "app",
                    "state": "active",
                    "is_own": False,
                },
            ],
            "unread": [
                {"table_name": "relation", "database": "shop", "subject": f"public.{table}", "reason": "locked"}
                for table in self.locked
            ],
        }
        if kind == "full":
            rows["relation"] = rows["relation_index"] = rows["relation_column"] = rows["setting"] = []
        return rows


def statement(role: str, query: int, entry: Entry, since: datetime | None) -> Row:
    mean = entry.ms / entry.calls
    return {
        "database": "shop",
        "role": role,
        "queryid": query,
        "is_toplevel": True,
        "fingerprint": fingerprint(query),
        "calls": entry.calls,
        "rows": entry.calls,
        "execution_ms": entry.ms,
        "mean_ms": mean,
        "stddev_ms": max(entry.squared / entry.calls - mean * mean, 0) ** 0.5,
        "planning_ms": 0.0,
        "shared_blocks_hit": 2 * entry.calls,
        "shared_blocks_read": 0,
        "shared_blocks_dirtied": 0,
        "shared_blocks_written": 0,
        "local_blocks_read": 0,
        "local_blocks_written": 0,
        "temp_blocks_read": 0,
        "temp_blocks_written": 0,
        "wal_bytes": 0,
        "counted_since": since,
    }


def fingerprint(query: int) -> str:
    return f"{query:016x}"


def naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
