"""CREATE TABLE in all its forms: columns of its own, LIKE, INHERITS, PARTITION OF, OF a type, AS a query."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from queryfit.migrations.context import Context
from queryfit.migrations.interpret import (
    column_definitions,
    constraint_state,
    constraints,
    index_making,
    partitions,
    storage_parameters,
    views,
)
from queryfit.migrations.model import Column, Constraint, Name, Relation, RelationKind
from queryfit.migrations.steps import ACCESS_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE
from queryfit.migrations.type_names import type_text
from queryfit.sql import ddl, ddl_parts
from queryfit.sql.ddl import CreateForeignTableStmt, CreateStmt, CreateTableAsStmt
from queryfit.sql.ddl_parts import TableLikeClause, names

_PERSISTENCE = {"t": "temporary", "u": "unlogged"}
_STRATEGIES = {
    "PARTITION_STRATEGY_LIST": "list",
    "PARTITION_STRATEGY_RANGE": "range",
    "PARTITION_STRATEGY_HASH": "hash",
}

# bits of LIKE … INCLUDING
_CONSTRAINTS, _DEFAULTS, _GENERATED, _IDENTITY, _INDEXES = 4, 8, 16, 32, 64


def create_table(context: Context, statement: CreateStmt, kind: RelationKind = "table") -> None:
    """CREATE TABLE, or CREATE FOREIGN TABLE with its `kind`."""
    assert statement.relation is not None
    relation = _new(context, statement, kind)
    if relation is None:
        return
    database = context.database
    parents = [context.relation(entry.RangeVar) for entry in statement.inhRelations if entry.RangeVar is not None]
    effect = context.effect("create table", relation, ACCESS_EXCLUSIVE, definition=_persistence(relation))
    _lock_parents(context, relation, parents)
    if context.step.refusal is not None:
        return
    database.put(relation)
    if relation.persistence == "temporary":
        _note_temporary(context, relation, statement.oncommit)
    for parent in parents:
        _inherit(relation, parent)
    if statement.ofTypename is not None:
        _take_type(context, relation, statement)
    parts = _elements(context, relation, statement)
    effect.columns = ", ".join(relation.columns) or None
    _inherit_constraints(context, relation, parents)
    for column, its_name in parts.not_null:
        constraint_state.mark_not_null(context, relation, column, its_name)
    _add_constraints(context, relation, parts.constraints)
    for clause, source in parts.likes:
        _like_rest(context, relation, source, clause.options)
    if statement.partbound is not None and parents:
        partitions.settle(context, relation, parents[0], is_new_table=True)
    _refuse_key(context, relation)
    if context.step.refusal is not None:  # what was made of it goes again
        database.forget(relation.name)
        database.gone.discard(relation.name)


def _refuse_key(context: Context, relation: Relation) -> None:
    for column in relation.partition_key:
        if column is not None and column not in relation.columns and relation.are_columns_known:
            context.refuse(f'column "{column}" named in partition key does not exist')


class _Parts(Struct):
    """What stands in the brackets beside the columns."""

    constraints: list[tuple[ddl_parts.Constraint, tuple[str, ...] | None]] = []
    not_null: list[tuple[Column, str]] = []
    likes: list[tuple[TableLikeClause, Relation]] = []


def _elements(context: Context, relation: Relation, statement: CreateStmt) -> _Parts:
    """Put the columns into the relation; what they bring along follows when all are there."""
    parts = _Parts()
    for entry in statement.tableElts:
        if entry.ColumnDef is not None:
            _define_column(context, relation, entry.ColumnDef, parts)
        elif entry.Constraint is not None:
            parts.constraints.append((entry.Constraint, None))
        elif entry.TableLikeClause is not None and entry.TableLikeClause.relation is not None:
            source = context.relation(entry.TableLikeClause.relation)
            parts.likes.append((entry.TableLikeClause, source))
            _like_columns(context, relation, source, entry.TableLikeClause.options)
    parts.constraints += [(entry.Constraint, None) for entry in statement.constraints if entry.Constraint is not None]
    return parts


def _lock_parents(context: Context, relation: Relation, parents: list[Relation]) -> None:
    if parents and relation.bound is not None:
        partitions.announce(context, relation, parents[0], relation.bound)
        if parents[0].is_known and parents[0].are_columns_known and parents[0].kind != "partitioned table":
            context.refuse(f'"{parents[0].name.name}" is not partitioned')
        return
    for parent in parents:
        context.effect("also lock", parent, SHARE_UPDATE_EXCLUSIVE)


def _note_temporary(context: Context, relation: Relation, on_commit: str) -> None:
    """Note when a temporary table goes."""
    context.database.temporary[relation.name] = on_commit == "ONCOMMIT_DROP"


def _new(context: Context, statement: CreateStmt, kind: RelationKind) -> Relation | None:
    """The relation as it begins; None where its name is taken."""
    assert statement.relation is not None
    database = context.database
    name = context.new_name(statement.relation)
    existing = database.relations.get(name)
    if database.exists(name) and (existing is None or existing.is_known):
        if statement.if_not_exists:
            context.effect("create table", existing, is_present=False)
        else:
            context.refuse(f'relation "{name.name}" already exists')
            context.effect("create table", existing, ACCESS_EXCLUSIVE)
        return None
    if (
        name.schema not in database.schemas
        and name.schema != "pg_temp"
        and (database.is_complete or Name(name.schema, "") in database.gone)
    ):
        context.refuse(f'schema "{name.schema}" does not exist')
    relation = Relation(
        name,
        kind,
        persistence=_PERSISTENCE.get(statement.relation.relpersistence, "permanent"),  # type: ignore[arg-type]
        born=context.born,
        tablespace=statement.tablespacename,
        access_method=statement.accessMethod,
        bound=statement.partbound,
    )
    specification = statement.partspec
    if specification is not None:
        relation.kind = "partitioned table"
        relation.partition_strategy = _STRATEGIES.get(specification.strategy, "")
        relation.partition_key = tuple(
            entry.PartitionElem.name or None for entry in specification.partParams if entry.PartitionElem is not None
        )
    if statement.options:
        storage_parameters.refuse_of_table(context, relation, statement.options)
    return relation


def _persistence(relation: Relation) -> str | None:
    return relation.persistence if relation.persistence != "permanent" else None


def _define_column(
    context: Context,
    relation: Relation,
    definition: ddl_parts.ColumnDef,
    parts: _Parts,
) -> None:
    """A column with its constraints; one that a parent or a type has already gets what is added to it."""
    found = column_definitions.defined(context, definition)
    column = found.column
    existing = relation.columns.get(column.name)
    if column.is_not_null:
        column.is_not_null = False
        parts.not_null.append((existing or column, found.not_null_name))
    if existing is not None:
        if not existing.is_inherited and relation.of_type is None:
            context.refuse(f'column "{column.name}" specified more than once')
            return
        if (
            definition.typeName is not None
            and None not in (column.type, existing.type)
            and column.type != existing.type
        ):
            context.refuse(f'column "{column.name}" has a type conflict')
            return
        if column.default is not None or found.is_written:
            existing.default, existing.default_expression = column.default, column.default_expression
        existing.is_own = existing.is_inherited
        existing.identity = column.identity or existing.identity
        existing.generated = column.generated or existing.generated
    else:
        relation.columns[column.name] = column
    if found.word in {"serial", "identity"}:
        column_definitions.put_sequence(context, relation, column.name)
    if context.with_columns:
        context.effect("create column", relation, column_name=column.name, type_after=type_text(column.type),
                       new_name=found.word, definition=found.default,
                       is_default=column.default is not None or bool(column.generated))  # fmt: skip
    parts.constraints += [(entry, (column.name,)) for entry in found.constraints]


def _add_constraints(
    context: Context, relation: Relation, pending: list[tuple[ddl_parts.Constraint, tuple[str, ...] | None]]
) -> None:
    """Constraints in the order in which PostgreSQL makes them, which their made-up names depend on."""
    made: list[tuple[ddl_parts.Constraint, tuple[str, ...] | None]] = []
    places: dict[tuple[object, ...], int] = {}
    for constraint, column in sorted(pending, key=lambda pair: _ORDER.get(pair[0].contype, 0)):
        if constraint.contype in {"CONSTR_PRIMARY", "CONSTR_UNIQUE"}:
            same = (
                column or names(constraint.keys), names(constraint.including), constraint.nulls_not_distinct,
                constraint.deferrable, constraint.initdeferred,
            )  # fmt: skip
            if same in places and constraint.contype == "CONSTR_UNIQUE":
                # UNIQUE beside a PRIMARY KEY, or the same twice: it only hands its name to one without
                first, its_column = made[places[same]]
                if constraint.conname and not first.conname:
                    made[places[same]] = (msgspec.structs.replace(first, conname=constraint.conname), its_column)
                continue
            places[same] = len(made)
        made.append((constraint, column))
    for constraint, column in made:
        if constraint.options:
            storage_parameters.refuse_of_index(context, constraint.access_method or "btree", constraint.options)
        constraints.add_constraint(context, relation, constraint, column, is_new_table=True)


_ORDER = {"CONSTR_CHECK": 1, "CONSTR_NOTNULL": 2, "CONSTR_PRIMARY": 3, "CONSTR_UNIQUE": 4, "CONSTR_EXCLUSION": 4,
          "CONSTR_FOREIGN": 5}  # fmt: skip


def _copy(column: Column, *, is_inherited: bool) -> Column:
    """A column as another table takes it over; the numbers of an identity stay with its own table."""
    is_numbered = bool(column.identity)
    return Column(
        column.name,
        column.type,
        column.is_not_null,
        column.is_not_null_validated,
        None if is_numbered else column.default,
        ddl_parts.NOTHING if is_numbered else column.default_expression,
        "",
        column.generated,
        column.generation_expression,
        column.collation,
        is_inherited,
    )


def _inherit(relation: Relation, parent: Relation) -> None:
    """Take a parent's columns; those of several parents are merged by name."""
    relation.parents = (*relation.parents, parent.name)
    parent.children.add(relation.name)
    if not parent.are_columns_known:
        relation.are_columns_known = False
    if relation.bound is not None and relation.bound.is_default:
        parent.default_partition = relation.name
    for column in parent.columns.values():
        existing = relation.columns.get(column.name)
        if existing is None:
            existing = relation.columns[column.name] = _copy(column, is_inherited=True)
            if relation.is_partition:
                existing.identity = column.identity  # a partition draws from the sequence of its parent
                existing.default = column.default
        elif column.is_not_null:
            existing.is_not_null = True


def _inherit_constraints(context: Context, relation: Relation, parents: list[Relation]) -> None:
    for parent in parents:
        for constraint in parent.constraints.values():
            if constraint.is_no_inherit or constraint.kind not in {"check", "not null"}:
                continue
            if constraint.kind == "not null" and constraint_state.has_not_null(relation, constraint.columns[0]):
                continue
            context.database.constrain(
                relation,
                Constraint(
                    constraint.name,
                    constraint.kind,
                    constraint.columns,
                    is_enforced=constraint.is_enforced,
                    is_validated=constraint.is_enforced,
                    expression=constraint.expression,
                    is_local=False,
                ),
            )


def _take_type(context: Context, relation: Relation, statement: CreateStmt) -> None:
    written = context.type_of(statement.ofTypename)
    if written is None:
        relation.are_columns_known = False
        return
    name = relation.of_type = Name(written.schema, written.name)
    composite = context.database.types.get(name)
    if composite is None:
        relation.are_columns_known = False
        return
    for column, its_type in composite.columns.items():
        relation.columns[column] = Column(column, its_type)


def _like_columns(context: Context, relation: Relation, source: Relation, options: int) -> None:
    """Columns of the table that LIKE names: types and NOT NULL always, the rest as it is asked for."""
    if not source.are_columns_known:
        relation.are_columns_known = False
    for column in source.columns.values():
        if (existing := relation.columns.get(column.name)) is not None:
            if not existing.is_inherited:
                context.refuse(f'column "{column.name}" specified more than once')
                return
            existing.is_not_null = existing.is_not_null or column.is_not_null
            existing.is_own = True
            continue
        made = _copy(column, is_inherited=False)
        if not options & _DEFAULTS:
            made.default, made.default_expression = None, ddl_parts.NOTHING
        if not options & _GENERATED:
            made.generated, made.generation_expression = "", ddl_parts.NOTHING
        elif made.generated:
            made.default, made.default_expression = column.default, column.default_expression
        if options & _IDENTITY and column.identity:
            made.identity, made.default = column.identity, column.default
            column_definitions.put_sequence(context, relation, column.name)
        relation.columns[column.name] = made


def _like_rest(context: Context, relation: Relation, source: Relation, options: int) -> None:
    """Constraints and indexes that LIKE copies: NOT NULL with its name always, CHECK with its name, indexes anew."""
    database = context.database
    for constraint in list(source.constraints.values()):
        is_copied = constraint.kind == "not null" or (constraint.kind == "check" and bool(options & _CONSTRAINTS))
        if constraint.kind == "not null" and constraint_state.has_not_null(relation, constraint.columns[0]):
            continue
        if is_copied:
            copied = Constraint(
                constraint.name,
                constraint.kind,
                constraint.columns,
                is_enforced=constraint.is_enforced,
                is_validated=constraint.is_enforced,
                is_no_inherit=constraint.is_no_inherit,
                expression=constraint.expression,
            )
            database.constrain(relation, copied)
    if options & _INDEXES:
        ordered = sorted(
            database.indexes_of(source),
            key=lambda index: (
                (source.constraints[index.constraint].kind != "primary key")
                if index.constraint in source.constraints
                else True
            ),
        )
        for index in ordered:
            backed = source.constraints.get(index.constraint) if index.constraint is not None else None
            index_making.like(context, relation, index, backed)


def create_foreign_table(context: Context, statement: CreateForeignTableStmt) -> None:
    if statement.base is not None:
        create_table(context, statement.base, "foreign table")


def create_table_as(context: Context, statement: CreateTableAsStmt) -> None:
    """CREATE TABLE … AS, SELECT INTO, and CREATE MATERIALIZED VIEW."""
    if statement.objtype == "OBJECT_MATVIEW":
        if statement.into is not None and statement.into.rel is not None:
            name = context.new_name(statement.into.rel)
            if not context.database.exists(name):
                storage_parameters.refuse_of_query(context, Relation(name, "materialized view"))
        if context.step.refusal is None:
            views.create_materialized_view(context, statement)
        return
    if statement.into is not None:
        create_from_query(context, statement.into, statement.query, if_not_exists=statement.if_not_exists)


def create_from_query(context: Context, into: ddl.IntoClause, query: Raw, *, if_not_exists: bool = False) -> None:
    """A table with the columns of a query, which it is filled with."""
    assert into.rel is not None
    name = context.new_name(into.rel)
    existing = context.database.relations.get(name)
    if context.database.exists(name) and (existing is None or existing.is_known):
        if not if_not_exists:
            context.refuse(f'relation "{name.name}" already exists')
        context.effect("create table as", existing, is_present=False)
        return
    found = views.query_of(context, query).columns
    relation = Relation(
        name,
        persistence=_PERSISTENCE.get(into.rel.relpersistence, "permanent"),  # type: ignore[arg-type]
        born=context.born,
        are_columns_known=found is not None,
    )
    aliases = names(into.colNames)
    for place, (column, kind) in enumerate(found or ()):
        given = aliases[place] if place < len(aliases) else column
        relation.columns[given] = Column(given, kind)
    storage_parameters.refuse_of_query(context, relation)
    if context.step.refusal is not None:
        return
    context.database.put(relation)
    if relation.persistence == "temporary":
        _note_temporary(context, relation, into.onCommit)
    context.effect(
        "create table as",
        relation,
        ACCESS_EXCLUSIVE,
        columns=", ".join(relation.columns) or None,
        definition="with no data" if into.skipData else "with data",
    )


HANDLERS: dict[str, Callable[[Context, Any], None]] = {
    "CreateStmt": create_table,
    "CreateForeignTableStmt": create_foreign_table,
    "CreateTableAsStmt": create_table_as,
}
