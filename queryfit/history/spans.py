"""Differences of counters between captures, in SQL: never negative, never more than was surely done in between.

`place` holds the captures that are loaded, by number; `step` what lies between each and the one before; `raw_*` the
rows of their tables. Each maker fills one table `now_*` with a row for each step and thing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from queryfit.evidence.dictionary import tables
from queryfit.evidence.engine import duckdb
from queryfit.history.facts import Step, has_crashed, is_evicted
from queryfit.history.tables import Grain, bucket

STEP = """
    create or replace temp table step (
        number integer, server_number integer, is_other_server boolean, started_at timestamp, ended_at timestamp,
        before_number integer, has_crashed boolean, covered_s double,
        statements_number integer, statements_at timestamp, counts varchar, is_evicted boolean, is_stamped boolean,
        sees_alike boolean, bucket timestamp
    )
"""


def write_steps(raw: duckdb.DuckDBPyConnection, steps: Sequence[Step], grain: Grain) -> None:
    """Fill `step`; `bucket` is the hour or day that a step belongs to."""
    raw.execute(STEP)
    rows = []
    for step in steps:
        before = step.statements_before
        rows.append(
            (
                step.now.number,
                step.server_number,
                step.is_other_server,
                step.before.at,
                step.now.at,
                step.before.number,
                has_crashed(step.before, step.now),
                step.covered_s,
                before.number if before else None,
                before.at if before else None,
                step.counts_statements,
                is_evicted(before, step.now) if before else True,
                before is not None and before.is_stamped and step.now.is_stamped,
                before is not None and before.watcher == step.now.watcher,
                None,
            )
        )
    insert(raw, "step", rows)
    raw.execute(f"update step set bucket = {bucket(grain)}")


def number_servers(raw: duckdb.DuckDBPyConnection, bases: Mapping[int, int]) -> None:
    """Say in `place` which server each capture looked at; `bases` have no step that tells it."""
    raw.execute("update place set server_number = step.server_number from step where step.number = place.number")
    for number, server_number in bases.items():
        raw.execute("update place set server_number = ? where number = ?", [server_number, number])


def insert(raw: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert rows in bulk: one at a time takes a millisecond each."""
    for start in range(0, len(rows), 500):
        part = rows[start : start + 500]
        marks = ", ".join(f"({', '.join('?' * len(row))})" for row in part)
        raw.execute(f"insert into {table} values {marks}", [value for row in part for value in row])


# columns of `statement` and what they are called in statement_span
_STATEMENT_COUNTERS = {
    "calls": "calls",
    "rows": "rows",
    "execution_ms": "execution_ms",
    "planning_ms": "planning_ms",
    "shared_blocks_hit": "blocks_hit",
    "shared_blocks_read": "blocks_read",
    "temp_blocks_written": "temp_blocks_written",
    "wal_bytes": "wal_bytes",
}
STATEMENT_COLUMNS = (
    "database",
    "role",
    "queryid",
    "is_toplevel",
    "fingerprint",
    *_STATEMENT_COUNTERS,
    "mean_ms",
    "stddev_ms",
    "counted_since",
)


ENTRY_TYPES = (
    "number integer, database varchar, role varchar, queryid bigint, fingerprint varchar, calls bigint, rows bigint,"
    " execution_ms double, planning_ms double, blocks_hit bigint, blocks_read bigint, temp_blocks_written bigint,"
    " wal_bytes bigint, squared_ms double, counted_since timestamp, key ubigint"
)


def statement_entries(raw: duckdb.DuckDBPyConnection) -> None:
    """Make `entry`: one row an entry of pg_stat_statements, those that the role may not tell apart one by role.

    It begins with the entries of the last capture before.
    """
    kinds = tables()["statement"].column_types
    counters = ", ".join(f"{column} as {name}" for column, name in _STATEMENT_COUNTERS.items())
    sums = ", ".join(f"sum({column})::{kinds[column]} as {name}" for column, name in _STATEMENT_COUNTERS.items())
    squared = "calls * (coalesce(stddev_ms, 0) * coalesce(stddev_ms, 0) + mean_ms * mean_ms)"
    raw.execute(
        f"""
        create or replace temp table entry as
        with read as (
        select number, database, coalesce(role, '') as role, queryid, fingerprint, {counters},
            {squared} as squared_ms, counted_since
        from raw_statement where is_toplevel and queryid is not null
        union all by name
        select number, database, coalesce(role, '') as role, null::bigint as queryid, min(fingerprint) as fingerprint,
            {sums}, sum({squared}) as squared_ms, min(counted_since) as counted_since
        from raw_statement where is_toplevel and queryid is null
        group by number, database, coalesce(role, '')
        )
        select *, hash(database, role, queryid) as key from read
        union all by name
        from carried_entry
        """
    )


def statement_spans(raw: duckdb.DuckDBPyConnection) -> None:
    """Make `now_statement_span` from `entry`, which holds the entries of the last capture before as well.

    `walked` keeps what became of each entry that did not simply go on, `gone_entry` those that are no longer there.
    """
    names = [*_STATEMENT_COUNTERS.values(), "squared_ms"]
    lags = ", ".join(f"before.{name} as {name}_before" for name in (*names, "number", "counted_since"))
    # squared_ms is computed, so it may seem to fall by a rounding
    fell = " or ".join(f"coalesce(now.{name} < before.{name}, false)" for name in names[:-1])
    has_fallen = " or ".join(f"coalesce(life.{name} < life.{name}_before, false)" for name in names[:-1])
    pairs = """
        from entry as now
        join step on step.number = now.number
        left join entry as before on before.number = step.statements_number and before.key = now.key
    """
    goes_on = f"""(
        before.number is not null and step.counts = 'differences' and not ({fell})
        and not (step.is_stamped and coalesce(now.counted_since <> before.counted_since, false))
    )"""
    raw.execute(
        """
        create or replace temp table owner as
        select number, database, role, bool_or(queryid is null) as has_hidden, bool_or(queryid is not null) as has_open
        from entry group by number, database, role
        """
    )
    raw.execute(
        """
        create or replace temp table gone_entry as
        select step.number, step.ended_at, step.is_evicted, before.* exclude (number)
        from step
        join entry as before on before.number = step.statements_number
        where step.counts = 'differences'
            and not exists (from entry as now where now.number = step.number and now.key = before.key)
        """
    )
    raw.execute(
        """
        create or replace temp table lost as
        select step.number, before.database, before.role, before.queryid, before.calls
        from step
        join entry as before on before.number = step.statements_number
        left join entry as now
            on now.number = step.number and now.database = before.database and now.role = before.role
            and now.queryid = before.queryid
        where step.counts = 'differences' and not step.is_stamped
            and (now.number is null or now.calls < before.calls)
        """
    )
    raw.execute(
        f"""
        create or replace temp table walked as
        with life as (select now.*, {lags} {pairs} where not {goes_on})
        select
            life.*, step.* exclude (number),
            case
                when counts = 'nothing' then 'nothing'
                when counts = 'reset' then 'made'
                when number_before = statements_number and is_stamped and counted_since <> counted_since_before then
                    -- it was dropped and came back; a stamp of before that says otherwise is not to be believed
                    case when counted_since >= statements_at then 'remade' else 'doubtful' end
                when number_before = statements_number and ({has_fallen}) then
                    case when life.queryid is null then 'doubtful' else 'remade' end
                when is_stamped and counted_since is not null then
                    case when counted_since >= statements_at then 'made' else 'doubtful' end
                -- all that its counters hold is new only if it was really not there before: it may have been out of
                -- sight, or be of a role or database that was renamed
                when not sees_alike then 'doubtful'
                when life.queryid is null and coalesce(owner.has_open, false) then 'doubtful'
                when coalesce(owner.has_hidden, false) then 'doubtful'
                when exists (
                    from lost
                    where lost.number = life.number and lost.queryid = life.queryid and lost.calls <= life.calls
                        and (lost.database = life.database or lost.role = life.role)
                ) then 'doubtful'
                else 'made'
            end as change
        from life
        join step on step.number = life.number
        left join owner
            on owner.number = step.statements_number and owner.database = life.database and owner.role = life.role
        """
    )

    kinds = {"planning_ms": "double", "execution_ms": "double", "squared_ms": "double"}

    def total(of: str) -> str:
        return ", ".join(f"sum({of.format(name)})::{kinds.get(name, 'bigint')} as {name}" for name in names)

    # never less than calls of the same length would give
    squared = "greatest(squared_ms, pow(execution_ms, 2) / nullif(calls, 0)) as squared_ms"
    raw.execute(
        f"""
        create or replace temp table now_statement_span as
        with part as (
            select
                step.bucket, now.database, now.fingerprint, {total("now.{0} - before.{0}")},
                bool_or(step.is_evicted and not step.is_stamped) as is_lower_bound
            {pairs}
            where {goes_on}
            group by step.bucket, now.database, now.fingerprint
            union all by name
            select
                bucket, database, fingerprint, {total("case when change in ('made', 'remade') then {0} else 0 end")},
                bool_or(change in ('remade', 'doubtful') or counts = 'reset' or is_evicted) as is_lower_bound
            from walked
            where change <> 'nothing'
            group by bucket, database, fingerprint
        ),
        whole as (
            select bucket, database, fingerprint, {total("{0}")}, bool_or(is_lower_bound) as is_lower_bound
            from part
            group by bucket, database, fingerprint
        ),
        stretch as (
            select bucket, min(started_at) as started_at, max(ended_at) as ended_at from step group by bucket
        )
        select started_at, ended_at, whole.* exclude (bucket) replace ({squared})
        from whole
        join stretch using (bucket)
        """
    )


def other_spans(raw: duckdb.DuckDBPyConnection) -> None:
    """Make `now_span`, `now_session_span` and `now_sequence_span`."""
    raw.execute(
        """
        create or replace temp table look as
        select number, count(distinct sampled_at) as looks from raw_activity group by number
        """
    )
    raw.execute(
        """
        create or replace temp table now_span as
        select
            started_at, ended_at, 'capture' as grain, 1::bigint as captures, covered_s,
            coalesce(looks, 0)::bigint as looks
        from step
        left join look using (number)
        """
    )
    raw.execute(
        """
        create or replace temp table now_session_span as
        with kind as (
            select
                number, database, role, application, state, wait_type, wait_event, count(*) as sessions,
                max(transaction_ms) as longest_transaction_ms
            from raw_activity
            where not is_own and leader_pid is null and coalesce(backend_type, 'client backend') = 'client backend'
            group by number, sampled_at, database, role, application, state, wait_type, wait_event
        )
        select
            started_at, ended_at, database, role, application, state, wait_type, wait_event,
            any_value(looks) as samples,
            sum(sessions) / any_value(looks) as mean_sessions,
            max(sessions) as most_sessions,
            max(longest_transaction_ms) as longest_transaction_ms
        from kind
        join look using (number)
        join step using (number)
        group by started_at, ended_at, database, role, application, state, wait_type, wait_event
        """
    )
    raw.execute(
        """
        create or replace temp table now_sequence_span as
        select started_at, ended_at, database, sequence, last_value
        from raw_relation_sequence
        join step using (number)
        """
    )
