"""Indexes of one database and their columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from queryfit.capture.scope import NAME, WANTED

if TYPE_CHECKING:
    from queryfit.capture.scope import Scope

Row = dict[str, Any]

INDEXES = f"""
    with backed as (
        select distinct on (conindid) conindid, conname
        from pg_constraint
        where contype in ('p', 'u', 'x')
        order by conindid, oid
    ),
    referenced as (
        select distinct conindid from pg_constraint where contype = 'f'
    )
    select
        current_database()::text as database,
        {NAME} as relation,
        quote_ident(ixn.nspname) || '.' || quote_ident(ix.relname) as index,
        ix.oid::int8 as index_oid,
        am.amname::text as access_method,
        case
            when i.indpred is null or c.oid::int8 = any ($3::int8[]) or $4::bool then null
            else pg_get_expr(i.indpred, i.indrelid)
        end as predicate,
        i.indisunique as is_unique,
        {{nulls_distinct}} as is_nulls_distinct,
        i.indisprimary as is_primary,
        i.indisexclusion as is_exclusion,
        i.indisvalid as is_valid,
        i.indisready as is_ready,
        i.indisreplident as is_replica_identity,
        i.indisclustered as is_clustered,
        i.indexprs is not null as has_expressions,
        backed.conname::text as constraint_name,
        referenced.conindid is not null as is_referenced,
        case when pix.oid is not null then quote_ident(pixn.nspname) || '.' || quote_ident(pix.relname)
        end as parent_index,
        case
            when ix.relkind = 'I' then null
            when ix.oid::int8 = any ($3::int8[]) or $4::bool then ix.relpages * current_setting('block_size')::int8
            else pg_relation_size(ix.oid)
        end as size_bytes,
        ix.relkind <> 'I' and (ix.oid::int8 = any ($3::int8[]) or $4::bool) as is_size_estimated,
        ix.relpages::int8 as pages,
        nullif(ix.reltuples, -1)::float8 as tuple_rows,
        array_to_string(ix.reloptions, ', ') as options,
        ix.reloptions::text[] as option_list,
        ts.spcname::text as tablespace,
        e.extname::text as extension,
        case
            when c.oid::int8 = any ($3::int8[]) or $4::bool then ''
            else coalesce(pg_get_indexdef(ix.oid), '')
        end as definition
    from pg_index as i
    join pg_class as ix on ix.oid = i.indexrelid
    join pg_namespace as ixn on ixn.oid = ix.relnamespace
    join pg_am as am on am.oid = ix.relam
    join pg_class as c on c.oid = i.indrelid
    join pg_namespace as n on n.oid = c.relnamespace
    left join backed on backed.conindid = i.indexrelid
    left join referenced on referenced.conindid = i.indexrelid
    left join pg_tablespace as ts on ts.oid = ix.reltablespace
    left join pg_inherits as ih on ih.inhrelid = i.indexrelid
    left join pg_class as pix on pix.oid = ih.inhparent
    left join pg_namespace as pixn on pixn.oid = pix.relnamespace
    left join pg_depend as d
        on d.classid = 'pg_class'::regclass and d.objid = i.indexrelid and d.objsubid = 0 and d.deptype = 'e'
    left join pg_extension as e on e.oid = d.refobjid
    where {WANTED}
"""

INDEX_COLUMNS = f"""
    select
        current_database()::text as database,
        {NAME} as relation,
        quote_ident(ixn.nspname) || '.' || quote_ident(ix.relname) as index,
        u.position::int4 as position,
        u.position <= i.indnkeyatts as is_key,
        case when u.attnum <> 0 then a.attname::text end as column_name,
        case
            when u.attnum <> 0 then quote_ident(a.attname)
            when c.oid::int8 = any ($3::int8[]) or $4::bool then '?'
            else pg_get_indexdef(i.indexrelid, u.position::int4, false)
        end as key,
        oc.opcname::text as operator_class,
        i.indclass[u.position - 1]::int8 as operator_class_oid,
        i.indcollation[u.position - 1]::int8 as collation_oid,
        coalesce(i.indoption[u.position - 1]::int4 & 1, 0) = 1 as is_descending,
        coalesce(i.indoption[u.position - 1]::int4 & 2, 0) = 2 as is_nulls_first,
        nullif(ia.attstattarget, -1)::int4 as statistics_target
    from pg_index as i
    join pg_class as ix on ix.oid = i.indexrelid
    join pg_namespace as ixn on ixn.oid = ix.relnamespace
    join pg_class as c on c.oid = i.indrelid
    join pg_namespace as n on n.oid = c.relnamespace
    cross join lateral unnest(i.indkey::int2[]) with ordinality as u (attnum, position)
    left join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = u.attnum and u.attnum <> 0
    left join pg_attribute as ia on ia.attrelid = i.indexrelid and ia.attnum = u.position and u.attnum = 0
    left join pg_opclass as oc on oc.oid = i.indclass[u.position - 1] and u.position <= i.indnkeyatts
    where {WANTED}
    order by i.indexrelid, u.position
"""


def read_indexes(scope: Scope) -> tuple[list[Row], list[Row]]:
    """Rows of the evidence tables `relation_index` and `index_column`."""
    nulls_distinct = "not i.indnullsnotdistinct" if scope.is_at_least(15) else "true"
    indexes = scope.read_locking("relation_index", INDEXES.format(nulls_distinct=nulls_distinct))
    columns = scope.read_locking("index_column", INDEX_COLUMNS)
    keys: dict[str, list[str]] = {}
    included: dict[str, list[str]] = {}
    signatures: dict[str, list[str]] = {}
    for row in columns:
        key, opclass, collation = row.pop("key"), row.pop("operator_class_oid"), row.pop("collation_oid")
        row["expression"] = key if row["column_name"] is None else None
        if row["is_key"]:
            keys.setdefault(row["index"], []).append(key)
            direction = f"{'d' if row['is_descending'] else 'a'}{'f' if row['is_nulls_first'] else 'l'}"
            signatures.setdefault(row["index"], []).append(f"{key} {opclass} {collation} {direction}")
        else:
            included.setdefault(row["index"], []).append(key)
    estimated = [row["index"] for row in indexes if row.pop("is_size_estimated")]
    scope.closed_by_locks("relation_index", estimated, of=len(indexes))
    for row in indexes:
        name = row["index"]
        options = dict(option.partition("=")[::2] for option in row.pop("option_list") or ())
        row["fill_factor"] = int(options["fillfactor"]) if "fillfactor" in options else None
        row["key_columns"] = ", ".join(keys.get(name, ()))
        row["included_columns"] = ", ".join(included[name]) if name in included else None
        row["key_signature"] = ", ".join(signatures.get(name, ()))
    return indexes, columns
