"""Index candidates: what each statement would like to have, merged, ranked and bounded.

The planner is the judge of them: a candidate that no plan uses costs a few planner calls, one that is missing is never
found again. So candidates are many, but bounded for each use, table and all in all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from queryfit.advise.candidates.btree import Draft, btrees
from queryfit.advise.candidates.facts import Options, Proposal, Schema, Statement, Table, harmonic
from queryfit.advise.candidates.merge import extensions, is_served, merges, replaced
from queryfit.advise.candidates.special import Maker
from queryfit.advise.candidates.uses import Reader, Use
from queryfit.advise.model import Candidate, Rejected
from queryfit.lab.planner import Index, Key

__all__ = ["Options", "Proposal", "Schema", "Statement", "candidates", "propose"]

_MOST_SPECIAL = 12  # special drafts of one use
_MERGED_PROMISE = 0.5  # of what its two parts promise: it is larger than each
_MOST_REJECTED = 200


def candidates(statements: Iterable[Statement], schema: Schema, options: Options | None = None) -> list[Candidate]:
    """Index candidates for statements, the most promising first. The same input gives the same list."""
    return list(propose(statements, schema, options).candidates)


def propose(statements: Iterable[Statement], schema: Schema, options: Options | None = None) -> Proposal:
    """Candidates, and what statements would need that no index can give."""
    options = options or Options()
    reader = Reader(schema)
    maker = Maker(schema, reader, options)
    collected: dict[str, dict[Index, _Entry]] = {}
    small: dict[str, None] = {}
    for statement in statements:
        for use in reader.uses(statement):
            table = use.table
            if table.pages < options.min_pages:
                small.setdefault(table.name)
                continue
            _collect(collected.setdefault(table.name, {}), use, maker, options)
    found: list[tuple[float, Candidate]] = []
    for name in sorted(collected):
        found += _of_table(schema.tables[name], collected[name], options)
    found.sort(key=lambda ranked: (-ranked[0], ranked[1].index.subject))
    return Proposal(tuple(candidate for _, candidate in found[: options.most]), _rejected(reader))


@dataclass(slots=True)
class _Entry:
    """What is known of one index over all uses."""

    why: str
    promise: float = 0.0  # weight of the statements that it was made for, the less the further behind it stands there
    best: float = 0.0  # weight behind `why`
    fingerprints: set[str] = field(default_factory=set)
    is_first_choice: bool = False  # of some use


def _collect(entries: dict[Index, _Entry], use: Use, maker: Maker, options: Options) -> None:
    kept: list[Draft] = []
    for draft in btrees(use, options):
        if len(kept) >= options.per_use:
            break
        if not is_served(draft.index, use.table):
            kept.append(draft)
    special = [draft for draft in maker.drafts(use) if not is_served(draft.index, use.table)]
    for drafts in (kept, special[:_MOST_SPECIAL]):
        for rank, draft in enumerate(drafts):
            promise = use.weight * harmonic(rank)
            entry = entries.get(draft.index)
            if entry is None:
                entry = entries[draft.index] = _Entry(draft.why)
            if promise > entry.best:
                entry.why, entry.best = draft.why, promise
            entry.promise += promise
            entry.is_first_choice = entry.is_first_choice or rank == 0
            entry.fingerprints.add(use.fingerprint)


def _of_table(table: Table, entries: dict[Index, _Entry], options: Options) -> list[tuple[float, Candidate]]:
    """Candidates of one table with their promise, merged ones among them, at most `per_table`."""
    entries = _ranked(entries)
    made = _merged(table, entries, options)
    for index, entry in made.items():
        entries.setdefault(index, entry)
    kept = _kept(table, entries, options).items()
    root = table.name if table.kind == "partitioned_table" else None
    found = []
    for index, entry in kept:
        old = replaced(index, table)
        why = entry.why + _uniqueness(table, index)
        if old:
            why += f"; in place of {', '.join(old)}"
        found.append((entry.promise, Candidate(index, frozenset(entry.fingerprints), why, replaces=old, root=root)))
    return found


def _kept(table: Table, entries: dict[Index, _Entry], options: Options) -> dict[Index, _Entry]:
    """The first choice of each use, and as many others as the table is worth.

    A small table is read whole as fast as by the second-best index.
    """
    ranked = _ranked(entries)
    others = [index for index, entry in ranked.items() if not entry.is_first_choice]
    worth = options.least_per_table + int(table.pages / options.pages_per_candidate)
    left_out = frozenset(others[worth:])
    kept = [(index, entry) for index, entry in ranked.items() if index not in left_out]
    return dict(kept[: options.per_table])


def _ranked(entries: Mapping[Index, _Entry]) -> dict[Index, _Entry]:
    return dict(sorted(entries.items(), key=lambda item: (-item[1].promise, item[0].subject)))


def _merged(table: Table, entries: Mapping[Index, _Entry], options: Options) -> dict[Index, _Entry]:
    """What serves two of the most promising at once, and what an index that is there would be with one of them."""
    found: dict[Index, _Entry] = {}
    top = [index for index in entries if index.access_method == "btree" and index.predicate is None]
    top = top[: options.merges_per_table]
    for place, first in enumerate(top):
        for second in top[place + 1 :]:
            if entries[first].fingerprints == entries[second].fingerprints:
                continue  # one statement has asked for what it can use
            for index in merges(first, second, table, options):
                if index not in entries and not is_served(index, table):
                    both = (entries[first], entries[second])
                    found.setdefault(index, _both(both, f"{both[0].why}; and {both[1].why}"))
    for first in top:
        for index in extensions(first, table.indexes, table, options):
            if index not in entries and not is_served(index, table):
                found.setdefault(index, _both((entries[first],), entries[first].why))
    return found


def _both(parts: Iterable[_Entry], why: str) -> _Entry:
    entry = _Entry(why)
    for part in parts:
        entry.promise += part.promise * _MERGED_PROMISE
        entry.fingerprints |= part.fingerprints
    return entry


def _uniqueness(table: Table, index: Index) -> str:
    """A note where the statistics say that the first key is different in every row."""
    column = next((one for one in table.columns.values() if Key(one.sql).expression == index.keys[0].expression), None)
    is_plain = index.access_method == "btree" and len(index.keys) == 1 and index.predicate is None
    if not is_plain or column is None or not table.rows or column.distinct_rows is None:
        return ""
    is_unique = column.distinct_rows >= table.rows * (1 - (column.null_fraction or 0)) * 0.999
    return f"; {column.sql} looks unique" if is_unique and table.rows > 1 else ""


def _rejected(reader: Reader) -> tuple[Rejected, ...]:
    found: dict[Index, tuple[set[str], str]] = {}
    for refusal in reader.refusals:
        index = Index(refusal.relation, (Key(refusal.expression, is_column=False),))
        found.setdefault(index, (set(), refusal.reason))[0].add(refusal.fingerprint)
    return tuple(
        Rejected(Candidate(index, frozenset(fingerprints), "an expression that statements filter or order by"), reason)
        for index, (fingerprints, reason) in list(found.items())[:_MOST_REJECTED]
    )
