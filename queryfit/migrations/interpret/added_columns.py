"""ADD COLUMN, and ADD ATTRIBUTE of a composite type."""

from __future__ import annotations

import re

from msgspec import Raw

from queryfit.migrations.context import Context
from queryfit.migrations.interpret import constraints, naming
from queryfit.migrations.interpret.column_definitions import Definition, collation, defined, put_sequence
from queryfit.migrations.model import Column, Relation, Type
from queryfit.migrations.steps import ACCESS_EXCLUSIVE, ROW_EXCLUSIVE
from queryfit.migrations.type_names import type_text
from queryfit.sql.ddl import AlterTableStmt
from queryfit.sql.ddl_parts import AlterTableCmd, ColumnDef

SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
INTEGERS = frozenset(Type("pg_catalog", name) for name in ("int2", "int4", "int8"))
_DRAWN = re.compile(rb'"sval":"nextval"\}\}\].{0,99}?"A_Const":\{"sval":\{"sval":"([\w.]+)"')


def add_column(  # noqa: C901 -- one thing after the other
    context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt
) -> None:
    """ADD COLUMN: rewrites the table when every row needs a value of its own, scans it when a rule has to hold."""
    definition = action.definition.ColumnDef
    if definition is None:
        context.unfollowed("ADD COLUMN without a column")
        return
    if statement.objtype == "OBJECT_TYPE":
        _add_attribute(context, relation, definition, action)
        return
    found = defined(context, definition)
    column = found.column
    if column.name in relation.columns and not _is_refused_kind(relation):
        context.effect("add column", relation, ACCESS_EXCLUSIVE, column_name=column.name,
                       type_after=type_text(column.type), is_present=False)  # fmt: skip
        if not action.missing_ok:
            context.refuse(f'column "{column.name}" of relation "{relation.name.name}" already exists')
        return
    is_only = statement.relation is not None and not statement.relation.inh
    children = list(context.database.descendants(relation)) if relation.children else []
    _refuse(context, relation, found, children, is_only=is_only)
    if any(entry.contype == "CONSTR_PRIMARY" for entry in found.constraints):
        column.is_not_null = True
    is_rewrite, is_scan, reason = _work(relation, found)
    context.effect(
        "add column",
        relation,
        ACCESS_EXCLUSIVE,
        column_name=column.name,
        type_after=type_text(column.type),
        is_default=(column.default or found.domain_default) is not None or bool(column.generated),
        definition=found.default,
        new_name=found.word,
        object_name="not null" if column.is_not_null else None,
        is_validated=False if is_scan and column.is_not_null else None,
        is_rewrite=is_rewrite,
        is_scan=is_scan,
        is_index_rebuild=rebuilds(context, relation) if is_rewrite else is_rewrite,
        reason=reason,
    )
    if context.step.refusal is not None:
        return
    if is_rewrite:
        _lock_drawn(context, column.default_expression)
    _put(context, relation, found)
    _add_below(context, relation, children, found)
    for entry in found.constraints:
        constraints.add_constraint(
            context,
            relation,
            entry,
            (column.name,),
            is_new_table=False,
            is_only=is_only,
            is_born_null=not found.is_written,
        )
    if context.step.refusal is not None:
        for table in (relation, *children):
            table.columns.pop(column.name, None)


def _add_below(context: Context, relation: Relation, children: list[Relation], found: Definition) -> None:
    """Add the column to children; one that has it already makes it its own, and what is below it stays as it is."""
    column = found.column
    has_names = column.is_not_null and context.version >= constraints.NOT_NULLS_ARE_CONSTRAINTS
    reached, marked = {relation.name}, {relation.name}
    for child in children:
        is_below = not reached.isdisjoint(child.parents)
        if not is_below and (not has_names or marked.isdisjoint(child.parents)):
            continue
        reason: str | None
        own = child.columns.get(column.name)
        if own is not None:  # from 18 on a NOT NULL goes further down than the column
            is_rewrite: bool | None = False
            is_scan = has_names and not own.is_not_null and has_rows(child)
            reason = None
            own.is_own = own.is_own or not own.is_inherited
            own.is_inherited = True
            if not own.is_not_null:
                marked.add(child.name)
        else:
            reached.add(child.name)
            marked.add(child.name)
            is_rewrite, is_scan, reason = _work(child, found)
            own = child.columns[column.name] = _copied(column)
        if has_names or (column.is_not_null and child.name in reached):
            constraints.mark_not_null(context, child, own, is_local=False)
        context.effect(
            "also lock",
            child,
            ACCESS_EXCLUSIVE,
            column_name=column.name,
            is_rewrite=is_rewrite,
            is_scan=is_scan,
            is_index_rebuild=rebuilds(context, child) if is_rewrite else is_rewrite,
            reason=reason,
        )


def _copied(column: Column) -> Column:
    return Column(
        column.name,
        column.type,
        default=column.default,
        default_expression=column.default_expression,
        identity=column.identity,
        generated=column.generated,
        generation_expression=column.generation_expression,
        collation=column.collation,
        is_inherited=True,
    )


def _put(context: Context, relation: Relation, found: Definition) -> None:
    column = found.column
    relation.columns[column.name] = column
    if column.is_not_null:
        column.is_not_null = False
        constraints.mark_not_null(context, relation, column, found.not_null_name)
    if found.word in {"serial", "identity"}:
        put_sequence(context, relation, column.name)


def _lock_drawn(context: Context, expression: Raw) -> None:
    """A default that draws from a sequence while the table is rewritten locks the sequence."""
    if b'"nextval"' not in bytes(expression):
        return
    for drawn in _DRAWN.findall(bytes(expression)):
        parts = tuple(part.strip('"') for part in drawn.decode().split("."))
        name = context.qualify(parts, context.database.relations)
        sequence = context.database.relations.get(name)
        if sequence is not None and sequence.kind == "sequence":
            context.effect("also lock", sequence, ROW_EXCLUSIVE)


def rebuilds(context: Context, relation: Relation) -> bool:
    """A table written anew builds its indexes anew, where it has any; one of unknown indexes is taken to have some.

    Those that the statement itself builds are not among them.
    """
    if not relation.are_columns_known:
        return True
    if not relation.indexes:
        return False
    made = set()
    for effect in reversed(context.effects):
        if effect.step != context.step.number:
            break
        if effect.is_index_build:
            made.add(effect.object_name)
    return any(name.name not in made for name in relation.indexes)


def has_rows(relation: Relation) -> bool:
    """The relation keeps rows itself: a partitioned table has none, a foreign one's are somewhere else."""
    return relation.kind in {"table", "materialized view"}


def _work(  # noqa: PLR0911 -- the first reason counts
    relation: Relation, found: Definition
) -> tuple[bool | None, bool, str | None]:
    """Whether it is rewritten (None: not known), whether it is scanned instead, and why."""
    column = found.column
    if relation.kind != "table":
        return False, False, None
    if column.generated == "v":
        reason = "NOT NULL of a virtual column is checked" if column.is_not_null else None
        return False, column.is_not_null, reason
    if column.generated == "s":
        return True, False, "a stored generated column is computed for every row"
    if found.word == "serial":
        return True, False, "every row gets a number of its sequence"
    if found.word == "identity":
        return True, False, "every row gets a number of its sequence"
    if found.domain is not None:
        return True, False, f"constraints of domain {found.domain} are checked"
    default = column.default or found.domain_default
    if default == "volatile":
        return True, False, f"default {found.culprit} is volatile"
    if default == "unknown":
        return None, False, f"whether default {found.culprit} is volatile is not known"
    if default is not None or not column.is_not_null:
        return False, False, None
    return False, True, "NOT NULL without a default is checked"


def _is_refused_kind(relation: Relation) -> bool:
    return relation.kind in {"view", "materialized view", "sequence", "index"}


def _refuse(  # noqa: C901 -- a list of refusals
    context: Context, relation: Relation, found: Definition, children: list[Relation], *, is_only: bool
) -> None:
    """What PostgreSQL refuses for sure."""
    name = found.column.name
    table = relation.name.name
    if _is_refused_kind(relation) and relation.is_known:
        context.refuse(f'ALTER action ADD COLUMN cannot be performed on relation "{table}"')
    elif relation.is_partition:
        context.refuse("cannot add column to a partition")
    elif relation.of_type is not None:
        context.refuse("cannot add column to typed table")
    elif is_only and children:
        context.refuse("column must be added to child tables too")
    elif (other := _clashing(found.column, children)) is not None:
        context.refuse(f'child table "{other}" has different type for column "{name}"')
    elif name in SYSTEM_COLUMNS:
        context.refuse(f'column name "{name}" conflicts with a system column name')
    elif found.word == "identity" and found.column.type is not None and found.column.type not in INTEGERS:
        context.refuse("identity column type must be smallint, integer, or bigint")
    elif found.word == "identity" and children and (relation.kind != "partitioned table" or context.version < 17):  # noqa: PLR2004 -- the version that allows it
        context.refuse("cannot recursively add identity column to table that has child tables")
    elif found.column.generated and not context.step.refusal and _reads_missing(relation, found.column):
        context.refuse(f'column of the expression of "{name}" does not exist')
    elif found.column.generated and _reads_generated(relation, found.column):
        context.refuse("cannot use generated column in column generation expression")
    elif (
        found.column.default or found.domain_default or found.domain
    ) is not None and relation.name in context.database.row_types:
        context.refuse(f'cannot alter table "{table}" because a column of another table uses its row type')
    elif found.column.generated == "v" and context.version < 18:  # noqa: PLR2004 -- the version that brings them
        context.refuse("virtual generated columns need PostgreSQL 18")


def _reads_missing(relation: Relation, column: Column) -> bool:
    """A generated column is computed from a column that the table surely does not have."""
    return relation.are_columns_known and any(
        name not in relation.columns and name not in SYSTEM_COLUMNS and name not in {column.name, relation.name.name}
        for name in naming.columns_of(column.generation_expression)
    )


def _reads_generated(relation: Relation, column: Column) -> bool:
    """A generated column is computed from another one, or from itself."""
    for name in naming.columns_of(column.generation_expression):
        other = relation.columns.get(name)
        if name == column.name or (other is not None and other.generated):
            return True
    return False


def _clashing(column: Column, children: list[Relation]) -> str | None:
    """A child that has a column of the name already, of another type."""
    for child in children:
        own = child.columns.get(column.name)
        if own is not None and own.type is not None and column.type is not None and own.type != column.type:
            return child.name.name
    return None


def _add_attribute(context: Context, relation: Relation, definition: ColumnDef, action: AlterTableCmd) -> None:
    """ALTER TYPE … ADD ATTRIBUTE; typed tables follow with CASCADE."""
    kind = context.type_of(definition.typeName)
    name = definition.colname
    context.effect("alter type attribute", relation, ACCESS_EXCLUSIVE, relation_kind="type", column_name=name,
                   type_after=type_text(kind), definition="add attribute")  # fmt: skip
    if name in relation.columns:
        context.refuse(f'column "{name}" of relation "{relation.name.name}" already exists')
        return
    tables = typed_tables(context, relation)
    if tables and action.behavior != "DROP_CASCADE":
        context.refuse(f'cannot alter type "{relation.name.name}" because it is the type of a typed table')
        return
    for table in (relation, *tables):
        table.columns[name] = Column(name, kind, collation=collation(definition.collClause))
        if table is not relation:
            context.effect("also lock", table, ACCESS_EXCLUSIVE, column_name=name)


def typed_tables(context: Context, relation: Relation) -> list[Relation]:
    """Tables made OF that composite type."""
    return [other for other in context.database.relations.values() if other.of_type == relation.name]
