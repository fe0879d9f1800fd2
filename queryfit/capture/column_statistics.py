"""Rows of pg_stats, and which relations show none for want of a privilege."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from queryfit.capture import remedies
from queryfit.capture.scope import NAME, WANTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryfit.capture.scope import Scope

Row = dict[str, Any]

# A row about an expression of an index has the index as its relation; whether it is wanted its table decides.
STATISTICS = f"""
    select
        current_database()::text as database,
        quote_ident(s.schemaname) || '.' || quote_ident(s.tablename) as relation,
        s.attname::text as column_name,
        s.inherited as is_inherited,
        s.null_frac::float8 as null_fraction,
        s.avg_width::int4 as average_width_bytes,
        s.n_distinct::float8 as distinct_values,
        s.correlation::float8 as correlation,
        s.most_common_vals::text as common_values,
        s.most_common_freqs::float8[] as common_frequencies,
        s.histogram_bounds::text as histogram_bounds,
        s.most_common_elems::text as common_elements,
        s.most_common_elem_freqs::float8[] as common_element_frequencies,
        s.elem_count_histogram::float8[] as element_count_histogram
        {{ranges}}
    from pg_stats as s
    join pg_namespace as own_n on own_n.nspname = s.schemaname
    join pg_class as own on own.relnamespace = own_n.oid and own.relname = s.tablename
    left join pg_index as i on i.indexrelid = own.oid
    join pg_class as c on c.oid = coalesce(i.indrelid, own.oid)
    join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'm', 'f') and {WANTED}
"""
_RANGES = """,
        s.range_length_histogram::text as range_length_histogram,
        s.range_empty_frac::float8 as range_empty_fraction,
        s.range_bounds_histogram::text as range_bounds_histogram
"""

UNREADABLE_INDEXES = f"""
    select quote_ident(ixn.nspname) || '.' || quote_ident(ix.relname) as index, n.nspname::text as schema
    from pg_index as i
    join pg_class as ix on ix.oid = i.indexrelid
    join pg_namespace as ixn on ixn.oid = ix.relnamespace
    join pg_class as c on c.oid = i.indrelid
    join pg_namespace as n on n.oid = c.relnamespace
    where i.indexprs is not null and ix.relkind = 'i' and c.reltuples > 0
        and not has_table_privilege(ix.oid, 'select') and {WANTED}
"""

# What would be there to read: pg_statistic itself is closed, so an analyzed relation is known by its counts.
UNREADABLE = f"""
    select
        {NAME} as relation,
        n.nspname::text as schema,
        row_security_active(c.oid) as is_under_row_security
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'm')
        and c.reltuples > 0
        and (not has_table_privilege(c.oid, 'select') or row_security_active(c.oid))
        and {WANTED}
"""


def read_statistics(
    scope: Scope, relations: Mapping[str, Row], indexes: Mapping[str, Row], numeric: set[tuple[str, str]]
) -> Iterator[list[Row]]:
    """Rows of the evidence table `column_statistics`, in lists as they arrive.

    `relations` are the rows of `relation` by name, `indexes` those of `relation_index` with expressions, `numeric` the
    (relation, column) whose type is a number. Yields nothing at last but records as unread what a privilege hides.
    """
    seen: set[str] = set()
    ranges = _RANGES if scope.is_at_least(17) else ""
    for rows in scope.stream_wanted("column_statistics", STATISTICS.format(ranges=ranges)):
        for row in rows:
            relation = row["relation"]
            seen.add(relation)
            counted = relations.get(relation) or indexes.get(relation)
            row["distinct_rows"] = _distinct_rows(row["distinct_values"], counted)
            if (relation, row["column_name"]) in numeric:
                row["least_value"], row["greatest_value"] = extremes(row["common_values"], row["histogram_bounds"])
        yield rows
    _record_gaps(scope, seen, len(relations))
    if indexes.keys() - seen:
        _record_hidden_indexes(scope, seen)


def _record_hidden_indexes(scope: Scope, seen: set[str]) -> None:
    hidden = [row for row in scope.read_wanted("column_statistics", UNREADABLE_INDEXES) if row["index"] not in seen]
    if not hidden:
        return
    hint = "capture as the owner of the tables"
    if scope.is_at_least(remedies.FIRST_WITH_READ_ALL_DATA):
        hint = remedies.read_everything(scope.role, scope.major, sorted({row["schema"] for row in hidden}))
    # not a gap of `column_statistics`: no rule about a table reads these
    scope.gaps.add(
        "extended_expression_statistics",
        f"the role may not read what ANALYZE found in the expressions of {len(hidden)} indexes",
        hint=hint,
        database=scope.database,
    )


def _distinct_rows(stored: float | None, relation: Mapping[str, Any] | None) -> float | None:
    if stored is None or stored >= 0:
        return stored
    tuples = relation["tuple_rows"] if relation else None
    return None if tuples is None else -stored * float(tuples)


def extremes(common_values: str | None, histogram_bounds: str | None) -> tuple[float | None, float | None]:
    """Least and greatest of two arrays of numbers as text: `{1,2,3}`; (None, None) when both are empty.

    Infinity and NaN are no bounds and are left out. Some types of the numeric category are written as words: money,
    regclass.
    """
    words = common_values[1:-1].split(",") if common_values else []
    if histogram_bounds:  # it is sorted: the first and the last will do
        inner = histogram_bounds[1:-1]
        words += [inner[: inner.find(",")], inner[inner.rfind(",") + 1 :]]
    try:
        values = [float(word) for word in words if word]
    except ValueError:
        return None, None
    finite = [value for value in values if abs(value) < float("inf")]
    return (min(finite), max(finite)) if finite else (None, None)


def _record_gaps(scope: Scope, seen: set[str], relations: int) -> None:
    hidden = [row for row in scope.read_wanted("column_statistics", UNREADABLE) if row["relation"] not in seen]
    no_privilege = [row for row in hidden if not row["is_under_row_security"]]
    grant = remedies.read_everything(scope.role, scope.major, sorted({row["schema"] for row in no_privilege}))
    if no_privilege and not seen and len(no_privilege) == len(hidden) and len(hidden) <= relations:
        scope.gaps.add(
            "column_statistics",
            f"the role may read none of the {len(hidden)} analyzed relations, so pg_stats shows it nothing",
            hint=grant,
            database=scope.database,
        )
        return
    for row in no_privilege:
        scope.gaps.add(
            "column_statistics",
            "the role may not read it, so pg_stats hides its rows",
            hint=grant,
            database=scope.database,
            subject=row["relation"],
        )
    for row in hidden:
        if row["is_under_row_security"]:
            scope.gaps.add(
                "column_statistics",
                "row security applies to this role, so pg_stats hides its rows",
                hint=f"alter role {scope.role} bypassrls; (or capture as the table's owner)",
                database=scope.database,
                subject=row["relation"],
            )
