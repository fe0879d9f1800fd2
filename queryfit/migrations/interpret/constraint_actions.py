"""ALTER TABLE … ADD, VALIDATE, ALTER and DROP CONSTRAINT."""

from __future__ import annotations

from typing import Any

from queryfit.migrations.context import Context
from queryfit.migrations.interpret import proofs
from queryfit.migrations.interpret.constraint_state import (
    NOT_NULLS_ARE_CONSTRAINTS,
    depending_keys,
    drop_state,
    holds_rows,
    is_inherited,
    not_null_of,
    primary_key,
)
from queryfit.migrations.interpret.constraints import add_constraint
from queryfit.migrations.model import Constraint, Relation
from queryfit.migrations.steps import (
    ACCESS_EXCLUSIVE,
    ROW_SHARE,
    SHARE_UPDATE_EXCLUSIVE,
    Action,
)
from queryfit.sql.ddl import AlterTableStmt
from queryfit.sql.ddl_parts import AlterTableCmd, tree


def _add(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    constraint = action.definition.Constraint
    assert constraint is not None
    is_only = statement.relation is not None and not statement.relation.inh
    add_constraint(context, relation, constraint, None, is_new_table=False, is_only=is_only)


def _missing(context: Context, relation: Relation, action: AlterTableCmd, what: Action) -> bool:
    """The constraint is surely not there: say so, or refuse."""
    if action.name in relation.constraints or not relation.are_columns_known:
        return False
    if (
        relation.is_known
        and not relation.constraints
        and relation.kind not in {"table", "partitioned table", "foreign table"}
    ):
        return False
    if action.missing_ok:
        context.effect(what, relation, ACCESS_EXCLUSIVE, object_name=action.name, is_present=False)
    else:
        context.effect(what, relation, ACCESS_EXCLUSIVE, object_name=action.name)
        context.refuse(f'constraint "{action.name}" of relation "{relation.name.name}" does not exist')
    return True


def _validate(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    """VALIDATE CONSTRAINT reads the table under a lock that lets writers go on."""
    if _missing(context, relation, action, "validate constraint"):
        context.effects[-1].lock_level = SHARE_UPDATE_EXCLUSIVE
        return
    constraint = relation.constraints.get(action.name)
    level = SHARE_UPDATE_EXCLUSIVE
    is_needed = constraint is None or not constraint.is_validated
    if constraint is not None and not constraint.is_enforced:
        context.refuse(f'cannot validate NOT ENFORCED constraint "{action.name}"')
    kind = constraint.kind if constraint is not None else None
    if kind in {"primary key", "unique", "exclusion"}:
        context.refuse(
            f'constraint "{action.name}" of relation "{relation.name.name}" cannot be validated: it is a {kind}'
        )
    is_scan = is_needed and holds_rows(relation)
    if constraint is not None and constraint.kind == "not null" and is_scan:
        is_scan = not proofs.forbids_null(relation, constraint.columns[0])
    context.effect(
        "validate constraint",
        relation,
        level,
        object_name=action.name,
        definition=kind,
        columns=", ".join(constraint.columns) if constraint is not None else None,
        other_relation=constraint.referenced.text if constraint is not None and constraint.referenced else None,
        is_scan=is_scan,
        is_validated=True,
        reason="every row is checked" if is_scan else None,
    )
    if context.step.refusal is not None or constraint is None:
        return
    if is_needed and constraint.referenced is not None and constraint.referenced != relation.name:
        referenced = context.database.relations.get(constraint.referenced)
        if referenced is not None:
            context.effect("also lock", referenced, ROW_SHARE, other_relation=relation.text)
    is_only = statement.relation is not None and not statement.relation.inh
    if is_needed and not constraint.is_no_inherit:
        _validate_below(context, relation, constraint, is_only)
    constraint.is_validated = True
    _note_validated(relation, constraint)


def _validate_below(context: Context, relation: Relation, constraint: Constraint, is_only: bool) -> None:
    for child in context.database.descendants(relation):
        if constraint.kind == "foreign key" and relation.kind != "partitioned table":
            return  # children of plain inheritance have foreign keys of their own
        if constraint.kind != "foreign key" and is_only:
            context.refuse("constraint must be validated on child tables too")
            return
        own = child.constraints.get(constraint.name)
        if own is None and constraint.kind == "not null":
            own = not_null_of(child, constraint.columns[0])
        is_scan = (own is None or not own.is_validated) and holds_rows(child)
        if is_scan and constraint.kind == "not null":
            is_scan = not proofs.forbids_null(child, constraint.columns[0])
        context.effect("also lock", child, SHARE_UPDATE_EXCLUSIVE, is_scan=is_scan, object_name=constraint.name)
        if own is not None:
            own.is_validated = True
            _note_validated(child, own)


def _note_validated(relation: Relation, constraint: Constraint) -> None:
    if constraint.kind == "not null" and (column := relation.columns.get(constraint.columns[0])) is not None:
        column.is_not_null_validated = True


def _alter(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    """ALTER CONSTRAINT: deferrability, and from 18 on enforcement and inheritance."""
    del statement
    change = (tree(action.def_) or {}).get("ATAlterConstraint") or (tree(action.def_) or {}).get("Constraint") or {}
    name = str(change.get("conname", ""))
    constraint = relation.constraints.get(name)
    if constraint is None and relation.are_columns_known:
        context.effect("alter constraint", relation, ACCESS_EXCLUSIVE, object_name=name)
        context.refuse(f'constraint "{name}" of relation "{relation.name.name}" does not exist')
        return
    changes_enforcement = bool(change.get("alterEnforceability"))
    is_enforced = bool(change.get("is_enforced"))
    _refuse_alter(context, relation, constraint, change)
    is_scan = changes_enforcement and is_enforced and (constraint is None or not constraint.is_enforced)
    definition = "not enforced" if changes_enforcement and not is_enforced else None
    if is_scan:
        definition = "enforced"
    context.effect(
        "alter constraint",
        relation,
        ACCESS_EXCLUSIVE,
        object_name=name,
        definition=definition,
        is_scan=is_scan and holds_rows(relation),
        reason="every row's reference is looked up" if is_scan else None,
    )
    if constraint is None:
        return
    if relation.kind == "partitioned table" and constraint.kind == "foreign key":
        for child in context.database.descendants(relation):
            context.effect(
                "also lock", child, ACCESS_EXCLUSIVE, object_name=name, is_scan=is_scan and holds_rows(child)
            )
    referenced = context.database.relations.get(constraint.referenced) if constraint.referenced is not None else None
    if (
        changes_enforcement
        and is_enforced != constraint.is_enforced
        and referenced is not None
        and referenced is not relation
    ):
        context.effect("also lock", referenced, ACCESS_EXCLUSIVE, other_relation=relation.text)
    if context.step.refusal is None:
        _change(constraint, change)


def _refuse_alter(context: Context, relation: Relation, constraint: Constraint | None, change: dict[str, Any]) -> None:
    changes_inheritance = bool(change.get("alterInheritability"))
    is_of_18 = changes_inheritance or bool(change.get("alterEnforceability"))
    if is_of_18 and context.version < NOT_NULLS_ARE_CONSTRAINTS:
        context.refuse("this form of ALTER CONSTRAINT needs PostgreSQL 18")
    if constraint is None:
        return
    subject = f'constraint "{constraint.name}" of relation "{relation.name.name}"'
    if changes_inheritance and constraint.kind != "not null":
        context.refuse(f"{subject} is not a not-null constraint")
    if constraint.kind != "foreign key" and not changes_inheritance:
        context.refuse(f"{subject} is not a foreign key constraint")


def _change(constraint: Constraint, change: dict[str, Any]) -> None:
    if change.get("alterDeferrability"):
        constraint.is_deferrable = bool(change.get("deferrable"))
    if change.get("alterEnforceability"):
        constraint.is_enforced = constraint.is_validated = bool(change.get("is_enforced"))
    if change.get("alterInheritability"):
        constraint.is_no_inherit = bool(change.get("noinherit"))


def _drop(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    """DROP CONSTRAINT; all partitions of a table are locked, whether they have it or not."""
    first = len(context.effects)
    _drop_it(context, relation, action, statement)
    if relation.kind == "partitioned table" and context.step.refusal is None:
        named = {effect.relation for effect in context.effects[first:]}
        for child in context.database.descendants(relation):
            if child.text not in named:
                context.effect("also lock", child, ACCESS_EXCLUSIVE, object_name=action.name)


def _drop_it(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    if _missing(context, relation, action, "drop constraint"):
        return
    constraint = relation.constraints.get(action.name)
    is_cascade = action.behavior == "DROP_CASCADE"
    context.effect(
        "drop constraint",
        relation,
        ACCESS_EXCLUSIVE,
        object_name=action.name,
        definition=constraint.kind if constraint is not None else None,
        columns=", ".join(constraint.columns) if constraint is not None else None,
        other_relation=constraint.referenced.text if constraint is not None and constraint.referenced else None,
        is_cascade=is_cascade,
        is_breaking=False,
    )
    if constraint is None:
        return
    if is_inherited(context, relation, constraint):
        context.refuse(f'cannot drop inherited constraint "{action.name}" of relation "{relation.name.name}"')
        return
    if not _loosen(context, relation, constraint, is_cascade=is_cascade):
        return
    is_only = statement.relation is not None and not statement.relation.inh
    if not is_only or constraint.kind not in {"check", "not null"}:
        _drop_below(context, relation, constraint)
    else:
        _leave_below(context, relation, constraint)
    drop_state(context, relation, constraint)


def _loosen(context: Context, relation: Relation, constraint: Constraint, *, is_cascade: bool) -> bool:
    """What depends on a constraint goes with it, tables that it ties are locked; False where PostgreSQL refuses."""
    if constraint.kind in {"primary key", "unique"}:
        dependents = depending_keys(context, relation, constraint)
        if dependents and not is_cascade:
            context.refuse(
                f"cannot drop constraint {constraint.name} on table {relation.name.name} "
                "because other objects depend on it"
            )
            return False
        for other, key in dependents:
            if other is not relation:
                context.effect("also lock", other, ACCESS_EXCLUSIVE, object_name=key.name)
            drop_state(context, other, key)
    if constraint.kind == "not null":
        column = constraint.columns[0]
        primary = primary_key(relation)
        if primary is not None and column in primary.columns:
            context.refuse(f'column "{column}" is in a primary key')
            return False
    referenced = context.database.relations.get(constraint.referenced) if constraint.referenced is not None else None
    if referenced is not None and referenced is not relation:
        for table in (referenced, *context.database.descendants(referenced)):
            if table is referenced or table.is_partition:
                context.effect("also lock", table, ACCESS_EXCLUSIVE, other_relation=relation.text)
    return True


def _leave_below(context: Context, relation: Relation, constraint: Constraint) -> None:
    """With ONLY, children keep what they inherited as their own."""
    is_deep = relation.kind == "partitioned table" and context.version >= NOT_NULLS_ARE_CONSTRAINTS
    for child in context.database.descendants(relation):
        if child.name in relation.children and (own := child.constraints.get(constraint.name)) is not None:
            own.is_local = True
        if is_deep or child.name in relation.children:
            context.effect("also lock", child, ACCESS_EXCLUSIVE, object_name=constraint.name)


def _drop_below(context: Context, relation: Relation, constraint: Constraint) -> None:
    """Children lose what they inherited."""
    if constraint.is_no_inherit:
        return
    database = context.database
    for child in list(database.descendants(relation)):
        if constraint.kind in {"check", "not null"} or relation.kind == "partitioned table":
            context.effect("also lock", child, ACCESS_EXCLUSIVE, object_name=constraint.name)
        own = _counterpart(child, constraint, is_partitioned=relation.kind == "partitioned table")
        if own is None or (own.kind in {"check", "not null"} and _is_kept(context, child, own, constraint, relation)):
            continue
        drop_state(context, child, own)


def _counterpart(child: Relation, constraint: Constraint, *, is_partitioned: bool) -> Constraint | None:
    """What a child has of a constraint of its parent."""
    if constraint.kind == "check":
        return child.constraints.get(constraint.name)
    if constraint.kind == "not null":
        return not_null_of(child, constraint.columns[0])
    if is_partitioned:
        for other in child.constraints.values():
            if (other.kind, other.columns, other.referenced) == (
                constraint.kind, constraint.columns, constraint.referenced,
            ):  # fmt: skip
                return other
    return None


def _is_kept(context: Context, child: Relation, own: Constraint, constraint: Constraint, dropping: Relation) -> bool:
    """The child has the constraint itself, or from another parent that keeps it."""
    if own.is_local:
        return True
    for parent in child.parents:
        above = context.database.relations.get(parent)
        if above is None or above is dropping:
            continue
        if constraint.kind == "check" and constraint.name in above.constraints:
            return True
        if constraint.kind == "not null" and not_null_of(above, constraint.columns[0]) is not None:
            return True
    return False


ACTIONS: dict[str, Any] = {
    "AT_AddConstraint": _add,
    "AT_ValidateConstraint": _validate,
    "AT_AlterConstraint": _alter,
    "AT_DropConstraint": _drop,
}
