"""Primary keys, unique and exclusion constraints, with the indexes behind them."""

from __future__ import annotations

from collections.abc import Sequence

from queryfit.migrations.context import Context
from queryfit.migrations.interpret import index_making, indexes, naming, texts
from queryfit.migrations.interpret.constraint_state import (
    NOT_NULLS_ARE_CONSTRAINTS,
    Written,
    given_name,
    holds_rows,
    is_surely_not_null,
    mark_not_null,
    primary_key,
)
from queryfit.migrations.model import Constraint, Index, Name, Relation
from queryfit.migrations.steps import (
    ACCESS_EXCLUSIVE,
    SHARE,
    Action,
)
from queryfit.sql import ddl_parts
from queryfit.sql.ddl_parts import IndexElem, kept, names

_INDEX_KINDS: dict[str, tuple[index_making.ConstraintKind, Action]] = {
    "CONSTR_PRIMARY": ("primary key", "add primary key"),
    "CONSTR_UNIQUE": ("unique", "add unique"),
    "CONSTR_EXCLUSION": ("exclusion", "add exclusion"),
}


def add_key(context: Context, relation: Relation, written: Written) -> None:
    constraint = written.constraint
    kind, action = _INDEX_KINDS[constraint.contype]
    if constraint.indexname:
        _using_index(context, relation, written)
        return
    elements: list[IndexElem] = []
    if kind == "exclusion":
        elements = [ddl_parts.node(entry).List.items[0].IndexElem or IndexElem() for entry in constraint.exclusions]  # type: ignore[union-attr]
        keys: tuple[str | None, ...] = tuple(element.name or None for element in elements)
    else:
        keys = written.columns or names(constraint.keys)
    included = names(constraint.including)
    name = given_name(context, relation, constraint) or ""
    plain = [key for key in keys if key is not None]
    _refuse_index(context, relation, kind, keys, included, name, is_only=written.is_only and not written.is_new_table)
    is_not_null_scan: bool | None = False
    if kind == "primary key" and not written.is_new_table:
        is_not_null_scan = _not_null_scan(relation, plain)
    is_partitioned = relation.kind == "partitioned table"
    if context.step.refusal is not None:
        context.effect(action, relation, ACCESS_EXCLUSIVE, object_name=name or None, columns=", ".join(plain) or None)
        return
    index = index_making.define(
        context,
        relation,
        name=name,
        columns=keys,
        labels=naming.index_columns([*elements, *(IndexElem(name=column) for column in included)])
        if elements
        else None,
        expressions=tuple(kept(element.expr) for element in elements if not element.name),
        included=included,
        predicate=kept(constraint.where_clause),
        method=constraint.access_method or ("gist" if constraint.without_overlaps else "btree"),
        is_unique=kind != "exclusion",
        is_nulls_not_distinct=constraint.nulls_not_distinct,
        is_valid=not (written.is_only and is_partitioned and bool(relation.children)),
        tablespace=constraint.indexspace,
        constraint=kind,
    )
    context.effect(
        action,
        relation,
        ACCESS_EXCLUSIVE,
        object_name=index.name.name,
        columns=", ".join(plain) or None,
        definition=texts.item(context, constraint.location),
        is_validated=True,
        is_unique=kind != "exclusion",
        is_index_build=not is_partitioned,
        is_scan=is_not_null_scan and not is_partitioned if is_not_null_scan is not None else None,
        reason="checks that no row holds a null" if is_not_null_scan else None,
    )
    nullable = [name for name in plain if name in relation.columns and not relation.columns[name].is_not_null]
    if kind == "primary key":
        _mark_key(context, relation, plain)
    context.database.constrain(
        relation,
        Constraint(index.name.name, kind, tuple(plain), is_deferrable=constraint.deferrable, index=index.name),
    )
    if relation.children and not written.is_only and not written.is_new_table:
        _go_below(context, relation, index, kind, plain, is_checked=kind == "primary key" and bool(nullable))


def _go_below(
    context: Context,
    relation: Relation,
    index: Index,
    kind: index_making.ConstraintKind,
    columns: Sequence[str],
    *,
    is_checked: bool,
) -> None:
    """A primary key makes its columns NOT NULL in children, too; that of a partitioned table is built in partitions."""
    is_strong = is_checked or context.version >= NOT_NULLS_ARE_CONSTRAINTS
    is_strong = is_strong or (kind == "primary key" and relation.kind != "partitioned table")
    level = ACCESS_EXCLUSIVE if is_strong else SHARE
    scans = {}
    for child in context.database.descendants(relation):
        if kind == "primary key":
            scans[child.text] = not is_surely_not_null(child, columns) and holds_rows(child)
            _mark_key(context, child, columns)
        if relation.kind != "partitioned table" and is_strong:
            context.effect("also lock", child, level, is_scan=scans.get(child.text, False))
    if relation.kind == "partitioned table":
        first = len(context.effects)
        indexes.build_below(context, index, relation, level)
        for effect in context.effects[first:]:
            effect.is_scan = scans.get(effect.relation or "", False)


def _mark_key(context: Context, relation: Relation, columns: Sequence[str]) -> None:
    for name in columns:
        column = relation.columns.get(name)
        if column is not None:
            mark_not_null(context, relation, column)


def _not_null_scan(relation: Relation, columns: Sequence[str]) -> bool | None:
    """Whether a primary key has to look for nulls first; None where the columns are not known."""
    if is_surely_not_null(relation, columns):
        return False
    if all(name in relation.columns or relation.are_columns_known for name in columns):
        return True
    return None


def _refuse_index(  # noqa: PLR0917 -- parts of one constraint
    context: Context,
    relation: Relation,
    kind: index_making.ConstraintKind,
    keys: Sequence[str | None],
    included: Sequence[str],
    name: str,
    *,
    is_only: bool,
) -> None:
    indexes.refuse_missing(context, relation, [*keys, *included])
    if kind == "primary key" and primary_key(relation) is not None:
        context.refuse(f'multiple primary keys for table "{relation.name.name}" are not allowed')
    if name and context.database.exists(Name(relation.name.schema, name)):
        context.refuse(f'relation "{name}" already exists')
    if is_only and kind == "primary key":
        _refuse_only(context, relation, [key for key in keys if key is not None])
    if relation.kind == "partitioned table":
        if kind == "exclusion" and context.version < 17:  # noqa: PLR2004 -- the version that allows it
            context.refuse("exclusion constraints are not supported on partitioned tables")
        indexes.refuse_key(context, relation, keys, kind.upper())


def _refuse_only(context: Context, relation: Relation, columns: Sequence[str]) -> None:
    """A primary key of a parent alone needs NOT NULL in its children; before 18 in partitions, where it is new."""
    is_old = context.version < NOT_NULLS_ARE_CONSTRAINTS
    if is_old and relation.kind != "partitioned table":
        return
    for child in context.database.descendants(relation):
        for name in columns:
            is_there = name in relation.columns and relation.columns[name].is_not_null
            if name not in child.columns or child.columns[name].is_not_null or (is_old and is_there):
                continue
            context.refuse(
                "constraint must be added to child tables too"
                if is_old
                else f'column "{name}" of table "{child.name.name}" is not marked NOT NULL'
            )


def _using_index(context: Context, relation: Relation, written: Written) -> None:  # noqa: C901 -- one thing after the other
    """ADD PRIMARY KEY or UNIQUE USING INDEX: the index is there; it takes the constraint's name."""
    constraint = written.constraint
    kind, action = _INDEX_KINDS[constraint.contype]
    place = Name(relation.name.schema, constraint.indexname)
    index = context.database.indexes.get(place)
    name = given_name(context, relation, constraint) or constraint.indexname
    table = relation.name.name
    if relation.kind == "partitioned table":
        context.refuse("ALTER TABLE / ADD CONSTRAINT USING INDEX is not supported on partitioned tables")
    if kind == "primary key" and primary_key(relation) is not None:
        context.refuse(f'multiple primary keys for table "{table}" are not allowed')
    if index is None:
        if place in context.database.gone or (relation.is_known and relation.are_columns_known):
            context.refuse(f'index "{constraint.indexname}" does not exist')
    else:
        _refuse_using(context, relation, index, constraint)
    if name != constraint.indexname and context.database.exists(Name(relation.name.schema, name)):
        context.refuse(f'relation "{name}" already exists')
    columns = [column for column in index.columns if column is not None] if index is not None else []
    is_scan: bool | None = False
    if kind == "primary key":
        is_scan = _not_null_scan(relation, columns) if index is not None else None
    context.effect(
        action,
        relation,
        ACCESS_EXCLUSIVE,
        object_name=name,
        columns=", ".join(columns) or None,
        definition=constraint.indexname,
        is_validated=True,
        is_unique=True,
        is_index_build=False,
        is_scan=is_scan,
        reason="checks that no row holds a null" if is_scan else None,
    )
    if context.step.refusal is not None:
        return
    if kind == "primary key":
        _mark_key(context, relation, columns)
    if index is not None and relation.children and not written.is_only:
        _go_below(context, relation, index, kind, columns, is_checked=bool(is_scan))
    final = Name(relation.name.schema, name)
    if index is not None:
        index.constraint = name
        if final != place:
            context.database.move_index(index, final)
    context.database.constrain(
        relation, Constraint(name, kind, tuple(columns), is_deferrable=constraint.deferrable, index=final)
    )


def _refuse_using(context: Context, relation: Relation, index: Index, constraint: ddl_parts.Constraint) -> None:
    name = index.name.name
    if index.relation != relation.name:
        context.refuse(f'index "{name}" does not belong to table "{relation.name.name}"')
    elif index.constraint is not None:
        context.refuse(f'index "{name}" is already associated with a constraint')
    elif not index.is_valid:
        context.refuse(f'index "{name}" is not valid')
    elif not index.is_unique:
        context.refuse(f'"{name}" is not a unique index')
    elif None in index.columns:
        context.refuse(f'index "{name}" contains expressions')
    elif index.predicate is not ddl_parts.NOTHING:
        context.refuse(f'"{name}" is a partial index')
    elif not index.is_in_default_order or any((name or "").endswith("pattern_ops") for name in index.operator_classes):
        context.refuse(f'index "{name}" does not have default sorting behavior')
    elif index.method != "btree" and not constraint.without_overlaps:
        context.refuse(f'index "{name}" is not a btree')
