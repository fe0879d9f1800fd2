"""Where gauges are heading: a robust line through what the history saw of each, and the day on which it ends.

A line goes only through the last stretch in which nothing was set back: a sequence that was restarted, a table that was
truncated, an age that a freeze brought down begin anew. Less than a day, or fewer than three points, is no trend.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from queryfit import words
from queryfit.history.slope import slope

if TYPE_CHECKING:
    from queryfit.evidence.engine import duckdb

FEWEST_POINTS = 3  # two are a line by themselves
LEAST_DAYS = 1.0  # less does not hold a night
MOST_POINTS = 120  # their 7,140 pairs take half a millisecond; more say hardly more
FARTHEST_DAYS = 36_500.0  # nobody plans for what is a hundred years away
_DAY_S = 86_400.0

# 2^31 transactions less the three million that are kept for the rescue; multixacts likewise
_LAST_AGE = 2_144_483_648
_LARGEST_TABLE_BYTES = 8192 * (2**32 - 1)

# `sign` turns what counts down round; `keeps` is the share below which a point begins a new stretch: what only grows
# was set back at any fall, a size has to lose a fifth (truncated, rewritten, a large table dropped)
_POINTS = f"""
    with sequence_limit as (
        select
            database,
            sequence,
            case when increment < 0 then -1 else 1 end as sign,
            case
                when is_cycling then null
                when increment < 0 then minimum_value
                when column_base_type = 'int4' then least(maximum_value, 2147483647)
                when column_base_type = 'int2' then least(maximum_value, 32767)
                else maximum_value
            end as limit_value
        from relation_sequence
    ),
    dropped as (
        select distinct database from server_event where kind = 'relation_dropped'
    ),
    reserved as (
        select sum(
            coalesce(value_number, try_cast(value as double)) * case when name = 'max_connections' then 1 else -1 end
        ) as usable
        from setting
        where name in ('max_connections', 'superuser_reserved_connections', 'reserved_connections')
        having count(*) filter (where name = 'max_connections') = 1
    ),
    point as (
        select
            'sequence' as kind,
            sequence_span.database,
            sequence as subject,
            'values' as unit,
            ended_at as seen_at,
            last_value::double as value,
            sign,
            1.0 as keeps,
            limit_value::double as limit_value,
            case limit_value
                when 32767 then 'int2'
                when 2147483647 then 'int4'
                when -2147483648 then 'int4'
                when 9223372036854775807 then 'int8'
                else case when sign < 0 then 'its MINVALUE' else 'its MAXVALUE' end
            end as limit_name
        from sequence_span
        join sequence_limit using (database, sequence)
        where last_value is not null

        union all

        -- partitions come and go: their sum is told where none went, since a dropped one leaves no trace of its root
        select
            'table_size', relation_span.database, relation.root, 'bytes', ended_at, sum(relation_span.size_bytes),
            1, 0.8,
            case when bool_and(relation.root = relation.relation) then {_LARGEST_TABLE_BYTES} end,
            case when bool_and(relation.root = relation.relation) then 'largest table' end
        from relation_span
        join relation using (database, relation)
        where relation_span.size_bytes is not null
            and (relation.root = relation.relation or relation_span.database not in (select database from dropped))
        group by relation_span.database, relation.root, ended_at

        union all

        select 'database_size', database, database, 'bytes', ended_at, size_bytes, 1, 0.8, null, null
        from database_span
        where size_bytes is not null

        union all

        select 'xid_age', database, database, 'xids', ended_at, age_xids, 1, 1.0, {_LAST_AGE}, 'wraparound'
        from database_span
        where age_xids is not null

        union all

        select
            'multixact_age', database, database, 'multixacts', ended_at, age_multixacts,
            1, 1.0, {_LAST_AGE}, 'wraparound'
        from database_span
        where age_multixacts is not null

        union all

        -- the most of each day, counted back from the end: nights and lunch hours are no trend
        select
            'connections', null, 'max_connections', 'connections', max(ended_at), max(connections), 1, 0.0,
            any_value(reserved.usable), 'max_connections'
        from (
            select ended_at, sum(coalesce(most_connections, connections)) as connections
            from database_span
            group by ended_at
        ) as span
        left join reserved on true  -- LEFT JOIN: settings may not be readable
        where connections is not null
        group by floor(epoch((select max(ended_at) from database_span) - ended_at) / {_DAY_S:.0f})
    ),
    compared as (
        select *, lag(value) over (partition by kind, database, subject order by seen_at) as before
        from point
    ),
    cut as (
        select
            *,
            max(case when sign * value < sign * before * keeps then seen_at end)
                over (partition by kind, database, subject) as fell_at
        from compared
    ),
    numbered as (
        select
            *,
            row_number() over (partition by kind, database, subject order by seen_at) as number,
            count(*) over (partition by kind, database, subject) as total
        from cut
        where fell_at is null or seen_at >= fell_at
    )
    select
        kind,
        database,
        subject,
        unit,
        any_value(sign) as sign,
        any_value(limit_value) as limit_value,
        any_value(limit_name) as limit_name,
        list(epoch(seen_at) order by seen_at) as times,
        list(value order by seen_at) as values
    from numbered
    where number in (1, total) or number * {MOST_POINTS - 2} // total <> (number - 1) * {MOST_POINTS - 2} // total
    group by kind, database, subject, unit
    order by kind, database, subject
"""


@dataclass(frozen=True, slots=True)
class Trend:
    """A row of the evidence table `trend`; times are naive UTC, slopes a day."""

    kind: str
    database: str | None
    subject: str
    unit: str
    first_at: datetime
    last_at: datetime
    points: int
    value: float
    per_day: float
    per_day_low: float
    per_day_high: float
    limit_value: float | None
    limit_name: str | None
    days_left: float | None
    days_left_low: float | None
    days_left_high: float | None


@dataclass(frozen=True, slots=True)
class Trends:
    """Rows of `trend`, and the rows of `unread` that say what there is no trend of."""

    rows: Sequence[Mapping[str, Any]]
    gaps: Sequence[Mapping[str, Any]]


def trends(raw: duckdb.DuckDBPyConnection) -> Trends:
    """The trends in a connection that holds the newest capture and the spans of a history."""
    cursor = raw.execute(_POINTS)
    names = [column[0] for column in cursor.description or ()]
    series = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    found = [entry for one in series if (entry := _trend(one)) is not None]
    return Trends([asdict(entry) for entry in found], list(_gaps(raw, {entry.kind for entry in found})))


def _trend(series: Mapping[str, Any]) -> Trend | None:
    """The trend of one gauge; None where there is too little to see one."""
    days = [second / _DAY_S for second in series["times"]]
    values = [float(value) for value in series["values"]]
    if len(days) < FEWEST_POINTS or days[-1] - days[0] < LEAST_DAYS:
        return None
    line = slope(days, values, accumulates=series["kind"] != "connections")
    limit, sign = series["limit_value"], series["sign"]
    rates = (line.value, line.high, line.low) if sign > 0 else (-line.value, -line.low, -line.high)
    left, low, high = (_days_left(sign * (limit - values[-1]), rate) if limit is not None else None for rate in rates)
    return Trend(
        kind=series["kind"],
        database=series["database"],
        subject=series["subject"],
        unit=series["unit"],
        first_at=_utc(series["times"][0]),
        last_at=_utc(series["times"][-1]),
        points=len(days),
        value=values[-1],
        per_day=line.value,
        per_day_low=line.low,
        per_day_high=line.high,
        limit_value=limit,
        limit_name=series["limit_name"] if limit is not None else None,
        days_left=left,
        days_left_low=low,
        days_left_high=high,
    )


def _days_left(room: float, per_day: float) -> float | None:
    """Days until the room is used up; None where it never is, or nobody living will see it."""
    if room <= 0:
        return 0.0
    return room / per_day if per_day > 0 and room / per_day <= FARTHEST_DAYS else None


def _gaps(raw: duckdb.DuckDBPyConnection, found: set[str]) -> Iterator[dict[str, Any]]:
    """What the history is too short for, a kind of thing at a time."""
    row = raw.execute(
        "select count(distinct ended_at), min(started_at), min(ended_at), max(ended_at) from span"
    ).fetchone()
    points, start, first, last = row or (0, None, None, None)
    days = (last - first).total_seconds() / _DAY_S if points else 0.0
    watched = words.duration((last - start).total_seconds() * 1000 if points else 0)
    if points < FEWEST_POINTS or days < LEAST_DAYS:
        yield _gap(
            f"the history has {'1 stretch' if points == 1 else f'{points} stretches'} in {watched}; a trend needs"
            f" {FEWEST_POINTS} over a day",
            "let `queryfit capture` run every few minutes; `queryfit schedule` sets that up",
        )
        return
    if "table_size" not in found:
        yield _gap(
            f"sizes of tables come from full captures, and fewer than {FEWEST_POINTS} of them lie in the history",
            "take a full capture once a day",
        )


def _gap(reason: str, hint: str) -> dict[str, Any]:
    return {"table_name": "trend", "database": None, "subject": None, "reason": reason, "hint": hint}


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
