"""What is known of a table without its rows: counts, columns, and what ANALYZE found in them."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from queryfit.sql.names import quote_identifier

if TYPE_CHECKING:
    from queryfit.evidence.session import Session

PAGE_BYTES = 8192
_TIES_ONLY = 0.999  # one value has nearly all rows


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """A column (or an expression) and its statistics; what is null was not to be had.

    Arrays of values stay texts, as pg_stats prints them, until somebody reads them.
    """

    name: str  # unquoted
    type: str  # pg_type.typname below any domain
    declared: str = ""  # format_type(): character varying(20)
    category: str = ""  # pg_type.typcategory
    is_not_null: bool = False
    is_deterministic: bool = True  # of its collation
    has_equal_images: bool | None = None  # equal values are stored alike, says the server; null: nobody asked it
    is_generated: bool = False
    default: str | None = None
    null_fraction: float | None = None
    average_width: float | None = None  # bytes as stored in the table, header included
    distinct_values: float | None = None  # n_distinct as stored: negative means a share of the rows
    correlation: float | None = None
    common_values_text: str | None = None
    common_frequencies: tuple[float, ...] = ()
    histogram_text: str | None = None
    common_elements_text: str | None = None
    element_frequencies: tuple[float, ...] = ()  # a share of the rows each
    element_count: float | None = None  # of an average array
    range_bounds_text: str | None = None
    range_empty_fraction: float | None = None

    @property
    def common_values(self) -> tuple[str, ...]:
        return array_values(self.common_values_text)

    @property
    def histogram(self) -> tuple[str, ...]:
        return array_values(self.histogram_text)

    @property
    def common_elements(self) -> tuple[str, ...]:
        return array_values(self.common_elements_text)

    @property
    def order(self) -> float:
        """How much the values follow the order of the rows, -1 to 1.

        PostgreSQL counts equal values in the order of the rows: where each value has a share p of the rows, even no
        order at all has a correlation of the sum of p², which is taken off here.
        """
        held = max(1e-9, 1.0 - (self.null_fraction or 0.0))
        ties = sum((share / held) ** 2 for share in self.common_frequencies)
        if self.correlation is None or ties >= _TIES_ONLY:
            return 0.0
        return max(-1.0, min(1.0, (self.correlation - ties) / (1.0 - ties)))

    def distinct_in(self, rows: float) -> float | None:
        """How many different values it has in a table of `rows` rows, null not counted; null when never analyzed."""
        if self.distinct_values is None or self.distinct_values == 0:
            return None
        count = self.distinct_values if self.distinct_values > 0 else -self.distinct_values * rows
        return max(1.0, min(count, rows))


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns that repeat those of another table, in order, all unquoted."""

    columns: tuple[str, ...]
    relation: str  # schema.name, quoted where SQL needs it
    referenced: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table and its columns, by unquoted name. A partitioned one counts with all its partitions."""

    relation: str  # schema.name, quoted where SQL needs it
    rows: float
    pages: float  # of 8 kB
    columns: Mapping[str, ColumnFacts]
    unique: tuple[tuple[str, ...], ...] = ()  # sets of columns that no two rows share: of not-null columns alone
    foreign_keys: tuple[ForeignKey, ...] = ()
    distinct: Mapping[frozenset[str], float] = field(default_factory=dict)  # of sets of columns: extended statistics
    parts: int = 1  # tables that hold the rows: each gets an index of its own
    fill_factor: int = 100
    enum_labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of its enum types, by typname
    index_definitions: tuple[str, ...] = ()  # CREATE INDEX of what is there


def unquoted(name: str) -> str:
    """The name that an identifier in SQL stands for: `"Total"` is Total, `Total` is total."""
    if len(name) > 1 and name[0] == name[-1] == '"':
        return name[1:-1].replace('""', '"')
    return name.lower()


@lru_cache(maxsize=4096)
def array_values(text: str | None) -> tuple[str, ...]:
    """The elements of a one-dimensional array as PostgreSQL prints it; nulls are left out, none for null."""
    if not text or text[0] != "{":
        return ()
    if '"' not in text and "\\" not in text:
        return tuple(part for part in text[1:-1].split(",") if part and part != "NULL")
    values: list[str] = []
    current: list[str] = []
    is_quoted = was_quoted = False
    position = 1
    while position < len(text):
        character = text[position]
        if character == "\\" and position + 1 < len(text):
            position += 1
            current.append(text[position])
        elif character == '"':
            is_quoted = not is_quoted
            was_quoted = True
        elif character in ",}" and not is_quoted:
            value = "".join(current)
            if was_quoted or (value and value != "NULL"):
                values.append(value)
            current, was_quoted = [], False
            if character == "}":
                break
        else:
            current.append(character)
        position += 1
    return tuple(values)


_TABLES = (
    "relation",
    "relation_column",
    "column_statistics",
    "relation_constraint",
    "extended_statistics",
    "relation_index",
    "index_column",
)
# what the planner takes a row for that no statistics are known of
ROW_HEADER_BYTES = 28
_UNKNOWN_BYTES = 32
_LENGTHS = {
    "bool": 1, "int2": 2, "int4": 4, "float4": 4, "date": 4, "oid": 4, "int8": 8, "float8": 8, "time": 8,
    "timestamp": 8, "timestamptz": 8, "uuid": 16, "interval": 16,
}  # fmt: skip
_Rows = Mapping[str, list[dict[str, Any]]]


def tables_of(session: Session, database: str, relations: Collection[str] | None = None) -> dict[str, TableFacts]:
    """The tables of a captured database by name (schema.name), or those of `relations` alone.

    Rows and pages are what the planner would take: the last count scaled to the present size.
    """
    held = {table: _by_relation(session, table, database, relations) for table in _TABLES}
    parts: dict[str, list[dict[str, Any]]] = {}
    for rows in _by_relation(session, "relation", database, None).values() if relations is not None else ():
        parts.setdefault(rows[0]["root"], []).append(rows[0])
    for rows in held["relation"].values() if relations is None else ():
        parts.setdefault(rows[0]["root"], []).append(rows[0])
    types = session.query(
        "select type, definition from data_type where database = $database and kind = 'enum'", {"database": database}
    )
    labels = {name.rsplit(".", 1)[-1].strip('"'): _labels(definition) for name, definition in types.rows}
    plain = _nondeterministic(session, database)
    found = {}
    for relation, rows in held["relation"].items():
        if rows[0]["kind"] in {"table", "materialized_view", "partitioned_table"}:
            of_relation = {table: held[table].get(relation, []) for table in _TABLES}
            found[relation] = _table(of_relation, parts.get(relation, []), labels, plain)
    return found


def _by_relation(session: Session, table: str, database: str, relations: Collection[str] | None) -> _Rows:
    rows: dict[str, list[dict[str, Any]]] = {}
    condition = "" if relations is None else " and relation in (select unnest($relations::varchar[]))"
    parameters: dict[str, object] = {"database": database}
    if relations is not None:
        parameters["relations"] = sorted(relations)
    query = f"select * from {table} where database = $database{condition}"
    for row in session.query(query, parameters).mappings():
        rows.setdefault(row["relation"], []).append(row)
    return rows


def _nondeterministic(session: Session, database: str) -> frozenset[str]:
    """Collations under which values that differ may be equal."""
    query = "select collation_name from user_collation where database = $database and not is_deterministic"
    return frozenset(name for (name,) in session.query(query, {"database": database}).rows)


def _table(
    held: _Rows, family: list[dict[str, Any]], labels: Mapping[str, tuple[str, ...]], nondeterministic: frozenset[str]
) -> TableFacts:
    table = held["relation"][0]
    is_partitioned = table["kind"] == "partitioned_table"
    parts = [part for part in family if part["kind"] == "table"] if is_partitioned else [table]
    row_bytes = ROW_HEADER_BYTES + sum(
        _LENGTHS.get(row["base_type"], _UNKNOWN_BYTES) for row in held["relation_column"]
    )
    sizes = [_extent(part, row_bytes) for part in parts]
    rows, pages = sum(rows for rows, _ in sizes), sum(pages for _, pages in sizes)
    statistics = {
        row["column_name"]: row
        # of two rows the one without the children is about the table itself, unless it has no rows
        for row in sorted(held["column_statistics"], key=lambda row: row["is_inherited"] == is_partitioned)
    }
    columns = {
        row["column_name"]: _column(row, statistics.get(row["column_name"], {}), nondeterministic)
        for row in sorted(held["relation_column"], key=lambda row: row["position"])
    }
    positions = {row["position"]: row["column_name"] for row in held["relation_column"]}
    types = {column.type for column in columns.values()}
    return TableFacts(
        relation=table["relation"],
        rows=rows,
        pages=pages,
        columns=columns,
        unique=_unique(held, columns),
        foreign_keys=tuple(
            ForeignKey(_names(row["columns"]), row["referenced_relation"], _names(row["referenced_columns"]))
            for row in held["relation_constraint"]
            if row["kind"] == "foreign_key" and row["columns"] and row["referenced_columns"]
        ),
        distinct=_distinct_counts(held["extended_statistics"], positions),
        parts=max(1, len(parts)),
        fill_factor=table["fill_factor"] or 100,
        enum_labels={name: values for name, values in labels.items() if name in types},
        index_definitions=tuple(row["definition"] for row in held["relation_index"]),
    )


def _extent(table: Mapping[str, Any], row_bytes: float) -> tuple[float, float]:
    """Rows and pages of one table as the planner takes them: of `row_bytes` each where nobody has counted them."""
    size_pages = (table["size_bytes"] or 0) / PAGE_BYTES
    counted, rows = table["pages"] or 0, table["tuple_rows"] or 0.0
    if size_pages and not counted and not rows:
        return float(int(size_pages * PAGE_BYTES / row_bytes)), size_pages
    if counted and size_pages:
        return float(rows) * size_pages / counted, size_pages
    return float(rows), float(max(counted, size_pages))


def _column(row: Mapping[str, Any], statistics: Mapping[str, Any], nondeterministic: frozenset[str]) -> ColumnFacts:
    counts = statistics.get("element_count_histogram")
    return ColumnFacts(
        name=row["column_name"],
        type=row["base_type"],
        declared=row["type"],
        category=row["type_category"],
        is_not_null=row["is_not_null"],
        is_deterministic=not _is_one_of(row, nondeterministic),
        has_equal_images=row["has_equal_images"],
        is_generated=row["generated"] is not None,
        default=row["default_expression"],
        null_fraction=statistics.get("null_fraction"),
        average_width=statistics.get("average_width_bytes"),
        distinct_values=statistics.get("distinct_values"),
        correlation=statistics.get("correlation"),
        common_values_text=statistics.get("common_values"),
        common_frequencies=tuple(statistics.get("common_frequencies") or ()),
        histogram_text=statistics.get("histogram_bounds"),
        common_elements_text=statistics.get("common_elements"),
        element_frequencies=tuple(statistics.get("common_element_frequencies") or ()),
        element_count=counts[-1] if counts else None,
        range_bounds_text=statistics.get("range_bounds_histogram"),
        range_empty_fraction=statistics.get("range_empty_fraction"),
    )


def _is_one_of(row: Mapping[str, Any], nondeterministic: frozenset[str]) -> bool:
    name = row["collation_name"]
    if name is None or not nondeterministic:
        return False
    schema = row.get("collation_schema") or "public"
    return name in nondeterministic or f"{quote_identifier(schema)}.{quote_identifier(name)}" in nondeterministic


def _unique(held: _Rows, columns: Mapping[str, ColumnFacts]) -> tuple[tuple[str, ...], ...]:
    """Sets of not-null columns that a unique index over all rows and plain columns keeps apart."""
    keys: dict[str, list[dict[str, Any]]] = {}
    for row in held["index_column"]:
        if row["is_key"]:
            keys.setdefault(row["index"], []).append(row)
    found = []
    for index in held["relation_index"]:
        if not index["is_unique"] or index["predicate"] or not index["is_valid"]:
            continue
        names = [row["column_name"] for row in sorted(keys.get(index["index"], []), key=lambda row: row["position"])]
        if names and all(name in columns and columns[name].is_not_null for name in names):
            found.append(tuple(names))
    return tuple(dict.fromkeys(found))


def _names(text: str) -> tuple[str, ...]:
    """Unquoted names of a list of columns: `a, "B, c"`."""
    names, rest = [], text
    while rest:
        rest = rest.lstrip(", ")
        if rest.startswith('"'):
            end = 1
            while end < len(rest) and (rest[end] != '"' or rest[end : end + 2] == '""'):
                end += 2 if rest[end] == '"' else 1
            end += 1
        else:
            end = rest.find(",") if "," in rest else len(rest)
        if rest:
            names.append(unquoted(rest[:end].strip()))
        rest = rest[end:]
    return tuple(names)


def _distinct_counts(objects: list[dict[str, Any]], positions: Mapping[int, str]) -> dict[frozenset[str], float]:
    counts: dict[frozenset[str], float] = {}
    for row in objects:
        try:
            document = json.loads(row.get("distinct_counts") or "{}")
        except ValueError:
            continue
        for numbers, count in document.items() if isinstance(document, dict) else ():
            names = [positions.get(int(number)) for number in str(numbers).split(",") if number.strip("- ").isdigit()]
            if names and all(names):
                counts[frozenset(name for name in names if name)] = float(count)
    return counts


def _labels(definition: str) -> tuple[str, ...]:
    """Labels of `CREATE TYPE … AS ENUM ('a', 'b')`."""
    inside = definition[definition.find("(") + 1 : definition.rfind(")")]
    return tuple(label.replace("''", "'") for label in re.findall(r"'((?:[^']|'')*)'", inside))
