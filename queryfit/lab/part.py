"""Which part of a large database a workload can reach: a lab of the rest would only take time and memory.

A name counts wherever it stands in a text, as a word: a table too many does no harm, one too few would refuse the
statement. From a table it goes on to its partitions, children and parents, to what a view or a policy names, and to
the functions that are called. Foreign keys are not followed: the planner looks at one only where a statement joins
both of its tables.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from queryfit.evidence.session import Session

MOST_WHOLE = 2_000  # tables: a lab of so many takes seconds, is carried whole, and serves every workload
_WORD = re.compile(r'"((?:[^"]|"")*)"|([^\W\d][\w$]*)')
_COUNT = "select count(*) from relation where database = $database and kind <> 'view'"
_RELATIONS = "select relation, name, parent, parents, root, definition from relation where database = $database"
_INDEXES = "select relation, index from relation_index where database = $database"
_POLICIES = (
    "select relation, using_expression, check_expression from policy where database = $database"
    " and (using_expression is not null or check_expression is not null)"
)
_TEXTS = """
select text from workload
where database = $database and starts_with(fingerprint, $fingerprint)
order by execution_ms desc, fingerprint
"""
_ROUTINES = "select routine_oid, name, input_types, result, definition from routine where database = $database"


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a database's relations (schema.name), with their indexes, and how many there are in all."""

    relations: frozenset[str]
    indexes: frozenset[str]
    of: int
    routines_left_out: frozenset[int]  # oids of functions whose bodies name what is left out, and that nothing calls

    @property
    def key(self) -> str:
        """A hash that tells parts apart."""
        return hashlib.sha256("\0".join(sorted(self.relations)).encode()).hexdigest()


def part_of(session: Session, database: str, texts: Iterable[str]) -> Part | None:
    """What statements reach of a captured database; null where it is small enough to be carried whole."""
    parameters = {"database": database}
    if session.query(_COUNT, parameters).rows[0][0] <= MOST_WHOLE:
        return None
    relations = list(session.query(_RELATIONS, parameters).mappings())
    routines = list(session.query(_ROUTINES, parameters).mappings())
    policies: dict[str, list[str]] = defaultdict(list)
    for relation, using, check in session.query(_POLICIES, parameters).rows:
        policies[relation] += [text for text in (using, check) if text]
    named = frozenset().union(*map(words, texts))
    reached = _Search(relations, routines, policies).run(named)
    held = frozenset(reached.relations)
    elsewhere = {row["name"] for row in relations if row["relation"] not in held}
    return Part(
        relations=held,
        indexes=frozenset(index for relation, index in session.query(_INDEXES, parameters).rows if relation in held),
        of=len(relations),
        routines_left_out=frozenset(
            row["routine_oid"]
            for row in routines
            if row["routine_oid"] not in reached.routines and not elsewhere.isdisjoint(words(row["definition"] or ""))
        ),
    )


def texts_of_session(session: Session, database: str, fingerprint: str = "", most: int | None = None) -> list[str]:
    """The captured statements of a database, or those whose fingerprint begins so; the `most` that take most time."""
    rows = session.query(_TEXTS, {"database": database, "fingerprint": fingerprint}).rows
    return [str(text) for (text,) in (rows if most is None else rows[:most])]


def words(text: str) -> frozenset[str]:
    """Everything in a text that may be a name, as the catalog spells it."""
    return frozenset(_words(text))


def _words(text: str) -> Iterator[str]:
    for quoted, plain in _WORD.findall(text):
        if quoted:
            yield quoted.replace('""', '"')
            yield from _words(quoted)  # the quotes may be those of something else, such as an argument
        else:
            yield plain.lower()


class _Search:
    """Goes from names to relations and routines, and from those to more names."""

    def __init__(
        self, relations: list[dict[str, Any]], routines: list[dict[str, Any]], policies: Mapping[str, list[str]]
    ) -> None:
        self.relations: set[str] = set()
        self.routines: set[int] = set()
        self._rows = {row["relation"]: row for row in relations}
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._families: dict[str, list[str]] = defaultdict(list)
        self._routines: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._policies = policies
        for row in relations:
            self._by_name[row["name"]].append(row["relation"])
            self._families[row["root"]].append(row["relation"])
            if row["parent"] is not None:
                self._families[row["parent"]].append(row["relation"])
        for row in routines:
            self._routines[row["name"]].append(row)

    def run(self, names: frozenset[str]) -> _Search:
        seen: set[str] = set()
        waiting = set(names)
        while waiting:
            seen |= waiting
            found = {name for word in waiting for name in self._next(word)}
            waiting = found - seen
        return self

    def _next(self, word: str) -> Iterator[str]:
        for routine in self._routines.get(word, ()):
            self.routines.add(routine["routine_oid"])
            for text in (routine["definition"], routine["input_types"], routine["result"]):
                yield from _words(text or "")
        reached = [name for name in self._by_name.get(word, ()) if name not in self.relations]
        while reached:
            name = reached.pop()
            if name in self.relations or name not in self._rows:
                continue
            self.relations.add(name)
            row = self._rows[name]
            reached += [row["root"], *self._families.get(row["root"], ()), *self._families.get(name, ())]
            for text in (row["definition"], row["parents"], row["parent"], *self._policies.get(name, ())):
                yield from _words(text or "")
