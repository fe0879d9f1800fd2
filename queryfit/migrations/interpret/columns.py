"""ALTER TABLE actions on columns, other than adding one and changing its type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from queryfit.migrations.context import Context
from queryfit.migrations.interpret import constraints, naming, proofs, texts
from queryfit.migrations.interpret.added_columns import (
    add_column,
    default_of,
    has_rows,
    lock_sequences,
    put_sequence,
    typed_tables,
)
from queryfit.migrations.interpret.column_types import alter_type, covers, foreign_keys, set_expression
from queryfit.migrations.model import Column, Relation
from queryfit.migrations.steps import ACCESS_EXCLUSIVE, SHARE_ROW_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE, Action
from queryfit.sql import ddl
from queryfit.sql.ddl import NOTHING, AlterTableCmd, AlterTableStmt

Handler = Callable[[Context, Relation, AlterTableCmd, AlterTableStmt], None]

IDENTITY_OF_PARTITIONS = 17
GENERATED_COLUMNS_ARE_HELD = 15
"""Since then a column that a generated one is computed from is dropped only with CASCADE; before, both went."""


def _below(context: Context, relation: Relation, statement: AlterTableStmt) -> list[Relation]:
    """The partitions and children that an action reaches too, unless it is about ONLY the table."""
    if not relation.children or (statement.relation is not None and not statement.relation.inh):
        return []
    return list(context.database.descendants(relation))


def _is_only(statement: AlterTableStmt) -> bool:
    return statement.relation is not None and not statement.relation.inh


def _missing(context: Context, relation: Relation, name: str) -> bool:
    """Refuse a column that the relation surely does not have."""
    if name in relation.columns or not relation.are_columns_known:
        return False
    context.refuse(f'column "{name}" of relation "{relation.name.name}" does not exist')
    return True


# dropping


def drop_column(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
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
    _refuse_drop(context, relation, name, column, is_cascade=is_cascade, is_only=_is_only(statement))
    if context.step.refusal is not None:
        return
    for other, key, is_child in list(foreign_keys(context.database, relation, name)):
        if other is not relation:
            context.effect("also lock", other, ACCESS_EXCLUSIVE, object_name=key.name)
        if is_child:
            constraints.drop_state(context, other, key)
    lock_sequences(context, relation, name, ACCESS_EXCLUSIVE)
    _drop_views(context, relation, name)
    children = _below(context, relation, statement)
    for generated in _computed_from(relation, name):
        forget_column(context, relation, generated)
    forget_column(context, relation, name)
    for child in children or (list(context.database.descendants(relation)) if relation.children else []):
        context.effect("also lock", child, ACCESS_EXCLUSIVE, column_name=name)
        own = child.columns.get(name)
        if own is not None and own.is_inherited and children:
            forget_column(context, child, name)


def _refuse_drop(
    context: Context, relation: Relation, name: str, column: Column | None, *, is_cascade: bool, is_only: bool
) -> None:
    table = relation.name.name
    held = f"cannot drop column {name} of table {table} because other objects depend on it"
    if relation.kind in {"view", "materialized view", "sequence", "index"} and relation.is_known:
        context.refuse(f'ALTER action DROP COLUMN cannot be performed on relation "{table}"')
    elif relation.of_type is not None:
        context.refuse("cannot drop column from typed table")
    elif relation.is_partition or (
        column is not None and column.is_inherited and _is_inherited(context, relation, name)
    ):
        context.refuse(f'cannot drop inherited column "{name}"')
    elif name in relation.partition_key:
        context.refuse(f'cannot drop column "{name}" because it is part of the partition key of relation "{table}"')
    elif is_only and relation.kind == "partitioned table" and relation.children:
        context.refuse("cannot drop column from only the partitioned table when partitions exist")
    elif not is_cascade:
        views = context.database.views_on(relation.name, name)
        view = next(iter(views), None)
        if view is not None:
            context.refuse(f"{held}: {view.kind} {view.text}")
        elif context.version >= GENERATED_COLUMNS_ARE_HELD and _computed_from(relation, name):
            context.refuse(f"{held}: a generated column")
        elif any(name in key.referenced_columns and other is not relation
                 for other, key in context.database.referencing(relation.name)):  # fmt: skip
            context.refuse(f"{held}: a foreign key")


def _is_inherited(context: Context, relation: Relation, name: str) -> bool:
    return any(
        (parent := context.database.relations.get(place)) is not None and name in parent.columns
        for place in relation.parents
    )


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


def forget_column(context: Context, relation: Relation, name: str) -> None:
    """Take a column out, with its indexes, constraints and sequences."""
    database = context.database
    for index in database.indexes_of(relation):
        if covers(index, name):
            database.forget_index(index.name)
    for constraint in list(relation.constraints.values()):
        columns = constraint.columns or naming.columns_of(constraint.expression)
        if name in columns:
            constraints.drop_state(context, relation, constraint)
    for sequence in database.owned_sequences(relation.name, name):
        database.forget(sequence.name)
    relation.columns.pop(name, None)


def rename_in_table(context: Context, relation: Relation, old: str, new: str) -> None:
    """Give a column another name, in the table and in all that is said of it: constraints, indexes, views' reads."""
    if old not in relation.columns:
        return
    relation.columns = {(new if name == old else name): column for name, column in relation.columns.items()}
    relation.columns[new].name = new
    for column in relation.columns.values():
        if column.generated:
            column.generation_expression = _renamed(column.generation_expression, old, new)
    for constraint in relation.constraints.values():
        constraint.columns = _replaced(constraint.columns, old, new)
        constraint.expression = _renamed(constraint.expression, old, new)
        if constraint.referenced == relation.name:
            constraint.referenced_columns = _replaced(constraint.referenced_columns, old, new)
    for index in context.database.indexes_of(relation):
        index.columns = tuple(new if column == old else column for column in index.columns)
        index.included = _replaced(index.included, old, new)
        index.expressions = tuple(_renamed(expression, old, new) for expression in index.expressions)
        index.predicate = _renamed(index.predicate, old, new)
    for other, key in context.database.referencing(relation.name):
        if other is not relation:
            key.referenced_columns = _replaced(key.referenced_columns, old, new)
    for view in context.database.views_on(relation.name, old):
        view.depends_on = frozenset(
            (place, new if place == relation.name and column == old else column) for place, column in view.depends_on
        )
    for sequence in context.database.owned_sequences(relation.name, old):
        sequence.owned_by = (relation.name, new)
    relation.partition_key = tuple(new if column == old else column for column in relation.partition_key)


def _replaced(columns: tuple[str, ...], old: str, new: str) -> tuple[str, ...]:
    return tuple(new if column == old else column for column in columns) if old in columns else columns


def _renamed(expression: ddl.Raw, old: str, new: str) -> ddl.Raw:
    """The expression with the column under its new name."""
    if expression is NOTHING or old not in naming.columns_of(expression):
        return expression
    import msgspec  # noqa: PLC0415 -- renames are rare

    tree = ddl.tree(expression)
    pending: list[Any] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            reference = node.get("ColumnRef")
            if reference is not None:
                last = reference.get("fields", [{}])[-1].get("String")
                if last is not None and last.get("sval") == old:
                    last["sval"] = new
            else:
                pending += node.values()
    return ddl.Raw(msgspec.json.encode(tree))


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
    if _missing(context, relation, name):
        return
    if column is not None and column.identity:
        context.refuse(f'column "{name}" of relation "{relation.name.name}" is an identity column')
        return
    if column is not None and column.generated:
        context.refuse(f'column "{name}" of relation "{relation.name.name}" is a generated column')
        return
    for table in (relation, *_below(context, relation, statement)):
        if table is not relation:
            context.effect("also lock", table, ACCESS_EXCLUSIVE, column_name=name)
        own = table.columns.get(name)
        if own is not None:
            own.default = kind
            own.default_expression = action.def_ if kind is not None else NOTHING


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
    children = _below(context, relation, statement)
    is_scan, reason = _null_scan(relation, name)
    context.effect("set not null", relation, ACCESS_EXCLUSIVE, column_name=name, is_scan=is_scan, reason=reason)
    if _missing(context, relation, name):
        return
    if _is_only(statement) and relation.kind == "partitioned table" and relation.children:
        parts = context.database.descendants(relation)
        if any(name in part.columns and not part.columns[name].is_not_null for part in parts):
            context.refuse("constraint must be added to child tables too")
            return
    column = relation.columns.get(name)
    was_set = column is not None and column.is_not_null and column.is_not_null_validated
    _mark(context, relation, name)
    if was_set and context.version >= constraints.NOT_NULLS_ARE_CONSTRAINTS:
        return
    for child in children:
        is_scan, reason = _null_scan(child, name)
        context.effect("also lock", child, ACCESS_EXCLUSIVE, column_name=name, is_scan=is_scan,
                       reason=reason if is_scan else None)  # fmt: skip
        _mark(context, child, name)


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


def _mark(context: Context, relation: Relation, name: str) -> None:
    column = relation.columns.get(name)
    if column is None:
        if relation.are_columns_known:
            return
        column = relation.columns[name] = Column(name, None, default="unknown")
    constraints.mark_not_null(context, relation, column)
    if not column.is_not_null_validated:
        column.is_not_null_validated = True
        constraint = constraints.not_null_of(relation, name)
        if constraint is not None:
            constraint.is_validated = True


def drop_not_null(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    """DROP NOT NULL."""
    name = action.name
    column = relation.columns.get(name)
    table = relation.name.name
    context.effect("drop not null", relation, ACCESS_EXCLUSIVE, column_name=name)
    if _missing(context, relation, name):
        return
    key = constraints.primary_key(relation)
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
    elif context.version >= constraints.NOT_NULLS_ARE_CONSTRAINTS and _inherits_not_null(context, relation, name):
        context.refuse(f'cannot drop inherited NOT NULL constraint of column "{name}" of relation "{table}"')
    elif _is_only(statement) and relation.kind == "partitioned table" and relation.children and context.version < 18:  # noqa: PLR2004 -- the version that allows it
        context.refuse("cannot remove constraint from only the partitioned table when partitions exist")
    if context.step.refusal is not None:
        return
    was_not_null = column is None or column.is_not_null
    _unmark(relation, name)
    if not was_not_null and context.version >= constraints.NOT_NULLS_ARE_CONSTRAINTS:
        return
    is_only = _is_only(statement)
    for child in context.database.descendants(relation) if relation.children else ():
        if is_only and relation.kind != "partitioned table":
            break
        context.effect("also lock", child, ACCESS_EXCLUSIVE, column_name=name)
        if not is_only:
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


# generated and identity columns


def drop_expression(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    """DROP EXPRESSION: the column keeps its values and becomes a plain one."""
    name = action.name
    column = relation.columns.get(name)
    table = relation.name.name
    context.effect("drop expression", relation, ACCESS_EXCLUSIVE, column_name=name,
                   is_present=column is None or column.generated == "s")  # fmt: skip
    if _missing(context, relation, name):
        return
    if column is not None and column.generated == "v":
        context.refuse("ALTER TABLE / DROP EXPRESSION is not supported for virtual generated columns")
    elif column is not None and not column.generated and not action.missing_ok:
        context.refuse(f'column "{name}" of relation "{table}" is not a stored generated column')
    elif _is_only(statement) and relation.children:
        context.refuse("ALTER TABLE / DROP EXPRESSION must be applied to child tables too")
    elif column is not None and column.is_inherited and column.generated and _is_inherited(context, relation, name):
        context.refuse("cannot drop generation expression from inherited column")
    if context.step.refusal is not None:
        return
    for own in (relation, *_below(context, relation, statement)):
        if own is not relation:
            context.effect("also lock", own, ACCESS_EXCLUSIVE, column_name=name)
        if name in own.columns:
            own.columns[name].generated = ""
            own.columns[name].generation_expression = NOTHING


def add_identity(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    """ADD GENERATED … AS IDENTITY: rows keep their values; the column must be NOT NULL and without a default."""
    name = action.name
    column = relation.columns.get(name)
    table = relation.name.name
    written = action.definition.Constraint
    context.effect("add identity", relation, ACCESS_EXCLUSIVE, column_name=name)
    if _missing(context, relation, name):
        return
    if column is not None and column.type is not None and relation.are_columns_known:
        if not column.is_not_null:
            context.refuse(
                f'column "{name}" of relation "{table}" must be declared NOT NULL before identity can be added'
            )
        elif column.identity:
            context.refuse(f'column "{name}" of relation "{table}" is already an identity column')
        elif column.default is not None:
            context.refuse(f'column "{name}" of relation "{table}" already has a default value')
    if context.step.refusal is not None:
        return
    kind = written.generated_when if written is not None else "a"
    for own in (relation, *_partitions(context, relation, statement)):
        if own is not relation:
            context.effect("also lock", own, ACCESS_EXCLUSIVE, column_name=name)
        if name in own.columns:
            own.columns[name].identity, own.columns[name].default = kind or "a", "volatile"
    put_sequence(context, relation, name)


def _partitions(context: Context, relation: Relation, statement: AlterTableStmt) -> list[Relation]:
    """Partitions share the identity of their table, from 17 on."""
    if relation.kind != "partitioned table" or context.version < IDENTITY_OF_PARTITIONS:
        return []
    return _below(context, relation, statement)


def set_identity(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    """SET GENERATED, and options of the sequence behind an identity column."""
    name = action.name
    column = relation.columns.get(name)
    context.effect("alter identity", relation, ACCESS_EXCLUSIVE, column_name=name)
    if _missing(context, relation, name):
        return
    if column is not None and not column.identity and relation.are_columns_known:
        context.refuse(f'column "{name}" of relation "{relation.name.name}" is not an identity column')
        return
    lock_sequences(context, relation, name, SHARE_ROW_EXCLUSIVE)
    for own in _partitions(context, relation, statement):
        context.effect("also lock", own, ACCESS_EXCLUSIVE, column_name=name)


def drop_identity(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    """DROP IDENTITY: rows keep their values, new ones get none."""
    name = action.name
    column = relation.columns.get(name)
    is_present = column is None or bool(column.identity) or not relation.are_columns_known
    context.effect("drop identity", relation, ACCESS_EXCLUSIVE, column_name=name, is_present=is_present)
    if _missing(context, relation, name):
        return
    if not is_present:
        if not action.missing_ok:
            context.refuse(f'column "{name}" of relation "{relation.name.name}" is not an identity column')
        return
    for own in (relation, *_partitions(context, relation, statement)):
        if own is not relation:
            context.effect("also lock", own, ACCESS_EXCLUSIVE, column_name=name)
        if name in own.columns:
            own.columns[name].identity, own.columns[name].default = "", None
    lock_sequences(context, relation, name, ACCESS_EXCLUSIVE)
    for sequence in context.database.owned_sequences(relation.name, name):
        context.database.forget(sequence.name)


# how values are kept


def _kept(what: Action, level: int, *, is_recursive: bool) -> Handler:
    """An action that only notes how values to come are kept or counted."""

    def interpret(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
        context.effect(what, relation, level, column_name=action.name or None)
        if action.name and _missing(context, relation, action.name):
            return
        if is_recursive:
            for child in _below(context, relation, statement):
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
