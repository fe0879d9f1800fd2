"""The best set of indexes for a workload: explore what the planner would choose, decide by an integer program, verify.

One exploration serves all budgets. Per query a tree of options (`options`) grows where the linear relaxation of the
program (`program`) leans on parts that have not been planned yet; its value is a lower bound for every set of these
candidates. The integer program over the options known then gives a set, every query is planned under exactly that
set, and what this teaches goes back into the program, until nothing changes and the gap is small.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from queryfit.advise.model import Advice, Candidate, Existing, Point, Workload
from queryfit.advise.naming import named
from queryfit.advise.selection import guards
from queryfit.advise.selection.options import Leaf, members
from queryfit.advise.selection.problem import SLACK, Ask, Problem, build
from queryfit.advise.selection.program import Program
from queryfit.advise.selection.screening import extend, screen
from queryfit.advise.selection.worthwhile import Worth

if TYPE_CHECKING:
    from queryfit.lab.jobs import BatchPlanner

BATCH = 200  # plans between two looks at the clock
STALL = 6e-4  # rounds that lift no bound by this part of it do not go on
COARSE = 4e-3  # the same, for a first look at what is wanted
STALLED_ROUNDS = 2
ATTEMPTS = 8  # sets tried for a budget, each after what the last has taught
PROGRESS = 0.1  # of the gap that a round must close for another one
SOLVED = 5e-4  # relative gap at which an integer program over the options known counts as solved
SOLVER_S = 10.0
SCALE = 1e4  # what the workload costs at least, in the program's objective


@dataclass(frozen=True, slots=True)
class Limits:
    """When to stop. `gap`: how far from the bound is near enough; `tolerance`: how much slower a statement may get.

    `least_share`: what of the workload's cost an index has to save to be worth a build, or worth the change from one
    that is there; `least_saving`, in the workload's unit, is enough whatever the share.
    """

    planner_calls: int = 50_000
    seconds: float = 240.0
    indexes: int | None = None
    tolerance: float = 0.1
    gap: float = 0.008
    least_share: float = 0.0
    least_saving: float = float("inf")


@dataclass(frozen=True, slots=True)
class Progress:
    """`cost` is the best so far and `bound` its lower bound for the first budget, in the workload's unit."""

    stage: str  # planning, screening, exploring, choosing, closing, verifying
    planner_calls: int
    seconds: float
    cost: float | None = None
    bound: float | None = None


def select(
    workload: Workload,
    candidates: Sequence[Candidate],
    existing: Sequence[Existing],
    planner: BatchPlanner,
    *,
    budgets: Sequence[int | None] = (None,),
    limits: Limits = Limits(),
    taken: Collection[str] = (),
    progress: Callable[[Progress], None] | None = None,
) -> Advice:
    """The set for the first of the budgets (bytes; null: any), and a curve over all of them.

    `taken` are names (schema.name) that new indexes cannot have. Statements that the planner refuses are skipped with
    its reason. The same input gives the same advice, unless a limit of time was hit.

    Costs are the planner's own, under exactly the set. The bound is of the program: it rests on plans that do not get
    dearer when more indexes can be seen, which PostgreSQL's nearly never do, and on what screening left to each query.
    """
    search = _Search(planner, limits, progress)
    search.say("planning")
    problem = build(workload, candidates, existing, planner, limits.tolerance)
    search.base_calls, search.base_seconds = search.calls, search.seconds
    search.run(problem, list(dict.fromkeys(budgets)))
    return search.advice(problem, budgets[0], taken)


@dataclass(slots=True)
class _Best:
    """For one budget: the best set so far, and the bound on all sets."""

    verified: guards.Verified
    bound: float = 0.0


@dataclass(slots=True)
class _Search:
    planner: BatchPlanner
    limits: Limits
    progress: Callable[[Progress], None] | None
    started: float = field(default_factory=time.monotonic)
    is_complete: bool = True
    base_calls: int = 0  # what today's plans took: it is not the search's
    base_seconds: float = 0.0
    best: dict[int | None, _Best] = field(default_factory=dict)
    _calls: int = 0
    _support: int = 0

    def __post_init__(self) -> None:
        self._calls = self.planner.calls

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def calls(self) -> int:
        return self.planner.calls - self._calls

    def say(self, stage: str, budget: int | None = None) -> None:
        if self.progress is not None:
            best = self.best.get(budget)
            self.progress(
                Progress(
                    stage,
                    self.calls,
                    self.seconds,
                    best.verified.cost if best else None,
                    best.bound if best and best.bound > 0 else None,
                )
            )

    def is_over(self, part: float = 1.0) -> bool:
        """Whether this part of a limit is used up; asked only when there is more to do, which then stays undone.

        Limits that today's plans have nearly used up are stretched: a search takes at least as much again as these.
        """
        is_over = (
            self._calls_left(part) <= 0 or self._until(self.limits.seconds, self.base_seconds, part) <= self.seconds
        )
        self.is_complete = self.is_complete and not is_over
        return is_over

    def _calls_left(self, part: float) -> int:
        return ceil(self._until(self.limits.planner_calls, self.base_calls, part)) - self.calls

    def _until(self, limit: float, base: float, part: float) -> float:
        return base + part * max(limit - base, base)

    # -- the search

    def run(self, problem: Problem, budgets: Sequence[int | None]) -> None:
        ask = problem.ask
        today = guards.verify(problem, ask, problem.kept)
        assert today is not None, "today's plans are known"
        self.best = {budget: _Best(today) for budget in budgets}
        if not problem.elements or not problem.queries:
            for best in self.best.values():
                best.bound = today.cost
            return
        self.say("screening", budgets[0])
        screen(problem, self._bounded(problem, 0.4))
        problem.settle()
        for best in self.best.values():
            best.verified = guards.verify(problem, ask, problem.kept) or best.verified
        everything = range(len(problem.queries))
        program = self._begin(problem, everything)
        self._explore(problem, program, budgets, COARSE)
        grown = extend(problem, self._bounded(problem, 0.5), self._support)
        for best in self.best.values() if grown else ():
            best.bound = 0.0  # there is more to choose from than it knew
        program = self._begin(problem, grown)
        self._explore(problem, program, budgets, STALL)
        for budget in budgets:
            self._choose(problem, program, budget, must=budget == budgets[0])
        for budget in budgets:
            self._close(problem, program, budget)
        self._share(problem, budgets)

    def _bounded(self, problem: Problem, part: float = 1.0) -> Ask:
        """Asks as long as the limits allow; what comes later has no answer."""

        def ask(wanted: Sequence[tuple[int, int]]) -> list[tuple[int, float] | None]:
            answers: list[tuple[int, float] | None] = []
            while len(answers) < len(wanted) and not self.is_over(part):
                number = min(BATCH, self._calls_left(part))
                answers += problem.ask(wanted[len(answers) : len(answers) + number])
            return answers + [None] * (len(wanted) - len(answers))

        return ask

    def _begin(self, problem: Problem, numbers: Iterable[int]) -> Program:
        """Plan queries with all that they may see; a program that knows what is known of all queries."""
        weights = [asked.weight for asked in problem.queries]
        program = Program(problem.elements, weights, SCALE / max(problem.floor, 1e-9))
        roots = []
        # a search that is stopped early knows of those that count most
        for number in sorted(numbers, key=lambda one: -weights[one] * problem.queries[one].tree.base):
            tree = problem.queries[number].tree
            tree.begin()
            roots += [(number, leaf) for leaf in tree.leaves]
        self._expand(problem, program, roots, 0.7)
        for number, asked in enumerate(problem.queries):
            program.update(number, asked.tree)
        return program

    def _expand(
        self, problem: Problem, program: Program, leaves: Sequence[tuple[int, Leaf]], part: float = 1.0
    ) -> bool:
        """Plan leaves and put their parts in their places; false when nothing came of it."""
        wanted = [(number, problem.queries[number].tree.relevant & ~leaf.hidden) for number, leaf in leaves]
        touched: set[int] = set()
        for (number, leaf), answer in zip(leaves, self._bounded(problem, part)(wanted), strict=True):
            if answer is not None:
                problem.queries[number].tree.expand(leaf, *answer)
                touched.add(number)
        for number in sorted(touched):
            problem.queries[number].tree.prune()
            program.update(number, problem.queries[number].tree)
        return bool(touched)

    def _explore(self, problem: Problem, program: Program, budgets: Sequence[int | None], stall: float) -> None:
        """Expand what the relaxations lean on, until they stand on plans alone or their bounds move no more."""
        open_ones = dict.fromkeys(sorted(budgets, key=_by_size), 0.0)
        stalled = 0
        while open_ones and stalled < STALLED_ROUNDS:  # once whatever the limits: there is a bound then
            leaning: dict[tuple[int, Leaf], None] = {}
            moved = False
            # there and back again: the solution for a budget is near that for the next
            open_ones = dict(reversed(open_ones.items()))
            for budget, last in list(open_ones.items()):
                program.limit(budget, self.limits.indexes)
                solution = program.relax()
                self._raise_bound(problem, budget, solution.bound)
                self._support |= solution.support
                moved = moved or solution.value > last * (1 + stall)
                open_ones[budget] = solution.value
                if not solution.leaves:
                    del open_ones[budget]  # what is learnt from now on cannot make it lean
                leaning.update(dict.fromkeys((number, leaf) for number, leaf, _ in solution.leaves))
            self.say("exploring", budgets[0])
            if not self._expand(problem, program, _in_order(leaning), 0.6):
                break
            stalled = 0 if moved else stalled + 1

    def _raise_bound(self, problem: Problem, budget: int | None, bound: float) -> None:
        best = self.best[budget]
        best.bound = max(best.bound, bound - SLACK * problem.floor)

    def _choose(self, problem: Problem, program: Program, budget: int | None, *, must: bool = False) -> None:
        """Solve over the options known, plan under the answer, and again with what that teaches.

        With `must` a first answer is planned whatever the limits: what has been found is not to be lost.
        """
        program.limit(budget, self.limits.indexes)
        for _ in range(ATTEMPTS):
            is_due = must and self.best[budget].verified.chosen == problem.kept
            seconds = SOLVER_S if is_due else self._solver_s()
            solution = program.solve(with_leaves=False, seconds=seconds, gap=SOLVED)
            if not solution.is_found:
                break
            verified = guards.verify(problem, problem.ask if is_due else self._bounded(problem), solution.chosen)
            if verified is None:
                break
            self._learnt(problem, program)
            for number in verified.hurt:
                program.forbid(*guards.blamed(problem, verified, number))
            if not verified.hurt:
                self._accept(budget, verified)
            self.say("choosing", budget)
            # what the program promised is what the planner says: another answer would be no better
            near = solution.bound * (1 + 2 * SOLVED)
            if not verified.hurt and verified.value <= near:
                break

    def _accept(self, budget: int | None, verified: guards.Verified) -> bool:
        best = self.best[budget]
        if verified.value >= best.verified.value:
            return False
        best.verified = verified
        return True

    def _learnt(self, problem: Problem, program: Program) -> None:
        for number, asked in enumerate(problem.queries):
            asked.tree.prune()
            program.update(number, asked.tree)

    def _close(self, problem: Problem, program: Program, budget: int | None) -> None:
        """Lift the bound by integer solutions of the relaxation; each is planned until nothing about it is open."""
        learnt = False
        while (gap := self._gap(budget)) > self.limits.gap and not self.is_over(0.9):
            program.limit(budget, self.limits.indexes)
            solution = program.solve(with_leaves=True, seconds=self._solver_s(), gap=self.limits.gap / 4)
            self._raise_bound(problem, budget, solution.bound)
            self.say("closing", budget)
            if not solution.is_found:
                break
            verified = guards.verify(problem, self._bounded(problem), solution.chosen)
            if verified is None:
                break
            learnt = (not verified.hurt and self._accept(budget, verified)) or learnt
            if not self._dive(problem, program, solution.chosen) or self._gap(budget) > (1 - PROGRESS) * gap:
                break
        if learnt:
            self._choose(problem, program, budget)

    def _dive(self, problem: Problem, program: Program, chosen: int) -> bool:
        """Expand until every query's cost under this set is known by plans alone; false when it was already."""
        is_new = False
        while True:
            found = ((number, asked.tree.open_at(chosen)) for number, asked in enumerate(problem.queries))
            leaves = [(number, leaf) for number, leaf in found if leaf is not None]
            if not leaves or not self._expand(problem, program, leaves, 0.95):
                return is_new
            is_new = True

    def _gap(self, budget: int | None) -> float:
        best = self.best[budget]
        return (best.verified.value - best.bound) / max(best.verified.value, 1e-9)

    def _solver_s(self) -> float:
        return max(0.5, min(SOLVER_S, (self.limits.seconds - self.seconds) / 4))

    def _share(self, problem: Problem, budgets: Sequence[int | None]) -> None:
        """A set that another budget found may be better here, too."""
        for budget in budgets:
            for other in budgets:
                verified = self.best[other].verified
                if budget is None or problem.size(verified.chosen) <= budget:
                    self._accept(budget, verified)

    # -- the answer

    def advice(self, problem: Problem, budget: int | None, taken: Collection[str]) -> Advice:
        self.say("verifying", budget)
        least = min(self.limits.least_share * problem.cost_before, self.limits.least_saving)
        worth = Worth(problem, problem.ask, self.best[budget].verified, least, self.is_over)
        worth.settle()
        verified = self.best[budget].verified = worth.verified
        savings = worth.savings
        made = sorted(savings)
        names = named([problem.candidates[element].index for element in made], taken)
        by_element = {element: names[problem.candidates[element].index] for element in made}
        found = guards.effects(problem, verified, by_element)
        slower = guards.worst(found)
        notes = [*problem.notes, *([slower] if slower else [])]
        return Advice(
            workload=problem.workload,
            cost_before=problem.cost_before,
            cost_after=verified.cost,
            bound=self._bound_of(problem, budget),
            size_bytes=int(problem.size(verified.chosen)),
            upkeep=problem.charges(verified.chosen),
            chosen=guards.chosen_indexes(problem, verified, savings, by_element),
            removals=guards.removals(problem, problem.ask, verified),
            effects=found,
            rejected=(*problem.rejected, *guards.declined(problem, verified, budget, self.limits.indexes, least)),
            curve=tuple(self._point(problem, one) for one in sorted(self.best, key=_by_size)),
            planner_calls=self.calls,
            seconds=self.seconds,
            is_complete=self.is_complete,
            notes=tuple(notes),
            budget_bytes=budget,
            tolerance=self.limits.tolerance,
        )

    def _bound_of(self, problem: Problem, budget: int | None) -> float:
        """Without the least savings, which are no costs."""
        best = self.best[budget]
        free = best.bound - problem.least * best.verified.chosen.bit_count()
        return max(0.0, min(free, best.verified.cost))

    def _point(self, problem: Problem, budget: int | None) -> Point:
        verified = self.best[budget].verified
        return Point(
            budget_bytes=budget,
            size_bytes=int(problem.size(verified.chosen)),
            cost_after=verified.cost,
            bound=self._bound_of(problem, budget),
            indexes=tuple(problem.candidates[one].index for one in members(verified.chosen & ~problem.kept)),
        )


def _by_size(budget: int | None) -> float:
    return float("inf") if budget is None else float(budget)


def _in_order(leaning: Iterable[tuple[int, Leaf]]) -> list[tuple[int, Leaf]]:
    """In a fixed order: those of one query together."""
    return sorted(leaning, key=lambda one: (one[0], one[1].hidden, sorted(one[1].clauses)))
