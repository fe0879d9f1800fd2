"""Views and materialized views: made, replaced, refreshed, dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Raw

from queryfit.migrations.context import Context
from queryfit.migrations.interpret.queries import Columns, Query, understand
from queryfit.migrations.interpret.storage_parameters import refuse_of_table
from queryfit.migrations.model import Column, Relation, Type
from queryfit.migrations.steps import ACCESS_EXCLUSIVE, EXCLUSIVE
from queryfit.sql.ddl import CreateTableAsStmt, RefreshMatViewStmt, ViewStmt
from queryfit.sql.ddl_parts import names

__all__ = ["HANDLERS", "create_materialized_view", "query_of"]


def query_of(context: Context, query: Raw) -> Query:
    """What a query returns and reads; nothing of either where it nests too deeply."""
    try:
        return understand(context, query)
    except RecursionError:
        context.unfollowed("the query nests too deeply")
        return Query(None, set())


def create_view(context: Context, statement: ViewStmt) -> None:
    """CREATE VIEW and CREATE OR REPLACE VIEW, which may only add columns at the end."""
    assert statement.view is not None
    name = context.new_name(statement.view)
    query = query_of(context, statement.query)
    columns = _named(query.columns, [node.text for node in statement.aliases])
    found = context.database.relations.get(name)
    if found is not None and not found.is_known and statement.replace:
        found.kind = "view"
    if found is not None and (found.is_known or statement.replace):
        if not statement.replace:
            context.refuse(f"relation {name.text} already exists")
        elif found.kind != "view":
            context.refuse(f"{name.text} is not a view")
        else:
            _replace(context, found, columns, query)
        return
    view = Relation(name, "view", born=context.born)
    if statement.options:
        refuse_of_table(context, view, statement.options)
    if statement.view.relpersistence == "t" or any(place.schema == "pg_temp" for place, _ in query.reads):
        view.persistence = "temporary"
    _fill(view, columns, query)
    context.database.put(view)
    context.effect("create view", view, ACCESS_EXCLUSIVE, columns=_joined(view))


def _replace(context: Context, view: Relation, columns: Columns | None, query: Query) -> None:
    reason = _conflict(view, columns)
    if reason is not None:
        context.refuse(reason)
        context.effect("replace view", view, ACCESS_EXCLUSIVE, is_breaking=True, reason=reason)
        return
    context.effect(
        "replace view",
        view,
        ACCESS_EXCLUSIVE,
        columns=", ".join(name for name, _ in columns) if columns is not None else None,
    )
    _fill(view, columns, query)
    context.database.put(view)


def _conflict(view: Relation, columns: Columns | None) -> str | None:
    """Why PostgreSQL would refuse to give the view those columns."""
    if columns is None or not view.are_columns_known:
        return None
    old = list(view.columns.values())
    if len(columns) < len(old):
        return "cannot drop columns from view"
    for column, (name, kind) in zip(old, columns, strict=False):
        if column.name != name:
            return f'cannot change name of view column "{column.name}" to "{name}"'
        if kind is not None and column.type is not None and _differ(column.type, kind):
            return f'cannot change data type of view column "{column.name}"'
    return None


def _differ(one: Type, other: Type) -> bool:
    if not one.schema or not other.schema:  # a type that no migration made: the schema may be the same
        return one.name != other.name
    return one != other


def _named(columns: Columns | None, aliases: Sequence[str]) -> Columns | None:
    if columns is None:
        return None
    return [(aliases[at] if at < len(aliases) else name, kind) for at, (name, kind) in enumerate(columns)]


def _fill(view: Relation, columns: Columns | None, query: Query) -> None:
    view.are_columns_known = columns is not None
    view.columns = {name: Column(name, kind) for name, kind in columns or ()}
    view.depends_on = frozenset(query.reads)


def _joined(view: Relation) -> str | None:
    return ", ".join(view.columns) if view.are_columns_known else None


def create_materialized_view(context: Context, statement: CreateTableAsStmt) -> None:
    """CREATE MATERIALIZED VIEW."""
    into = statement.into
    assert into is not None
    assert into.rel is not None
    name = context.new_name(into.rel)
    found = context.database.relations.get(name)
    if found is not None and found.is_known:
        if statement.if_not_exists:
            context.effect("create materialized view", found, is_present=False)
        else:
            context.refuse(f"relation {name.text} already exists")
        return
    query = query_of(context, statement.query)
    view = Relation(name, "materialized view", born=context.born)
    _fill(view, _named(query.columns, names(into.colNames)), query)
    context.database.put(view)
    context.effect(
        "create materialized view",
        view,
        ACCESS_EXCLUSIVE,
        columns=_joined(view),
        definition="with no data" if into.skipData else "with data",
    )


def refresh(context: Context, statement: RefreshMatViewStmt) -> None:
    """REFRESH MATERIALIZED VIEW: the rows anew, or with CONCURRENTLY only the differences."""
    assert statement.relation is not None
    view = context.relation(statement.relation, "materialized view")
    if not view.is_known:
        view.kind = "materialized view"
    if view.kind != "materialized view":
        context.refuse(f"{view.text} is not a materialized view")
        return
    if statement.concurrent and statement.skipData:
        context.refuse("CONCURRENTLY and WITH NO DATA options cannot be used together")
        return
    if statement.concurrent and view.is_known and not _has_plain_unique_index(context, view):
        context.refuse(f"cannot refresh materialized view {view.text} concurrently without a plain unique index")
        return
    is_anew = not statement.concurrent
    context.effect(
        "refresh materialized view",
        view,
        ACCESS_EXCLUSIVE if is_anew else EXCLUSIVE,
        is_concurrent=statement.concurrent,
        is_scan=statement.concurrent,  # the query reads other tables; only to find the differences is the view read
        is_rewrite=is_anew and not statement.skipData,
        is_index_rebuild=is_anew and bool(view.indexes) and not statement.skipData,
        definition="with no data" if statement.skipData else "with data",
        is_unique=_has_plain_unique_index(context, view) if view.is_known else None,
    )


def _has_plain_unique_index(context: Context, view: Relation) -> bool:
    """A unique index over columns only and all rows: without one the rows cannot be told apart."""
    return any(
        index.is_unique and not index.expressions and bytes(index.predicate) == b"null" and index.is_valid
        for index in context.database.indexes_of(view)
    )


HANDLERS: dict[str, Callable[[Context, Any], None]] = {
    "ViewStmt": create_view,
    "RefreshMatViewStmt": refresh,
}
"""Statements."""
