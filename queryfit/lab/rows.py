"""Rows made from statistics: what a table without its data can be filled with.

Every value depends on the seed, the column and the number of the row alone, so a foreign key finds the values of the
rows that it refers to without their being kept.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from queryfit.lab.row_values import Values, fraction, mixed
from queryfit.lab.table_facts import ColumnFacts, ForeignKey, TableFacts
from queryfit.sql.names import quote_identifier

if TYPE_CHECKING:
    import psycopg

_DEPTH = 8  # foreign keys followed from one to the next
_MOSTLY_APART = 0.5  # distinct values of a row
_IN_ORDER = 0.9  # correlation from which keys count up with the rows


def generated_rows(
    table: TableFacts, count: int, *, seed: int = 0, columns: Collection[str] | None = None,
    tables: Mapping[str, TableFacts] | None = None, counts: Mapping[str, int] | None = None,
    json_keys: Mapping[str, tuple[str, ...]] | None = None,
) -> Iterator[tuple[str | None, ...]]:  # fmt: skip
    """`count` rows of the table as PostgreSQL reads them, a text or null for each of `columns` (all, in order).

    They follow null fractions, common values, histograms, counts of distinct values, physical correlation and widths;
    keys are unique. With `tables`, foreign keys repeat values of the rows that these get from the same seed: `counts`
    of them, or as many as keep the proportion of the tables. `json_keys` are keys of documents, by column.
    """
    source = _Source(tables or {}, dict(counts or {}), seed, dict(json_keys or {}))
    rows = source.rows_of(table, count)
    names = list(columns) if columns is not None else writable_columns(table)
    for number in range(count):
        yield tuple(rows.value(name, number) for name in names)


def writable_columns(table: TableFacts) -> list[str]:
    """Columns that rows bring along: all but generated ones."""
    return [column.name for column in table.columns.values() if not column.is_generated]


def fill(
    connection: psycopg.Connection[Any], table: TableFacts, count: int, *, into: str | None = None, seed: int = 0,
    columns: Collection[str] | None = None, tables: Mapping[str, TableFacts] | None = None,
    counts: Mapping[str, int] | None = None,
) -> int:  # fmt: skip
    """COPY `count` generated rows into the table, or into another one with these columns; how many were written."""
    names = list(columns) if columns is not None else writable_columns(table)
    if not names:
        return 0
    written = 0
    statement = f"copy {into or table.relation} ({', '.join(map(quote_identifier, names))}) from stdin"
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for row in generated_rows(table, count, seed=seed, columns=names, tables=tables, counts=counts):
            copy.write_row(row)
            written += 1
    return written


@dataclass(slots=True)
class _Source:
    """What all tables of one filling share."""

    tables: Mapping[str, TableFacts]
    counts: dict[str, int]
    seed: int
    json_keys: Mapping[str, tuple[str, ...]]
    made: dict[tuple[str, int], _Rows] = field(default_factory=dict)

    def rows_of(self, table: TableFacts, count: int) -> _Rows:
        key = table.relation, count
        if key not in self.made:
            self.made[key] = _Rows(self, table, count)
        return self.made[key]

    def referenced(self, key: ForeignKey, table: TableFacts, count: int) -> _Rows | None:
        """The rows that a foreign key refers to; null when nothing is known of them."""
        if key.relation == table.relation:
            return self.rows_of(table, count)
        target = self.tables.get(key.relation)
        if target is None or not set(key.referenced) <= target.columns.keys():
            return None
        share = count / table.rows if table.rows else 1.0
        return self.rows_of(target, self.counts.get(key.relation, max(1, math.ceil(target.rows * min(1.0, share)))))


class _Rows:
    """`count` rows of one table, by number."""

    def __init__(self, source: _Source, table: TableFacts, count: int) -> None:
        self.source = source
        self.table = table
        self.count = max(1, count)
        self.values = {
            name: Values(
                column,
                table.rows or self.count,
                _seed_of(source.seed, table.relation, name),
                table.enum_labels.get(column.type, ()),
                source.json_keys.get(name, ()),
            )
            for name, column in table.columns.items()
        }
        self.foreign = {name: key for key in table.foreign_keys for name in key.columns}
        self.places = self._places()

    def _places(self) -> dict[str, tuple[int, int, ColumnFacts]]:
        """Of columns of keys: value `row // divisor % radix` of `radix`, so that no two rows have the same ones.

        Rows are counted in the order of the key's first column.
        """
        places: dict[str, tuple[int, int, ColumnFacts]] = {}
        for key in sorted(self.table.unique, key=len):
            if any(name in places for name in key):
                continue  # a key that shares a column with a shorter one is unique by that one, or is left to chance
            if len(key) == 1:
                places[key[0]] = (1, self.count, self.table.columns[key[0]])
                continue
            first = self.table.columns[key[0]]
            each = max(1, math.ceil(self.table.rows / self.values[key[0]].distinct))
            each = min(each, self.count)
            places[key[0]] = (each, math.ceil(self.count / each), first)
            divisor = 1
            for name in key[1:-1]:
                radix = max(1, min(each, self.values[name].distinct))
                places[name] = (divisor, radix, first)
                divisor, each = divisor * radix, math.ceil(each / radix)
            places[key[-1]] = (divisor, each, first)
        return places

    def value(self, name: str, number: int, depth: int = 0) -> str | None:
        """The column's value in row `number`."""
        column, values = self.table.columns[name], self.values[name]
        if not column.is_not_null and fraction(values.seed ^ 0x5EED, number) < (column.null_fraction or 0.0):
            return None
        place = self.places.get(name)
        if place is not None:
            divisor, radix, first = place
            at = self._shuffled(number, first) // divisor % radix
            if name in self.foreign and depth < _DEPTH:
                found = self._referenced(name, at, depth)
                if found is not None:
                    return found
            return values.nth(at, radix, is_unique=True)
        if name in self.foreign and depth < _DEPTH:
            # all columns of one key point to one row
            key = self.foreign[name]
            anchor = self.values[key.columns[0]]
            found = self._referenced(name, self._drawn_number(anchor, number), depth)
            if found is not None:
                return found
        return values.drawn(self._point(column, values.seed, number))

    def _shuffled(self, number: int, column: ColumnFacts) -> int:
        """Keys in the order of the rows where they are now, else in none."""
        correlation = column.order if column.correlation is not None else 1.0
        if correlation >= _IN_ORDER:
            return number
        if correlation <= -_IN_ORDER:
            return self.count - 1 - number
        return self._stepped(number, 7)

    def _point(self, column: ColumnFacts, seed: int, number: int) -> float:
        """Where in the order of values a row lies: a share of them, as large as the correlation, goes with the rows."""
        correlation = column.order
        if fraction(seed ^ 0xC0DE, number) < abs(correlation):
            place = (number + 0.5) / self.count
            return place if correlation > 0 else 1.0 - place
        if -(column.distinct_values or 0.0) > _MOSTLY_APART:
            # drawn one by one, a third of the values would come twice
            return (self._stepped(number, seed) + 0.5) / self.count
        return fraction(seed, number)

    def _stepped(self, number: int, seed: int) -> int:
        """The number of the row in another order, each once: steps without a common factor go through all rows."""
        step = 1 + (self.count // 3 + seed % max(1, self.count // 3)) | 1
        while math.gcd(step, self.count) != 1:
            step += 1
        return (number * step + seed) % self.count

    def _drawn_number(self, values: Values, number: int) -> int:
        """Which of the referenced rows: as skewed as the column's common values, and as few as its distinct ones."""
        if abs(values.column.order) >= _IN_ORDER:
            return int(number / self.count * values.distinct)
        point, shares = fraction(values.seed, number), values.column.common_frequencies
        whole = max(1e-9, 1.0 - (values.column.null_fraction or 0.0))
        for place, share in enumerate(shares):
            point -= share / whole
            if point < 0:
                return mixed(values.seed, place)
        return mixed(values.seed, len(shares) + mixed(values.seed ^ 1, number) % max(1, values.others))

    def _referenced(self, name: str, number: int, depth: int) -> str | None:
        key = self.foreign[name]
        target = self.source.referenced(key, self.table, self.count)
        if target is None:
            return None
        referenced = key.referenced[key.columns.index(name)]
        if target is self and referenced == name:
            return None
        return target.value(referenced, number % target.count, depth + 1)


def _seed_of(seed: int, relation: str, name: str) -> int:
    return mixed(seed, zlib.crc32(f"{relation}.{name}".encode()))
