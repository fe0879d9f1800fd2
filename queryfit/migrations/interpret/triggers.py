"""Triggers, rules and row-security policies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Raw

from queryfit.migrations.context import Context
from queryfit.migrations.interpret import naming, proofs
from queryfit.migrations.model import Relation
from queryfit.migrations.steps import ACCESS_EXCLUSIVE, ROW_EXCLUSIVE, SHARE_ROW_EXCLUSIVE
from queryfit.sql.ddl import AlterPolicyStmt, CreatePolicyStmt, CreateTrigStmt, RuleStmt, decode
from queryfit.sql.ddl_parts import NOTHING, names, tree

_REPLACE_SINCE = 14
_CHANGES = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt"})
_INSTEAD_OF = 1 << 6  # bits of `timing`, see pg_trigger.h


def create_trigger(context: Context, statement: CreateTrigStmt) -> None:
    """CREATE TRIGGER: writes wait while it is made; a partitioned table hands row triggers down."""
    assert statement.relation is not None
    if statement.replace and context.version < _REPLACE_SINCE:
        context.refuse("CREATE OR REPLACE TRIGGER needs PostgreSQL 14")
        return
    kind = "view" if statement.timing == _INSTEAD_OF else "table"
    relation = context.relation(statement.relation, kind)
    if statement.trigname in relation.triggers and not statement.replace:
        context.refuse(f'trigger "{statement.trigname}" for relation {relation.text} already exists')
        return
    if relation.is_known and (relation.kind == "view") != (kind == "view") and (statement.row or kind == "view"):
        context.refuse(f"{relation.text} is a {relation.kind}")
        return
    if relation.kind == "materialized view":
        context.refuse(f"{relation.text} is a materialized view, which cannot have triggers")
        return
    called = context.qualify(names(statement.funcname), context.database.functions)
    function = called.text
    for place in _with_partitions(context, relation) if statement.row else [relation]:
        context.effect(
            "create trigger" if place is relation else "also lock",
            place,
            SHARE_ROW_EXCLUSIVE,
            object_name=statement.trigname,
            other_relation=function if place is relation else None,
        )
        place.triggers.add(statement.trigname)
        if statement.columns or statement.whenClause is not NOTHING:
            columns = frozenset((*names(statement.columns), *naming.columns_of(statement.whenClause)))
            place.held["trigger", statement.trigname] = columns
        at = (place.name, statement.trigname)
        for others in context.database.trigger_places.values():  # one of that name that is gone called another
            others.discard(at)
        context.database.trigger_places.setdefault(called, set()).add(at)


def _with_partitions(context: Context, relation: Relation) -> list[Relation]:
    if relation.kind != "partitioned table":
        return [relation]
    return [relation, *context.database.descendants(relation)]


def create_rule(context: Context, statement: RuleStmt) -> None:
    assert statement.relation is not None
    relation = context.relation(statement.relation)
    context.effect("create rule", relation, ACCESS_EXCLUSIVE, object_name=statement.rulename)
    relation.rules.add(statement.rulename)
    for action in statement.actions:
        for kind, raw in action.items():
            target = decode(kind, raw).relation if kind in _CHANGES else None
            if target is not None:
                context.effect("also lock", context.relation(target), ROW_EXCLUSIVE)


def create_policy(context: Context, statement: CreatePolicyStmt) -> None:
    assert statement.table is not None
    relation = context.relation(statement.table)
    if statement.policy_name in relation.policies:
        context.refuse(f'policy "{statement.policy_name}" for table {relation.text} already exists')
        return
    context.effect("create policy", relation, ACCESS_EXCLUSIVE, object_name=statement.policy_name)
    relation.policies.add(statement.policy_name)
    columns = frozenset(_columns(statement.qual) + _columns(statement.with_check))
    if columns:
        relation.held["policy", statement.policy_name] = columns


def _columns(expression: Raw) -> list[str]:
    """The columns that a policy surely reads of its own table: those outside of queries in it."""
    text = bytes(expression)
    if b'"SubLink"' not in text:
        return naming.columns_of(expression)
    found: list[str] = []
    pending: list[Any] = [tree(expression)]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict) and "SubLink" in node:
            pending.append(node["SubLink"].get("testexpr"))
        elif isinstance(node, dict):
            column = proofs.column_of(node)
            if column is not None:
                found.append(column)
            pending += node.values()
    return found


def alter_policy(context: Context, statement: AlterPolicyStmt) -> None:
    assert statement.table is not None
    relation = context.relation(statement.table)
    if relation.are_columns_known and statement.policy_name not in relation.policies:
        context.refuse(f'policy "{statement.policy_name}" for table {relation.text} does not exist')
        return
    context.effect("alter policy", relation, ACCESS_EXCLUSIVE, object_name=statement.policy_name)


HANDLERS: dict[str, Callable[[Context, Any], None]] = {
    "CreateTrigStmt": create_trigger,
    "RuleStmt": create_rule,
    "CreatePolicyStmt": create_policy,
    "AlterPolicyStmt": alter_policy,
}
"""Statements."""
