"""Expressions and queries over constants, as PL/pgSQL puts statements together: what they come to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from pglast.parser import ParseError, parse_sql_json

from queryfit.sql.names import quote_identifier, quote_literal

Value = str | list[str]
"""Of a variable: a text or number as text, or an array of them. A record's fields are variables `record.field`."""


class _Bool(str):
    """`true` or `false`, which become texts in several ways."""

    __slots__ = ()


LONGEST = 1_000_000
"""Characters of a text that is put together: a loop doubles one quickly."""


def value_of(expression: str, variables: Mapping[str, Value]) -> Value | None:
    """What an expression comes to, where it is put together from constants and these variables only."""
    try:
        return _evaluate(_select(f"SELECT {expression}")["targetList"][0]["ResTarget"]["val"], variables)
    except (ParseError, RecursionError, KeyError, IndexError, ValueError, UnicodeError):
        return None


def evaluate(node: Any, variables: Mapping[str, Value]) -> Value | None:
    """The same of a decoded tree."""
    try:
        return _evaluate(node, variables)
    except (RecursionError, KeyError, IndexError, ValueError, StopIteration):
        return None


def truth_of(condition: str, variables: Mapping[str, Value]) -> bool | None:
    """Whether a condition holds, where it is one over constants and these variables only."""
    try:
        return _truth(_select(f"SELECT {condition}")["targetList"][0]["ResTarget"]["val"], variables)
    except (ParseError, RecursionError, KeyError, IndexError, ValueError, UnicodeError):
        return None


def _truth(node: Any, variables: Mapping[str, Value]) -> bool | None:
    kind, value = next(iter(node.items()))
    match kind:
        case "A_Const":
            return bool(value["boolval"].get("boolval", False)) if "boolval" in value else None
        case "ColumnRef" | "ParamRef":
            found = _evaluate(node, variables)
            return found == "true" if isinstance(found, _Bool) else None
        case "BoolExpr":
            return _combined(value["boolop"], [_truth(part, variables) for part in value["args"]])
        case "NullTest":
            is_known = _evaluate(value["arg"], variables) is not None
            return value["nulltesttype"] == "IS_NOT_NULL" if is_known else None
        case "A_Expr" if value.get("kind") in {"AEXPR_OP", "AEXPR_IN"}:
            return _compared(value, variables)
    return None


def _combined(operator: str, parts: Sequence[bool | None]) -> bool | None:
    if operator == "NOT_EXPR":
        return None if parts[0] is None else not parts[0]
    decisive = operator == "OR_EXPR"
    if decisive in parts:
        return decisive
    return None if None in parts else not decisive


def _compared(node: Any, variables: Mapping[str, Value]) -> bool | None:
    """`=`, `<>`, IN and NOT IN of texts; numbers may be equal and be written in two ways."""
    operator = _last(node["name"])
    if operator not in {"=", "<>"}:
        return None
    left = _evaluate(node["lexpr"], variables)
    right = node["rexpr"]
    items = right["List"]["items"] if node["kind"] == "AEXPR_IN" else [right]
    values = [_evaluate(item, variables) for item in items]
    if not isinstance(left, str) or not all(isinstance(value, str) for value in values):
        return None
    is_equal = left in values
    if not is_equal and left[:1].isdigit() and not all(map(str.isdigit, (left, *map(str, values)))):
        return None
    if not is_equal and left.isdigit():
        is_equal = int(left) in {int(str(value)) for value in values}
    return is_equal == (operator == "=")


def rows_of(query: str, variables: Mapping[str, Value]) -> list[dict[str, str]] | None:
    """The rows of a query that lists constants: VALUES, with or without a SELECT around it, or unnest() of an array."""
    try:
        return _rows(_select(query), variables)
    except (ParseError, RecursionError, KeyError, IndexError, ValueError, UnicodeError, AttributeError, TypeError):
        return None


@lru_cache(maxsize=1024)  # a function that is called a hundred times has the same expressions each time
def _select(sql: str) -> Any:
    """The tree of a SELECT; it is shared, so nobody may change it."""
    statements = msgspec.json.decode(parse_sql_json(sql))["stmts"]
    if len(statements) != 1:
        raise ValueError(sql)
    return statements[0]["stmt"]["SelectStmt"]


_OTHER_CLAUSES = frozenset({
    "whereClause", "groupClause", "havingClause", "withClause", "limitCount", "limitOffset", "larg", "distinctClause",
    "windowClause",
})  # fmt: skip


def _rows(select: Any, variables: Mapping[str, Value]) -> list[dict[str, str]] | None:
    if not _OTHER_CLAUSES.isdisjoint(select):
        return None
    if "valuesLists" in select:
        return _values(select["valuesLists"], (), variables)
    targets = [entry["ResTarget"] for entry in select["targetList"]]
    sources = select.get("fromClause", [])
    if not sources:  # select unnest(array[…]) as name
        call = targets[0]["val"].get("FuncCall", {})
        if len(targets) != 1 or _last(call.get("funcname", [])) != "unnest":
            return None
        return _unnested(call, targets[0].get("name", "unnest"), variables)
    kind, source = next(iter(sources[0].items()))
    alias = source.get("alias", {})
    names = [_last([part]) for part in alias.get("colnames", [])]
    if len(sources) != 1:
        return None
    if kind == "RangeSubselect":
        rows = _values(source["subquery"]["SelectStmt"]["valuesLists"], names, variables)
    elif kind == "RangeFunction" and len(source["functions"]) == 1:
        call = source["functions"][0]["List"]["items"][0]["FuncCall"]
        name = (names or [alias.get("aliasname", "unnest")])[0]
        rows = _unnested(call, name, variables) if _last(call["funcname"]) == "unnest" else None
    else:
        rows = None
    return _chosen(rows, targets)


def _chosen(rows: list[dict[str, str]] | None, targets: Sequence[Any]) -> list[dict[str, str]] | None:
    """The columns of a select list that only names them."""
    if rows is None:
        return None
    wanted: dict[str, str] = {}
    for target in targets:
        fields = target["val"]["ColumnRef"]["fields"]
        if "A_Star" in fields[-1]:
            wanted |= {name: name for name in (rows[0] if rows else ())}
        else:
            wanted[target.get("name", _last(fields))] = _last(fields)
    return [{name: row[own] for name, own in wanted.items()} for row in rows]


def _values(lists: Sequence[Any], names: Sequence[str], variables: Mapping[str, Value]) -> list[dict[str, str]] | None:
    rows = []
    for entry in lists:
        values = [_evaluate(item, variables) for item in entry["List"]["items"]]
        texts = [value for value in values if isinstance(value, str)]
        if len(texts) != len(values):
            return None
        rows.append({names[at] if at < len(names) else f"column{at + 1}": value for at, value in enumerate(texts)})
    return rows


def _unnested(call: Any, name: str, variables: Mapping[str, Value]) -> list[dict[str, str]] | None:
    values = _evaluate(call["args"][0], variables) if len(call.get("args", [])) == 1 else None
    return [{name: value} for value in values] if isinstance(values, list) else None


def _last(parts: Sequence[Any]) -> str:
    return str(parts[-1].get("String", {}).get("sval", "")) if parts else ""


def _evaluate(node: Any, variables: Mapping[str, Value]) -> Value | None:  # noqa: C901, PLR0911 -- a table
    """The value of an expression over constants; None where it is not one."""
    kind, value = next(iter(node.items()))
    match kind:
        case "A_Const":
            return _constant(value)
        case "TypeCast":
            found = _evaluate(value.get("arg", {}), variables)
            bounds = value.get("typeName", {}).get("arrayBounds")
            if bounds and isinstance(found, str):
                return found[1:-1].split(",") if re.fullmatch(r"\{[\w,]+\}", found) else None
            return found
        case "A_ArrayExpr":
            items = [_evaluate(entry, variables) for entry in value.get("elements", [])]
            return [entry for entry in items if isinstance(entry, str)] if _all_texts(items) else None
        case "ColumnRef":
            parts = [part.get("String", {}).get("sval", "") for part in value.get("fields", [])]
            return variables.get(".".join(parts))
        case "ParamRef":
            return variables.get(f"${value.get('number', 0)}")
        case "A_Indirection":
            return _element(value, variables)
        case "A_Expr" if [part.get("String", {}).get("sval") for part in value.get("name", [])] == ["||"]:
            left, right = _evaluate(value["lexpr"], variables), _evaluate(value["rexpr"], variables)
            if not isinstance(left, str) or not isinstance(right, str) or len(left) + len(right) > LONGEST:
                return None
            return left + right
        case "FuncCall":
            return _call(value, variables)
    return None


def _element(node: Any, variables: Mapping[str, Value]) -> str | None:
    """One element of an array: `names[1]`."""
    values = _evaluate(node.get("arg", {}), variables)
    places = node.get("indirection", [])
    index = _evaluate(places[0].get("A_Indices", {}).get("uidx", {"": {}}), variables) if len(places) == 1 else None
    if not isinstance(values, list) or not isinstance(index, str) or not index.isdigit():
        return None
    return values[int(index) - 1] if 0 < int(index) <= len(values) else None


def _all_texts(items: Sequence[Any]) -> bool:
    return all(isinstance(entry, str) for entry in items)


def _constant(value: Any) -> str | None:
    if "sval" in value:
        return str(value["sval"].get("sval", ""))
    if "ival" in value:
        return str(value["ival"].get("ival", 0))
    if "fval" in value:
        return str(value["fval"].get("fval", "0"))
    if "boolval" in value:
        return _Bool("true" if value["boolval"].get("boolval", False) else "false")
    return None


_LENGTHS = (["array_length"], ["array_upper"], ["cardinality"])


def _call(call: Any, variables: Mapping[str, Value]) -> str | None:  # noqa: PLR0911 -- a table
    name = [part.get("String", {}).get("sval", "") for part in call.get("funcname", [])][-1:]
    arguments = [_evaluate(entry, variables) for entry in call.get("args", [])]
    if name == ["current_database"]:
        return "current_database"  # a statement about the database it runs in, whatever that is called
    if name in _LENGTHS and arguments and isinstance(arguments[0], list):
        return str(len(arguments[0]))
    if not arguments or not _all_texts(arguments):
        return None
    if any(isinstance(argument, _Bool) for argument in arguments):
        return None
    texts = [str(argument) for argument in arguments]
    match name:
        case ["format"]:
            return _format(texts[0], texts[1:])
        case ["quote_ident"]:
            return quote_identifier(texts[0])
        case ["quote_literal"]:
            return quote_literal(texts[0])
        case ["concat"]:
            return "".join(texts)
    return None


_PLACE = re.compile(r"%(?:(\d+)\$)?(.)", re.DOTALL)


def _format(template: str, arguments: Sequence[str]) -> str | None:
    """What format() makes of texts; None for widths, and where arguments are missing."""
    at = 0
    parts, end = [], 0
    for match in _PLACE.finditer(template):
        parts.append(template[end : match.start()])
        end = match.end()
        if match[2] == "%" and not match[1]:
            parts.append("%")
            continue
        at = int(match[1]) if match[1] and len(match[1]) < 5 else at + 1  # noqa: PLR2004 -- a place, not a number
        if not 0 < at <= len(arguments) or match[2] not in "sIL":
            return None
        argument = arguments[at - 1]
        if match[2] == "I":
            argument = quote_identifier(argument)
        elif match[2] == "L":
            argument = quote_literal(argument)
        if sum(map(len, parts)) + len(argument) > LONGEST:
            return None
        parts.append(argument)
    return "".join([*parts, template[end:]])
