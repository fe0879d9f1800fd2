"""Which candidates a query is shown, where there are too many to be shown at once.

A bound found afterwards holds for what is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from queryfit.advise.selection.options import Tree, mask_of, members
from queryfit.advise.selection.problem import Ask, Asked, Problem

# What a query may see at once: planning time grows faster than the number of indexes on its tables.
VISIBLE = 48
LAYERS = 12  # how often the indexes that a screening plan uses are hidden to see which come next


def screen(problem: Problem, ask: Ask) -> None:
    """Leave each query the candidates that help it, where it has too many to be shown at once.

    Shown are those that were made for it and the smallest of each table and leading key. What others want is for
    `extend`. A bound found afterwards holds for what is left.
    """
    gains: dict[int, dict[int, float]] = {}
    near: dict[int, int] = {}
    for number, asked in enumerate(problem.queries):
        candidates = asked.tree.relevant & ~problem.kept
        if candidates.bit_count() > VISIBLE:
            gains[number] = {}
            near[number] = _near(problem, asked, candidates)
    unasked = _show(problem, ask, near, gains, LAYERS)
    if gains:
        problem.notes.append(
            f"the bound is for the candidates left of many to {len(gains)} of {len(problem.queries)} queries: "
            "those that help the query they were made for, and those that others chose"
        )
    for number, gained in gains.items():
        tree = problem.queries[number].tree
        # stopped early it is not known what helps: the smallest of each group are likely to
        left = _parts(tree, near[number])[0] if number in unasked else 0
        tree.relevant &= problem.kept | left | _best(gained, tree.sizes)


def extend(problem: Problem, ask: Ask, wanted: int) -> list[int]:
    """Let queries see more of these elements, where they help; the queries whose exploration has to begin again.

    What other queries want may serve a query nearly as well as what was made for it, at no cost.
    """
    more = {
        number: new
        for number, asked in enumerate(problem.queries)
        if (new := wanted & asked.tree.possible & ~asked.tree.relevant)
    }
    gains: dict[int, dict[int, float]] = {number: {} for number in more}
    _show(problem, ask, more, gains, LAYERS // 2)
    grown = []
    for number, gained in gains.items():
        if gained:
            tree = problem.queries[number].tree
            tree.relevant |= _best(gained, tree.sizes)
            grown.append(number)
    return grown


def _show(
    problem: Problem, ask: Ask, wanted: Mapping[int, int], gains: Mapping[int, dict[int, float]], layers: int
) -> set[int]:
    """Note what each candidate gains its query when it is first used; the queries that were not asked about all.

    They are shown by parts, the smallest of each group first, so that small ones need not compete with larger ones that
    do more of the same. What a plan uses is hidden for the next, until a part helps no more.
    """
    parts = [
        _Part(number, part)
        for number, candidates in wanted.items()
        for part in _parts(problem.queries[number].tree, candidates)
    ]
    unasked = set()
    for layer in range(layers):
        left: list[_Part] = []
        shown = [(part.number, part.left | problem.kept) for part in parts]
        for part, answer in zip(parts, ask(shown), strict=True):
            tree = problem.queries[part.number].tree
            if answer is None and layer == 0:
                unasked.add(part.number)
            used = answer[0] & part.left if answer else 0
            if answer is None or not used or answer[1] > tree.base - 10 * tree.negligible:
                continue
            for element in members(used):
                gains[part.number].setdefault(element, tree.base - answer[1])
            if part.left & ~used:
                left.append(_Part(part.number, part.left & ~used))
        parts = left
    return unasked


def _best(gained: Mapping[int, float], sizes: Sequence[float]) -> int:
    """Those that help most, and those that help most for their size."""
    most = sorted(gained, key=lambda element: (-gained[element], element))
    dense = sorted(gained, key=lambda element: (-gained[element] / max(sizes[element], 1.0), element))
    return mask_of([*most[: VISIBLE * 2 // 3], *dense[: VISIBLE * 2 // 3]])


@dataclass(frozen=True, slots=True)
class _Part:
    number: int
    left: int


def _near(problem: Problem, asked: Asked, candidates: int) -> int:
    """The candidates made for a query, and the smallest of each group."""
    names = {problem.workload.statements[number].fingerprint for number in asked.statements}
    near = 0
    for element in members(candidates):
        candidate = problem.candidates[element]
        if not candidate.fingerprints.isdisjoint(names):
            near |= 1 << element
        elif candidate.index.predicate is None:
            group = members(asked.tree.groups[element] & candidates)
            if element == min(group, key=lambda one: (asked.tree.sizes[one], one)):
                near |= 1 << element
    return near


def _parts(tree: Tree, candidates: int) -> list[int]:
    """Masks of at most VISIBLE candidates, the smallest of each group first."""
    turns: dict[int, int] = {}
    ranked = []
    for element in sorted(members(candidates), key=lambda one: (tree.sizes[one], one)):
        group = tree.groups[element]
        turn = turns[group] = turns.get(group, -1) + 1
        ranked.append((turn, element))
    order = [element for _, element in sorted(ranked)]
    return [mask_of(order[start : start + VISIBLE]) for start in range(0, len(order), VISIBLE)]
