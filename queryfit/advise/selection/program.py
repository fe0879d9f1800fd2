"""The integer program: which indexes, so that the options that they allow cost least.

A column for each element (an index to be made, or one to be kept), and for each query one for every option and for
every open leaf of its tree; each query takes exactly one. What an option uses must be there: for each clause of a
query, the options that need it together count no more than the elements that meet it. Leaves make the program a
relaxation: its value is a lower bound. Without them its answer is a set whose cost is known.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import highspy
import numpy as np

from queryfit.advise.selection.options import Leaf, Tree, members

INFINITY = highspy.kHighsInf
HALF = 0.5
WINDOW = 0.004
LEANING = 0.02  # less than this of a leaf is not worth a plan
PRESENT = 1e-6  # less than this of a column is rounding


@dataclass(frozen=True, slots=True)
class Element:
    """An index to be chosen. `charge`: what having it costs; `unless`: it must be kept unless one of these is made."""

    size_bytes: float
    charge: float
    counts: bool = True  # among the indexes that are made
    is_kept: bool = False  # there already and not removable by itself
    unless: int = 0  # mask of the elements that replace it


@dataclass(frozen=True, slots=True)
class Solution:
    """`bound`: no solution of this program is cheaper. `leaves`: (query, leaf, part of it) that it leans on."""

    value: float
    bound: float
    chosen: int
    support: int  # mask of what it takes at least in part
    leaves: tuple[tuple[int, Leaf, float], ...]
    is_found: bool = True


@dataclass(slots=True)
class _Query:
    row: int
    columns: dict[int, int] = field(default_factory=dict)  # options by what they use
    prices: dict[int, float] = field(default_factory=dict)  # of these, the same
    open: dict[Leaf, int] = field(default_factory=dict)
    within: dict[Leaf, Leaf] = field(default_factory=dict)  # leaves without a column: an open one is no worse
    links: dict[int, int] = field(default_factory=dict)  # rows by clause
    needs: dict[int, frozenset[int]] = field(default_factory=dict)  # clauses by column


class _Solver(highspy.Highs):
    """HiGHS without the callbacks of its Python class: to enable them prints a banner on stdout."""

    def __init__(self) -> None:
        super(highspy.Highs, self).__init__()


class Program:
    """A program that grows with the trees. `weights` turn the cost of a query into the workload's unit."""

    def __init__(self, elements: Sequence[Element], weights: Sequence[float], scale: float) -> None:
        self._elements = elements
        self._weights = weights
        self._scale = scale  # the objective in numbers that a solver likes
        self._highs = _Solver()
        self._highs.setOptionValue("output_flag", False)
        self._highs.setOptionValue("threads", 1)
        self._highs.setOptionValue("random_seed", 1)
        self._empty = (np.array([], dtype=np.int32), np.array([], dtype=np.float64))
        for element in elements:
            self._highs.addCol(element.charge * scale, 1.0 if element.is_kept else 0.0, 1.0, 0, *self._empty)
        self._budget = self._row(
            -INFINITY, INFINITY, [(i, e.size_bytes / 1e6) for i, e in enumerate(elements) if e.counts and e.size_bytes]
        )
        self._number = self._row(-INFINITY, INFINITY, [(i, 1.0) for i, e in enumerate(elements) if e.counts])
        for number, element in enumerate(elements):
            if element.unless:
                self._row(1.0, INFINITY, [(number, 1.0), *((other, 1.0) for other in members(element.unless))])
        self._cuts: list[tuple[int, float]] = []  # rows of sets that are known to hurt, with their lower bounds
        self._queries = [_Query(self._row(1.0, 1.0, [])) for _ in weights]

    def _row(self, lower: float, upper: float, entries: Sequence[tuple[int, float]]) -> int:
        self._highs.addRow(
            lower,
            upper,
            len(entries),
            np.array([column for column, _ in entries], dtype=np.int32),
            np.array([value for _, value in entries], dtype=np.float64),
        )
        return int(self._highs.getNumRow()) - 1

    def update(self, number: int, tree: Tree) -> None:
        """Take over what has been learnt of a query."""
        query = self._queries[number]
        unit = self._weights[number] * self._scale
        for used, cost in tree.options.items():
            if used not in query.columns:
                clauses = frozenset(1 << element for element in members(used))
                query.columns[used] = self._column(query, cost * unit, clauses, used)
            elif cost != query.prices[used]:
                self._highs.changeColCost(query.columns[used], cost * unit)
            query.prices[used] = cost
        for leaf in [leaf for leaf in query.open if leaf not in tree.leaves]:
            column = query.open.pop(leaf)
            self._highs.changeColBounds(column, 0.0, 0.0)
            del query.needs[column]
        waiting = [leaf for leaf in tree.leaves if leaf not in query.open and query.within.get(leaf) not in query.open]
        query.within = {leaf: query.within[leaf] for leaf in tree.leaves if query.within.get(leaf) in query.open}
        # the ones that others may be within come first
        for leaf in sorted(waiting, key=lambda one: (one.floor, len(one.clauses))):
            wider = next((other for other in query.open if leaf.is_within(other)), None)
            if wider is not None:
                query.within[leaf] = wider
            else:
                query.open[leaf] = self._column(query, leaf.floor * unit, leaf.clauses, leaf.required)

    def _column(self, query: _Query, price: float, clauses: frozenset[int], required: int) -> int:
        """A column that needs one of each clause; `required` are the clauses of one element."""
        for clause in clauses:
            if clause not in query.links:
                entries = [(element, -1.0) for element in members(clause)]
                entries += [
                    (column, 1.0)
                    for column, others in query.needs.items()
                    if any(other & ~clause == 0 for other in others)
                ]
                query.links[clause] = self._row(-INFINITY, 0.0, entries)
        wide = [clause for clause in clauses if not clause & required]
        rows = [query.row]
        rows += [
            row for link, row in query.links.items() if link & required or any(clause & ~link == 0 for clause in wide)
        ]
        self._highs.addCol(price, 0.0, 1.0, len(rows), np.array(rows, dtype=np.int32), np.ones(len(rows), np.float64))
        column = int(self._highs.getNumCol()) - 1
        query.needs[column] = clauses
        return column

    def limit(self, budget_bytes: float | None, number: int | None) -> None:
        """The storage that may be used, and how many indexes may be made."""
        self._highs.changeRowBounds(self._budget, -INFINITY, INFINITY if budget_bytes is None else budget_bytes / 1e6)
        self._highs.changeRowBounds(self._number, -INFINITY, INFINITY if number is None else float(number))
        for column, element in enumerate(self._elements):
            if element.counts:
                fits = budget_bytes is None or element.size_bytes <= budget_bytes
                self._highs.changeColBounds(column, 0.0, 1.0 if fits else 0.0)

    def forbid(self, present: int, absent: int) -> None:
        """No more sets that hold all of `present` and none of `absent`; bounds do not know of it."""
        entries = [(element, -1.0) for element in members(present)] + [(element, 1.0) for element in members(absent)]
        self._cuts.append((self._row(-INFINITY, INFINITY, entries), 1.0 - present.bit_count()))

    def relax(self) -> Solution:
        """The linear relaxation, leaves included: its value is a lower bound."""
        self._highs.run()
        return self._solution(is_integer=False)

    def solve(self, *, with_leaves: bool, seconds: float, gap: float) -> Solution:
        """The integer program; `gap` is the relative gap that ends it.

        Columns whose reduced cost in the linear relaxation is beyond a window are left out: an answer within the
        window cannot use them. Where the answer lies beyond, the window is made as large as that.

        No start is handed over: with one, HiGHS 1.16 has returned bounds that leave columns out of the objective.
        """
        end = time.monotonic() + seconds
        highs = self._highs
        count = int(highs.getNumCol())
        columns = np.arange(count, dtype=np.int32)
        program = highs.getLp()
        lower, upper = np.array(program.col_lower_), np.array(program.col_upper_)
        allowed = upper.copy()
        if not with_leaves:
            allowed[[column for query in self._queries for column in query.open.values()]] = 0.0
        for row, bound in self._cuts:
            highs.changeRowBounds(row, -INFINITY if with_leaves else bound, INFINITY)
        highs.changeColsBounds(count, columns, lower, allowed)
        highs.run()
        try:
            basis = highs.getBasis()
            relaxed = float(highs.getInfo().objective_function_value)
            duals = np.array(highs.getSolution().col_dual)
            window = WINDOW * relaxed
            while True:
                fixed = lower.copy()
                fixed[: len(self._elements)][duals[: len(self._elements)] < -window] = 1.0
                left = np.where(duals > window, fixed, allowed)
                highs.changeColsBounds(count, columns, np.minimum(fixed, left), left)
                solution = self._integer(max(end - time.monotonic(), 0.1), gap)
                beyond = solution.value * self._scale - relaxed
                if beyond <= window:
                    return solution
                is_near = beyond <= window + gap * (relaxed + window)
                if (is_near and solution.is_found) or end - time.monotonic() < seconds / 2:
                    return replace(solution, bound=min(solution.bound, (relaxed + window) / self._scale))
                window = 1.01 * beyond if solution.is_found else 8 * window
        finally:
            highs.changeColsBounds(count, columns, lower, upper)
            for row, _ in self._cuts:
                highs.changeRowBounds(row, -INFINITY, INFINITY)
            highs.setBasis(basis)  # the next relaxation starts from there

    def _integer(self, seconds: float, gap: float) -> Solution:
        highs = self._highs
        integer = np.arange(len(self._elements), dtype=np.int32)
        kinds = np.full(len(integer), int(highspy.HighsVarType.kInteger), dtype=np.uint8)
        highs.changeColsIntegrality(len(integer), integer, kinds)
        highs.setOptionValue("mip_rel_gap", gap)
        highs.clearSolver()
        highs.setOptionValue("time_limit", highs.getRunTime() + seconds)
        try:
            highs.run()
            return self._solution(is_integer=True)
        finally:
            highs.setOptionValue("time_limit", INFINITY)
            kinds[:] = int(highspy.HighsVarType.kContinuous)
            highs.changeColsIntegrality(len(integer), integer, kinds)

    def _solution(self, *, is_integer: bool) -> Solution:
        info = self._highs.getInfo()
        is_found = info.primal_solution_status == int(highspy.SolutionStatus.kSolutionStatusFeasible)
        values = self._highs.getSolution().col_value if is_found else []
        chosen = support = 0
        for element in range(len(self._elements)):
            if values and values[element] > PRESENT:
                support |= 1 << element
            if values and values[element] > HALF:
                chosen |= 1 << element
        leaves = tuple(
            (number, leaf, values[column])
            for number, query in enumerate(self._queries)
            for leaf, column in query.open.items()
            if values and values[column] > LEANING
        )
        value = info.objective_function_value / self._scale if is_found else INFINITY
        bound = max(info.mip_dual_bound, 0.0) / self._scale if is_integer else value
        if not is_found:
            bound = 0.0
        return Solution(value, bound, chosen, support, leaves, is_found)
