"""EXPLAIN documents as rows of the evidence table `plan_node`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from queryfit.errors import QueryfitError
from queryfit.plans.cost import estimates
from queryfit.plans.document import HINT, read_document
from queryfit.plans.timing import self_times
from queryfit.sql.names import qualified, quote_identifier

if TYPE_CHECKING:
    from queryfit.plans.document import Node

DISABLE_COST = 1e10  # before 18 a node that a setting forbids carries this penalty


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One row of `plan_node` but for the plan's key; evidence/tables/plan_node.sql says what each column means."""

    node: int
    parent: int | None
    depth: int
    node_type: str
    parent_relationship: str | None
    subplan_name: str | None
    relation: str | None
    alias: str | None
    index: str | None
    join_type: str | None
    startup_cost: float
    total_cost: float
    self_cost: float
    plan_rows: float
    width_bytes: int
    estimated_loops: float
    condition: str | None
    filter: str | None
    sort_key: str | None
    strategy: str | None
    planned_partitions: int | None
    is_parallel_aware: bool
    workers_planned: int | None
    subplans_removed: int | None
    is_disabled: bool
    actual_rows: float | None
    actual_loops: float | None
    actual_total_ms: float | None
    self_ms: float | None
    rows_removed: float | None
    temp_blocks_written: int | None


def read_plan(document: Any) -> tuple[PlanNode, ...]:
    """Read one parsed EXPLAIN (FORMAT JSON) document, with or without ANALYZE; nodes in order of appearance.

    A statement that a rule rewrites into several has several top nodes. Raises QueryfitError with a hint for anything
    that is no such document.
    """
    nodes = read_document(document)
    rows = zip(nodes, estimates(nodes), self_times(nodes), strict=True)
    return tuple(_row(node, estimate.self_cost, estimate.loops, self_ms) for node, estimate, self_ms in rows)


def execution_ms(document: Any) -> float | None:
    """The execution time that a document of EXPLAIN ANALYZE tells in ms; None where it was not run."""
    for plan in document if isinstance(document, list) else [document]:
        value = plan.get("Execution Time") if isinstance(plan, dict) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None


def _row(node: Node, self_cost: float, loops: float, self_ms: float | None) -> PlanNode:
    node_type = node.text("Node Type")
    if not node_type:
        raise QueryfitError("this is not a plan of PostgreSQL: a node has no type", hint=HINT)
    return PlanNode(
        node=node.number,
        parent=None if node.parent is None else node.parent.number,
        depth=node.depth,
        node_type=node_type,
        parent_relationship=node.text("Parent Relationship"),
        subplan_name=node.text("Subplan Name"),
        relation=_relation(node),
        alias=node.text("Alias"),
        index=node.text("Index Name"),
        join_type=node.text("Join Type"),
        startup_cost=node.needed_number("Startup Cost"),
        total_cost=node.needed_number("Total Cost"),
        self_cost=self_cost,
        plan_rows=node.needed_number("Plan Rows"),
        width_bytes=_whole(node, "Plan Width") or 0,
        estimated_loops=loops,
        condition=_first(node, "Index Cond", "Hash Cond", "Merge Cond", "TID Cond", "Recheck Cond"),
        filter=_all(node, "Join Filter", "Filter", "One-Time Filter"),
        sort_key=", ".join(node.texts("Sort Key")) or None,
        strategy=node.text("Strategy"),
        planned_partitions=_whole(node, "Planned Partitions"),
        is_parallel_aware=node.flag("Parallel Aware"),
        workers_planned=_whole(node, "Workers Planned"),
        subplans_removed=_whole(node, "Subplans Removed"),
        is_disabled=node.flag("Disabled") or ("Disabled" not in node.properties and self_cost >= DISABLE_COST),
        actual_rows=node.number_of("Actual Rows"),
        actual_loops=node.number_of("Actual Loops"),
        actual_total_ms=node.number_of("Actual Total Time"),
        self_ms=self_ms,
        rows_removed=_rows_removed(node),
        temp_blocks_written=_temp_blocks(node),
    )


def _relation(node: Node) -> str | None:
    name, schema = node.text("Relation Name"), node.text("Schema")
    if name is None:
        return None
    return quote_identifier(name) if schema is None else qualified(schema, name)


def _first(node: Node, *names: str) -> str | None:
    return next((text for name in names if (text := node.text(name)) is not None), None)


def _all(node: Node, *names: str) -> str | None:
    found = [text for name in names if (text := node.text(name)) is not None]
    return " AND ".join(found) or None


def _whole(node: Node, name: str) -> int | None:
    value = node.number_of(name)
    return None if value is None else int(value)


def _rows_removed(node: Node) -> float | None:
    found = [node.number_of(f"Rows Removed by {name}") for name in ("Filter", "Join Filter")]
    known = [value for value in found if value is not None]
    if known:
        return sum(known)
    return None if node.number_of("Actual Loops") is None else 0.0


def _temp_blocks(node: Node) -> int | None:
    """The node's own: EXPLAIN counts those of its children too."""
    total = _whole(node, "Temp Written Blocks")
    if total is None:
        return None
    return max(total - sum(_whole(child, "Temp Written Blocks") or 0 for child in node.children), 0)
