"""Columns that fill themselves: what ALTER TABLE does to generated and identity columns, and what actions share."""

from __future__ import annotations

from queryfit.migrations.context import Context
from queryfit.migrations.interpret.added_columns import has_rows, rebuilds
from queryfit.migrations.interpret.column_definitions import lock_sequences, put_sequence
from queryfit.migrations.model import Relation
from queryfit.migrations.steps import ACCESS_EXCLUSIVE, SHARE_ROW_EXCLUSIVE
from queryfit.sql.ddl import AlterTableStmt
from queryfit.sql.ddl_parts import NOTHING, AlterTableCmd, kept

IDENTITY_OF_PARTITIONS = 17
SET_EXPRESSION_SINCE = 17


def below(context: Context, relation: Relation, statement: AlterTableStmt) -> list[Relation]:
    """The partitions and children that an action reaches too, unless it is about ONLY the table."""
    if not relation.children or (statement.relation is not None and not statement.relation.inh):
        return []
    return list(context.database.descendants(relation))


def is_only(statement: AlterTableStmt) -> bool:
    return statement.relation is not None and not statement.relation.inh


def is_missing(context: Context, relation: Relation, name: str) -> bool:
    """Refuse a column that the relation surely does not have."""
    if name in relation.columns or not relation.are_columns_known:
        return False
    context.refuse(f'column "{name}" of relation "{relation.name.name}" does not exist')
    return True


def is_inherited(context: Context, relation: Relation, name: str) -> bool:
    return any(
        (parent := context.database.relations.get(place)) is not None and name in parent.columns
        for place in relation.parents
    )


def drop_expression(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    """DROP EXPRESSION: the column keeps its values and becomes a plain one."""
    name = action.name
    column = relation.columns.get(name)
    table = relation.name.name
    context.effect("drop expression", relation, ACCESS_EXCLUSIVE, column_name=name,
                   is_present=column is None or column.generated == "s")  # fmt: skip
    if is_missing(context, relation, name):
        return
    if column is not None and column.is_inherited and is_inherited(context, relation, name):
        context.refuse("cannot drop generation expression from inherited column")
    elif column is not None and column.generated == "v":
        context.refuse("ALTER TABLE / DROP EXPRESSION is not supported for virtual generated columns")
    elif column is not None and not column.generated and not action.missing_ok:
        context.refuse(f'column "{name}" of relation "{table}" is not a stored generated column')
    elif is_only(statement) and relation.children:
        context.refuse("ALTER TABLE / DROP EXPRESSION must be applied to child tables too")
    if context.step.refusal is not None:
        return
    for own in (relation, *below(context, relation, statement)):
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
    if is_missing(context, relation, name):
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
    return below(context, relation, statement)


def set_identity(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    """SET GENERATED, and options of the sequence behind an identity column."""
    name = action.name
    column = relation.columns.get(name)
    context.effect("alter identity", relation, ACCESS_EXCLUSIVE, column_name=name)
    if is_missing(context, relation, name):
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
    if is_missing(context, relation, name):
        return
    if not is_present:
        if not action.missing_ok:
            context.refuse(f'column "{name}" of relation "{relation.name.name}" is not an identity column')
        return
    if relation.is_partition and context.version >= IDENTITY_OF_PARTITIONS:
        context.refuse("cannot drop identity from a column of a partition")
        return
    for own in (relation, *_partitions(context, relation, statement)):
        if own is not relation:
            context.effect("also lock", own, ACCESS_EXCLUSIVE, column_name=name)
        if name in own.columns:
            own.columns[name].identity, own.columns[name].default = "", None
    lock_sequences(context, relation, name, ACCESS_EXCLUSIVE)
    for sequence in context.database.owned_sequences(relation.name, name):
        context.database.forget(sequence.name)


def set_expression(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    """SET EXPRESSION (17): a stored column is computed anew for every row, a virtual one (18) is not."""
    name = action.name
    column = relation.columns.get(name)
    is_virtual = column is not None and column.generated == "v"
    is_only = statement.relation is not None and not statement.relation.inh
    if context.version < SET_EXPRESSION_SINCE:
        context.refuse("SET EXPRESSION needs PostgreSQL 17")
    elif column is None and relation.are_columns_known:
        context.refuse(f'column "{name}" of relation "{relation.name.name}" does not exist')
    elif column is not None and not column.generated:
        context.refuse(f'column "{name}" of relation "{relation.name.name}" is not a generated column')
    elif is_virtual and any(constraint.kind == "check" for constraint in relation.constraints.values()):
        context.refuse("SET EXPRESSION is not supported for virtual generated columns in tables with check constraints")
    children = list(context.database.descendants(relation)) if relation.children and not is_only else []
    for table in (relation, *children):
        is_rewrite: bool | None = has_rows(table) and not is_virtual
        if column is None and not is_virtual:
            is_rewrite = None if context.version >= 18 else is_rewrite  # noqa: PLR2004 -- it may be a virtual one
        is_scan = is_virtual and has_rows(table) and column is not None and column.is_not_null
        reason = "a stored generated column is computed for every row" if is_rewrite else None
        if table is relation:
            context.effect("set expression", table, ACCESS_EXCLUSIVE, column_name=name,
                           new_name="virtual" if is_virtual else "stored", is_rewrite=is_rewrite, is_scan=is_scan,
                           is_index_rebuild=is_rewrite and rebuilds(context, table),
                           reason="NOT NULL of a virtual column is checked" if is_scan else reason)  # fmt: skip
        else:
            context.effect("also lock", table, ACCESS_EXCLUSIVE, column_name=name, is_rewrite=is_rewrite,
                           is_scan=is_scan, is_index_rebuild=is_rewrite and rebuilds(context, table),
                           reason=reason)  # fmt: skip
        if context.step.refusal is not None:
            return
        own = table.columns.get(name)
        if own is not None:
            own.generation_expression = kept(action.def_)
