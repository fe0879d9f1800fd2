"""The state of a table's constraints: NOT NULL marks, what is inherited, what goes with a constraint."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from queryfit.migrations.context import Context
from queryfit.migrations.interpret import naming, proofs
from queryfit.migrations.model import Column, Constraint, Name, Relation
from queryfit.sql import ddl_parts

NOT_NULLS_ARE_CONSTRAINTS = 18
"""The version from which a NOT NULL has a name and can be left unchecked."""


class Written(Struct, frozen=True):
    """A constraint as it is written, and where: see `add_constraint`."""

    constraint: ddl_parts.Constraint
    columns: tuple[str, ...] | None
    is_new_table: bool
    is_only: bool
    is_born_null: bool


def given_name(context: Context, relation: Relation, constraint: ddl_parts.Constraint) -> str | None:
    """The name that is given; None without one, or where the table has it already."""
    name = constraint.conname
    if len(name) > naming.NAME_BYTES or not name.isascii():
        name = naming.clip(name.encode())
    if name and name in relation.constraints:
        context.refuse(f'constraint "{name}" for relation "{relation.name.name}" already exists')
        return None
    return name


def holds_rows(relation: Relation) -> bool:
    """A partitioned table has no rows of its own, a foreign one's are somewhere else."""
    return relation.kind not in {"partitioned table", "foreign table"}


def copied(constraint: Constraint, name: str | None = None) -> Constraint:
    return Constraint(
        name or constraint.name,
        constraint.kind,
        constraint.columns,
        constraint.is_validated,
        constraint.is_enforced,
        constraint.is_deferrable,
        constraint.is_no_inherit,
        constraint.expression,
        constraint.index,
        constraint.referenced,
        constraint.referenced_columns,
        constraint.referenced_index,
        constraint.behaviour,
        is_local=False,
    )


def mark_not_null(
    context: Context,
    relation: Relation,
    column: Column,
    name: str = "",
    *,
    is_validated: bool = True,
    is_no_inherit: bool = False,
    is_local: bool = True,
) -> None:
    """A column becomes NOT NULL; from 18 on by a constraint of its own."""
    if context.version >= NOT_NULLS_ARE_CONSTRAINTS and not has_not_null(relation, column.name):
        if not name and relation.parents:
            name = _name_above(context, relation, column.name)
        if not name or name in relation.constraints:
            name = naming.constraint_name(
                context.database,
                relation.name.schema,
                relation.name.name,
                column.name,
                "not_null",
                relation.constraints,
            )
        context.database.constrain(
            relation,
            Constraint(
                name,
                "not null",
                (column.name,),
                is_validated=is_validated,
                is_no_inherit=is_no_inherit,
                is_local=is_local,
            ),
        )
    column.is_not_null_validated = is_validated if not column.is_not_null else column.is_not_null_validated
    column.is_not_null = True


def _name_above(context: Context, relation: Relation, column: str) -> str:
    """What a parent calls its NOT NULL of the column: children take the name over."""
    for parent in relation.parents:
        above = context.database.relations.get(parent)
        constraint = not_null_of(above, column) if above is not None else None
        if constraint is not None and not constraint.is_no_inherit:
            return constraint.name
    return ""


def has_not_null(relation: Relation, column: str) -> bool:
    return not_null_of(relation, column) is not None


def not_null_of(relation: Relation, column: str) -> Constraint | None:
    """The NOT NULL constraint of a column, where they are constraints."""
    for constraint in relation.constraints.values():
        if constraint.kind == "not null" and constraint.columns[0] == column:
            return constraint
    return None


def is_surely_not_null(relation: Relation, columns: Sequence[str]) -> bool:
    """Every one of the columns is known to hold no null, so that nobody has to look."""
    for name in columns:
        column = relation.columns.get(name)
        if column is not None and column.is_not_null and column.is_not_null_validated:
            continue
        if not proofs.forbids_null(relation, name):
            return False
    return True


def primary_key(relation: Relation) -> Constraint | None:
    for constraint in relation.constraints.values():
        if constraint.kind == "primary key":
            return constraint
    return None


def is_inherited(context: Context, relation: Relation, constraint: Constraint) -> bool:  # noqa: C901 -- one question a kind of constraint
    """The constraint comes from a parent, which alone can drop it."""
    for parent in relation.parents:
        above = context.database.relations.get(parent)
        if above is None:
            continue
        if constraint.kind == "check":
            other = above.constraints.get(constraint.name)
            if other is not None and other.kind == "check" and not other.is_no_inherit:
                return True
        elif constraint.kind == "not null":
            other = not_null_of(above, constraint.columns[0])
            if other is not None and not other.is_no_inherit:
                return True
        elif relation.is_partition and constraint.index is not None:
            index = context.database.indexes.get(constraint.index)
            if index is not None and index.parent is not None:
                return True
        elif relation.is_partition and constraint.kind == "foreign key":
            for other in above.constraints.values():
                if (
                    other.referenced is not None
                    and other.columns == constraint.columns
                    and other.referenced == constraint.referenced
                ):
                    return True
    return False


def depending_keys(context: Context, relation: Relation, constraint: Constraint) -> list[tuple[Relation, Constraint]]:
    """Foreign keys that rely on the index of this unique constraint."""
    return keys_on(context, relation, constraint.index, constraint.columns)


def keys_on(
    context: Context, relation: Relation, index: Name | None, columns: Sequence[str | None]
) -> list[tuple[Relation, Constraint]]:
    """Foreign keys that rely on a unique index."""
    wanted = set(columns)
    return [
        (other, key)
        for other, key in context.database.referencing(relation.name)
        if (
            key.referenced_index == index if key.referenced_index is not None else set(key.referenced_columns) == wanted
        )
    ]


def keeps_column(context: Context, child: Relation, column: str) -> bool:
    """A child keeps a column that a parent drops: it defines it itself, or has it from another parent."""
    own = child.columns[column]
    own.is_inherited = any(
        column in above.columns
        for above in (context.database.relations.get(parent) for parent in child.parents)
        if above is not None
    )
    return own.is_inherited or own.is_own


def drop_state(context: Context, relation: Relation, constraint: Constraint) -> None:
    """Take a constraint out, with the index behind it and the mark of its column."""
    relation.constraints.pop(constraint.name, None)
    if constraint.index is not None:
        context.database.forget_index(constraint.index)
    if constraint.kind == "not null" and (column := relation.columns.get(constraint.columns[0])) is not None:
        column.is_not_null = False
        column.is_not_null_validated = True
