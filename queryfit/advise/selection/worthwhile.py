"""What of a set is worth having: of indexes that do the same the smallest, and none that is hardly missed.

A trial asks only the queries that its change can touch, and is not made again until something near it has changed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from queryfit.advise.selection import guards
from queryfit.advise.selection.guards import Verified
from queryfit.advise.selection.options import mask_of, members
from queryfit.advise.selection.problem import Ask, Problem

AT_ONCE = 8  # more indexes of little worth than that are left out together first
MOST_SWAPS = 8  # smaller ones that are tried in an index's place


@dataclass(slots=True)
class Worth:
    """A set on its way to be smaller. `least`: what an index has to save, in the workload's unit."""

    problem: Problem
    ask: Ask
    verified: Verified
    least: float
    is_over: Callable[[], bool]  # asked only where there is more to do
    savings: dict[int, float] = field(default_factory=dict)  # by element that is made, upkeep set off

    def settle(self) -> None:
        """Take smaller ones of the same use, and leave out what the set would hardly lose by."""
        self._swap()
        self.savings = guards.worth(self.problem, self.ask, self.verified)
        self._leave_out_together()
        self._leave_out()

    # -- ties

    def _swap(self) -> None:
        """Put the smallest of those that do the same in each index's place: size, then columns, then name decide."""
        made = members(self.verified.chosen & ~self.problem.kept)
        for element in sorted(made, key=self._rank, reverse=True):
            for other in self._smaller(element):
                if self.is_over():
                    return
                trial = self.verified.chosen & ~(1 << element) | 1 << other
                if self.problem.owed(trial, 1 << element):
                    continue  # it stands in for one that is removed, the other does not
                less = guards.verify(self.problem, self.ask, trial, self.verified)
                if less is not None and not less.hurt and less.value <= self.verified.value + self.problem.least:
                    self.verified = less
                    break

    def _smaller(self, element: int) -> Iterator[int]:
        """Those of its group that hold less of the same, or as much in no more space, the smallest first."""
        rank, held = self._rank(element), self._held(element)
        users = [n for n in self.problem.readers[element] if self.verified.used[n] & 1 << element]
        useful = self.problem.queries[users[0]].tree.groups[element] if users else 0
        for number in users:
            useful &= self.problem.queries[number].tree.possible
        others = members(useful & ~self.verified.chosen & ~self.problem.kept)
        ranked = sorted(
            (found, other)
            for other in others
            if (found := self._rank(other)) < rank and (found[0] == rank[0] or self._held(other) <= held)
        )
        return iter([other for _, other in ranked[:MOST_SWAPS]])

    def _rank(self, element: int) -> tuple[float, int, str]:
        index = self.problem.candidates[element].index
        return self.problem.elements[element].size_bytes, len(index.keys) + len(index.included), index.subject

    def _held(self, element: int) -> set[str]:
        index = self.problem.candidates[element].index
        return {*(key.expression for key in index.keys), *index.included}

    # -- little worth

    def _leave_out_together(self) -> None:
        """Many of little worth at once; half as many where that does harm."""
        light = sorted((one for one in self.savings if self.savings[one] <= self.least), key=self._order)
        while len(light) > AT_ONCE:
            gone = mask_of(light)
            left = self.verified.chosen & ~gone
            less = guards.verify(self.problem, self.ask, left | self.problem.owed(left, gone), self.verified)
            if less is not None and not less.hurt and less.value <= self.verified.value + self.least * len(light):
                self._accept(less)
                return
            light = light[: len(light) // 2]

    def _leave_out(self) -> None:
        """One by one, the least valuable first."""
        waiting = [self._order(element) for element in self.savings]
        heapq.heapify(waiting)
        while waiting:
            saving, element = heapq.heappop(waiting)
            if self.savings.get(element) != saving:
                continue  # what was known when it was put there
            for trial in self._trials(element):
                if self.is_over():
                    return
                less = guards.verify(self.problem, self.ask, trial, self.verified)
                if less is not None and not less.hurt and less.value <= self.verified.value + self.least:
                    for other in self._accept(less):
                        heapq.heappush(waiting, self._order(other))
                    break

    def _trials(self, element: int) -> list[int]:
        """The set without an index, or with those there instead of one that replaces them.

        An index of a share that counts is asked about only where something there does nearly what it does.
        """
        left = self.verified.chosen & ~(1 << element)
        owed = self.problem.owed(left, 1 << element)
        without = left | owed
        back = self.problem.replaced(element) & ~without
        return [without] * (self.savings[element] <= self.least or owed != 0) + [without | back] * (back != 0)

    def _accept(self, less: Verified) -> list[int]:
        """Go on with this set; the elements whose worth may be another now."""
        changed = less.chosen ^ self.verified.chosen
        near = 0
        for number in self.problem.touched(changed):
            near |= less.used[number]
        self.verified = less
        for element in members(changed & ~less.chosen):
            self.savings.pop(element, None)
        found = guards.worth(self.problem, self.ask, less, near)
        self.savings.update(found)
        return list(found)

    def _order(self, element: int) -> tuple[float, int]:
        return self.savings[element], element
