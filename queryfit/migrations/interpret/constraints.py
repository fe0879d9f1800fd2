"""Constraints as they are written: behind a column, among the columns, in ALTER TABLE."""

from __future__ import annotations

from collections.abc import Callable

from queryfit.migrations.context import Context
from queryfit.migrations.interpret import index_making, indexes, naming, texts
from queryfit.migrations.interpret.constraint_state import (
    NOT_NULLS_ARE_CONSTRAINTS,
    Written,
    copied,
    drop_state,
    given_name,
    holds_rows,
    is_inherited,
    is_surely_not_null,
    mark_not_null,
    not_null_of,
    primary_key,
)
from queryfit.migrations.interpret.foreign_keys import add_foreign_key
from queryfit.migrations.interpret.keys import add_key
from queryfit.migrations.model import Constraint, Relation
from queryfit.migrations.steps import ACCESS_EXCLUSIVE
from queryfit.sql import ddl_parts
from queryfit.sql.ddl_parts import kept, names

__all__ = ["NOT_NULLS_ARE_CONSTRAINTS", "add_constraint", "drop_state", "mark_not_null", "not_null_of", "primary_key"]


def add_constraint(
    context: Context,
    relation: Relation,
    constraint: ddl_parts.Constraint,
    columns: tuple[str, ...] | None,
    *,
    is_new_table: bool,
    is_only: bool = False,
    is_born_null: bool = False,
) -> None:
    """Add a constraint as it is written: `columns` for one behind a column, None for one of the table.

    `is_born_null`: it stands at a column that ADD COLUMN makes without a default, so that no row can break a reference.
    What a new table's constraints hold for is empty, therefore they are valid whatever they say.
    """
    interpret = _KINDS.get(constraint.contype)
    if interpret is not None:
        interpret(context, relation, Written(constraint, columns, is_new_table, is_only, is_born_null))


def _check(context: Context, relation: Relation, written: Written) -> None:
    constraint, columns = written.constraint, written.columns
    read = naming.columns_of(constraint.raw_expr)
    if relation.name.name not in relation.columns:  # the table's name is its whole row
        read = [column for column in read if column != relation.name.name]
    is_checked = constraint.is_enforced and not constraint.skip_validation
    if _is_merged(context, relation, constraint):
        return
    name = given_name(context, relation, constraint)
    indexes.refuse_missing(context, relation, read)
    children = list(context.database.descendants(relation)) if not written.is_new_table else []
    _refuse_check(context, relation, constraint, is_alone=written.is_only and bool(children))
    if not name:
        name = naming.constraint_name(
            context.database,
            relation.name.schema,
            relation.name.name,
            read[0] if len(read) == 1 else "",
            "check",
            relation.constraints,
        )
    context.effect(
        "add check",
        relation,
        ACCESS_EXCLUSIVE,
        object_name=name,
        columns=", ".join(columns or read) or None,
        definition=texts.item(context, constraint.location),
        is_validated=is_checked or written.is_new_table,
        is_scan=is_checked and (not written.is_new_table) and holds_rows(relation),
        reason="every row is checked" if is_checked and not written.is_new_table else None,
    )
    if context.step.refusal is not None:
        return
    made = Constraint(
        name,
        "check",
        tuple(read),
        is_validated=constraint.is_enforced and (is_checked or written.is_new_table),
        is_enforced=constraint.is_enforced,
        is_no_inherit=constraint.is_no_inherit,
        expression=kept(constraint.raw_expr),
    )
    context.database.constrain(relation, made)
    is_followed = not made.is_no_inherit or (not written.is_only and context.version >= NOT_NULLS_ARE_CONSTRAINTS)
    for child in children if is_followed else ():
        own = child.constraints.get(name)
        is_added = not made.is_no_inherit and (own is None or own.kind != "check")
        is_read = is_added and is_checked and holds_rows(child)
        context.effect("also lock", child, ACCESS_EXCLUSIVE, is_scan=is_read, object_name=name)
        if is_added:
            context.database.constrain(child, copied(made))


def _refuse_check(context: Context, relation: Relation, constraint: ddl_parts.Constraint, *, is_alone: bool) -> None:
    if b'"SubLink"' in bytes(constraint.raw_expr):
        context.refuse("cannot use subquery in check constraint")
    if is_alone and not constraint.is_no_inherit:
        context.refuse("constraint must be added to child tables too")
    if constraint.is_no_inherit and relation.kind == "partitioned table":
        context.refuse(f'cannot add NO INHERIT constraint to partitioned table "{relation.name.name}"')
    if not constraint.is_enforced and context.version < NOT_NULLS_ARE_CONSTRAINTS:
        context.refuse("CHECK … NOT ENFORCED needs PostgreSQL 18")


def _is_merged(context: Context, relation: Relation, constraint: ddl_parts.Constraint) -> bool:
    """The table has inherited the same CHECK under that name: the two are one."""
    existing = relation.constraints.get(constraint.conname) if constraint.conname else None
    if (
        existing is None
        or existing.kind != "check"
        or existing.is_local
        or not is_inherited(context, relation, existing)
        or not index_making.are_equal(existing.expression, constraint.raw_expr)
    ):
        return False
    existing.is_local = True
    return True


def _not_null(context: Context, relation: Relation, written: Written) -> None:  # noqa: C901 -- one thing after the other
    """NOT NULL behind a column only marks it; `ADD [CONSTRAINT name] NOT NULL column` is an action of its own."""
    constraint, columns = written.constraint, written.columns
    is_inline = columns is not None
    names_of = columns or names(constraint.keys)
    column = relation.columns.get(names_of[0]) if names_of else None
    name = given_name(context, relation, constraint) or ""
    is_validated = written.is_new_table or not constraint.skip_validation
    if is_inline:
        if column is not None:
            mark_not_null(context, relation, column, name, is_no_inherit=constraint.is_no_inherit)
        return
    if context.version < NOT_NULLS_ARE_CONSTRAINTS:
        context.refuse("a NOT NULL constraint of the table needs PostgreSQL 18")
    indexes.refuse_missing(context, relation, names_of)
    if written.is_only and relation.children and not constraint.is_no_inherit and not written.is_new_table:
        context.refuse("constraint must be added to child tables too")
    existing = not_null_of(relation, names_of[0]) if names_of else None
    shown = name or (existing.name if existing is not None else None)
    if shown is None and names_of:
        shown = naming.constraint_name(
            context.database, relation.name.schema, relation.name.name, names_of[0], "not_null", relation.constraints
        )
    is_scan = not written.is_new_table and is_validated and not is_surely_not_null(relation, names_of)
    context.effect(
        "add not null",
        relation,
        ACCESS_EXCLUSIVE,
        object_name=shown,
        columns=", ".join(names_of),
        column_name=names_of[0] if names_of else None,
        definition=texts.item(context, constraint.location),
        is_validated=is_validated,
        is_scan=is_scan and holds_rows(relation),
        reason="every row is checked" if is_scan else None,
    )
    if context.step.refusal is not None:
        return
    if column is not None:
        mark_not_null(
            context, relation, column, name, is_validated=is_validated, is_no_inherit=constraint.is_no_inherit
        )
    if written.is_new_table or constraint.is_no_inherit:
        return
    for child in context.database.descendants(relation):
        own = child.columns.get(names_of[0])
        context.effect(
            "also lock",
            child,
            ACCESS_EXCLUSIVE,
            is_scan=is_validated and not is_surely_not_null(child, names_of) and holds_rows(child),
        )
        if own is not None:
            mark_not_null(context, child, own, is_validated=is_validated)


_KINDS: dict[str, Callable[[Context, Relation, Written], None]] = {
    "CONSTR_CHECK": _check,
    "CONSTR_NOTNULL": _not_null,
    "CONSTR_PRIMARY": add_key,
    "CONSTR_UNIQUE": add_key,
    "CONSTR_EXCLUSION": add_key,
    "CONSTR_FOREIGN": add_foreign_key,
}
