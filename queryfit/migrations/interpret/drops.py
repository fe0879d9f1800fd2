"""DROP of everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from queryfit.migrations.context import Context
from queryfit.migrations.interpret import constraint_state, indexes, naming, partitions
from queryfit.migrations.interpret.naming import is_gone
from queryfit.migrations.model import Function, Index, Name, Relation, Type
from queryfit.migrations.steps import ACCESS_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE, Action
from queryfit.sql.ddl import NOTHING, DropStmt, Node, names
from queryfit.sql.names import quote_identifier

_RELATIONS: dict[str, tuple[Action, str, str]] = {
    "OBJECT_TABLE": ("drop table", "table", "a table"),
    "OBJECT_FOREIGN_TABLE": ("drop table", "foreign table", "a foreign table"),
    "OBJECT_VIEW": ("drop view", "view", "a view"),
    "OBJECT_MATVIEW": ("drop view", "materialized view", "a materialized view"),
    "OBJECT_SEQUENCE": ("drop sequence", "sequence", "a sequence"),
}
_FUNCTIONS = {"OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE", "OBJECT_AGGREGATE"}


def drop(context: Context, statement: DropStmt) -> None:
    """DROP of what the statement lists."""
    kind = statement.removeType
    if kind in _RELATIONS:
        _drop_relations(context, statement, kind)
    elif kind == "OBJECT_INDEX":
        _drop_indexes(context, statement)
    elif kind in _PARTS:
        for entry in statement.objects:
            _drop_part(context, statement, entry, kind)
    elif kind in {"OBJECT_TYPE", "OBJECT_DOMAIN"}:
        _drop_types(context, statement)
    elif kind == "OBJECT_SCHEMA":
        _drop_schemas(context, statement)
    elif kind in _FUNCTIONS:
        for entry in statement.objects:
            _drop_function(context, statement, entry)
    elif kind == "OBJECT_EXTENSION":
        for entry in statement.objects:
            _drop_extension(context, statement, entry.text)
    else:
        for entry in statement.objects:
            _drop_other(context, statement, entry)


def _name(context: Context, entry: Node) -> Name | None:
    parts = names(entry.List.items) if entry.List is not None else ()
    if not parts:
        return None
    return Name(parts[-2], parts[-1]) if len(parts) > 1 else context.unqualified(parts[-1])


# relations


def _drop_relations(context: Context, statement: DropStmt, kind: str) -> None:
    """DROP TABLE, VIEW, SEQUENCE …: those of the list first, as they may need each other."""
    database = context.database
    action, relation_kind, word = _RELATIONS[kind]
    is_cascade = statement.behavior == "DROP_CASCADE"
    named: dict[Name, Relation] = {}
    for entry in statement.objects:
        name = _name(context, entry)
        if name is None:
            continue
        if is_gone(database, name):
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
    going = _going(context, named, is_cascade=is_cascade)
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
        )
    drop_relations(context, going, named)


def _fits(relation: Relation, kind: str) -> bool:
    return relation.kind == kind or (kind == "table" and relation.kind == "partitioned table")


def _going(context: Context, named: dict[Name, Relation], *, is_cascade: bool) -> dict[Name, Relation]:
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
        if relation.kind == "sequence" and name in named and relation.owned_by is not None:
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
            f"cannot drop sequence {sequence.name.name} because column {column.name} of table {table.name.name} requires it"
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
            _forget_default(context, relation)
        database.forget(name)


def _loosen(context: Context, name: Name, relation: Relation, going: dict[Name, Relation], locked: set[Name]) -> None:
    database = context.database
    others: list[Relation | None] = []
    for constraint in relation.constraints.values():
        referenced = database.relations.get(constraint.referenced) if constraint.referenced is not None else None
        if referenced is not None and not constraint_state.is_inherited(context, relation, constraint):
            others.append(referenced)
            others += [table for table in database.descendants(referenced) if table.is_partition]
    for parent in relation.parents:
        above = database.relations.get(parent)
        if above is None or not relation.is_partition:
            continue
        others.append(above)
        if above.default_partition is not None:
            others.append(database.relations.get(above.default_partition))
    for other, constraint in list(database.referencing(name)):
        if other.name not in going:
            others.append(other)
            constraint_state.drop_state(context, other, constraint)
    for other_or_none in others:
        if other_or_none is not None and other_or_none.name not in locked and other_or_none.name not in going:
            locked.add(other_or_none.name)
            context.effect("also lock", other_or_none, ACCESS_EXCLUSIVE, other_relation=relation.text)


def _forget_default(context: Context, sequence: Relation) -> None:
    assert sequence.owned_by is not None
    table = context.database.relations.get(sequence.owned_by[0])
    column = table.columns.get(sequence.owned_by[1]) if table is not None else None
    if column is not None and column.default == "volatile" and not column.identity:
        column.default = None
        column.default_expression = NOTHING


# indexes


def _drop_indexes(context: Context, statement: DropStmt) -> None:
    database = context.database
    is_cascade = statement.behavior == "DROP_CASCADE"
    level = SHARE_UPDATE_EXCLUSIVE if statement.concurrent else ACCESS_EXCLUSIVE
    if statement.concurrent:
        context.step.is_concurrent = True
        context.not_in_block("DROP INDEX CONCURRENTLY")
        if len(statement.objects) > 1:
            context.refuse("DROP INDEX CONCURRENTLY does not support dropping multiple objects")
        if is_cascade:
            context.refuse("DROP INDEX CONCURRENTLY does not support CASCADE")
    listed = [name for entry in statement.objects if (name := _name(context, entry)) is not None]
    for name in listed:
        if is_gone(database, name):
            context.thing("drop index", None, "table", object_name=name.text, is_present=False,
                          is_concurrent=statement.concurrent)  # fmt: skip
            if not statement.missing_ok:
                context.refuse(f'index "{name.name}" does not exist')
            continue
        index = database.indexes.get(name)
        if name in database.relations:
            context.refuse(f'"{name.name}" is not an index')
            continue
        relation = database.relations.get(index.relation) if index is not None else None
        effect = context.effect(
            "drop index",
            relation,
            level,
            object_name=name.text,
            is_concurrent=statement.concurrent,
            is_cascade=is_cascade,
            is_unique=index.is_unique if index is not None else None,
            columns=", ".join(column or "expression" for column in index.columns) if index is not None else None,
        )
        if relation is None or index is None:
            effect.is_known = False
            database.gone.add(name)
            continue
        if statement.concurrent:
            indexes.on_index(context, name, "also lock", ACCESS_EXCLUSIVE)
        _drop_index(context, statement, index, relation, level)


def _drop_index(context: Context, statement: DropStmt, index: Index, relation: Relation, level: int) -> None:
    database = context.database
    name = index.name.name
    is_cascade = statement.behavior == "DROP_CASCADE"
    if index.constraint is not None and index.constraint in relation.constraints:
        context.refuse(
            f"cannot drop index {name} because constraint {index.constraint} on table {relation.name.name} requires it"
        )
    elif index.parent is not None and index.parent in database.indexes:
        context.refuse(f"cannot drop index {name} because index {index.parent.name} requires it")
    elif relation.kind == "partitioned table" and statement.concurrent:
        context.refuse(f'cannot drop partitioned index "{name}" concurrently')
    keys = _keys_on(context, index, relation)
    if keys and not is_cascade:
        context.refuse(f"cannot drop index {name} because other objects depend on it: constraint {keys[0][1].name}")
    if context.step.refusal is not None:
        return
    for other, key in keys:
        context.effect("also lock", other, ACCESS_EXCLUSIVE, object_name=key.name)
        constraint_state.drop_state(context, other, key)
    children = list(database.descendants(relation)) if relation.kind == "partitioned table" else []
    parents = {index.name}
    for child in children:
        context.effect("also lock", child, level)
        for own in database.indexes_of(child):
            if own.parent in parents:
                parents.add(own.name)
                database.forget_index(own.name)
    database.forget_index(index.name)


def _keys_on(context: Context, index: Index, relation: Relation) -> list[Any]:
    """Foreign keys that need a unique index which is no constraint's."""
    if not index.is_unique or index.constraint is not None or index.predicate is not NOTHING:
        return []
    return constraint_state.keys_on(context, relation, index.name, index.columns)


# what belongs to a table

_PARTS: dict[str, tuple[Action, str]] = {
    "OBJECT_TRIGGER": ("drop trigger", "trigger"),
    "OBJECT_POLICY": ("drop policy", "policy"),
    "OBJECT_RULE": ("drop rule", "rule"),
}


def _drop_part(context: Context, statement: DropStmt, entry: Node, kind: str) -> None:
    """A trigger, policy or rule: the name behind the table's."""
    action, word = _PARTS[kind]
    parts = names(entry.List.items) if entry.List is not None else ()
    if len(parts) < 2:  # noqa: PLR2004 -- the table and what belongs to it
        return
    table = Name(parts[-3], parts[-2]) if len(parts) > 2 else context.unqualified(parts[-2])  # noqa: PLR2004
    database = context.database
    is_cascade = statement.behavior == "DROP_CASCADE"
    if is_gone(database, table):
        context.thing(action, table.text, "table", object_name=parts[-1], is_present=False)
        if not statement.missing_ok:
            context.refuse(f'relation "{table.name}" does not exist')
        return
    relation = database.relations.get(table)
    if relation is None:
        relation = Relation(table, is_known=False, are_columns_known=False)
        database.put(relation)
    parts_of = {"OBJECT_TRIGGER": relation.triggers, "OBJECT_POLICY": relation.policies, "OBJECT_RULE": relation.rules}
    held = parts_of.get(kind)
    is_missing = held is not None and parts[-1] not in held and relation.are_columns_known and relation.is_known
    if is_missing and not statement.missing_ok:
        context.refuse(f'{word} "{parts[-1]}" for table "{table.name}" does not exist')
    context.effect(
        action, relation, 0 if is_missing else ACCESS_EXCLUSIVE, object_name=parts[-1], is_present=not is_missing,
        is_cascade=is_cascade,
    )  # fmt: skip
    if held is None or is_missing:
        return
    held.discard(parts[-1])
    if kind == "OBJECT_TRIGGER":
        for child in database.descendants(relation):
            if child.is_partition and parts[-1] in child.triggers:
                context.effect("also lock", child, ACCESS_EXCLUSIVE, object_name=parts[-1])
                child.triggers.discard(parts[-1])


# types, schemas, functions and the rest


def _drop_types(context: Context, statement: DropStmt) -> None:
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
        is_missing = not is_there and (database.is_complete or name in database.gone)
        context.thing("drop type", name.text, "domain" if is_domain else kind, is_breaking=not is_missing,
                      is_cascade=is_cascade, is_present=not is_missing, is_known=is_there)  # fmt: skip
        if is_missing and not statement.missing_ok:
            context.refuse(f'type "{name.name}" does not exist')
        if is_domain and is_there and kind != "domain":
            context.refuse(f'"{name.name}" is not a domain')
        users = columns_of_type(context, name)
        if users and not is_cascade:
            table, column = users[0]
            context.refuse(
                f"cannot drop type {name.name} because other objects depend on it: column {column} of table {table.name.name}"
            )
        if context.step.refusal is not None:
            return
        for table, column in users:
            context.effect("also lock", table, ACCESS_EXCLUSIVE, column_name=column, is_lossy=True, is_breaking=True)
            forget_column(context, table, column)
        forget_type(context, name)


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


def _drop_schemas(context: Context, statement: DropStmt) -> None:
    database = context.database
    is_cascade = statement.behavior == "DROP_CASCADE"
    for entry in statement.objects:
        schema = entry.text
        is_there = schema in database.schemas
        inside = {name: relation for name, relation in database.relations.items() if name.schema == schema}
        is_missing = not is_there and not inside and (database.is_complete or Name(schema, "") in database.gone)
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
        drop_relations(context, _going(context, inside, is_cascade=True) if inside else {}, {})
        for kind, name in others:
            for table, column in columns_of_type(context, name) if kind is not database.functions else ():
                context.effect(
                    "also lock", table, ACCESS_EXCLUSIVE, column_name=column, is_lossy=True, is_breaking=True
                )
                forget_column(context, table, column)
            kind.pop(name, None)
        database.schemas.pop(schema, None)
        database.gone.add(Name(schema, ""))


def _drop_function(context: Context, statement: DropStmt, entry: Node) -> None:
    written = entry.ObjectWithArgs
    if written is None:
        return
    database = context.database
    name = context.qualify(names(written.objname), database.functions)
    overloads = database.functions.get(name, [])
    arguments = None if written.args_unspecified else [context.type_of(part.TypeName) for part in written.objargs]
    matching = [function for function in overloads if arguments is None or _takes(function, arguments)]
    is_missing = not matching and (database.is_complete or (name in database.gone and not overloads))
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


def _drop_extension(context: Context, statement: DropStmt, name: str) -> None:
    database = context.database
    is_missing = name not in database.extensions and database.is_complete
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


def _drop_other(context: Context, statement: DropStmt, entry: Node) -> None:
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


HANDLERS: dict[str, Callable[[Context, Any], None]] = {"DropStmt": drop}
