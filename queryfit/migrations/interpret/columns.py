"""ALTER TABLE actions on columns, other than adding one and changing its type."""

from __future__ import annotations

from collections.abc import Callable

from queryfit.migrations.context import Context
from queryfit.migrations.interpret import constraints, naming, proofs, texts
from queryfit.migrations.interpret.added_columns import add_column, has_rows, typed_tables
from queryfit.migrations.interpret.column_definitions import default_of, lock_sequences, refuse_type_of_default
from queryfit.migrations.interpret.column_types import alter_type, foreign_keys, holder
from queryfit.migrations.interpret.constraint_state import keeps_column
from queryfit.migrations.interpret.dropped_relations import forget_column
from queryfit.migrations.interpret.generated_columns import (
    add_identity,
    below,
    drop_expression,
    drop_identity,
    is_inherited,
    is_missing,
    is_only,
    set_expression,
    set_identity,
)
from queryfit.migrations.model import Column, Relation
from queryfit.migrations.steps import ACCESS_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE, Action
from queryfit.sql.ddl import AlterTableStmt
from queryfit.sql.ddl_parts import NOTHING, AlterTableCmd, kept

Handler = Callable[[Context, Relation, AlterTableCmd, AlterTableStmt], None]

GENERATED_COLUMNS_ARE_HELD = 15
"""Since then a column that a generated one is computed from is dropped only with CASCADE; before, both went."""


# dropping


def drop_column(  # noqa: C901 -- one thing after the other
    context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt
) -> None:
    """DROP COLUMN: quick, but the values are gone; indexes and constraints over the column go with it."""
    name = action.name
    if statement.objtype == "OBJECT_TYPE":
        _drop_attribute(context, relation, action)
        return
    is_cascade = action.behavior == "DROP_CASCADE"
    if name not in relation.columns and relation.are_columns_known:
        context.effect("drop column", relation, ACCESS_EXCLUSIVE, column_name=name, is_cascade=is_cascade,
                       is_present=False)  # fmt: skip
        if not action.missing_ok:
            context.refuse(f'column "{name}" of relation "{relation.name.name}" does not exist')
        return
    column = relation.columns.get(name)
    context.effect("drop column", relation, ACCESS_EXCLUSIVE, column_name=name, is_cascade=is_cascade, is_lossy=True,
                   is_breaking=True, is_reversible=False)  # fmt: skip
    _refuse_drop(context, relation, name, column, is_cascade=is_cascade, alone=is_only(statement))
    if context.step.refusal is not None:
        return
    for table in (relation, *below(context, relation, statement)):
        for other, key, is_child in list(foreign_keys(context.database, table, name)):
            if other is not table:
                context.effect("also lock", other, ACCESS_EXCLUSIVE, object_name=key.name)
            if is_child:
                constraints.drop_state(context, other, key)
    lock_sequences(context, relation, name, ACCESS_EXCLUSIVE)
    children = below(context, relation, statement)
    for table in (relation, *children):
        _drop_views(context, table, name)
    _forget(context, relation, name)
    for child in children or [context.database.relations[place] for place in sorted(relation.children)]:
        context.effect("also lock", child, ACCESS_EXCLUSIVE, column_name=name)
        own = child.columns.get(name)
        if own is not None and own.is_inherited and children and not keeps_column(context, child, name):
            _forget(context, child, name)
        elif own is not None and not children:  # it becomes the child's own
            own.is_own = True
            keeps_column(context, child, name)


def _forget(context: Context, relation: Relation, name: str) -> None:
    while (held := holder(relation, name)) is not None:  # what CASCADE takes along
        (relation.triggers if held[0] == "trigger" else relation.policies).discard(held[1])
    for generated in _computed_from(relation, name):
        forget_column(context, relation, generated)
    forget_column(context, relation, name)


def _refuse_drop(
    context: Context, relation: Relation, name: str, column: Column | None, *, is_cascade: bool, alone: bool
) -> None:
    table = relation.name.name
    held = f"cannot drop column {name} of table {table} because other objects depend on it"
    if relation.kind in {"view", "materialized view", "sequence", "index"} and relation.is_known:
        context.refuse(f'ALTER action DROP COLUMN cannot be performed on relation "{table}"')
    elif relation.of_type is not None:
        context.refuse("cannot drop column from typed table")
    elif relation.is_partition or (
        column is not None and column.is_inherited and is_inherited(context, relation, name)
    ):
        context.refuse(f'cannot drop inherited column "{name}"')
    elif name in relation.partition_key or any(
        name in child.partition_key for child in context.database.descendants(relation)
    ):
        context.refuse(f'cannot drop column "{name}" because it is part of the partition key of relation "{table}"')
    elif alone and relation.kind == "partitioned table" and relation.children:
        context.refuse("cannot drop column from only the partitioned table when partitions exist")
    elif not is_cascade:
        tables = [relation] if alone else [relation, *context.database.descendants(relation)]
        holder = next(filter(None, (_holder(context, own, name) for own in tables)), None)
        if holder is not None:
            context.refuse(f"{held}: {holder}")


def _holder(context: Context, relation: Relation, name: str) -> str | None:
    """What needs the column, so that only CASCADE drops it."""
    for view in context.database.views_on(relation.name, name):
        return f"{view.kind} {view.text}"
    if context.version >= GENERATED_COLUMNS_ARE_HELD and _computed_from(relation, name):
        return "a generated column"
    held = holder(relation, name)
    if held is not None:
        return f"{held[0]} {held[1]}"
    for other, key in context.database.referencing(relation.name):
        if name in key.referenced_columns and (other is not relation or name not in key.columns):
            return f"foreign key {key.name} of {other.text}"
    return None


def _computed_from(relation: Relation, name: str) -> list[str]:
    return [
        column.name
        for column in relation.columns.values()
        if column.generated and column.name != name and name in naming.columns_of(column.generation_expression)
    ]


def _drop_views(context: Context, relation: Relation, name: str) -> None:
    """CASCADE takes the views over the column along, and the views over those."""
    pending = list(context.database.views_on(relation.name, name))
    while pending:
        view = pending.pop()
        if view.name not in context.database.relations:
            continue
        pending += context.database.views_on(view.name)
        context.effect("also lock", view, ACCESS_EXCLUSIVE, is_cascade=True, is_breaking=True)
        context.database.forget(view.name)


def _drop_attribute(context: Context, relation: Relation, action: AlterTableCmd) -> None:
    """ALTER TYPE … DROP ATTRIBUTE."""
    name = action.name
    is_cascade = action.behavior == "DROP_CASCADE"
    is_present = name in relation.columns or not relation.are_columns_known
    context.effect("alter type attribute", relation, ACCESS_EXCLUSIVE, relation_kind="type", column_name=name,
                   definition="drop attribute", is_cascade=is_cascade, is_present=is_present, is_breaking=is_present,
                   is_lossy=is_present, is_reversible=not is_present)  # fmt: skip
    if not is_present:
        if not action.missing_ok:
            context.refuse(f'column "{name}" of relation "{relation.name.name}" does not exist')
        return
    tables = typed_tables(context, relation)
    if tables and not is_cascade:
        context.refuse(f'cannot alter type "{relation.name.name}" because it is the type of a typed table')
        return
    relation.columns.pop(name, None)
    for table in tables:
        context.effect("also lock", table, ACCESS_EXCLUSIVE, column_name=name)
        forget_column(context, table, name)


# defaults


def set_default(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    """SET DEFAULT, DROP DEFAULT: for rows to come only."""
    name = action.name
    is_set = action.def_ is not NOTHING
    column = relation.columns.get(name)
    kind, _ = default_of(context, action.def_)
    context.effect(
        "set default" if is_set else "drop default",
        relation,
        ACCESS_EXCLUSIVE,
        column_name=name,
        definition=_default_text(context, action) if is_set else None,
        is_default=kind is not None,
    )
    if is_missing(context, relation, name):
        return
    if column is not None and column.identity:
        context.refuse(f'column "{name}" of relation "{relation.name.name}" is an identity column')
        return
    if column is not None and column.generated:
        context.refuse(f'column "{name}" of relation "{relation.name.name}" is a generated column')
        return
    if column is not None and kind is not None:
        refuse_type_of_default(context, name, column.type, action.def_)
        if context.step.refusal is not None:
            return
    for table in (relation, *below(context, relation, statement)):
        if table is not relation:
            context.effect("also lock", table, ACCESS_EXCLUSIVE, column_name=name)
        own = table.columns.get(name)
        if own is not None:
            own.default = kind
            own.default_expression = kept(action.def_) if kind is not None else NOTHING


def _default_text(context: Context, action: AlterTableCmd) -> str | None:
    """The default as it is written, from the first place in its tree."""
    import re  # noqa: PLC0415 -- in use already, only not here

    places = [int(place) for place in re.findall(rb'"location":(\d+)', bytes(action.def_))]
    if not places:
        return None
    return texts.item(context, min(places))


# NOT NULL


def set_not_null(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    """SET NOT NULL reads the whole table, unless a valid CHECK or what the column is proves that it holds no null."""
    name = action.name
    children = below(context, relation, statement)
    is_scan, reason = _null_scan(relation, name)
    context.effect("set not null", relation, ACCESS_EXCLUSIVE, column_name=name, is_scan=is_scan, reason=reason)
    if is_missing(context, relation, name):
        return
    if relation.is_known and relation.kind in {"view", "materialized view", "sequence"}:
        context.refuse(f'ALTER action SET NOT NULL cannot be performed on relation "{relation.name.name}"')
        return
    if is_only(statement) and relation.kind == "partitioned table" and relation.children:
        parts = context.database.descendants(relation)
        if any(name in part.columns and not part.columns[name].is_not_null for part in parts):
            context.refuse("constraint must be added to child tables too")
            return
    if relation.kind == "partitioned table" and _is_set(relation, name):
        return
    # from 18 on a constraint goes down from parent to child; a child that has one keeps what is below it out
    has_names = context.version >= constraints.NOT_NULLS_ARE_CONSTRAINTS
    reached = set() if has_names and _is_set(relation, name) else {relation.name}
    _mark(context, relation, name)
    for child in children:
        if reached.isdisjoint(child.parents):
            continue
        if not (has_names and _is_set(child, name)):
            reached.add(child.name)
        is_scan, reason = _null_scan(child, name)
        context.effect("also lock", child, ACCESS_EXCLUSIVE, column_name=name, is_scan=is_scan,
                       reason=reason if is_scan else None)  # fmt: skip
        _mark(context, child, name, is_inherited=True)


def _is_set(relation: Relation, name: str) -> bool:
    column = relation.columns.get(name)
    return column is not None and column.is_not_null and column.is_not_null_validated


def _null_scan(relation: Relation, name: str) -> tuple[bool, str | None]:
    """Whether rows are read to find a null, and why or why not."""
    if not has_rows(relation):
        return False, None
    column = relation.columns.get(name)
    if column is not None and column.is_not_null and column.is_not_null_validated:
        return False, "it is NOT NULL already"
    if proofs.forbids_null(relation, name):
        return False, "a valid CHECK proves that it holds no null"
    return True, "every row is checked"


def _mark(context: Context, relation: Relation, name: str, *, is_inherited: bool = False) -> None:
    column = relation.columns.get(name)
    if column is None:
        if relation.are_columns_known:
            return
        column = relation.columns[name] = Column(name, None, default="unknown")
    constraints.mark_not_null(context, relation, column, is_local=not is_inherited)
    if not column.is_not_null_validated:
        column.is_not_null_validated = True
        constraint = constraints.not_null_of(relation, name)
        if constraint is not None:
            constraint.is_validated = True


def drop_not_null(  # noqa: C901 -- a list of refusals
    context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt
) -> None:
    """DROP NOT NULL."""
    name = action.name
    column = relation.columns.get(name)
    table = relation.name.name
    context.effect("drop not null", relation, ACCESS_EXCLUSIVE, column_name=name)
    if is_missing(context, relation, name):
        return
    key = constraints.primary_key(relation)
    has_names = context.version >= constraints.NOT_NULLS_ARE_CONSTRAINTS
    if column is not None and column.identity:
        context.refuse(f'column "{name}" of relation "{table}" is an identity column')
    elif key is not None and name in key.columns:
        context.refuse(f'column "{name}" is in a primary key')
    elif relation.is_partition and any(
        (parent := context.database.relations.get(place)) is not None
        and name in parent.columns
        and parent.columns[name].is_not_null
        for place in relation.parents
    ):
        context.refuse(f'column "{name}" is marked NOT NULL in parent table')
    elif has_names and _inherits_not_null(context, relation, name):
        context.refuse(f'cannot drop inherited NOT NULL constraint of column "{name}" of relation "{table}"')
    elif is_only(statement) and relation.kind == "partitioned table" and relation.children and not has_names:
        context.refuse("cannot remove constraint from only the partitioned table when partitions exist")
    if context.step.refusal is not None:
        return
    was_not_null = column is None or column.is_not_null
    _unmark(relation, name)
    if not was_not_null and has_names:
        return
    alone = is_only(statement)
    for child in context.database.descendants(relation) if relation.children else ():
        if alone and relation.kind != "partitioned table":
            break
        context.effect("also lock", child, ACCESS_EXCLUSIVE, column_name=name)
        if not alone:
            _unmark(child, name)


def _inherits_not_null(context: Context, relation: Relation, name: str) -> bool:
    for place in relation.parents:
        parent = context.database.relations.get(place)
        if parent is not None and name in parent.columns and parent.columns[name].is_not_null:
            return True
    return False


def _unmark(relation: Relation, name: str) -> None:
    column = relation.columns.get(name)
    if column is None:
        return
    column.is_not_null, column.is_not_null_validated = False, True
    constraint = constraints.not_null_of(relation, name)
    if constraint is not None:
        del relation.constraints[constraint.name]


# how values are kept


def _kept(what: Action, level: int, *, is_recursive: bool) -> Handler:
    """An action that only notes how values to come are kept or counted."""

    def interpret(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
        context.effect(what, relation, level, column_name=action.name or None)
        if action.name and is_missing(context, relation, action.name):
            return
        column = relation.columns.get(action.name)
        if what == "set statistics" and action.subtype == "AT_SetStatistics" and column and column.generated == "v":
            context.refuse(f'cannot alter statistics on virtual generated column "{action.name}"')
            return
        if is_recursive:
            for child in below(context, relation, statement):
                context.effect("also lock", child, level, column_name=action.name or None)

    return interpret


_set_statistics = _kept("set statistics", SHARE_UPDATE_EXCLUSIVE, is_recursive=True)
_set_options = _kept("set statistics", SHARE_UPDATE_EXCLUSIVE, is_recursive=False)

ACTIONS: dict[str, Handler] = {
    "AT_AddColumn": add_column,
    "AT_DropColumn": drop_column,
    "AT_AlterColumnType": alter_type,
    "AT_ColumnDefault": set_default,
    "AT_CookedColumnDefault": set_default,
    "AT_SetNotNull": set_not_null,
    "AT_DropNotNull": drop_not_null,
    "AT_SetExpression": set_expression,
    "AT_DropExpression": drop_expression,
    "AT_AddIdentity": add_identity,
    "AT_SetIdentity": set_identity,
    "AT_DropIdentity": drop_identity,
    "AT_SetStatistics": _set_statistics,
    "AT_SetOptions": _set_options,
    "AT_ResetOptions": _set_options,
    "AT_SetStorage": _kept("set storage", ACCESS_EXCLUSIVE, is_recursive=True),
    "AT_SetCompression": _kept("set compression", ACCESS_EXCLUSIVE, is_recursive=False),
}
"""The interpreter of each ALTER TABLE action on a column, by the parser's name of it."""
