"""What is to be decided: the indexes as elements of bit masks, the queries with their trees, and the planner's answers.

Statements that plan alike (the same text, values and search path) are one query here, with their weights added up. A
query sees only candidates on its tables whose leading key it names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from queryfit.advise.model import Candidate, Existing, Rejected, Skipped, Weighted, Workload
from queryfit.advise.selection.options import NEGLIGIBLE, Tree, mask_of, members
from queryfit.advise.selection.program import Element
from queryfit.lab.jobs import Job
from queryfit.lab.planner import Index, NotPlannedError, Planned, Query

if TYPE_CHECKING:
    from queryfit.lab.jobs import Answer, BatchPlanner

LEAST_SHARE = 2e-6  # of the workload's cost: what an index must save at least beside its upkeep
MANY = 50
SLACK = NEGLIGIBLE + MANY * LEAST_SHARE  # of `floor`: what bounds give away by not asking
_WORD = re.compile(r"\w+")

Ask = Callable[[Sequence[tuple[int, int]]], list[tuple[int, float] | None]]
"""What a query uses and what it costs under each mask; None without an answer."""


@dataclass(slots=True)
class Asked:
    """A query of the workload; `plans` are the names of the statements that it stands for."""

    query: Query
    weight: float
    statements: list[int]
    tree: Tree


@dataclass(slots=True)
class Problem:
    """`elements` are the candidates that the planner takes, then the existing indexes that may go."""

    workload: Workload
    candidates: list[Candidate]
    removable: list[Existing]
    elements: list[Element]
    queries: list[Asked]
    rejected: list[Rejected]
    cost_before: float
    least: float  # what an index must save, in the workload's unit
    shares: list[list[tuple[int, float]]]  # of each statement: its queries and their parts of it
    readers: list[list[int]]  # by element: the queries that reach its table
    planner: BatchPlanner
    floor: float = 0.0  # what the workload would cost if each query had its best plan known, upkeep left out
    kept: int = 0  # mask of the removable ones: today's set
    notes: list[str] = field(default_factory=list)
    _places: dict[Index, int] = field(init=False)
    _names: dict[str, int] = field(init=False)
    _stood_for: dict[int, int] = field(init=False)  # by element: the existing indexes that it can stand in for

    def __post_init__(self) -> None:
        first = len(self.candidates)
        self._places = {candidate.index: number for number, candidate in enumerate(self.candidates)}
        self._names = {one.name: first + number for number, one in enumerate(self.removable)}
        self._stood_for = {}
        for number, element in enumerate(self.elements):
            for other in members(element.unless):
                self._stood_for[other] = self._stood_for.get(other, 0) | 1 << number

    def settle(self) -> None:
        """Measure what is negligible by the least that is known to be possible, not by what today costs.

        One statement that an index makes thousands of times cheaper must not hide all others.
        """
        best = [min((asked.tree.base, *asked.tree.options.values())) for asked in self.queries]
        self.floor = sum(asked.weight * cost for asked, cost in zip(self.queries, best, strict=True))
        before, self.least = self.least, LEAST_SHARE * self.floor
        self.elements = [replace(one, charge=one.charge - before + self.least) for one in self.elements]
        part = self.least * min(1.0, MANY / max(len(self.queries), 1))
        for asked, cost in zip(self.queries, best, strict=True):
            asked.tree.negligible = NEGLIGIBLE * cost + (part / asked.weight if asked.weight > 0 else float("inf"))

    def ask(self, wanted: Sequence[tuple[int, int]]) -> list[tuple[int, float] | None]:
        """What each query uses under these elements, and its cost; None where the planner refuses.

        `wanted` are pairs of a query and a mask of what it can see. Nothing is asked that follows from earlier plans.
        """
        answers: dict[int, tuple[int, float] | None] = {}
        jobs: dict[tuple[int, int], list[int]] = {}
        for at, (number, visible) in enumerate(wanted):
            tree = self.queries[number].tree
            seen = visible & tree.reach
            known = tree.known(seen)
            if known is None:
                jobs.setdefault((number, seen), []).append(at)
            else:
                answers[at] = known
        planned = self.planner.plan_each([self._job(number, seen) for number, seen in jobs]) if jobs else []
        for ((number, seen), places), plan in zip(jobs.items(), planned, strict=True):
            answer = self._learn(number, seen, plan)
            answers.update(dict.fromkeys(places, answer))
        return [answers[at] for at in range(len(wanted))]

    def _job(self, number: int, seen: int) -> Job:
        asked = self.queries[number]
        first = len(self.candidates)
        visible = frozenset(self.candidates[one].index for one in members(seen & ((1 << first) - 1)))
        gone = asked.tree.reach & self.kept & ~seen
        return Job(asked.query, visible, frozenset(self.removable[one - first].name for one in members(gone)))

    def _learn(self, number: int, seen: int, plan: Answer) -> tuple[int, float] | None:
        if not isinstance(plan, Planned):
            return None
        used = self.mask(plan)
        self.queries[number].tree.learn(seen, used, plan.cost)
        return used, plan.cost

    def mask(self, plan: Planned) -> int:
        """The elements that a plan uses."""
        return mask_of(self._places[index] for index in plan.candidates) | mask_of(
            self._names[name] for name in plan.existing if name in self._names
        )

    def charges(self, chosen: int) -> float:
        """Upkeep of what is chosen and kept."""
        first = len(self.candidates)
        return sum(
            self.candidates[one].upkeep if one < first else self.removable[one - first].upkeep
            for one in members(chosen)
        )

    def replaced(self, element: int) -> int:
        """The existing indexes that a candidate could stand in for."""
        return mask_of(self._names[name] for name in self.candidates[element].replaces if name in self._names)

    def owed(self, left: int, gone: int) -> int:
        """The existing indexes that have to come back where `gone` is no more: nothing left stands in for them."""
        stood_for = 0
        for element in members(gone & ~self.kept):
            stood_for |= self._stood_for.get(element, 0)
        return mask_of(number for number in members(stood_for & ~left) if not self.elements[number].unless & left)

    def touched(self, changed: int) -> list[int]:
        """The queries whose plans can be others where these elements come or go."""
        return sorted({number for element in members(changed) for number in self.readers[element]})

    def size(self, chosen: int) -> float:
        """Bytes of the indexes that would be made."""
        return sum(self.elements[one].size_bytes for one in members(chosen) if self.elements[one].counts)


def build(
    workload: Workload,
    candidates: Sequence[Candidate],
    existing: Sequence[Existing],
    planner: BatchPlanner,
    tolerance: float,
) -> Problem:
    """Plan everything as it is today, and leave out what the planner refuses."""
    taken, rejected = _accepted(candidates, planner)
    folded: dict[tuple[object, ...], tuple[Query, list[tuple[int, int]]]] = {}
    for number, statement in enumerate(workload.statements):
        for query in statement.queries:
            same = (query.text, query.values, query.search_path)
            folded.setdefault(same, (query, []))[1].append((number, len(statement.queries)))
    plans = planner.plan_each([Job(query) for query, _ in folded.values()])
    planned = [
        (query, uses, plan)
        for (query, uses), plan in zip(folded.values(), plans, strict=True)
        if isinstance(plan, Planned)
    ]
    kept, skipped = _kept(workload.statements, folded.values(), plans)
    places = {old: new for new, old in enumerate(kept)}
    counts = dict.fromkeys(kept, 0)
    for _, uses, _ in planned:
        for number, _ in uses:
            counts[number] += 1
    removable, notes = _removable(existing, taken, planner, planned)
    elements, groups = _elements(taken, removable)
    sizes = [element.size_bytes for element in elements]
    shares: list[list[tuple[int, float]]] = [[] for _ in kept]
    queries: list[Asked] = []
    total = 0.0
    for query, uses, plan in planned:
        parts: dict[int, float] = {}
        for number, _ in uses:
            parts[number] = parts.get(number, 0.0) + 1 / counts[number]
        weight = sum(workload.statements[number].weight * part for number, part in parts.items())
        total += weight * plan.cost
        for number, part in parts.items():
            shares[places[number]].append((len(queries), part))
        limit = plan.cost * (1 + tolerance) if weight > 0 else float("inf")
        tree = Tree(0, plan.cost, limit, groups, sizes)
        queries.append(Asked(query, weight, [places[number] for number in parts], tree))
    before = total + sum(one.upkeep for one in removable)
    least = LEAST_SHARE * before
    first = len(taken)
    problem = Problem(
        workload=replace(
            workload,
            statements=tuple(workload.statements[number] for number in kept),
            skipped=(*workload.skipped, *skipped),
        ),
        candidates=taken,
        removable=removable,
        elements=[replace(element, charge=element.charge + least) for element in elements],
        queries=queries,
        rejected=rejected,
        cost_before=before,
        least=least,
        shares=shares,
        readers=[],
        planner=planner,
        kept=mask_of(range(first, len(elements))),
        notes=notes,
    )
    _relate(problem, [plan for _, _, plan in planned])
    return problem


def _accepted(candidates: Sequence[Candidate], planner: BatchPlanner) -> tuple[list[Candidate], list[Rejected]]:
    """The candidates that PostgreSQL takes, each once, with the sizes that count."""
    by_index: dict[Index, Candidate] = {}
    for candidate in candidates:
        by_index.setdefault(candidate.index, candidate)
    sizes = planner.add({index: candidate.size for index, candidate in by_index.items()})
    taken, rejected = [], []
    for index, candidate in by_index.items():
        size = sizes[index]
        if isinstance(size, NotPlannedError):
            rejected.append(Rejected(candidate, str(size)))
        else:
            taken.append(replace(candidate, size=size))
    return taken, rejected


def _kept(
    statements: Sequence[Weighted],
    folded: Iterable[tuple[Query, list[tuple[int, int]]]],
    plans: Sequence[Answer],
) -> tuple[list[int], list[Skipped]]:
    """Statements of which at least one variant is planned; the others with the reason."""
    good: set[int] = set()
    bad: dict[int, NotPlannedError] = {}
    for (_, uses), plan in zip(folded, plans, strict=True):
        for number, _ in uses:
            if isinstance(plan, NotPlannedError):
                bad.setdefault(number, plan)
            else:
                good.add(number)
    skipped = []
    for number, statement in enumerate(statements):
        if number not in good:
            error = bad.get(number)
            reason = str(error) if error else "there is no text of it to be planned"
            skipped.append(Skipped(statement.fingerprint, reason, error.hint if error else None))
    return sorted(good), skipped


def _removable(
    existing: Sequence[Existing],
    candidates: Sequence[Candidate],
    planner: BatchPlanner,
    planned: Sequence[tuple[Query, list[tuple[int, int]], Planned]],
) -> tuple[list[Existing], list[str]]:
    """The existing indexes that may go, or may be replaced; none where the planner cannot hide them."""
    replaced = {name for candidate in candidates for name in candidate.replaces}
    found = [one for one in sorted(existing, key=lambda one: one.name) if one.is_removable or one.name in replaced]
    if not found or not planned:
        return found, []
    answers = planner.plan_each([Job(planned[0][0], frozenset(), frozenset({one.name})) for one in found])
    refusals = {one.name: answer for one, answer in zip(found, answers, strict=True) if not isinstance(answer, Planned)}
    notes = []
    if refusals:
        name, error = next(iter(refusals.items()))
        more = f" and {len(refusals) - 1} more" if len(refusals) > 1 else ""
        notes.append(f"removal of {name}{more} not checked: {error}")
    return [one for one in found if one.name not in refusals], notes


def _elements(candidates: Sequence[Candidate], removable: Sequence[Existing]) -> tuple[list[Element], list[int]]:
    """Elements, and for each the mask of those on the same table with the same leading key and predicate."""
    instead: dict[str, int] = {}
    for number, candidate in enumerate(candidates):
        for name in candidate.replaces:
            instead[name] = instead.get(name, 0) | 1 << number
    elements = [Element(one.size.size_bytes if one.size else 0.0, one.upkeep) for one in candidates]
    for one in removable:
        unless = 0 if one.is_removable else instead.get(one.name, 0)
        elements.append(Element(0.0, one.upkeep, counts=False, unless=unless))
    by_lead: dict[tuple[str, str, str, str | None], int] = {}
    indexes = [*(candidate.index for candidate in candidates), *(one.index for one in removable)]
    leads = [(index.relation, index.access_method, index.keys[0].expression, index.predicate) for index in indexes]
    for number, lead in enumerate(leads):
        by_lead[lead] = by_lead.get(lead, 0) | 1 << number
    return elements, [by_lead[lead] for lead in leads]


def _relate(problem: Problem, plans: Sequence[Planned]) -> None:
    """Say which elements matter to which query, and note today's plans."""
    indexes = [candidate.index for candidate in problem.candidates] + [one.index for one in problem.removable]
    by_relation: dict[str, list[int]] = {}
    for number, index in enumerate(indexes):
        by_relation.setdefault(index.relation, []).append(number)
    reaches = {relation: mask_of(numbers) for relation, numbers in by_relation.items()}
    readers: dict[str, list[int]] = {relation: [] for relation in by_relation}
    # a candidate whose leading key the query does not name is of no use to it
    leads = {
        relation: [
            (1 << number, words)
            for number in numbers
            if number < len(problem.candidates) and (words := _words(indexes[number].keys[0].expression))
        ]
        for relation, numbers in by_relation.items()
    }
    # left unasked, all leaves together cost the workload no more than SLACK
    part = problem.least * min(1.0, MANY / max(len(problem.queries), 1))
    for number, (asked, plan) in enumerate(zip(problem.queries, plans, strict=True)):
        relations = problem.planner.relations(asked.query)
        near = list(by_relation) if relations is None else sorted(relations & by_relation.keys())
        named = _words(" ".join([asked.query.text, *_spoken(plan.document)])) if near else set()
        reach = useless = 0
        for relation in near:
            readers[relation].append(number)
            reach |= reaches[relation]
            for bit, words in leads[relation]:
                if words.isdisjoint(named):
                    useless |= bit
        tree = asked.tree
        tree.reach, tree.possible = reach, reach & ~useless
        tree.relevant = tree.possible
        tree.negligible = NEGLIGIBLE * tree.base + (part / asked.weight if asked.weight > 0 else float("inf"))
        tree.learn(problem.kept & reach, problem.mask(plan), plan.cost)
    problem.readers = [readers[index.relation] for index in indexes]


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))


def _spoken(node: Mapping[str, Any]) -> Iterator[str]:
    """What a plan says: columns behind views are named there alone."""
    for value in node.values():
        for part in value if isinstance(value, list) else (value,):
            if isinstance(part, str):
                yield part
            elif isinstance(part, dict):
                yield from _spoken(part)
