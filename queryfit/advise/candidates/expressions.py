"""Which expressions an index can hold: immutable ones, by what PostgreSQL's own functions and casts promise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from queryfit.advise.candidates.facts import Column, Schema, Table
from queryfit.sql.expressions import function_name, is_aggregate, operator_name, type_name
from queryfit.sql.grammar import Node, ast, enums
from queryfit.sql.parse import parse
from queryfit.sql.tree import walk

_NUMBERS = frozenset({"int2", "int4", "int8", "float4", "float8", "numeric"})
_TEXTS = frozenset({"text", "varchar", "bpchar", "name", "citext"})
_JSON = frozenset({"json", "jsonb"})
_UNKNOWN = "unknown"  # a literal: takes the type that it meets
_TEXT_FUNCTIONS = {
    "lower": "text", "upper": "text", "initcap": "text", "md5": "text", "reverse": "text", "btrim": "text",
    "ltrim": "text", "rtrim": "text", "substr": "text", "substring": "text", "left": "text", "right": "text",
    "replace": "text", "translate": "text", "split_part": "text", "lpad": "text", "rpad": "text", "repeat": "text",
    "regexp_replace": "text", "strpos": "int4", "length": "int4", "char_length": "int4", "octet_length": "int4",
    "ascii": "int4", "hashtext": "int4", "starts_with": "bool",
}  # fmt: skip
_NUMBER_FUNCTIONS = frozenset({
    "abs", "round", "floor", "ceil", "ceiling", "trunc", "sign", "sqrt", "mod", "power", "ln", "log", "exp", "div",
})  # fmt: skip
_JSON_FUNCTIONS = {"jsonb_extract_path_text": "text", "json_extract_path_text": "text", "jsonb_extract_path": "jsonb",
    "jsonb_array_length": "int4", "jsonb_typeof": "text"}  # fmt: skip
_JSON_OPERATORS = {"->": "", "->>": "text", "#>": "", "#>>": "text"}  # empty: the same type again
_TYPE_NAMES = {
    "smallint": "int2", "integer": "int4", "bigint": "int8", "real": "float4", "double precision": "float8",
    "boolean": "bool", "character varying": "varchar", "character": "bpchar",
    "timestamp without time zone": "timestamp", "timestamp with time zone": "timestamptz",
    "time without time zone": "time",
}  # fmt: skip
_COMPARISONS = frozenset({"=", "<>", "<", ">", "<=", ">="})
_EXTRACT = re.compile(r"\bextract\((?=')")
_WHOLE_EXTRACT = re.compile(r"extract\('(\w+)', (.*)\)")
_ORDERED = _NUMBERS | _TEXTS | {"bool", "date", "timestamp", "time", "interval", "uuid", "timestamptz", "inet"}


class NotIndexableError(Exception):
    """The expression cannot be a key of an index; the message says why.

    `is_plain` where that is no news to anybody: it is computed over many rows, or of more than the table holds.
    """

    def __init__(self, message: str, *, is_plain: bool = False) -> None:
        super().__init__(message)
        self.is_plain = is_plain


@dataclass(frozen=True, slots=True)
class Understood:
    """An expression over columns of one table. `column` where it is no more than the column itself."""

    sql: str  # as CREATE INDEX takes it, without outer parentheses
    type: str  # typname of its value
    columns: frozenset[str]
    column: Column | None = None

    @property
    def is_ordered(self) -> bool:
        return self.type in _ORDERED


def understand(expression: str, table: Table, schema: Schema) -> Understood:
    """Type and columns of an expression as references write it. Raises NotIndexableError."""
    if "…" in expression:  # a text or a constant that was too long to be kept
        raise NotIndexableError("its text is not whole")
    parsed = parse(f"select {_EXTRACT.sub('pg_catalog.extract(', expression)}")
    if len(parsed.statements) != 1 or not isinstance(parsed.statements[0].stmt, ast.SelectStmt):
        raise NotIndexableError("its text is not whole")
    targets: tuple[Any, ...] = parsed.statements[0].stmt.targetList or ()
    if len(targets) != 1:
        raise NotIndexableError("its text is not whole")
    node = targets[0].val
    try:
        kind = _Types(table, schema).of(node)
    except RecursionError:
        raise NotIndexableError("it is nested too deeply") from None
    names = frozenset(inner.fields[-1].sval for inner in walk(node) if isinstance(inner, ast.ColumnRef))
    if not names:
        raise NotIndexableError("no column is in it")
    whole = _WHOLE_EXTRACT.fullmatch(expression)
    text = f"extract({whole[1]} from {whole[2]})" if whole else _EXTRACT.sub("pg_catalog.extract(", expression)
    return Understood(text, kind, names, _bare(node, table))


def _bare(node: Node, table: Table) -> Column | None:
    """The column below casts that change nothing: varchar to text."""
    while isinstance(node, ast.TypeCast) and type_name(node.typeName) in ("text", "varchar"):
        if node.typeName.typmods:
            return None
        node = node.arg
    if not isinstance(node, ast.ColumnRef):
        return None
    column = table.columns.get(node.fields[-1].sval)
    return column if column is not None and column.base_type in ("text", "varchar") else None


class _Types:
    """Types of expressions, from the leaves up."""

    def __init__(self, table: Table, schema: Schema) -> None:
        self._table = table
        self._schema = schema

    def of(self, node: Any) -> str:  # noqa: C901, PLR0911, PLR0912 -- one branch a kind of node
        match node:
            case ast.ColumnRef() if isinstance(node.fields[-1], ast.String):
                name = node.fields[-1].sval
                column = self._table.columns.get(name)
                if column is None or column.is_virtual:
                    raise NotIndexableError(f"{name} is no stored column of {self._table.name}", is_plain=True)
                return column.base_type
            case ast.A_Const():
                return _constant(node)
            case ast.GroupingFunc() | ast.GroupingSet():
                raise NotIndexableError("it is computed over many rows", is_plain=True)
            case ast.ParamRef():
                raise NotIndexableError("a parameter is in it")
            case ast.TypeCast():
                return _cast(self.of(node.arg), type_name(node.typeName))
            case ast.CollateClause():
                return self.of(node.arg)
            case ast.FuncCall():
                return self._call(node)
            case ast.A_Expr(kind=enums.A_Expr_Kind.AEXPR_OP):
                return self._operator(node)
            case ast.A_Expr(kind=enums.A_Expr_Kind.AEXPR_NULLIF):
                return self._same((node.lexpr, node.rexpr))
            case ast.CoalesceExpr() | ast.MinMaxExpr():
                return self._same(node.args)
            case ast.CaseExpr():
                return self._case(node)
            case ast.NullTest() | ast.BooleanTest():
                self.of(node.arg)
                return "bool"
            case ast.BoolExpr():
                for arm in node.args:
                    self.of(arm)
                return "bool"
        raise NotIndexableError("it is not known to be immutable")

    def _case(self, node: Node) -> str:
        if node.arg is not None:
            self.of(node.arg)
        for arm in node.args:
            if node.arg is None or not isinstance(arm.expr, ast.A_Const):
                self.of(arm.expr)
        results = [arm.result for arm in node.args]
        return self._same([*results, node.defresult] if node.defresult is not None else results)

    def _same(self, nodes: Sequence[Node]) -> str:
        kinds = {self.of(node) for node in nodes} - {_UNKNOWN}
        if len(kinds) == 1:
            return kinds.pop()
        if kinds and kinds <= _NUMBERS:
            return "numeric"
        if not kinds or kinds <= _TEXTS:
            return "text"
        raise NotIndexableError("types meet in it in a way that may depend on settings")

    def _call(self, node: Node) -> str:
        if is_aggregate(node) or node.over is not None:
            raise NotIndexableError("it is computed over many rows", is_plain=True)
        name = function_name(node)
        kinds = [self.of(argument) for argument in node.args or ()]
        schemas = [part.sval for part in node.funcname[:-1]]
        if schemas in ([], ["pg_catalog"]):
            result = _builtin(name, kinds)
            if result is not None:
                return result
        qualified = ".".join([*schemas, name])
        if qualified in self._schema.immutable_routines:
            result = self._schema.immutable_routines[qualified]
            return _TYPE_NAMES.get(result, result)
        raise NotIndexableError(f"{name}() is not immutable for these types, or not known to be")

    def _operator(self, node: Node) -> str:  # noqa: PLR0911 -- one rule a line
        if node.lexpr is None:
            kind = self.of(node.rexpr)
            if kind in _NUMBERS:
                return kind
            raise NotIndexableError("it is not known to be immutable")
        name, left, right = operator_name(node), self.of(node.lexpr), self.of(node.rexpr)
        kinds = {left, right} - {_UNKNOWN}
        if left in _JSON and name in _JSON_OPERATORS:
            return _JSON_OPERATORS[name] or left
        if name == "||" and kinds <= _TEXTS:
            return "text"
        if kinds and kinds <= _NUMBERS and name in "+-*/%":
            return left if left == right else "numeric"
        if name in _COMPARISONS and (kinds <= _NUMBERS or kinds <= _TEXTS or len(kinds) == 1):
            return "bool"
        if left == "timestamp" and right == "interval" and name in "+-":
            return "timestamp"
        if name in "+-" and left == "date" and right in ("int4", "date"):
            return "date" if right == "int4" else "int4"
        raise NotIndexableError(f"the operator {name} is not immutable for these types, or not known to be")


def _constant(node: Node) -> str:
    if node.isnull or isinstance(node.val, ast.String):
        return _UNKNOWN
    if isinstance(node.val, ast.Boolean):
        return "bool"
    if isinstance(node.val, ast.Integer):
        return "int4"
    return "numeric" if isinstance(node.val, ast.Float) else _UNKNOWN


def _builtin(name: str, kinds: list[str]) -> str | None:  # noqa: PLR0911 -- one rule a line
    """Type that an immutable function of PostgreSQL returns; None for any other."""
    first = kinds[0] if kinds else ""
    others = set(kinds[1:])
    if name in ("date_trunc", "date_part", "extract", "date_bin"):
        # over timestamptz they depend on the TimeZone setting, and date_trunc takes a date for one
        allowed = {"timestamp"} if name in ("date_trunc", "date_bin") else {"timestamp", "date", "time"}
        if len(kinds) == 2 and kinds[1] in allowed:  # noqa: PLR2004 -- field and value
            return {"date_part": "float8", "extract": "numeric"}.get(name, "timestamp")
        return None
    if name == "timezone" and len(kinds) == 2:  # noqa: PLR2004 -- zone and value
        return {"timestamptz": "timestamp", "timestamp": "timestamptz"}.get(kinds[1])
    if name == "date" and kinds == ["timestamp"]:
        return "date"
    if name in _TEXT_FUNCTIONS and first in _TEXTS | {_UNKNOWN} and others <= _TEXTS | _NUMBERS | {_UNKNOWN}:
        return _TEXT_FUNCTIONS[name]
    if name in _NUMBER_FUNCTIONS and kinds and set(kinds) <= _NUMBERS:
        return first if name in ("abs", "mod") else "numeric"
    if name in _JSON_FUNCTIONS and first in _JSON and others <= {_UNKNOWN}:
        return _JSON_FUNCTIONS[name]
    # the configuration must be written out: to_tsvector(text) takes it from a setting
    if name == "to_tsvector" and first in (_UNKNOWN, "regconfig") and len(kinds) == 2:  # noqa: PLR2004
        return "tsvector"
    if name == "setweight" and first == "tsvector":
        return "tsvector"
    return None


def _cast(source: str, target: str) -> str:
    if source == target or (source == _UNKNOWN and target not in ("timestamptz", "timetz", "date", "timestamp")):
        return target
    groups = [
        (_NUMBERS | _TEXTS | {"bool"}, _NUMBERS | _TEXTS | {"bool"}),
        (_TEXTS | {"uuid"}, _TEXTS | {"uuid"}),
        ({"jsonb"}, _NUMBERS | _TEXTS | {"bool"}),
        ({"inet", "cidr"}, _TEXTS | {"inet", "cidr"}),
        ({"date", "timestamp"}, frozenset({"date", "timestamp"})),
        ({"timestamp"}, frozenset({"time"})),
        ({_UNKNOWN}, frozenset({"interval"})),
    ]
    if any(source in sources and target in targets for sources, targets in groups):
        return target
    raise NotIndexableError(f"a cast from {source} to {target} is not immutable, or not known to be")
