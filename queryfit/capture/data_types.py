"""Types that a schema defines itself, and which migrations have been applied to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from queryfit.migrations.runners import RUNNER_TABLES
from queryfit.sql.names import qualified, quote_identifier, quote_literal

if TYPE_CHECKING:
    from queryfit.capture.scope import Scope

Row = dict[str, Any]

MOST_MIGRATIONS = 20_000
_APPLIED = "applied_migration"

_COLLATION = """(
    select quote_ident(con.nspname) || '.' || quote_ident(co.collname)
    from pg_collation as co join pg_namespace as con on con.oid = co.collnamespace
    where co.oid = {oid}
)"""

# domains after the types that they are over: a later type has a greater oid
TYPES = f"""
    select
        current_database()::text as database,
        n.nspname::text as schema,
        t.typname::text as name,
        t.typtype::text as kind,
        case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) || (
            select case when t.typcollation <> base.typcollation
                then ' collate ' || {_COLLATION.format(oid="t.typcollation")} else '' end
            from pg_type as base where base.oid = t.typbasetype
        ) end as base,
        t.typnotnull as is_not_null,
        t.typdefault as default_expression,
        (select array_agg(e.enumlabel::text order by e.enumsortorder)
            from pg_enum as e where e.enumtypid = t.oid) as labels,
        (select array_agg(quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid) order by k.conname)
            from pg_constraint as k where k.contypid = t.oid and k.contype = 'c') as checks,
        (select array_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
                || case when a.attcollation <> own.typcollation
                    then ' collate ' || {_COLLATION.format(oid="a.attcollation")} else '' end
                order by a.attnum)
            from pg_attribute as a join pg_type as own on own.oid = a.atttypid
            where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) as attributes,
        (
            select format_type(r.rngsubtype, null)
                || case when r.rngcollation <> st.typcollation
                    then ', collation = ' || {_COLLATION.format(oid="r.rngcollation")} else '' end
                || case when not oc.opcdefault
                    then ', subtype_opclass = ' || quote_ident(ocn.nspname) || '.' || quote_ident(oc.opcname)
                    else '' end
            from pg_range as r
            join pg_type as st on st.oid = r.rngsubtype
            join pg_opclass as oc on oc.oid = r.rngsubopc
            join pg_namespace as ocn on ocn.oid = oc.opcnamespace
            where r.rngtypid = t.oid
        ) as subtype
    from pg_type as t
    join pg_namespace as n on n.oid = t.typnamespace
    left join pg_class as c on c.oid = t.typrelid
    where t.typtype in ('e', 'd', 'c', 'r') and (t.typtype <> 'c' or c.relkind = 'c')
        and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_toast%'
        and not exists (
            select from pg_depend as d where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'
        )
    order by t.oid
"""

_KINDS = {"e": "enum", "d": "domain", "c": "composite", "r": "range"}


def read_types(scope: Scope) -> list[Row]:
    """Rows of the evidence table `data_type`, in an order in which they can be made."""
    return [
        {
            "database": row["database"],
            "type": qualified(row["schema"], row["name"]),
            "kind": _KINDS[row["kind"]],
            "definition": _definition(row),
        }
        for row in scope.read("data_type", TYPES)
    ]


def _definition(row: Row) -> str:
    name = qualified(row["schema"], row["name"])
    if row["kind"] == "e":
        return f"create type {name} as enum ({', '.join(quote_literal(label) for label in row['labels'] or ())})"
    if row["kind"] == "r":
        return f"create type {name} as range (subtype = {row['subtype']})"
    if row["kind"] == "c":
        return f"create type {name} as ({', '.join(row['attributes'] or ())})"
    parts = [f"create domain {name} as {row['base']}"]
    if row["default_expression"] is not None:
        parts.append(f"default {row['default_expression']}")
    if row["is_not_null"]:
        parts.append("not null")
    parts += [f"constraint {check}" for check in row["checks"] or ()]
    return " ".join(parts)


def read_applied(scope: Scope, relations: list[Row]) -> list[Row]:
    """Rows of the evidence table `applied_migration`: of every table that has a runner's name."""
    wanted = {table.relation.rpartition(".")[2]: table.column for table in RUNNER_TABLES.values()}
    found: list[Row] = []
    for row in relations:
        column = wanted.get(row["name"])
        if column is None or row["kind"] != "table":
            continue
        if row["relation_oid"] in scope.locked:
            scope.gaps.add(_APPLIED, "another session has locked it", database=scope.database, subject=row["relation"])
            continue
        there = scope.read(
            _APPLIED,
            f"select has_column_privilege({row['relation_oid']}, attnum, 'select') as is_readable from pg_attribute"
            f" where attrelid = {row['relation_oid']} and attname = {quote_literal(column)} and not attisdropped",
        )
        if not there:
            continue  # another table of that name
        if not there[0]["is_readable"]:
            scope.gaps.add(
                _APPLIED,
                "which migrations have run is not known: the role may not read it",
                hint=f"grant select on {row['relation']} to {scope.role};",
                database=scope.database,
                subject=row["relation"],
            )
            continue
        found += scope.read(
            _APPLIED,
            f"select current_database()::text as database, {quote_literal(row['relation'])} as relation,"
            f" {quote_identifier(column)}::text as version from {row['relation']}"
            f" where {quote_identifier(column)} is not null limit {MOST_MIGRATIONS}",
        )
    return found
