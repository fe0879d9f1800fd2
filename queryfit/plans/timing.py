"""The time that each node of an executed plan spent itself.

EXPLAIN prints times per loop and with all that runs below, and below a Gather it counts the loops of every process.
Here a node's time is wall-clock time: over all loops, averaged over the processes that ran side by side, less the time
of what it waited for. The times of all nodes then add up to the execution time.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queryfit.plans.document import Node

GATHERS = frozenset({"Gather", "Gather Merge"})
_INIT_PLAN = re.compile(r"InitPlan \d+")
_RETURNED = re.compile(r"\$\d+")  # before 17: InitPlan 1 (returns $0,$1)


def self_times(nodes: Sequence[Node]) -> list[float | None]:
    """Own time in ms per node of `read_document`, in its order; None where the plan holds no times."""
    processes: list[float] = []
    for node in nodes:
        processes.append(_processes(node, processes))
    spent = [_spent(node, processes[node.number]) for node in nodes]
    own = list(spent)
    late = []
    for node in nodes:
        if node.parent is None:
            continue
        if node.text("Parent Relationship") == "InitPlan":
            late.append(node)
        else:
            _take(own, node.parent, spent[node.number])
    for node in reversed(late):  # inner ones first
        _settle(node, nodes, spent[node.number], own)
    return [None if value is None else max(value, 0.0) for value in own]


def _processes(node: Node, processes: Sequence[float]) -> float:
    """How many processes ran the node side by side."""
    parent = node.parent
    if parent is None:
        return 1.0
    is_shared = parent.text("Node Type") in GATHERS and node.text("Parent Relationship") == "Outer"
    if not is_shared:
        return processes[parent.number]
    inside, outside = node.number_of("Actual Loops"), parent.number_of("Actual Loops")
    if not inside or not outside:
        return processes[parent.number]
    return max(inside / outside, 1.0) * processes[parent.number]


def _spent(node: Node, processes: float) -> float | None:
    loops, per_loop = node.number_of("Actual Loops"), node.number_of("Actual Total Time")
    if loops == 0:
        return 0.0  # never executed
    return None if loops is None or per_loop is None else per_loop * loops / processes


def _take(own: list[float | None], node: Node, time: float | None) -> None:
    had = own[node.number]
    if had is not None and time is not None:
        own[node.number] = had - time


def _settle(plan: Node, nodes: Sequence[Node], time: float | None, own: list[float | None]) -> None:
    """Take the time of an InitPlan or CTE from the nodes that read it: it hangs below another, but runs when read."""
    if not time:
        return
    readers = [node for node in _readers(plan, nodes) if node is not plan] or [node for node in [plan.parent] if node]
    for reader in readers:
        had = own[reader.number]
        if had is not None:
            part = min(time, max(had, 0.0))
            own[reader.number] = had - part
            time -= part


def _readers(plan: Node, nodes: Sequence[Node]) -> list[Node]:
    name = plan.text("Subplan Name") or ""
    if name.startswith("CTE "):
        return [node for node in nodes if node.text("CTE Name") == name.removeprefix("CTE ")]
    marks = [*_RETURNED.findall(name), *_INIT_PLAN.findall(name)]
    patterns = [re.compile(re.escape(mark) + r"(?!\d)") for mark in marks]
    return [
        node
        for node in nodes
        if any(
            pattern.search(text)
            for key, value in node.properties.items()
            if key != "Subplan Name"
            for text in ([value] if isinstance(value, str) else value if isinstance(value, list) else [])
            if isinstance(text, str)
            for pattern in patterns
        )
    ]
