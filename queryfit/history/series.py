"""Captures in order become spans: a day of them at a time, so that memory holds a day and not the history."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path

from queryfit.errors import QueryfitError
from queryfit.evidence.dictionary import tables
from queryfit.evidence.engine import duckdb
from queryfit.evidence.store import Unusable
from queryfit.history import counters, spans
from queryfit.history.chain import Link, day_of
from queryfit.history.events import write_events
from queryfit.history.facts import Step, Walk, read_facts
from queryfit.history.periods import Period
from queryfit.history.reading import quoted, source, unreadable
from queryfit.history.schema_events import write_schema_events
from queryfit.history.tables import NAMES, SPAN_TABLES, Grain, merge, merge_spans

# what is read of each table; those of full captures are not there in a sample
_READ: Mapping[str, tuple[str, ...]] = {
    "server": ("version_number", "version", "is_standby", "started_at", "role", "is_superuser", "has_monitor"),
    "statement_store": ("extension_version", "entries", "maximum_entries", "evictions", "reset_at"),
    "checkpoint": ("counted_since",),
    "unread": ("table_name", "database", "subject"),
    "statement": spans.STATEMENT_COLUMNS,
    **{counted.table: counted.columns for counted in counters.COUNTED},
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
    usual: timedelta | None = None  # between two captures; null: gaps are not told
    fulls: Sequence[Link] = ()  # the full captures that changes are read off, those before the first one too
    unusable: list[Unusable] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    bases: frozenset[str] = frozenset()
    walk: Walk = field(default_factory=Walk)
    links: list[Link] = field(default_factory=list)  # by number

    def __post_init__(self) -> None:
        for name in NAMES:
            self.raw.execute(tables()[name].create.replace(f"create table {name} ", f"create temp table out_{name} "))
        for name, columns in _READ.items():
            typed = ", ".join(f"{column} {tables()[name].column_types[column]}" for column in columns)
            self.raw.execute(f"create temp table carried_{name} (number integer, {typed})")
        self.raw.execute(f"create temp table carried_entry ({spans.ENTRY_TYPES})")
        self.raw.execute("create temp table seen (fingerprint varchar, number integer)")
        self.raw.execute("create temp table place (number integer, taken_at timestamp, server_number integer)")

    def take(
        self,
        links: Sequence[Link],
        progress: Callable[[str], None] = lambda _: None,
        *,
        bases: frozenset[str] = frozenset(),
    ) -> None:
        """Add captures that follow those taken before.

        The very first one, and those named in `bases`, only give the next one its beginning.
        """
        self.bases |= bases
        for day, group in groupby(links, key=lambda entry: day_of(entry.at)):
            progress(f"history: {day:%Y-%m-%d}")
            self._take_day(list(group))

    def take_periods(self, periods: Sequence[Period], begin: datetime, end: datetime) -> dict[str, str]:
        """Add the rows of periods that end after `begin` and not after `end`.

        Returns the periods that cannot be read, with why; nothing of them is added.
        """
        bad: dict[str, str] = {}
        for name in NAMES:
            if self._is_made(name):
                columns = tuple(tables()[name].column_types)
                paths = {
                    str(path): period.name for period in periods if (path := period.capture.file(name)) is not None
                }
                if not paths:
                    continue
                moment = "happened_at" if name == "server_event" else "ended_at"
                try:
                    read = f"({source(self.raw, name, columns, list(paths))})"
                    self.raw.execute(
                        f"create or replace temp table period_{name} as select * exclude (filename) from {read}"
                        f" where {moment} > {quoted(begin)}::timestamp and {moment} <= {quoted(end)}::timestamp"
                    )
                except duckdb.Error:
                    found = unreadable(self.raw, name, columns, list(paths))
                    if not found:
                        raise
                    bad |= {paths[path]: reason for path, reason in found.items()}
        if bad:
            return bad | self.take_periods([period for period in periods if period.name not in bad], begin, end)
        self._merge_periods()
        return bad

    def _merge_periods(self) -> None:
        """Add `period_*` as they are, or merged to days, and drop them."""
        made = {name for (name,) in self.raw.execute("select table_name from duckdb_tables()").fetchall()}
        if "period_span" not in made:
            return
        if self.grain == "day":
            self.raw.execute(f"create or replace temp table merged_span as {merge_spans('period_span', self.grain)}")
        for name in NAMES:
            if f"period_{name}" not in made:
                continue
            table = next((table for table in SPAN_TABLES if table.name == name), None)
            if self.grain == "hour" or name == "server_event":
                rows = f"from period_{name}"
            elif table is None:
                rows = "from merged_span"
            else:
                rows = merge(table, f"period_{name}", "merged_span", self.grain)
            self.raw.execute(f"insert into out_{name} by name ({rows})")
            self.raw.execute(f"drop table period_{name}")

    def _is_made(self, name: str) -> bool:
        return name in {"span", "statement_span"} or "activity" in self.only

    def clear(self) -> None:
        """Forget what was made, not what the next capture stands on."""
        for name in NAMES:
            self.raw.execute(f"delete from out_{name}")

    def drop_idle(self, *, keeps_doubt: bool = False) -> None:
        """Leave out statements that finished no call in a span: it says as much without a row.

        With `keeps_doubt` those stay that may have been called, or were planned: days that are made of hours need them.
        """
        but = "and not is_lower_bound and coalesce(planning_ms, 0) = 0" if keeps_doubt else ""
        self.raw.execute(f"delete from out_statement_span where calls = 0 {but}")

    def _take_day(self, links: Sequence[Link]) -> None:
        first = len(self.links)
        self._load(links)
        if len(self.links) == first:
            return
        bases = {number for number, link in enumerate(self.links) if link.capture.name in self.bases}
        steps = self.walk.steps(read_facts(self.raw, first), self._switched(), frozenset(bases))
        self.steps += steps
        spans.write_steps(self.raw, steps, self.grain)
        spans.number_servers(self.raw, self.walk.bases)
        spans.statement_entries(self.raw)
        spans.statement_spans(self.raw)
        if "activity" in self.only:
            counters.counter_spans(self.raw)
            write_events(self.raw, steps, self.usual)
            self._compare_fulls(self.links[first:])
        spans.other_spans(self.raw)
        self.raw.execute("insert into seen select fingerprint, max(number) from entry group by fingerprint")
        self._merge()
        self._carry()

    def _load(self, links: Sequence[Link]) -> None:
        """Read the tables of these captures into `raw_*`, without those that cannot be read."""
        usable = [entry for entry in links if self._is_complete(entry)]
        files: dict[str, dict[str, int]] = {name: {} for name in _READ}
        for number, entry in enumerate(usable, len(self.links)):
            for name in self.only:
                if (path := entry.capture.file(name)) is not None:
                    files[name][str(path)] = number
        self.raw.execute("create or replace temp table file (filename varchar, number integer)")
        spans.insert(self.raw, "file", [row for named in files.values() for row in named.items()])
        try:
            for name in _READ:
                self._read(name, list(files[name]))
        except duckdb.Error:
            bad = {
                str(Path(path).parent): reason
                for name, columns in _READ.items()
                for path, reason in unreadable(self.raw, name, columns, list(files[name])).items()
            }
            if not bad:
                raise
            self.unusable += [Unusable(Path(folder), reason) for folder, reason in bad.items()]
            self._load([entry for entry in usable if str(entry.capture.folder) not in bad])
            return
        spans.insert(self.raw, "place", [(number, entry.at, 0) for number, entry in enumerate(usable, len(self.links))])
        self.links += usable
        self.raw.execute(
            "create or replace temp table gap as select distinct number, table_name, database from raw_unread"
        )

    def _is_complete(self, entry: Link) -> bool:
        try:
            entry.capture.check(self.only)
        except QueryfitError as error:
            self.unusable.append(Unusable(entry.capture.folder, error.message))
            return False
        return True

    def _read(self, name: str, files: Sequence[str]) -> None:
        self.raw.execute(f"create or replace temp table raw_{name} as from carried_{name}")
        if files:
            self.raw.execute(
                f"insert into raw_{name} select file.number, read.* exclude (filename)"
                f" from ({source(self.raw, name, _READ[name], files)}) as read join file using (filename)"
            )

    def _switched(self) -> frozenset[int]:
        """Captures whose databases all have counters of a time that the capture before would have seen."""
        rows = self.raw.execute(
            """
            with life as (
                select
                    raw_database.number, counters_since, lag(counters_since) over history as since_before,
                    lag(place.taken_at) over history as at_before
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

    def _merge(self) -> None:
        """Merge what was made to hours or days and keep it."""
        self.raw.execute(f"create or replace temp table merged_span as {merge_spans('now_span', self.grain)}")
        self.raw.execute("insert into out_span by name (from merged_span)")
        for table in SPAN_TABLES:
            if self._is_made(table.name):
                merged = merge(table, f"now_{table.name}", "merged_span", self.grain)
                self.raw.execute(f"insert into out_{table.name} by name ({merged})")

    def _compare_fulls(self, links: Sequence[Link]) -> None:
        for entry in links:
            if entry.is_full and entry.capture.name not in self.bases:
                before = [full for full in self.fulls if full.at < entry.at]
                write_schema_events(self.raw, [*before[-1:], entry])

    def _carry(self) -> None:
        """Keep what the next day stands on: the state of each thing when it was last seen."""
        for counted in counters.COUNTED:
            self.raw.execute(
                f"create or replace temp table carried_{counted.table} as from raw_{counted.table}"
                f" qualify row_number() over (partition by {', '.join(counted.keys)} order by number desc) = 1"
            )
        last = self.walk.last_with_statements
        self.raw.execute(
            f"create or replace temp table carried_entry as from entry where number = {last.number if last else -1}"
        )
        self.raw.execute(
            f"create or replace temp table carried_unread as from raw_unread where number = {len(self.links) - 1}"
        )
