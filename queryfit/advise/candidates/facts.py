"""What candidates are made from: statements with their references, tables with their statistics and indexes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from queryfit.advise.model import Candidate, Rejected
from queryfit.lab.planner import Index
from queryfit.lab.table_facts import array_values
from queryfit.sql.model import Reference
from queryfit.sql.names import quote_identifier

MOST_KEY_BYTES = 2704
"""A B-tree refuses a tuple that is longer: a third of a page."""

_DEFAULT_WIDTH = 32  # bytes of a value that was never analyzed
_TEXTS = frozenset({"text", "varchar", "bpchar", "citext", "bytea"})
# Types of category "user-defined" that have an order that somebody asks for.
_ORDERED_OTHERS = frozenset({"uuid", "bytea", "macaddr", "macaddr8", "pg_lsn", "ltree", "xid8", "timestamptz"})
_ORDERED_CATEGORIES = frozenset("NSDTBEIV")  # numbers, strings, dates, spans, booleans, enums, networks, bits


@dataclass(frozen=True, slots=True)
class Column:
    """A column with what ANALYZE found in it; null where that is not known."""

    name: str  # unquoted
    base_type: str  # typname below any domain
    category: str  # typcategory
    declared_type: str = ""  # format_type()
    collation: str | None = None  # null: the default
    is_not_null: bool = False
    is_virtual: bool = False  # generated when read: nothing to index
    null_fraction: float | None = None
    average_bytes: float | None = None
    distinct_rows: float | None = None
    correlation: float | None = None
    common_values: str | None = None  # as pg_stats prints them, or the beginning of that
    common_frequencies: tuple[float, ...] = ()  # of the first of them, in falling order
    has_statistics: bool = False
    has_histogram: bool = False

    @property
    def sql(self) -> str:
        return quote_identifier(self.name)

    @property
    def width(self) -> float:
        """Bytes of a mean value."""
        return self.average_bytes if self.average_bytes is not None else _DEFAULT_WIDTH

    @property
    def is_text(self) -> bool:
        return self.base_type in _TEXTS

    @property
    def is_ordered(self) -> bool:
        """A B-tree over it is of use."""
        if self.is_virtual or self.base_type == "aclitem":
            return False
        return self.category in _ORDERED_CATEGORIES or self.base_type in _ORDERED_OTHERS

    def share_of(self, value: str) -> float | None:
        """Share of the rows that hold a value (unquoted text, as it prints); null when that is not known."""
        text = self.common_values or ""
        common = array_values(text) if text.endswith("}") else array_values(text)[:-1]  # the last one is cut
        if value in common and self.common_frequencies:
            # in falling order; of those that were not kept the last one kept is near enough
            return self.common_frequencies[min(common.index(value), len(self.common_frequencies) - 1)]
        return self.mean_share

    @property
    def mean_share(self) -> float | None:
        """Share of the rows that a mean value has; null when that is not known."""
        if self.distinct_rows is None:
            return None
        return max(1 - (self.null_fraction or 0.0), 1e-9) / max(self.distinct_rows, 1.0)


@dataclass(frozen=True, slots=True)
class There:
    """An index that is there, as far as candidates are concerned."""

    name: str  # schema.name
    index: Index
    columns: frozenset[str]  # unquoted: plain keys and included columns
    is_usable: bool  # valid and ready
    is_fixed: bool  # a constraint, a foreign key, uniqueness or the replica identity rests on it


@dataclass(frozen=True, slots=True)
class Table:
    """A table that can have indexes; a partitioned one stands for all of its partitions."""

    name: str  # schema.name, quoted where SQL needs it
    kind: str  # table, partitioned_table, materialized_view
    columns: Mapping[str, Column]
    rows: float | None
    pages: float
    part_pages: float  # of a mean partition
    indexes: tuple[There, ...] = ()

    @property
    def row_bytes(self) -> float:
        return sum(column.width for column in self.columns.values()) + 28  # header and line pointer


@dataclass(frozen=True, slots=True)
class Schema:
    """A database as candidates see it. `roots` maps partitions to the table that is indexed for them."""

    tables: Mapping[str, Table]
    roots: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)  # relations without indexes of their own, and why
    extensions: Mapping[str, str] = field(default_factory=dict)  # name: schema it lives in, as SQL writes it
    immutable_routines: Mapping[str, str] = field(default_factory=dict)  # schema.name, name alone: type of the result
    is_c_collation: bool = False  # the database orders texts by bytes
    has_values: bool = True  # statistics with values: not redacted

    def table(self, relation: str) -> Table | None:
        return self.tables.get(self.roots.get(relation, relation))

    def operator_class(self, extension: str, name: str) -> str | None:
        """Name of an operator class as SQL needs it; null where its extension is not installed."""
        schema = self.extensions.get(extension)
        return None if schema is None else f"{schema}.{name}"


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement to make candidates for; `weight` ranks it among the others, in any unit."""

    fingerprint: str
    references: tuple[Reference, ...]
    weight: float = 1.0
    kind: str = "select"
    locks_rows: bool = False  # FOR UPDATE and the like: rows are visited, whatever an index holds


@dataclass(frozen=True, slots=True)
class Options:
    """Bounds of what is proposed."""

    max_width: int = 3  # key columns of a B-tree
    max_included: int = 8  # INCLUDE columns
    min_pages: int = 6  # a smaller table is read whole as fast
    per_use: int = 40  # candidates of one use of a table in one statement
    per_table: int = 220
    least_per_table: int = 15  # besides the first choices, and one more for each of these pages
    pages_per_candidate: int = 40
    most: int = 4000
    merges_per_table: int = 12
    brin_pages: int = 16384  # 128 MB: below that a B-tree's size is no matter


@dataclass(frozen=True, slots=True)
class Proposal:
    """Candidates in the order of their promise, and what was not proposed, with the reason."""

    candidates: tuple[Candidate, ...]
    rejected: tuple[Rejected, ...] = ()


def looks_too_wide(column: Column, schema: Schema) -> bool:
    """Values of it may not fit into a B-tree, by what is known of them.

    ANALYZE keeps no value beyond 1 kB: a text column that was analyzed and has neither common values nor a histogram
    holds only such. Values moved out of the row count as 18 bytes in its mean width, so that width alone is no proof.
    """
    if not column.is_text:
        return column.width > MOST_KEY_BYTES / 8
    if column.width > MOST_KEY_BYTES / 8:
        return True
    is_silent = column.has_statistics and not column.has_histogram and not column.common_frequencies
    return is_silent and schema.has_values and (column.null_fraction or 0) < 1 and (column.distinct_rows or 0) > 1


def harmonic(rank: int) -> float:
    """How much of a statement's weight its candidate at that place, from 0, stands for."""
    return 1 / math.log2(rank + 2)
