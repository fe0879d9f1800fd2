"""Expressions as text, values and types: what stands beside a column in a condition."""

from typing import Any

from pglast.stream import RawStream

from queryfit.sql.grammar import Node, ast, enums
from queryfit.sql.names import quote_identifier, quote_literal
from queryfit.sql.parse import parse
from queryfit.sql.tree import walk

MAX_TEXT = 500
"""Characters of an expression or value that are kept: enough to read and to match an index, too few to fill a disk."""

# The built-in ones and those of PostGIS; those of other extensions look like plain functions to a parser.
_AGGREGATES = frozenset({
    "any_value", "array_agg", "avg", "bit_and", "bit_or", "bit_xor", "bool_and", "bool_or", "corr", "count",
    "covar_pop", "covar_samp", "every", "grouping", "json_agg", "json_agg_strict", "json_object_agg",
    "json_object_agg_strict", "json_object_agg_unique", "jsonb_agg", "jsonb_agg_strict", "jsonb_object_agg",
    "jsonb_object_agg_strict", "max", "min", "mode", "percentile_cont", "percentile_disc", "range_agg",
    "range_intersect_agg", "regr_avgx", "regr_avgy", "regr_count", "regr_intercept", "regr_r2", "regr_slope",
    "regr_sxx", "regr_sxy", "regr_syy", "st_asmvt", "st_collect", "st_extent", "stddev", "stddev_pop",
    "stddev_samp", "string_agg", "sum", "var_pop", "var_samp", "variance", "xmlagg",
})  # fmt: skip


def function_name(node: Node) -> str:
    """Name of a called function, without schema."""
    return str(node.funcname[-1].sval)


def operator_name(node: Node) -> str:
    """Operator, without the schema of OPERATOR(schema.op)."""
    return str(node.name[-1].sval)


def is_aggregate(node: Node) -> bool:
    """A call that is certainly an aggregate: by its syntax or by a well-known name; window calls are not."""
    if isinstance(node, ast.JsonObjectAgg | ast.JsonArrayAgg | ast.GroupingFunc):
        return True
    if not isinstance(node, ast.FuncCall) or node.over is not None:
        return False
    if node.agg_star or node.agg_distinct or node.agg_within_group or node.agg_order or node.agg_filter:
        return True
    return function_name(node) in _AGGREGATES


def has_aggregate(node: Node | tuple[Any, ...] | None) -> bool:
    """An aggregate of this block is called somewhere in the expression."""
    return any(is_aggregate(inner) for inner in walk(node, enter_queries=False))


def type_name(node: Node) -> str:
    """pg_type.typname as far as the text tells it: int4, timestamptz, text[]; other schemas' types keep the schema."""
    names = [str(part.sval) for part in node.names or ()]
    if len(names) > 1 and names[0] == "pg_catalog":
        names = names[1:]
    return ".".join(quote_identifier(name) if len(names) > 1 else name for name in names) + "[]" * len(
        node.arrayBounds or ()
    )


def peel_casts(node: Node) -> tuple[Node, str | None]:
    """What is cast, and to which type: the outermost of several casts is the one that meets the operator."""
    cast_type = None
    while isinstance(node, ast.TypeCast):
        cast_type = cast_type or type_name(node.typeName)
        node = node.arg
    return node, cast_type


def constant_text(node: Node) -> str | None:
    """A constant or parameter as SQL: 'paid', 42, true, null, $1; None for anything else or for what is too long."""
    if isinstance(node, ast.ParamRef):
        return f"${node.number}" if node.number else "?"
    if not isinstance(node, ast.A_Const):
        return None
    text = "null" if node.isnull else _scalar(node.val)
    return text if len(text) <= MAX_TEXT else None


def _scalar(value: Any) -> str:
    if isinstance(value, ast.String):
        return quote_literal(value.sval)
    if isinstance(value, ast.Boolean):
        return "true" if value.boolval else "false"
    if isinstance(value, ast.Integer):
        return str(value.ival)
    if isinstance(value, ast.BitString):
        return f"{value.bsval[0]}'{value.bsval[1:]}'"
    return str(value.fval)


def list_text(nodes: tuple[Node, ...]) -> str | None:
    """Constants and parameters of a list as SQL, casts left out; None when one is neither, or for long lists."""
    texts = []
    for node in nodes[:50]:
        text = constant_text(peel_casts(node)[0])
        if text is None:
            return None
        texts.append(text)
    joined = ", ".join(texts)
    return joined if len(nodes) == len(texts) and len(joined) <= MAX_TEXT else None


def unescaped(node: Node) -> Node:
    """The pattern of LIKE … ESCAPE and SIMILAR TO, which the parser wraps in a call."""
    is_wrapped = isinstance(node, ast.FuncCall) and function_name(node) in ("like_escape", "similar_to_escape")
    return node.args[0] if is_wrapped else node


def pattern_constant(node: Node | None) -> str | None:
    """The visible start of a LIKE pattern: the constant itself, or the first of a concatenation; None when hidden."""
    node = unescaped(node)
    while True:
        if isinstance(node, ast.TypeCast):
            node = node.arg
        elif isinstance(node, ast.A_Expr) and node.kind == enums.A_Expr_Kind.AEXPR_OP and operator_name(node) == "||":
            node = node.lexpr
        elif isinstance(node, ast.A_Const) and isinstance(node.val, ast.String):
            return str(node.val.sval)
        else:
            return None


def expression_text(node: Node) -> str:
    """An expression as SQL in one form, columns without their table: lower(email), created_at::date."""
    try:
        text = _render(node, plain=False)
    except RecursionError:
        return "…"
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def plain_expression(text: str) -> str | None:
    """The form in which what people write equals what the server prints of an index; None if `text` does not parse.

    A server writes the casts out that its parser adds (lower((email)::text), 'day'::text): below the top, casts to text
    and casts of constants are left out. For comparing only: without a cast that somebody meant it may be no valid SQL.
    """
    parsed = parse(f"select {text}")
    if len(parsed.statements) != 1 or not isinstance(parsed.statements[0].stmt, ast.SelectStmt):
        return None
    targets: tuple[Any, ...] = parsed.statements[0].stmt.targetList or ()
    if len(targets) != 1:
        return None
    node = targets[0].val
    try:
        if isinstance(node, ast.TypeCast):
            return f"{_operand(node.arg, plain=True)}::{_cast_to(node)}"
        return _render(node, plain=True)
    except RecursionError:
        return None


def _render(node: Any, *, plain: bool) -> str:
    match node:
        case ast.ColumnRef():
            last = node.fields[-1]
            rendered = "*" if isinstance(last, ast.A_Star) else quote_identifier(last.sval)
        case ast.A_Const() | ast.ParamRef():
            rendered = constant_text(node) or "'…'"
        case ast.TypeCast() if plain and _is_added(node):
            rendered = _render(node.arg, plain=plain)
        case ast.TypeCast():
            rendered = f"{_operand(node.arg, plain=plain)}::{_cast_to(node)}"
        case ast.FuncCall(over=None, agg_order=None, agg_filter=None):
            arguments = "*" if node.agg_star else _listed(node.args, plain=plain)
            rendered = f"{_function(node)}({'distinct ' if node.agg_distinct else ''}{arguments})"
        case ast.A_Expr(kind=enums.A_Expr_Kind.AEXPR_OP) if node.rexpr is not None:
            rendered = _chained(node, plain=plain)
        case ast.CoalesceExpr() | ast.RowExpr():
            rendered = f"{'coalesce' if isinstance(node, ast.CoalesceExpr) else ''}({_listed(node.args, plain=plain)})"
        case ast.CollateClause():
            collation = ".".join(quote_identifier(part.sval) for part in node.collname)
            rendered = f"{_operand(node.arg, plain=plain)} collate {collation}"
        case ast.SubLink():
            rendered = "(select …)"  # its columns have rows of their own
        case _:
            rendered = _fallback(node)
    return rendered


def _listed(nodes: tuple[Node, ...] | None, *, plain: bool) -> str:
    return ", ".join(_render(item, plain=plain) for item in nodes or ())


def _operand(node: Node, *, plain: bool) -> str:
    """In parentheses where an operator may bind otherwise."""
    bare = node
    while plain and isinstance(bare, ast.TypeCast) and _is_added(bare):
        bare = bare.arg
    text = _render(bare, plain=plain)
    return f"({text})" if isinstance(bare, ast.A_Expr | ast.BoolExpr) else text


def _cast_to(cast: Node) -> str:
    return type_name(cast.typeName) + _modifiers(cast.typeName)


def _chained(node: Node, *, plain: bool) -> str:
    """`a || b || c` without parentheses, and without recursion: some texts chain thousands."""
    operator = operator_name(node)
    parts: list[str] = []
    while True:
        parts.append(f"{operator} {_operand(node.rexpr, plain=plain)}")
        left = node.lexpr
        if not isinstance(left, ast.A_Expr) or left.kind != node.kind or operator_name(left) != operator:
            break
        node = left
    if left is not None:
        parts.append(_operand(left, plain=plain))
    return " ".join(reversed(parts))


def _is_added(cast: Node) -> bool:
    """A cast of the kind that the server writes out although nobody wrote it."""
    return type_name(cast.typeName) in ("text", "varchar") or isinstance(cast.arg, ast.A_Const)


def _function(node: Node) -> str:
    """The called name; what the grammar itself calls (extract, timezone) stands in pg_catalog and needs no quotes."""
    names = [part.sval for part in node.funcname]
    if names[0] == "pg_catalog":
        return str(names[-1])
    return ".".join(quote_identifier(name) for name in names)


def _modifiers(node: Node) -> str:
    texts = [constant_text(modifier) for modifier in node.typmods or ()]
    return f"({', '.join(text for text in texts if text)})" if texts and type_name(node) != "interval" else ""


def _fallback(node: Node) -> str:
    """The rest, by the printer of pglast; tables are taken off the columns for its time and put back."""
    changed = [(inner, inner.fields) for inner in walk(node) if isinstance(inner, ast.ColumnRef)]
    try:
        for column, fields in changed:
            column.fields = fields[-1:]
        return " ".join(str(RawStream()(node)).split())
    except (NotImplementedError, AttributeError, TypeError, ValueError):  # a node that it cannot print
        return f"<{type(node).__name__}>"
    finally:
        for column, fields in changed:
            column.fields = fields
