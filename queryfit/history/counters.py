"""Differences of counters of relations, indexes and databases between captures, in SQL; see `spans`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from queryfit.evidence.engine import duckdb
from queryfit.history.tables import RELATION_COUNTERS


@dataclass(frozen=True, slots=True)
class Counted:
    """A table of cumulative counters, and the span table that is made from it."""

    table: str
    span: str
    keys: tuple[str, ...]
    counters: tuple[str, ...]
    gauges: tuple[str, ...]
    gaps: tuple[str, ...]  # tables whose gaps may have hidden a row of this one
    sum: str | None = None  # a counter that is a sum over parts: when one of them is dropped it falls, and it alone
    part_gone: str = "false"  # SQL over `life`: a part was dropped

    def fell(self, now: str, before: str) -> str:
        """SQL: the counters began anew, by the patterns for the names of a counter now and before."""
        return " or ".join(
            f"coalesce({now.format(name)} < {before.format(name)}, false)"
            + (f" and not {self.part_gone}" if name == self.sum else "")
            for name in self.counters
        )

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.keys, *self.counters, *self.gauges)


RELATIONS = Counted(
    "relation_counter",
    "relation_span",
    keys=("database", "relation"),
    counters=RELATION_COUNTERS,
    gauges=("live_rows", "dead_rows", "analyzed_at"),
    gaps=("relation", "relation_counter"),
    sum="index_scans",
    # where it was out of sight in between, an index may have gone that nobody saw go
    part_gone="""(
        life.number_before <> life.before_number
        or (life.number, life.database, life.relation) in (select (number, database, relation) from gone_part)
    )""",
)
INDEXES = Counted(
    "index_counter",
    "index_span",
    keys=("database", "relation", "index"),
    counters=("scans", "read_rows"),
    gauges=(),
    gaps=("relation", "relation_index", "index_counter"),
)
DATABASES = Counted(
    "database",
    "database_span",
    keys=("database",),
    counters=("commits", "rollbacks", "blocks_read", "blocks_hit", "temp_bytes", "deadlocks", "sessions"),
    gauges=("size_bytes", "connections", "age_xids", "age_multixacts", "counters_since", "is_captured"),
    gaps=("database",),
)
COUNTED = (RELATIONS, INDEXES, DATABASES)


def counter_changes(raw: duckdb.DuckDBPyConnection, counted: Counted) -> None:
    """Make `walked_<table>`: each row with the one before of the same thing, and what its counters say.

    `difference`: they went on; `since`: they began anew in between, or the thing did; `nothing`: there is no telling.
    """
    keys = ", ".join(counted.keys)
    before = (*counted.columns[len(counted.keys) :], "number", "server_number")
    lags = ", ".join(f"lag({name}) over life as {name}_before" for name in before)
    fell = counted.fell("{}", "{}_before")
    lost = " or ".join(
        f"coalesce(now.{name} < before.{name}, false)" for name in counted.counters if name != counted.sum
    )
    at_most = " and ".join(f"coalesce(gone.{name}, 0) <= coalesce(life.{name}, 0)" for name in counted.counters)
    any_work = " + ".join(f"coalesce(gone.{name}, 0)::hugeint" for name in counted.counters)
    same = " and ".join(f"now.{key} = before.{key}" for key in counted.keys)
    in_database = "" if counted.table == "database" else "and gone.database = life.database"
    raw.execute(
        f"""
        create or replace temp table gone_{counted.table} as
        select
            step.number, step.ended_at, before.* exclude (number),
            now.number is null and {_sees_all(counted, "number", "before")} as is_dropped
        from step
        join raw_{counted.table} as before on before.number = step.before_number
        left join raw_{counted.table} as now on now.number = step.number and {same}
        where not step.is_other_server and (now.number is null or {lost})
        """
    )
    raw.execute(
        f"""
        create or replace temp table walked_{counted.table} as
        with life as (
            select *, {lags}
            from (select raw.*, place.server_number from raw_{counted.table} as raw join place using (number))
            window life as (partition by hash({keys}) order by number)
        ),
        seen as (
            select
                life.*, step.* exclude (number, server_number),
                coalesce(server_number_before <> step.server_number, false) as is_elsewhere,
                coalesce(number_before = before_number, false) as was_there,
                -- a thing is new only where the capture before looked at all of its kind: else its counters may be old
                not was_there and not step.is_other_server and {_sees_all(counted, "before_number", "life")} as is_added
            from life
            join step on step.number = life.number
        )
        select
            *,
            case
                when number_before is not null and is_elsewhere then 'nothing'
                when number_before is not null then case when {fell} then 'since' else 'difference' end
                when not is_added then 'nothing'
                -- it may be one that was renamed: then its counters are those of one that is gone, or began anew
                when exists (
                    from gone_{counted.table} as gone
                    where gone.number = life.number and ({at_most}) and ({any_work}) > 0 {in_database}
                ) then 'nothing'
                else 'since'
            end as says
        from seen as life
        """
    )


def _sees_all(counted: Counted, number: str, row: str) -> str:
    """SQL: the capture that `step` names as `number` read all things of the kind in the database of a row."""
    if counted.table == "database":
        return "true"
    return f"""(
        exists (
            from raw_database as looked
            where looked.number = step.{number} and looked.database = {row}.database and looked.is_captured
        )
        and not exists (
            from gap
            where gap.number = step.{number} and gap.table_name in ({", ".join(f"'{name}'" for name in counted.gaps)})
                and (gap.database is null or gap.database = {row}.database)
        )
    )"""


def _added(name: str) -> str:
    difference = f"greatest({name} - {name}_before, 0)"  # a sum over parts may fall although it did not begin anew
    return f"case says when 'since' then {name} when 'difference' then {difference} else 0 end as {name}"


# counters fell although the thing was there, it was out of sight in between, or nothing can be said
_LOWER = "says = 'nothing' or has_crashed or (number_before is not null and (says = 'since' or not was_there))"


def counter_spans(raw: duckdb.DuckDBPyConnection) -> None:
    """Make `now_relation_span`, `now_index_span` and `now_database_span`."""
    raw.execute(
        """
        create or replace temp table gone_part as
        select distinct step.number, before.database, before.relation
        from step
        join raw_index_counter as before on before.number = step.before_number
        where not exists (
            from raw_index_counter as now
            where now.number = step.number and now.database = before.database and now.index = before.index
        )
        """
    )
    for counted in COUNTED:
        counter_changes(raw, counted)
    raw.execute(
        f"""
        create or replace temp table now_relation_span as
        select
            started_at, ended_at, walked.database, walked.relation, {_list(RELATIONS.counters)}, live_rows, dead_rows,
            size.size_bytes, size.index_bytes, {_LOWER}
                or (says = 'difference' and coalesce(index_scans < index_scans_before, false)) as is_lower_bound
        from walked_relation_counter as walked
        left join raw_relation as size -- LEFT JOIN: only full captures know sizes
            on size.number = walked.number and size.database = walked.database and size.relation = walked.relation
        """
    )
    raw.execute(
        f"""
        create or replace temp table now_index_span as
        select
            started_at, ended_at, walked.database, walked.relation, walked.index, {_list(INDEXES.counters)},
            size.size_bytes, {_LOWER} as is_lower_bound
        from walked_index_counter as walked
        left join raw_relation_index as size -- LEFT JOIN: only full captures know sizes
            on size.number = walked.number and size.database = walked.database and size.index = walked.index
        """
    )
    raw.execute(
        f"""
        create or replace temp table now_database_span as
        select
            started_at, ended_at, database, {_list(DATABASES.counters)}, size_bytes, connections,
            connections as most_connections, age_xids, age_multixacts, {_LOWER} as is_lower_bound
        from walked_database
        """
    )


def _list(names: Iterable[str]) -> str:
    return ", ".join(_added(name) for name in names)
