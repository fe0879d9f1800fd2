"""ON CONFLICT: whether the table has a unique index or constraint that serves it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Raw

from queryfit.migrations.context import Context
from queryfit.migrations.interpret.indexes import SYSTEM_COLUMNS
from queryfit.migrations.model import Index, Relation
from queryfit.sql.ddl import InferClause, OnConflictClause
from queryfit.sql.ddl_parts import NOTHING, IndexElem, tree

_CLAUSE = msgspec.json.Decoder(OnConflictClause)


def refuse_conflict(
    context: Context, relation: Relation, clause: Raw, refuse_set: Callable[[list[Raw]], None], *, is_surely_run: bool
) -> None:
    """Refuse an ON CONFLICT that names no index or constraint of a table of which everything is known.

    `refuse_set` looks at what DO UPDATE sets; `is_surely_run`: the statement brings rows, so that what PostgreSQL sees
    only with a row counts too.
    """
    head = bytes(memoryview(clause)[:_HEAD])
    if b'"infer"' not in head and b"UPDATE" not in head:  # DO NOTHING, whatever the conflict
        if is_surely_run and any(entry.is_deferrable and entry.index for entry in relation.constraints.values()):
            context.refuse(_DEFERRABLE)
        return
    written = _CLAUSE.decode(clause)
    inference = written.infer
    is_update = written.action == "ONCONFLICT_UPDATE"
    if inference is None:
        if is_update:
            context.refuse("ON CONFLICT DO UPDATE requires inference specification or constraint name")
        return
    if inference.conname:
        _by_name(context, relation, inference.conname, is_update=is_update, is_surely_run=is_surely_run)
    elif inference.indexElems:
        _by_columns(context, relation, inference, is_surely_run=is_surely_run)
    if is_update:
        refuse_set(written.targetList)


_HEAD = 64  # bytes within which the clause says how it finds its index


def _by_name(context: Context, relation: Relation, name: str, *, is_update: bool, is_surely_run: bool) -> None:
    constraint = relation.constraints.get(name)
    if constraint is None:
        context.refuse(f'constraint "{name}" for table "{relation.name.name}" does not exist')
    elif constraint.kind in {"check", "foreign key", "not null"}:
        context.refuse("constraint in ON CONFLICT clause has no associated index")
    elif constraint.kind == "exclusion" and is_update:
        context.refuse("ON CONFLICT DO UPDATE not supported with exclusion constraints")
    elif constraint.is_deferrable and is_surely_run:
        context.refuse(_DEFERRABLE)


_DEFERRABLE = "ON CONFLICT does not support deferrable unique constraints/exclusion constraints as arbiters"
_NO_INDEX = "there is no unique or exclusion constraint matching the ON CONFLICT specification"


def _by_columns(context: Context, relation: Relation, inference: InferClause, *, is_surely_run: bool) -> None:
    wanted: set[str] = set()
    is_plain = inference.whereClause is NOTHING
    for part in inference.indexElems:
        element = part.IndexElem or IndexElem()
        name = element.name
        if name and name not in relation.columns and name not in SYSTEM_COLUMNS:
            context.refuse(f'column "{name}" does not exist')
            return
        is_plain = is_plain and bool(name) and not element.collation and not element.opclass
        wanted.add(name)
    if not is_plain:
        return
    serving = [
        index
        for index in context.database.indexes_of(relation)
        if index.is_unique and _may_serve(relation, index, wanted)
    ]
    if not serving:
        context.refuse(_NO_INDEX)
    elif is_surely_run and any(_is_deferrable(relation, index) for index in serving if _serves(index)):
        context.refuse(_DEFERRABLE)


def _may_serve(relation: Relation, index: Index, wanted: set[str]) -> bool:
    """The index has just these columns, or something about it is in doubt."""
    keys = {column for column in index.columns if column is not None}
    if index.expressions:
        names = {_bracketed(entry) for entry in index.expressions}
        if None in names:
            return False
        if not names <= relation.columns.keys():
            return True  # it was renamed
        keys |= {name for name in names if name is not None}
    if keys != wanted:
        return False
    # a partial index serves no clause without WHERE, unless its own is about nothing, or about nulls that cannot be
    predicate = bytes(index.predicate)
    return index.predicate is NOTHING or b'"ColumnRef"' not in predicate or b'"NullTest"' in predicate


def _bracketed(expression: Raw) -> str | None:
    """The column, where an expression is nothing but one in brackets, with or without a collation."""
    node = tree(expression)
    node = node.get("CollateClause", {}).get("arg", node)
    fields = node.get("ColumnRef", {}).get("fields", [])
    return fields[-1].get("String", {}).get("sval") if fields else None


def _serves(index: Index) -> bool:
    return index.is_valid and index.predicate is NOTHING and not index.expressions and index.method == "btree"


def _is_deferrable(relation: Relation, index: Index) -> bool:
    constraint = relation.constraints.get(index.constraint) if index.constraint is not None else None
    return constraint is not None and constraint.is_deferrable
