"""How large an index will be, before it exists, from what is known of its table."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from queryfit.advise.sizes import btree as btree_size
from queryfit.advise.sizes import others as other_sizes
from queryfit.advise.sizes.groups import key_profile, occurring
from queryfit.advise.sizes.layout import is_deduplicable, tuple_sizes, widths
from queryfit.advise.sizes.predicate import Restriction, restriction
from queryfit.lab.planner import Index, Size
from queryfit.lab.table_facts import PAGE_BYTES, ColumnFacts, TableFacts, tables_of, unquoted

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["size_of", "tables_of"]

_FEWEST = 0.5  # rows
_ADDRESS_BYTES = 8  # of a row, aligned
_BLOOM_OR_MULTI = ("_bloom_ops", "_multi_ops", "_inclusion_ops")
_NO_MINMAX = {"box", "point", "inet", "cidr"}


def size_of(
    index: Index, table: TableFacts, *, selectivity: float | None = None,
    expressions: Mapping[str, ColumnFacts] | None = None,
) -> Size | None:  # fmt: skip
    """The size of a freshly built index: bytes of its main fork, entries, B-tree height.

    `selectivity` is the share of the rows that its predicate takes; without it the statistics of the columns say.
    `expressions` are statistics of expressions, by their text. Null where no formula will do (GIN, GiST, SP-GiST,
    expressions and predicates without statistics): then it is to be built on generated rows
    (`queryfit.advise.sizes.sample`), or left to the planner.
    """
    kept = restriction(index.predicate, table)
    if kept is None:
        if selectivity is None:
            return None
        kept = Restriction(selectivity)
    elif selectivity is not None:
        kept = Restriction(selectivity, kept.columns)
    keys = _facts(
        [key.expression for key in index.keys], [key.is_column for key in index.keys], table, kept, expressions
    )
    included = _facts(index.included, [True] * len(index.included), table, kept, expressions)
    if keys is None or included is None or not keys:
        return None
    rows = table.rows * kept.share
    if index.access_method == "btree":
        return _btree(index, table, keys, included, rows)
    if index.access_method == "hash":
        return _hash(index, table, keys[0], rows)
    if index.access_method == "brin":
        return _brin(index, table, keys)
    return None


def _facts(
    names: Sequence[str], are_columns: Sequence[bool], table: TableFacts, kept: Restriction,
    expressions: Mapping[str, ColumnFacts] | None,
) -> list[ColumnFacts] | None:  # fmt: skip
    found = []
    for name, is_column in zip(names, are_columns, strict=True):
        if is_column:
            plain = unquoted(name)
            column = kept.columns.get(plain) or table.columns.get(plain)
        else:
            column = (expressions or {}).get(name)
        if column is None:
            return None
        found.append(column)
    return found


def _btree(
    index: Index, table: TableFacts, keys: list[ColumnFacts], included: list[ColumnFacts], rows: float
) -> Size | None:
    parameters = dict(index.parameters)
    is_shared = parameters.get("deduplicate_items", "on").lower() not in {"off", "false", "no", "0"}
    parts = [
        btree_size.Part(
            rows / table.parts, _shares(tuple_sizes([(column, widths(column)) for column in [*keys, *included]]))
        )
    ]
    if is_shared and not included and not index.is_unique and all(is_deduplicable(column) for column in keys):
        parts = _grouped(keys, table, rows / table.parts)
    tree = btree_size.tree(
        parts,
        pivot_bytes=_pivot_bytes(keys, table),
        fill_factor=int(parameters.get("fillfactor", btree_size.DEFAULT_FILL_FACTOR)),
    )
    return Size(tree.pages * table.parts * PAGE_BYTES, rows, tree.height)


def _grouped(keys: list[ColumnFacts], table: TableFacts, rows: float) -> list[btree_size.Part]:
    """Rows by which of their keys are null: such tuples are of other sizes, and fall into larger groups."""
    parts = []
    for pattern in itertools.product(*((False, True) if column.null_fraction else (False,) for column in keys)):
        share = math.prod(
            nulls if is_null else 1.0 - nulls
            for is_null, column in zip(pattern, keys, strict=True)
            for nulls in [column.null_fraction or 0.0]
        )
        if share * rows < _FEWEST:
            continue
        held = [column for is_null, column in zip(pattern, keys, strict=True) if not is_null]
        laid_out = [
            (column, widths(column, null_fraction=float(is_null)))
            for is_null, column in zip(pattern, keys, strict=True)
        ]
        profile = key_profile(held, table, without_nulls=frozenset(column.name for column in held))
        parts.append(btree_size.Part(rows * share, _shares(tuple_sizes(laid_out)), profile))
    return parts


def _pivot_bytes(keys: list[ColumnFacts], table: TableFacts) -> float:
    """The mean size of a tuple above the leaves: it keeps the leading keys that tell the two at a page's end apart.

    As many neighbours differ in the first keys as there are groups of equal ones. Where all are equal, the address of
    the row is kept too. Equal nulls fill few pages, so hardly any page ends with one.
    """
    mean, known = 0.0, 0.0
    for count in range(1, len(keys) + 1):
        sizes = tuple_sizes([(column, widths(column, null_fraction=0.0)) for column in keys[:count]])
        size = sum(sizes) / len(sizes)
        profile = key_profile(keys[:count], table)
        apart = 1.0 if profile is None else min(1.0, occurring(profile, table.rows) / max(1.0, table.rows))
        mean += size * max(0.0, apart - known)
        known = max(known, apart)
        if count == len(keys):
            mean += (size + _ADDRESS_BYTES) * (1.0 - known)
    return mean


def _shares(sizes: Sequence[int]) -> dict[int, float]:
    return {size: count / len(sizes) for size, count in sorted(Counter(sizes).items())}


def _hash(index: Index, table: TableFacts, key: ColumnFacts, rows: float) -> Size:
    entries = rows * (1.0 - (key.null_fraction or 0.0))
    profile = key_profile([key], table, without_nulls=frozenset({key.name}))
    fill_factor = int(dict(index.parameters).get("fillfactor", 75))
    parts = table.parts
    pages = other_sizes.hash_pages(table.rows / parts, entries / parts, profile, fill_factor=fill_factor)
    return Size(pages * parts * PAGE_BYTES, entries)


def _brin(index: Index, table: TableFacts, keys: list[ColumnFacts]) -> Size | None:
    classes = [key.operator_class or "" for key in index.keys]
    if any(name.endswith(_BLOOM_OR_MULTI) for name in classes):
        return None
    if any(
        (column.type in _NO_MINMAX or column.category in "ARG") and not name
        for column, name in zip(keys, classes, strict=True)
    ):
        return None
    per_range = int(dict(index.parameters).get("pages_per_range", 128))
    pages = other_sizes.brin_pages(keys, table.pages / table.parts, per_range)
    return Size(pages * table.parts * PAGE_BYTES, table.rows)
