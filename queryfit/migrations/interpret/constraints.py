"""Constraints: what ALTER TABLE does to them, and those that CREATE TABLE and ADD COLUMN bring along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from queryfit.migrations.context import Context
from queryfit.migrations.interpret import indexes, naming, proofs, texts
from queryfit.migrations.model import Column, Constraint, Index, Name, Relation
from queryfit.migrations.steps import (
    ACCESS_EXCLUSIVE,
    ROW_SHARE,
    SHARE,
    SHARE_ROW_EXCLUSIVE,
    SHARE_UPDATE_EXCLUSIVE,
    Action,
)
from queryfit.sql import ddl
from queryfit.sql.ddl import AlterTableCmd, AlterTableStmt, IndexElem, names, tree

NOT_NULLS_ARE_CONSTRAINTS = 18
"""The version from which a NOT NULL has a name and can be left unchecked."""


def add_constraint(
    context: Context,
    relation: Relation,
    constraint: ddl.Constraint,
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
        interpret(context, relation, constraint, columns, is_new_table, is_only, is_born_null)


def _name(context: Context, relation: Relation, constraint: ddl.Constraint) -> str | None:
    """The name that is given; None without one, or where the table has it already."""
    name = constraint.conname
    if len(name) > naming.NAME_BYTES or not name.isascii():
        name = naming.clip(name.encode())
    if name and name in relation.constraints:
        context.refuse(f'constraint "{name}" for relation "{relation.name.name}" already exists')
        return None
    return name


def _check(
    context: Context,
    relation: Relation,
    constraint: ddl.Constraint,
    columns: tuple[str, ...] | None,
    is_new_table: bool,
    is_only: bool,
    is_born_null: bool,
) -> None:
    del is_born_null
    read = naming.columns_of(constraint.raw_expr)
    is_checked = constraint.is_enforced and not constraint.skip_validation
    name = _name(context, relation, constraint)
    indexes.refuse_missing(context, relation, read)
    children = list(context.database.descendants(relation)) if not is_new_table else []
    if is_only and children and not constraint.is_no_inherit:
        context.refuse("constraint must be added to child tables too")
    if constraint.is_no_inherit and relation.kind == "partitioned table":
        context.refuse(f'cannot add NO INHERIT constraint to partitioned table "{relation.name.name}"')
    if not constraint.is_enforced and context.version < NOT_NULLS_ARE_CONSTRAINTS:
        context.refuse("CHECK … NOT ENFORCED needs PostgreSQL 18")
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
        is_validated=is_checked or is_new_table,
        is_scan=is_checked and (not is_new_table) and _holds_rows(relation),
        reason="every row is checked" if is_checked and not is_new_table else None,
    )
    if context.step.refusal is not None:
        return
    made = Constraint(
        name,
        "check",
        tuple(read),
        is_validated=constraint.is_enforced and (is_checked or is_new_table),
        is_enforced=constraint.is_enforced,
        is_no_inherit=constraint.is_no_inherit,
        expression=constraint.raw_expr,
    )
    context.database.constrain(relation, made)
    if constraint.is_no_inherit:
        return
    for child in children:
        own = child.constraints.get(name)
        is_merged = own is not None and own.kind == "check"
        context.effect(
            "also lock",
            child,
            ACCESS_EXCLUSIVE,
            is_scan=is_checked and not is_merged and _holds_rows(child),
            object_name=name,
        )
        if not is_merged:
            context.database.constrain(child, _copied(made))


def _holds_rows(relation: Relation) -> bool:
    """A partitioned table has no rows of its own, a foreign one's are somewhere else."""
    return relation.kind not in {"partitioned table", "foreign table"}


def _copied(constraint: Constraint, name: str | None = None) -> Constraint:
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
    )


# NOT NULL


def mark_not_null(
    context: Context,
    relation: Relation,
    column: Column,
    name: str = "",
    *,
    is_validated: bool = True,
    is_no_inherit: bool = False,
) -> None:
    """A column becomes NOT NULL; from 18 on by a constraint of its own."""
    if context.version >= NOT_NULLS_ARE_CONSTRAINTS and not has_not_null(relation, column.name):
        name = name or _name_above(context, relation, column.name)
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
            Constraint(name, "not null", (column.name,), is_validated=is_validated, is_no_inherit=is_no_inherit),
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


def _not_null(
    context: Context,
    relation: Relation,
    constraint: ddl.Constraint,
    columns: tuple[str, ...] | None,
    is_new_table: bool,
    is_only: bool,
    is_born_null: bool,
) -> None:
    """NOT NULL behind a column only marks it; `ADD [CONSTRAINT name] NOT NULL column` is an action of its own."""
    del is_born_null
    is_inline = columns is not None
    names_of = columns or names(constraint.keys)
    column = relation.columns.get(names_of[0]) if names_of else None
    name = _name(context, relation, constraint) or ""
    is_validated = is_new_table or not constraint.skip_validation
    if is_inline:
        if column is not None:
            mark_not_null(context, relation, column, name, is_no_inherit=constraint.is_no_inherit)
        return
    if context.version < NOT_NULLS_ARE_CONSTRAINTS:
        context.refuse("a NOT NULL constraint of the table needs PostgreSQL 18")
    indexes.refuse_missing(context, relation, names_of)
    if is_only and relation.children and not constraint.is_no_inherit and not is_new_table:
        context.refuse("constraint must be added to child tables too")
    existing = not_null_of(relation, names_of[0]) if names_of else None
    shown = name or (existing.name if existing is not None else None)
    if shown is None and names_of:
        shown = naming.constraint_name(
            context.database, relation.name.schema, relation.name.name, names_of[0], "not_null", relation.constraints
        )
    is_scan = not is_new_table and is_validated and not _is_surely_not_null(relation, names_of)
    context.effect(
        "add not null",
        relation,
        ACCESS_EXCLUSIVE,
        object_name=shown,
        columns=", ".join(names_of),
        column_name=names_of[0] if names_of else None,
        definition=texts.item(context, constraint.location),
        is_validated=is_validated,
        is_scan=is_scan and _holds_rows(relation),
        reason="every row is checked" if is_scan else None,
    )
    if context.step.refusal is not None:
        return
    if column is not None:
        mark_not_null(
            context, relation, column, name, is_validated=is_validated, is_no_inherit=constraint.is_no_inherit
        )
    if is_new_table or constraint.is_no_inherit:
        return
    for child in context.database.descendants(relation):
        own = child.columns.get(names_of[0])
        context.effect(
            "also lock",
            child,
            ACCESS_EXCLUSIVE,
            is_scan=is_validated and not _is_surely_not_null(child, names_of) and _holds_rows(child),
        )
        if own is not None:
            mark_not_null(context, child, own, is_validated=is_validated)


def _is_surely_not_null(relation: Relation, columns: Sequence[str]) -> bool:
    """Every one of the columns is known to hold no null, so that nobody has to look."""
    for name in columns:
        column = relation.columns.get(name)
        if column is not None and column.is_not_null and column.is_not_null_validated:
            continue
        if not proofs.forbids_null(relation, name):
            return False
    return True


# PRIMARY KEY, UNIQUE, EXCLUDE

_INDEX_KINDS: dict[str, tuple[indexes.ConstraintKind, Action]] = {
    "CONSTR_PRIMARY": ("primary key", "add primary key"),
    "CONSTR_UNIQUE": ("unique", "add unique"),
    "CONSTR_EXCLUSION": ("exclusion", "add exclusion"),
}


def _index(
    context: Context,
    relation: Relation,
    constraint: ddl.Constraint,
    columns: tuple[str, ...] | None,
    is_new_table: bool,
    is_only: bool,
    is_born_null: bool,
) -> None:
    del is_born_null
    kind, action = _INDEX_KINDS[constraint.contype]
    if constraint.indexname:
        _using_index(context, relation, constraint, kind, action)
        return
    elements: list[IndexElem] = []
    if kind == "exclusion":
        elements = [ddl.node(entry).List.items[0].IndexElem or IndexElem() for entry in constraint.exclusions]  # type: ignore[union-attr]
        keys: tuple[str | None, ...] = tuple(element.name or None for element in elements)
    else:
        keys = columns or names(constraint.keys)
    included = names(constraint.including)
    name = _name(context, relation, constraint) or ""
    plain = [key for key in keys if key is not None]
    _refuse_index(context, relation, kind, keys, included, name, is_only=is_only and not is_new_table)
    is_not_null_scan: bool | None = False
    if kind == "primary key" and not is_new_table:
        is_not_null_scan = _not_null_scan(relation, plain)
    is_partitioned = relation.kind == "partitioned table"
    if context.step.refusal is not None:
        context.effect(action, relation, ACCESS_EXCLUSIVE, object_name=name or None, columns=", ".join(plain) or None)
        return
    index = indexes.define(
        context,
        relation,
        name=name,
        columns=keys,
        labels=naming.index_columns(elements) if elements else None,
        expressions=tuple(element.expr for element in elements if not element.name),
        included=included,
        predicate=constraint.where_clause,
        method=constraint.access_method or ("gist" if constraint.without_overlaps else "btree"),
        is_unique=kind != "exclusion",
        is_nulls_not_distinct=constraint.nulls_not_distinct,
        is_valid=not (is_only and is_partitioned and bool(relation.children)),
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
    if relation.children and not is_only and not is_new_table:
        _go_below(context, relation, index, kind, plain, is_checked=kind == "primary key" and bool(nullable))


def _go_below(
    context: Context,
    relation: Relation,
    index: Index,
    kind: indexes.ConstraintKind,
    columns: Sequence[str],
    *,
    is_checked: bool,
) -> None:
    """A primary key makes its columns NOT NULL in children too; a partitioned table's key is built in each partition."""
    is_strong = is_checked or context.version >= NOT_NULLS_ARE_CONSTRAINTS
    level = ACCESS_EXCLUSIVE if is_strong else SHARE
    scans = {}
    for child in context.database.descendants(relation):
        if kind == "primary key":
            scans[child.text] = not _is_surely_not_null(child, columns) and _holds_rows(child)
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
    if _is_surely_not_null(relation, columns):
        return False
    if all(name in relation.columns or relation.are_columns_known for name in columns):
        return True
    return None


def _refuse_index(
    context: Context,
    relation: Relation,
    kind: indexes.ConstraintKind,
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
    """A primary key of a parent alone needs NOT NULL: in the parent before 18, in its children since."""
    children = list(context.database.descendants(relation))
    places = children if context.version >= NOT_NULLS_ARE_CONSTRAINTS else [relation] if children else []
    for place in places:
        for name in columns:
            if name in place.columns and not place.columns[name].is_not_null:
                context.refuse(
                    f'column "{name}" of table "{place.name.name}" is not marked NOT NULL'
                    if place is not relation
                    else "constraint must be added to child tables too"
                )


def primary_key(relation: Relation) -> Constraint | None:
    for constraint in relation.constraints.values():
        if constraint.kind == "primary key":
            return constraint
    return None


def _using_index(
    context: Context, relation: Relation, constraint: ddl.Constraint, kind: indexes.ConstraintKind, action: Action
) -> None:
    """ADD PRIMARY KEY or UNIQUE USING INDEX: the index is there; it takes the constraint's name."""
    place = Name(relation.name.schema, constraint.indexname)
    index = context.database.indexes.get(place)
    name = _name(context, relation, constraint) or constraint.indexname
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
    final = Name(relation.name.schema, name)
    if index is not None:
        index.constraint = name
        if final != place:
            context.database.move_index(index, final)
    context.database.constrain(
        relation, Constraint(name, kind, tuple(columns), is_deferrable=constraint.deferrable, index=final)
    )


def _refuse_using(context: Context, relation: Relation, index: Index, constraint: ddl.Constraint) -> None:
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
    elif index.predicate is not ddl.NOTHING:
        context.refuse(f'"{name}" is a partial index')
    elif index.method != "btree" and not constraint.without_overlaps:
        context.refuse(f'index "{name}" is not a btree')


# FOREIGN KEY


def _foreign_key(
    context: Context,
    relation: Relation,
    constraint: ddl.Constraint,
    columns: tuple[str, ...] | None,
    is_new_table: bool,
    is_only: bool,
    is_born_null: bool,
) -> None:
    assert constraint.pktable is not None
    columns = columns or names(constraint.fk_attrs)
    database = context.database
    referenced = _referenced(context, constraint.pktable)
    target = names(constraint.pk_attrs)
    if not target and (key := primary_key(referenced)) is not None:
        target = key.columns
    is_checked = constraint.is_enforced and not constraint.skip_validation
    is_scan = is_checked and not is_new_table and not is_born_null
    name = _name(context, relation, constraint)
    _refuse_foreign_key(context, relation, referenced, constraint, columns, target, is_new_table, is_only)
    if not name:
        name = naming.constraint_name(
            database, relation.name.schema, relation.name.name, naming.joined(columns), "fkey", relation.constraints
        )
    level = ACCESS_EXCLUSIVE if is_new_table else SHARE_ROW_EXCLUSIVE
    context.effect(
        "add foreign key",
        relation,
        level,
        object_name=name,
        columns=", ".join(columns),
        other_relation=referenced.text,
        new_name=", ".join(target) or None,
        definition=texts.item(context, constraint.location),
        is_validated=is_checked or is_new_table or is_born_null,
        is_scan=is_scan and _holds_rows(relation),
        reason="every row's reference is looked up" if is_scan else None,
    )
    if referenced is not relation:
        context.effect("also lock", referenced, SHARE_ROW_EXCLUSIVE, other_relation=relation.text)
    for partition in database.descendants(referenced):
        if referenced.kind == "partitioned table" and partition is not relation:
            context.effect("also lock", partition, SHARE_ROW_EXCLUSIVE, other_relation=relation.text)
    if context.step.refusal is not None:
        return
    made = Constraint(
        name,
        "foreign key",
        columns,
        is_validated=constraint.is_enforced and (is_checked or is_new_table or is_born_null),
        is_enforced=constraint.is_enforced,
        is_deferrable=constraint.deferrable,
        referenced=referenced.name,
        referenced_columns=target,
    )
    database.constrain(relation, made)
    if relation.kind != "partitioned table" or is_new_table:
        return
    for child in database.descendants(relation):
        context.effect(
            "also lock",
            child,
            SHARE_ROW_EXCLUSIVE,
            object_name=name,
            other_relation=referenced.text,
            is_scan=is_scan and _holds_rows(child),
        )
        inherit_foreign_key(context, child, made)


def _referenced(context: Context, written: ddl.RangeVar) -> Relation:
    return context.relation(written)


def inherit_foreign_key(context: Context, partition: Relation, constraint: Constraint) -> bool:
    """Give a partition a foreign key of its parent; False where it has the same one already."""
    for own in partition.constraints.values():
        if (
            own.kind == "foreign key"
            and own.columns == constraint.columns
            and own.referenced == constraint.referenced
            and own.referenced_columns == constraint.referenced_columns
            and (own.is_validated or not constraint.is_validated)
        ):
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
    context.database.constrain(partition, _copied(constraint, name))
    return True


def _refuse_foreign_key(
    context: Context,
    relation: Relation,
    referenced: Relation,
    constraint: ddl.Constraint,
    columns: Sequence[str],
    target: Sequence[str],
    is_new_table: bool,
    is_only: bool,
) -> None:
    indexes.refuse_missing(context, relation, columns)
    table = relation.name.name
    if referenced.is_known and referenced.kind not in {"table", "partitioned table"}:
        context.refuse(f'referenced relation "{referenced.name.name}" is not a table')
        return
    if not constraint.is_enforced and context.version < NOT_NULLS_ARE_CONSTRAINTS:
        context.refuse("FOREIGN KEY … NOT ENFORCED needs PostgreSQL 18")
    if relation.kind == "partitioned table" and not is_new_table:
        if is_only:
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
    if relation is referenced and is_new_table:
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
    elif not _is_key(context, referenced, target):
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


def _is_key(context: Context, relation: Relation, columns: Sequence[str]) -> bool:
    wanted = set(columns)
    for index in context.database.indexes_of(relation):
        if (
            (index.is_unique or index.method == "gist")
            and index.predicate is ddl.NOTHING
            and set(index.columns) == wanted
        ):
            return True
    return False


_KINDS: dict[str, Callable[[Context, Relation, ddl.Constraint, tuple[str, ...] | None, bool, bool, bool], None]] = {
    "CONSTR_CHECK": _check,
    "CONSTR_NOTNULL": _not_null,
    "CONSTR_PRIMARY": _index,
    "CONSTR_UNIQUE": _index,
    "CONSTR_EXCLUSION": _index,
    "CONSTR_FOREIGN": _foreign_key,
}


# ALTER TABLE


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
    is_scan = is_needed and _holds_rows(relation)
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
        is_scan = (own is None or not own.is_validated) and _holds_rows(child)
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
    changes_inheritance = bool(change.get("alterInheritability"))
    if (changes_enforcement or changes_inheritance) and context.version < NOT_NULLS_ARE_CONSTRAINTS:
        context.refuse("this form of ALTER CONSTRAINT needs PostgreSQL 18")
    if changes_inheritance and constraint is not None and constraint.kind != "not null":
        context.refuse(f'constraint "{name}" of relation "{relation.name.name}" is not a not-null constraint')
    if constraint is not None and constraint.kind != "foreign key" and not changes_inheritance:
        context.refuse(f'constraint "{name}" of relation "{relation.name.name}" is not a foreign key constraint')
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
        is_scan=is_scan and _holds_rows(relation),
        reason="every row's reference is looked up" if is_scan else None,
    )
    if constraint is None:
        return
    referenced = context.database.relations.get(constraint.referenced) if constraint.referenced is not None else None
    if referenced is not None and referenced is not relation and _changes(constraint, change):
        context.effect(
            "also lock", referenced, ACCESS_EXCLUSIVE if changes_enforcement else 0, other_relation=relation.text
        )
        if not changes_enforcement:
            context.effects.pop()
    if context.step.refusal is not None:
        return
    if change.get("alterDeferrability"):
        constraint.is_deferrable = bool(change.get("deferrable"))
    if changes_enforcement:
        constraint.is_enforced = constraint.is_validated = is_enforced
    if changes_inheritance:
        constraint.is_no_inherit = bool(change.get("noinherit"))


def _changes(constraint: Constraint, change: dict[str, Any]) -> bool:
    return bool(change.get("alterEnforceability")) and constraint.is_enforced != bool(change.get("is_enforced"))


def _drop(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
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
    if constraint.kind in {"primary key", "unique"}:
        dependents = list(depending_keys(context, relation, constraint))
        if dependents and not is_cascade:
            context.refuse(
                f"cannot drop constraint {action.name} on table {relation.name.name} because other objects depend on it"
            )
            return
        for other, key in dependents:
            if other is not relation:
                context.effect("also lock", other, ACCESS_EXCLUSIVE, object_name=key.name)
            drop_state(context, other, key)
    if constraint.kind == "not null":
        column = constraint.columns[0]
        key = primary_key(relation)
        if key is not None and column in key.columns:
            context.refuse(f'column "{column}" is in a primary key')
            return
    if constraint.referenced is not None and constraint.referenced != relation.name:
        referenced = context.database.relations.get(constraint.referenced)
        if referenced is not None:
            for table in (referenced, *context.database.descendants(referenced)):
                if table is referenced or table.is_partition:
                    context.effect("also lock", table, ACCESS_EXCLUSIVE, other_relation=relation.text)
    is_only = statement.relation is not None and not statement.relation.inh
    if not is_only or constraint.kind not in {"check", "not null"}:
        _drop_below(context, relation, constraint)
    else:
        for name in sorted(relation.children):  # they keep it as their own
            if (child := context.database.relations.get(name)) is not None:
                context.effect("also lock", child, ACCESS_EXCLUSIVE, object_name=constraint.name)
    drop_state(context, relation, constraint)


def _drop_below(context: Context, relation: Relation, constraint: Constraint) -> None:
    """Children lose what they inherited."""
    if constraint.is_no_inherit:
        return
    database = context.database
    for child in list(database.descendants(relation)):
        if constraint.kind in {"check", "not null"} or relation.kind == "partitioned table":
            context.effect("also lock", child, ACCESS_EXCLUSIVE, object_name=constraint.name)
        own: Constraint | None = None
        if constraint.kind == "check":
            own = child.constraints.get(constraint.name)
        elif constraint.kind == "not null":
            own = not_null_of(child, constraint.columns[0])
        elif constraint.kind == "foreign key" and relation.kind == "partitioned table":
            own = next(
                (
                    other
                    for other in child.constraints.values()
                    if other.kind == "foreign key"
                    and other.columns == constraint.columns
                    and other.referenced == constraint.referenced
                ),
                None,
            )
        elif constraint.index is not None and relation.kind == "partitioned table":
            own = next(
                (
                    other
                    for other in child.constraints.values()
                    if other.index is not None and other.kind == constraint.kind and other.columns == constraint.columns
                ),
                None,
            )
        if own is not None:
            drop_state(context, child, own)


def is_inherited(context: Context, relation: Relation, constraint: Constraint) -> bool:
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
    """Foreign keys that need this unique constraint: no other one of the table is on the same columns."""
    wanted = set(constraint.columns)
    for index in context.database.indexes_of(relation):
        if index.name != constraint.index and index.is_unique and set(index.columns) == wanted:
            return []
    return [
        (other, key)
        for other, key in context.database.referencing(relation.name)
        if set(key.referenced_columns) == wanted
    ]


def drop_state(context: Context, relation: Relation, constraint: Constraint) -> None:
    """Take a constraint out, with the index behind it and the mark of its column."""
    relation.constraints.pop(constraint.name, None)
    if constraint.index is not None:
        context.database.forget_index(constraint.index)
    if constraint.kind == "not null" and (column := relation.columns.get(constraint.columns[0])) is not None:
        column.is_not_null = False
        column.is_not_null_validated = True


ACTIONS: dict[str, Any] = {
    "AT_AddConstraint": _add,
    "AT_ValidateConstraint": _validate,
    "AT_AlterConstraint": _alter,
    "AT_DropConstraint": _drop,
}
