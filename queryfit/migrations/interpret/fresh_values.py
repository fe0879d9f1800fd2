"""Values that a transaction adds to an enum which was there before: PostgreSQL refuses to use them until it commits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from queryfit.migrations.context import Context
from queryfit.migrations.model import Name, Relation

_COMPARED = frozenset({"AEXPR_OP", "AEXPR_IN", "AEXPR_OP_ANY", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT", None})


class _Use(NamedTuple):
    """A text constant, and the column or the type that it becomes a value of."""

    value: str
    column: str | None
    type_name: tuple[str, ...] = ()


def refuse_fresh_values(context: Context, node: Any) -> None:
    """Refuse a statement that uses such a value: in a cast, or for a column of the enum.

    A column of which nothing is known counts as one of the enum: the value was added in order to be used.
    """
    fresh: dict[str, list[Name]] = {}
    for enum in context.database.enums.values():
        for value, transaction in enum.added.items():
            if transaction == context.transaction:
                fresh.setdefault(value, []).append(enum.name)
    if not fresh:
        return
    tree = msgspec.json.decode(msgspec.json.encode(node))
    relations: list[Relation] | None = None
    for use in _uses(context, tree):
        for name in fresh.get(use.value, ()):
            if use.type_name:
                is_used = context.qualify(use.type_name, context.database.enums) == name
            else:
                if relations is None:
                    relations = list(_relations(context, tree))
                is_used = use.column is None or _may_be(relations, use.column, name)
            if is_used:
                context.refuse(f'unsafe use of new value "{use.value}" of enum type {name.text}')
                return


def _may_be(relations: Iterable[Relation], column: str, enum: Name) -> bool:
    """The column is of the enum, or nothing is known of it."""
    is_open = False
    for relation in relations:
        found = relation.columns.get(column)
        if found is None or found.type is None:
            is_open = is_open or not relation.are_columns_known or found is not None
        else:
            return found.type.name == enum.name and found.type.schema in {enum.schema, ""}
    return is_open


def _relations(context: Context, tree: Any) -> Iterator[Relation]:
    for node in _nodes(tree):
        if node.get("relname"):
            name = (
                Name(node["schemaname"], node["relname"])
                if node.get("schemaname")
                else context.unqualified(node["relname"])
            )
            relation = context.database.relations.get(name)
            yield relation or Relation(name, is_known=False, are_columns_known=False)


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    pending = [node]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            yield node
            pending += node.values()


def _uses(  # noqa: C901 -- the places where a constant meets a column
    context: Context, tree: Any
) -> Iterator[_Use]:
    """Text constants with what they become."""
    if isinstance(tree, dict) and "selectStmt" in tree and "relation" in tree:
        yield from _inserted(context, tree)
    for node in _nodes(tree):
        if cast := node.get("TypeCast"):
            names = tuple(_texts(cast.get("typeName", {}).get("names", [])))
            yield from (_Use(value, None, names) for value in _constants(cast.get("arg")))
        elif compared := node.get("A_Expr"):
            if compared.get("kind") in _COMPARED:
                yield from _compared(compared.get("lexpr"), compared.get("rexpr"))
                yield from _compared(compared.get("rexpr"), compared.get("lexpr"))
        elif target := node.get("ResTarget"):
            yield from (
                _Use(value, target.get("name")) for value in _constants(target.get("val")) if target.get("name")
            )
        elif node.get("subtype") == "AT_ColumnDefault":
            yield from (_Use(value, node.get("name")) for value in _constants(node.get("def")))
        elif node.get("colname") and node.get("typeName"):
            names = tuple(_texts(node["typeName"].get("names") or []))
            for entry in node.get("constraints") or []:
                constraint = entry.get("Constraint") or {}
                if constraint.get("contype") == "CONSTR_DEFAULT":
                    yield from (_Use(value, None, names) for value in _constants(constraint.get("raw_expr")))


def _inserted(context: Context, statement: dict[str, Any]) -> Iterator[_Use]:
    """The constants of VALUES, by the columns that INSERT lists, or by those of the table in their order."""
    columns = [(entry.get("ResTarget") or {}).get("name") or "" for entry in statement.get("cols") or []]
    if not columns:
        columns = [column for relation in _relations(context, statement["relation"]) for column in relation.columns]
    query = (statement.get("selectStmt") or {}).get("SelectStmt") or {}
    rows = [(entry.get("List") or {}).get("items", []) for entry in query.get("valuesLists") or []]
    if query.get("targetList"):
        rows.append([(entry.get("ResTarget") or {}).get("val") for entry in query["targetList"]])
    for row in rows:
        for place, value in enumerate(row):
            for constant in _constants(value):
                yield _Use(constant, columns[place] if place < len(columns) else "")


def _compared(column: Any, value: Any) -> Iterator[_Use]:
    reference = column.get("ColumnRef") if isinstance(column, dict) else None
    if reference:
        names = list(_texts(reference.get("fields", [])))
        if names:
            yield from (_Use(constant, names[-1]) for constant in _constants(value))


def _constants(node: Any) -> Iterator[str]:
    """The text of a constant, or those of a list of constants."""
    if not isinstance(node, dict):
        return
    constant = node.get("A_Const")
    if constant and constant.get("sval") is not None:
        yield constant["sval"].get("sval", "")
        return
    if cast := node.get("TypeCast"):
        yield from _constants(cast.get("arg"))
        return
    items = node.get("List") or node.get("A_ArrayExpr") or {}
    for item in items.get("items") or items.get("elements") or []:
        yield from _constants(item)


def _texts(parts: Iterable[Any]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, dict) and part.get("String"):
            yield part["String"].get("sval", "")
