"""What a statement names, as far as a planner could run code through it: functions, operators, types, relations.

Only what is known is let through: a kind of node that is not listed here is reported, and the guard refuses the text.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from queryfit.sql.grammar import Node, ast, enums
from queryfit.sql.tree import walk

Name = tuple[str | None, str]
"""Schema (None where the text gives none) and name, folded to lower case but for relations."""

_PASSIVE = (
    ast.A_ArrayExpr, ast.A_Const, ast.A_Indices, ast.A_Star, ast.Alias, ast.BitString, ast.BoolExpr, ast.Boolean,
    ast.BooleanTest, ast.CaseWhen, ast.CoalesceExpr, ast.CollateClause, ast.DeleteStmt, ast.Float, ast.GroupingFunc,
    ast.GroupingSet, ast.IndexElem, ast.InferClause, ast.Integer, ast.LockingClause, ast.MergeSupportFunc,
    ast.MergeWhenClause, ast.MinMaxExpr, ast.MultiAssignRef, ast.NamedArgExpr, ast.NullTest, ast.OnConflictClause,
    ast.ParamRef, ast.RangeFunction, ast.RangeSubselect, ast.RangeTableFunc, ast.RangeTableFuncCol, ast.ResTarget,
    ast.ReturningClause, ast.ReturningOption, ast.RowExpr, ast.SQLValueFunction, ast.SelectStmt, ast.SetToDefault,
    ast.String, ast.TypeCast, ast.WindowDef, ast.WithClause, ast.XmlExpr, ast.XmlSerialize, ast.ColumnDef,
    ast.CTESearchClause,
)  # fmt: skip
_WRITING = (ast.InsertStmt, ast.UpdateStmt, ast.MergeStmt)
_JSON = (
    ast.JsonAggConstructor, ast.JsonArgument, ast.JsonArrayAgg, ast.JsonArrayConstructor, ast.JsonArrayQueryConstructor,
    ast.JsonBehavior, ast.JsonFormat, ast.JsonFuncExpr, ast.JsonIsPredicate, ast.JsonKeyValue, ast.JsonObjectAgg,
    ast.JsonObjectConstructor, ast.JsonOutput, ast.JsonParseExpr, ast.JsonReturning, ast.JsonScalarExpr,
    ast.JsonSerializeExpr, ast.JsonTable, ast.JsonTableColumn, ast.JsonTablePathSpec, ast.JsonValueExpr,
)  # fmt: skip
# Syntax to the parser at hand, but a call of a function of that name to a server older than the syntax.
_JSON_CALLS = (
    "json", "json_array", "json_arrayagg", "json_exists", "json_object", "json_objectagg", "json_query", "json_scalar",
    "json_serialize", "json_table", "json_value",
)  # fmt: skip
_BETWEEN = {
    enums.A_Expr_Kind.AEXPR_BETWEEN: (">=", "<="),
    enums.A_Expr_Kind.AEXPR_NOT_BETWEEN: ("<", ">"),
    enums.A_Expr_Kind.AEXPR_BETWEEN_SYM: (">=", "<="),
    enums.A_Expr_Kind.AEXPR_NOT_BETWEEN_SYM: ("<", ">"),
}


@dataclass(slots=True)
class Mentions:
    """What one statement names. `attributes` are names after a dot: `row.name` can call a function `name(row)`."""

    functions: set[Name] = field(default_factory=set)
    operators: set[Name] = field(default_factory=set)
    types: set[Name] = field(default_factory=set)
    relations: set[Name] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    ctes: set[str] = field(default_factory=set)
    writes_rows: bool = False
    unknown: str | None = None


def mentions(statement: Node) -> Mentions:
    """Everything that the statement names, CTEs and subqueries included."""
    found = Mentions()
    for node in walk(statement):
        _visit(node, found)
    return found


def _visit(node: Node, found: Mentions) -> None:  # noqa: C901, PLR0912 - one branch a kind of node
    match node:
        case ast.FuncCall():
            found.functions.add(_name(node.funcname))
        case ast.RangeTableSample():
            found.functions.add(_name(node.method))
        case ast.ColumnRef():
            found.attributes |= _strings(node.fields[1:])
        case ast.A_Indirection():
            found.attributes |= _strings(node.indirection)
        case ast.A_Expr():
            found.operators |= _operators(node)
        case ast.SubLink():
            found.operators.add(_name(node.operName) if node.operName else (None, "="))
        case ast.CaseExpr():
            found.operators |= {(None, "=")} if node.arg else set()
        case ast.JoinExpr():
            found.operators |= {(None, "=")} if node.usingClause or node.isNatural else set()
        case ast.SortBy():
            found.operators |= {_name(node.useOp)} if node.useOp else set()
        case ast.TypeName():
            if node.names:
                found.types.add(_name(node.names))
        case ast.RangeVar():
            found.relations.add((node.schemaname, node.relname))
        case ast.CommonTableExpr():
            found.ctes.add(node.ctename)
        case ast.CTECycleClause():
            found.operators |= {(None, "="), (None, "<>")}
        case _ if isinstance(node, _WRITING):
            found.writes_rows = True
        case _ if isinstance(node, _JSON):
            found.functions |= {(None, name) for name in _JSON_CALLS}
        case _ if not isinstance(node, _PASSIVE):
            found.unknown = type(node).__name__


def _operators(expression: Node) -> set[Name]:
    signs = _BETWEEN.get(expression.kind)
    return {_name(expression.name)} if signs is None else {(None, sign) for sign in signs}


def _name(parts: tuple[Node, ...]) -> Name:
    words = [part.sval.lower() for part in parts]
    return (words[-2] if len(words) > 1 else None, words[-1])


def _strings(parts: tuple[Node, ...]) -> set[str]:
    return {part.sval.lower() for part in parts if isinstance(part, ast.String)}
