"""What the planner would choose for one query, as far as it has been asked: options, and what is still open.

A plan made while the indexes V could be seen that uses U of them has the same cost under every set S with U ⊆ S ⊆ V.
So the sets are divided: those that hold U are answered, the others lack some u of U and are no cheaper. Each of these
parts is a `Leaf`, with the parent's cost as its floor and with the indexes that its sets must hold as clauses (at least
one of each). Sets of indexes are bit masks over the elements of a problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

# a leaf is not worth a plan when it can make its query cheaper by no more than this part of its cost
NEGLIGIBLE = 2e-4
ROUNDING = 1e-9
MANY = 64  # members of a mask: then its text is read


def members(mask: int) -> Iterator[int]:
    """The elements of a mask, in order."""
    if mask.bit_count() > MANY:
        text = bin(mask)[:1:-1]  # each step below goes over the whole mask
        at = text.find("1")
        while at >= 0:
            yield at
            at = text.find("1", at + 1)
        return
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def mask_of(elements: Iterable[int]) -> int:
    mask = 0
    for element in elements:
        mask |= 1 << element
    return mask


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """Sets that lack `hidden` and hold one of each clause: no plan of theirs is cheaper than `floor`.

    The leaves of a tree have no set in common, so each is equal to itself alone.
    """

    floor: float
    hidden: int
    clauses: frozenset[int]
    required: int  # the elements that every set of the leaf holds: clauses of one element

    def is_within(self, other: Leaf) -> bool:
        """What this costs the other offers as well, for less or the same, and it asks for no more."""
        if other.floor > self.floor or other.required & ~self.required:
            return False
        return all(any(own & ~clause == 0 for own in self.clauses) for clause in other.clauses)


@dataclass(slots=True)
class Tree:
    """What is known of one query. Costs are those of one call.

    `reach` are all elements on its tables, `possible` those whose leading key it names, `relevant` those of them that
    are worth exploring.

    `groups` are masks that divide the elements by what they do for a query (the same table and leading key): where an
    index is missing, either its whole group is, or another of the group is there.
    """

    relevant: int  # what is explored
    base: float  # cost of today
    limit: float  # no plan may cost more: what the guard lets through
    groups: Sequence[int]  # by element
    sizes: Sequence[float]  # by element, bytes
    reach: int = 0
    possible: int = 0
    negligible: float = 0.0  # what is not worth a plan, in cost
    options: dict[int, float] = field(default_factory=dict)  # by what they use: the least cost seen
    leaves: dict[Leaf, None] = field(default_factory=dict)  # in the order in which they were found
    plans: list[tuple[int, int, float]] = field(default_factory=list)  # visible, used, cost
    _news: dict[int, float] = field(default_factory=dict)  # options that leaves were not held against yet

    def known(self, visible: int) -> tuple[int, float] | None:
        """What is used under these indexes and the cost, where a plan made before tells."""
        for seen, used, cost in self.plans:
            if used & ~visible == 0 and visible & ~seen == 0:
                return used, cost
        return None

    def learn(self, visible: int, used: int, cost: float) -> bool:
        """Note a plan; true when it is a new option."""
        self.plans.append((visible, used, cost))
        if cost > self.limit or cost >= self.options.get(used, float("inf")):
            return False
        self.options[used] = self._news[used] = cost
        return True

    def best(self, chosen: int) -> float:
        """The least cost of the options that these indexes allow; infinite when none is known."""
        return min((cost for used, cost in self.options.items() if used & ~chosen == 0), default=float("inf"))

    def begin(self) -> None:
        """Everything is open; options that others beat with less are forgotten."""
        ranked = sorted(self.options.items(), key=lambda option: (option[1], option[0].bit_count(), option[0]))
        kept: list[int] = []
        for used, _ in ranked:
            if not any(other & ~used == 0 for other in kept):
                kept.append(used)
        self.options = {used: self.options[used] for used in kept}
        self.leaves = {Leaf(0.0, 0, frozenset(), 0): None}

    def expand(self, leaf: Leaf, used: int, cost: float) -> None:
        """Replace a leaf by its parts, now that the planner has answered for it."""
        self.leaves.pop(leaf, None)
        floor = max(cost, leaf.floor)
        required: list[int] = []
        # the large ones first: all later parts must hold them
        for element in sorted(members(used), key=lambda element: (-self.sizes[element], element)):
            bit = 1 << element
            others = self.groups[element] & self.relevant & ~leaf.hidden & ~bit
            clauses = [*leaf.clauses, *required]
            if others:
                self._add(floor, leaf.hidden | bit, [*clauses, others])
            self._add(floor, leaf.hidden | bit | others, clauses)
            required.append(bit)

    def _add(self, floor: float, hidden: int, clauses: Iterable[int]) -> None:
        rest = {clause & ~hidden for clause in clauses}
        if 0 in rest or floor > self.limit:
            return
        # a clause within another says all of it
        kept = frozenset(one for one in rest if not any(other != one and other & ~one == 0 for other in rest))
        required = 0
        for clause in kept:
            if clause & (clause - 1) == 0:
                required |= clause
        leaf = Leaf(floor, hidden, kept, required)
        if not self._is_settled(leaf, self.options):
            self.leaves[leaf] = None

    def _is_settled(self, leaf: Leaf, options: Mapping[int, float]) -> bool:
        """True when one of these options is as good as anything that the leaf can hold."""
        most = leaf.floor * (1 + ROUNDING) + self.negligible
        absent = ~leaf.required
        return any(cost <= most and not used & absent for used, cost in options.items())

    def open_at(self, chosen: int) -> Leaf | None:
        """The leaf that this set lies in, where its cost could be less than what the options known say."""
        best = self.best(chosen)
        for leaf in self.leaves:
            is_worth_it = leaf.hidden & chosen == 0 and leaf.floor < best - self.negligible
            if is_worth_it and all(clause & chosen for clause in leaf.clauses):
                return leaf
        return None

    def prune(self) -> None:
        """Drop the leaves that newer options have settled."""
        if self._news:
            for leaf in [leaf for leaf in self.leaves if self._is_settled(leaf, self._news)]:
                del self.leaves[leaf]
            self._news.clear()
