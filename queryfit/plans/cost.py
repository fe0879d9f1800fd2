"""What each node of a plan adds to the estimated cost, and how often the planner expects it to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queryfit.plans.document import Node

RECURSION_ROUNDS = 10  # cost_recursive_union() assumes as many
CPU_OPERATOR_COST = 0.0025  # the default; a kept result is read again at this price a row
FILTER_SELECTIVITY = 0.5  # what the planner assumes of a condition that is a subplan
KEEPS_ITS_ROWS = frozenset({"Materialize", "Sort", "Incremental Sort"})


@dataclass(frozen=True, slots=True)
class Estimate:
    """`self_cost` of one loop, and `loops` expected over the whole plan."""

    self_cost: float
    loops: float


def estimates(nodes: Sequence[Node]) -> list[Estimate]:
    """An estimate per node of `read_document`, in its order."""
    loops: list[float] = []
    result = []
    for node in nodes:  # parents come first
        relative = 1.0 if node.parent is None else _loops_in_parent(node, node.parent)
        loops.append(relative * (1.0 if node.parent is None else _loops_of_children(node.parent, loops)))
        own = node.needed_number("Total Cost") - sum(_charge(child, node) for child in node.children)
        # Merge joins and semi joins stop early, partial paths are shared out: the children can cost more than the node.
        result.append(Estimate(max(own, 0.0), loops[-1]))
    return result


def _loops_of_children(parent: Node, loops: Sequence[float]) -> float:
    """What a node's own loops mean to its children: a node that keeps its rows runs them once."""
    return 1.0 if parent.text("Node Type") in KEEPS_ITS_ROWS else loops[parent.number]


def _loops_in_parent(node: Node, parent: Node) -> float:
    """How often `node` runs for one loop of its parent."""
    relationship, kind = node.text("Parent Relationship"), parent.text("Node Type")
    if relationship == "SubPlan":
        return _calls_of_subplan(node, parent)
    if relationship == "Inner" and kind == "Nested Loop":
        return _rows(_outer(parent))
    if relationship == "Inner" and kind == "Recursive Union":
        return RECURSION_ROUNDS
    return 1.0


def _charge(child: Node, parent: Node) -> float:
    """What one loop of the parent pays for the child."""
    total, startup = child.needed_number("Total Cost"), child.needed_number("Startup Cost")
    loops = _loops_in_parent(child, parent)
    if parent.text("Node Type") == "Limit" and child.text("Parent Relationship") == "Outer":
        part = min(1.0, parent.needed_number("Plan Rows") / _rows(child))
        return startup + (total - startup) * part
    if loops > 1 and child.text("Node Type") in KEEPS_ITS_ROWS:
        return total + (loops - 1) * CPU_OPERATOR_COST * _rows(child)
    return total * loops


def _calls_of_subplan(subplan: Node, parent: Node) -> float:
    """One call a row, of the rows that come in for a condition and of those that go out else; hashed: one in all."""
    name = subplan.text("Subplan Name") or "SubPlan"
    uses = " ".join(value for value in parent.properties.values() if isinstance(value, str))
    if f"hashed {name}" in uses:
        return 1.0
    condition = " ".join(filter(None, (parent.text("Filter"), parent.text("Join Filter"))))
    if name not in condition:
        return _rows(parent)
    outer = _outer(parent)
    return _rows(parent) / FILTER_SELECTIVITY if outer is None else _rows(outer)


def _outer(node: Node) -> Node | None:
    return next((child for child in node.children if child.text("Parent Relationship") == "Outer"), None)


def _rows(node: Node | None) -> float:
    return 1.0 if node is None else max(node.needed_number("Plan Rows"), 1.0)
