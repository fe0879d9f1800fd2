"""What is promised of a set is what the planner says of exactly that set.

Dead weight is dropped, statements that would get slower than the tolerance are found, and what each index is worth
within the set is measured by planning without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from queryfit.advise.model import Candidate, Chosen, Effect, Existing, Removal
from queryfit.advise.options import mask_of, members
from queryfit.advise.problem import Ask, Problem

ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Verified:
    """A set with the plans of every query under it. `cost` has the upkeep in it, `value` the least savings as well."""

    chosen: int
    used: tuple[int, ...]  # by query
    costs: tuple[float, ...]  # by query, of one call
    cost: float
    value: float
    hurt: tuple[int, ...]  # queries beyond their limits


def verify(problem: Problem, ask: Ask, chosen: int) -> Verified | None:
    """Plan every query under a set and drop what no plan uses; None when the planner did not answer for one."""
    answers = ask([(number, chosen) for number in range(len(problem.queries))])
    used, costs = [], []
    for answer in answers:
        if answer is None:
            return None
        used.append(answer[0])
        costs.append(answer[1])
    needed = 0
    for mask in used:
        needed |= mask
    # plans stay as they are without the indexes that none of them uses
    left = _without(problem, chosen, chosen & ~needed & ~problem.kept)
    cost = sum(asked.weight * cost for asked, cost in zip(problem.queries, costs, strict=True)) + problem.charges(left)
    hurt = [
        number
        for number, (asked, cost_after) in enumerate(zip(problem.queries, costs, strict=True))
        if cost_after > asked.tree.limit * (1 + ROUNDING)
    ]
    value = cost + problem.least * left.bit_count()
    return Verified(left, tuple(used), tuple(costs), cost, value, tuple(hurt))


def _without(problem: Problem, chosen: int, dead: int) -> int:
    """The set without dead weight, but for what stands in for an index that is removed."""
    left = chosen & ~dead
    for number in members(problem.kept & ~chosen):
        unless = problem.elements[number].unless
        if unless and not unless & left:
            left |= (unless & chosen) & -(unless & chosen)
    return left


def worth(problem: Problem, ask: Ask, verified: Verified) -> dict[int, float]:
    """What the set would lose without each index that it makes, upkeep set off, in the workload's unit."""
    made = verified.chosen & ~problem.kept
    users: dict[int, list[int]] = {element: [] for element in members(made)}
    for number, used in enumerate(verified.used):
        for element in members(used & made):
            users[element].append(number)
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
        numbers = [number for number, used in enumerate(verified.used) if used >> element & 1]
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
        numbers = [number for number, asked in enumerate(problem.queries) if asked.tree.relevant >> element & 1]
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
