"""How the span tables are put together: what is added up, what stands as it was at the end, what is a maximum."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from queryfit.evidence.dictionary import tables

Grain = Literal["hour", "day"]


@dataclass(frozen=True, slots=True)
class SpanTable:
    """One span table by the roles of its columns; the other two are `started_at` and `ended_at`."""

    name: str
    keys: tuple[str, ...]
    sums: tuple[str, ...] = ()
    lasts: tuple[str, ...] = ()  # the last value that is known
    maxima: tuple[str, ...] = ()
    flags: tuple[str, ...] = field(default=())  # true where one part is


RELATION_COUNTERS = (
    "sequential_scans",
    "sequential_rows",
    "index_scans",
    "inserted_rows",
    "updated_rows",
    "deleted_rows",
    "hot_updated_rows",
)
SPAN_TABLES = (
    SpanTable(
        "statement_span",
        keys=("database", "fingerprint"),
        sums=(
            "calls",
            "rows",
            "execution_ms",
            "squared_ms",
            "planning_ms",
            "blocks_hit",
            "blocks_read",
            "temp_blocks_written",
            "wal_bytes",
        ),
        flags=("is_lower_bound",),
    ),
    SpanTable(
        "relation_span",
        keys=("database", "relation"),
        sums=RELATION_COUNTERS,
        lasts=("live_rows", "dead_rows", "size_bytes", "index_bytes"),
        flags=("is_lower_bound",),
    ),
    SpanTable(
        "index_span",
        keys=("database", "relation", "index"),
        sums=("scans", "read_rows"),
        lasts=("size_bytes",),
        flags=("is_lower_bound",),
    ),
    SpanTable(
        "database_span",
        keys=("database",),
        sums=("commits", "rollbacks", "blocks_read", "blocks_hit", "temp_bytes", "deadlocks", "sessions"),
        lasts=("size_bytes", "connections", "age_xids", "age_multixacts"),
        maxima=("most_connections",),
        flags=("is_lower_bound",),
    ),
    SpanTable("sequence_span", keys=("database", "sequence"), lasts=("last_value",)),
    # samples and mean_sessions are made anew from the looks of the whole span: see `merge`
    SpanTable(
        "session_span",
        keys=("database", "role", "application", "state", "wait_type", "wait_event"),
        maxima=("most_sessions", "longest_transaction_ms"),
    ),
)
NAMES = ("span", *(table.name for table in SPAN_TABLES), "server_event")


def bucket(grain: Grain, column: str = "ended_at") -> str:
    """SQL of the hour or day that a span belongs to: the one in which it ends.

    A span that ends on the stroke belongs to what came before.
    """
    return f"date_trunc('{grain}', {column} - interval 1 microsecond)"


def merge_spans(source: str, grain: Grain) -> str:
    """SELECT of the rows of `span` of the relation `source`, merged; a coarser one stays as it is."""
    return f"""
        select
            min(started_at) as started_at,
            max(ended_at) as ended_at,
            case when bool_or(grain = 'day') then 'day' else '{grain}' end as grain,
            sum(captures)::bigint as captures,
            sum(covered_s) as covered_s,
            sum(looks)::bigint as looks
        from {source}
        group by {bucket(grain)}
    """


def merge(table: SpanTable, source: str, spans: str, grain: Grain) -> str:
    """SELECT of the rows of a span table, merged to the rows of `spans` (merged ones, of the same grain)."""
    kinds = tables()[table.name].column_types
    parts = [
        *(f"part.{column}" for column in table.keys),
        *(f"sum(part.{column})::{kinds[column]} as {column}" for column in table.sums),
        *(f"arg_max(part.{column}, part.ended_at) as {column}" for column in table.lasts),
        *(f"max(part.{column}) as {column}" for column in table.maxima),
        *(f"bool_or(part.{column}) as {column}" for column in table.flags),
    ]
    if table.name == "session_span":
        # a kind of session has no row where there was none of it, but the look counts
        parts += [
            "any_value(whole.looks) as samples",
            "sum(part.mean_sessions * part.samples) / any_value(whole.looks) as mean_sessions",
        ]
    return f"""
        select whole.started_at, whole.ended_at, {", ".join(parts)}
        from {source} as part
        join {spans} as whole on {bucket(grain, "whole.ended_at")} = {bucket(grain, "part.ended_at")}
        group by whole.started_at, whole.ended_at, {", ".join(f"part.{column}" for column in table.keys)}
    """
