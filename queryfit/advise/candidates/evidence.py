"""Statements and schema for candidates, from the evidence of a capture."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from queryfit.advise.candidates.facts import Column, Schema, Statement, Table, There
from queryfit.advise.model import Workload
from queryfit.evidence.session import ROW_LIMIT, Session
from queryfit.lab.planner import Index, Key
from queryfit.sql.catalog import Catalog
from queryfit.sql.model import Reference
from queryfit.sql.names import quote_identifier
from queryfit.sql.statement import analyse

_TABLES = frozenset({"table", "partitioned_table", "materialized_view"})
_MARKED = ("_pattern_ops", "jsonb_path_ops", "_trgm_ops", "_minmax_multi_ops", "_bloom_ops", "vector_", "halfvec_",
    "inet_ops", "kd_point_ops", "quad_poly_ops")  # fmt: skip


_NAMES = "select relation, schema, name, kind, definition from relation where database = $database order by relation"
_COLUMN_NAMES = """
    select relation, column_name, position from relation_column where database = $database order by relation, position
"""
_ROOTS = """
    select relation, root from relation where database = $database and root <> relation order by relation
"""
_REFERENCES = """
    select fingerprint, {columns}
    from reference
    where database = $database
    order by
        fingerprint, block, clause, alias, column_name, role, position, operator, expression, value, is_disjunct,
        relation, other_relation, other_column
"""
_WORKLOAD = """
    select workload.fingerprint, workload.kind, workload.execution_ms, shape.has_row_locks
    from workload
    left join shape on shape.fingerprint = workload.fingerprint  -- LEFT JOIN: utility commands have none
    where workload.database = $database
    order by workload.fingerprint
"""
_EXTENSIONS = "select extension, schema from extension where database = $database order by extension"
_ROUTINES = """
    select routine, name, kind, volatility, is_set_returning, result
    from routine
    where database = $database
    order by routine, name, kind, volatility
"""
_WANTED = "($is_all or {} in (select unnest($wanted::varchar[])))"
_SCHEMA = {
    "relation": f"""
        select relation.*, extent.rows, extent.pages as present_pages, extent.part_pages
        from relation
        left join relation_extent as extent  -- LEFT JOIN: views and foreign tables have none
            on extent.database = relation.database and extent.relation = relation.relation
        where relation.database = $database and {_WANTED.format("relation.relation")}
        order by relation.relation
    """,
    "column": f"""
        select relation, column_name, position, type, base_type, type_category, collation_name, is_not_null, generated
        from relation_column
        where database = $database and {_WANTED.format("relation")}
        order by relation, position
    """,
    # the statistics of a partitioned table itself, else those of its largest partition
    "statistics": f"""
        select distinct on (relation.root, statistics.column_name)
            relation.root as relation,
            statistics.column_name,
            null_fraction,
            average_width_bytes,
            distinct_values,
            distinct_rows,
            correlation,
            -- the first of them are what stands out; all would be most of a large schema's memory
            left(common_values, 2000) as common_values,
            common_frequencies[1:32] as common_frequencies,
            histogram_bounds is not null as has_histogram
        from column_statistics as statistics
        join relation on relation.database = statistics.database and relation.relation = statistics.relation
        where relation.database = $database and {_WANTED.format("relation.root")}
        order by
            relation.root, statistics.column_name, relation.relation <> relation.root,
            is_inherited <> (relation.kind = 'partitioned_table'), relation.tuple_rows desc nulls last,
            relation.relation
    """,
    "index": f"""
        select *
        from relation_index
        where database = $database and {_WANTED.format("relation")}
        order by index
    """,
    "key": f"""
        select relation, index, position, is_key, column_name, expression, operator_class, is_descending, is_nulls_first
        from index_column
        where database = $database and {_WANTED.format("relation")}
        order by index, position
    """,
}
"""Everything about the tables, each with its relation."""


def catalog_of_session(session: Session, database: str) -> Catalog:
    """Names of a captured database: what the texts of a file are read against."""
    return Catalog.from_rows(_rows(session, _NAMES, database), _rows(session, _COLUMN_NAMES, database))


def statements_of_workload(workload: Workload, catalog: Catalog) -> list[Statement]:
    """The statements of a workload with their references."""
    found = []
    for weighted in workload.statements:
        query = weighted.queries[0] if weighted.queries else None
        path = query.search_path if query is not None else ("public",)
        statement = analyse(weighted.text, catalog, path)
        if not statement.references and query is not None and query.text != weighted.text:
            statement = analyse(query.text, catalog, path)
        if statement.references:
            found.append(
                Statement(
                    fingerprint=weighted.fingerprint,
                    references=statement.references,
                    weight=weighted.execution_ms_per_day or weighted.weight,
                    kind=statement.kind,
                    locks_rows=statement.shape is not None and statement.shape.has_row_locks,
                )
            )
    return found


def statements_of_session(
    session: Session, database: str, fingerprints: Collection[str] | None = None
) -> list[Statement]:
    """The captured statements of a database, the dearest first; those of `fingerprints` where given."""
    wanted = None if fingerprints is None else frozenset(fingerprints)
    held: dict[str, list[Reference]] = {}
    names = tuple(Reference.__slots__)
    for row in _rows(session, _REFERENCES.format(columns=", ".join(names)), database):
        fingerprint = row.pop("fingerprint")
        if wanted is None or fingerprint in wanted:
            held.setdefault(fingerprint, []).append(Reference(**row))
    facts = {row["fingerprint"]: row for row in _rows(session, _WORKLOAD, database)}
    found = [
        Statement(
            fingerprint=fingerprint,
            references=tuple(references),
            weight=facts.get(fingerprint, {}).get("execution_ms") or 0.0,
            kind=facts.get(fingerprint, {}).get("kind") or "select",
            locks_rows=bool(facts.get(fingerprint, {}).get("has_row_locks")),
        )
        for fingerprint, references in held.items()
    ]
    return sorted(found, key=lambda statement: (-statement.weight, statement.fingerprint))


def relations_of(statements: Iterable[Statement]) -> frozenset[str]:
    """The relations that statements name."""
    return frozenset(reference.relation for statement in statements for reference in statement.references)


def schema_of_session(session: Session, database: str, relations: Collection[str] | None = None) -> Schema:
    """The tables of a captured database, or only `relations` and what stands for them.

    A partition stands for the table that it is a part of: an index is made there.
    """
    roots = {row["relation"]: row["root"] for row in _rows(session, _ROOTS, database)}
    wanted = None if relations is None else sorted({roots.get(name, name) for name in relations})
    held = {name: _by_relation(session, query, database, wanted) for name, query in _SCHEMA.items()}
    tables: dict[str, Table] = {}
    refused: dict[str, str] = {}
    for name, (relation,) in held["relation"].items():
        reason = _refusal(relation)
        if reason is not None:
            refused[name] = reason
            continue
        tables[name] = _table(relation, held)
    return Schema(
        tables=tables,
        roots={name: root for name, root in roots.items() if root in tables},
        refused=refused,
        extensions={row["extension"]: quote_identifier(row["schema"]) for row in _rows(session, _EXTENSIONS, database)},
        immutable_routines=_immutable(session, database),
        is_c_collation=_is_c(session, database),
        has_values=any(row["has_histogram"] for rows in held["statistics"].values() for row in rows),
    )


def _refusal(relation: Mapping[str, Any]) -> str | None:
    """Why a relation gets no index; None where it may."""
    if relation["kind"] == "foreign_table":
        return "a foreign table has no indexes here"
    if relation["kind"] not in _TABLES:
        return f"a {relation['kind'].replace('_', ' ')} has no indexes"
    if relation["persistence"] == "temporary":
        return "a temporary table ends with its session"
    if relation["extension"] is not None:
        return f"it belongs to the extension {relation['extension']}"
    if relation["schema"] in ("pg_catalog", "information_schema"):
        return "it belongs to the server"
    return None


def _table(relation: Mapping[str, Any], held: Mapping[str, Mapping[str, list[dict[str, Any]]]]) -> Table:
    name = relation["relation"]
    rows = relation["rows"] if relation["rows"] is not None else relation["tuple_rows"]
    pages = relation["present_pages"] if relation["present_pages"] is not None else relation["pages"]
    statistics = {row["column_name"]: row for row in held["statistics"].get(name, ())}
    columns = {
        row["column_name"]: _column(row, statistics.get(row["column_name"]), rows)
        for row in sorted(held["column"].get(name, ()), key=lambda row: row["position"])
    }
    keys: dict[str, list[dict[str, Any]]] = {}
    for row in held["key"].get(name, ()):
        keys.setdefault(row["index"], []).append(row)
    indexes = [
        _there(row, sorted(keys.get(row["index"], ()), key=lambda key: key["position"]))
        for row in sorted(held["index"].get(name, ()), key=lambda row: row["index"])
        if row["parent_index"] is None and keys.get(row["index"])
    ]
    return Table(
        name=name,
        kind=relation["kind"],
        columns=columns,
        rows=rows,
        pages=float(pages or 0),
        part_pages=float(relation["part_pages"] or pages or 0),
        indexes=tuple(indexes),
    )


def _column(row: Mapping[str, Any], statistics: Mapping[str, Any] | None, rows: float | None) -> Column:
    known = statistics or {}
    distinct = known.get("distinct_rows")
    stored = known.get("distinct_values")
    if stored is not None and rows is not None:  # the rows of the whole table, not of one partition
        distinct = -stored * rows if stored < 0 else stored
    return Column(
        name=row["column_name"],
        base_type=row["base_type"],
        category=row["type_category"],
        declared_type=row["type"],
        collation=row["collation_name"],
        is_not_null=row["is_not_null"],
        is_virtual=row["generated"] == "virtual",
        null_fraction=known.get("null_fraction"),
        average_bytes=known.get("average_width_bytes"),
        distinct_rows=distinct,
        correlation=known.get("correlation"),
        common_values=known.get("common_values"),
        common_frequencies=tuple(known.get("common_frequencies") or ()),
        has_statistics=statistics is not None,
        has_histogram=bool(known.get("has_histogram")),
    )


def index_of(row: Mapping[str, Any], keys: Iterable[Mapping[str, Any]]) -> Index:
    """An index from its rows of `relation_index` and `index_column`."""
    keys = list(keys)
    return Index(
        relation=row["relation"],
        keys=tuple(_key(key) for key in keys if key["is_key"]),
        included=tuple(quote_identifier(key["column_name"]) for key in keys if not key["is_key"]),
        access_method=row["access_method"],
        predicate=row["predicate"],
        is_unique=row["is_unique"],
    )


def _key(row: Mapping[str, Any]) -> Key:
    is_column = row["column_name"] is not None
    text = quote_identifier(row["column_name"]) if is_column else row["expression"] or "?"
    if not is_column and text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    operator_class = row["operator_class"] or ""
    return Key(
        expression=text,
        is_column=is_column,
        # the default of the type goes without saying; which one that is the name tells
        operator_class=operator_class if any(mark in operator_class for mark in _MARKED) else None,
        is_descending=row["is_descending"],
        is_nulls_first=row["is_nulls_first"],
    )


def is_fixed(row: Mapping[str, Any]) -> bool:
    """Something but plans rests on the index."""
    return bool(
        row["is_unique"]
        or row["is_primary"]
        or row["is_exclusion"]
        or row["constraint_name"] is not None
        or row["is_referenced"]
        or row["is_replica_identity"]
        or row["is_clustered"]
        or row["extension"] is not None
    )


def _there(row: Mapping[str, Any], keys: list[dict[str, Any]]) -> There:
    return There(
        name=row["index"],
        index=index_of(row, keys),
        columns=frozenset(key["column_name"] for key in keys if key["column_name"] is not None),
        is_usable=row["is_valid"] and row["is_ready"],
        is_fixed=is_fixed(row),
    )


def _immutable(session: Session, database: str) -> dict[str, str]:
    """Names whose every routine is an immutable function of one type, with that type."""
    good: dict[str, str | None] = {}
    for row in _rows(session, _ROUTINES, database):
        is_good = row["kind"] == "function" and row["volatility"] == "immutable" and not row["is_set_returning"]
        for name in (row["routine"], row["name"]):
            result = row["result"] if is_good else None
            good[name] = result if good.get(name, result) == result else None
    return {name: result for name, result in good.items() if result is not None}


def _is_c(session: Session, database: str) -> bool:
    query = "select collate_locale, locale_provider, locale from database where database = $database"
    for collate, provider, locale in session.query(query, {"database": database}).rows:
        if provider == "builtin":
            return str(locale) in ("C", "C.UTF-8", "PG_UNICODE_FAST")
        return provider in (None, "libc") and collate in ("C", "POSIX")
    return False


def _by_relation(
    session: Session, query: str, database: str, wanted: list[str] | None
) -> dict[str, list[dict[str, Any]]]:
    """Rows of a query by relation, of all relations or of those wanted."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in _rows(session, query, database, {"is_all": wanted is None, "wanted": wanted or []}):
        found.setdefault(row["relation"], []).append(row)
    return found


def _rows(
    session: Session, query: str, database: str, parameters: Mapping[str, object] | None = None
) -> Iterator[dict[str, Any]]:
    """Rows of one database, in pages: a large schema has more than one answer may hold."""
    bound = {"database": database, **(parameters or {})}
    offset = 0
    while True:
        page = session.query(f"{query} limit {ROW_LIMIT} offset {offset}", bound)
        yield from page.mappings()
        if len(page.rows) < ROW_LIMIT:
            return
        offset += ROW_LIMIT
