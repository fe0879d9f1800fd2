"""What a schema holds besides relations and types, as far as planning needs it: routines, policies, collations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from queryfit.capture.scope import NAME, WANTED
from queryfit.sql.names import quote_literal

if TYPE_CHECKING:
    from queryfit.capture.scope import Scope

Row = dict[str, Any]

_OWN_SCHEMA = "n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'"
FIRST_NORMAL_OID = 16384

# A body in the grammar of SQL is printed from its parse tree, which locks the relations that it reads.
ROUTINES = f"""
    with closed as (
        select distinct d.objid
        from pg_depend as d
        where d.classid = 'pg_proc'::regclass and d.refclassid = 'pg_class'::regclass
            and d.refobjid::int8 = any ($1::int8[])
    )
    select
        current_database()::text as database,
        quote_ident(n.nspname) || '.' || quote_ident(p.proname) as routine,
        n.nspname::text as schema,
        p.proname::text as name,
        p.oid::int8 as routine_oid,
        case p.prokind when 'f' then 'function' when 'p' then 'procedure' when 'a' then 'aggregate' else 'window'
        end as kind,
        pg_get_function_identity_arguments(p.oid) as arguments,
        coalesce((
            select string_agg(format_type(t.oid, null), ', ' order by t.position)
            from unnest(p.proargtypes::oid[]) with ordinality as t (oid, position)
        ), '') as input_types,
        p.pronargdefaults::int4 as defaulted_arguments,
        p.provariadic <> 0 as is_variadic,
        pg_get_function_result(p.oid) as result,
        p.proretset as is_set_returning,
        l.lanname::text as language,
        case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end as volatility,
        p.proisstrict as is_strict,
        case p.proparallel when 's' then 'safe' when 'r' then 'restricted' else 'unsafe' end as parallel_safety,
        p.proleakproof as is_leakproof,
        p.prosecdef as is_security_definer,
        p.procost::float8 as call_cost,
        p.prorows::float8 as expected_rows,
        case when sp.oid is not null then quote_ident(spn.nspname) || '.' || quote_ident(sp.proname)
        end as support_function,
        p.proconfig::text as settings,
        r.rolname::text as owner,
        r.rolsuper as is_owner_superuser,
        e.extname::text as extension,
        case
            when p.prokind = 'a' or l.lanname not in ('sql', 'plpgsql') or e.oid is not null then null
            when closed.objid is not null or $2::bool then null
            else pg_get_functiondef(p.oid)
        end as definition
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    join pg_language as l on l.oid = p.prolang
    left join pg_roles as r on r.oid = p.proowner
    left join pg_proc as sp on sp.oid = p.prosupport
    left join pg_namespace as spn on spn.oid = sp.pronamespace
    left join pg_depend as d on d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
    left join pg_extension as e on e.oid = d.refobjid
    left join closed on closed.objid = p.oid
    where {_OWN_SCHEMA}
    order by p.oid
"""

POLICIES = f"""
    with closed as (
        select distinct d.objid
        from pg_depend as d
        where d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_class'::regclass
            and d.refobjid::int8 = any ($3::int8[])
    )
    select
        current_database()::text as database,
        {NAME} as relation,
        p.polname::text as policy_name,
        case p.polcmd
            when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all'
        end as command,
        p.polpermissive as is_permissive,
        (
            select string_agg(case when u.role = 0 then 'public' else quote_ident(pg_get_userbyid(u.role)) end, ', ')
            from unnest(p.polroles) as u (role)
        ) as roles,
        case when closed.objid is null and not $4::bool then pg_get_expr(p.polqual, p.polrelid) end as using_expression,
        case when closed.objid is null and not $4::bool then pg_get_expr(p.polwithcheck, p.polrelid)
        end as check_expression,
        closed.objid is not null or $4::bool as is_closed
    from pg_policy as p
    join pg_class as c on c.oid = p.polrelid
    join pg_namespace as n on n.oid = c.relnamespace
    left join closed on closed.objid = p.oid
    where {WANTED}
"""

COLLATIONS = f"""
    select
        current_database()::text as database,
        quote_ident(n.nspname) || '.' || quote_ident(c.collname) as collation_name,
        case c.collprovider when 'c' then 'libc' when 'i' then 'icu' when 'b' then 'builtin' else 'default'
        end as provider,
        {{locale}}::text as locale,
        c.collcollate::text as collate_locale,
        c.collctype::text as character_locale,
        {{rules}}::text as rules,
        c.collisdeterministic as is_deterministic
    from pg_collation as c
    join pg_namespace as n on n.oid = c.collnamespace
    where {_OWN_SCHEMA} and not exists (
        select from pg_depend as d where d.classid = 'pg_collation'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
    order by c.oid
"""

CUSTOM_OBJECTS = f"""
    with own (catalog, oid, kind, relation_oid) as (
        select 'pg_operator'::regclass, oid, 'operator', 0::oid from pg_operator
        union all select 'pg_opclass'::regclass, oid, 'operator class', 0 from pg_opclass
        union all select 'pg_opfamily'::regclass, oid, 'operator family', 0 from pg_opfamily
        union all select 'pg_cast'::regclass, oid, 'cast', 0 from pg_cast
        union all select 'pg_type'::regclass, oid, 'base type', 0 from pg_type where typtype = 'b'
        union all select 'pg_rewrite'::regclass, oid, 'rule', ev_class from pg_rewrite where rulename <> '_RETURN'
        union all select 'pg_ts_config'::regclass, oid, 'text search configuration', 0 from pg_ts_config
        union all select 'pg_ts_dict'::regclass, oid, 'text search dictionary', 0 from pg_ts_dict
        union all select 'pg_foreign_server'::regclass, oid, 'foreign server', 0 from pg_foreign_server
        union all select 'pg_am'::regclass, oid, 'access method', 0 from pg_am
        union all select 'pg_language'::regclass, oid, 'language', 0 from pg_language
    )
    select
        current_database()::text as database,
        own.kind,
        (pg_identify_object(own.catalog, own.oid, 0)).identity as object,
        case when c.oid is not null then {NAME} end as relation
    from own
    left join pg_class as c on c.oid = own.relation_oid
    left join pg_namespace as n on n.oid = c.relnamespace
    where own.oid >= {FIRST_NORMAL_OID}
        -- an extension's, or made with another object: the array of a type, the cast of a range
        and not exists (
            select from pg_depend as d
            where d.classid = own.catalog and d.objid = own.oid and d.objsubid = 0 and d.deptype in ('e', 'i')
        )
        and (own.kind <> 'rule' or {WANTED})
"""


def read_routines(scope: Scope) -> list[Row]:
    """Rows of the evidence table `routine`."""
    rows = scope.read_locking("routine", ROUTINES, is_filtered=False)
    hidden = [
        row["routine"]
        for row in rows
        if row["definition"] is None
        and row["extension"] is None
        and row["kind"] != "aggregate"
        and row["language"] in {"sql", "plpgsql"}
    ]
    if hidden:
        scope.gaps.add(
            "routine",
            f"the definitions of {len(hidden)} routines could not be printed: what they read is locked",
            hint="capture again when that lock is gone",
            database=scope.database,
        )
    return rows


def read_policies(scope: Scope) -> list[Row]:
    """Rows of the evidence table `policy`."""
    rows = scope.read_locking("policy", POLICIES)
    for row in rows:
        if row.pop("is_closed"):
            scope.gaps.add(
                "policy",
                "the conditions of its policies could not be printed: another session has locked it or what they read",
                hint="capture again when that lock is gone",
                database=scope.database,
                subject=row["relation"],
            )
    return rows


def read_collations(scope: Scope) -> list[Row]:
    """Rows of the evidence table `user_collation`."""
    locale = "c.collcollate"
    if scope.is_at_least(15):
        locale = f"coalesce(c.{'colllocale' if scope.is_at_least(17) else 'colliculocale'}, c.collcollate)"
    rules = "c.collicurules" if scope.is_at_least(16) else "null"
    rows = scope.read("user_collation", COLLATIONS.format(locale=locale, rules=rules))
    return [_collation(row) for row in rows]


def _collation(row: Row) -> Row:
    collate, characters, rules = (row.pop(name) for name in ("collate_locale", "character_locale", "rules"))
    options = {"provider": row["provider"]}
    if row["provider"] == "libc":
        options |= {"lc_collate": quote_literal(collate), "lc_ctype": quote_literal(characters)}
        row["locale"] = collate if collate == characters else None
    else:
        options["locale"] = quote_literal(row["locale"])
    if not row["is_deterministic"]:
        options["deterministic"] = "false"
    if rules is not None:
        options["rules"] = quote_literal(rules)
    words = ", ".join(f"{name} = {value}" for name, value in options.items())
    row["definition"] = f"create collation {row['collation_name']} ({words})"
    return row


def read_custom_objects(scope: Scope) -> list[Row]:
    """Rows of the evidence table `custom_object`."""
    return scope.read_wanted("custom_object", CUSTOM_OBJECTS)
