"""Values that a statement writes out, against the columns that they are for: what PostgreSQL refuses for certain."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from queryfit.migrations.coercion import base_of, cast, written_type
from queryfit.migrations.context import Context
from queryfit.migrations.interpret import literals
from queryfit.migrations.model import Name, Relation, Type
from queryfit.migrations.type_names import type_text

_LONGEST_SHOWN = 200


def refuse_value(context: Context, relation: Relation, column: str, value: Any) -> None:
    """Refuse a constant, plain or under a cast, that cannot become a value of the column.

    `value` is a decoded expression; whatever else it may be is let through.
    """
    found = relation.columns.get(column)
    if found is None or found.type is None:
        return
    constant = value.get("A_Const")
    if constant is not None:
        fault = fault_of_constant(context, column, found.type, constant, is_assigned=True)
    elif (written := value.get("TypeCast")) is not None:
        fault = _fault_of_cast(context, column, found.type, written)
    else:
        return
    if fault is not None:
        context.refuse(fault)


def fault_of_constant(
    context: Context, column: str, kind: Type, constant: dict[str, Any], *, is_assigned: bool
) -> str | None:
    """Why a constant is no value of a type, in the server's words.

    `is_assigned`: lengths and ranges count too, as when the value goes into a row.
    """
    if "sval" in constant:
        return _fault_of_text(context, kind, constant["sval"].get("sval", ""), is_assigned=is_assigned)
    if not is_assigned or context.database.has_casts:
        return None
    number, own = _number(constant)
    if own is None:
        return None
    if cast(context, own, kind, is_explicit=False).verdict == "refused":
        return _mismatch(context, column, kind, own)
    base = base_of(context.database, kind)[0]
    if number is None or base is None or base.dimensions or base.schema != "pg_catalog":
        return None
    return literals.number_fault(base.name, base.typmods, number)


def _mismatch(context: Context, column: str, kind: Type, own: Type) -> str:
    words = [type_text(_unqualified(context, entry)) for entry in (kind, own)]
    return f'column "{column}" is of type {words[0]} but expression is of type {words[1]}'


def _unqualified(context: Context, kind: Type) -> Type:
    """The server leaves out lengths, and a schema that is on the search path."""
    schema = "" if kind.schema in context.settings.search_path else kind.schema
    return Type(schema, kind.name, (), kind.dimensions)


_LONGEST_INT8 = 18  # digits that surely fit


def _number(constant: dict[str, Any]) -> tuple[str | None, Type | None]:
    """The digits of a constant that is a number, and the type that it has of itself; of other constants none."""
    if "ival" in constant:
        return str(constant["ival"].get("ival", 0)), Type("pg_catalog", "int4")
    if "fval" in constant:
        digits = constant["fval"].get("fval", "")
        is_integer = digits.lstrip("-").isdigit() and len(digits.lstrip("-")) <= _LONGEST_INT8
        return digits, Type("pg_catalog", "int8" if is_integer else "numeric")
    return None, Type("pg_catalog", "bool") if "boolval" in constant else None


def _fault_of_text(context: Context, kind: Type, text: str, *, is_assigned: bool) -> str | None:
    database = context.database
    base = base_of(database, kind)[0]
    if base is None or "${" in text or "{{" in text:  # a template, whoever fills it in
        return None
    if base.dimensions:
        # of a type that nobody here made, the brackets may be of a domain over something else
        return literals.array_fault(text) if base.schema == "pg_catalog" else None
    if base.schema != "pg_catalog":
        enum = database.enums.get(Name(base.schema, base.name))
        if enum is None or not enum.are_values_known or text in enum.values:
            return None
        return f'invalid input value for enum {type_text(_unqualified(context, base))}: "{text}"'
    if is_assigned and base.typmods and base.name in literals.HAS_LENGTH:
        return literals.length_fault(base.name, base.typmods, text)
    fault = literals.text_fault(base.name, text, context.version)
    if fault is None and is_assigned and base.typmods and base.name == "numeric":
        fault = literals.number_fault(base.name, base.typmods, text)
    return fault if fault is None or len(fault) <= _LONGEST_SHOWN else fault[:_LONGEST_SHOWN] + " …"


def _fault_of_cast(context: Context, column: str, kind: Type, node: dict[str, Any]) -> str | None:
    """Of `'…'::type`: the text has to be a value of that type, and the type has to become that of the column."""
    own = written_type(context, node.get("typeName", {}))
    if own is None:
        return None
    constant = node.get("arg", {}).get("A_Const", {})
    if "sval" in constant:
        fault = _fault_of_text(context, own, constant["sval"].get("sval", ""), is_assigned=False)
        if fault is not None:
            return fault
    if context.database.has_casts or cast(context, own, kind, is_explicit=False).verdict != "refused":
        return None
    return _mismatch(context, column, kind, own)


_EQUALS = frozenset({"=", "<>"})


def refuse_compared(context: Context, relation: Relation, names: Iterable[str], where: Any) -> None:
    """Refuse `column = 'text'` and `column in ('text', …)` where the text is no value of the column's type.

    `names` are what the relation is called; of the condition (decoded), only what stands outside subqueries counts.
    """
    called = frozenset(names)
    pending = [where]
    while pending:
        node = pending.pop()
        if (combined := node.get("BoolExpr")) is not None:
            pending += combined.get("args", [])
        elif (compared := node.get("A_Expr")) is not None:
            _refuse_comparison(context, relation, called, compared)


def _refuse_comparison(context: Context, relation: Relation, names: frozenset[str], node: dict[str, Any]) -> None:
    operator = [part.get("String", {}).get("sval") for part in node.get("name", [])]
    if len(operator) != 1 or operator[0] not in _EQUALS:
        return
    left, right = node.get("lexpr", {}), node.get("rexpr", {})
    if node.get("kind") == "AEXPR_IN":
        values = right.get("List", {}).get("items", [])
        if any("sval" not in value.get("A_Const", {}) for value in values):
            return  # they are brought to a common type first
    elif node.get("kind") == "AEXPR_OP":
        values = [right]
    else:
        return
    fields = [part.get("String", {}).get("sval") for part in left.get("ColumnRef", {}).get("fields", [])]
    if not fields or None in fields or len(fields) > 2 or (len(fields) > 1 and fields[0] not in names):  # noqa: PLR2004 -- table and column
        return
    column = relation.columns.get(fields[-1])
    if column is None or column.type is None or not _is_comparable(context, column.type):
        return
    for value in values:
        constant = value.get("A_Const", {})
        fault = (
            fault_of_constant(context, column.name, column.type, constant, is_assigned=False)
            if "sval" in constant
            else None
        )
        if fault is not None:
            context.refuse(fault)
            return


_COMPARABLE = frozenset({
    "int2", "int4", "int8", "numeric", "float4", "float8", "bool", "uuid", "date", "timestamp", "timestamptz",
})  # fmt: skip


def _is_comparable(context: Context, kind: Type) -> bool:
    """A type of which `=` takes the other side for a value of the same type."""
    if kind.dimensions:
        return False
    if kind.schema == "pg_catalog":
        return kind.name in _COMPARABLE
    return Name(kind.schema, kind.name) in context.database.enums
