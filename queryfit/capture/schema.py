"""The catalog of one database and the statistics of its columns: what changes with DDL and ANALYZE alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from queryfit.capture import catalog, column_statistics, data_types, extended_statistics, indexes, objects
from queryfit.sql.catalog import Catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from queryfit.capture.scope import Scope
    from queryfit.evidence.store import Writer

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Schema:
    """What later steps need of it: names, rows of `relation` by name, columns (relation, column) with a histogram."""

    names: Catalog
    relations: Mapping[str, Row]
    histograms: set[tuple[str, str]]


def capture_schema(
    scope: Scope, settings: Mapping[str, str | None], writer: Writer, progress: Callable[[str], None]
) -> Schema:
    """Write the tables of the catalog and of the statistics; `settings` are the server's, by name."""
    relations = catalog.read_relations(scope, settings)
    columns = scope.read_locking("relation_column", catalog.COLUMNS)
    writer.add("relation", relations)
    writer.add("relation_column", columns)
    names = Catalog.from_rows(relations, columns)
    numeric = {(row["relation"], row["column_name"]) for row in columns if row["type_category"] == "N"}
    del columns
    by_name = {row["relation"]: row for row in relations}
    index_rows, index_columns = indexes.read_indexes(scope)
    writer.add("relation_index", index_rows)
    writer.add("index_column", index_columns)
    del index_columns
    indexes_by_name = {row["index"]: row for row in index_rows if row["has_expressions"]}
    del index_rows
    for table, rows in zip(("relation_constraint", "constraint_column"), catalog.read_constraints(scope), strict=True):
        writer.add(table, rows)
    writer.add("data_type", data_types.read_types(scope))
    writer.add("applied_migration", data_types.read_applied(scope, relations))
    writer.add("extension", scope.read("extension", catalog.EXTENSIONS))
    writer.add("routine", objects.read_routines(scope))
    writer.add("policy", objects.read_policies(scope))
    writer.add("user_collation", objects.read_collations(scope))
    writer.add("custom_object", objects.read_custom_objects(scope))
    for table, rows in zip(
        ("extended_statistics", "extended_expression_statistics"),
        extended_statistics.read_extended_statistics(scope),
        strict=True,
    ):
        writer.add(table, rows)
    progress(f"{scope.database}: column statistics")
    histograms: set[tuple[str, str]] = set()
    for rows in column_statistics.read_statistics(scope, by_name, indexes_by_name, numeric):
        writer.add("column_statistics", rows)
        histograms |= {(row["relation"], row["column_name"]) for row in rows if row["histogram_bounds"] is not None}
    return Schema(names, by_name, histograms)
