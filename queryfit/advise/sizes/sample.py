"""Sizes of indexes that no formula gives, by building them in the lab on rows made from statistics.

What is built lives in a temporary table of a transaction that is rolled back. Two scales show how an index grows; for
a B-tree over an expression the statistics of the expression are enough, and the formula does the rest.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pglast
import psycopg
from pglast import ast
from pglast.visitors import Visitor
from psycopg.rows import tuple_row

from queryfit.advise.sizes.estimate import size_of
from queryfit.advise.sizes.groups import distinct_count
from queryfit.advise.sizes.layout import FIXED, SHORT_MOST_BYTES
from queryfit.advise.sizes.predicate import restriction
from queryfit.lab.planner import Index, Size
from queryfit.lab.rows import fill
from queryfit.lab.table_facts import PAGE_BYTES, ColumnFacts, TableFacts
from queryfit.sql.names import quote_identifier

MOST_ROWS = 24_000  # of the larger scale
MOST_ROWS_OF_MANY = 6_000  # where so many indexes are to be built:
_MANY = 50
_TOLD_EVERY = 10
_SCALE = 4  # the smaller one has a quarter of its rows
_TIMEOUT = "20s"  # an expression may call anything
_TABLE = "pg_temp.queryfit_sample"
_ALIKE = 0.97  # of as many distinct values as the column has: the expression tells its values apart
_SATURATED = 1.02  # four times the rows gave no more distinct values than this

Connection = psycopg.Connection[Any]


def sizes_of(
    indexes: Iterable[Index],
    tables: Mapping[str, TableFacts],
    connection: Connection | None = None,
    *,
    seed: int = 0,
    deadline: float | None = None,
    tell: Callable[[int, int], None] = lambda _done, _all: None,
) -> dict[Index, Size | None]:
    """The sizes of several indexes, null where nothing gives one.

    With a connection to the lab, indexes without a formula are built there on generated rows (fewer where they are
    many), in the order in which they come and until `deadline` (on the monotonic clock). Nothing of it stays.
    """
    sizes: dict[Index, Size | None] = {
        index: size_of(index, tables[index.relation]) if index.relation in tables else None for index in indexes
    }
    if connection is None:
        return sizes
    unknown = [index for index, size in sizes.items() if size is None and index.relation in tables]
    rows = MOST_ROWS if len(unknown) <= _MANY else MOST_ROWS_OF_MANY
    for number, index in enumerate(unknown):
        if deadline is not None and time.monotonic() > deadline:
            break
        if number % _TOLD_EVERY == 0:
            tell(number, len(unknown))
        sizes[index] = built_size(connection, index, tables[index.relation], seed=seed, most_rows=rows)
    return sizes


def planned_share(connection: Connection, index: Index) -> float | None:
    """The share of the rows that the planner expects to satisfy the predicate; null where it refuses to plan."""
    if index.predicate is None:
        return 1.0
    rows = []
    try:
        with connection.transaction(force_rollback=True), connection.cursor(row_factory=tuple_row) as cursor:
            for condition in ("true", index.predicate):
                query = f"explain (format json) select 1 from {index.relation} where {condition}"
                cursor.execute(query.encode())
                ((document,),) = cursor.fetchall()
                rows.append(float(document[0]["Plan"]["Plan Rows"]))
    except psycopg.Error:
        return None
    return min(1.0, rows[1] / rows[0]) if rows[0] > 0 else None


def built_size(
    connection: Connection, index: Index, table: TableFacts, *, seed: int = 0, most_rows: int = MOST_ROWS
) -> Size | None:
    """The size of an index by building it on generated rows; null where PostgreSQL refuses.

    Predicates that the statistics of columns do not answer are counted on these rows too: what a planner makes of an
    expression without statistics is a constant. Where none of the rows satisfies one, the planner is asked.
    """
    share = planned_share(connection, index) if restriction(index.predicate, table) is None else None
    names = columns_of(index, table)
    large = int(min(most_rows, max(1.0, table.rows)))
    try:
        with connection.transaction(force_rollback=True), connection.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(f"set local statement_timeout = '{_TIMEOUT}'".encode())
            built = _Built(connection, cursor, index, table, names, seed)
            if index.access_method == "btree":
                return _by_expressions(built, large, share)
            whole = table.rows / table.parts
            small = built.at(max(1, large // _SCALE))
            if large >= whole:
                last = built.at(large)
                return Size(last.pages * table.parts * PAGE_BYTES, table.rows * last.kept, source="built")
            return _extrapolated(index, table, small, built.at(large))
    except psycopg.Error:
        return None


@dataclass(frozen=True, slots=True)
class _Scale:
    """An index built on so many rows."""

    rows: int
    pages: int
    table_pages: int
    kept: float  # share of the rows with an entry
    expressions: Mapping[str, ColumnFacts]  # statistics of its expressions, and of
    columns: Mapping[str, float]  # its table's columns: distinct values


@dataclass(frozen=True, slots=True)
class _Built:
    connection: Connection
    cursor: psycopg.Cursor[tuple[Any, ...]]
    index: Index
    table: TableFacts
    names: tuple[str, ...]
    seed: int

    def at(self, rows: int) -> _Scale:
        """Build it on `rows` rows in a table of its own, which is dropped again."""
        definitions = ", ".join(map(quote_identifier, self.names))
        self._run(f"create temporary table queryfit_sample as select {definitions} from {self.table.relation} limit 0")
        foreign = replace(self.table, foreign_keys=())
        fill(self.connection, foreign, rows, into=_TABLE, columns=self.names, seed=self.seed)
        parameters = self.index.parameters
        if self.index.access_method == "brin":  # a range a page: their tuples are what is asked for
            parameters = (*(item for item in parameters if item[0] != "pages_per_range"), ("pages_per_range", "1"))
        sample = replace(self.index, relation="queryfit_sample", parameters=parameters, is_unique=False)
        self._run(sample.create("queryfit_sample_idx"))
        self._run(f"analyze {_TABLE}")
        self.cursor.execute(
            b"select pg_relation_size('pg_temp.queryfit_sample_idx') / 8192,"
            b" pg_relation_size('pg_temp.queryfit_sample') / 8192,"
            b" (select reltuples from pg_class where oid = 'pg_temp.queryfit_sample_idx'::regclass)"
        )
        ((pages, table_pages, tuples),) = self.cursor.fetchall()
        scale = _Scale(
            rows, pages, table_pages, min(1.0, max(0.0, tuples / rows)), self._expressions(), self._distinct(rows)
        )
        self._run(f"drop table {_TABLE}")
        return scale

    def _run(self, statement: str) -> None:
        self.cursor.execute(statement.encode())

    def _expressions(self) -> dict[str, ColumnFacts]:
        self.cursor.execute(
            b"select a.attnum, t.typname, t.typcategory::text, s.null_frac, s.avg_width, s.n_distinct,"
            b" s.most_common_vals::text, s.most_common_freqs, s.histogram_bounds::text"
            b" from pg_attribute as a join pg_type as t on t.oid = a.atttypid"
            b" left join pg_stats as s on s.schemaname = pg_my_temp_schema()::regnamespace::text"
            b" and s.tablename = 'queryfit_sample_idx' and s.attname = a.attname"
            b" where a.attrelid = 'pg_temp.queryfit_sample_idx'::regclass"
        )
        found = {}
        for number, kind, category, nulls, width, distinct, common, frequencies, bounds in self.cursor.fetchall():
            keys = self.index.keys
            if number > len(keys) or keys[number - 1].is_column:
                continue
            found[keys[number - 1].expression] = ColumnFacts(
                name=f"({keys[number - 1].expression})",
                type=kind,
                category=category,
                null_fraction=nulls,
                average_width=_packed(width, kind),
                distinct_values=distinct,
                common_values_text=common,
                common_frequencies=tuple(frequencies or ()),
                histogram_text=bounds,
            )
        return found

    def _distinct(self, rows: int) -> dict[str, float]:
        self.cursor.execute(
            b"select attname::text, n_distinct from pg_stats where tablename = 'queryfit_sample'"
            b" and schemaname = pg_my_temp_schema()::regnamespace::text"
        )
        return {name: count if count >= 0 else -count * rows for name, count in self.cursor.fetchall()}


def _packed(width: int | None, type_name: str) -> float | None:
    """The width that an index stores: ANALYZE meets computed values before their header is shortened."""
    if width is None or type_name in FIXED or width > SHORT_MOST_BYTES + 3:
        return width
    return max(1, width - 3)


def _by_expressions(built: _Built, rows: int, share: float | None) -> Size | None:
    """The formula, fed with statistics of the expressions."""
    table, large = built.table, built.at(rows)
    small = built.at(max(1, rows // _SCALE)) if rows < table.rows else None
    facts = {}
    for expression, column in large.expressions.items():
        distinct = column.distinct_in(rows)
        if distinct is not None and small is not None:
            used = columns_of(
                replace(
                    built.index,
                    keys=tuple(key for key in built.index.keys if key.expression == expression),
                    included=(),
                    predicate=None,
                ),
                table,
            )
            distinct = _grown(
                distinct, small.expressions[expression].distinct_in(small.rows) or 1.0, used, large, table
            )
        facts[expression] = replace(column, distinct_values=distinct)
    if share is not None and large.kept > 0:
        share = large.kept
    size = size_of(built.index, table, selectivity=share, expressions=facts)
    return replace(size, source="built") if size else None


def _grown(distinct: float, before: float, used: tuple[str, ...], large: _Scale, table: TableFacts) -> float:
    """Distinct values of an expression in the whole table, from those in the two samples."""
    most = table.rows
    if len(used) == 1:
        of_column = distinct_count(table.columns[used[0]], table)
        most = min(most, of_column if of_column is not None else most)
        if distinct >= _ALIKE * large.columns.get(used[0], math.inf):
            return most
    if distinct <= _SATURATED * before:
        return distinct
    power = min(1.0, math.log(distinct / before) / math.log(_SCALE))
    return min(most, distinct * math.pow(table.rows / large.rows, power))


def _extrapolated(index: Index, table: TableFacts, small: _Scale, large: _Scale) -> Size:
    """The straight line through two scales; a BRIN index grows with the ranges of the table."""
    if index.access_method == "brin":
        per_range = (large.pages - small.pages) / max(1, large.table_pages - small.table_pages)
        ranges = table.pages / table.parts / int(dict(index.parameters).get("pages_per_range", 128))
        pages = 2 + max(1, math.ceil(ranges * per_range))
    else:
        slope = (large.pages - small.pages) / max(1, large.rows - small.rows)
        pages = math.ceil(large.pages + slope * (table.rows / table.parts - large.rows))
    return Size(pages * table.parts * PAGE_BYTES, table.rows * large.kept, source="built")


class _Columns(Visitor):
    """Names of columns in a statement."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def visit_ColumnRef(self, _ancestors: Any, node: ast.ColumnRef) -> None:  # noqa: N802 -- named by the library
        if node.fields and isinstance(node.fields[-1], ast.String):
            self.names.add(str(node.fields[-1].sval))

    def visit_IndexElem(self, _ancestors: Any, node: ast.IndexElem) -> None:  # noqa: N802
        if node.name:
            self.names.add(str(node.name))


def columns_of(index: Index, table: TableFacts) -> tuple[str, ...]:
    """Columns of the table that the index reads: keys, expressions, INCLUDE and predicate; in the table's order."""
    visitor = _Columns()
    visitor(pglast.parse_sql(index.create("i")))
    return tuple(name for name in table.columns if name in visitor.names)
