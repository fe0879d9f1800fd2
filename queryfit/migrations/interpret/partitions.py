"""Partitions: attached, detached, made by CREATE TABLE … PARTITION OF."""

from __future__ import annotations

from typing import Any

from queryfit.migrations.context import Context
from queryfit.migrations.interpret import bounds, foreign_keys, index_making, indexes, naming
from queryfit.migrations.model import Constraint, Name, Relation
from queryfit.migrations.steps import ACCESS_EXCLUSIVE, SHARE_ROW_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE
from queryfit.sql.ddl import AlterTableStmt
from queryfit.sql.ddl_parts import AlterTableCmd, PartitionBoundSpec


def announce(context: Context, relation: Relation, parent: Relation, bound: PartitionBoundSpec) -> None:
    """What CREATE TABLE … PARTITION OF does to the parent and to its default partition."""
    refuse_bound(context, parent, relation.name.name, bound)
    context.effect(
        "create partition", parent, ACCESS_EXCLUSIVE, other_relation=relation.text, is_default=bound.is_default
    )
    if context.step.refusal is None:
        _scan_default(context, parent, bound, relation)
    _lock_referencing(context, parent, relation)


_REFERENCING_SINCE = 15


def _lock_referencing(context: Context, parent: Relation, partition: Relation) -> None:
    """Tables whose foreign keys point at the parent get to know of the new partition."""
    if context.version < _REFERENCING_SINCE:
        return
    for above in (parent, *ancestors(context, parent)):
        for other, _ in context.database.referencing(above.name):
            context.effect("also lock", other, SHARE_ROW_EXCLUSIVE, other_relation=partition.text)


def ancestors(context: Context, relation: Relation) -> list[Relation]:
    """The tables above, nearest first."""
    found: list[Relation] = []
    pending = list(relation.parents)
    while pending:
        above = context.database.relations.get(pending.pop(0))
        if above is not None and above not in found:
            found.append(above)
            pending += above.parents
    return found


def refuse_bound(context: Context, parent: Relation, new: str, bound: PartitionBoundSpec) -> None:
    """A bound must not overlap those that are there."""
    if bound.is_default and parent.default_partition is not None:
        context.refuse(f'partition "{new}" conflicts with existing default partition "{parent.default_partition.name}"')
        return
    overlapping = [
        name
        for name in parent.children
        if (sibling := context.database.relations.get(name)) is not None
        and sibling.bound is not None
        and bounds.overlap(parent, bound, sibling.bound)
    ]
    if overlapping:
        context.refuse(f'partition "{new}" would overlap partition "{min(overlapping).name}"')


def _scan_default(context: Context, parent: Relation, bound: PartitionBoundSpec, partition: Relation) -> None:
    """The default partition is read: rows in it may belong to the new one."""
    if bound.is_default:
        return
    default = context.database.relations.get(parent.default_partition) if parent.default_partition is not None else None
    if default is None or default is partition:
        return
    for table in (default, *context.database.descendants(default)):
        is_scan: bool | None = table.kind == "table"
        if is_scan:
            proven = bounds.excludes(default, parent, bound) or bounds.excludes(table, parent, bound)
            is_scan = None if proven is None else not proven
        context.effect(
            "also lock",
            table,
            ACCESS_EXCLUSIVE,
            is_scan=is_scan,
            is_default=True,
            reason="rows of the default partition may belong to the new one" if is_scan else None,
        )


def settle(context: Context, partition: Relation, parent: Relation, *, is_new_table: bool) -> set[Name]:
    """Give a new partition the indexes, keys and triggers of its parent; the tables on which indexes are built."""
    database = context.database
    built: set[Name] = set()
    for index in database.indexes_of(parent):
        if any(own.parent == index.name for own in database.indexes_of(partition)):
            continue
        built |= index_making.clone(context, index, partition, is_valid_only=not is_new_table)
    for constraint in list(parent.constraints.values()):
        if constraint.kind != "foreign key" or constraint.referenced is None:
            continue
        referenced = database.relations.get(constraint.referenced)
        is_added = False
        for table in (partition, *database.descendants(partition)):
            unproven = foreign_keys.unproven_key(context, table, constraint)
            if unproven is not None and referenced is not None:
                _validate_key(context, table, unproven, referenced)
            elif foreign_keys.inherit_foreign_key(context, table, constraint):
                is_added = True
                if not is_new_table and referenced is not None:
                    _tell_key(context, table, constraint, referenced)
        if referenced is not None:
            level = SHARE_ROW_EXCLUSIVE if is_added else ACCESS_EXCLUSIVE  # two keys become one
            context.effect("also lock", referenced, level, other_relation=partition.text)
    partition.triggers |= parent.triggers
    return built


def _validate_key(context: Context, table: Relation, constraint: Constraint, referenced: Relation) -> None:
    """A NOT VALID foreign key of the partition becomes part of the parent's valid one."""
    is_scan = table.kind == "table"
    context.effect(
        "validate constraint",
        table,
        SHARE_ROW_EXCLUSIVE,
        object_name=constraint.name,
        columns=", ".join(constraint.columns),
        other_relation=referenced.text,
        definition="foreign key",
        is_validated=True,
        is_scan=is_scan,
        reason="every row's reference is looked up" if is_scan else None,
    )
    constraint.is_validated = True


def _tell_key(context: Context, table: Relation, constraint: Constraint, referenced: Relation) -> None:
    """A foreign key that comes with the parent is checked for the rows that are there."""
    is_scan = constraint.is_validated and constraint.is_enforced and table.kind == "table"
    context.effect(
        "add foreign key",
        table,
        SHARE_ROW_EXCLUSIVE,
        object_name=constraint.name,
        columns=", ".join(constraint.columns),
        other_relation=referenced.text,
        new_name=", ".join(constraint.referenced_columns) or None,
        is_validated=constraint.is_validated,
        is_scan=is_scan,
        reason="every row's reference is looked up" if is_scan else None,
    )


def _attach(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:  # noqa: C901 -- one thing after the other
    """ATTACH PARTITION: the partition is read, unless a validated CHECK says what its bound says."""
    del statement
    command = action.definition.PartitionCmd
    assert command is not None
    assert command.name is not None
    bound = command.bound or PartitionBoundSpec()
    partition = context.relation(command.name)
    context.effect(
        "attach partition", relation, SHARE_UPDATE_EXCLUSIVE, other_relation=partition.text, is_default=bound.is_default
    )
    if not relation.is_known:
        relation.kind = "partitioned table"
    elif relation.kind != "partitioned table":
        context.refuse(f'table "{relation.name.name}" is not partitioned')
        return
    _refuse(context, relation, partition, bound)
    if context.step.refusal is not None:
        context.effect("also lock", partition, ACCESS_EXCLUSIVE)
        return
    first = len(context.effects)
    for table in (partition, *context.database.descendants(partition)):
        is_scan = _is_scanned(context, relation, partition, table, bound)
        context.effect(
            "also lock",
            table,
            ACCESS_EXCLUSIVE,
            is_scan=is_scan,
            reason="no validated CHECK proves that its rows fit the bound" if is_scan else None,
        )
    last = len(context.effects)
    _scan_default(context, relation, bound, partition)
    _lock_referencing(context, relation, partition)
    partition.parents = (*partition.parents, relation.name)
    relation.children.add(partition.name)
    partition.bound = bound
    if bound.is_default:
        relation.default_partition = partition.name
    for column in relation.columns.values():
        own = partition.columns.get(column.name)
        if own is not None:
            own.is_inherited = True
            own.identity = column.identity
    for constraint in relation.constraints.values():
        merged = partition.constraints.get(constraint.name)
        if constraint.kind == "check" and merged is not None and merged.kind == "check":
            merged.is_local = False  # never a partition's own
    built = {name.text for name in settle(context, partition, relation, is_new_table=False)}
    for effect in context.effects[first:last]:
        effect.is_index_build = effect.relation in built
    for index in context.database.indexes_of(relation):
        indexes.validate_parent(context, index)


def _is_scanned(
    context: Context, relation: Relation, partition: Relation, table: Relation, bound: PartitionBoundSpec
) -> bool | None:
    """Whether a table is read to see that its rows fit the bound; None where constraints or the key are not known."""
    if table.kind in {"partitioned table", "foreign table"}:
        return False
    if not relation.is_known or not relation.partition_key:
        return None
    database = context.database
    proven: bool | None = False
    for place in (partition, table):
        if bound.is_default:
            proven = proven or bounds.fits_default(database, place, relation, partition)
        else:
            proven = proven or bounds.fits(database, place, relation, bound)
    return None if proven is None else not proven


def _refuse(context: Context, relation: Relation, partition: Relation, bound: PartitionBoundSpec) -> None:
    name = partition.name.name
    if partition.is_known and partition.is_partition:
        context.refuse(f'"{name}" is already a partition')
    elif partition.is_known and partition.kind not in {"table", "partitioned table", "foreign table"}:
        context.refuse(f'"{name}" is a {partition.kind}, and no table')
    elif partition.parents:
        context.refuse("cannot attach inheritance child as partition")
    elif partition.children and partition.kind == "table":
        context.refuse("cannot attach inheritance parent as partition")
    if partition is relation or partition in ancestors(context, relation):
        context.refuse("circular inheritance not allowed")
    refuse_bound(context, relation, name, bound)
    if relation.are_columns_known and partition.are_columns_known:
        _refuse_columns(context, relation, partition)


def _refuse_columns(context: Context, relation: Relation, partition: Relation) -> None:
    for column in partition.columns.values():
        if column.name not in relation.columns:
            context.refuse(
                f'table "{partition.name.name}" contains column "{column.name}" not found in parent '
                f'"{relation.name.name}"'
            )
    for column in relation.columns.values():
        own = partition.columns.get(column.name)
        if own is None:
            context.refuse(f'child table is missing column "{column.name}"')
        elif column.is_not_null and not own.is_not_null:
            context.refuse(f'column "{column.name}" in child table "{partition.name.name}" must be marked NOT NULL')
        elif own.type is not None and column.type is not None and own.type != column.type:
            context.refuse(f'child table "{partition.name.name}" has different type for column "{column.name}"')
    for constraint in relation.constraints.values():
        if constraint.kind == "check" and constraint.name not in partition.constraints:
            context.refuse(f'child table is missing constraint "{constraint.name}"')


_DETACH_CONCURRENTLY_SINCE = 14


def _detach(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    """DETACH PARTITION, CONCURRENTLY, or the FINALIZE of an interrupted one."""
    del statement
    command = action.definition.PartitionCmd
    assert command is not None
    assert command.name is not None
    partition = context.relation(command.name)
    is_final = action.subtype == "AT_DetachPartitionFinalize"
    level = SHARE_UPDATE_EXCLUSIVE if command.concurrent or is_final else ACCESS_EXCLUSIVE
    step = context.step
    if command.concurrent:
        step.is_concurrent = True
        step.refused_in_transaction = "ALTER TABLE ... DETACH CONCURRENTLY"
        if context.version < _DETACH_CONCURRENTLY_SINCE:
            context.refuse("DETACH PARTITION … CONCURRENTLY needs PostgreSQL 14")
        if context.is_in_block:
            context.refuse("ALTER TABLE ... DETACH CONCURRENTLY cannot run inside a transaction block")
        if relation.default_partition is not None:
            context.refuse("cannot detach partitions concurrently when a default partition exists")
    if partition.is_known and relation.is_known and relation.name not in partition.parents:
        context.refuse(f'relation "{partition.name.name}" is not a partition of relation "{relation.name.name}"')
    context.effect(
        "detach partition",
        relation,
        level,
        other_relation=partition.text,
        is_concurrent=command.concurrent,
        is_default=relation.default_partition == partition.name,
    )
    _lock_detached(context, relation, partition)
    if relation.default_partition is not None and relation.default_partition != partition.name:
        default = context.database.relations.get(relation.default_partition)
        if default is not None:
            context.effect("also lock", default, ACCESS_EXCLUSIVE, is_default=True)
    if step.refusal is not None:
        return
    _lock_keys(context, relation, partition)
    if command.concurrent and not (
        partition.bound and bounds.fits(context.database, partition, relation, partition.bound)
    ):
        _keep_bound(context, partition, relation)
    detach_state(context, partition, relation)


def _lock_keys(context: Context, relation: Relation, partition: Relation) -> None:
    """Foreign keys to the parent are looked up for rows of the partition; its own ones become its own."""
    database = context.database
    for above in (relation, *ancestors(context, relation)):
        for other, _ in database.referencing(above.name):
            if other is not partition:
                context.effect("also lock", other, ACCESS_EXCLUSIVE, other_relation=partition.text,
                               is_scan=other.kind != "partitioned table",
                               reason="no row may reference the partition")  # fmt: skip
    for constraint in relation.constraints.values():
        referenced = database.relations.get(constraint.referenced) if constraint.referenced is not None else None
        if referenced is not None:
            context.effect("also lock", referenced, SHARE_ROW_EXCLUSIVE, other_relation=partition.text)


def _keep_bound(context: Context, partition: Relation, relation: Relation) -> None:
    """DETACH CONCURRENTLY leaves the bound behind as a CHECK."""
    keys = [key for key in relation.partition_key if key is not None]
    if not keys:
        return
    name = naming.constraint_name(
        context.database, partition.name.schema, partition.name.name, keys[0] if len(keys) == 1 else "", "check",
        partition.constraints,
    )  # fmt: skip
    context.database.constrain(partition, Constraint(name, "check", tuple(keys)))


def _lock_detached(context: Context, relation: Relation, partition: Relation) -> None:
    """Before 14 the partition itself was locked weakly, but its indexes as they leave those of the parent."""
    is_strong = context.version >= _DETACH_CONCURRENTLY_SINCE or relation.default_partition == partition.name
    is_strong = is_strong or any(context.database.referencing(relation.name))
    for table in (partition, *context.database.descendants(partition)):
        context.effect("also lock", table, ACCESS_EXCLUSIVE if is_strong else SHARE_UPDATE_EXCLUSIVE)
    if not is_strong:
        for index in context.database.indexes_of(partition):
            if index.parent is not None:
                indexes.on_index(context, index.name, "also lock", ACCESS_EXCLUSIVE)


def detach_state(context: Context, partition: Relation, relation: Relation) -> None:
    """A partition is a table of its own again, with the indexes and keys it has."""
    relation.children.discard(partition.name)
    partition.parents = tuple(name for name in partition.parents if name != relation.name)
    partition.bound = None
    if relation.default_partition == partition.name:
        relation.default_partition = None
    for index in context.database.indexes_of(partition):
        index.parent = None
    for constraint in partition.constraints.values():
        constraint.is_local = True
    for column in partition.columns.values():
        column.is_inherited = column.is_own = False
        column.identity = ""


ACTIONS: dict[str, Any] = {
    "AT_AttachPartition": _attach,
    "AT_DetachPartition": _detach,
    "AT_DetachPartitionFinalize": _detach,
}
