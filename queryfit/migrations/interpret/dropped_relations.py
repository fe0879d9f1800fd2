"""DROP TABLE, VIEW and SEQUENCE, and what goes with relations and columns."""

from __future__ import annotations

from typing import Any

from queryfit.migrations.context import Context
from queryfit.migrations.interpret import constraint_state, naming, partitions
from queryfit.migrations.model import Index, Name, Relation
from queryfit.migrations.steps import ACCESS_EXCLUSIVE, Action
from queryfit.sql.ddl import DropStmt
from queryfit.sql.ddl_parts import NOTHING, Node, names

RELATIONS: dict[str, tuple[Action, str, str]] = {
    "OBJECT_TABLE": ("drop table", "table", "a table"),
    "OBJECT_FOREIGN_TABLE": ("drop table", "foreign table", "a foreign table"),
    "OBJECT_VIEW": ("drop view", "view", "a view"),
    "OBJECT_MATVIEW": ("drop view", "materialized view", "a materialized view"),
    "OBJECT_SEQUENCE": ("drop sequence", "sequence", "a sequence"),
}


def name_in(context: Context, entry: Node) -> Name | None:
    parts = names(entry.List.items) if entry.List is not None else ()
    if not parts:
        return None
    return Name(parts[-2], parts[-1]) if len(parts) > 1 else context.unqualified(parts[-1])


def drop_listed_relations(context: Context, statement: DropStmt, kind: str) -> None:
    """DROP TABLE, VIEW, SEQUENCE …: those of the list first, as they may need each other."""
    database = context.database
    action, relation_kind, word = RELATIONS[kind]
    is_cascade = statement.behavior == "DROP_CASCADE"
    named: dict[Name, Relation] = {}
    for entry in statement.objects:
        name = name_in(context, entry)
        if name is None:
            continue
        if context.is_absent(name, missing_ok=statement.missing_ok):
            effect = context.thing(action, name.text, relation_kind, is_present=False)
            effect.is_cascade = is_cascade
            if not statement.missing_ok:
                context.refuse(f'{relation_kind} "{name.name}" does not exist')
            continue
        relation = database.relations.get(name)
        if relation is None and name in database.indexes:
            context.refuse(f'"{name.name}" is not {word}')
            continue
        if relation is None:
            relation = Relation(name, relation_kind, is_known=False, are_columns_known=False)  # type: ignore[arg-type]
            database.put(relation)
        elif relation.is_known and not _fits(relation, relation_kind):
            context.refuse(f'"{name.name}" is not {word}')
        named[name] = relation
    if context.step.refusal is not None:
        return
    going = going_with(context, named, is_cascade=is_cascade)
    _refuse_partitions(context, named, going, is_cascade=is_cascade)
    for relation in named.values():
        is_table = action == "drop table"
        context.effect(
            action,
            relation,
            ACCESS_EXCLUSIVE,
            is_lossy=is_table,
            is_breaking=True,
            is_reversible=not is_table,
            is_cascade=is_cascade,
            columns=", ".join(relation.columns) if action == "drop view" and relation.are_columns_known else None,
        )
    drop_relations(context, going, named)


def _fits(relation: Relation, kind: str) -> bool:
    return relation.kind == kind or (kind == "table" and relation.kind == "partitioned table")


def going_with(context: Context, named: dict[Name, Relation], *, is_cascade: bool) -> dict[Name, Relation]:  # noqa: C901 -- one kind of dependent after the other
    """All that goes with them: partitions always; children, views and what else depends on them with CASCADE."""
    database = context.database
    going = dict(named)
    pending = list(named.values())
    while pending:
        relation = pending.pop()
        for name in sorted(relation.children):
            child = database.relations.get(name)
            if child is None or name in going:
                continue
            if not child.is_partition:
                _needs(context, relation, f"table {name.name}", is_cascade=is_cascade)
            going[name] = child
            pending.append(child)
        for view in database.views_on(relation.name):
            if view.name not in going:
                going[view.name] = view
                pending.append(view)
    for name, relation in going.items():
        if relation.depends_on and name not in named:
            _needs(context, next(iter(named.values())), f"view {name.name}", is_cascade=is_cascade)
        for other, constraint in database.referencing(name):
            if other.name not in going:
                _needs(
                    context, relation, f"constraint {constraint.name} on table {other.name.name}", is_cascade=is_cascade
                )
        is_owned = relation.owned_by is not None and relation.owned_by[0] not in going
        if relation.kind == "sequence" and name in named and is_owned:
            _refuse_sequence(context, relation, is_cascade=is_cascade)
    return going


def _refuse_partitions(
    context: Context, named: dict[Name, Relation], going: dict[Name, Relation], *, is_cascade: bool
) -> None:
    """A foreign key to a partitioned table holds each of its partitions."""
    for relation in named.values():
        if not relation.is_partition or is_cascade:
            continue
        for above in partitions.ancestors(context, relation):
            for other, constraint in context.database.referencing(above.name):
                if other.name not in going and above.name not in going:
                    _needs(
                        context, relation, f"constraint {constraint.name} on table {other.name.name}", is_cascade=False
                    )


def _needs(context: Context, relation: Relation, what: str, *, is_cascade: bool) -> None:
    if not is_cascade:
        context.refuse(f"cannot drop {relation.kind} {relation.name.name} because other objects depend on it: {what}")


def _refuse_sequence(context: Context, sequence: Relation, *, is_cascade: bool) -> None:
    assert sequence.owned_by is not None
    table = context.database.relations.get(sequence.owned_by[0])
    column = table.columns.get(sequence.owned_by[1]) if table is not None else None
    if column is None or table is None:
        return
    if column.identity:
        context.refuse(
            f"cannot drop sequence {sequence.name.name} because column {column.name} "
            f"of table {table.name.name} requires it"
        )
    elif column.default == "volatile" and not is_cascade and _is_serial(column.default_expression, sequence.name.name):
        _needs(
            context, sequence, f"default value for column {column.name} of table {table.name.name}", is_cascade=False
        )


def _is_serial(expression: Any, sequence: str) -> bool:
    """A column's default draws from the sequence: a serial has no expression of its own."""
    text = bytes(expression)
    return text == b"null" or sequence.encode() in text


def drop_relations(context: Context, going: dict[Name, Relation], named: dict[Name, Relation]) -> None:
    """Take relations out, with `also lock` effects for whatever they pull along or loosen."""
    if context.step.refusal is not None:
        return
    database = context.database
    locked: set[Name] = set(named)
    for name, relation in going.items():
        if name not in locked:
            locked.add(name)
            is_table = relation.kind in {"table", "partitioned table"}
            context.effect("also lock", relation, ACCESS_EXCLUSIVE, is_lossy=is_table, is_breaking=True)
    for name in going:
        for sequence in database.owned_sequences(name):
            if sequence.name not in locked:
                context.effect("also lock", sequence, ACCESS_EXCLUSIVE)
    for name, relation in going.items():
        _loosen(context, name, relation, going, locked)
    for name, relation in going.items():
        if relation.kind == "sequence" and relation.owned_by is not None:
            _forget_default(context, relation, going, locked)
        database.forget(name)


def _loosen(context: Context, name: Name, relation: Relation, going: dict[Name, Relation], locked: set[Name]) -> None:  # noqa: C901 -- one kind of tie after the other
    database = context.database
    others: list[Relation | None] = []
    for constraint in relation.constraints.values():
        referenced = database.relations.get(constraint.referenced) if constraint.referenced is not None else None
        if referenced is not None and not constraint_state.is_inherited(context, relation, constraint):
            if referenced.kind != "partitioned table" or context.version >= 15:  # noqa: PLR2004 -- the version that does
                others.append(referenced)
            others += [table for table in database.descendants(referenced) if table.is_partition]
    for parent in relation.parents:
        above = database.relations.get(parent)
        if above is None or not relation.is_partition:
            continue
        others.append(above)
        if above.default_partition is not None:
            others.append(database.relations.get(above.default_partition))
    holders = [name]
    if relation.is_partition:  # a key to the parent cannot stay without it
        holders += [above.name for above in partitions.ancestors(context, relation) if above.name not in going]
    for other, constraint in [pair for holder in holders for pair in database.referencing(holder)]:
        if other.name not in going:
            others.append(other)
            constraint_state.drop_state(context, other, constraint)
    for other_or_none in others:
        if other_or_none is not None and other_or_none.name not in locked and other_or_none.name not in going:
            locked.add(other_or_none.name)
            context.effect("also lock", other_or_none, ACCESS_EXCLUSIVE, other_relation=relation.text)


def _forget_default(context: Context, sequence: Relation, going: dict[Name, Relation], locked: set[Name]) -> None:
    """The default that draws from a sequence goes with it."""
    assert sequence.owned_by is not None
    table = context.database.relations.get(sequence.owned_by[0])
    column = table.columns.get(sequence.owned_by[1]) if table is not None else None
    if column is not None and column.default == "volatile" and not column.identity:
        if table is not None and table.name not in locked and table.name not in going:
            context.effect("also lock", table, ACCESS_EXCLUSIVE, column_name=column.name)
        column.default = None
        column.default_expression = NOTHING


def forget_column(context: Context, relation: Relation, column: str) -> None:
    """Take a column out, with the indexes, constraints and sequences that need it."""
    database = context.database
    relation.columns.pop(column, None)
    for constraint in list(relation.constraints.values()):
        if column in constraint.columns:
            constraint_state.drop_state(context, relation, constraint)
    for index in database.indexes_of(relation):
        if index_reads(index, column):
            database.forget_index(index.name)
    for other, key in list(database.referencing(relation.name)):
        if column in key.referenced_columns:
            constraint_state.drop_state(context, other, key)
    for sequence in database.owned_sequences(relation.name, column):
        database.forget(sequence.name)
    for view in list(database.views_on(relation.name, column)):
        database.forget(view.name)


def index_reads(index: Index, column: str) -> bool:
    """An index has the column as a key, beside its keys, in an expression or in its predicate."""
    if column in index.columns or column in index.included:
        return True
    return any(column in naming.columns_of(part) for part in (*index.expressions, index.predicate))
