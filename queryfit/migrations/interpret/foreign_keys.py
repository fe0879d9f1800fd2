"""Foreign keys."""

from __future__ import annotations

from collections.abc import Sequence

from queryfit.migrations.context import Context
from queryfit.migrations.interpret import indexes, naming, texts
from queryfit.migrations.interpret.constraint_state import (
    NOT_NULLS_ARE_CONSTRAINTS,
    Written,
    copied,
    given_name,
    holds_rows,
    primary_key,
)
from queryfit.migrations.model import Constraint, Name, Relation
from queryfit.migrations.steps import (
    ACCESS_EXCLUSIVE,
    SHARE_ROW_EXCLUSIVE,
)
from queryfit.sql import ddl_parts
from queryfit.sql.ddl_parts import names


def add_foreign_key(context: Context, relation: Relation, written: Written) -> None:
    constraint = written.constraint
    assert constraint.pktable is not None
    columns = written.columns or names(constraint.fk_attrs)
    database = context.database
    referenced = context.relation(constraint.pktable)
    target = names(constraint.pk_attrs)
    if not target and (key := primary_key(referenced)) is not None:
        target = key.columns
    is_checked = constraint.is_enforced and not constraint.skip_validation
    is_scan = is_checked and not written.is_new_table and not written.is_born_null
    name = given_name(context, relation, constraint)
    _refuse_foreign_key(context, relation, referenced, written, columns, target)
    if not name:
        name = naming.constraint_name(
            database, relation.name.schema, relation.name.name, naming.joined(columns), "fkey", relation.constraints
        )
    level = ACCESS_EXCLUSIVE if written.is_new_table else SHARE_ROW_EXCLUSIVE
    context.effect(
        "add foreign key",
        relation,
        level,
        object_name=name,
        columns=", ".join(columns),
        other_relation=referenced.text,
        new_name=", ".join(target) or None,
        definition=texts.item(context, constraint.location),
        is_validated=is_checked or written.is_new_table or written.is_born_null,
        is_scan=is_scan and holds_rows(relation),
        reason="every row's reference is looked up" if is_scan else None,
    )
    for table in (referenced, *(database.descendants(referenced) if referenced.kind == "partitioned table" else ())):
        if table is not relation:
            context.effect("also lock", table, SHARE_ROW_EXCLUSIVE, other_relation=relation.text)
    if context.step.refusal is not None:
        return
    made = Constraint(
        name,
        "foreign key",
        columns,
        is_validated=constraint.is_enforced and (is_checked or written.is_new_table or written.is_born_null),
        is_enforced=constraint.is_enforced,
        is_deferrable=constraint.deferrable,
        referenced=referenced.name,
        referenced_columns=target,
        behaviour=constraint.fk_matchtype + constraint.fk_upd_action + constraint.fk_del_action,
        referenced_index=_key(context, referenced, target, is_primary=not constraint.pk_attrs),
    )
    database.constrain(relation, made)
    if not written.is_new_table and relation.children:
        _go_below(context, relation, made, is_scan=is_scan, is_only=written.is_only)


def _go_below(context: Context, relation: Relation, made: Constraint, *, is_scan: bool, is_only: bool) -> None:
    """Partitions get the key, too; children of plain inheritance are locked from 18 on, and nothing else."""
    is_partitioned = relation.kind == "partitioned table"
    if not is_partitioned and (is_only or context.version < NOT_NULLS_ARE_CONSTRAINTS):
        return
    is_merged = False
    passed_over: set[Name] = set()
    for child in context.database.descendants(relation):
        if child.name in passed_over:
            continue
        unproven = unproven_key(context, child, made) if is_partitioned else None
        is_added = is_partitioned and unproven is None and inherit_foreign_key(context, child, made)
        if is_partitioned and not is_added:
            is_merged = True
            if context.version < NOT_NULLS_ARE_CONSTRAINTS:  # what is below it has the key, too, and is not visited
                passed_over |= {below.name for below in context.database.descendants(child)}
        context.effect(
            "also lock",
            child,
            SHARE_ROW_EXCLUSIVE,
            object_name=made.name,
            other_relation=made.referenced.text if is_partitioned and made.referenced is not None else None,
            is_scan=is_scan and (is_added or unproven is not None) and holds_rows(child),
        )
        if unproven is not None:
            unproven.is_validated = True
    referenced = context.database.relations.get(made.referenced) if made.referenced is not None else None
    if is_merged and referenced is not None:
        # two keys become one: the triggers of the partition's own one are dropped on the referenced table
        context.effect("also lock", referenced, ACCESS_EXCLUSIVE, other_relation=relation.text)


def _is_same(one: Constraint, other: Constraint) -> bool:
    return (
        one.kind == "foreign key"
        and one.columns == other.columns
        and one.referenced == other.referenced
        and one.referenced_columns == other.referenced_columns
        and one.behaviour == other.behaviour
        and one.is_deferrable == other.is_deferrable
    )


def unproven_key(context: Context, partition: Relation, constraint: Constraint) -> Constraint | None:
    """The partition's own NOT VALID foreign key that becomes part of a valid one of the parent: from 18 on."""
    if context.version < NOT_NULLS_ARE_CONSTRAINTS or not constraint.is_validated:
        return None
    for own in partition.constraints.values():
        if _is_same(own, constraint):
            return own if own.is_enforced and not own.is_validated else None
    return None


def inherit_foreign_key(context: Context, partition: Relation, constraint: Constraint) -> bool:
    """Give a partition a foreign key of its parent; False where it has the same one already."""
    for own in partition.constraints.values():
        if _is_same(own, constraint) and (own.is_validated or not constraint.is_validated):
            return False
    name = constraint.name
    if name in partition.constraints:
        name = naming.constraint_name(
            context.database,
            partition.name.schema,
            partition.name.name,
            naming.joined(constraint.columns),
            "fkey",
            partition.constraints,
        )
    context.database.constrain(partition, copied(constraint, name))
    return True


def _refuse_foreign_key(  # noqa: C901, PLR0917 -- a list of refusals
    context: Context,
    relation: Relation,
    referenced: Relation,
    written: Written,
    columns: Sequence[str],
    target: Sequence[str],
) -> None:
    constraint = written.constraint
    indexes.refuse_missing(context, relation, columns)
    table = relation.name.name
    if referenced.is_known and referenced.kind not in {"table", "partitioned table"}:
        context.refuse(f'referenced relation "{referenced.name.name}" is not a table')
        return
    if not constraint.is_enforced and context.version < NOT_NULLS_ARE_CONSTRAINTS:
        context.refuse("FOREIGN KEY … NOT ENFORCED needs PostgreSQL 18")
    if relation.kind == "partitioned table" and not written.is_new_table:
        if written.is_only:
            context.refuse(
                f'cannot use ONLY for foreign key on partitioned table "{table}" referencing relation '
                f'"{referenced.name.name}"'
            )
        if constraint.skip_validation and context.version < NOT_NULLS_ARE_CONSTRAINTS:
            context.refuse(
                f'cannot add NOT VALID foreign key on partitioned table "{table}" referencing relation '
                f'"{referenced.name.name}"'
            )
    kinds = {"permanent": ("permanent",), "unlogged": ("permanent", "unlogged"), "temporary": ("temporary",)}
    if referenced.is_known and relation.is_known and referenced.persistence not in kinds[relation.persistence]:
        context.refuse(f"constraints on {relation.persistence} tables may reference only {relation.persistence} tables")
    if relation is referenced and written.is_new_table:
        return  # its keys may come later in the same statement
    if not referenced.are_columns_known:
        return
    if not target:
        context.refuse(f'there is no primary key for referenced table "{referenced.name.name}"')
    elif not indexes.refuse_missing(context, referenced, target) and len(target) != len(columns):
        context.refuse("number of referencing and referenced columns for foreign key disagree")
    elif _differ(relation, columns, referenced, target):
        context.refuse(
            f'foreign key constraint cannot be implemented: types of "{table}" and "{referenced.name.name}" differ'
        )
    elif _key(context, referenced, target) is None:
        context.refuse(
            f'there is no unique constraint matching given keys for referenced table "{referenced.name.name}"'
        )


_FAMILIES = [
    {"int2", "int4", "int8"},
    {"text", "varchar", "bpchar"},
    {"uuid"},
    {"bool"},
    {"date", "timestamp", "timestamptz"},
    {"bytea"},
    {"jsonb"},
]
"""Built-in types that have an operator `=` among themselves, and none with those of another family."""


def _differ(relation: Relation, columns: Sequence[str], referenced: Relation, target: Sequence[str]) -> bool:
    """A column can surely not be compared with the one that it references."""
    for column, other in zip(columns, target, strict=True):
        one = relation.columns[column].type if column in relation.columns else None
        two = referenced.columns[other].type if other in referenced.columns else None
        if one is None or two is None or one.dimensions or two.dimensions:
            continue
        families = [next((place for place, family in enumerate(_FAMILIES) if kind.name in family), None)
                    for kind in (one, two) if kind.schema == "pg_catalog"]  # fmt: skip
        if len(families) == 2 and None not in families and families[0] != families[1]:  # noqa: PLR2004 -- both
            return True
    return False


def _key(context: Context, relation: Relation, columns: Sequence[str], *, is_primary: bool = False) -> Name | None:
    """The index that a foreign key to these columns relies on: the primary key's where none is named, or the oldest."""
    if is_primary and (primary := primary_key(relation)) is not None:
        return primary.index
    wanted = set(columns)
    found = [
        index
        for index in (context.database.indexes.get(name) for name in relation.indexes)
        if index is not None
        and (index.is_unique or index.method == "gist")
        and index.predicate is ddl_parts.NOTHING
        and set(index.columns) == wanted
    ]
    return min(found, key=lambda index: index.number).name if found else None
