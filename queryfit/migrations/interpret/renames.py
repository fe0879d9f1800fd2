"""RENAME, SET SCHEMA and OWNER TO of everything, with all that names what is renamed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from queryfit.migrations.context import Context
from queryfit.migrations.interpret import constraint_state, indexes, naming
from queryfit.migrations.model import Database, Name, Relation, Type
from queryfit.migrations.steps import ACCESS_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE, Action
from queryfit.sql.ddl import AlterObjectSchemaStmt, AlterOwnerStmt, RenameStmt
from queryfit.sql.ddl_parts import Node, names
from queryfit.sql.names import qualified, quote_identifier

_RELATIONS: dict[str, tuple[Action, Any]] = {
    "OBJECT_TABLE": ("rename table", "table"),
    "OBJECT_FOREIGN_TABLE": ("rename table", "foreign table"),
    "OBJECT_VIEW": ("rename view", "view"),
    "OBJECT_MATVIEW": ("rename view", "materialized view"),
    "OBJECT_SEQUENCE": ("rename table", "sequence"),
    "OBJECT_INDEX": ("rename index", "index"),
}
_TYPES = {"OBJECT_TYPE", "OBJECT_DOMAIN"}
_FUNCTIONS = {"OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE", "OBJECT_AGGREGATE"}


def rename(context: Context, statement: RenameStmt) -> None:
    """ALTER … RENAME."""
    kind = statement.renameType
    if kind in _RELATIONS:
        _rename_relation(context, statement)
    elif kind in {"OBJECT_COLUMN", "OBJECT_ATTRIBUTE"}:
        _rename_column(context, statement)
    elif kind == "OBJECT_TABCONSTRAINT":
        _rename_constraint(context, statement)
    elif kind in {"OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE"}:
        _rename_part(context, statement)
    elif kind in _TYPES:
        _rename_type(context, statement)
    elif kind == "OBJECT_DOMCONSTRAINT":
        _rename_domain_constraint(context, statement)
    elif kind == "OBJECT_SCHEMA":
        _rename_schema(context, statement)
    elif kind in _FUNCTIONS:
        _rename_function(context, statement)
    else:
        _rename_other(context, statement)


def _clipped(name: str) -> str:
    return naming.clip(name.encode()) if len(name) > naming.NAME_BYTES or not name.isascii() else name


def _missing(context: Context, action: Action, name: Name, kind: str, *, is_allowed: bool) -> None:
    context.thing(action, name.text, kind, is_present=False)
    if not is_allowed:
        context.refuse(f'relation "{name.name}" does not exist')


def _rename_relation(context: Context, statement: RenameStmt) -> None:
    assert statement.relation is not None
    database = context.database
    action, kind = _RELATIONS[statement.renameType]
    name = context.name_of(statement.relation)
    if context.is_absent(name, missing_ok=statement.missing_ok):
        _missing(context, action, name, kind, is_allowed=statement.missing_ok)
        return
    new = Name(name.schema, _clipped(statement.newname))
    is_taken = database.exists(new)
    if is_taken:
        context.refuse(f'relation "{new.name}" already exists')
    if name in database.indexes or (kind == "index" and name not in database.relations):
        _rename_index(context, statement, name, new)
        return
    relation = context.relation(statement.relation, kind)
    if relation.kind in {"view", "materialized view"}:
        action = "rename view"
    elif kind == "index":
        action = "rename table"
    # a sequence that a column owns is used through the column, any other by its name
    is_through_column = relation.kind == "sequence" and (relation.owned_by is not None or not relation.is_known)
    context.effect(action, relation, ACCESS_EXCLUSIVE, new_name=new.text, is_breaking=not is_through_column)
    if not is_taken:
        database.move(relation, new)


def _rename_index(context: Context, statement: RenameStmt, name: Name, new: Name) -> None:
    index = context.database.indexes.get(name)
    relation = context.database.relations.get(index.relation) if index is not None else None
    level = SHARE_UPDATE_EXCLUSIVE if statement.renameType == "OBJECT_INDEX" else ACCESS_EXCLUSIVE
    context.effect("rename index", relation, 0, object_name=name.text, new_name=new.text)
    indexes.on_index(context, name, "also lock", level)
    if index is None or context.step.refusal is not None:
        if index is None:
            context.database.gone.add(name)
        return
    _rename_key(context, index.name, new.name)
    context.database.move_index(index, new)


def _rename_key(context: Context, index: Name, new: str) -> None:
    """An index that is a constraint gives it its new name."""
    found = context.database.indexes[index]
    relation = context.database.relations.get(found.relation)
    if relation is not None and found.constraint is not None and found.constraint in relation.constraints:
        _rename_in_order(relation.constraints, found.constraint, new)
        constraint = relation.constraints[new]
        constraint.name = new
        context.database.constrain(relation, constraint)
    if found.constraint is not None:
        found.constraint = new


def _rename_in_order(held: dict[str, Any], old: str, new: str) -> None:
    entries = [(new if name == old else name, value) for name, value in held.items()]
    held.clear()
    held.update(entries)


# columns


def _rename_column(context: Context, statement: RenameStmt) -> None:  # noqa: C901, PLR0912 -- one thing after the other
    assert statement.relation is not None
    database = context.database
    old, new = statement.subname, _clipped(statement.newname)
    action: Action = "rename column" if statement.renameType == "OBJECT_COLUMN" else "alter type attribute"
    name = context.name_of(statement.relation)
    if context.is_absent(name, missing_ok=statement.missing_ok):
        _missing(context, action, name, "table", is_allowed=statement.missing_ok)
        return
    kind: Any = {"OBJECT_VIEW": "view", "OBJECT_MATVIEW": "materialized view", "OBJECT_TYPE": "composite type"}.get(
        statement.relationType, "table"
    )
    relation = context.relation(statement.relation, kind)
    children = list(database.descendants(relation))
    context.effect(
        action,
        relation,
        ACCESS_EXCLUSIVE,
        column_name=old,
        new_name=new,
        is_breaking=True,
        **({"definition": "rename attribute", "relation_kind": "type"} if action != "rename column" else {}),
    )
    table = relation.name.name
    if relation.are_columns_known and old not in relation.columns:
        context.refuse(f'column "{old}" does not exist')
    if new in relation.columns:
        context.refuse(f'column "{new}" of relation "{table}" already exists')
    column = relation.columns.get(old)
    if column is not None and column.is_inherited:
        context.refuse(f'cannot rename inherited column "{old}"')
    is_only = not statement.relation.inh and relation.kind != "composite type" and action == "rename column"
    if is_only and children:
        context.refuse(f'inherited column "{old}" must be renamed in child tables too')
    if action != "rename column" and statement.behavior != "DROP_CASCADE":
        _refuse_typed(context, relation)
    if context.step.refusal is not None:
        return
    for place in (relation, *children):
        if place is not relation:
            context.effect("also lock", place, ACCESS_EXCLUSIVE, column_name=old)
        rename_column(context, place, old, new)
    composite = database.types.get(relation.name)
    if composite is not None and old in composite.columns:
        _rename_in_order(composite.columns, old, new)
    if relation.kind == "composite type":
        for typed in database.relations.values():
            if typed.of_type == relation.name:
                context.effect("also lock", typed, ACCESS_EXCLUSIVE, column_name=old)
                rename_column(context, typed, old, new)


def _refuse_typed(context: Context, relation: Relation) -> None:
    """Tables of a composite type follow it with CASCADE only."""
    if any(other.of_type == relation.name for other in context.database.relations.values()):
        context.refuse(f'cannot alter type "{relation.name.name}" because it is the type of a typed table')


def rename_column(context: Context, relation: Relation, old: str, new: str) -> None:
    """A column gets another name wherever it is named."""
    database = context.database
    column = relation.columns.get(old)
    if column is not None:
        column.name = new
        _rename_in_order(relation.columns, old, new)
        for other in relation.columns.values():
            other.generation_expression = naming.with_column_renamed(other.generation_expression, old, new)
    for constraint in relation.constraints.values():
        constraint.columns = _replaced(constraint.columns, old, new)
        constraint.expression = naming.with_column_renamed(constraint.expression, old, new)
    relation.partition_key = _replaced(relation.partition_key, old, new)
    for index in database.indexes_of(relation):
        index.columns = _replaced(index.columns, old, new)
        index.included = _replaced(index.included, old, new)
        index.expressions = tuple(naming.with_column_renamed(part, old, new) for part in index.expressions)
        index.predicate = naming.with_column_renamed(index.predicate, old, new)
    for _, constraint in database.referencing(relation.name):
        constraint.referenced_columns = _replaced(constraint.referenced_columns, old, new)
    for view in database.views_on(relation.name, old):
        view.depends_on = frozenset(
            (place, new if place == relation.name and read == old else read) for place, read in view.depends_on
        )
    for sequence in database.owned_sequences(relation.name, old):
        sequence.owned_by = (relation.name, new)


def _replaced(parts: tuple[Any, ...], old: str, new: str) -> tuple[Any, ...]:
    return tuple(new if part == old else part for part in parts) if old in parts else parts


# constraints and what else belongs to a table


def _rename_constraint(context: Context, statement: RenameStmt) -> None:  # noqa: C901 -- one thing after the other
    assert statement.relation is not None
    database = context.database
    old, new = statement.subname, _clipped(statement.newname)
    name = context.name_of(statement.relation)
    if context.is_absent(name, missing_ok=statement.missing_ok):
        _missing(context, "rename constraint", name, "table", is_allowed=statement.missing_ok)
        return
    relation = context.relation(statement.relation)
    constraint = relation.constraints.get(old)
    context.effect(
        "rename constraint",
        relation,
        ACCESS_EXCLUSIVE,
        object_name=old,
        new_name=new,
        definition=constraint.kind if constraint is not None else None,
    )
    table = relation.name.name
    if constraint is None and relation.are_columns_known:
        context.refuse(f'constraint "{old}" for table "{table}" does not exist')
    if new in relation.constraints:
        context.refuse(f'constraint "{new}" for relation "{table}" already exists')
    if constraint is None or context.step.refusal is not None:
        return
    if constraint.index is not None:
        place = Name(relation.name.schema, new)
        if database.exists(place):
            context.refuse(f'relation "{new}" already exists')
            return
        index = database.indexes.get(constraint.index)
        if index is not None:
            _rename_key(context, index.name, new)
            database.move_index(index, place)
            constraint.index = place
            return
    if constraint_state.is_inherited(context, relation, constraint):
        context.refuse(f'cannot rename inherited constraint "{old}"')
        return
    _rename_state(context, relation, constraint, new)
    if constraint.kind not in {"check", "not null"} or constraint.is_no_inherit:
        return
    for child in database.descendants(relation):
        context.effect("also lock", child, ACCESS_EXCLUSIVE, object_name=old)
        own = child.constraints.get(old)
        if own is not None and own.kind == constraint.kind:
            _rename_state(context, child, own, new)


def _rename_state(context: Context, relation: Relation, constraint: Any, new: str) -> None:
    _rename_in_order(relation.constraints, constraint.name, new)
    constraint.name = new
    context.database.constrain(relation, constraint)


def _rename_part(context: Context, statement: RenameStmt) -> None:
    assert statement.relation is not None
    relation = context.relation(statement.relation)
    old, new = statement.subname, statement.newname
    word = statement.renameType.removeprefix("OBJECT_").lower()
    held = {"trigger": relation.triggers, "policy": relation.policies}.get(word)
    context.effect("alter policy" if word == "policy" else "alter object", relation, ACCESS_EXCLUSIVE,
                   object_name=old, new_name=new, definition=f"rename {word}")  # fmt: skip
    if held is None:
        return
    if old not in held and relation.is_known and relation.are_columns_known:
        context.refuse(f'{word} "{old}" for table "{relation.name.name}" does not exist')
    elif new in held:
        context.refuse(f'{word} "{new}" for table "{relation.name.name}" already exists')
    else:
        held.discard(old)
        held.add(new)


# types, schemas, functions and the rest


def _parts(node: Node | None) -> Sequence[str]:
    if node is None:
        return ()
    if node.List is not None:
        return names(node.List.items)
    if node.ObjectWithArgs is not None:
        return names(node.ObjectWithArgs.objname)
    if node.TypeName is not None:
        return names(node.TypeName.names)
    return (node.text,) if node.text else ()


def _type_name(database: Database, context: Context, parts: Sequence[str]) -> Name:
    known = {*database.domains, *database.enums, *database.types} if len(parts) == 1 else ()
    return context.qualify(parts, known)


def _kind_of_type(database: Database, name: Name) -> str:
    if name in database.domains:
        return "domain"
    return "enum" if name in database.enums else "type"


def _rename_type(context: Context, statement: RenameStmt) -> None:
    database = context.database
    parts = _parts(statement.object)
    if not parts:
        return
    name = _type_name(database, context, parts)
    new = Name(name.schema, _clipped(statement.newname))
    kind = _kind_of_type(database, name)
    if new in database.domains or new in database.enums or new in database.types:
        context.refuse(f'type "{new.name}" already exists')
    composite = database.relations.get(name)
    if composite is not None and composite.kind == "composite type":
        context.effect(
            "rename type", composite, ACCESS_EXCLUSIVE, relation_kind="type", new_name=new.text, is_breaking=True
        )
    else:
        context.thing("rename type", name.text, kind, new_name=new.text, is_breaking=True)
    if context.step.refusal is None:
        move_type(context, name, new)


def move_type(context: Context, old: Name, new: Name) -> None:  # noqa: C901 -- everything that may be of a type
    """A type gets another name or schema, in every column, domain and function that has it."""
    database = context.database
    for held in (database.domains, database.enums, database.types):
        found = held.pop(old, None)
        if found is not None:
            found.name = new
            held[new] = found  # type: ignore[assignment]
    relation = database.relations.get(old)
    if relation is not None and relation.kind == "composite type":
        database.move(relation, new)
    database.gone.add(old)

    def moved(kind: Type | None) -> Type | None:
        if kind is None or kind.name != old.name or kind.schema != old.schema:
            return kind
        return Type(new.schema, new.name, kind.typmods, kind.dimensions)

    for table in database.relations.values():
        if table.of_type == old:
            table.of_type = new
        for column in table.columns.values():
            column.type = moved(column.type)
    for domain in database.domains.values():
        domain.base = moved(domain.base)
    for composite in database.types.values():
        for name, kind in composite.columns.items():
            composite.columns[name] = moved(kind)
    for overloads in database.functions.values():
        for function in overloads:
            function.arguments = tuple(moved(kind) for kind in function.arguments)
            function.returns = moved(function.returns)


def _rename_domain_constraint(context: Context, statement: RenameStmt) -> None:
    database = context.database
    name = _type_name(database, context, _parts(statement.object))
    context.thing("alter object", name.text, "domain", object_name=statement.subname, new_name=statement.newname,
                  definition="rename constraint")  # fmt: skip
    domain = database.domains.get(name)
    if domain is None:
        return
    if statement.subname not in domain.checks:
        context.refuse(f'constraint "{statement.subname}" for domain {name.name} does not exist')
        return
    _rename_in_order(domain.checks, statement.subname, statement.newname)


def _rename_schema(context: Context, statement: RenameStmt) -> None:
    database = context.database
    old, new = statement.subname, statement.newname
    is_there = old in database.schemas
    context.thing("rename schema", quote_identifier(old), "schema", new_name=quote_identifier(new), is_breaking=True,
                  is_known=is_there)  # fmt: skip
    if new in database.schemas:
        context.refuse(f'schema "{new}" already exists')
        return
    if not is_there and (database.is_complete or Name(old, "") in database.gone):
        context.refuse(f'schema "{old}" does not exist')
        return
    database.schemas[new] = database.schemas.pop(old, context.born)
    database.gone.add(Name(old, ""))
    _move_all(context, old, new)


def _move_all(context: Context, old: str, new: str) -> None:
    database = context.database
    for name, index in list(database.indexes.items()):
        if name.schema == old:
            database.move_index(index, Name(new, name.name))
    for name, relation in list(database.relations.items()):
        if name.schema == old:
            database.move(relation, Name(new, name.name))
    for held in (database.domains, database.enums, database.types):
        for name in [name for name in held if name.schema == old]:
            move_type(context, name, Name(new, name.name))
    for name in [name for name in database.functions if name.schema == old]:
        database.functions[Name(new, name.name)] = database.functions.pop(name)
    for extension, schema in database.extensions.items():
        if schema == old:
            database.extensions[extension] = new


def _rename_function(context: Context, statement: RenameStmt) -> None:
    database = context.database
    name = context.qualify(_parts(statement.object) or ("",), database.functions)
    new = Name(name.schema, statement.newname)
    overloads = database.functions.get(name, [])
    is_breaking = not overloads or not all(function.is_of_triggers for function in overloads)
    context.thing("rename function", name.text, "function", new_name=new.text, is_breaking=is_breaking,
                  is_known=bool(overloads))  # fmt: skip
    _move_function(database, name, new)


def _move_function(database: Database, name: Name, new: Name) -> None:
    overloads = database.functions.pop(name, [])
    for function in overloads:
        function.name = new
    if overloads:
        database.functions.setdefault(new, []).extend(overloads)
    if (places := database.trigger_places.pop(name, None)) is not None:
        database.trigger_places.setdefault(new, set()).update(places)


def _rename_other(context: Context, statement: RenameStmt) -> None:
    word = statement.renameType.removeprefix("OBJECT_").replace("_", " ").lower()
    parts = _parts(statement.object) or ((statement.subname,) if statement.subname else ())
    name = ".".join(quote_identifier(part) for part in parts) or None
    kind = {"role": "role", "database": "database"}.get(word, "other")
    context.thing("alter object", name, kind, new_name=quote_identifier(statement.newname),
                  definition=f"rename {word}", is_breaking=True)  # fmt: skip


# SET SCHEMA, OWNER TO


def set_schema(context: Context, statement: AlterObjectSchemaStmt) -> None:
    """ALTER … SET SCHEMA; a table takes its indexes and sequences along."""
    database = context.database
    new = statement.newschema
    if statement.relation is not None:
        _set_schema_of_relation(context, statement)
        return
    _refuse_schema(context, new)
    parts = _parts(statement.object)
    if statement.objectType in _TYPES and parts:
        name = _type_name(database, context, parts)
        context.thing("set schema", name.text, _kind_of_type(database, name), new_name=quote_identifier(new),
                      is_breaking=True)  # fmt: skip
        if context.step.refusal is None:
            move_type(context, name, Name(new, name.name))
    elif statement.objectType in _FUNCTIONS and parts:
        name = context.qualify(parts, database.functions)
        context.thing("set schema", name.text, "function", new_name=quote_identifier(new), is_breaking=True)
        if context.step.refusal is None:
            _move_function(database, name, Name(new, name.name))
    else:
        kind = "extension" if statement.objectType == "OBJECT_EXTENSION" else "other"
        text = ".".join(quote_identifier(part) for part in parts) or None
        context.thing("set schema", text, kind, new_name=quote_identifier(new), is_breaking=True)
        if kind == "extension" and parts and parts[0] in database.extensions:
            database.extensions[parts[0]] = new


def _refuse_schema(context: Context, schema: str) -> None:
    known = context.database.schemas
    if context.database.is_complete and schema not in known and schema not in {"pg_catalog", "pg_temp"}:
        context.refuse(f'schema "{schema}" does not exist')


def _set_schema_of_relation(context: Context, statement: AlterObjectSchemaStmt) -> None:
    assert statement.relation is not None
    database = context.database
    name = context.name_of(statement.relation)
    kind = _RELATIONS.get(statement.objectType, ("set schema", "table"))[1]
    if context.is_absent(name, missing_ok=statement.missing_ok):
        _missing(context, "set schema", name, kind, is_allowed=statement.missing_ok)
        return
    relation = context.relation(statement.relation, kind)
    new = Name(statement.newschema, name.name)
    context.effect("set schema", relation, ACCESS_EXCLUSIVE, new_name=quote_identifier(new.schema), is_breaking=True)
    if new == name:
        return
    _refuse_schema(context, new.schema)
    if database.exists(new):
        context.refuse(f'relation "{name.name}" already exists in schema "{new.schema}"')
    if "pg_temp" in {new.schema, name.schema}:
        context.refuse("cannot move objects into or out of temporary schemas")
    if relation.owned_by is not None and relation.owned_by[0] in database.relations:
        context.refuse("cannot move an owned sequence into another schema")
    if context.step.refusal is not None:
        return
    for sequence in database.owned_sequences(name):
        context.effect("also lock", sequence, ACCESS_EXCLUSIVE)
        database.move(sequence, Name(new.schema, sequence.name.name))
    database.move(relation, new)
    for index in database.indexes_of(relation):
        database.move_index(index, Name(new.schema, index.name.name))


def set_owner(context: Context, statement: AlterOwnerStmt) -> None:
    """ALTER … OWNER TO, of what is no table."""
    owner = statement.newowner.rolename or None if statement.newowner is not None else None
    parts = _parts(statement.object)
    kind = {
        "OBJECT_SCHEMA": "schema",
        "OBJECT_TYPE": "type",
        "OBJECT_DOMAIN": "domain",
        "OBJECT_DATABASE": "database",
        **dict.fromkeys(_FUNCTIONS, "function"),
    }.get(statement.objectType, "other")
    name = None
    if parts:
        one = quote_identifier(parts[0]) if kind in {"schema", "database", "other"} else context.qualify(parts).text
        name = qualified(parts[-2], parts[-1]) if len(parts) > 1 else one
    context.thing("set owner", name, kind, new_name=owner)


HANDLERS: dict[str, Callable[[Context, Any], None]] = {
    "RenameStmt": rename,
    "AlterObjectSchemaStmt": set_schema,
    "AlterOwnerStmt": set_owner,
}
