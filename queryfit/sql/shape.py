"""The flags of a statement: one pass over the tree for what may stand anywhere, one look at the outermost block."""

from typing import Any

from queryfit.sql.expressions import (
    function_name,
    has_aggregate,
    operator_name,
    pattern_constant,
)
from queryfit.sql.grammar import Node, ast, enums
from queryfit.sql.model import Shape
from queryfit.sql.tree import walk

_LIKE = frozenset({"~~", "~~*"})
_WRITES = (ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt)
_LIMIT_BITS = 64


def describe_shape(statement: Node, relations: int) -> Shape:
    """Flags of a SELECT, INSERT, UPDATE, DELETE or MERGE; `relations`: named with repeats, CTEs not among them."""
    anywhere = _Anywhere()
    for node in walk(statement):
        anywhere.see(node)
    where = getattr(statement, "whereClause", None)
    returning = getattr(statement, "returningClause", None) or getattr(statement, "returningList", None)
    common: dict[str, Any] = {
        "relations": relations,
        "joins": anywhere.joins,
        "subqueries": anywhere.subqueries,
        "common_tables": anywhere.common_tables,
        "parameters": anywhere.parameters,
        "has_where": where is not None,
        "has_window": anywhere.has_window,
        "has_set_operation": anywhere.has_set_operation,
        "has_recursion": anywhere.has_recursion,
        "has_row_locks": anywhere.has_row_locks,
        "is_skip_locked": anywhere.is_skip_locked,
        "has_not_in_subquery": anywhere.has_not_in_subquery,
        "has_leading_wildcard": anywhere.has_leading_wildcard,
        "has_returning": returning is not None,
        "has_writing_cte": anywhere.has_writing_cte,
    }
    if not isinstance(statement, ast.SelectStmt):
        return Shape(**common)
    return Shape(**common, **_outermost(statement, anywhere, relations))


def _outermost(select: Node, anywhere: "_Anywhere", relations: int) -> dict[str, Any]:
    limit, offset = select.limitCount, select.limitOffset
    if isinstance(limit, ast.A_Const) and limit.isnull:  # LIMIT ALL
        limit = None
    targets: tuple[Any, ...] = select.targetList or ()
    aggregates = has_aggregate(targets) or has_aggregate(select.havingClause) or has_aggregate(select.sortClause)
    is_plain = not (anywhere.subqueries or anywhere.common_tables or anywhere.has_set_operation or select.groupClause)
    return {
        "has_limit": limit is not None,
        "has_constant_limit": isinstance(limit, ast.A_Const),
        "has_offset": offset is not None,
        "offset_rows": _rows(offset),
        "has_order_by": bool(select.sortClause),
        "has_group_by": bool(select.groupClause),
        "has_distinct": select.distinctClause is not None,
        "has_aggregate": aggregates,
        "has_star": any(_is_star(target.val) for target in targets),
        "is_count_only": is_plain
        and len(targets) == 1
        and _is_plain_count(targets[0].val)
        and not (select.havingClause or select.distinctClause),
        "is_full_read": is_plain
        and relations == 1
        and len(select.fromClause or ()) == 1
        and isinstance(select.fromClause[0], ast.RangeVar)
        and not (aggregates or select.whereClause or select.havingClause or limit or offset),
    }


def _rows(offset: Node | None) -> int | None:
    value = offset.val if isinstance(offset, ast.A_Const) else None
    if isinstance(value, ast.Integer):
        return int(value.ival)
    if isinstance(value, ast.Float) and value.fval.isdecimal():  # a number beyond int4 comes as text
        rows = int(value.fval) if len(value.fval) < _LIMIT_BITS else 1 << _LIMIT_BITS
        return rows if rows < 1 << (_LIMIT_BITS - 1) else None
    return None


def _is_star(node: Node) -> bool:
    return isinstance(node, ast.ColumnRef) and isinstance(node.fields[-1], ast.A_Star)


def _is_plain_count(node: Node) -> bool:
    """count(*) or count(constant); a constant may have become $n."""
    if not isinstance(node, ast.FuncCall) or function_name(node) != "count" or node.over is not None:
        return False
    if node.agg_filter is not None or node.agg_distinct:
        return False
    return bool(node.agg_star) or isinstance(node.args[0], ast.A_Const | ast.ParamRef)


class _Anywhere:
    """What is counted or found wherever it stands."""

    def __init__(self) -> None:
        self.joins = self.subqueries = self.common_tables = self.parameters = 0
        self.has_window = self.has_set_operation = self.has_recursion = self.has_row_locks = False
        self.is_skip_locked = self.has_not_in_subquery = self.has_leading_wildcard = self.has_writing_cte = False

    def see(self, node: Node) -> None:  # noqa: C901, PLR0912 -- one flat case a node class
        match node:
            case ast.SelectStmt():
                self.joins += max(len(node.fromClause or ()) - 1, 0)
                self.has_set_operation |= node.op != enums.SetOperation.SETOP_NONE
            case ast.UpdateStmt():
                self.joins += len(node.fromClause or ())
            case ast.DeleteStmt():
                self.joins += len(node.usingClause or ())
            case ast.JoinExpr() | ast.MergeStmt():
                self.joins += 1
            case ast.RangeSubselect():
                self.subqueries += 1
            case ast.SubLink():
                self.subqueries += 1
                self.has_not_in_subquery |= _is_not_all(node)
            case ast.BoolExpr():
                self.has_not_in_subquery |= _is_not_in(node)
            case ast.CommonTableExpr():
                self.common_tables += 1
                self.has_writing_cte |= isinstance(node.ctequery, _WRITES)
            case ast.WithClause():
                self.has_recursion |= bool(node.recursive)
            case ast.ParamRef():
                self.parameters = max(self.parameters, node.number or 0)
            case ast.FuncCall():
                self.has_window |= node.over is not None
            case ast.LockingClause():
                self.has_row_locks = True
                self.is_skip_locked |= node.waitPolicy == enums.LockWaitPolicy.LockWaitSkip
            case ast.A_Expr():
                self.has_leading_wildcard |= _has_leading_wildcard(node)


def _has_leading_wildcard(node: Node) -> bool:
    if operator_name(node) not in _LIKE:
        return False
    right = node.rexpr
    patterns = right.elements or () if isinstance(right, ast.A_ArrayExpr) else (right,)
    return any((pattern_constant(pattern) or "").startswith(("%", "_")) for pattern in patterns)


def _is_not_in(node: Node) -> bool:
    """NOT … IN (SELECT …), which NOT IN is to the parser."""
    inner = node.args[0]
    return (
        node.boolop == enums.BoolExprType.NOT_EXPR
        and isinstance(inner, ast.SubLink)
        and inner.subLinkType == enums.SubLinkType.ANY_SUBLINK
        and not inner.operName
    )


def _is_not_all(node: Node) -> bool:
    """`<> ALL (SELECT …)`: NOT IN by its other name."""
    return bool(node.subLinkType == enums.SubLinkType.ALL_SUBLINK and node.operName[-1].sval == "<>")
