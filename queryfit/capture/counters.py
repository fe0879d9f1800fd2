"""Cumulative counters of one database's relations, and its sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from queryfit.capture import remedies
from queryfit.capture.scope import NAME, WANTED

if TYPE_CHECKING:
    from queryfit.capture.scope import Scope

Row = dict[str, Any]

RELATION_COUNTERS = f"""
    select
        current_database()::text as database,
        {NAME} as relation,
        s.seq_scan as sequential_scans,
        s.seq_tup_read as sequential_rows,
        s.idx_scan as index_scans,
        s.idx_tup_fetch as index_rows,
        s.n_tup_ins as inserted_rows,
        s.n_tup_upd as updated_rows,
        s.n_tup_del as deleted_rows,
        s.n_tup_hot_upd as hot_updated_rows,
        {{new_page}} as new_page_updated_rows,
        s.n_live_tup as live_rows,
        s.n_dead_tup as dead_rows,
        s.n_mod_since_analyze as rows_since_analyze,
        s.n_ins_since_vacuum as rows_since_vacuum,
        greatest(s.last_vacuum, s.last_autovacuum) at time zone 'UTC' as vacuumed_at,
        greatest(s.last_analyze, s.last_autoanalyze) at time zone 'UTC' as analyzed_at,
        s.autovacuum_count as autovacuums,
        {{last_seq}} at time zone 'UTC' as sequential_scanned_at,
        {{last_idx}} at time zone 'UTC' as index_scanned_at,
        pg_stat_get_blocks_fetched(c.oid) - pg_stat_get_blocks_hit(c.oid) as heap_blocks_read,
        pg_stat_get_blocks_hit(c.oid) as heap_blocks_hit
    from pg_stat_all_tables as s
    join pg_class as c on c.oid = s.relid
    join pg_namespace as n on n.oid = c.relnamespace
    where {WANTED}
"""

INDEX_COUNTERS = f"""
    select
        current_database()::text as database,
        {NAME} as relation,
        quote_ident(ixn.nspname) || '.' || quote_ident(ix.relname) as index,
        pg_stat_get_numscans(ix.oid) as scans,
        pg_stat_get_tuples_returned(ix.oid) as read_rows,
        pg_stat_get_tuples_fetched(ix.oid) as fetched_rows,
        {{last_scan}} at time zone 'UTC' as scanned_at
    from pg_index as i
    join pg_class as ix on ix.oid = i.indexrelid and ix.relkind = 'i'
    join pg_namespace as ixn on ixn.oid = ix.relnamespace
    join pg_class as c on c.oid = i.indrelid
    join pg_namespace as n on n.oid = c.relnamespace
    where {WANTED}
"""

SEQUENCES = f"""
    with feeds as (
        -- owned sequences (a: serial, i: identity) and, failing that, nextval() in a column's default
        select distinct on (sequence) sequence, relid, attnum, is_identity
        from (
            select objid as sequence, refobjid as relid, refobjsubid as attnum, deptype = 'i' as is_identity, 0 as rank
            from pg_depend
            where classid = 'pg_class'::regclass and refclassid = 'pg_class'::regclass
                and deptype in ('a', 'i') and refobjsubid > 0
            union all
            select d.refobjid, def.adrelid, def.adnum, false, 1
            from pg_attrdef as def
            join pg_depend as d on d.classid = 'pg_attrdef'::regclass and d.objid = def.oid
                and d.refclassid = 'pg_class'::regclass and d.deptype = 'n'
        ) as candidate
        order by sequence, rank, relid, attnum
    )
    select
        current_database()::text as database,
        {NAME} as sequence,
        format_type(q.seqtypid, null) as type,
        case when readable.is_open then pg_sequence_last_value(c.oid) end as last_value,
        readable.is_open as is_readable,
        readable.is_permitted,
        n.nspname::text as schema,
        q.seqincrement as increment,
        q.seqmin as minimum_value,
        q.seqmax as maximum_value,
        q.seqcycle as is_cycling,
        case when f.oid is not null then quote_ident(fn.nspname) || '.' || quote_ident(f.relname) end as relation,
        a.attname::text as column_name,
        t.typname::text as column_base_type,
        coalesce(feeds.is_identity, false) as is_identity
    from pg_sequence as q
    join pg_class as c on c.oid = q.seqrelid
    join pg_namespace as n on n.oid = c.relnamespace
    cross join lateral (
        select
            permission.is_permitted,
            permission.is_permitted
                and c.oid::int8 <> all ($3::int8[]) and not $4::bool
                -- an unlogged sequence has no file on a standby
                and not (pg_is_in_recovery() and c.relpersistence = 'u') as is_open
        from (select has_sequence_privilege(c.oid, 'usage,select') as is_permitted) as permission
    ) as readable
    left join feeds on feeds.sequence = c.oid
    left join pg_class as f on f.oid = feeds.relid and f.relkind in ('r', 'p', 'f')
    left join pg_namespace as fn on fn.oid = f.relnamespace
    left join pg_attribute as a on a.attrelid = f.oid and a.attnum = feeds.attnum
    left join pg_type as t on t.oid = a.atttypid
    where {WANTED}
"""


def read_relation_counters(scope: Scope) -> list[Row]:
    """Rows of the evidence table `relation_counter`."""
    has_scan_times = scope.is_at_least(16)
    return scope.read_wanted(
        "relation_counter",
        RELATION_COUNTERS.format(
            new_page="s.n_tup_newpage_upd" if has_scan_times else "null::int8",
            last_seq="s.last_seq_scan" if has_scan_times else "null::timestamptz",
            last_idx="s.last_idx_scan" if has_scan_times else "null::timestamptz",
        ),
    )


def read_index_counters(scope: Scope) -> list[Row]:
    """Rows of the evidence table `index_counter`."""
    last_scan = "pg_stat_get_lastscan(ix.oid)" if scope.is_at_least(16) else "null::timestamptz"
    return scope.read_wanted("index_counter", INDEX_COUNTERS.format(last_scan=last_scan))


def read_sequences(scope: Scope) -> list[Row]:
    """Rows of the evidence table `relation_sequence`; a value that is hidden is recorded as unread."""
    rows = scope.read_locking("relation_sequence", SEQUENCES, sequences=True)
    denied = {row["sequence"]: row["schema"] for row in rows if not row["is_permitted"]}
    grant = remedies.read_everything(scope.role, scope.major, sorted(set(denied.values())))
    all_denied = len(denied) == len(rows) and len(denied) > 1
    if all_denied:
        scope.gaps.add(
            "relation_sequence",
            f"the role may read the value of none of the {len(rows)} sequences",
            hint=grant,
            database=scope.database,
        )
    for row in rows:
        is_permitted = row.pop("is_permitted")
        del row["schema"]
        if row["is_readable"] or (all_denied and not is_permitted):
            continue
        scope.gaps.add(
            "relation_sequence",
            "another session holds a lock on it, or it does not exist on a standby"
            if is_permitted
            else "the role may not read its value",
            hint="capture again later" if is_permitted else grant,
            database=scope.database,
            subject=row["sequence"],
        )
    return rows
