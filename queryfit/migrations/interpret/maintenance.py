"""LOCK, VACUUM, ANALYZE and CLUSTER."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from queryfit.migrations.context import Context
from queryfit.migrations.interpret.data import lock_descendants
from queryfit.migrations.interpret.session import is_on
from queryfit.migrations.model import Name, Relation
from queryfit.migrations.steps import ACCESS_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE
from queryfit.sql.ddl import ClusterStmt, LockStmt, VacuumStmt
from queryfit.sql.ddl_parts import Node

_CLUSTER_OF_PARTITIONS_SINCE = 15
_ANALYZE_OF_CHILDREN_SINCE = 18


def lock(context: Context, statement: LockStmt) -> None:
    """LOCK TABLE; of a view, also the tables that it reads."""
    context.only_in_block("LOCK TABLE")
    if not context.is_in_block and not context.step.is_nested:
        context.refuse("LOCK TABLE can only be used in transaction blocks")
    for node in statement.relations:
        target = node.RangeVar
        if target is None:
            continue
        relation = context.relation(target)
        context.effect("lock table", relation, statement.mode)
        lock_descendants(context, relation, target, statement.mode)
        if relation.kind == "view":
            _below_view(context, relation, statement.mode)


def _below_view(context: Context, view: Relation, level: int) -> None:
    seen = {view.name}
    pending = sorted({name for name, _ in view.depends_on})
    while pending:
        name = pending.pop()
        relation = context.database.relations.get(name)
        if relation is None or name in seen:
            continue
        seen.add(name)
        if relation.kind == "view":
            pending += sorted({below for below, _ in relation.depends_on})
        elif relation.kind not in {"table", "partitioned table"}:
            continue
        context.effect("also lock", relation, level)


def vacuum(context: Context, statement: VacuumStmt) -> None:
    """VACUUM and ANALYZE."""
    is_full = _has_option(statement.options, "full")
    action: Any = ("vacuum full" if is_full else "vacuum") if statement.is_vacuumcmd else "analyze"
    if statement.is_vacuumcmd:
        context.not_in_block("VACUUM")
        if context.step.refusal is not None:
            return
    level = ACCESS_EXCLUSIVE if is_full else SHARE_UPDATE_EXCLUSIVE
    if not statement.rels:
        context.effect(action, None, level, is_rewrite=is_full, is_index_rebuild=is_full)
        for relation in context.database.relations.values():
            is_stored = relation.kind in {"table", "materialized view"}
            if is_stored or (relation.kind == "partitioned table" and not statement.is_vacuumcmd):
                is_work = is_full and is_stored
                context.effect("also lock", relation, level, is_rewrite=is_work, is_index_rebuild=is_work)
    for node in statement.rels:
        if node.VacuumRelation is None or node.VacuumRelation.relation is None:
            continue
        target = node.VacuumRelation.relation
        relation = context.relation(target)
        for part in [relation, *(context.database.descendants(relation) if _goes_down(context, relation) else ())]:
            is_work = is_full and part.kind != "partitioned table"
            context.effect(
                action if part is relation else "also lock",
                part,
                level,
                is_rewrite=is_work,
                is_index_rebuild=is_work,
            )


def _goes_down(context: Context, relation: Relation) -> bool:
    """VACUUM and ANALYZE work on partitions too; on inheritance children from 18 on."""
    return relation.kind == "partitioned table" or context.version >= _ANALYZE_OF_CHILDREN_SINCE


def _has_option(options: list[Node], name: str) -> bool:
    return any(
        option.DefElem is not None and option.DefElem.defname == name and is_on(option.DefElem.arg)
        for option in options
    )


def cluster(context: Context, statement: ClusterStmt) -> None:
    """CLUSTER writes the table anew in the order of an index."""
    if statement.relation is None:
        context.not_in_block("CLUSTER")
        context.effect("cluster", None, ACCESS_EXCLUSIVE, is_rewrite=True, is_index_rebuild=True)
        return
    relation = context.relation(statement.relation)
    if relation.kind == "partitioned table":
        if context.version < _CLUSTER_OF_PARTITIONS_SINCE:
            context.refuse("cannot cluster a partitioned table")
        else:
            context.not_in_block("CLUSTER")
        if context.step.refusal is not None:
            return
    index = Name(relation.name.schema, statement.indexname) if statement.indexname else relation.clustered_on
    if relation.are_columns_known:
        if index is None and relation.kind == "table":
            context.refuse(f"there is no previously clustered index for table {relation.text}")
            return
        if index is not None and index not in context.database.indexes:
            context.refuse(f"index {index.text} does not exist")
            return
    is_work = relation.kind != "partitioned table"
    context.effect(
        "cluster",
        relation,
        ACCESS_EXCLUSIVE,
        object_name=index.text if index is not None else None,
        is_rewrite=is_work,
        is_index_rebuild=is_work,
    )
    if is_work:
        relation.clustered_on = index
        return
    for child in context.database.descendants(relation):
        is_leaf = child.kind == "table"
        context.effect("also lock", child, ACCESS_EXCLUSIVE, is_rewrite=is_leaf, is_index_rebuild=is_leaf)


HANDLERS: dict[str, Callable[[Context, Any], None]] = {
    "LockStmt": lock,
    "VacuumStmt": vacuum,
    "ClusterStmt": cluster,
}
"""Statements."""
