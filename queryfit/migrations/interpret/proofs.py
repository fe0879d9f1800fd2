"""What validated CHECK constraints prove, as PostgreSQL's planner would find: no nulls, and a partition's bound."""

from __future__ import annotations

import re
from typing import Any

from queryfit.migrations.model import Relation
from queryfit.sql.ddl_parts import tree


def forbids_null(relation: Relation, column: str) -> bool:
    """A validated CHECK says that the column is not null, in a form that PostgreSQL's planner understands.

    A comparison such as `column > 0` does not: a CHECK holds where it is null.
    """
    return any(
        constraint.kind == "check"
        and constraint.is_validated
        and constraint.is_enforced
        and _MAY_PROVE.search(bytes(constraint.expression)) is not None
        and _says_not_null(tree(constraint.expression), column, is_negated=False)
        for constraint in relation.constraints.values()
    )


_MAY_PROVE = re.compile(rb'"IS_N(?:OT_N)?ULL"|"AEXPR_(?:NOT_)?DISTINCT"')


def _says_not_null(node: Any, column: str, *, is_negated: bool) -> bool:  # noqa: PLR0911 -- one form after the other
    """The expression (or its negation) implies that the column is not null."""
    if not isinstance(node, dict) or len(node) != 1:
        return False
    kind, value = next(iter(node.items()))
    if kind == "BoolExpr":
        operator = value.get("boolop")
        arguments = value.get("args", [])
        if operator == "NOT_EXPR":
            return _says_not_null(arguments[0], column, is_negated=not is_negated)
        # the negation of an OR is an AND of negations, and the other way round
        needed = any if (operator == "AND_EXPR") != is_negated else all
        return needed(_says_not_null(argument, column, is_negated=is_negated) for argument in arguments)
    if kind == "NullTest":
        if (value.get("nulltesttype") == "IS_NOT_NULL") == is_negated:
            return False
        argument = value.get("arg")
        row = argument.get("RowExpr") if isinstance(argument, dict) else None
        if row is None:
            return column_of(argument) == column
        return not is_negated and any(column_of(part) == column for part in row.get("args", []))
    if kind == "A_Expr":
        left, right = value.get("lexpr"), value.get("rexpr")
        form = value.get("kind")
        if form in {"AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT"} and (form == "AEXPR_DISTINCT") != is_negated:
            return (_is_null(right) and column_of(left) == column) or (_is_null(left) and column_of(right) == column)
        operator = (value.get("name") or [{}])[0].get("String", {}).get("sval")
        truth = _truth(right)
        if form == "AEXPR_OP" and operator in {"=", "<>"} and truth is not None:
            return _says_not_null(left, column, is_negated=is_negated != ((operator == "=") != truth))
    return False


def _is_null(node: Any) -> bool:
    return isinstance(node, dict) and bool(node.get("A_Const", {}).get("isnull"))


def _truth(node: Any) -> bool | None:
    constant = node.get("A_Const", {}).get("boolval") if isinstance(node, dict) else None
    return None if constant is None else bool(constant.get("boolval"))


def column_of(node: Any) -> str | None:
    """The column that an expression is; None for anything else."""
    reference = node.get("ColumnRef") if isinstance(node, dict) else None
    if reference is None:
        return None
    last = reference.get("fields", [{}])[-1]
    return str(last["String"].get("sval", "")) if "String" in last else None
