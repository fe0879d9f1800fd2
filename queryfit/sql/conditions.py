"""WHERE, ON and HAVING: which column meets which value, in which role, by which operator."""

from dataclasses import dataclass, replace
from typing import Any

from queryfit.sql.expressions import (
    constant_text,
    expression_text,
    has_aggregate,
    list_text,
    operator_name,
    pattern_constant,
    peel_casts,
    unescaped,
)
from queryfit.sql.grammar import Node, ast, enums
from queryfit.sql.ledger import Ledger, Seen
from queryfit.sql.scope import Fence, Instance, Origin, Origins, Scope
from queryfit.sql.tree import walk

_NOBODY: frozenset[Instance] = frozenset()
_NEGATED = {
    "=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">",
    "~~": "!~~", "!~~": "~~", "~~*": "!~~*", "!~~*": "~~*", "~": "!~", "!~": "~", "~*": "!~*", "!~*": "~*",
}  # fmt: skip
_COMMUTED = {
    "=": "=", "<>": "<>", "<": ">", ">": "<", "<=": ">=", ">=": "<=",
    "@>": "<@", "<@": "@>", "&&": "&&", "@@": "@@", "%": "%", "<->": "<->",
}  # fmt: skip
_COMPARISONS = frozenset({"=", "<", ">", "<=", ">="})
_PATTERNS = frozenset({"~~", "~~*", "~", "~*", "^@", "%", "<%", "%>"})
_FILTERS = frozenset({"equality", "range", "pattern", "null_test", "in_subquery"})

_Kind = enums.A_Expr_Kind
_BETWEEN = frozenset({_Kind.AEXPR_BETWEEN, _Kind.AEXPR_NOT_BETWEEN})
_BETWEEN_SYMMETRIC = frozenset({_Kind.AEXPR_BETWEEN_SYM, _Kind.AEXPR_NOT_BETWEEN_SYM})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a condition stands."""

    scope: Scope
    clause: int = 0  # shared by the arms of an OR; 0: each condition takes its own
    is_disjunct: bool = False
    nullable: frozenset[Instance] = _NOBODY  # an outer join's ON restricts these …
    preserved: frozenset[Instance] = _NOBODY  # … and keeps all rows of these


@dataclass(frozen=True, slots=True)
class Operand:
    """One side of a comparison: columns of relations (`seen`), or a value."""

    seen: tuple[Seen, ...] = ()
    expression: str | None = None
    kind: str = "expression"
    value: str | None = None
    cast_type: str | None = None
    is_correlated: bool = False
    has_aggregate: bool = False

    @property
    def single(self) -> Origin | None:
        """The one base column below it, if it is one."""
        origins = {origin for item in self.seen for origin in item.origins}
        return origins.pop() if len(origins) == 1 else None


class Conditions:
    """Turns conditions into rows of the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def read(self, node: Node | None, place: Place, *, negated: bool = False) -> None:
        """One condition; NOT is pushed down to the comparisons, as the planner does."""
        match node:
            case None:
                return
            case ast.BoolExpr(boolop=enums.BoolExprType.NOT_EXPR):
                self.read(node.args[0], place, negated=not negated)
            case ast.BoolExpr():
                self._junction(node, place, negated)
            case ast.A_Expr():
                self._comparison(node, place, negated)
            case ast.SubLink():
                self._sublink(node, place, negated)
            case ast.NullTest():
                is_null = (node.nulltesttype == enums.NullTestType.IS_NULL) != negated
                self._alone(node.arg, place, "null_test", "is null" if is_null else "is not null")
            case ast.BooleanTest():
                self._boolean_test(node, place, negated)
            case ast.ColumnRef():
                truth = Operand(kind="constant", value="false" if negated else "true")
                self.compare("=", self._operand(node, place.scope), truth, place)
            case _:
                self._alone(node, place, "other", None)

    def compare(self, operator: str, left: Operand, right: Operand, place: Place) -> None:
        """Rows for both sides of `left operator right`; the operator is turned so that the column is on its left."""
        if place.clause == 0:
            place = replace(place, clause=self._ledger.new_clause())
        if left.seen:
            self._side(left, operator, right, place)
        if right.seen:
            turned = _COMMUTED.get(operator)
            if turned is None:
                self._side(right, operator, left, place, role="other")
            else:
                self._side(right, turned, left, place)

    def columns(self, origins: Origins) -> Operand:
        """A bare column as an operand, for USING and NATURAL."""
        return Operand(seen=(Seen(origins, True, None),), kind="column")

    def _junction(self, node: Node, place: Place, negated: bool) -> None:
        is_or = (node.boolop == enums.BoolExprType.OR_EXPR) != negated
        if is_or:
            is_list = not negated and _is_list(node.args)
            place = replace(
                place,
                clause=place.clause or self._ledger.new_clause(),
                is_disjunct=place.is_disjunct or not is_list,
            )
        for arm in node.args:
            self.read(arm, place, negated=negated)

    def _comparison(self, node: Node, place: Place, negated: bool) -> None:
        kind, operator = node.kind, operator_name(node)
        if kind in _BETWEEN:
            self._between(node, place, negated != (kind == _Kind.AEXPR_NOT_BETWEEN))
            return
        if kind in _BETWEEN_SYMMETRIC:
            self._other(node.lexpr, node.rexpr, operator.lower(), replace(place, is_disjunct=True), role="range")
            return
        if kind in (_Kind.AEXPR_DISTINCT, _Kind.AEXPR_NOT_DISTINCT):
            is_distinct = (kind == _Kind.AEXPR_DISTINCT) != negated
            words = "is distinct from" if is_distinct else "is not distinct from"
            self._other(node.lexpr, node.rexpr, words, place)
            return
        if negated and operator not in _NEGATED:
            self._other(node.lexpr, node.rexpr, f"not {operator}", replace(place, is_disjunct=True))
            return
        operator = _NEGATED[operator] if negated else operator
        if kind == _Kind.AEXPR_IN:
            self._in_list(node, place, is_in=operator == "=")
        elif kind in (_Kind.AEXPR_OP_ANY, _Kind.AEXPR_OP_ALL):
            self._array(node, place, operator, negated)
        elif kind == _Kind.AEXPR_SIMILAR:
            words = "similar to" if operator == "~" else "not similar to"
            role = "pattern" if operator == "~" else "other"
            self._other(node.lexpr, unescaped(node.rexpr), words, place, role=role)
        elif kind == _Kind.AEXPR_NULLIF or node.lexpr is None:
            self._alone(node, place, "other", None)
        elif isinstance(node.lexpr, ast.RowExpr) and isinstance(node.rexpr, ast.RowExpr):
            self._rows(operator, node.lexpr.args or (), node.rexpr.args or (), place)
        else:
            self.compare(operator, self._operand(node.lexpr, place.scope), self._value(node, place), place)

    def _value(self, node: Node, place: Place) -> Operand:
        """The right side; a LIKE pattern shows as far as it is visible."""
        right = unescaped(node.rexpr)
        operand = self._operand(right, place.scope)
        if operand.seen or operand.kind != "expression" or operator_name(node) not in _PATTERNS:
            return operand
        return operand if pattern_constant(right) is None else replace(operand, value=expression_text(right))

    def _between(self, node: Node, place: Place, negated: bool) -> None:
        low, high = (self._operand(bound, place.scope) for bound in node.rexpr)
        tested = self._operand(node.lexpr, place.scope)
        if negated:
            place = replace(place, clause=place.clause or self._ledger.new_clause(), is_disjunct=True)
        self.compare("<" if negated else ">=", tested, low, place)
        self.compare(">" if negated else "<=", tested, high, place)

    def _in_list(self, node: Node, place: Place, *, is_in: bool) -> None:
        place = replace(place, clause=place.clause or self._ledger.new_clause())
        items = node.rexpr if isinstance(node.rexpr, tuple) else (node.rexpr,)
        if isinstance(node.lexpr, ast.RowExpr) and is_in and len(items) == 1 and isinstance(items[0], ast.RowExpr):
            self._rows("=", node.lexpr.args or (), items[0].args or (), place)
            return
        values = [self._operand(item, place.scope) for item in items]
        role, operator = ("equality", "in") if is_in else ("other", "not in")
        columns = [value for value in values if value.seen]
        listed = Operand(kind="list", value=list_text(items), cast_type=values[0].cast_type)
        if isinstance(node.lexpr, ast.RowExpr):
            tested = [self._operand(item, place.scope) for item in node.lexpr.args or ()]
            place = replace(place, is_disjunct=True)  # each row of the list asks for all of them at once
        else:
            tested = [self._operand(node.lexpr, place.scope)]
        if columns:
            place = replace(place, is_disjunct=place.is_disjunct or len(items) > 1)
            for value in columns:
                self.compare("=" if is_in else "<>", tested[0], value, place)
            return
        for operand in tested:
            self._side(operand, operator, listed, place, role=role)

    def _array(self, node: Node, place: Place, operator: str, negated: bool) -> None:
        is_any = (node.kind == _Kind.AEXPR_OP_ANY) != negated
        array = self._operand(node.rexpr, place.scope)
        tested = self._operand(node.lexpr, place.scope)
        words = f"{operator} {'any' if is_any else 'all'}"
        place = replace(place, clause=place.clause or self._ledger.new_clause())
        if array.seen:
            self._side(array, words, tested, place, role="other")
            self._side(tested, words, array, place, role="other")
            return
        role = _role(operator) if is_any else "other"
        if role not in ("equality", "other"):
            place = replace(place, is_disjunct=True)  # an OR over the elements
        if array.kind in ("parameter", "constant", "expression"):
            array = replace(array, kind="array")
        self._side(tested, words, array, place, role=role)

    def _rows(self, operator: str, left: tuple[Any, ...], right: tuple[Any, ...], place: Place) -> None:
        """(a, b) = (…) is one condition a column; (a, b) < (…) is one range over both, which the first alone bounds."""
        if operator == "=":
            for one, other in zip(left, right, strict=False):
                self.compare("=", self._operand(one, place.scope), self._operand(other, place.scope), place)
            return
        place = replace(place, clause=place.clause or self._ledger.new_clause())
        for one, other in zip(left, right, strict=False):
            self.compare(operator, self._operand(one, place.scope), self._operand(other, place.scope), place)
            place = replace(place, is_disjunct=True)

    def _boolean_test(self, node: Node, place: Place, negated: bool) -> None:
        name = node.booltesttype.name.removeprefix("IS_").replace("NOT_", "NOT ")
        words = f"is {name.lower()}"
        if negated:
            words = words.replace("is not ", "is ") if "not" in words else words.replace("is ", "is not ")
        operand = self._operand(node.arg, place.scope)
        place = replace(place, clause=place.clause or self._ledger.new_clause())
        if words in ("is true", "is false"):
            self._side(operand, words, Operand(kind="constant", value=words[3:]), place, role="equality")
        elif words in ("is unknown", "is not unknown"):
            self._side(operand, words.replace("unknown", "null"), None, place, role="null_test")
        else:
            self._side(operand, words, None, place, role="other")

    def _sublink(self, node: Node, place: Place, negated: bool) -> None:
        kind = node.subLinkType
        drives = not negated and not place.is_disjunct
        if kind == enums.SubLinkType.EXISTS_SUBLINK:
            self._ledger.subquery(node.subselect, place.scope, drives)
            return
        if node.testexpr is None:
            self._ledger.collect(node, place.scope)
            return
        operator = node.operName[-1].sval if node.operName else "="
        is_any = kind == enums.SubLinkType.ANY_SUBLINK
        is_in = is_any and operator == "=" and not negated
        is_not_in = (is_any and operator == "=" and negated) or (
            kind == enums.SubLinkType.ALL_SUBLINK and operator == "<>" and not negated
        )
        is_row = isinstance(node.testexpr, ast.RowExpr)
        tested = [self._operand(item, place.scope) for item in (node.testexpr.args if is_row else (node.testexpr,))]
        result = self._ledger.subquery(node.subselect, place.scope, is_in and drives)
        place = replace(place, clause=place.clause or self._ledger.new_clause())
        outputs = [origins for _, origins in result.outputs]
        outputs += [()] * (len(tested) - len(outputs))
        for operand, origins in zip(tested, outputs, strict=False):
            other = replace(self.columns(origins), kind="subquery", is_correlated=result.is_correlated)
            if is_in:
                self._side(operand, "in", other, place, role="in_subquery")
                inner = tuple(origin.behind(result.fence) for origin in origins)
                self._side(self.columns(inner), "=", operand, place, role="join")
            elif is_not_in:
                self._side(operand, "not in", other, place, role="not_in_subquery")
            else:
                is_compared = kind == enums.SubLinkType.ROWCOMPARE_SUBLINK and not negated and not result.is_correlated
                words = f"not {operator}" if negated else operator
                self._side(operand, words, other, place, role=_role(operator) if is_compared else "other")

    def _alone(self, node: Node, place: Place, role: str, operator: str | None) -> None:
        self._other(node, None, operator, place, role=role)

    def _other(self, left: Any, right: Any, operator: str | None, place: Place, *, role: str = "other") -> None:
        """Both sides in a role that has no mirror."""
        place = replace(place, clause=place.clause or self._ledger.new_clause())
        one = self._operand(left, place.scope) if left is not None else Operand()
        two = self._operand(right, place.scope) if right is not None else None
        if one.seen:
            self._side(one, operator, two, place, role="other" if two is not None and two.seen else role)
        if two is not None and two.seen:
            self._side(two, operator, one, place, role="other")

    def _operand(self, node: Any, scope: Scope) -> Operand:
        """Reads one side, and walks the subqueries in it: to be called once for each node."""
        if isinstance(node, tuple):
            return Operand(seen=tuple(self._ledger.collect(node, scope)), kind="list", value=list_text(node))
        core, cast_type = peel_casts(node)
        if isinstance(core, ast.SubLink) and core.testexpr is None:
            result = self._ledger.subquery(core.subselect, scope, False)
            return Operand(kind="subquery", cast_type=cast_type, is_correlated=result.is_correlated)
        if isinstance(core, ast.A_Const | ast.ParamRef):
            kind = "parameter" if isinstance(core, ast.ParamRef) else "constant"
            return Operand(kind=kind, value=constant_text(core), cast_type=cast_type)
        seen = tuple(self._ledger.collect(node, scope))
        if any(item.origins for item in seen) and not isinstance(node, ast.ColumnRef):
            return Operand(seen=seen, expression=expression_text(node), has_aggregate=has_aggregate(node))
        if seen:
            return Operand(seen=seen, kind="column" if isinstance(node, ast.ColumnRef) else "expression")
        is_array = isinstance(core, ast.A_ArrayExpr)
        value = list_text(core.elements or ()) if is_array else None
        return Operand(kind="array" if is_array else "expression", value=value, cast_type=cast_type)

    def _side(
        self, operand: Operand, operator: str | None, other: Operand | None, place: Place, *, role: str | None = None
    ) -> None:
        """Rows for one side, seen against the other."""
        single = other.single if other is not None else None
        joins = other is not None and bool(other.seen) and other.kind != "subquery"
        if role is None:
            role = _role(operator or "")
            if joins:
                role = "join" if operator in _COMPARISONS else "other"
        if operand.has_aggregate:
            role = "other"
        facts: dict[str, Any] = {"clause": place.clause, "operator": operator, "expression": operand.expression}
        if other is not None:
            facts |= {"value": other.value, "value_kind": other.kind}
            facts["value_cast_type"] = None if joins else other.cast_type
        if single is not None:
            facts |= {"other_relation": single.instance.relation.text, "other_column": single.column}
        is_bound = other is None or not other.is_correlated
        own = {origin.instance for item in operand.seen for origin in item.origins}
        for item in operand.seen:
            for origin in item.origins:
                actual = role
                if role == "join" and _instances(other) == own and len(own) == 1:
                    actual = "other"  # two columns of one row: nothing that an index could look up
                if origin.fence == Fence.ALL and role in _FILTERS:
                    actual = "other"
                self._ledger.add(
                    origin,
                    actual,
                    cast_type=item.cast_type,
                    is_disjunct=place.is_disjunct
                    or not (item.is_driven and is_bound)
                    or origin.instance in place.preserved
                    or (actual == "join" and origin.fence > Fence.NONE),
                    is_optional=origin.instance in place.nullable,
                    **facts,
                )


def _instances(operand: Operand | None) -> set[Instance]:
    return {origin.instance for item in operand.seen for origin in item.origins} if operand is not None else set()


def _role(operator: str) -> str:
    if operator == "=":
        return "equality"
    if operator in _COMPARISONS:
        return "range"
    return "pattern" if operator in _PATTERNS else "other"


def _is_list(arms: tuple[Node, ...]) -> bool:
    """Every arm of an OR asks for a value of the same bare column: the same as IN, and planned like it."""
    columns = {_equated(arm) for arm in arms}
    return len(columns) == 1 and None not in columns


def _equated(node: Node) -> tuple[str, ...] | None:
    """The bare column that an arm equates with values: a = $1, $1 = a, a in (…), a = any($1)."""
    if not isinstance(node, ast.A_Expr) or operator_name(node) != "=":
        return None
    if node.kind not in (_Kind.AEXPR_OP, _Kind.AEXPR_IN, _Kind.AEXPR_OP_ANY):
        return None
    column, value = node.lexpr, node.rexpr
    if not isinstance(column, ast.ColumnRef) and node.kind == _Kind.AEXPR_OP:
        column, value = value, column
    if not isinstance(column, ast.ColumnRef):
        return None
    if any(isinstance(inner, ast.ColumnRef | ast.SubLink) for inner in walk(value)):
        return None
    return tuple(part.sval for part in column.fields if isinstance(part, ast.String))
