"""What the clauses of one SELECT say: how far conditions reach into it, its arms, names and directions."""

from collections import Counter
from typing import Any

from queryfit.sql.expressions import function_name, has_aggregate, type_name
from queryfit.sql.grammar import Node, ast, enums
from queryfit.sql.scope import Fence
from queryfit.sql.tree import flat, walk

_NAMED = {ast.CoalesceExpr: "coalesce", ast.CaseExpr: "case", ast.A_ArrayExpr: "array"}


def fence(node: Any) -> Fence:
    """How far conditions from outside reach into a SELECT, by the planner's rules for pulling up and pushing down."""
    if not isinstance(node, ast.SelectStmt):
        return Fence.ALL
    is_distinct_on = node.distinctClause is not None and node.distinctClause != (None,)
    has_window = any(
        isinstance(inner, ast.FuncCall) and inner.over is not None
        for inner in walk(node.targetList, enter_queries=False)
    )
    if node.limitCount is not None or node.limitOffset is not None or is_distinct_on or has_window:
        return Fence.ALL
    if node.groupClause or node.distinctClause or node.havingClause or node.lockingClause:
        return Fence.JOINS
    return Fence.JOINS if has_aggregate(node.targetList) else Fence.NONE


def arms(node: Node) -> tuple[list[Node], set[enums.SetOperation], bool]:
    """Arms of a set operation from left to right without recursion, its operators, and whether all keep duplicates."""
    arms: list[Node] = []
    operators = set()
    is_all = True
    inner = node
    while inner.op != enums.SetOperation.SETOP_NONE:
        operators.add(inner.op)
        is_all = is_all and bool(inner.all)
        arms.append(inner.rarg)
        inner = inner.larg
        if inner.sortClause or inner.limitCount is not None or inner.withClause is not None:
            break  # in parentheses, with an order of its own
    arms.append(inner)
    return arms[::-1], operators, is_all


def direction(sort: Node) -> dict[str, bool]:
    is_descending = sort.sortby_dir == enums.SortByDir.SORTBY_DESC or (
        sort.sortby_dir == enums.SortByDir.SORTBY_USING and sort.useOp[-1].sval.startswith(">")
    )
    if sort.sortby_nulls == enums.SortByNulls.SORTBY_NULLS_DEFAULT:
        return {"is_descending": is_descending, "is_nulls_first": is_descending}
    return {
        "is_descending": is_descending,
        "is_nulls_first": sort.sortby_nulls == enums.SortByNulls.SORTBY_NULLS_FIRST,
    }


def output_name(node: Node) -> str:
    """The name that PostgreSQL gives to a target without one, as far as a reference to it may need it."""
    name = "?column?"
    match node:
        case ast.ColumnRef() if isinstance(node.fields[-1], ast.String):
            name = node.fields[-1].sval
        case ast.FuncCall():
            name = function_name(node)
        case ast.TypeCast():
            inner = output_name(node.arg)
            name = inner if inner != "?column?" else type_name(node.typeName)
        case ast.CollateClause():
            name = output_name(node.arg)
        case ast.A_Indirection():
            last = node.indirection[-1]
            name = last.sval if isinstance(last, ast.String) else output_name(node.arg)
        case ast.SubLink(subLinkType=enums.SubLinkType.EXISTS_SUBLINK):
            name = "exists"
        case ast.SubLink(subselect=ast.SelectStmt(targetList=(first, *_))):
            name = first.name or output_name(first.val)
        case _:
            name = _NAMED.get(type(node), name)
    return name


def names(node: Node) -> Counter[str]:
    """How often FROM names what may be a CTE."""
    return Counter(
        inner.relname for inner in walk(node) if isinstance(inner, ast.RangeVar) and inner.schemaname is None
    )


def renamed(alias: Node | None) -> tuple[str, ...]:
    return () if alias is None else tuple(part.sval for part in alias.colnames or ())


def function_alias(node: Any) -> str:
    """A function without alias goes by its name."""
    calls = [inner for inner in flat(getattr(node, "functions", None)) if isinstance(inner, ast.FuncCall)]
    return function_name(calls[0]) if calls else ""
