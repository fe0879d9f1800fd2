"""DROP of everything: indexes and what belongs to a table here, the rest in modules of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from queryfit.migrations.context import Context
from queryfit.migrations.interpret import constraint_state, indexes
from queryfit.migrations.interpret.dropped_objects import (
    drop_extension,
    drop_function,
    drop_other,
    drop_schemas,
    drop_types,
)
from queryfit.migrations.interpret.dropped_relations import RELATIONS, drop_listed_relations, name_in
from queryfit.migrations.model import Index, Name, Relation
from queryfit.migrations.steps import ACCESS_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE, Action
from queryfit.sql.ddl import DropStmt
from queryfit.sql.ddl_parts import NOTHING, Node, names

_FUNCTIONS = {"OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE", "OBJECT_AGGREGATE"}


def drop(context: Context, statement: DropStmt) -> None:  # noqa: C901 -- a table
    """DROP of what the statement lists."""
    kind = statement.removeType
    if kind in RELATIONS:
        drop_listed_relations(context, statement, kind)
    elif kind == "OBJECT_INDEX":
        _drop_indexes(context, statement)
    elif kind in _PARTS:
        for entry in statement.objects:
            _drop_part(context, statement, entry, kind)
    elif kind in {"OBJECT_TYPE", "OBJECT_DOMAIN"}:
        drop_types(context, statement)
    elif kind == "OBJECT_SCHEMA":
        drop_schemas(context, statement)
    elif kind in _FUNCTIONS:
        for entry in statement.objects:
            drop_function(context, statement, entry)
    elif kind == "OBJECT_EXTENSION":
        for entry in statement.objects:
            drop_extension(context, statement, entry.text)
    else:
        for entry in statement.objects:
            drop_other(context, statement, entry)


def _drop_indexes(context: Context, statement: DropStmt) -> None:
    database = context.database
    is_cascade = statement.behavior == "DROP_CASCADE"
    level = SHARE_UPDATE_EXCLUSIVE if statement.concurrent else ACCESS_EXCLUSIVE
    if statement.concurrent:
        context.step.is_concurrent = True
        context.not_in_block("DROP INDEX CONCURRENTLY")
        if len(statement.objects) > 1:
            context.refuse("DROP INDEX CONCURRENTLY does not support dropping multiple objects")
        if is_cascade:
            context.refuse("DROP INDEX CONCURRENTLY does not support CASCADE")
    listed = [name for entry in statement.objects if (name := name_in(context, entry)) is not None]
    for name in listed:
        if context.is_absent(name, missing_ok=statement.missing_ok):
            context.thing("drop index", None, "table", object_name=name.text, is_present=False,
                          is_concurrent=statement.concurrent)  # fmt: skip
            if not statement.missing_ok:
                context.refuse(f'index "{name.name}" does not exist')
            continue
        index = database.indexes.get(name)
        if name in database.relations:
            context.refuse(f'"{name.name}" is not an index')
            continue
        relation = database.relations.get(index.relation) if index is not None else None
        effect = context.effect(
            "drop index",
            relation,
            level,
            object_name=name.text,
            is_concurrent=statement.concurrent,
            is_cascade=is_cascade,
            is_unique=index.is_unique if index is not None else None,
            columns=", ".join(column or "expression" for column in index.columns) if index is not None else None,
        )
        if relation is None or index is None:
            effect.is_known = False
            database.gone.add(name)
            continue
        if statement.concurrent:
            indexes.on_index(context, name, "also lock", ACCESS_EXCLUSIVE)
        _drop_index(context, statement, index, relation, level)


def _drop_index(context: Context, statement: DropStmt, index: Index, relation: Relation, level: int) -> None:
    database = context.database
    name = index.name.name
    is_cascade = statement.behavior == "DROP_CASCADE"
    if index.constraint is not None and index.constraint in relation.constraints:
        context.refuse(
            f"cannot drop index {name} because constraint {index.constraint} on table {relation.name.name} requires it"
        )
    elif index.parent is not None and index.parent in database.indexes:
        context.refuse(f"cannot drop index {name} because index {index.parent.name} requires it")
    elif relation.kind == "partitioned table" and statement.concurrent and relation.persistence != "temporary":
        context.refuse(f'cannot drop partitioned index "{name}" concurrently')
    keys = _keys_on(context, index, relation)
    if keys and not is_cascade:
        context.refuse(f"cannot drop index {name} because other objects depend on it: constraint {keys[0][1].name}")
    if context.step.refusal is not None:
        return
    for other, key in keys:
        context.effect("also lock", other, ACCESS_EXCLUSIVE, object_name=key.name)
        constraint_state.drop_state(context, other, key)
    children = list(database.descendants(relation)) if relation.kind == "partitioned table" else []
    parents = {index.name}
    for child in children:
        context.effect("also lock", child, level)
        for own in database.indexes_of(child):
            if own.parent in parents:
                parents.add(own.name)
                database.forget_index(own.name)
    database.forget_index(index.name)


def _keys_on(context: Context, index: Index, relation: Relation) -> list[Any]:
    """Foreign keys that need a unique index which is no constraint's."""
    if not index.is_unique or index.constraint is not None or index.predicate is not NOTHING:
        return []
    return constraint_state.keys_on(context, relation, index.name, index.columns)


_PARTS: dict[str, tuple[Action, str]] = {
    "OBJECT_TRIGGER": ("drop trigger", "trigger"),
    "OBJECT_POLICY": ("drop policy", "policy"),
    "OBJECT_RULE": ("drop rule", "rule"),
}


def _drop_part(context: Context, statement: DropStmt, entry: Node, kind: str) -> None:
    """A trigger, policy or rule: the name behind the table's."""
    action, word = _PARTS[kind]
    parts = names(entry.List.items) if entry.List is not None else ()
    if len(parts) < 2:  # noqa: PLR2004 -- the table and what belongs to it
        return
    table = Name(parts[-3], parts[-2]) if len(parts) > 2 else context.unqualified(parts[-2])  # noqa: PLR2004
    database = context.database
    is_cascade = statement.behavior == "DROP_CASCADE"
    if context.is_absent(table, missing_ok=statement.missing_ok):
        context.thing(action, table.text, "table", object_name=parts[-1], is_present=False)
        if not statement.missing_ok:
            context.refuse(f'relation "{table.name}" does not exist')
        return
    relation = database.relations.get(table)
    if relation is None:
        relation = Relation(table, is_known=False, are_columns_known=False)
        database.put(relation)
    parts_of = {"OBJECT_TRIGGER": relation.triggers, "OBJECT_POLICY": relation.policies, "OBJECT_RULE": relation.rules}
    held = parts_of.get(kind)
    is_missing = held is not None and parts[-1] not in held and relation.are_columns_known and relation.is_known
    if is_missing and not statement.missing_ok:
        context.refuse(f'{word} "{parts[-1]}" for table "{table.name}" does not exist')
    context.effect(
        action, relation, 0 if is_missing else ACCESS_EXCLUSIVE, object_name=parts[-1], is_present=not is_missing,
        is_cascade=is_cascade,
    )  # fmt: skip
    if held is None or is_missing:
        return
    held.discard(parts[-1])
    if kind == "OBJECT_TRIGGER":
        for child in database.descendants(relation):
            if child.is_partition and parts[-1] in child.triggers:
                context.effect("also lock", child, ACCESS_EXCLUSIVE, object_name=parts[-1])
                child.triggers.discard(parts[-1])


HANDLERS: dict[str, Callable[[Context, Any], None]] = {"DropStmt": drop}
