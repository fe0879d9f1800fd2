"""Captures in order become spans: a day of them at a time, so that memory holds a day and not the history."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path

from queryfit.errors import QueryfitError
from queryfit.evidence.dictionary import tables
from queryfit.evidence.engine import duckdb
from queryfit.evidence.store import Unusable
from queryfit.history import spans
from queryfit.history.chain import Link
from queryfit.history.facts import Facts, Step, Walk, read_facts
from queryfit.history.reading import source, unreadable
from queryfit.history.tables import NAMES, SPAN_TABLES, Grain, merge, merge_spans

# what is read of each table; those of full captures are not there in a sample
_READ: Mapping[str, tuple[str, ...]] = {
    "server": ("version_number", "version", "is_standby", "started_at", "role", "is_superuser", "has_monitor"),
    "statement_store": ("extension_version", "entries", "maximum_entries", "evictions", "reset_at"),
    "checkpoint": ("counted_since",),
    "unread": ("table_name", "database", "subject"),
    "statement": spans.STATEMENT_COLUMNS,
    **{counted.table: counted.columns for counted in spans.COUNTED},
    "relation_sequence": ("database", "sequence", "last_value"),
    "activity": (
        "sampled_at",
        "leader_pid",
        "backend_type",
        "database",
        "role",
        "application",
        "state",
        "wait_type",
        "wait_event",
        "transaction_ms",
        "is_own",
    ),
    "relation": ("database", "relation", "size_bytes", "index_bytes"),
    "relation_index": ("database", "index", "size_bytes"),
}
STATEMENTS_ONLY = frozenset({"server", "statement_store", "checkpoint", "statement"})


@dataclass(slots=True)
class Series:
    """Makes spans of captures, in order, into tables `out_<name>` of `raw`.

    `only` are the tables to read. What was found to be damaged is in `unusable`, and counts as not taken.
    """

    raw: duckdb.DuckDBPyConnection
    grain: Grain
    only: frozenset[str] = frozenset(_READ)
    unusable: list[Unusable] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    walk: Walk = field(default_factory=Walk)
    _taken: int = 0

    def __post_init__(self) -> None:
        for name in NAMES:
            self.raw.execute(tables()[name].create.replace(f"create table {name} ", f"create temp table out_{name} "))
        kinds = {**tables()}
        for name, columns in _READ.items():
            typed = ", ".join(f"{column} {kinds[name].column_types[column]}" for column in columns)
            self.raw.execute(f"create temp table carried_{name} (number integer, {typed})")
        self.raw.execute("create temp table servers (number integer, server_number integer)")

    def take(self, links: Sequence[Link], progress: Callable[[str], None] = lambda _: None) -> None:
        """Add captures that follow those taken before. The very first one only gives the others their beginning."""
        for day, group in groupby(links, key=lambda entry: _day(entry.at)):
            progress(f"history: {day:%Y-%m-%d}")
            self._take_day(list(group))

    def _take_day(self, links: Sequence[Link]) -> None:
        links = self._load(links)
        if not links:
            return
        facts = read_facts(self.raw)
        steps = self.walk.steps(facts, self._switched())
        self.steps += steps
        spans.write_steps(self.raw, steps)
        self._number_servers(facts, steps)
        spans.statement_entries(self.raw)
        self.raw.execute(
            "insert into entry by name (select * from carried_entry)" if self._has_entries() else "select 1"
        )
        spans.statement_spans(self.raw)
        if "activity" in self.only:
            spans.counter_spans(self.raw)
        spans.other_spans(self.raw)
        self._merge()
        self._carry()

    def _has_entries(self) -> bool:
        found = self.raw.execute("select 1 from duckdb_tables() where table_name = 'carried_entry'").fetchone()
        return found is not None

    def _load(self, links: Sequence[Link]) -> list[Link]:
        """Read the tables of these captures into `raw_*`; return those that could be read."""
        usable = [entry for entry in links if not self._is_incomplete(entry)]
        files: dict[str, dict[str, int]] = {name: {} for name in _READ}
        for offset, entry in enumerate(usable):
            for name in self.only:
                if (path := entry.capture.file(name)) is not None:
                    files[name][str(path)] = self._taken + offset
        self.raw.execute("create or replace temp table file (filename varchar, number integer)")
        spans.insert(self.raw, "file", [row for named in files.values() for row in named.items()])
        for name, columns in _READ.items():
            try:
                self._read(name, columns, list(files[name]))
            except duckdb.Error:
                bad = {
                    str(Path(path).parent): reason
                    for table, read in _READ.items()
                    for path, reason in unreadable(self.raw, table, read, list(files[table])).items()
                }
                if not bad:
                    raise
                self.unusable += [Unusable(Path(folder), reason) for folder, reason in bad.items()]
                return self._load([entry for entry in usable if str(entry.capture.folder) not in bad])
        self.raw.execute("create or replace temp table place (number integer, at timestamp, server_number integer)")
        spans.insert(self.raw, "place", [(self._taken + offset, entry.at, 0) for offset, entry in enumerate(usable)])
        self._taken += len(usable)
        self.raw.execute(
            "create or replace temp table gap as select distinct number, table_name, database from raw_unread"
        )
        return usable

    def _is_incomplete(self, entry: Link) -> bool:
        try:
            entry.capture.check(self.only)
        except QueryfitError as error:
            self.unusable.append(Unusable(entry.capture.folder, error.message))
            return True
        return False

    def _read(self, name: str, columns: Sequence[str], files: Sequence[str]) -> None:
        self.raw.execute(f"create or replace temp table raw_{name} as from carried_{name}")
        if files:
            self.raw.execute(
                f"insert into raw_{name} select file.number, read.* exclude (filename)"
                f" from ({source(self.raw, name, columns, files)}) as read join file using (filename)"
            )

    def _switched(self) -> frozenset[int]:
        """Captures whose databases all have counters of a time that the capture before would have seen."""
        rows = self.raw.execute(
            """
            with life as (
                select
                    raw_database.number, counters_since, lag(counters_since) over history as since_before,
                    lag(place.at) over history as at_before
                from raw_database
                join place using (number)
                window history as (partition by database order by raw_database.number)
            )
            select number from life
            where counters_since is not null and since_before is not null
            group by number
            having bool_and(counters_since <> since_before and counters_since < at_before)
            """
        ).fetchall()
        return frozenset(number for (number,) in rows)

    def _number_servers(self, facts: Sequence[Facts], steps: Sequence[Step]) -> None:
        known = {step.now.number: step.server_number for step in steps}
        spans.insert(self.raw, "servers", [(fact.number, known.get(fact.number, 0)) for fact in facts])
        self.raw.execute(
            "create or replace temp table place as"
            " select servers.number, coalesce(place.at, carried_place.at) as at, servers.server_number"
            " from servers left join place using (number) left join carried_place using (number)"
        )

    def _merge(self) -> None:
        """Merge what was made to hours or days and keep it."""
        self.raw.execute(f"create or replace temp table merged_span as {merge_spans('now_span', self.grain)}")
        self.raw.execute("insert into out_span by name (from merged_span)")
        for table in SPAN_TABLES:
            if self._is_made(table.name):
                merged = merge(table, f"now_{table.name}", "merged_span", self.grain)
                self.raw.execute(f"insert into out_{table.name} by name ({merged})")

    def _is_made(self, name: str) -> bool:
        return name == "statement_span" or "activity" in self.only


def _day(at: datetime) -> datetime:
    """The day that a capture ends a span of: one on the stroke of midnight belongs to the day before."""
    return (at - timedelta(microseconds=1)).replace(hour=0, minute=0, second=0, microsecond=0)
