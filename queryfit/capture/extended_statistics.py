"""CREATE STATISTICS objects, and what ANALYZE found for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from queryfit.capture import remedies
from queryfit.capture.scope import NAME, WANTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queryfit.capture.scope import Scope

Row = dict[str, Any]

_TABLE = "extended_statistics"
_EXPRESSIONS = "extended_expression_statistics"

# pg_stats_ext and pg_stats_ext_exprs show an object to the owner of its table alone (since 2024); who may read all
# data may read what is below them. Row-level security is respected as these views do.
IS_OPEN = "select has_table_privilege('pg_statistic_ext_data', 'select') as is_open"
_OPEN = """(
        select d.stxoid as oid, {inherited} as inherited, d.stxdndistinct as n_distinct,
            d.stxddependencies as dependencies, m.*
        from pg_statistic_ext_data as d
        left join lateral (
            select array_agg(values) as most_common_vals, array_agg(nulls) as most_common_val_nulls,
                array_agg(frequency) as most_common_freqs, array_agg(base_frequency) as most_common_base_freqs
            from pg_mcv_list_items(d.stxdmcv)
        ) as m on d.stxdmcv is not null
    )"""
_VIEW = """(
        select s.oid, {inherited} as inherited, v.n_distinct, v.dependencies, v.most_common_vals,
            v.most_common_val_nulls, v.most_common_freqs, v.most_common_base_freqs
        from pg_stats_ext as v
        join pg_namespace as n on n.nspname = v.statistics_schemaname
        join pg_statistic_ext as s on s.stxnamespace = n.oid and s.stxname = v.statistics_name
    )"""


def _slot(kind: int, column: str) -> str:
    """The values or the numbers of one kind of statistics, in whichever of the five slots they are."""
    cases = " ".join(f"when stakind{slot} = {kind} then {column}{slot}" for slot in range(1, 6))
    return f"case {cases} end"


_OPEN_EXPRESSIONS = f"""(
        select d.stxoid as oid, {{inherited}} as inherited, a.ordinality as position, null as expr,
            a.stanullfrac as null_frac, a.stawidth as avg_width, a.stadistinct as n_distinct,
            {_slot(1, "stavalues")} as most_common_vals,
            {_slot(1, "stanumbers")} as most_common_freqs,
            {_slot(2, "stavalues")} as histogram_bounds,
            ({_slot(3, "stanumbers")})[1] as correlation,
            {_slot(4, "stavalues")} as most_common_elems,
            {_slot(4, "stanumbers")} as most_common_elem_freqs,
            {_slot(5, "stanumbers")} as elem_count_histogram
        from pg_statistic_ext_data as d
        cross join lateral unnest(d.stxdexpr) with ordinality as a
    )"""
# The view prints the expressions of every object, of locked relations too: where one is in the way, none can be read.
_VIEW_EXPRESSIONS = """(
        select s.oid, {inherited} as inherited, null::int8 as position, v.expr, v.null_frac, v.avg_width,
            v.n_distinct, v.most_common_vals, v.most_common_freqs, v.histogram_bounds, v.correlation,
            v.most_common_elems, v.most_common_elem_freqs, v.elem_count_histogram
        from pg_stats_ext_exprs as v
        join pg_namespace as n on n.nspname = v.statistics_schemaname
        join pg_statistic_ext as s on s.stxnamespace = n.oid and s.stxname = v.statistics_name
    )"""

STATISTICS = f"""
    select
        current_database()::text as database,
        {NAME} as relation,
        quote_ident(sn.nspname) || '.' || quote_ident(s.stxname) as statistics_name,
        pg_get_statisticsobjdef(s.oid) as definition,
        (select string_agg(
                case kind
                    when 'd' then 'ndistinct' when 'f' then 'dependencies' when 'm' then 'mcv' else 'expressions'
                end, ', ' order by position(kind in 'dfme'))
            from unnest(s.stxkind::text[]) as kind) as kinds,
        keys.columns,
        keys.positions as column_positions,
        {{expressions}} as expressions,
        nullif(s.stxstattarget, -1)::int4 as statistics_target,
        {{is_inherited}} as is_inherited,
        v.n_distinct::text as distinct_counts,
        v.dependencies::text as dependencies,
        v.most_common_vals::text as common_values,
        v.most_common_val_nulls::text as common_nulls,
        v.most_common_freqs::float8[] as common_frequencies,
        v.most_common_base_freqs::float8[] as common_base_frequencies,
        c.reltuples > 0 and v.oid is null and (
            row_security_active(c.oid) or not ({{is_open}} or pg_has_role(c.relowner, 'usage'))
        ) as is_hidden,
        row_security_active(c.oid) as is_under_row_security,
        n.nspname::text as schema
    from pg_statistic_ext as s
    join pg_namespace as sn on sn.oid = s.stxnamespace
    join pg_class as c on c.oid = s.stxrelid
    join pg_namespace as n on n.oid = c.relnamespace
    left join lateral (
        select string_agg(quote_ident(a.attname), ', ' order by a.attnum) as columns,
            string_agg(a.attnum::text, ', ' order by a.attnum) as positions
        from pg_attribute as a
        where a.attrelid = s.stxrelid and a.attnum = any (s.stxkeys::int2[])
    ) as keys on true
    left join {{source}} as v on v.oid = s.oid and not row_security_active(c.oid)
    where c.oid::int8 <> all ($3::int8[]) and not $4::bool and {WANTED}
"""

EXPRESSIONS = f"""
    select
        current_database()::text as database,
        {NAME} as relation,
        quote_ident(sn.nspname) || '.' || quote_ident(s.stxname) as statistics_name,
        coalesce(v.position, array_position(printed.expressions, v.expr))::int4 as position,
        coalesce(v.expr, printed.expressions[v.position]) as expression,
        {{is_inherited}} as is_inherited,
        v.null_frac::float8 as null_fraction,
        v.avg_width::int4 as average_width_bytes,
        v.n_distinct::float8 as distinct_values,
        v.correlation::float8 as correlation,
        v.most_common_vals::text as common_values,
        v.most_common_freqs::float8[] as common_frequencies,
        v.histogram_bounds::text as histogram_bounds,
        v.most_common_elems::text as common_elements,
        v.most_common_elem_freqs::float8[] as common_element_frequencies,
        v.elem_count_histogram::float8[] as element_count_histogram
    from pg_statistic_ext as s
    join pg_namespace as sn on sn.oid = s.stxnamespace
    join pg_class as c on c.oid = s.stxrelid
    join pg_namespace as n on n.oid = c.relnamespace
    cross join lateral pg_get_statisticsobjdef_expressions(s.oid) as printed (expressions)
    join {{source}} as v on v.oid = s.oid
    where v.null_frac is not null and not row_security_active(c.oid) and c.oid::int8 <> all ($3::int8[])
        and not $4::bool and {WANTED}
"""


def read_extended_statistics(scope: Scope) -> tuple[list[Row], list[Row]]:
    """Rows of the evidence tables `extended_statistics` and `extended_expression_statistics`."""
    has_both = scope.is_at_least(15)  # of the table and of its inheritance tree
    is_open = any(row["is_open"] for row in scope.read(_TABLE, IS_OPEN))
    own = ("d.stxdinherit" if is_open else "v.inherited") if has_both else "null::bool"
    is_inherited = "v.inherited" if has_both else "case when v.oid is not null then c.relkind = 'p' end"
    has_expressions = scope.is_at_least(14)
    objects = scope.read_locking(
        _TABLE,
        STATISTICS.format(
            source=(_OPEN if is_open else _VIEW).format(inherited=own),
            is_inherited=is_inherited,
            is_open=str(is_open).lower(),
            expressions="pg_get_statisticsobjdef_expressions(s.oid)::text" if has_expressions else "null::text",
        ),
    )
    _record_hidden(scope, objects)
    analyzed = {
        row["statistics_name"] for row in objects if row["expressions"] is not None and row["is_inherited"] is not None
    }
    if not analyzed:
        return objects, []
    source = (_OPEN_EXPRESSIONS if is_open else _VIEW_EXPRESSIONS).format(inherited=own)
    expressions = scope.read_locking(_EXPRESSIONS, EXPRESSIONS.format(source=source, is_inherited=is_inherited))
    for name in sorted(analyzed - {row["statistics_name"] for row in expressions}):
        scope.gaps.add(
            _EXPRESSIONS,
            "what ANALYZE found in its expressions was not shown: another session has locked a table with such"
            " statistics",
            hint="capture again when that lock is gone",
            database=scope.database,
            subject=name,
        )
    return objects, expressions


def _record_hidden(scope: Scope, objects: Sequence[Row]) -> None:
    """Tell which objects show nothing, and take the columns that say so from the rows."""
    schemas, names = set(), []
    for row in objects:
        is_hidden, is_restricted, schema = row.pop("is_hidden"), row.pop("is_under_row_security"), row.pop("schema")
        if is_hidden and is_restricted:
            scope.gaps.add(
                _TABLE,
                "row security of its table applies to this role, so what ANALYZE found is not read",
                hint=f"alter role {scope.role} bypassrls; (or capture as the table's owner)",
                database=scope.database,
                subject=row["statistics_name"],
            )
        elif is_hidden:
            schemas.add(schema)
            names.append(row["statistics_name"])
    if names:
        scope.gaps.add(
            _TABLE,
            f"the role may not read what ANALYZE found for {len(names)} of {len(objects)} objects",
            hint=remedies.read_everything(scope.role, scope.major, sorted(schemas)),
            database=scope.database,
            subject=names[0] if len(names) == 1 else None,
        )
