"""CREATE INDEX, REINDEX and what ALTER INDEX does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Raw

from queryfit.migrations.context import Context
from queryfit.migrations.interpret import naming, storage_parameters, texts
from queryfit.migrations.interpret.index_making import clone, define
from queryfit.migrations.model import Index, Name, Relation
from queryfit.migrations.steps import (
    ACCESS_EXCLUSIVE,
    ACCESS_SHARE,
    SHARE,
    SHARE_UPDATE_EXCLUSIVE,
)
from queryfit.migrations.volatility import volatility
from queryfit.sql.ddl import IndexStmt, ReindexStmt
from queryfit.sql.ddl_parts import NOTHING, AlterTableCmd, IndexElem, Node, kept, names

_PLAIN = frozenset({"", "SORTBY_DEFAULT", "SORTBY_ASC", "SORTBY_NULLS_DEFAULT", "SORTBY_NULLS_LAST"})


def create(context: Context, statement: IndexStmt) -> None:
    """CREATE INDEX, on a partitioned table on all its partitions too."""
    assert statement.relation is not None
    database = context.database
    relation = context.relation(statement.relation)
    if not statement.relation.inh and not relation.is_known and relation.kind == "table":
        relation.kind = "partitioned table"  # nobody writes ONLY of another one
    elements = [entry.IndexElem for entry in statement.indexParams if entry.IndexElem is not None]
    included = tuple(entry.IndexElem.name for entry in statement.indexIncludingParams if entry.IndexElem is not None)
    columns = tuple(element.name or None for element in elements)
    shown = _shown(context, statement, elements)
    level = SHARE_UPDATE_EXCLUSIVE if statement.concurrent else SHARE
    step = context.step
    if statement.concurrent:
        step.is_concurrent = True
        step.refused_in_transaction = "CREATE INDEX CONCURRENTLY"
        if context.is_in_block:
            context.refuse("CREATE INDEX CONCURRENTLY cannot run inside a transaction block")
    _refuse(context, relation, statement, columns, included)
    place = Name(relation.name.schema, statement.idxname)
    if statement.idxname and database.exists(place):
        if statement.if_not_exists:
            context.effect("create index", relation, level, object_name=place.text, columns=shown, is_present=False,
                           is_unique=statement.unique, is_concurrent=statement.concurrent)  # fmt: skip
            if relation.kind == "partitioned table" and statement.relation.inh:
                for child in database.descendants(relation):
                    context.effect("also lock", child, level)
            return
        context.refuse(f'relation "{statement.idxname}" already exists')
    is_only = not statement.relation.inh
    has_partitions = bool(relation.children) and relation.kind == "partitioned table"
    facts: dict[str, Any] = {
        "columns": shown,
        "is_unique": statement.unique,
        "is_concurrent": statement.concurrent,
        "is_index_build": not statement.concurrent and relation.kind != "partitioned table",
        "definition": statement.accessMethod or "btree",
    }
    if step.refusal is not None:
        name = place.text if statement.idxname else None
        context.effect("create index", relation, level, object_name=name, **facts)
        return
    index = define(
        context,
        relation,
        name=statement.idxname,
        columns=columns,
        labels=naming.index_columns([*elements, *(IndexElem(name=column) for column in included)]),
        expressions=tuple(kept(element.expr) for element in elements if not element.name),
        included=included,
        predicate=kept(statement.whereClause),
        method=statement.accessMethod or "btree",
        is_unique=statement.unique,
        is_nulls_not_distinct=statement.nulls_not_distinct,
        is_valid=not (is_only and has_partitions),
        collations=tuple(
            context.qualify(names(element.collation)) if element.collation else None for element in elements
        ),
        operator_classes=tuple(element.opclass[-1].text if element.opclass else None for element in elements),
        tablespace=statement.tableSpace,
        is_in_default_order=all(
            element.ordering in _PLAIN and element.nulls_ordering in _PLAIN for element in elements
        ),
    )
    context.effect("create index", relation, level, object_name=index.name.text, **facts)
    if relation.kind == "partitioned table" and not is_only:
        build_below(context, index, relation, level)


def build_below(context: Context, index: Index, relation: Relation, level: int) -> None:
    """Partitions get an index of their own, each under the lock."""
    for child in list(context.database.descendants(relation)):
        if child.parents and child.parents[0] == relation.name:
            built = clone(context, index, child)
            for table in (child, *context.database.descendants(child)):
                context.effect("also lock", table, level, is_index_build=table.name in built)


def _refuse(
    context: Context,
    relation: Relation,
    statement: IndexStmt,
    columns: Sequence[str | None],
    included: Sequence[str],
) -> None:
    """Say why PostgreSQL does not make the index, where that is certain."""
    if statement.options:
        storage_parameters.refuse_of_index(context, statement.accessMethod or "btree", statement.options)
    if relation.is_known and relation.kind in {"view", "sequence", "composite type", "foreign table"}:
        context.refuse(f'cannot create index on relation "{relation.name.name}": it is a {relation.kind}')
    if relation.kind == "partitioned table":
        if statement.concurrent:
            context.refuse(f'cannot create index on partitioned table "{relation.name.name}" concurrently')
        if statement.unique:
            refuse_key(context, relation, columns, "unique")
    refuse_missing(context, relation, [*columns, *included])
    elements = [entry.IndexElem for entry in statement.indexParams if entry.IndexElem is not None]
    for element in elements:
        _refuse_expression(context, element.expr, "expression")
        column = relation.columns.get(element.name) if element.name else None
        if (
            column is not None
            and column.type is not None
            and not column.type.dimensions
            and not element.opclass
            and column.type.schema in {"", "pg_catalog"}
            and column.type.name in _WITHOUT_ORDER
            and (statement.accessMethod or "btree") == "btree"
        ):
            context.refuse(f'data type {column.type.name} has no default operator class for access method "btree"')
    _refuse_expression(context, statement.whereClause, "predicate")


_WITHOUT_ORDER = frozenset({"json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle", "jsonpath"})
_SURELY_STABLE = frozenset(
    {"the time or user of the session", "now()", "transaction_timestamp()", "statement_timestamp()"}
)


def _refuse_expression(context: Context, expression: Raw, what: str) -> None:
    """An index holds what is the same for ever; functions of which some overloads are immutable are let through."""
    if expression is NOTHING:
        return
    if b'"SubLink"' in bytes(expression):
        context.refuse(f"cannot use subquery in index {what}")
        return
    found = volatility(context, expression)
    if found.kind == "volatile" or (found.kind == "stable" and found.culprit in _SURELY_STABLE):
        context.refuse(f"functions in index {what} must be marked IMMUTABLE")


def refuse_missing(context: Context, relation: Relation, columns: Sequence[str | None]) -> bool:
    """Refuse the first column that a relation surely does not have; True when there is one."""
    if not relation.are_columns_known:
        return False
    for column in columns:
        if column and column not in relation.columns and column not in SYSTEM_COLUMNS:
            context.refuse(f'column "{column}" of relation "{relation.name.name}" does not exist')
            return True
    return False


SYSTEM_COLUMNS = frozenset({"tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"})


def refuse_key(context: Context, relation: Relation, columns: Sequence[str | None], kind: str) -> None:
    """A unique index of a partitioned table has to hold all columns of its partition key."""
    for column in relation.partition_key:
        if column is None:
            context.refuse(f"unsupported {kind} constraint with partition key definition: it has an expression")
        elif column not in columns:
            context.refuse(
                f"unique constraint on partitioned table must include all partitioning columns: "
                f'{kind} on "{relation.name.name}" lacks column "{column}"'
            )


def _shown(context: Context, statement: IndexStmt, elements: Sequence[IndexElem]) -> str:
    """The keys as they are written; plain columns by their names."""
    if all(element.name for element in elements):
        return ", ".join(element.name for element in elements)
    assert statement.relation is not None
    written = texts.bracketed(context, statement.relation.location)
    return ", ".join(
        element.name or (written[place] if place < len(written) else "expression")
        for place, element in enumerate(elements)
    )


_IN_BLOCK = {
    "REINDEX_OBJECT_SCHEMA": "REINDEX SCHEMA",
    "REINDEX_OBJECT_DATABASE": "REINDEX DATABASE",
    "REINDEX_OBJECT_SYSTEM": "REINDEX SYSTEM",
}


_REINDEX_OF_PARTITIONS_SINCE = 14


def reindex(context: Context, statement: ReindexStmt) -> None:  # noqa: C901, PLR0912 -- one form after the other
    """REINDEX: of an index, a table, a schema, or everything."""
    database = context.database
    is_concurrent = is_on(statement.params, "concurrently")
    command = _IN_BLOCK.get(statement.kind)
    level = SHARE_UPDATE_EXCLUSIVE if is_concurrent else SHARE
    pairs: list[tuple[Relation | None, Index | None]] = []
    if statement.relation is None:
        pairs = [
            (relation, None)
            for relation in database.relations.values()
            if relation.indexes and (command != "REINDEX SCHEMA" or relation.name.schema == statement.name)
        ]
    elif statement.kind == "REINDEX_OBJECT_INDEX":
        index = database.indexes.get(context.name_of(statement.relation))
        if index is not None:
            relation = database.relations[index.relation]
            if relation.kind == "partitioned table":
                command = "REINDEX INDEX"
            pairs = [(relation, index)]
            pairs += [
                (child, own)
                for child in database.descendants(relation)
                for own in database.indexes_of(child)
                if _is_below(context, own, index.name)
            ]
        else:
            pairs = [(None, None)]
    else:
        relation = context.relation(statement.relation)
        if relation.kind == "partitioned table":
            command = "REINDEX TABLE"
            if context.version < _REINDEX_OF_PARTITIONS_SINCE:
                context.effect("reindex", relation, level, is_concurrent=is_concurrent)
                return  # it warns, and does nothing
        pairs = [(relation, None), *((child, None) for child in database.descendants(relation) if command)]
    if is_concurrent:
        context.step.is_concurrent = True
        command = "REINDEX CONCURRENTLY"
    context.step.refused_in_transaction = command
    if command is not None and context.is_in_block:
        context.refuse(f"{command} cannot run inside a transaction block")
    for relation_or_none, own_index in pairs:
        name = own_index.name.text if own_index is not None else None
        if own_index is None and relation_or_none is None and statement.relation is not None:
            name = context.name_of(statement.relation).text
        is_rebuilt = relation_or_none is None or relation_or_none.kind != "partitioned table"
        if relation_or_none is not None and relation_or_none.are_columns_known and not relation_or_none.indexes:
            is_rebuilt = False
        is_partition = statement.kind == "REINDEX_OBJECT_TABLE" and relation_or_none is not pairs[0][0]
        # partitions are looked up under SHARE, CONCURRENTLY or not
        context.effect("reindex", relation_or_none, SHARE if is_partition else level, object_name=name,
                       is_concurrent=is_concurrent, is_index_rebuild=is_rebuilt)  # fmt: skip
        if own_index is not None and not is_rebuilt:  # the partitioned index itself, for an instant
            on_index(
                context, own_index.name, "also lock", SHARE_UPDATE_EXCLUSIVE if is_concurrent else ACCESS_EXCLUSIVE
            )
        rebuilt = [own_index] if own_index is not None else []
        if own_index is None and relation_or_none is not None:
            rebuilt = database.indexes_of(relation_or_none)
        for index in rebuilt if is_rebuilt else ():
            on_index(context, index.name, "also lock", ACCESS_EXCLUSIVE, is_index_rebuild=True)
            if is_concurrent or index.relation == (relation_or_none.name if relation_or_none is not None else None):
                index.is_valid = True


def _is_below(context: Context, index: Index, top: Name) -> bool:
    """An index is a partition of another one, at any depth."""
    parent = index.parent
    while parent is not None and parent != top:
        above = context.database.indexes.get(parent)
        parent = above.parent if above is not None else None
    return parent == top


def is_on(options: Sequence[Node], name: str) -> bool:
    """An option of a list in brackets that is there and not switched off."""
    for entry in options:
        option = entry.DefElem
        if option is not None and option.defname == name:
            if option.arg is None:
                return True
            value = option.arg
            if value.Integer is not None:
                return value.Integer.ival != 0
            return (value.text or "true").lower() not in {"false", "off", "no", "0"}
    return False


# ALTER INDEX


def alter(context: Context, index: Index | None, name: Name, action: AlterTableCmd) -> None:
    """One action of ALTER INDEX; `index` is None where the model does not know it."""
    interpret = _ACTIONS.get(action.subtype)
    if interpret is None:
        context.unfollowed(f"ALTER INDEX action {action.subtype}")
        return
    interpret(context, index, name, action)


def on_index(context: Context, name: Name, what: str, level: int, **facts: Any) -> None:
    """An effect whose lock is on the index itself."""
    index = context.database.indexes.get(name)
    effect = context.effect(what, None, level, relation_kind="index", **facts)  # type: ignore[arg-type]
    effect.relation = name.text
    effect.is_known = index is not None
    effect.is_new = index is not None and (
        context.is_new(index) or context.is_new(context.database.relations[index.relation])
    )
    if index is not None:
        effect.other_relation = index.relation.text


def _attach(context: Context, index: Index | None, name: Name, action: AlterTableCmd) -> None:
    command = action.definition.PartitionCmd
    assert command is not None
    assert command.name is not None
    child_name = context.name_of(command.name)
    child = context.database.indexes.get(child_name)
    relation = context.database.relations[index.relation] if index is not None else None
    context.effect("attach index partition", relation, ACCESS_SHARE, object_name=name.text,
                   other_relation=child_name.text)  # fmt: skip
    if child is not None:
        context.effect("also lock", context.database.relations[child.relation], ACCESS_SHARE)
    on_index(context, child_name, "also lock", ACCESS_EXCLUSIVE)
    on_index(context, name, "also lock", SHARE_UPDATE_EXCLUSIVE)
    if child is None or index is None or relation is None:
        return
    if child.parent is not None and child.parent != index.name:
        context.refuse(f'cannot attach index "{child.name.name}": it is already attached to another index')
        return
    below = context.database.relations[child.relation]
    if child.relation not in relation.children and relation.is_known and below.is_known:
        context.refuse(f'"{child.name.name}" is not an index on a partition of table "{relation.name.name}"')
        return
    child.parent = index.name
    validate_parent(context, index)


def validate_parent(context: Context, index: Index) -> None:
    """An index of a partitioned table gets valid when each partition has its part of it, valid too."""
    relation = context.database.relations.get(index.relation)
    if relation is None or index.is_valid or not relation.are_columns_known:
        return
    for name in relation.children:
        child = context.database.relations.get(name)
        if child is None or not any(
            own.parent == index.name and own.is_valid for own in context.database.indexes_of(child)
        ):
            return
    index.is_valid = True
    if index.parent is not None and (above := context.database.indexes.get(index.parent)) is not None:
        validate_parent(context, above)


def _set_options(context: Context, index: Index | None, name: Name, action: AlterTableCmd) -> None:
    listed = action.definition.List
    if index is not None and listed is not None and action.subtype == "AT_SetRelOptions":
        if context.database.relations[index.relation].kind == "partitioned table":
            storage_parameters.refuse_of_partitioned_index(context, name.name)
        storage_parameters.refuse_of_index(context, index.method, listed.items)
    on_index(context, name, "set storage parameters", SHARE_UPDATE_EXCLUSIVE)


def _set_tablespace(context: Context, index: Index | None, name: Name, action: AlterTableCmd) -> None:
    is_moved = index is None or (index.tablespace or "pg_default") != action.name
    on_index(context, name, "set tablespace", ACCESS_EXCLUSIVE, is_index_rebuild=is_moved, new_name=action.name)
    if index is not None:
        index.tablespace = action.name


def _set_statistics(context: Context, index: Index | None, name: Name, action: AlterTableCmd) -> None:
    del index, action
    on_index(context, name, "set statistics", SHARE_UPDATE_EXCLUSIVE)


def _other(context: Context, index: Index | None, name: Name, action: AlterTableCmd) -> None:
    del index, action
    on_index(context, name, "other", ACCESS_EXCLUSIVE)


_ACTIONS: dict[str, Callable[[Context, Index | None, Name, AlterTableCmd], None]] = {
    "AT_AttachPartition": _attach,
    "AT_SetRelOptions": _set_options,
    "AT_ResetRelOptions": _set_options,
    "AT_SetTableSpace": _set_tablespace,
    "AT_SetStatistics": _set_statistics,
    "AT_ChangeOwner": _other,
}


HANDLERS: dict[str, Callable[[Context, Any], None]] = {"IndexStmt": create, "ReindexStmt": reindex}
