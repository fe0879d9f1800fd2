"""A capture of a live server: every fact that the role may read, and a record of all that it may not."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, Literal

from psycopg.conninfo import make_conninfo

from queryfit.capture import catalog, counters, extremes, server_facts, sessions
from queryfit.capture.connect import QueryError, Reader, ServerGoneError, connect
from queryfit.capture.generic_plans import choose, plan_statements
from queryfit.capture.guard import Guard
from queryfit.capture.schema import Schema, capture_schema
from queryfit.capture.scope import Filter, Gaps, Scope
from queryfit.capture.statements import find_store, read_statements, read_store
from queryfit.capture.watch import Watched, watch
from queryfit.capture.workload import SEARCH_PATHS, SearchPaths, Workload
from queryfit.errors import QueryfitError
from queryfit.evidence.dictionary import tables
from queryfit.sql.catalog import Catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from queryfit.capture.statements import StatementStore
    from queryfit.evidence.store import Writer

Row = dict[str, Any]

OLDEST_VERSION = 130000
MAX_PLANS = 50  # each EXPLAIN may take an entry of pg_stat_statements
MAX_EXTREMES = 400  # columns whose index is looked into; twenty of them may take an entry of pg_stat_statements
EXTREMES_MS = 1000.0
WATCH_EVERY_S = 5.0
# Databases that providers keep for themselves and let nobody in.
PROVIDERS_OWN = frozenset({"rdsadmin", "cloudsqladmin", "azure_maintenance", "azure_sys"})
FOREIGN_TEXT_STATES = frozenset({"22021", "22P05"})  # bytes that are no text, or have no equivalent


@dataclass(frozen=True, slots=True)
class CaptureOptions:
    """What to capture.

    `databases` is the connected one, all that the role may connect to, or those named. `schemas` are exact names,
    `excludes` globs over `schema` or `schema.name`. `kind` is full, or sample for counters and activity only.
    `watch_s` seconds are spent looking every `watch_every_s` seconds before the capture itself. In each database the
    ends of at most `max_extremes` indexes are read, in at most `extremes_ms` milliseconds.
    """

    databases: Literal["one", "all"] | tuple[str, ...] = "one"
    schemas: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    kind: Literal["full", "sample"] = "full"
    max_plans: int = MAX_PLANS
    max_extremes: int = MAX_EXTREMES
    extremes_ms: float = EXTREMES_MS
    watch_s: float = 0.0
    watch_every_s: float = WATCH_EVERY_S


@dataclass(slots=True)
class CaptureCost:
    """What a capture cost: statements sent to the server, time waited for them, and wall time in all."""

    queries: int = 0
    server_ms: float = 0.0
    elapsed_ms: float = 0.0

    def add(self, reader: Reader) -> None:
        self.queries += reader.queries
        self.server_ms += reader.server_ms


def capture_server(
    dsn: str | None, options: CaptureOptions, writer: Writer, progress: Callable[[str], None] = lambda _: None
) -> CaptureCost:
    """Write all evidence of a live server to `writer`; return what it cost the server.

    Uses one connection at a time. Raises QueryfitError when the server cannot be reached, is too old or goes away;
    whatever else cannot be read becomes a row of `unread`.
    """
    return _Capture(dsn, options, writer, progress).run()


class _Capture:
    """The state of one capture; `run` is the order of its steps."""

    def __init__(
        self, dsn: str | None, options: CaptureOptions, writer: Writer, progress: Callable[[str], None]
    ) -> None:
        self.dsn = dsn
        self.options = options
        self.writer = writer
        self.progress = progress
        self.gaps = Gaps()
        self.cost = CaptureCost()
        self.filter = Filter(options.schemas, options.excludes)
        self.settings: dict[str, str | None] = {}
        self.workload = Workload([], SearchPaths())
        self.role = ""  # current_user, quoted
        self.watched = Watched()
        self.store: StatementStore | None = None
        self.store_gaps = Gaps()

    def run(self) -> CaptureCost:
        start = time.monotonic()
        wanted = {"sample", "full"} if self.options.kind == "full" else {"sample"}
        for table in tables().values():
            if table.capture in wanted:
                self.writer.add(table.name, [])  # no rows is an answer; no file would mean not captured
        with self._reading(None) as reader:
            self.writer.meta["database"] = reader.database
            wanted_databases = self._server(reader)
            if self.store is not None and reader.database in wanted_databases:
                self._database(reader)
                wanted_databases.remove(reader.database)
        if self.store is None:
            self._statements_elsewhere(wanted_databases)
        for name in wanted_databases:
            self._other_database(name)
        for name in self.workload.databases():
            self.workload.understand(name, Catalog([]))
        self._write_workload()
        self.writer.add("unread", self.gaps.rows)
        self.cost.elapsed_ms = (time.monotonic() - start) * 1000
        self.writer.meta["cost"] = {
            "queries": self.cost.queries,
            "server_ms": round(self.cost.server_ms, 1),
            "elapsed_ms": round(self.cost.elapsed_ms, 1),
        }
        return self.cost

    @contextmanager
    def _reading(self, database: str | None) -> Iterator[Reader]:
        reader = self._connect(database)
        try:
            yield reader
        finally:
            self.cost.add(reader)
            reader.close()

    def _connect(self, database: str | None) -> Reader:
        reader = connect(self.dsn if database is None else make_conninfo(self.dsn or "", dbname=database))
        if reader.version_number < OLDEST_VERSION:
            major = reader.version_number // 10000
            reader.close()
            raise QueryfitError(
                f"the server is PostgreSQL {major}, queryfit reads 13 and later", hint="upgrade the server"
            )
        return reader

    def _scope(self, reader: Reader) -> Scope:
        if not self.role:
            self.role = reader.query("select quote_ident(current_user) as role")[0]["role"]
        scope = Scope(reader, self.filter, self.gaps, self.role)
        scope.find_locks()
        return scope

    def _server(self, reader: Reader) -> list[str]:
        """Capture what belongs to the whole server; return the databases to capture."""
        scope = self._scope(reader)
        self.store = find_store(reader, self.store_gaps)
        if self.options.watch_s > 0:
            self.watched = watch(
                scope,
                self.store,
                duration_s=self.options.watch_s,
                every_s=self.options.watch_every_s,
                progress=self.progress,
            )
        self.progress("server, settings and sessions")
        server, memberships = server_facts.read_server(scope)
        self.writer.meta["system_identifier"] = server["system_identifier"]
        self.writer.meta["is_standby"] = server["is_standby"]
        self.writer.meta["captured_at"] = server["captured_at"].replace(tzinfo=UTC).isoformat()
        names = self._databases(reader)
        # the newest sample goes with the counters; those of a watch came before
        self.watched.activity += sessions.read_activity(scope) if not self.watched.activity else []
        self.watched.lock_waits += sessions.read_lock_waits(scope) if self.options.watch_s <= 0 else []
        settings = server_facts.read_settings(scope, memberships)
        self.settings = {row["name"]: row["value"] for row in settings}
        if self.options.kind == "full":
            self.writer.add("setting", settings)
            self.writer.add("role", server_facts.read_roles(scope))
            self.writer.add("tablespace", server_facts.read_tablespaces(scope))
        databases = server_facts.read_databases(scope, memberships, names)
        self.writer.add("server", [server])
        self.writer.add("database", databases)
        self.writer.add("checkpoint", server_facts.read_checkpoints(scope))
        self.writer.add("io", server_facts.read_io(scope))
        replicas, slots = server_facts.read_replication(scope)
        self.writer.add("replica", replicas)
        self.writer.add("replication_slot", slots)
        self.writer.add("prepared_transaction", server_facts.read_prepared_transactions(scope))
        not_captured = {row["database"] for row in databases} - set(names)
        self.writer.add("vacuum_progress", server_facts.read_vacuums(scope, not_captured))
        if self.store is not None:
            self._statements(scope, self.store)
        return names

    def _databases(self, reader: Reader) -> list[str]:
        """Return the databases to capture: those wanted that let this role in."""
        named = self.options.databases
        if named == "one":
            return [reader.database]
        rows = reader.query(
            "select datname::text as name, datallowconn and has_database_privilege(oid, 'connect') as is_open"
            " from pg_database where not datistemplate or datname = any ($1::text[]) order by datname",
            [[] if isinstance(named, str) else list(named)],
        )
        is_open = {row["name"]: row["is_open"] for row in rows}
        every = [name for name in is_open if name not in PROVIDERS_OWN]
        names = every if isinstance(named, str) else list(dict.fromkeys(named))
        for name in names:
            if name not in is_open:
                raise QueryfitError(f'there is no database "{name}"', hint=f"there are: {', '.join(is_open)}")
            if not is_open[name]:
                self.gaps.add(
                    "relation",
                    "the database takes no connections from this role",
                    hint=f'grant connect on database "{name}" to {self.role};',
                    database=name,
                )
        return [name for name in names if is_open[name]]

    def _statements_elsewhere(self, databases: Sequence[str]) -> None:
        """Read the statements through the first database that has pg_stat_statements: its rows are the server's."""
        for name in databases:
            try:
                with self._reading(name) as reader:
                    self.store = find_store(reader)
                    if self.store is not None:
                        self._statements(self._scope(reader), self.store)
                        return
            except ServerGoneError:
                raise
            except QueryfitError:
                continue  # the capture of that database will say why
        self.gaps.rows += self.store_gaps.rows

    def _statements(self, scope: Scope, store: StatementStore) -> None:
        self.progress("statements")
        paths = scope.read("reference", SEARCH_PATHS)
        by_role = {(row["database"], row["role"]): row["search_path"] for row in paths}
        server = self.settings.get("search_path") or SearchPaths().server
        reader = scope.reader
        try:
            statements = self._texts(scope, store)
            self.writer.add("statement_store", [read_store(reader, store)])
        except QueryError as error:
            scope.refused("statement", error)
            return
        hidden = sum(row["queryid"] is None for row in statements)
        lost = sum(row["text"] is None for row in statements)
        if hidden:
            self.gaps.add(
                "statement",
                f"the texts of {hidden} of {len(statements)} entries of pg_stat_statements belong to other roles and "
                "are hidden from this one",
                hint=f"grant pg_monitor to {scope.role};",
            )
        if lost and lost < len(statements):
            self.gaps.add(
                "statement_text",
                f"the server has lost the texts of {lost} entries of pg_stat_statements",
                hint="select pg_stat_statements_reset(); (the file of texts was damaged or grew too large)",
            )
        self.workload = Workload(statements, SearchPaths(server, by_role))

    def _texts(self, scope: Scope, store: StatementStore) -> list[Row]:
        """Read the statements; without their texts where one of another database is not in an encoding known here."""
        try:
            return read_statements(scope.reader, store)
        except QueryError as error:
            if error.sqlstate not in FOREIGN_TEXT_STATES:
                raise
            self.gaps.add(
                "statement_text",
                f"a text of another database cannot be converted, so the server shows none: {error.message}",
                hint="name that database itself in the DSN",
            )
            return read_statements(scope.reader, store, with_texts=False)

    def _other_database(self, name: str) -> None:
        try:
            with self._reading(name) as reader:
                self._database(reader)
        except ServerGoneError:
            raise
        except QueryfitError as error:
            self.gaps.add("relation", error.message, hint=error.hint, database=name)

    def _database(self, reader: Reader) -> None:
        """Capture the catalog and the counters of one database, and understand its statements with it."""
        scope = self._scope(reader)
        schema = None
        if self.options.kind == "full":
            self.progress(f"{reader.database}: catalog")
            schema = capture_schema(scope, self.settings, self.writer, self.progress)
            names = schema.names
        else:
            relations = scope.read_wanted("reference", catalog.NAMES)
            names = Catalog.from_rows(relations, scope.read_wanted("reference", catalog.COLUMN_NAMES))
        self.progress(f"{reader.database}: counters")
        relation_counters = counters.read_relation_counters(scope)
        self.writer.add("relation_counter", relation_counters)
        self.writer.add("index_counter", counters.read_index_counters(scope))
        self.writer.add("relation_sequence", counters.read_sequences(scope))
        self.writer.add("vacuum_progress", server_facts.read_vacuums(scope, [reader.database]))
        self.progress(f"{reader.database}: reading what the statements say")
        self.writer.add("reference", self.workload.understand(reader.database, names))
        if schema is not None:
            self._guarded(scope, schema, relation_counters)

    def _guarded(self, scope: Scope, schema: Schema, relation_counters: Sequence[Row]) -> None:
        """Have the server plan statements, and look into indexes, as far as that runs no user's code."""
        candidates = self.workload.candidates(scope.database) if self.options.max_plans > 0 else []
        candidates = choose(candidates, limit=len(candidates))  # all of them: those left out are counted as unread
        looks = self._looks_into_indexes(scope, schema)
        if not candidates and not looks:
            return
        self.progress(f"{scope.database}: which statements are safe to plan")
        try:
            guard = Guard.build(scope.reader)
        except QueryError as error:
            scope.refused("plan", error)
            scope.refused("column_extreme", error)
            return
        if looks:
            self.progress(f"{scope.database}: ends of indexes")
            scans = {
                row["relation"]: (row["sequential_scans"] or 0) + (row["index_scans"] or 0) for row in relation_counters
            }
            found = extremes.read_extremes(
                scope,
                guard,
                relations=schema.relations,
                scans=scans,
                histograms=schema.histograms,
                most=self.options.max_extremes,
                budget_ms=self.options.extremes_ms,
            )
            self.writer.add("column_extreme", found)
        if candidates:
            planned = plan_statements(
                scope.reader, candidates, guard, limit=self.options.max_plans, progress=self.progress
            )
            self.writer.add("plan", planned.plans)
            self.writer.add("plan_node", planned.nodes)
            self.gaps.rows += planned.unread

    def _looks_into_indexes(self, scope: Scope, schema: Schema) -> bool:
        if self.options.max_extremes <= 0 or self.options.extremes_ms <= 0:
            return False
        if self.writer.meta["is_redacted"]:
            scope.gaps.add(
                "column_extreme",
                "values of rows are left out by --redact",
                hint="capture without --redact",
                database=scope.database,
            )
            return False
        return bool(schema.relations)

    def _write_workload(self) -> None:
        self.writer.add("statement", self.workload.statements)
        self.writer.add("statement_text", self.workload.text_rows())
        self.writer.add("shape", self.workload.shape_rows())
        self.writer.add("statement_interval", self.watched.interval_rows(self.workload.by_queryid))
        self.workload.fingerprint_activity(self.watched.activity)
        self.writer.add("activity", self.watched.activity)
        self.writer.add("lock_wait", self.watched.lock_waits)
