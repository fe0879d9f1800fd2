"""Rows that INSERT, UPDATE and DELETE name against the table: what PostgreSQL refuses for certain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from queryfit.migrations.context import Context
from queryfit.migrations.interpret.conflicts import refuse_conflict
from queryfit.migrations.interpret.returning import refuse_old_and_new
from queryfit.migrations.interpret.values import refuse_compared, refuse_value
from queryfit.migrations.model import Column, Name, Relation
from queryfit.sql.ddl import DeleteStmt, InsertStmt, RowSource, Target, UpdateStmt
from queryfit.sql.ddl_parts import NOTHING, RangeVar, tree

_COLUMN = msgspec.json.Decoder(Target)
_NO_VALUE = frozenset({"SetToDefault", "MultiAssignRef"})
_TABLES = frozenset({"table", "partitioned table"})
_TEXT_CONSTANT = b'{"A_Const":{"sval":'


_SOURCE = msgspec.json.Decoder(dict[str, RowSource])

Cell = dict[str, Raw]
"""An expression: its kind and the rest of it."""


class _Rows(NamedTuple):
    """The rows that an INSERT writes out; `is_surely_run`: each of them gets into the table, or the statement fails."""

    rows: list[list[Cell]]
    is_values: bool
    is_surely_run: bool


def _written_columns(targets: Iterable[Raw]) -> dict[str, dict[str, Raw]]:
    """The columns that INSERT lists or UPDATE sets, with their values; none where only a part of one is set."""
    found = {}
    for raw in targets:
        target = _COLUMN.decode(raw).ResTarget
        if target is not None and target.name:
            found[target.name] = target.val if target.indirection is NOTHING else {}
    return found


def _knows(relation: Relation) -> bool:
    return relation.are_columns_known and relation.kind in _TABLES


def _refuse_columns(context: Context, relation: Relation, written: dict[str, dict[str, Raw]]) -> None:
    """Columns that are not there, or that only PostgreSQL fills."""
    for name, value in written.items():
        column = relation.columns.get(name)
        if column is None:
            context.refuse(f'column "{name}" of relation "{relation.name.name}" does not exist')
        elif value and (column.generated or column.identity == "a") and _NO_VALUE.isdisjoint(value):
            context.refuse(f'column "{name}" can only be updated to DEFAULT')


_CATALOGS = frozenset({
    "pg_attrdef", "pg_attribute", "pg_cast", "pg_class", "pg_constraint", "pg_enum", "pg_index", "pg_operator",
    "pg_proc", "pg_rewrite", "pg_trigger", "pg_type",
})  # fmt: skip


def see_catalog(context: Context, relation: Relation) -> None:
    """Whoever writes to a system catalog changes the schema past its statements."""
    if relation.name.schema == "pg_catalog" and relation.name.name in _CATALOGS:
        context.step.unseen = context.step.unseen or f"what a change of {relation.name.name} does to the schema"


# UPDATE and DELETE


def refuse_updated(context: Context, statement: UpdateStmt, relation: Relation) -> None:
    """UPDATE: columns that are not there, values and comparisons with texts that are of no use for their columns."""
    if _knows(relation):
        _refuse_set(context, relation, statement.targetList)
        if not statement.fromClause and statement.whereClause is not NOTHING:
            _refuse_where(context, relation, statement.relation, statement.whereClause)
    if statement.returningClause is not NOTHING:
        refuse_old_and_new(context, statement.returningClause)


def _refuse_set(context: Context, relation: Relation, targets: list[Raw]) -> None:
    written = _written_columns(targets)
    _refuse_columns(context, relation, written)
    for name, value in written.items():
        if ("A_Const" in value or "TypeCast" in value) and not relation.rules:
            refuse_value(context, relation, name, _decoded(value))


def _decoded(value: Cell) -> dict[str, Any]:
    return {kind: tree(raw) for kind, raw in value.items()}


def refuse_deleted(context: Context, statement: DeleteStmt, relation: Relation) -> None:
    """DELETE: comparisons with texts that are no values of their columns' types."""
    if statement.whereClause is not NOTHING and not statement.usingClause and _knows(relation):
        _refuse_where(context, relation, statement.relation, statement.whereClause)
    if statement.returningClause is not NOTHING:
        refuse_old_and_new(context, statement.returningClause)


def _refuse_where(context: Context, relation: Relation, written: RangeVar | None, where: Raw) -> None:
    if written is not None and _TEXT_CONSTANT in bytes(where):
        refuse_compared(context, relation, [written.relname], tree(where))


# INSERT


def refuse_inserted(context: Context, statement: InsertStmt, relation: Relation, *, is_written_out: bool) -> None:
    """INSERT: columns, counts, values that do not fit, nulls where there may be none, ON CONFLICT, RETURNING."""
    if _knows(relation):
        listed = _written_columns(statement.cols)
        for name in listed:
            if name not in relation.columns:
                context.refuse(f'column "{name}" of relation "{relation.name.name}" does not exist')
        found = _Rows([], is_values=False, is_surely_run=False)
        if not relation.rules and is_written_out and context.step.refusal is None:
            found = _rows(statement.selectStmt)
            _refuse_rows(context, statement, relation, list(listed), found)
        if statement.onConflictClause is not NOTHING and not relation.rules:
            refuse_conflict(
                context,
                relation,
                statement.onConflictClause,
                lambda targets: _refuse_set(context, relation, targets),
                is_surely_run=found.is_surely_run and not _has_triggers(context, relation),
            )
    if statement.returningClause is not NOTHING:
        refuse_old_and_new(context, statement.returningClause)


def _rows(query: Raw) -> _Rows:
    """The rows of VALUES, or the one of a SELECT that reads nothing; of DEFAULT VALUES one in which nothing is set."""
    if query is NOTHING:
        return _Rows([[]], is_values=True, is_surely_run=True)
    source = _SOURCE.decode(query).get("SelectStmt")
    if source is None:
        return _Rows([], is_values=False, is_surely_run=False)
    is_limited = source.limitCount is not NOTHING or source.limitOffset is not NOTHING
    if source.valuesLists:
        is_plain = not is_limited and source.sortClause is NOTHING and source.withClause is NOTHING
        if not is_plain:  # it is a query of its own, whose columns have types of their own
            return _Rows([], is_values=False, is_surely_run=False)
        rows = [row.List.items if row.List is not None else [] for row in source.valuesLists]
        return _Rows(rows, is_values=True, is_surely_run=True)
    if (
        source.distinctClause is not NOTHING
        or source.groupClause is not NOTHING
        or source.havingClause is not NOTHING
        or source.sortClause is not NOTHING
    ):
        return _Rows([], is_values=False, is_surely_run=False)
    row = [target.ResTarget.val if target.ResTarget is not None else {} for target in source.targetList]
    may_be_none = source.whereClause is not NOTHING or is_limited or b'"FuncCall"' in bytes(query)
    return _Rows([row], is_values=False, is_surely_run=not may_be_none)


def _refuse_rows(
    context: Context, statement: InsertStmt, relation: Relation, listed: Sequence[str], found: _Rows
) -> None:
    """What the rows hold against the columns that they are for."""
    rows = found.rows
    if not rows or len(listed) != len(statement.cols):
        return  # a column is listed by its fields or elements, and may be so twice
    if not listed and relation.parents:
        return  # the order of inherited columns is that of the parents
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        context.refuse("VALUES lists must all be the same length")
        return
    count = lengths.pop()
    columns = list(listed or relation.columns)
    if count > len(columns):
        context.refuse("INSERT has more expressions than target columns")
        return
    if listed and count < len(columns):
        context.refuse("INSERT has more target columns than expressions")
        return
    columns = columns[:count]
    for place, name in enumerate(columns):
        column = relation.columns[name]
        _refuse_cells(context, statement, relation, column, [row[place] for row in rows], found)
    if found.is_surely_run and not _has_triggers(context, relation):
        _refuse_nulls(context, relation, statement.override, columns, rows)


def _refuse_cells(  # noqa: PLR0917 -- one column of the rows
    context: Context, statement: InsertStmt, relation: Relation, column: Column, cells: Sequence[Cell], found: _Rows
) -> None:
    """The values that one column gets."""
    kind = column.type
    is_plain = kind is not None and not kind.typmods and not kind.dimensions and kind.schema == "pg_catalog"
    takes_all = is_plain and kind is not None and kind.name in _TAKE_ALL
    harmless = _HARMLESS_FOR_NUMBERS if is_plain and kind is not None and kind.name in _NUMBERS else _NULL
    seen: set[bytes] = set()
    for cell in cells:
        raw = cell.get("A_Const")
        if raw is not None:
            if takes_all:
                continue
            text = bytes(raw)
            if text.startswith(harmless):
                continue
            text = text.partition(b',"location"')[0]
            if text not in seen:
                seen.add(text)
                refuse_value(context, relation, column.name, {"A_Const": tree(raw)})
        elif (raw := cell.get("TypeCast")) is not None:
            refuse_value(context, relation, column.name, {"TypeCast": tree(raw)})
    is_always = column.identity == "a" and statement.override == "OVERRIDING_NOT_SET"
    if (is_always or column.generated) and (not found.is_values or any("SetToDefault" not in cell for cell in cells)):
        context.refuse(f'cannot insert a non-DEFAULT value into column "{column.name}"')


_TAKE_ALL = frozenset({"text", "varchar"})
_NUMBERS = frozenset({"int4", "int8", "numeric", "float4", "float8"})
_NULL = b'{"isnull":true'
_HARMLESS_FOR_NUMBERS = (_NULL, b'{"ival":')


def _has_triggers(context: Context, relation: Relation) -> bool:
    """A trigger of the table, or of one of its partitions, may put other values into the rows."""
    return bool(relation.triggers) or any(
        child.triggers or not child.are_columns_known for child in context.database.descendants(relation)
    )


def _refuse_nulls(
    context: Context, relation: Relation, override: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]
) -> None:
    """Columns that must have a value: left out, or given NULL or a default that is none."""
    places = {name: place for place, name in enumerate(columns)}
    for column in relation.columns.values():
        if not column.is_not_null or column.generated or (column.identity and override == "OVERRIDING_USER_VALUE"):
            continue
        is_filled = column.default is not None or column.identity or not _has_no_default(context, column)
        place = places.get(column.name)
        if place is None:
            is_null = not is_filled
        else:
            cells = [row[place] for row in rows]
            is_null = any(
                bytes(cell["A_Const"]).startswith(_NULL)
                if "A_Const" in cell
                else "SetToDefault" in cell and not is_filled
                for cell in cells
            )
        if is_null:
            context.refuse(
                f'null value in column "{column.name}" of relation "{relation.name.name}" violates not-null constraint'
            )
            return


def _has_no_default(context: Context, column: Column) -> bool:
    """The type of the column gives no value either."""
    return column.type is not None and Name(column.type.schema, column.type.name) not in context.database.domains
