"""The generator's book-keeping: reads the server's counters before and after everything, and says what was lost."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.month.shop import STATEMENTS
from tests.month.truth import Done, Used

if TYPE_CHECKING:
    from collections.abc import Callable

Row = dict[str, Any]

ENTRIES = """
    select userid::int8 as role, queryid, query as text, calls, rows, total_exec_time as execution_ms,
        shared_blks_hit + shared_blks_read as blocks
    from pg_stat_statements where dbid = (select oid from pg_database where datname = current_database())
"""
RELATIONS = """
    select schemaname || '.' || relname as name, n_tup_ins as inserted_rows, n_tup_upd as updated_rows,
        n_tup_del as deleted_rows, seq_scan as sequential_scans, coalesce(idx_scan, 0) as index_scans
    from pg_stat_user_tables
"""
INDEXES = "select schemaname || '.' || indexrelname as name, idx_scan as scans from pg_stat_user_indexes"


class Entry(NamedTuple):
    """Counters of an entry of pg_stat_statements."""

    name: str
    calls: int
    rows: int
    execution_ms: float
    blocks: int


class Ledger:
    """Adds up what happened since the last capture. `read` asks the server, without leaving a trace in its counters."""

    def __init__(self, read: Callable[[str], list[Row]]) -> None:
        self._read = read
        self._names = {text: name for name, text in STATEMENTS.items()}
        self.sent: Counter[str] = Counter()  # calls that the generator made since `observe`, by statement
        self._entries: dict[tuple[int, int], Entry] = {}
        self._used: dict[str, dict[str, dict[str, int]]] = {"relation": {}, "index": {}}
        self.open_interval()

    def open_interval(self) -> None:
        self.statements: dict[str, Done] = defaultdict(Done)
        self.relations: dict[str, Used] = defaultdict(Used)
        self.indexes: dict[str, Used] = defaultdict(Used)

    def observe(self) -> None:
        """Add what the counters did since the last look; what the server counted must be what was sent."""
        entries = self._read_entries()
        counted: Counter[str] = Counter()
        for key, now in entries.items():
            before = self._entries.get(key, Entry(now.name, 0, 0, 0.0, 0))
            calls = now.calls - before.calls
            if calls:
                counted[now.name] += calls
                self.statements[now.name].add(
                    calls=calls,
                    rows=now.rows - before.rows,
                    execution_ms=now.execution_ms - before.execution_ms,
                    blocks=now.blocks - before.blocks,
                )
        if counted != +self.sent:
            raise AssertionError(f"sent {+self.sent}, the server counted {counted}")
        self.sent.clear()
        self._entries = entries
        for kind, book, query in (("relation", self.relations, RELATIONS), ("index", self.indexes, INDEXES)):
            read = {row.pop("name"): row for row in self._read(query)}
            for name, counters in read.items():
                for counter, value in counters.items():
                    difference = value - self._used[kind].get(name, {}).get(counter, 0)
                    # a table's index scans are those of the indexes that it has: they fall when one is dropped
                    book[name].add(counter, max(difference, 0) if counter == "index_scans" else difference)
            for name in self._used[kind].keys() - read.keys():
                book[name].lose()  # dropped
            self._used[kind] = read

    def statements_lost(self) -> None:
        """The counters of all statements begin at zero."""
        self._entries = {}
        for name in STATEMENTS:
            self.statements[name].lose()

    def evictions(self) -> list[str]:
        """Names of the statements whose entry is gone since the last look."""
        entries = self._read_entries()
        gone = sorted({entry.name for key, entry in self._entries.items() if key not in entries})
        self._entries = entries
        for name in gone:
            self.statements[name].lose()
        return gone

    def counters_lost(self) -> None:
        """The counters of all tables and indexes begin at zero."""
        for kind, book in (("relation", self.relations), ("index", self.indexes)):
            for name in self._used[kind]:
                book[name].lose()
            self._used[kind] = {}

    def _read_entries(self) -> dict[tuple[int, int], Entry]:
        return {
            (row["role"], row["queryid"]): Entry(
                self._names[row["text"]], row["calls"], row["rows"], row["execution_ms"], row["blocks"]
            )
            for row in self._read(ENTRIES)
            if row["text"] in self._names
        }
