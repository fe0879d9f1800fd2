"""B-trees for one use of a table: keys in the orders that matter, what they cover, and partial ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, zip_longest

from queryfit.advise.candidates.facts import MOST_KEY_BYTES, Options, Table
from queryfit.advise.candidates.partial import Condition, conditions
from queryfit.advise.candidates.uses import Term, Use, column_term
from queryfit.lab.planner import Index, Key

_MOST_TERMS = 5  # equalities that are tried in the lead; a statement with more has one that suffices
_MOST_PAIRED = 6
_MOST_ARMS = 4
_MOST_COVERED = 10  # key sequences of one use that get a covering variant
_MOST_PARTIAL = 4  # key sequences under one predicate
_MOST_CONDITIONS = 3
_FEW_ROWS = 20  # rows that are fetched as fast from the table
_COVERED_SHARE = 0.65  # of a row: an index that holds more is the table again
_HARDLY_A_CONDITION = 0.9  # of the rows meet it
_NARROW = 64  # bytes
_ENOUGH_SHARE = 0.3  # a lone condition that leaves more than that is no use for an index that does not cover


@dataclass(frozen=True, slots=True)
class Draft:
    """An index for one use of a table, and why."""

    index: Index
    why: str


def btrees(use: Use, options: Options) -> Iterator[Draft]:
    """Drafts in the order of their promise, without repeats; those that only sort or cover come behind."""
    seen: set[Index] = set()
    found = list(_sequences(use, options.max_width)) or _whole(use)
    plain = [_plain(use.table, keys) for keys in found if not _is_weak(use, keys)]
    covering = [draft for keys in found[:_MOST_COVERED] if (draft := _covering(use, keys, options)) is not None]
    partial = list(_partial(use, found, options))
    # two that are small for one that covers and one that is partial
    for drafts in zip_longest(plain[::2], plain[1::2], covering, partial):
        for draft in drafts:
            if draft is not None and draft.index not in seen:
                seen.add(draft.index)
                yield draft


def _whole(use: Use) -> list[tuple[Term, ...]]:
    """One key for a use without any: an index of what is read is read faster than a wide table."""
    columns = (use.table.columns[name] for name in sorted(use.read or ()) if name not in use.wide)
    keys = [column for column in columns if column.is_ordered]
    return [(column_term(keys[0], "read"),)] if keys and sum(key.width for key in keys) < _NARROW else []


def _sequences(use: Use, width: int) -> Iterator[tuple[Term, ...]]:
    """Key sequences of at most `width` terms that a B-tree can hold, the promising ones first."""
    seen: set[tuple[Key, ...]] = set()
    for wanted in _wanted(use, width):
        terms: list[Term] = []
        for term in wanted:
            if term.is_ordered and not any(term.key.expression == known.key.expression for known in terms):
                terms.append(term)
        keys = tuple(terms[:width])
        mark = tuple(term.key for term in keys)
        if keys and mark not in seen and sum(term.width for term in keys) <= MOST_KEY_BYTES / 4:
            seen.add(mark)
            yield keys


def _wanted(use: Use, width: int) -> Iterator[Sequence[Term]]:
    """What could be a key, in the order of promise: the best lookup, then what is small, then what joins and sorts."""
    equal = _telling([*use.equalities, *use.nulls])[:_MOST_TERMS]
    ranges, joins = use.ranges[:_MOST_TERMS], use.joins[:_MOST_TERMS]
    head = equal[: max(width - 1, 1)]
    if use.order:
        yield [*equal, *use.order]
    for bound in ranges[:2]:
        yield [*head, bound]
    yield equal
    for join in joins:
        yield [join]
    for term in (*equal, *ranges):
        yield [term]
    for extreme in use.extremes:
        yield [*equal, extreme]
    yield from _joined(joins, equal, ranges, width)
    yield from _orders(use, equal)
    yield from _disjuncts(use, head)
    paired = list(dict.fromkeys([*equal[:3], *ranges[:3], *joins[:3], *use.order[:1], *use.groups[:1]]))
    for first, second in permutations(paired[:_MOST_PAIRED], min(2, width)) if width > 1 else ():
        yield [first, second]
    # each term in the lead once, and each length: another statement may share the beginning
    for lead in equal:
        for length in range(1, len(equal)):
            yield [lead, *[term for term in equal if term is not lead][:length]]
    for bound in ranges:
        yield [*head, bound]
        yield [bound, *[term for term in ranges if term is not bound]]


def _telling(terms: list[Term]) -> list[Term]:
    """Conditions without those that nearly every row meets, such as not being deleted; all of them where all are so."""
    return [term for term in terms if term.share is None or term.share < _HARDLY_A_CONDITION] or terms


def _joined(
    joins: Sequence[Term], equal: Sequence[Term], ranges: Sequence[Term], width: int
) -> Iterator[Sequence[Term]]:
    """Join columns with those of one partner, and in front of and behind the conditions of their own table."""
    for partner in dict.fromkeys(join.partner for join in joins):
        together = [join for join in joins if join.partner == partner]
        if len(together) > 1:
            yield together
            yield together[::-1]
    head, short = equal[: max(width - 1, 1)], equal[: max(width - 2, 0)]
    for join in joins:
        yield [join, *equal]
        yield [*head, join]
        if ranges:
            yield [join, *short, ranges[0]]
            yield [*short, ranges[0], join]


def _disjuncts(use: Use, head: Sequence[Term]) -> Iterator[Sequence[Term]]:
    """Arms of an OR are looked up one by one; which of the terms stand in one arm is not known."""
    terms = sorted(use.disjuncts, key=lambda term: (term.share if term.share is not None else 0.1, term.key.expression))
    terms = terms[:_MOST_TERMS]
    for term in terms:
        yield [term]
    if len(terms) > 1:
        yield [term for term in terms if term.partner is None]
        yield terms
        yield from permutations(terms[:_MOST_ARMS], 2)
    for term in terms if head else ():
        yield [*head, term]


def _orders(use: Use, equal: Sequence[Term]) -> Iterator[Sequence[Term]]:
    for ordered in (use.order, use.groups, use.distincts, use.windows):
        if ordered:
            if equal and ordered is not use.order:
                yield [*equal, *ordered]
            yield ordered
            if ordered is not use.order and use.ranges:
                yield [*ordered, *use.ranges]


def _is_weak(use: Use, keys: Sequence[Term]) -> bool:
    """One condition that leaves most rows, and nothing else that the key is good for."""
    if len(keys) > 1 or use.order or use.groups or use.distincts or use.extremes:
        return False
    term = keys[0]
    if use.read is not None and use.read == term.columns:
        return False  # it covers
    return (
        term in (*use.equalities, *use.nulls, *use.disjuncts) and term.share is not None and term.share > _ENOUGH_SHARE
    )


def _plain(table: Table, keys: Sequence[Term]) -> Draft:
    return Draft(Index(table.name, tuple(term.key for term in keys)), ", ".join(term.label for term in keys))


def _covering(use: Use, keys: Sequence[Term], options: Options, condition: Condition | None = None) -> Draft | None:
    """The same keys with everything else that the statement reads of the table, as keys where they are few."""
    if use.read is None:
        return None
    if condition is None and _estimated(use) <= _FEW_ROWS and not use.joins:
        return None
    columns = use.table.columns
    held = {key.columns for key in keys if key.key.is_column}
    # an index-only scan takes no value out of an expression: its columns are needed as well
    needed = use.read if condition is None else condition.read
    rest = sorted(name for name in needed if frozenset({name}) not in held)
    width = sum(columns[name].width for name in rest) + sum(term.width for term in keys)
    if (
        not rest
        or use.wide & needed
        or len(rest) > options.max_included
        or width > min(_COVERED_SHARE * use.table.row_bytes, 900)
    ):
        return None
    sql = tuple(columns[name].sql for name in rest)
    why = f"{', '.join(term.label for term in keys)}, holds all that is read"
    predicate = None if condition is None else condition.sql
    listed = tuple(term.key for term in keys)
    if len(keys) + len(rest) <= options.max_width and all(columns[name].is_ordered for name in rest):
        return Draft(Index(use.table.name, listed + tuple(Key(name) for name in sql), predicate=predicate), why)
    return Draft(Index(use.table.name, listed, included=sql, predicate=predicate), why)


def _estimated(use: Use) -> float:
    """Rows that the conditions of the use leave, as if they were independent."""
    rows = use.table.rows if use.table.rows is not None else 1e6
    for term in (*use.equalities, *use.nulls, *use.ranges):
        rows *= term.share if term.share is not None else 0.1
    return rows


def _partial(use: Use, found: Sequence[tuple[Term, ...]], options: Options) -> Iterator[Draft]:
    known = conditions(use)[:_MOST_CONDITIONS]
    for condition in known:
        for keys in _behind(found, condition):
            why = f"{', '.join(term.label for term in keys)}, where {condition.sql}"
            listed = tuple(term.key for term in keys)
            yield Draft(Index(use.table.name, listed, predicate=condition.sql), why)
            covering = _covering(use, keys, options, condition)
            if covering is not None:
                yield Draft(covering.index, f"{why}, holds all that is read")


def _behind(found: Sequence[tuple[Term, ...]], condition: Condition) -> Iterable[tuple[Term, ...]]:
    """Key sequences without what the predicate says already; the predicate's own column where none is left."""
    kept: dict[tuple[Key, ...], tuple[Term, ...]] = {}
    for keys in found:
        if condition.is_strict:  # the key has to stay: its condition is what implies the predicate
            rest = keys if condition.columns & keys[0].columns else ()
        else:
            rest = tuple(term for term in keys if not term.columns <= condition.columns)
        if rest and len(kept) < _MOST_PARTIAL:
            kept.setdefault(tuple(term.key for term in rest), rest)
    if not kept and condition.term is not None and condition.term.is_ordered:
        kept[(condition.term.key,)] = (condition.term,)
    return kept.values()
