"""Indexes and tables of a period: how they were used, and how they grew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from queryfit.evidence.session import Session
from queryfit.report.model import Indexes, IndexUse, TableGrowth
from queryfit.report.periods import Periods

MOST_INDEXES = 12
MOST_TABLES = 15
_MOST_DAYS = 62

_INDEXES = """
    with used as (
        select
            database,
            index,
            sum(scans) filter (where started_at >= $since) as scans,
            sum(scans) filter (where started_at < $since) as scans_before
        from index_span
        where started_at >= $since_before and ended_at <= $until
        group by database, index
    ),
    added as (
        select database, subject as index, max(happened_at) as added_at
        from server_event
        where kind = 'index_added' and happened_at > $since
        group by database, subject
    )
    select
        idx.database,
        idx.relation,
        idx.index,
        idx.key_columns as columns,
        idx.size_bytes,
        used.scans,
        used.scans_before,
        idx.is_primary or idx.is_unique or idx.is_exclusion or idx.is_referenced or idx.constraint_name is not null
            or idx.parent_index is not null as is_constraint,
        added.added_at
    from relation_index as idx
    left join used on used.database = idx.database and used.index = idx.index  -- LEFT JOIN: no counters were read
    left join added on added.database = idx.database and added.index = idx.index
    where idx.relation not like 'pg\\_%' escape '\\'
    order by idx.database, idx.relation, idx.index
"""
_TABLES = """
    with total as (
        select
            database,
            relation,
            coalesce(sum(inserted_rows) filter (where started_at >= $since), 0) as inserted_rows,
            coalesce(sum(updated_rows) filter (where started_at >= $since), 0) as updated_rows,
            coalesce(sum(deleted_rows) filter (where started_at >= $since), 0) as deleted_rows,
            arg_max(live_rows, ended_at) as live_rows,
            arg_max(dead_rows, ended_at) as dead_rows,
            coalesce(bool_or(is_lower_bound) filter (where started_at >= $since), false) as is_lower_bound,
            arg_max(size_bytes, ended_at) filter (where size_bytes is not null) as size_bytes,
            arg_max(index_bytes, ended_at) filter (where size_bytes is not null) as index_bytes,
            max(ended_at) filter (where size_bytes is not null) as sized_at,
            -- the last size that is not of the period, else the first one in it
            coalesce(
                max(ended_at) filter (where size_bytes is not null and ended_at <= $since),
                min(ended_at) filter (where size_bytes is not null)
            ) as sized_first_at
        from relation_span
        where started_at >= $since_before and ended_at <= $until
        group by database, relation
    )
    select
        total.*,
        total.size_bytes + coalesce(total.index_bytes, 0) - first.size_bytes - coalesce(first.index_bytes, 0)
            as grown_bytes,
        epoch(sized_at - sized_first_at) as grown_s
    from total
    left join relation_span as first  -- LEFT JOIN: no full capture has seen its size
        on first.database = total.database and first.relation = total.relation and first.ended_at = sized_first_at
    order by abs(coalesce(grown_bytes, 0)) desc, total.size_bytes desc nulls last, total.database, total.relation
    limit $most
"""
_SIZES = """
    select database, relation, ended_at::date as day, arg_max(size_bytes + coalesce(index_bytes, 0), ended_at)
    from relation_span
    where started_at >= $since and ended_at <= $until and size_bytes is not null
        and relation in (select unnest($relations::varchar[]))
    group by database, relation, day
    order by day
"""


def indexes(session: Session, periods: Periods) -> Indexes:
    """Every index of the newest capture with its use in the period."""
    rows = list(session.query(_INDEXES, _between(periods)).mappings())
    found = [IndexUse(**row) for row in rows]
    unused = sorted(
        (entry for entry in found if entry.scans == 0 and not entry.is_constraint and entry.added_at is None),
        key=lambda entry: (-(entry.size_bytes or 0), entry.index),
    )
    used = sorted((entry for entry in found if entry.scans), key=lambda entry: (-(entry.scans or 0), entry.index))
    new = sorted((e for e in found if e.added_at is not None), key=lambda entry: (entry.added_at, entry.index))
    return Indexes(
        total=len(found),
        unused=unused[:MOST_INDEXES],
        unused_total=len(unused),
        unused_bytes=sum(entry.size_bytes or 0 for entry in unused),
        new=new[:MOST_INDEXES],
        most_used=used[:MOST_INDEXES],
    )


def _between(periods: Periods) -> dict[str, object]:
    names = ("since", "until", "since_before")
    return {name: value for name, value in periods.parameters.items() if name in names}


def tables(session: Session, periods: Periods) -> list[TableGrowth]:
    """The tables that grew or shrank most, then the largest."""
    rows = list(session.query(_TABLES, {**_between(periods), "most": MOST_TABLES}).mappings())
    sizes = _sizes(session, periods, sorted({row["relation"] for row in rows}))
    return [_table(row, sizes.get((row["database"], row["relation"]), {})) for row in rows]


def _sizes(
    session: Session, periods: Periods, relations: Sequence[str]
) -> Mapping[tuple[str, str], Mapping[date, float]]:
    found: dict[tuple[str, str], dict[date, float]] = defaultdict(dict)
    between = {"since": periods.now.since, "until": periods.now.until, "relations": relations}
    for database, relation, day, size in session.query(_SIZES, between).rows:
        found[database, relation][day] = float(size)
    return found


def _table(row: Mapping[str, Any], sizes: Mapping[date, float]) -> TableGrowth:
    has_two = bool(row["grown_s"])
    return TableGrowth(
        database=row["database"],
        relation=row["relation"],
        size_bytes=row["size_bytes"],
        index_bytes=row["index_bytes"],
        grown_bytes=row["grown_bytes"] if has_two else None,
        grown_s=row["grown_s"] if has_two else None,
        live_rows=_rows(row),
        dead_rows=row["dead_rows"],
        inserted_rows=int(row["inserted_rows"]),
        updated_rows=int(row["updated_rows"]),
        deleted_rows=int(row["deleted_rows"]),
        is_lower_bound=row["is_lower_bound"],
        trend=_by_day(sizes),
    )


def _rows(row: Mapping[str, Any]) -> int | None:
    """Live rows as the server counts them: after a crash it knows of none until the table is vacuumed or analyzed."""
    rows, size = row["live_rows"], row["size_bytes"]
    return None if rows == 0 and size else rows


def _by_day(sizes: Mapping[date, float]) -> list[float | None]:
    if not sizes:
        return []
    first, last = min(sizes), max(sizes)
    days = range(min((last - first).days + 1, _MOST_DAYS))
    return [sizes.get(date.fromordinal(last.toordinal() - len(days) + 1 + day)) for day in days]
