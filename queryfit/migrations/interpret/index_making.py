"""Indexes as statements make them: of their own, like another one, on the partitions of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Raw

from queryfit.migrations.context import Context
from queryfit.migrations.interpret import naming
from queryfit.migrations.model import Constraint, Index, Name, Relation
from queryfit.sql.ddl_parts import NOTHING, IndexElem, tree

ConstraintKind = Literal["primary key", "unique", "exclusion"]
_LABELS: dict[ConstraintKind | None, str] = {"primary key": "pkey", "unique": "key", "exclusion": "excl", None: "idx"}


def define(
    context: Context,
    relation: Relation,
    *,
    name: str = "",
    columns: tuple[str | None, ...],
    labels: Sequence[str] | None = None,
    expressions: tuple[Raw, ...] = (),
    included: tuple[str, ...] = (),
    predicate: Raw = NOTHING,
    method: str = "btree",
    is_unique: bool = False,
    is_nulls_not_distinct: bool = False,
    is_valid: bool = True,
    collations: tuple[Name | None, ...] = (),
    operator_classes: tuple[str | None, ...] = (),
    tablespace: str = "",
    constraint: ConstraintKind | None = None,
    parent: Name | None = None,
    is_in_default_order: bool = True,
) -> Index:
    """Put an index into the model, under a name that PostgreSQL would make up where it has none.

    `labels` are the names of its columns for that, with the included ones; by default those of both.
    """
    database = context.database
    schema = relation.name.schema
    if name:
        place = Name(schema, naming.clip(name.encode()) if len(name) > naming.NAME_BYTES else name)
    else:
        table = relation.name.name
        second = "" if constraint == "primary key" else naming.joined(labels or numbered(columns, (), included))
        place = naming.relation_name(
            database, schema, table, second, _LABELS[constraint], is_constraint=constraint is not None
        )
    index = Index(
        place,
        relation.name,
        columns,
        expressions,
        included,
        predicate,
        method,
        is_unique,
        is_nulls_not_distinct,
        is_valid,
        collations,
        operator_classes,
        place.name if constraint is not None else None,
        parent,
        tablespace,
        is_in_default_order,
        context.born,
    )
    database.put_index(index)
    return index


def like(
    context: Context, relation: Relation, index: Index, constraint: Constraint | None, parent: Name | None = None
) -> Index:
    """Give a relation an index like another one's, with the constraint that this one backs."""
    made = define(
        context,
        relation,
        columns=index.columns,
        labels=labels(index),
        expressions=index.expressions,
        included=index.included,
        predicate=index.predicate,
        method=index.method,
        is_unique=index.is_unique,
        is_nulls_not_distinct=index.is_nulls_not_distinct,
        collations=index.collations,
        operator_classes=index.operator_classes,
        constraint=constraint.kind if constraint is not None else None,  # type: ignore[arg-type]
        parent=parent,
    )
    if constraint is not None:
        own = Constraint(
            made.name.name,
            constraint.kind,
            constraint.columns,
            is_deferrable=constraint.is_deferrable,
            index=made.name,
        )
        context.database.constrain(relation, own)
    return made


def clone(context: Context, index: Index, partition: Relation, *, is_valid_only: bool = False) -> set[Name]:
    """Give a partition (and its own partitions) an index like its parent's; the tables on which it has to be built.

    An index that the partition has already and that is the same is attached instead.
    """
    database = context.database
    above = database.relations.get(index.relation)
    constraint = above.constraints.get(index.constraint) if above is not None and index.constraint is not None else None
    own = next(
        (
            other
            for other in database.indexes_of(partition)
            if other.parent is None and (other.is_valid or not is_valid_only) and _same(index, other)
        ),
        None,
    )
    if own is not None and (constraint is None or own.constraint is not None):
        own.parent = index.name
        built: set[Name] = set()
    else:
        own = like(context, partition, index, constraint, parent=index.name)
        built = {partition.name} if partition.kind != "partitioned table" else set()
        for name in sorted(partition.children):
            below = database.relations.get(name)
            if below is not None:
                built |= clone(context, own, below, is_valid_only=is_valid_only)
    if not own.is_valid:
        index.is_valid = False  # a part of it is missing
    return built


def _same(one: Index, other: Index) -> bool:
    return (
        one.columns == other.columns
        and one.is_unique == other.is_unique
        and one.method == other.method
        and one.included == other.included
        and one.is_nulls_not_distinct == other.is_nulls_not_distinct
        # of constraints they are not written down
        and (one.collations == other.collations or not any(one.collations + other.collations))
        and (one.operator_classes == other.operator_classes or not any(one.operator_classes + other.operator_classes))
        and _plain(one.expressions) == _plain(other.expressions)
        and _plain((one.predicate,)) == _plain((other.predicate,))
    )


def are_equal(one: Raw, other: Raw) -> bool:
    """Two expressions say the same in the same words."""
    return _plain((one,)) == _plain((other,))


def _plain(parts: Sequence[Raw]) -> list[Any]:
    """Expressions without the places where they are written."""
    return [_without_places(tree(part)) for part in parts]


def _without_places(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_places(value) for key, value in node.items() if key != "location"}
    if isinstance(node, list):
        return [_without_places(value) for value in node]
    return node


def labels(index: Index) -> list[str]:
    """What the index's columns are called in a made-up name."""
    return numbered(index.columns, index.expressions, index.included)


def numbered(columns: Sequence[str | None], expressions: Sequence[Raw], included: Sequence[str]) -> list[str]:
    """Names of keys, of expressions and of included columns; what comes twice is numbered."""
    if not expressions and None not in columns and len({*columns, *included}) == len(columns) + len(included):
        return [*(column for column in columns if column is not None), *included]
    remaining = list(expressions)
    elements = [
        IndexElem(name=column) if column is not None else IndexElem(expr=remaining.pop(0) if remaining else NOTHING)
        for column in columns
    ]
    return naming.index_columns([*elements, *(IndexElem(name=column) for column in included)])
