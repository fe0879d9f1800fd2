"""ALTER COLUMN TYPE: what of a table is written, built or checked anew.

PostgreSQL takes every index and constraint over the column apart and makes it again. Where the rows stay, an index is
kept if its operator classes and collations stay too, unless it has an expression or a predicate, or belongs to a
partitioned table's index; a valid CHECK is always verified again, a foreign key only behind a rewrite.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Raw

from queryfit.migrations import coercion
from queryfit.migrations.context import Context
from queryfit.migrations.interpret import naming, texts
from queryfit.migrations.interpret.added_columns import INTEGERS, has_rows, rebuilds, typed_tables
from queryfit.migrations.interpret.column_definitions import collation, lock_sequences, refuse_gone, type_of_default
from queryfit.migrations.interpret.dropped_relations import index_reads
from queryfit.migrations.model import Column, Constraint, Database, Index, Name, Relation, Type
from queryfit.migrations.steps import ACCESS_EXCLUSIVE, SHARE_ROW_EXCLUSIVE
from queryfit.migrations.type_names import SERIALS, type_text
from queryfit.sql.ddl import AlterTableStmt
from queryfit.sql.ddl_parts import NOTHING, AlterTableCmd

_NUMBERS_OF_OIDS = (
    "oid", "regclass", "regproc", "regprocedure", "regoper", "regoperator", "regtype", "regrole", "regnamespace",
    "regcollation", "regconfig", "regdictionary",
)  # fmt: skip
_SAME_CLASSES = {"varchar": "text", "cidr": "inet"} | dict.fromkeys(_NUMBERS_OF_OIDS, "oid")
"""Types that are indexed by the operator classes of another one."""
_COLLATED = frozenset({"text", "varchar", "bpchar", "name", "citext"})


class _Changed(NamedTuple):
    """A column of a table that changes: its types and its collation, before and after."""

    name: str
    before: Type | None
    after: Type | None
    old_collation: Name | None
    new_collation: Name | None


class Rebuilt(NamedTuple):
    """What a table does beside the rewrite of its rows, or without it."""

    is_scan: bool
    is_index_rebuild: bool
    reason: str | None


def alter_type(  # noqa: C901 -- one thing after the other
    context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt
) -> None:
    """ALTER COLUMN TYPE, and ALTER ATTRIBUTE of a composite type."""
    definition = action.definition.ColumnDef
    if definition is None or definition.typeName is None:
        context.unfollowed("ALTER COLUMN TYPE without a type")
        return
    name = action.name
    after = context.type_of(definition.typeName)
    if statement.objtype == "OBJECT_TYPE":
        _alter_attribute(context, relation, name, after, action)
        return
    column = relation.columns.get(name)
    before = column.type if column is not None else None
    using = definition.raw_default
    change = coercion.change(context, name, before, after, using)
    new_collation = collation(definition.collClause)
    database = context.database
    is_only = statement.relation is not None and not statement.relation.inh
    children = list(database.descendants(relation)) if relation.children else []
    _refuse(context, relation, name, column, children, is_only=is_only)
    _refuse_conversion(context, name, column, after, change, is_using=using is not NOTHING)
    is_virtual = column is not None and column.generated == "v"
    is_rewrite = change.is_rewrite if has_rows(relation) and not is_virtual else False
    changed = _changed(relation, name, before, after, new_collation)
    again = rebuilt(context, relation, changed, is_rewrite=bool(is_rewrite))
    is_rebuild: bool | None = again.is_index_rebuild
    if change.verdict == "refused":
        is_rewrite = is_rebuild = False
    elif is_rewrite is None and not is_rebuild:
        is_rebuild = None if rebuilds(context, relation) else False
    context.effect(
        "alter column type",
        relation,
        ACCESS_EXCLUSIVE,
        column_name=name,
        type_before=type_text(before),
        type_after=type_text(after),
        is_rewrite=is_rewrite,
        is_scan=again.is_scan if change.verdict != "refused" else False,
        is_index_rebuild=is_rebuild,
        reason=change.reason if is_rewrite is not False else again.reason,
        other_relation=_looked_up(relation, name) if is_rewrite else None,
        definition=_using_text(context, definition.location, using),
        is_lossy=coercion.is_lossy(database, before, after),
        is_breaking=coercion.is_breaking(database, before, after),
        is_reversible=not coercion.is_lossy(database, before, after),
    )
    if context.step.refusal is not None:
        return
    _others(context, relation, name, is_rewrite=is_rewrite)
    if column is not None and column.identity:
        lock_sequences(context, relation, name, SHARE_ROW_EXCLUSIVE)
    for child in children:
        own = child.columns.get(name)
        child_rewrite = change.is_rewrite if has_rows(child) and not is_virtual else False
        changed = _changed(child, name, own.type if own else before, after, new_collation)
        below = rebuilt(context, child, changed, is_rewrite=bool(child_rewrite))
        context.effect("also lock", child, ACCESS_EXCLUSIVE, column_name=name, is_rewrite=child_rewrite,
                       is_scan=below.is_scan, is_index_rebuild=below.is_index_rebuild,
                       reason=change.reason if child_rewrite is not False else below.reason)  # fmt: skip
        _others(context, child, name, is_rewrite=child_rewrite)
        if own is not None:
            own.type, own.collation = after, new_collation
    if column is not None:
        column.type, column.collation = after, new_collation
    elif not relation.are_columns_known:
        # what else it has (NOT NULL, a default) stays unknown, but its type is known from here on
        relation.columns[name] = Column(name, after, collation=new_collation, default="unknown")


def _using_text(context: Context, location: int, using: Raw) -> str | None:
    """The USING expression as it is written."""
    if using is NOTHING:
        return None
    text = texts.item(context, location)
    place = text.lower().rfind(" using ")
    return text[place + 7 :] if place >= 0 else None


def _refuse(  # noqa: C901 -- a list of refusals
    context: Context, relation: Relation, name: str, column: Column | None, children: list[Relation], *, is_only: bool
) -> None:
    """What depends on the column so that its type cannot change."""
    table = relation.name.name
    if relation.kind in {"view", "materialized view", "sequence", "index"}:
        if relation.is_known:
            context.refuse(f'ALTER action ALTER COLUMN ... SET DATA TYPE cannot be performed on relation "{table}"')
        return
    if column is None and relation.are_columns_known:
        context.refuse(f'column "{name}" of relation "{table}" does not exist')
        return
    if relation.of_type is not None:
        context.refuse("cannot alter column type of typed table")
    if relation.is_partition or (column is not None and column.is_inherited and _inherits(context, relation, name)):
        context.refuse(f'cannot alter inherited column "{name}"')
    if name in relation.partition_key or any(name in child.partition_key for child in children):
        context.refuse(f'cannot alter column "{name}" because it is part of the partition key of relation "{table}"')
    if is_only and children:
        context.refuse(f'type of inherited column "{name}" must be changed in child tables too')
    if relation.name in context.database.row_types:
        user = used_in(context.database, relation.name)
        if user is not None:
            context.refuse(
                f'cannot alter table "{table}" because column "{user[0].name.name}.{user[1]}" uses its row type'
            )
    for place in (relation, *children):
        _refuse_users(context, place, name)


def _refuse_users(context: Context, relation: Relation, name: str) -> None:
    for view in context.database.views_on(relation.name, name):
        context.refuse(f"cannot alter type of a column used by a view or rule: {view.text} uses {name}")
        return
    held = holder(relation, name)
    if held is not None:
        context.refuse(f"cannot alter type of a column used in a {held[0]} definition: {held[1]} uses {name}")
    for other in relation.columns.values():
        if other.generated and other.name != name and name in naming.columns_of(other.generation_expression):
            context.refuse(f"cannot alter type of a column used by a generated column: {other.name} uses {name}")
            return


def holder(relation: Relation, name: str) -> tuple[str, str] | None:
    """A trigger or policy, by kind and name, that names the column."""
    for (kind, held_by), columns in relation.held.items():
        if name in columns and held_by in (relation.triggers if kind == "trigger" else relation.policies):
            return kind, held_by
    return None


def _inherits(context: Context, relation: Relation, name: str) -> bool:
    return any(
        (parent := context.database.relations.get(place)) is not None and name in parent.columns
        for place in relation.parents
    )


def _refuse_conversion(
    context: Context, name: str, column: Column | None, after: Type | None, change: coercion.Change, *, is_using: bool
) -> None:
    if after is not None and after.schema != "pg_catalog":
        refuse_gone(context, after)
    if after is not None and after.schema == "pg_catalog" and after.name in SERIALS:
        context.refuse(f'type "{after.name}" does not exist')
    if column is not None and column.generated and is_using:
        context.refuse("cannot specify USING when altering type of generated column")
    if column is not None and column.identity and after is not None and after not in INTEGERS:
        context.refuse("identity column type must be smallint, integer, or bigint")
    if change.verdict == "refused":
        what = "result of USING clause for column" if is_using else "column"
        context.refuse(f'{what} "{name}" cannot be cast automatically to type {type_text(after)}')
    elif column is not None and column.default_expression is not NOTHING:
        kind = type_of_default(context, column.type, column.default_expression)
        if kind is None and after is not None and Name(after.schema, after.name) in context.database.enums:
            kind = column.type  # whatever an expression gives, it is no enum if the column is none
        if coercion.cast(context, kind, after, is_explicit=False).verdict == "refused":
            context.refuse(f'default for column "{name}" cannot be cast automatically to type {type_text(after)}')


def _changed(relation: Relation, name: str, before: Type | None, after: Type | None, new: Name | None) -> _Changed:
    column = relation.columns.get(name)
    return _Changed(name, before, after, column.collation if column is not None else None, new)


def rebuilt(context: Context, relation: Relation, changed: _Changed, *, is_rewrite: bool) -> Rebuilt:
    """What is checked and built anew for the indexes and CHECKs over a column that changes."""
    name = changed.name
    if not has_rows(relation):
        return Rebuilt(False, False, None)
    if is_rewrite:
        return Rebuilt(_looked_up(relation, name) is not None, rebuilds(context, relation), None)
    reason = None
    is_scan = False
    for constraint in relation.constraints.values():
        if (
            constraint.kind == "check"
            and constraint.is_validated
            and constraint.is_enforced
            and _reads(constraint, name)
        ):
            is_scan = True
            reason = f"CHECK {constraint.name} is verified again"
            break
    is_rebuild = False
    for index in context.database.indexes_of(relation):
        if index_reads(index, name) and not _is_reused(context.database, index, changed):
            is_rebuild = True
            reason = f"index {index.name.name} is built again"
            break
    return Rebuilt(is_scan, is_rebuild, reason)


def _looked_up(relation: Relation, name: str) -> str | None:
    """The table in which a foreign key over a rewritten column is looked up again, for every row."""
    for constraint in relation.constraints.values():
        if (
            constraint.referenced is not None
            and constraint.is_validated
            and constraint.is_enforced
            and name in constraint.columns
        ):
            return constraint.referenced.text
    return None


def _reads(constraint: Constraint, name: str) -> bool:
    return name in (constraint.columns or naming.columns_of(constraint.expression))


def _is_reused(database: Database, index: Index, changed: _Changed) -> bool:
    """CheckIndexCompatible(): the index of before serves on as it is."""
    if index.expressions or index.predicate is not NOTHING or not index.is_valid or index.parent is not None:
        return False
    before, after = changed.before, changed.after
    if changed.name not in index.columns or before is None or after is None:
        return True
    old, new = coercion.base_of(database, before)[0] or before, coercion.base_of(database, after)[0] or after
    if old.dimensions and index.method == "gin":
        return False  # its entries are the elements: a class for any array does not fit their type
    if _class(old) != _class(new):
        return False
    place = index.columns.index(changed.name)
    own = index.collations[place] if place < len(index.collations) else None
    return not (own is None and new.name in _COLLATED and changed.old_collation != changed.new_collation)


def _class(kind: Type) -> tuple[str, str, bool]:
    name = _SAME_CLASSES.get(kind.name, kind.name) if kind.schema == "pg_catalog" else kind.name
    return (kind.schema, name, bool(kind.dimensions))


def _others(context: Context, relation: Relation, name: str, *, is_rewrite: bool | None) -> None:
    """Other tables that foreign keys over the column tie to this one: all are locked; behind a rewrite, checked."""
    done = {relation.name}
    for other, key, is_child in foreign_keys(context.database, relation, name):
        if other.name in done:
            continue
        done.add(other.name)
        is_scan: bool | None = False
        if is_child and key.is_validated and key.is_enforced and has_rows(other):
            is_scan = is_rewrite
        context.effect(
            "also lock",
            other,
            ACCESS_EXCLUSIVE,
            object_name=key.name,
            is_scan=is_scan,
            reason=f"foreign key {key.name} is checked again" if is_scan else None,
        )


def foreign_keys(database: Database, relation: Relation, name: str) -> Iterator[tuple[Relation, Constraint, bool]]:
    """The other tables of foreign keys over a column, and whether the other table is the referencing one."""
    for constraint in list(relation.constraints.values()):
        if constraint.kind == "foreign key" and name in constraint.columns and constraint.referenced is not None:
            other = database.relations.get(constraint.referenced)
            if other is not None:
                yield other, constraint, False
    for other, key in list(database.referencing(relation.name)):
        if name in key.referenced_columns:
            yield other, key, True


def _alter_attribute(
    context: Context, relation: Relation, name: str, after: Type | None, action: AlterTableCmd
) -> None:
    """ALTER TYPE … ALTER ATTRIBUTE … TYPE: refused while a table has a column of the type."""
    column = relation.columns.get(name)
    before = column.type if column is not None else None
    context.effect("alter type attribute", relation, ACCESS_EXCLUSIVE, relation_kind="type", column_name=name,
                   type_before=type_text(before), type_after=type_text(after), definition="alter attribute",
                   is_breaking=coercion.is_breaking(context.database, before, after))  # fmt: skip
    if column is None and relation.are_columns_known:
        context.refuse(f'column "{name}" of relation "{relation.name.name}" does not exist')
        return
    user = used_in(context.database, relation.name)
    if user is not None:
        context.refuse(
            f'cannot alter type "{relation.name.name}" because column "{user[0].name.name}.{user[1]}" uses it'
        )
        return
    tables = typed_tables(context, relation)
    if tables and action.behavior != "DROP_CASCADE":
        context.refuse(f'cannot alter type "{relation.name.name}" because it is the type of a typed table')
        return
    change = coercion.change(context, name, before, after)
    for table in tables:
        changed = _changed(table, name, before, after, None)
        again = rebuilt(context, table, changed, is_rewrite=change.verdict == "rewrite")
        context.effect("also lock", table, ACCESS_EXCLUSIVE, column_name=name, is_rewrite=change.is_rewrite,
                       is_scan=again.is_scan, is_index_rebuild=again.is_index_rebuild,
                       reason=change.reason)  # fmt: skip
        if name in table.columns:
            table.columns[name].type = after
    if column is not None:
        column.type = after


def columns_of_type(database: Database, name: Name) -> Iterator[tuple[Relation, str]]:
    """Columns of tables and materialized views of a type, or of an array of it."""
    for relation in database.relations.values():
        if relation.kind in {"view", "sequence", "index"}:
            continue
        for column in relation.columns.values():
            if column.type is not None and column.type.schema == name.schema and column.type.name == name.name:
                yield relation, column.name


def used_in(database: Database, name: Name) -> tuple[Relation, str] | None:
    """A table's column that holds values of a type: of it, of an array, a domain or a composite type with it inside."""
    pending, seen = [name], {name}
    while pending:
        place = pending.pop()
        for relation, column in columns_of_type(database, place):
            if relation.kind != "composite type":
                return relation, column
            if relation.name not in seen:
                seen.add(relation.name)
                pending.append(relation.name)
        for domain in database.domains.values():
            if domain.base is not None and domain.base[:2] == place and domain.name not in seen:
                seen.add(domain.name)
                pending.append(domain.name)
    return None
