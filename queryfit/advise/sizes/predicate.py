"""What the predicate of a partial index leaves of a table, from statistics alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import pglast
from pglast import ast, enums

from queryfit.advise.sizes.groups import distinct_count, ordinal
from queryfit.lab.table_facts import ColumnFacts, TableFacts

_RANGES: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda value, bound: bool(value < bound),
    "<=": lambda value, bound: bool(value <= bound),
    ">": lambda value, bound: bool(value > bound),
    ">=": lambda value, bound: bool(value >= bound),
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}
_TRUE, _FALSE = "t", "f"
_STEPS = 16  # parts of a histogram's bin that are looked at


@dataclass(frozen=True, slots=True)
class Restriction:
    """The share of the rows that stays, and the columns that look different among them."""

    share: float
    columns: Mapping[str, ColumnFacts] = field(default_factory=dict)


class _UnknownError(Exception):
    """Statistics do not tell."""


def restriction(predicate: str | None, table: TableFacts) -> Restriction | None:
    """What stays of the table under the predicate; null where its statistics do not tell."""
    if predicate is None:
        return Restriction(1.0)
    try:
        statements: Any = pglast.parse_sql(f"select 1 where ({predicate})")
        if len(statements) != 1:
            return None
        return _condition(statements[0].stmt.whereClause, table)
    except (pglast.parser.ParseError, ValueError, _UnknownError):
        return None


def _condition(node: Any, table: TableFacts) -> Restriction:
    if isinstance(node, ast.BoolExpr):
        return _combination(node, table)
    if isinstance(node, ast.NullTest):
        column = _column(node.arg, table)
        nulls = _nulls(column)
        if node.nulltesttype == enums.NullTestType.IS_NULL:
            return Restriction(nulls, {column.name: _constant(column, None)})
        return Restriction(1.0 - nulls, {column.name: _kept(column, table, lambda _: True)})
    if isinstance(node, ast.ColumnRef):
        return _equal(_column(node, table), [_TRUE], table)
    if isinstance(node, ast.BooleanTest):
        return _truth(node, table)
    if isinstance(node, ast.A_Expr):
        return _comparison(node, table)
    raise _UnknownError


def _combination(node: Any, table: TableFacts) -> Restriction:
    if node.boolop == enums.BoolExprType.NOT_EXPR:
        inner = node.args[0]
        if isinstance(inner, ast.ColumnRef):
            return _equal(_column(inner, table), [_FALSE], table)
        return Restriction(1.0 - _condition(inner, table).share)
    if node.boolop == enums.BoolExprType.OR_EXPR:
        shares = [_condition(arm, table).share for arm in node.args]
        return Restriction(1.0 - math.prod(1.0 - share for share in shares))

    def further(done: Restriction, arm: Any) -> Restriction:
        # what the arms before left of a column is what the next one finds
        left = replace(table, columns={**table.columns, **done.columns})
        found = _condition(arm, left)
        return Restriction(done.share * found.share, {**done.columns, **found.columns})

    return reduce(further, node.args, Restriction(1.0))


def _truth(node: Any, table: TableFacts) -> Restriction:
    column = _column(node.arg, table)
    kinds = enums.BoolTestType
    if node.booltesttype in {kinds.IS_TRUE, kinds.IS_FALSE}:
        return _equal(column, [_TRUE if node.booltesttype == kinds.IS_TRUE else _FALSE], table)
    if node.booltesttype in {kinds.IS_NOT_TRUE, kinds.IS_NOT_FALSE}:
        unwanted = _TRUE if node.booltesttype == kinds.IS_NOT_TRUE else _FALSE
        return Restriction(1.0 - _frequency(column, unwanted, table))
    nulls = _nulls(column)
    return Restriction(nulls if node.booltesttype == kinds.IS_UNKNOWN else 1.0 - nulls)


def _comparison(node: Any, table: TableFacts) -> Restriction:  # noqa: PLR0911 -- one a kind of operator
    operator = node.name[-1].sval
    kinds = enums.A_Expr_Kind
    if node.kind in {kinds.AEXPR_BETWEEN, kinds.AEXPR_NOT_BETWEEN}:
        column = _column(node.lexpr, table)
        low, high = _values(node.rexpr)
        inside = _range(column, ((">=", low), ("<=", high)), table)
        if node.kind == kinds.AEXPR_BETWEEN:
            return inside
        return Restriction(max(0.0, 1.0 - _nulls(column) - inside.share))
    if node.kind in {kinds.AEXPR_IN, kinds.AEXPR_OP_ANY}:
        column = _column(node.lexpr, table)
        if operator == "=":
            return _equal(column, _values(node.rexpr), table)
        return _unequal(column, _values(node.rexpr), table)
    if node.kind == kinds.AEXPR_OP_ALL and operator == "<>":
        return _unequal(_column(node.lexpr, table), _values(node.rexpr), table)
    if node.kind != kinds.AEXPR_OP or node.lexpr is None or operator not in _MIRRORED:
        raise _UnknownError
    left, right = node.lexpr, node.rexpr
    if not isinstance(_bare(left), ast.ColumnRef):
        left, right, operator = right, left, _MIRRORED[operator]
    column, (value,) = _column(left, table), _values(right)
    if operator == "=":
        return _equal(column, [value], table)
    if operator == "<>":
        return _unequal(column, [value], table)
    return _range(column, ((operator, value),), table)


def _bare(node: Any) -> Any:
    return _bare(node.arg) if isinstance(node, ast.TypeCast) else node


def _column(node: Any, table: TableFacts) -> ColumnFacts:
    reference = _bare(node)
    fields = reference.fields if isinstance(reference, ast.ColumnRef) else None
    if not fields or not isinstance(fields[-1], ast.String):
        raise _UnknownError
    column = table.columns.get(str(fields[-1].sval))
    if column is None or column.null_fraction is None:
        raise _UnknownError
    return column


def _values(node: Any) -> list[str]:  # noqa: PLR0911 -- one a kind of constant
    """Constants as PostgreSQL prints them in statistics."""
    if isinstance(node, tuple):
        return [value for item in node for value in _values(item)]
    bare = _bare(node)
    if isinstance(bare, ast.A_ArrayExpr):
        return [value for item in bare.elements or () for value in _values(item)]
    if isinstance(bare, ast.A_Expr) and bare.lexpr is None and bare.name and bare.name[-1].sval == "-":
        return [f"-{value}" for value in _values(bare.rexpr)]
    if not isinstance(bare, ast.A_Const) or bare.isnull:
        raise _UnknownError
    constant = bare.val
    if isinstance(constant, ast.Integer):
        return [str(constant.ival)]
    if isinstance(constant, ast.Float):
        return [str(constant.fval)]
    if isinstance(constant, ast.Boolean):
        return [_TRUE if constant.boolval else _FALSE]
    if isinstance(constant, ast.String):
        return [str(constant.sval)]
    raise _UnknownError


def _nulls(column: ColumnFacts) -> float:
    return column.null_fraction or 0.0


def _same(left: str, right: str, column: ColumnFacts) -> bool:
    if left == right:
        return True
    if column.category == "B":
        return left[:1].lower() == right[:1].lower()
    if column.category in "ND":
        one, other = ordinal(left, column.type), ordinal(right, column.type)
        return one is not None and one == other
    return column.type == "bpchar" and left.rstrip() == right.rstrip()


def _frequency(column: ColumnFacts, value: str, table: TableFacts) -> float:
    """The share of the rows with this value, as var_eq_const estimates it."""
    for common, frequency in zip(column.common_values, column.common_frequencies, strict=False):
        if _same(common, value, column):
            return frequency
    count = distinct_count(column, table)
    if count is None:
        raise _UnknownError
    others = count - len(column.common_frequencies)
    rest = max(0.0, 1.0 - _nulls(column) - sum(column.common_frequencies))
    return rest / others if others >= 1 else 0.0


def _equal(column: ColumnFacts, values: Sequence[str], table: TableFacts) -> Restriction:
    frequencies = [_frequency(column, value, table) for value in values]
    share = min(1.0, sum(frequencies))
    if len(values) == 1:
        return Restriction(share, {column.name: _constant(column, values[0])})
    whole = max(share, 1e-12)
    few = replace(
        column,
        null_fraction=0.0,
        distinct_values=float(len(values)),
        common_values_text=_as_array(values),
        common_frequencies=tuple(frequency / whole for frequency in frequencies),
        histogram_text=None,
    )
    return Restriction(share, {column.name: few})


def _unequal(column: ColumnFacts, values: Sequence[str], table: TableFacts) -> Restriction:
    share = sum(_frequency(column, value, table) for value in values)
    left = max(0.0, 1.0 - _nulls(column) - share)
    kept = _kept(column, table, lambda common: not any(_same(common, value, column) for value in values))
    return Restriction(left, {column.name: kept})


def _constant(column: ColumnFacts, value: str | None) -> ColumnFacts:
    return replace(
        column,
        null_fraction=1.0 if value is None else 0.0,
        distinct_values=1.0,
        correlation=1.0,
        common_values_text=None if value is None else _as_array([value]),
        common_frequencies=() if value is None else (1.0,),
        average_width=None if value is not None and column.category == "S" else column.average_width,
        histogram_text=None,
    )


def _kept(column: ColumnFacts, table: TableFacts, is_kept: Callable[[str], bool]) -> ColumnFacts:
    """The column without nulls, and with these of its common values."""
    common = [
        (value, frequency)
        for value, frequency in zip(column.common_values, column.common_frequencies, strict=False)
        if is_kept(value)
    ]
    bounds = [value for value in column.histogram if is_kept(value)]
    count = distinct_count(column, table)
    tail = max(0.0, 1.0 - _nulls(column) - sum(column.common_frequencies))
    inside = len(bounds) / len(column.histogram) if column.histogram else 1.0
    whole = max(1e-12, sum(frequency for _, frequency in common) + tail * inside)
    others = max(0.0, (count or 0.0) - len(column.common_frequencies)) * inside
    return replace(
        column,
        null_fraction=0.0,
        distinct_values=None if count is None else max(1.0, len(common) + others),
        common_values_text=_as_array([value for value, _ in common]) if common else None,
        common_frequencies=tuple(frequency / whole for _, frequency in common),
        histogram_text=_as_array(bounds) if len(bounds) > 1 else None,
    )


def _range(column: ColumnFacts, limits: Sequence[tuple[str, str]], table: TableFacts) -> Restriction:
    """Common values counted, and the part of the histogram within the limits."""

    def is_inside(value: str) -> bool:
        return all(
            _RANGES[operator](_orderable(value, column), _orderable(limit, column)) for operator, limit in limits
        )

    if not column.common_values and not column.histogram:
        raise _UnknownError
    pairs = zip(column.common_values, column.common_frequencies, strict=False)
    common = sum(frequency for value, frequency in pairs if is_inside(value))
    tail = max(0.0, 1.0 - _nulls(column) - sum(column.common_frequencies))
    inside = _histogram_share(column, limits) if len(column.histogram) > 1 else 0.5
    return Restriction(common + tail * inside, {column.name: _kept(column, table, is_inside)})


def _orderable(value: str, column: ColumnFacts) -> Any:
    if column.category in "ND":
        number = ordinal(value, column.type)
        if number is None:
            raise _UnknownError
        return number
    if column.category == "S":
        return value.encode()  # under a collation of words about as good as its order
    raise _UnknownError


def _histogram_share(column: ColumnFacts, limits: Sequence[tuple[str, str]]) -> float:
    bounds = [_orderable(value, column) for value in column.histogram]
    at = [(operator, _orderable(limit, column)) for operator, limit in limits]
    inside = 0
    for low, high in itertools.pairwise(bounds):
        for step in range(_STEPS):
            is_number = isinstance(low, float)
            point = low + (high - low) * (step + 0.5) / _STEPS if is_number else (low if step < _STEPS / 2 else high)
            inside += all(_RANGES[operator](point, limit) for operator, limit in at)
    return inside / (_STEPS * (len(bounds) - 1))


def _as_array(values: Sequence[str]) -> str:
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"
