"""pg_stat_statements: its rows by the columns that its version has, and the texts they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from queryfit.capture.connect import MARK
from queryfit.capture.connect_errors import QueryError

if TYPE_CHECKING:
    from queryfit.capture.connect import Reader
    from queryfit.capture.scope import Gaps

Row = dict[str, Any]

HIDDEN = "<insufficient privilege>"
NOT_LOADED = "55000"  # "must be loaded via shared_preload_libraries"
PRELOAD = (
    "add pg_stat_statements to shared_preload_libraries and restart the server, then in this database: "
    "create extension pg_stat_statements;"
)
FIND = """
    select quote_ident(n.nspname) as schema, e.extversion::text as version
    from pg_extension as e
    join pg_namespace as n on n.oid = e.extnamespace
    where e.extname = 'pg_stat_statements'
"""


@dataclass(frozen=True, slots=True)
class StatementStore:
    """Where pg_stat_statements was found: its schema, quoted, and its version as (1, 11)."""

    schema: str
    version: tuple[int, int]
    version_text: str

    @property
    def has_info(self) -> bool:
        """pg_stat_statements_info and the toplevel flag."""
        return self.version >= (1, 9)

    @property
    def has_times(self) -> bool:
        """stats_since, and I/O times by kind of block."""
        return self.version >= (1, 11)

    def counters(self) -> str:
        """SELECT list for the evidence table `statement`, over pg_stat_statements `s`."""
        kind = "shared_" if self.has_times else ""
        jit = "null::int8 as jit_functions, null::float8 as jit_ms"
        if self.version >= (1, 10):
            parts = ["generation", "inlining", "optimization", "emission", *(["deform"] if self.has_times else [])]
            jit = f"s.jit_functions, {' + '.join(f's.jit_{part}_time' for part in parts)} as jit_ms"
        return f"""
            s.queryid,
            {"s.toplevel" if self.has_info else "true"} as is_toplevel,
            s.calls, s.rows, s.plans,
            s.total_plan_time as planning_ms,
            s.total_exec_time as execution_ms,
            s.min_exec_time as min_ms,
            s.max_exec_time as max_ms,
            s.mean_exec_time as mean_ms,
            s.stddev_exec_time as stddev_ms,
            s.shared_blks_hit as shared_blocks_hit,
            s.shared_blks_read as shared_blocks_read,
            s.shared_blks_dirtied as shared_blocks_dirtied,
            s.shared_blks_written as shared_blocks_written,
            s.local_blks_read as local_blocks_read,
            s.local_blks_written as local_blocks_written,
            s.temp_blks_read as temp_blocks_read,
            s.temp_blks_written as temp_blocks_written,
            s.{kind}blk_read_time as read_ms,
            s.{kind}blk_write_time as write_ms,
            s.wal_bytes::int8 as wal_bytes,
            s.wal_fpi as wal_full_page_images,
            {jit}
        """

    def since(self) -> str:
        """Expression for counted_since."""
        if not self.has_info:
            return "null::timestamp"
        reset = f"(select stats_reset from {self.schema}.pg_stat_statements_info)"
        return f"greatest({'s.stats_since, ' if self.has_times else ''}{reset}) at time zone 'UTC'"


def find_store(reader: Reader, gaps: Gaps | None = None) -> StatementStore | None:
    """Find pg_stat_statements in the connected database; None where it is not created or not loaded.

    With `gaps` the reason is recorded there.
    """
    rows = reader.query(FIND)
    if not rows:
        if gaps is not None:
            gaps.add("statement", "the extension pg_stat_statements does not exist in this database", hint=PRELOAD,
                     database=reader.database)  # fmt: skip
        return None
    major, _, minor = rows[0]["version"].partition(".")
    store = StatementStore(rows[0]["schema"], (int(major), int(minor or 0)), rows[0]["version"])
    if store.version < (1, 8):
        if gaps is not None:
            gaps.add("statement", f"pg_stat_statements {store.version_text} is older than 1.8",
                     hint="alter extension pg_stat_statements update;", database=reader.database)  # fmt: skip
        return None
    try:
        reader.query(f"select 1 as one from {store.schema}.pg_stat_statements(false) limit 1")
    except QueryError as error:
        if gaps is not None:
            is_unloaded = error.sqlstate == NOT_LOADED
            gaps.add(
                "statement",
                "pg_stat_statements is created but not loaded: shared_preload_libraries lacks it"
                if is_unloaded
                else f"pg_stat_statements cannot be read: {error.message}",
                hint="add pg_stat_statements to shared_preload_libraries and restart the server"
                if is_unloaded
                else "grant usage on its schema and select on its views to the role",
                database=reader.database,
            )
        return None
    return store


def read_statements(reader: Reader, store: StatementStore, *, with_texts: bool = True) -> list[Row]:
    """Rows for the evidence table `statement`, with `text` in place of a fingerprint; queryfit's own left out.

    `text` is None where the server lost it or none was asked for, `<insufficient privilege>` where the role may not see
    it.
    """
    return reader.query(
        f"""
        select
            d.datname::text as database,
            pg_get_userbyid(s.userid)::text as role,
            {store.counters()},
            {store.since()} as counted_since,
            s.query as text
        from {store.schema}.pg_stat_statements({str(with_texts).lower()}) as s
        join pg_database as d on d.oid = s.dbid
        where s.query is null or strpos(s.query, $1) = 0
        """,
        [MARK],
    )


def read_store(reader: Reader, store: StatementStore) -> Row:
    """Return the row of the evidence table `statement_store`."""
    info = f"(select dealloc from {store.schema}.pg_stat_statements_info)" if store.has_info else "null::int8"
    reset = (
        f"(select stats_reset from {store.schema}.pg_stat_statements_info)" if store.has_info else "null::timestamptz"
    )
    return reader.query(
        f"""
        select
            $1::text as extension_version,
            (select count(*) from {store.schema}.pg_stat_statements(false)) as entries,
            -- true: null instead of an error where the library is not loaded
            current_setting('pg_stat_statements.max', true)::int8 as maximum_entries,
            {info} as evictions,
            {reset} at time zone 'UTC' as reset_at,
            current_setting('pg_stat_statements.track_planning', true)::bool as tracks_planning,
            current_setting('pg_stat_statements.track', true) as track
        """,
        [store.version_text],
    )[0]
