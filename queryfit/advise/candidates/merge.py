"""Indexes against each other: which one serves another's purpose, and one that serves two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from queryfit.advise.candidates.facts import MOST_KEY_BYTES, Options, Table, There
from queryfit.lab.planner import Index, Key
from queryfit.lab.table_facts import unquoted
from queryfit.sql.expressions import plain_expression

_MOST_SHARE = 0.65  # of a row: a merged index that holds more is the table again

_LARGE_PAGES = 10_000
_IN_ORDER = 0.8  # correlation

Marks = tuple[tuple[object, ...], ...]


def is_beginning(first: Index, second: Index) -> bool:
    """The keys of `first` begin those of `second`, read in either direction."""
    one, other = _marks(first), _marks(second)[: len(first.keys)]
    return one == other or tuple(map(_turned, one)) == other


def does_all_of(index: Index, other: Index) -> bool:
    """Whatever a plan does with `other` it can do with `index`, reading some more pages."""
    if index.access_method != other.access_method or _predicate(index) != _predicate(other):
        return False
    if index.access_method != "btree":
        return _marks(index) == _marks(other)
    return is_beginning(other, index) and held(other) <= held(index)


def is_served(index: Index, table: Table) -> bool:
    """An index that is there does what this one would do."""
    return any(
        there.is_usable
        and (does_all_of(there.index, index) or _covers_part(there.index, index))
        and not _is_straighter(index, there.index, table)
        for there in table.indexes
    )


def _is_straighter(index: Index, there: Index, table: Table) -> bool:
    """One key in the order of a large table, where the index that is there has more keys.

    The planner takes an index of several keys for less in order than its first one, by a quarter, and so for dearer to
    read the table by.
    """
    if len(index.keys) > 1 or len(there.keys) == 1 or table.pages < _LARGE_PAGES or index.predicate is not None:
        return False
    column = next((one for one in table.columns.values() if one.sql == index.keys[0].expression), None)
    return column is not None and abs(column.correlation or 0) >= _IN_ORDER


def _covers_part(there: Index, index: Index) -> bool:
    """The same index over the whole table; a partial one is worth it only where it is no more than that."""
    return (
        there.predicate is None
        and index.predicate is not None
        and there.access_method == index.access_method == "gin"
        and _marks(there) == _marks(index)
    )


def replaced(index: Index, table: Table) -> tuple[str, ...]:
    """Indexes of the table that are not needed beside this one."""
    return tuple(
        there.name
        for there in table.indexes
        if there.is_usable and not there.is_fixed and does_all_of(index, there.index)
    )


def merges(first: Index, second: Index, table: Table, options: Options) -> Iterator[Index]:
    """Indexes that serve both: the keys of one, then what else the other has."""
    if first.access_method != "btree" or second.access_method != "btree" or first.predicate or second.predicate:
        return
    if first.keys[0].expression != second.keys[0].expression:
        return
    for one, other in ((first, second), (second, first)):
        keys = list(one.keys)
        expressions = {key.expression for key in keys}
        included: list[str] = []
        for key in other.keys:
            if key.expression in expressions:
                continue
            if len(keys) < options.max_width:
                keys.append(key)
                expressions.add(key.expression)
            elif key.is_column:
                included.append(key.expression)
            else:
                break
        else:
            included += [*one.included, *other.included]
            names = tuple(dict.fromkeys(name for name in included if name not in expressions))
            merged = Index(one.relation, tuple(keys), included=tuple(sorted(names)))
            if merged not in (first, second) and _fits(merged, table, options):
                yield merged


def extensions(index: Index, there: Iterable[There], table: Table, options: Options) -> Iterator[Index]:
    """Indexes that do what this one does, and what one that is there and may go does."""
    for known in there:
        if known.is_usable and not known.is_fixed:
            for merged in merges(known.index, index, table, options):
                if does_all_of(merged, known.index):
                    yield merged


def held(index: Index) -> frozenset[str]:
    """What an index can give back: plain keys and included columns, as SQL writes them."""
    return frozenset(index.included) | {key.expression for key in index.keys if key.is_column}


def _fits(index: Index, table: Table, options: Options) -> bool:
    if len(index.included) > options.max_included:
        return False
    widths = {column.sql: column.width for column in table.columns.values()}
    keys = sum(widths.get(key.expression, 16) for key in index.keys)
    whole = keys + sum(widths.get(name, 16) for name in index.included)
    return keys <= MOST_KEY_BYTES / 4 and whole <= min(_MOST_SHARE * table.row_bytes, 900)


def _marks(index: Index) -> Marks:
    return tuple(_mark(key) for key in index.keys)


@lru_cache(maxsize=1 << 16)
def _mark(key: Key) -> tuple[object, ...]:
    text = unquoted(key.expression) if key.is_column else plain_expression(key.expression) or key.expression
    return (text, key.is_column, key.operator_class, key.collation, key.is_descending, key.is_nulls_first)


def _turned(mark: tuple[object, ...]) -> tuple[object, ...]:
    *what, is_descending, is_nulls_first = mark
    return (*what, not is_descending, not is_nulls_first)


@lru_cache(maxsize=1 << 14)
def plain_predicate(predicate: str) -> str:
    """A predicate in the form in which what people write equals what the server prints of it."""
    text = predicate[1:-1] if predicate.startswith("(") and predicate.endswith(")") else predicate
    return (plain_expression(text) or plain_expression(predicate) or predicate).lower()


def _predicate(index: Index) -> str | None:
    return None if index.predicate is None else plain_predicate(index.predicate)
