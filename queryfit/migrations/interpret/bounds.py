"""Bounds of partitions: whether they overlap, and whether validated CHECKs prove that rows fit one.

The proofs go as far as PostgreSQL's planner goes.

Conditions are small trees: ("and", …), ("or", …), (column, operator, value), (column, "null") and (column, "not null").
Answers have three values: None where a comparison of values is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from msgspec import Raw

from queryfit.migrations.interpret.proofs import column_of
from queryfit.migrations.model import Database, Relation, Type
from queryfit.sql.ddl_parts import PartitionBoundSpec, tree

Condition = tuple[Any, ...]
_UNKNOWN: Condition = ("unknown",)
"""A part of a condition that proves nothing."""


def fits(database: Database, table: Relation, parent: Relation, bound: PartitionBoundSpec) -> bool | None:
    """The table's constraints prove that all its rows belong into a partition of that bound."""
    wanted = [_bound(parent, bound)]
    above = parent
    while above.bound is not None and above.parents:
        higher = database.relations.get(above.parents[0])
        if higher is None:
            return False
        wanted.append(_bound(higher, above.bound))
        above = higher
    return _proven(table, ("and", *wanted))


def excludes(table: Relation, parent: Relation, bound: PartitionBoundSpec) -> bool | None:
    """The constraints of a default partition prove that no row of it belongs into a partition of that bound."""
    return _proven(table, _negated(_bound(parent, bound)))


def _proven(table: Relation, wanted: Condition) -> bool | None:
    if not table.are_columns_known:
        return None
    known = [
        _condition(tree(constraint.expression), table)
        for constraint in table.constraints.values()
        if constraint.kind == "check" and constraint.is_validated and constraint.is_enforced
    ]
    known += [
        (column.name, "not null")
        for column in table.columns.values()
        if column.is_not_null and column.is_not_null_validated
    ]
    return _implies(("and", *known), wanted)


def _bound(parent: Relation, bound: PartitionBoundSpec) -> Condition:
    """The condition that a partition's rows fulfil."""
    if bound.is_default:
        return ("and",)  # told by its siblings: see default_of
    keys = parent.partition_key
    if not keys or None in keys or parent.partition_strategy == "hash":
        return _UNKNOWN
    names = [key for key in keys if key is not None]
    types = [parent.columns[name].type if name in parent.columns else None for name in names]
    if parent.partition_strategy == "list":
        return _list_bound(names[0], types[0], bound)
    return _range_bound(names, types, bound)


def excluded_by_siblings(database: Database, parent: Relation, partition: Relation) -> Condition:
    """The condition on the rows of a default partition: they belong into none of the others."""
    parts: list[Condition] = []
    for name in sorted(parent.children):
        sibling = database.relations.get(name)
        if (
            sibling is not None
            and sibling is not partition
            and sibling.bound is not None
            and not sibling.bound.is_default
        ):
            parts.append(_negated(_bound(parent, sibling.bound)))
    return ("and", *parts)


def fits_default(database: Database, table: Relation, parent: Relation, partition: Relation) -> bool | None:
    """The table's constraints prove that none of its rows belongs into another partition than the default one."""
    return _proven(table, excluded_by_siblings(database, parent, partition))


def _list_bound(column: str, kind: Type | None, bound: PartitionBoundSpec) -> Condition:
    values = []
    has_null = False
    for datum in bound.listdatums:
        node = tree(datum)
        if isinstance(node, dict) and node.get("A_Const", {}).get("isnull"):
            has_null = True
        else:
            values.append(_value(node, kind))
    members: Condition = ("or", *((column, "=", value) for value in values))
    if has_null:
        return ("or", (column, "null"), *members[1:])
    return ("and", (column, "not null"), members)


def _range_bound(names: Sequence[str], types: Sequence[Type | None], bound: PartitionBoundSpec) -> Condition:
    lower = [_edge(tree(datum), kind) for datum, kind in zip(bound.lowerdatums, types, strict=False)]
    upper = [_edge(tree(datum), kind) for datum, kind in zip(bound.upperdatums, types, strict=False)]
    parts: list[Condition] = [(name, "not null") for name in names]
    first = 0
    last = min(len(names), len(lower), len(upper)) - 1
    while first < last and lower[first] == upper[first] and not isinstance(lower[first], str):
        parts.append((names[first], "=", lower[first]))
        first += 1
    parts.append(_edge_condition(names, lower, first, ">", "minvalue"))
    parts.append(_edge_condition(names, upper, first, "<", "maxvalue"))
    return ("and", *parts)


def _edge_condition(names: Sequence[str], edge: Sequence[Any], first: int, operator: str, end: str) -> Condition:
    """All rows on one side of an edge of several columns, compared from left to right."""
    arms: list[Condition] = []
    equal: list[Condition] = []
    for place in range(first, min(len(edge), len(names))):
        value = edge[place]
        if value == end:
            return ("or", *arms) if arms else ("and",)
        if isinstance(value, str):  # the other end: nothing is beyond it
            break
        is_last = place == len(edge) - 1 or edge[place + 1] == end
        inclusive = f"{operator}=" if is_last and (operator == ">" or place < len(edge) - 1) else operator
        arms.append(("and", *equal, (names[place], inclusive, value)))
        if is_last:
            break
        equal.append((names[place], "=", value))
    return arms[0] if len(arms) == 1 else ("or", *arms)


def _edge(node: Any, kind: Type | None) -> Any:
    name = column_of(node)
    return name if name in {"minvalue", "maxvalue"} else _value(node, kind)


@lru_cache(maxsize=4096)
def _datum(raw: bytes, kind: Type | None) -> Any:
    """A value or end of a bound; many partitions are compared with each new one."""
    return _edge(tree(Raw(raw)), kind)


def overlap(parent: Relation, one: PartitionBoundSpec, other: PartitionBoundSpec) -> bool:
    """Two bounds surely share a value."""
    if one.is_default or other.is_default:
        return one.is_default and other.is_default
    keys = parent.partition_key
    kind = (
        parent.columns[keys[0]].type if len(keys) == 1 and keys[0] is not None and keys[0] in parent.columns else None
    )
    if parent.partition_strategy == "list":
        values = [_datum(bytes(datum), kind) for datum in one.listdatums]
        others = [_datum(bytes(datum), kind) for datum in other.listdatums]
        return any(_compare(value, another) == 0 for value in values for another in others)
    if parent.partition_strategy == "range" and len(keys) == 1:
        edges = [
            _datum(bytes(part[0]), kind)
            for bound in (one, other)
            for part in (bound.lowerdatums, bound.upperdatums)
            if part
        ]
        if len(edges) == 4:  # noqa: PLR2004 -- two edges of each
            return _below(edges[0], edges[3]) and _below(edges[2], edges[1])
    return False


def _below(lower: Any, upper: Any) -> bool:
    if lower == "minvalue" or upper == "maxvalue":
        return True
    return not isinstance(lower, str) and not isinstance(upper, str) and _compare(lower, upper) == -1


# conditions


_OPERATORS = {"=", "<", ">", "<=", ">=", "<>"}
_MIRRORED = {"=": "=", "<": ">", ">": "<", "<=": ">=", ">=": "<=", "<>": "<>"}
_NEGATED = {"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def _condition(node: Any, table: Relation) -> Condition:
    """A CHECK's expression; what proves nothing is unknown."""
    if not isinstance(node, dict) or not node:
        return _UNKNOWN
    kind, value = next(iter(node.items()))
    if kind == "BoolExpr":
        parts = [_condition(part, table) for part in value.get("args", [])]
        if value.get("boolop") == "NOT_EXPR":
            return _negated(parts[0])
        return ("and" if value.get("boolop") == "AND_EXPR" else "or", *parts)
    if kind == "NullTest":
        column = column_of(value.get("arg"))
        return (column, "not null" if value.get("nulltesttype") == "IS_NOT_NULL" else "null") if column else _UNKNOWN
    if kind == "A_Expr":
        return _comparison(value, table)
    return _UNKNOWN


def _comparison(value: Any, table: Relation) -> Condition:  # noqa: PLR0911 -- one form after the other
    operator = str(value.get("name", [{}])[-1].get("String", {}).get("sval", ""))
    left, right = value.get("lexpr"), value.get("rexpr")
    column = column_of(left)
    kind = value.get("kind")
    if column is None:
        column = column_of(right)
        if column is None or kind != "AEXPR_OP" or operator not in _OPERATORS:
            return _UNKNOWN
        return (column, _MIRRORED[operator], _value(left, _type(table, column)))
    its_type = _type(table, column)
    if kind == "AEXPR_OP" and operator in _OPERATORS:
        return (column, operator, _value(right, its_type))
    items = right.get("List", {}).get("items", []) if isinstance(right, dict) else []
    if kind == "AEXPR_IN":
        is_in = operator == "="
        return ("or" if is_in else "and", *((column, operator, _value(item, its_type)) for item in items))
    if kind == "AEXPR_BETWEEN" and len(items) == 2:  # noqa: PLR2004 -- from and to
        return ("and", (column, ">=", _value(items[0], its_type)), (column, "<=", _value(items[1], its_type)))
    if kind in {"AEXPR_OP_ANY", "AEXPR_OP_ALL"} and operator in _OPERATORS and isinstance(right, dict):
        elements = right.get("A_ArrayExpr", {}).get("elements")
        if elements:
            joined = "or" if kind == "AEXPR_OP_ANY" else "and"
            return (joined, *((column, operator, _value(item, its_type)) for item in elements))
    return _UNKNOWN


def _type(table: Relation, column: str) -> Type | None:
    return table.columns[column].type if column in table.columns else None


def _negated(condition: Condition) -> Condition:
    head = condition[0]
    if head == "unknown":
        return _UNKNOWN
    if head in {"and", "or"} and (len(condition) == 1 or isinstance(condition[1], tuple)):
        return ("or" if head == "and" else "and", *(_negated(part) for part in condition[1:]))
    if condition[1] in {"null", "not null"}:
        return (head, "not null" if condition[1] == "null" else "null")
    return (head, _NEGATED[condition[1]], condition[2])


def _is_joined(condition: Condition, word: str) -> bool:
    return condition[0] == word and (len(condition) == 1 or isinstance(condition[1], tuple))


def _implies(known: Condition, wanted: Condition) -> bool | None:
    """The one condition holds wherever the other does. Goes through both as PostgreSQL's prover does."""
    if _is_joined(wanted, "and"):
        return _all(_implies(known, part) for part in wanted[1:])
    if _is_joined(known, "or"):
        return _all(_implies(part, wanted) for part in known[1:]) if len(known) > 1 else False
    if _is_joined(wanted, "or"):
        found = _any(_implies(known, part) for part in wanted[1:])
        if found or not _is_joined(known, "and"):
            return found
        return _any((found, *(_implies(part, wanted) for part in known[1:])))
    if _is_joined(known, "and"):
        return _any(_implies(part, wanted) for part in known[1:])
    return _implies_simply(known, wanted)


def _all(answers: Iterable[bool | None]) -> bool | None:
    unknown = False
    for answer in answers:
        if answer is False:
            return False
        unknown = unknown or answer is None
    return None if unknown else True


def _any(answers: Iterable[bool | None]) -> bool | None:
    unknown = False
    for answer in answers:
        if answer:
            return True
        unknown = unknown or answer is None
    return None if unknown else False


# What `column <operator> c` says of `column <wanted> t`: which results of comparing t with c prove it.
_PROOFS: dict[str, dict[str, tuple[int, ...]]] = {
    "<": {"<": (0, 1), "<=": (0, 1), "<>": (0, 1)},
    "<=": {"<": (1,), "<=": (0, 1), "<>": (1,)},
    "=": {"<": (1,), "<=": (0, 1), "=": (0,), ">=": (-1, 0), ">": (-1,), "<>": (-1, 1)},
    ">=": {">=": (-1, 0), ">": (-1,), "<>": (-1,)},
    ">": {">=": (-1, 0), ">": (-1, 0), "<>": (-1, 0)},
    "<>": {"<>": (0,)},
}


def _implies_simply(known: Condition, wanted: Condition) -> bool | None:
    if known[0] == "unknown" or wanted[0] == "unknown" or known[0] != wanted[0]:
        return False
    if len(known) == 2 or len(wanted) == 2:  # noqa: PLR2004 -- a test for null
        return known == wanted
    results = _PROOFS[known[1]].get(wanted[1])
    if results is None:
        return False
    order = _compare(wanted[2], known[2])
    if order is None:
        if isinstance(wanted[2], _Text) and isinstance(known[2], _Text) and set(results) <= {-1, 1}:
            return wanted[2].text != known[2].text if results == (-1, 1) else None
        # two texts that differ: which comes first is the collation's, but they are not equal
        return False if results == (0,) and isinstance(wanted[2], _Text) and isinstance(known[2], _Text) else None
    return order in results


# values


class _Text:
    """A value of which only equality is known: its order is the collation's."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Text) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


_NUMBERS = {"int2", "int4", "int8", "numeric", "float4", "float8", "oid"}
_MOMENTS = {"date", "timestamp", "timestamptz"}
_TEXTS = {"text", "varchar", "bpchar", "name", "uuid"}


def _value(node: Any, kind: Type | None) -> Any:
    """A constant as a column of that type has it: Decimal, datetime, bool or _Text; None for what is no constant."""
    cast = ""
    while isinstance(node, dict) and "TypeCast" in node:
        cast = str(node["TypeCast"].get("typeName", {}).get("names", [{}])[-1].get("String", {}).get("sval", ""))
        node = node["TypeCast"].get("arg")
    constant = node.get("A_Const") if isinstance(node, dict) else None
    if constant is None or constant.get("isnull") or kind is None or kind.dimensions:
        return None
    name = kind.name
    is_same = not cast or cast == name or any({cast, name} <= family for family in (_NUMBERS, _TEXTS))
    if not is_same and (name == "timestamptz" or not {cast, name} <= _MOMENTS):
        return None  # compared by an operator that is not immutable, or of another family
    if "boolval" in constant:
        return constant["boolval"].get("boolval", False)
    if "ival" in constant:
        text = str(constant["ival"].get("ival", 0))
    elif "fval" in constant:
        text = str(constant["fval"].get("fval", ""))
    else:
        text = str(constant.get("sval", {}).get("sval", ""))
    return _parsed(text, name)


def _parsed(text: str, name: str) -> Any:
    if name in _NUMBERS:
        try:
            return Decimal(text.strip())
        except InvalidOperation:
            return None
    if name in _MOMENTS:
        try:
            return datetime.fromisoformat(text.strip())
        except ValueError:
            return None
    if name == "bool":
        return {"t": True, "true": True, "f": False, "false": False}.get(text.lower())
    return _Text(text.rstrip() if name == "bpchar" else text)


def _compare(one: Any, other: Any) -> int | None:
    """-1, 0 or 1; None where the order is not known."""
    if one is None or other is None or type(one) is not type(other):
        return None
    if isinstance(one, _Text):
        return 0 if one == other else None
    if isinstance(one, datetime) and (one.tzinfo is None) != (other.tzinfo is None):
        return None
    return int(one > other) - int(one < other)
