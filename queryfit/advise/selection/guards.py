"""What is promised of a set is what the planner says of exactly that set.

Dead weight is dropped, statements that would get slower than the tolerance are found, and what each index is worth
within the set is measured by planning without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from queryfit.advise.model import Candidate, Chosen, Effect, Existing, Rejected, Removal
from queryfit.advise.selection.options import mask_of, members
from queryfit.advise.selection.problem import Ask, Problem

ROUNDING = 1e-6
INFINITE = float("inf")


@dataclass(frozen=True, slots=True)
class Verified:
    """A set with the plans of every query under it. `cost` has the upkeep in it, `value` the least savings as well."""

    chosen: int
    used: tuple[int, ...]  # by query
    costs: tuple[float, ...]  # by query, of one call
    cost: float
    value: float
    hurt: tuple[int, ...]  # queries beyond their limits


def verify(problem: Problem, ask: Ask, chosen: int, since: Verified | None = None) -> Verified | None:
    """Plan every query under a set and drop what no plan uses; None when the planner did not answer for one.

    Beside a set verified before only the queries are asked again that the difference can touch.
    """
    if since is None:
        numbers: Sequence[int] = range(len(problem.queries))
        used, costs = [0] * len(numbers), [0.0] * len(numbers)
    else:
        numbers = problem.touched(chosen ^ since.chosen)
        used, costs = list(since.used), list(since.costs)
    for number, answer in zip(numbers, ask([(number, chosen) for number in numbers]), strict=True):
        if answer is None:
            return None
        used[number], costs[number] = answer
    # plans stay as they are without the indexes that none of them uses
    left = _without(problem, chosen, _dead(problem, chosen, used, None if since is None else (since, numbers)))
    if since is None:
        cost = sum(asked.weight * cost for asked, cost in zip(problem.queries, costs, strict=True))
        cost += problem.charges(left)
        hurt: Iterable[int] = ()
    else:
        cost = since.cost + problem.charges(left & ~since.chosen) - problem.charges(since.chosen & ~left)
        cost += sum(problem.queries[number].weight * (costs[number] - since.costs[number]) for number in numbers)
        hurt = set(since.hurt).difference(numbers)
    found = [number for number in numbers if costs[number] > problem.queries[number].tree.limit * (1 + ROUNDING)]
    value = cost + problem.least * left.bit_count()
    return Verified(left, tuple(used), tuple(costs), cost, value, tuple(sorted([*hurt, *found])))


def _dead(problem: Problem, chosen: int, used: Sequence[int], changed: tuple[Verified, Sequence[int]] | None) -> int:
    """What of a set no plan uses; of one that has changed, where it has."""
    scope, near = chosen & ~problem.kept, range(len(used))
    if changed is not None:
        since, numbers = changed
        reach = chosen ^ since.chosen
        for number in numbers:
            reach |= problem.queries[number].tree.reach
        scope &= reach
    needed = 0
    for number in near if changed is None else problem.touched(scope):
        needed |= used[number]
    return scope & ~needed


def _without(problem: Problem, chosen: int, dead: int) -> int:
    """The set without dead weight, but for what stands in for an index that is removed."""
    left = chosen & ~dead
    for number in members(problem.owed(left, dead) & ~chosen):
        stands_in = problem.elements[number].unless & chosen
        if not stands_in & left:
            left |= stands_in & -stands_in
    return left


def worth(problem: Problem, ask: Ask, verified: Verified, among: int = -1) -> dict[int, float]:
    """What the set would lose without each index that it makes, upkeep set off, in the workload's unit.

    `among`: the elements that are asked about.
    """
    users = {
        element: [number for number in problem.readers[element] if verified.used[number] & 1 << element]
        for element in members(verified.chosen & ~problem.kept & among)
    }
    wanted = [(number, verified.chosen & ~(1 << element)) for element, numbers in users.items() for number in numbers]
    answers = iter(ask(wanted))
    found = {}
    for element, numbers in users.items():
        saving = -problem.candidates[element].upkeep
        for number in numbers:
            answer = next(answers)
            if answer is not None:
                saving += problem.queries[number].weight * (answer[1] - verified.costs[number])
        found[element] = saving
    return found


def chosen_indexes(
    problem: Problem, verified: Verified, savings: Mapping[int, float], names: Mapping[int, str]
) -> tuple[Chosen, ...]:
    """The indexes to be made, the most valuable first."""
    found = []
    for element, saving in savings.items():
        numbers = [number for number in problem.readers[element] if verified.used[number] & 1 << element]
        statements = sorted({one for number in numbers for one in problem.queries[number].statements})
        fingerprints = tuple(problem.workload.statements[one].fingerprint for one in statements)
        found.append(Chosen(problem.candidates[element], names[element], saving, fingerprints))
    return tuple(sorted(found, key=lambda one: (-one.saving, one.name)))


def removals(problem: Problem, ask: Ask, verified: Verified) -> tuple[Removal, ...]:
    """The existing indexes that the set does without, with what that saves."""
    first = len(problem.candidates)
    made = [problem.candidates[element] for element in members(verified.chosen & ~problem.kept)]
    found = []
    for element in members(problem.kept & ~verified.chosen):
        one = problem.removable[element - first]
        numbers = [n for n in problem.readers[element] if problem.queries[n].tree.relevant & 1 << element]
        saving = one.upkeep
        for number, answer in zip(numbers, ask([(n, verified.chosen | 1 << element) for n in numbers]), strict=True):
            if answer is not None:
                saving -= problem.queries[number].weight * (verified.costs[number] - answer[1])
        found.append(Removal(one, _reason(one, made), saving))
    return tuple(found)


def _reason(existing: Existing, made: Sequence[Candidate]) -> str:
    instead = next((candidate for candidate in made if existing.name in candidate.replaces), None)
    if instead is not None:
        return f"replaced by {instead.index.subject}"
    return "the workload does without it"


def declined(
    problem: Problem, verified: Verified, budget: int | None, most: int | None, least: float
) -> Iterator[Rejected]:
    """The candidates that are not chosen, with what speaks against each.

    `most`: how many indexes may be made; `least`: what one has to save, in the workload's unit.
    """
    gains = _gains(problem)
    is_full = most is not None and (verified.chosen & ~problem.kept).bit_count() >= most
    room = INFINITE if budget is None else budget - problem.size(verified.chosen)
    chosen = set(members(verified.chosen))
    for number, candidate in enumerate(problem.candidates):
        size, saving = problem.elements[number].size_bytes, gains.get(number, 0.0) - candidate.upkeep
        against = (
            (number not in gains, "no plan uses it"),
            (saving <= 0, "its upkeep costs more than it saves"),
            (saving <= least, "it saves too little to be worth a build"),
            (budget is not None and size > budget, "it is larger than the budget"),
            (size > room, "others give more for their size"),
            (is_full, "others give more"),
            (True, "the statements do nearly as well without it"),
        )
        if number not in chosen:
            yield Rejected(candidate, next(reason for holds, reason in against if holds))


def _gains(problem: Problem) -> dict[int, float]:
    """The most that plans with each element save, whatever else they use, by element that a plan uses."""
    gains: dict[int, float] = {}
    for asked in problem.queries:
        best: dict[int, float] = {}
        for used, cost in asked.tree.options.items():
            for element in members(used & ~problem.kept):
                best[element] = min(cost, best.get(element, asked.tree.base))
        for element, cost in best.items():
            gains[element] = gains.get(element, 0.0) + asked.weight * (asked.tree.base - cost)
    return gains


def effects(problem: Problem, verified: Verified, names: Mapping[int, str]) -> tuple[Effect, ...]:
    """What the set does to each statement, in the order of the workload."""
    found = []
    for statement, shares in zip(problem.workload.statements, problem.shares, strict=True):
        before = sum(part * problem.queries[number].tree.base for number, part in shares)
        after = sum(part * verified.costs[number] for number, part in shares)
        used = 0
        for number, _ in shares:
            used |= verified.used[number]
        indexes = tuple(sorted(names[element] for element in members(used & ~problem.kept)))
        found.append(Effect(statement.fingerprint, before, after, statement.weight, indexes))
    return tuple(found)


def worst(found: Sequence[Effect]) -> str | None:
    """The statement that gets slower by most, in words; None where none does."""
    slower = [effect for effect in found if effect.cost_after > effect.cost_before * (1 + ROUNDING)]
    if not slower:
        return None
    effect = max(slower, key=lambda one: (one.cost_after / one.cost_before, one.fingerprint))
    share = 100 * (effect.cost_after / effect.cost_before - 1)
    more = f"; {len(slower)} statements get slower" if len(slower) > 1 else ""
    return f"worst regression: {effect.fingerprint} costs {share:.1f} % more{more}"


def blamed(problem: Problem, verified: Verified, number: int) -> tuple[int, int]:
    """What to forbid so that this query is not hurt so again: (all of these, none of those)."""
    made = verified.used[number] & ~problem.kept
    if made:
        return made, 0
    relevant = problem.queries[number].tree.relevant
    return verified.chosen & relevant, mask_of(members(relevant & ~verified.chosen))
