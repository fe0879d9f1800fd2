"""Relations, columns and constraints of one database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from queryfit.capture.scope import NAME, WANTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from queryfit.capture.scope import Scope

Row = dict[str, Any]

_KINDS = """
    case c.relkind
        when 'r' then 'table' when 'p' then 'partitioned_table' when 'v' then 'view'
        when 'm' then 'materialized_view' else 'foreign_table'
    end
"""

# Enough to resolve the names of statements: what a sample reads in place of the whole catalog.
NAMES = f"""
    select {NAME} as relation, n.nspname::text as schema, c.relname::text as name, {_KINDS} as kind,
        c.oid::int8 as relation_oid
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f') and {WANTED}
"""
COLUMN_NAMES = f"""
    select {NAME} as relation, a.attnum::int4 as position, a.attname::text as column_name
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    join pg_attribute as a on a.attrelid = c.oid
    where c.relkind in ('r', 'p', 'v', 'm', 'f') and a.attnum > 0 and not a.attisdropped and {WANTED}
"""

RELATIONS = f"""
    with file as materialized (
        select
            oid,
            relpages * current_setting('block_size')::int8 as estimate,
            case
                when oid::int8 = any ($3::int8[]) or $4::bool then null
                else pg_relation_size(oid)
            end as bytes
        from pg_class
        where relkind in ('r', 'm', 'i', 't')
    ),
    indexes as (
        select indrelid, sum(coalesce(file.bytes, file.estimate))::int8 as bytes
        from pg_index
        join file on file.oid = pg_index.indexrelid
        group by indrelid
    ),
    parent as (
        select i.inhrelid, array_agg({NAME} order by i.inhseqno) as relations
        from pg_inherits as i
        join pg_class as c on c.oid = i.inhparent
        join pg_namespace as n on n.oid = c.relnamespace
        group by i.inhrelid
    ),
    triggers as (
        select distinct tgrelid from pg_trigger where not tgisinternal
    ),
    -- pg_get_viewdef() locks the relations that a view reads
    closed_view as (
        select distinct r.ev_class
        from pg_rewrite as r
        join pg_depend as d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
        where d.refclassid = 'pg_class'::regclass and d.refobjid::int8 = any ($3::int8[])
    )
    select
        current_database()::text as database,
        {NAME} as relation,
        n.nspname::text as schema,
        c.relname::text as name,
        c.oid::int8 as relation_oid,
        {_KINDS} as kind,
        case c.relpersistence when 'p' then 'permanent' when 'u' then 'unlogged' else 'temporary' end as persistence,
        pg_get_userbyid(c.relowner)::text as owner,
        parent.relations[1] as parent,
        array_to_string(parent.relations, ', ') as parents,
        c.relispartition as is_partition,
        case p.partstrat when 'r' then 'range' when 'l' then 'list' when 'h' then 'hash' end as partition_strategy,
        case
            when c.relkind <> 'p' or c.oid::int8 = any ($3::int8[]) or $4::bool then null
            else pg_get_partkeydef(c.oid)
        end as partition_key,
        case
            when not c.relispartition or c.oid::int8 = any ($3::int8[]) or $4::bool then null
            else pg_get_expr(c.relpartbound, c.oid)
        end as partition_bound,
        nullif(c.reltuples, -1)::float8 as tuple_rows,
        c.relpages::int8 as pages,
        c.relallvisible::int8 as all_visible_pages,
        coalesce(file.bytes, file.estimate) as size_bytes,
        case when c.reltoastrelid <> 0 then coalesce(toast.bytes, toast.estimate) + coalesce(toast_indexes.bytes, 0)
        end as toast_bytes,
        indexes.bytes as index_bytes,
        c.relkind in ('r', 'm') and file.bytes is null as is_size_estimated,
        array_to_string(c.reloptions, ', ') as options,
        c.reloptions::text[] as option_list,
        ts.spcname::text as tablespace,
        am.amname::text as table_access_method,
        case when c.reloftype <> 0 then format_type(c.reloftype, null) end as row_type,
        fs.srvname::text as foreign_server,
        nullif(age(c.relfrozenxid), 2147483647)::int8 as age_xids,
        case when c.relminmxid <> '0'::xid then mxid_age(c.relminmxid)::int8 end as age_multixacts,
        case
            when c.relkind not in ('r', 'm', 'p') then null
            else case c.relreplident
                when 'd' then 'default' when 'n' then 'nothing' when 'f' then 'full' when 'i' then 'index'
            end
        end as replica_identity,
        c.relrowsecurity as has_row_security,
        c.relforcerowsecurity as has_forced_row_security,
        triggers.tgrelid is not null as has_triggers,
        e.extname::text as extension,
        case
            when c.relkind not in ('v', 'm') or closed_view.ev_class is not null or c.oid::int8 = any ($3::int8[])
                or $4::bool then null
            else pg_get_viewdef(c.oid)
        end as definition
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    left join pg_partitioned_table as p on p.partrelid = c.oid
    left join file on file.oid = c.oid
    left join file as toast on toast.oid = c.reltoastrelid
    left join indexes as toast_indexes on toast_indexes.indrelid = c.reltoastrelid
    left join indexes on indexes.indrelid = c.oid
    left join parent on parent.inhrelid = c.oid
    left join triggers on triggers.tgrelid = c.oid
    left join pg_tablespace as ts on ts.oid = c.reltablespace
    left join pg_am as am on am.oid = c.relam
    left join pg_foreign_table as ft on ft.ftrelid = c.oid
    left join pg_foreign_server as fs on fs.oid = ft.ftserver
    left join closed_view on closed_view.ev_class = c.oid
    left join pg_depend as d
        on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.objsubid = 0 and d.deptype = 'e'
    left join pg_extension as e on e.oid = d.refobjid
    where c.relkind in ('r', 'p', 'v', 'm', 'f') and {WANTED}
"""

COLUMNS = f"""
    with recursive bottom (type, base) as (
        -- a domain may be over a domain: the type below all of them
        select oid, oid from pg_type where typtype <> 'd'
        union all
        select t.oid, bottom.base
        from pg_type as t
        join bottom on bottom.type = t.typbasetype
        where t.typtype = 'd'
    ),
    -- the default B-tree of a type has function 4, which does not deny it: it did not always say the same of char(n)
    btree (type, is_alike) as materialized (
        select o.opcintype, p.oid is not null and btequalimage(o.opcintype)
        from pg_opclass as o
        join pg_am as am on am.oid = o.opcmethod and am.amname = 'btree'
        left join pg_amproc as p on p.amprocfamily = o.opcfamily and p.amproclefttype = o.opcintype
            and p.amprocrighttype = o.opcintype and p.amprocnum = 4
        where o.opcdefault
    ),
    alike as materialized (
        select type from btree where is_alike
        union
        select oid from pg_type where typtype = 'e'
        union
        -- one without a B-tree of its own takes that of a type that is stored alike: varchar, cidr
        select k.castsource
        from pg_cast as k
        join btree on btree.type = k.casttarget and btree.is_alike
        where k.castmethod = 'b' and k.castcontext = 'i' and k.castsource not in (select type from btree)
    )
    select
        current_database()::text as database,
        {NAME} as relation,
        a.attname::text as column_name,
        a.attnum::int4 as position,
        format_type(a.atttypid, a.atttypmod) as type,
        b.typname::text as base_type,
        tn.nspname::text as type_schema,
        b.typcategory::text as type_category,
        alike.type is not null as has_equal_images,
        case when a.attcollation <> t.typcollation then co.collname::text end as collation_name,
        case when a.attcollation <> t.typcollation then con.nspname::text end as collation_schema,
        a.attnotnull as is_not_null,
        case
            when def.adbin is null or c.oid::int8 = any ($3::int8[]) or $4::bool then null
            else pg_get_expr(def.adbin, def.adrelid)
        end as default_expression,
        case a.attidentity when 'a' then 'always' when 'd' then 'default' end as identity,
        case a.attgenerated when 's' then 'stored' when 'v' then 'virtual' end as generated,
        nullif(a.attstattarget, -1)::int4 as statistics_target
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    join pg_attribute as a on a.attrelid = c.oid
    join pg_type as t on t.oid = a.atttypid
    join pg_namespace as tn on tn.oid = t.typnamespace
    join bottom on bottom.type = t.oid
    join pg_type as b on b.oid = bottom.base
    left join alike on alike.type = b.oid
    left join pg_collation as co on co.oid = a.attcollation
    left join pg_namespace as con on con.oid = co.collnamespace
    left join pg_attrdef as def on def.adrelid = c.oid and def.adnum = a.attnum
    where c.relkind in ('r', 'p', 'v', 'm', 'f') and a.attnum > 0 and not a.attisdropped and {WANTED}
"""

_ACTIONS = """
    case {column}
        when 'a' then 'no action' when 'r' then 'restrict' when 'c' then 'cascade'
        when 'n' then 'set null' when 'd' then 'set default'
    end
"""

CONSTRAINTS = f"""
    select
        k.oid::int8 as constraint_oid,
        current_database()::text as database,
        {NAME} as relation,
        k.conname::text as constraint_name,
        case k.contype
            when 'p' then 'primary_key' when 'f' then 'foreign_key' when 'u' then 'unique' when 'c' then 'check'
            when 'x' then 'exclusion' when 'n' then 'not_null'
        end as kind,
        case when f.oid is not null then quote_ident(fn.nspname) || '.' || quote_ident(f.relname)
        end as referenced_relation,
        case when ix.oid is not null then quote_ident(ixn.nspname) || '.' || quote_ident(ix.relname) end as index,
        k.convalidated as is_validated,
        {{enforced}} as is_enforced,
        k.condeferrable as is_deferrable,
        k.conparentid <> 0 or (k.coninhcount > 0 and not k.conislocal) as is_inherited,
        {_ACTIONS.format(column="k.confdeltype")} as on_delete,
        {_ACTIONS.format(column="k.confupdtype")} as on_update,
        case when c.oid::int8 = any ($3::int8[]) or k.confrelid::int8 = any ($3::int8[]) or $4::bool then ''
            else coalesce(pg_get_constraintdef(k.oid), '') end as definition
    from pg_constraint as k
    join pg_class as c on c.oid = k.conrelid
    join pg_namespace as n on n.oid = c.relnamespace
    left join pg_class as f on f.oid = k.confrelid and k.contype = 'f'
    left join pg_namespace as fn on fn.oid = f.relnamespace
    left join pg_class as ix on ix.oid = k.conindid
    left join pg_namespace as ixn on ixn.oid = ix.relnamespace
    where k.contype in ('p', 'f', 'u', 'c', 'x', 'n') and {WANTED}
"""

CONSTRAINT_COLUMNS = f"""
    with recursive bottom (type, base) as (
        select oid, oid from pg_type where typtype <> 'd'
        union all
        select t.oid, bottom.base
        from pg_type as t
        join bottom on bottom.type = t.typbasetype
        where t.typtype = 'd'
    )
    select
        k.oid::int8 as constraint_oid,
        current_database()::text as database,
        {NAME} as relation,
        k.conname::text as constraint_name,
        u.position::int4 as position,
        a.attname::text as column_name,
        quote_ident(a.attname) as quoted,
        format_type(a.atttypid, a.atttypmod) as type,
        b.typname::text as base_type,
        fa.attname::text as referenced_column,
        quote_ident(fa.attname) as referenced_quoted,
        format_type(fa.atttypid, fa.atttypmod) as referenced_type,
        fb.typname::text as referenced_base_type
    from pg_constraint as k
    join pg_class as c on c.oid = k.conrelid
    join pg_namespace as n on n.oid = c.relnamespace
    cross join lateral unnest(k.conkey, k.confkey) with ordinality as u (attnum, referenced, position)
    join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = u.attnum
    join bottom on bottom.type = a.atttypid
    join pg_type as b on b.oid = bottom.base
    left join pg_attribute as fa on fa.attrelid = k.confrelid and fa.attnum = u.referenced and k.contype = 'f'
    left join bottom as fbottom on fbottom.type = fa.atttypid
    left join pg_type as fb on fb.oid = fbottom.base
    where k.contype in ('p', 'f', 'u', 'c', 'x', 'n') and {WANTED}
    order by k.oid, u.position
"""

EXTENSIONS = """
    select current_database()::text as database, e.extname::text as extension, e.extversion::text as version,
        n.nspname::text as schema, e.extrelocatable as is_relocatable
    from pg_extension as e
    join pg_namespace as n on n.oid = e.extnamespace
"""


def read_relations(scope: Scope, settings: Mapping[str, str | None]) -> list[Row]:
    """Rows of the evidence table `relation`; `settings` are the server's, by name."""
    rows = scope.read_locking("relation", RELATIONS)
    parents = {row["relation"]: row["parent"] for row in rows if row["is_partition"]}
    files = [row for row in rows if row["kind"] in {"table", "materialized_view"}]
    estimated = [row["relation"] for row in files if row["is_size_estimated"]]
    scope.closed_by_locks("relation", estimated, of=len(files))
    for row in rows:
        row["root"] = _root(row["relation"], parents)
        options = dict(option.partition("=")[::2] for option in row.pop("option_list") or ())
        row.update(_storage(row, options, settings))
    return rows


def _root(relation: str, parents: Mapping[str, str | None]) -> str:
    while parent := parents.get(relation):
        relation = parent
    return relation


def _storage(row: Row, options: Mapping[str, str], settings: Mapping[str, str | None]) -> Row:
    """Storage parameters, and the autovacuum thresholds that follow from them; null for what is never vacuumed."""
    enabled = options.get("autovacuum_enabled")
    found: Row = {
        "fill_factor": int(options["fillfactor"]) if "fillfactor" in options else None,
        "parallel_workers": int(options["parallel_workers"]) if "parallel_workers" in options else None,
        "is_autovacuum_enabled": None if enabled is None else enabled.lower() in {"true", "on", "yes", "1", "t", "y"},
    }
    if row["kind"] not in {"table", "materialized_view"}:
        return found

    def number(name: str) -> float | None:
        value = options.get(name, settings.get(name))
        return None if value is None else float(value)

    rows = row["tuple_rows"] or 0.0
    threshold, scale = number("autovacuum_vacuum_threshold"), number("autovacuum_vacuum_scale_factor")
    if threshold is not None and scale is not None:
        found["vacuum_threshold_rows"] = threshold + scale * rows
        most = number("autovacuum_vacuum_max_threshold")  # from 18; -1 turns it off
        if most is not None and most >= 0:
            found["vacuum_threshold_rows"] = min(found["vacuum_threshold_rows"], most)
    threshold, scale = number("autovacuum_analyze_threshold"), number("autovacuum_analyze_scale_factor")
    if threshold is not None and scale is not None:
        found["analyze_threshold_rows"] = threshold + scale * rows
    ages = [
        int(value)
        for value in (options.get("autovacuum_freeze_max_age"), settings.get("autovacuum_freeze_max_age"))
        if value is not None
    ]
    found["freeze_max_age_xids"] = min(ages, default=None)  # the option can only lower it
    return found


def read_constraints(scope: Scope) -> tuple[list[Row], list[Row]]:
    """Rows of the evidence tables `relation_constraint` and `constraint_column`."""
    enforced = "k.conenforced" if scope.is_at_least(18) else "true"
    constraints = scope.read_locking("relation_constraint", CONSTRAINTS.format(enforced=enforced))
    columns = scope.read_wanted("constraint_column", CONSTRAINT_COLUMNS)
    own: dict[int, list[str]] = {}
    referenced: dict[int, list[str]] = {}
    for row in columns:
        oid = row.pop("constraint_oid")
        own.setdefault(oid, []).append(row.pop("quoted"))
        if (target := row.pop("referenced_quoted")) is not None:
            referenced.setdefault(oid, []).append(target)
    for row in constraints:
        oid = row.pop("constraint_oid")
        row["columns"] = _joined(own.get(oid))
        row["referenced_columns"] = _joined(referenced.get(oid))
    return constraints, columns


def _joined(names: Iterable[str] | None) -> str | None:
    return ", ".join(names) if names else None
