"""DROP of types, schemas, functions, extensions and other objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from queryfit.migrations.context import Context
from queryfit.migrations.interpret.dropped_relations import drop_relations, forget_column, going_with
from queryfit.migrations.model import Function, Name, Relation, Type
from queryfit.migrations.steps import ACCESS_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE
from queryfit.sql.ddl import DropStmt
from queryfit.sql.ddl_parts import Node, names
from queryfit.sql.names import quote_identifier


def drop_types(context: Context, statement: DropStmt) -> None:
    """DROP TYPE and DROP DOMAIN; with CASCADE the columns of the type go too."""
    database = context.database
    is_cascade = statement.behavior == "DROP_CASCADE"
    is_domain = statement.removeType == "OBJECT_DOMAIN"
    for entry in statement.objects:
        written = entry.TypeName
        found = context.type_of(written)
        if found is None or written is None:
            continue
        name = Name(found.schema or context.qualify(names(written.names)).schema, found.name)
        kind = "domain" if name in database.domains else "enum" if name in database.enums else "type"
        is_there = kind != "type" or name in database.types
        is_missing = not is_there and (
            database.is_complete or name in database.gone or context.expects_absence(missing_ok=statement.missing_ok)
        )
        context.thing("drop type", name.text, "domain" if is_domain else kind, is_breaking=not is_missing,
                      is_cascade=is_cascade, is_present=not is_missing, is_known=is_there)  # fmt: skip
        if is_missing and not statement.missing_ok:
            context.refuse(f'type "{name.name}" does not exist')
        if is_domain and is_there and kind != "domain":
            context.refuse(f'"{name.name}" is not a domain')
        if not _drop_type(context, name, is_cascade=is_cascade):
            return


def _drop_type(context: Context, name: Name, *, is_cascade: bool) -> bool:
    """A type goes, with CASCADE the domains over it, the tables of it and the columns; False where that is refused."""
    database = context.database
    going = [name]
    for one in going:
        going += [domain.name for domain in database.domains.values()
                  if domain.base is not None and (domain.base.schema, domain.base.name) == one
                  and domain.name not in going]  # fmt: skip
    typed = {relation.name: relation for relation in database.relations.values() if relation.of_type in going}
    users = [user for one in going for user in columns_of_type(context, one) if user[0].name not in typed]
    if not is_cascade and (len(going) > 1 or typed or users):
        what = f"column {users[0][1]} of table {users[0][0].name.name}" if users else "another type or table"
        context.refuse(f"cannot drop type {name.name} because other objects depend on it: {what}")
    if context.step.refusal is not None:
        return False
    composite = database.relations.get(name)
    if composite is not None and composite.kind == "composite type":
        context.effect("also lock", composite, ACCESS_EXCLUSIVE)
    if typed:
        drop_relations(context, going_with(context, typed, is_cascade=True), {})
    for table, column in users:
        context.effect("also lock", table, ACCESS_EXCLUSIVE, column_name=column, is_lossy=True, is_breaking=True)
        for view in list(database.views_on(table.name, column)):
            drop_relations(context, going_with(context, {view.name: view}, is_cascade=True), {})
        forget_column(context, table, column)
    for one in going:
        forget_type(context, one)
    return True


def forget_type(context: Context, name: Name) -> None:
    database = context.database
    for kind in (database.domains, database.enums, database.types):
        kind.pop(name, None)
    relation = database.relations.get(name)
    if relation is not None and relation.kind == "composite type":
        database.forget(name)
    database.gone.add(name)


def columns_of_type(context: Context, name: Name) -> list[tuple[Relation, str]]:
    """The columns of tables that are of a type, or of arrays of it."""
    return [
        (relation, column.name)
        for relation in context.database.relations.values()
        for column in relation.columns.values()
        if column.type is not None and column.type.name == name.name and column.type.schema == name.schema
        and relation.kind in {"table", "partitioned table", "foreign table"}
    ]  # fmt: skip


def drop_schemas(context: Context, statement: DropStmt) -> None:
    database = context.database
    is_cascade = statement.behavior == "DROP_CASCADE"
    for entry in statement.objects:
        schema = entry.text
        is_there = schema in database.schemas
        inside = {name: relation for name, relation in database.relations.items() if name.schema == schema}
        is_missing = (
            not is_there
            and not inside
            and (
                database.is_complete
                or Name(schema, "") in database.gone
                or context.expects_absence(missing_ok=statement.missing_ok)
            )
        )
        tables = [relation for relation in inside.values() if relation.kind in {"table", "partitioned table"}]
        context.thing(
            "drop schema",
            quote_identifier(schema),
            "schema",
            is_cascade=is_cascade,
            is_present=not is_missing,
            is_known=is_there or bool(inside),
            is_lossy=is_cascade and not is_missing and (bool(tables) or not is_there),
            is_breaking=is_cascade and not is_missing,
            is_reversible=not (is_cascade and (bool(tables) or not is_there)),
        )
        if is_missing:
            if not statement.missing_ok:
                context.refuse(f'schema "{schema}" does not exist')
            continue
        kinds: Sequence[dict[Name, Any]] = (database.domains, database.enums, database.types, database.functions)
        others = [(kind, name) for kind in kinds for name in kind if name.schema == schema]
        known = [relation for relation in inside.values() if relation.is_known]
        if not is_cascade and (known or others):
            context.refuse(f"cannot drop schema {schema} because other objects depend on it")
            return
        drop_relations(context, going_with(context, inside, is_cascade=True) if inside else {}, {})
        for kind, name in others:
            for table, column in columns_of_type(context, name) if kind is not database.functions else ():
                context.effect(
                    "also lock", table, ACCESS_EXCLUSIVE, column_name=column, is_lossy=True, is_breaking=True
                )
                forget_column(context, table, column)
            kind.pop(name, None)
        database.schemas.pop(schema, None)
        database.gone.add(Name(schema, ""))


def drop_function(context: Context, statement: DropStmt, entry: Node) -> None:
    written = entry.ObjectWithArgs
    if written is None:
        return
    database = context.database
    name = context.qualify(names(written.objname), database.functions)
    overloads = database.functions.get(name, [])
    arguments = None if written.args_unspecified else [context.type_of(part.TypeName) for part in written.objargs]
    matching = [function for function in overloads if arguments is None or _takes(function, arguments)]
    is_aggregate = statement.removeType == "OBJECT_AGGREGATE"  # which are not kept
    is_missing = (
        not overloads
        and not is_aggregate
        and (database.is_complete or name in database.gone or context.expects_absence(missing_ok=statement.missing_ok))
    )
    context.thing(
        "drop function",
        name.text,
        "function",
        is_breaking=not is_missing and not (matching and all(function.is_of_triggers for function in matching)),
        is_cascade=statement.behavior == "DROP_CASCADE",
        is_present=not is_missing,
        is_known=bool(matching),
    )
    if is_missing:
        if not statement.missing_ok:
            context.refuse(f"function {name.name} does not exist")
        return
    if arguments is None and len(matching) > 1:
        context.refuse(f'function name "{name.name}" is not unique')
        return
    if not arguments and not _drop_triggers(context, name, is_cascade=statement.behavior == "DROP_CASCADE"):
        return
    for function in matching:
        overloads.remove(function)
    if not overloads:
        database.functions.pop(name, None)
        database.gone.add(name)


def _takes(function: Function, arguments: Sequence[Type | None]) -> bool:
    return len(function.arguments) == len(arguments) and all(
        one is None or other is None or (one.name, one.dimensions) == (other.name, other.dimensions)
        for one, other in zip(function.arguments, arguments, strict=True)
    )


def drop_extension(context: Context, statement: DropStmt, name: str) -> None:
    database = context.database
    is_missing = name not in database.extensions and (
        database.is_complete or context.expects_absence(missing_ok=statement.missing_ok)
    )
    context.thing(
        "drop extension",
        quote_identifier(name),
        "extension",
        is_breaking=not is_missing,
        is_cascade=statement.behavior == "DROP_CASCADE",
        is_present=not is_missing,
    )
    if is_missing and not statement.missing_ok:
        context.refuse(f'extension "{name}" does not exist')
    database.extensions.pop(name, None)


def _drop_triggers(context: Context, function: Name, *, is_cascade: bool) -> bool:
    """The triggers that call a function go with it; False where PostgreSQL refuses that."""
    for place, trigger in sorted(context.database.trigger_places.get(function, ())):
        relation = context.database.relations.get(place)
        if relation is None or trigger not in relation.triggers:
            continue
        if not is_cascade:
            context.refuse(f"cannot drop function {function.name}() because trigger {trigger} depends on it")
            return False
        context.effect("also lock", relation, ACCESS_EXCLUSIVE, object_name=trigger)
        relation.triggers.discard(trigger)
    return True


def _drop_statistics(context: Context, parts: Sequence[str]) -> None:
    """The table of extended statistics is locked against other DDL."""
    statistics = context.database.statistics
    place = statistics.pop(context.qualify(parts, statistics), None) if parts else None
    relation = context.database.relations.get(place) if place is not None else None
    if relation is not None:
        context.effect("also lock", relation, SHARE_UPDATE_EXCLUSIVE)


def drop_other(context: Context, statement: DropStmt, entry: Node) -> None:
    """A collation, publication, server, operator …: only its name is noted."""
    kind = statement.removeType.removeprefix("OBJECT_").replace("_", " ").lower()
    parts: Sequence[str] = ()
    if entry.List is not None:
        parts = [part for part in names(entry.List.items) if part]
    elif entry.ObjectWithArgs is not None:
        parts = names(entry.ObjectWithArgs.objname)
    elif entry.text:
        parts = (entry.text,)
    name = ".".join(quote_identifier(part) for part in parts) or None
    if statement.removeType == "OBJECT_STATISTIC_EXT":
        _drop_statistics(context, parts)
    context.thing("drop object", name, "other", definition=kind, is_breaking=True,
                  is_cascade=statement.behavior == "DROP_CASCADE")  # fmt: skip
