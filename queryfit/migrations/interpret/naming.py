"""The names that PostgreSQL makes up for constraints and indexes, and the columns that an expression reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from queryfit.migrations.model import Database, Name
from queryfit.sql.ddl_parts import NOTHING, IndexElem, tree

NAME_BYTES = 63
"""The longest name; PostgreSQL cuts longer ones."""


def made_up(first: str, second: str, label: str) -> str:
    """`first_second_label`, cut to the length of a name: the longer of the first two gives way, the label never."""
    if second and label:
        whole = f"{first}_{second}_{label}"
    else:
        whole = "_".join(part for part in (first, second, label) if part)
    if len(whole) <= NAME_BYTES and (whole.isascii() or len(whole.encode()) <= NAME_BYTES):
        return whole
    one, two = first.encode(), second.encode()
    room = NAME_BYTES - (len(label.encode()) + 1 if label else 0) - (1 if second else 0)
    lengths = [len(one), len(two)]
    while sum(lengths) > room:
        lengths[0 if lengths[0] > lengths[1] else 1] -= 1
    parts = (clip(one, lengths[0]), clip(two, lengths[1]), label)
    return "_".join(part for part in parts if part)


def clip(name: bytes, length: int = NAME_BYTES) -> str:
    """The first whole characters of a name that fit into that many bytes."""
    return name[:length].decode(errors="ignore")


def _numbered(first: str, second: str, label: str, is_taken: Callable[[str], bool]) -> str:
    name = made_up(first, second, label)
    number = 0
    while is_taken(name):
        number += 1
        name = made_up(first, second, f"{label}{number}")
    return name


def is_gone(database: Database, name: Name) -> bool:
    """Nothing has that name for sure: it was dropped or renamed, or everything is known and it is not there."""
    return not database.exists(name) and (database.is_complete or name in database.gone)


def relation_name(
    database: Database, schema: str, first: str, second: str, label: str, *, is_constraint: bool = False
) -> Name:
    """A name that no relation of the schema has, nor (for an index that is a constraint) a constraint."""
    first_choice = Name(schema, made_up(first, second, label))
    if not database.exists(first_choice) and not (is_constraint and database.constraint_exists(first_choice)):
        return first_choice

    def is_taken(name: str) -> bool:
        place = Name(schema, name)
        return database.exists(place) or (is_constraint and database.constraint_exists(place))

    return Name(schema, _numbered(first, second, label, is_taken))


def constraint_name(  # noqa: PLR0917 -- parts of one name
    database: Database, schema: str, first: str, second: str, label: str, others: Collection[str] = ()
) -> str:
    """A name that no constraint of the schema has, nor one of `others`."""
    name = made_up(first, second, label)
    if name not in others and (schema, name) not in database.constraint_places:
        return name
    return _numbered(
        first, second, label, lambda name: name in others or database.constraint_exists(Name(schema, name))
    )


def joined(columns: Sequence[str]) -> str:
    """Column names as they go into a made-up name; PostgreSQL stops to add where a name is full."""
    text = ""
    for column in columns:
        text = f"{text}_{column}" if text else column
        if len(text) > NAME_BYTES and len(text.encode()) > NAME_BYTES:
            break
    return text


_COLUMN = re.compile(rb'"ColumnRef":\{"fields":\[(.*?)\](?:,"location":\d+)?\}')
_FIELD = re.compile(rb'\{"String":\{"sval":("(?:[^"\\]|\\.)*")\}\}')


def columns_of(expression: Raw) -> list[str]:
    """The columns that an expression reads, each once, in their order. A whole row (`t.*`) counts as none."""
    if expression is NOTHING:
        return []
    found: dict[str, None] = {}
    for reference in _COLUMN.findall(bytes(expression)):
        fields = _FIELD.findall(reference)
        if fields and b'"A_Star"' not in reference:
            found[msgspec.json.decode(fields[-1], type=str)] = None
    return list(found)


def with_column_renamed(expression: Raw, old: str, new: str) -> Raw:
    """An expression that reads the column under its new name."""
    if expression is NOTHING:
        return expression
    before = b'"sval":' + msgspec.json.encode(old) + b"}}"
    after = b'"sval":' + msgspec.json.encode(new) + b"}}"
    text = bytes(expression)
    if before not in text:
        return expression
    return Raw(_COLUMN.sub(lambda found: found[0].replace(before, after), text))


def index_columns(elements: Sequence[IndexElem]) -> list[str]:
    """The names of an index's own columns: an expression's is what it computes, numbered where it comes twice."""
    names: list[str] = []
    for element in elements:
        name = element.name or name_of_value(tree(element.expr)) or "expr"
        original, number = name, 0
        while name in names:
            number += 1
            digits = str(number)
            name = clip(original.encode(), NAME_BYTES - len(digits)) + digits
        names.append(name)
    return names


_FIXED = {
    "CoalesceExpr": "coalesce",
    "A_ArrayExpr": "array",
    "RowExpr": "row",
    "XmlSerialize": "xmlserialize",
    "GroupingFunc": "grouping",
    "JsonObjectConstructor": "json_object",
    "JsonArrayConstructor": "json_array",
    "JsonParseExpr": "json",
    "JsonScalarExpr": "json_scalar",
    "JsonSerializeExpr": "json_serialize",
    "JsonObjectAgg": "json_objectagg",
    "JsonArrayAgg": "json_arrayagg",
    "MergeSupportFunc": "merge_action",
}
_XML = {
    "IS_XMLCONCAT": "xmlconcat", "IS_XMLELEMENT": "xmlelement", "IS_XMLFOREST": "xmlforest", "IS_XMLPARSE": "xmlparse",
    "IS_XMLPI": "xmlpi", "IS_XMLROOT": "xmlroot", "IS_XMLSERIALIZE": "xmlserialize",
}  # fmt: skip
_JSON = {"JSON_EXISTS_OP": "json_exists", "JSON_QUERY_OP": "json_query", "JSON_VALUE_OP": "json_value"}


def name_of_value(node: Any) -> str:
    """What PostgreSQL calls an expression as a column; empty where it has no name for it."""
    return _figured(node)[0]


def _figured(node: Any) -> tuple[str, int]:  # noqa: C901, PLR0911 -- a table
    """Name and strength (2: a real name, 1: only of a type or keyword, 0: none)."""
    if not isinstance(node, dict) or not node:
        return "", 0
    kind, value = next(iter(node.items()))
    if kind in _FIXED:
        return _FIXED[kind], 2
    if kind == "ColumnRef":
        return _last_string(value.get("fields", [])), 2
    if kind == "FuncCall":
        return _last_string(value.get("funcname", [])), 2
    if kind == "CollateClause":
        return _figured(value.get("arg"))
    if kind == "TypeCast":
        inner = _figured(value.get("arg"))
        if inner[1] > 1:
            return inner
        name = _last_string(value.get("typeName", {}).get("names", []))
        return (name, 1) if name else inner
    if kind == "A_Indirection":
        name = _last_string(value.get("indirection", []))
        return (name, 2) if name else _figured(value.get("arg"))
    if kind == "A_Expr" and value.get("kind") == "AEXPR_NULLIF":
        return "nullif", 2
    if kind == "CaseExpr":
        inner = _figured(value.get("defresult"))
        return inner if inner[1] > 1 else ("case", 1)
    if kind == "MinMaxExpr":
        return "least" if value.get("op") == "IS_LEAST" else "greatest", 2
    if kind == "SubLink":
        return _of_subquery(value)
    return _of_operation(kind, value.get("op", ""))


def _of_operation(kind: str, operation: str) -> tuple[str, int]:
    """What is one function of several by its `op`."""
    name = ""
    if kind == "SQLValueFunction":  # with a precision it has `_N` at its end
        name = operation.removeprefix("SVFOP_").removesuffix("_N").lower()
    elif kind == "XmlExpr":
        name = _XML.get(operation, "")
    elif kind == "JsonFuncExpr":
        name = _JSON.get(operation, "")
    return name, 2 if name else 0


def _of_subquery(link: Any) -> tuple[str, int]:
    match link.get("subLinkType"):
        case "EXISTS_SUBLINK":
            return "exists", 2
        case "ARRAY_SUBLINK":
            return "array", 2
        case "EXPR_SUBLINK":
            select = link.get("subselect", {}).get("SelectStmt", {})
            while "larg" in select:
                select = select["larg"]
            targets = select.get("targetList", [])
            target = targets[0].get("ResTarget", {}) if targets else {}
            return (target["name"], 2) if "name" in target else _figured(target.get("val"))
    return "", 0


def _last_string(parts: Any) -> str:
    for part in reversed(parts):
        if "String" in part:
            return str(part["String"].get("sval", ""))
    return ""
