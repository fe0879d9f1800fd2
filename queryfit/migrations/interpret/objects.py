"""Schemas, extensions, sequences, statistics, publications, databases, roles and every other kind of object."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from queryfit.migrations.context import Context
from queryfit.migrations.interpret.privileges import KINDS, range_of
from queryfit.migrations.interpret.setting_names import refuse_altered
from queryfit.migrations.model import Column, Relation, Type
from queryfit.migrations.steps import (
    ACCESS_EXCLUSIVE,
    ACCESS_SHARE,
    SHARE_ROW_EXCLUSIVE,
    SHARE_UPDATE_EXCLUSIVE,
    Action,
)
from queryfit.sql.ddl import (
    AlterDatabaseStmt,
    AlterExtensionStmt,
    AlterObjectDependsStmt,
    AlterPublicationStmt,
    AlterSeqStmt,
    AlterStatsStmt,
    AlterSubscriptionStmt,
    CreateExtensionStmt,
    CreatePublicationStmt,
    CreateSchemaStmt,
    CreateSeqStmt,
    CreateStatsStmt,
    CreateSubscriptionStmt,
    DefineStmt,
    DropdbStmt,
    DropSubscriptionStmt,
    PublicationObject,
    decode,
)
from queryfit.sql.ddl_parts import DefElem, Node, names
from queryfit.sql.names import qualified, quote_identifier

_FAILOVER_SINCE = 17
_TWO_PHASE_SINCE = 18
Handler = Callable[[Context, Any], None]


def option(options: Sequence[Node], name: str) -> DefElem | None:
    """The option of that name, the last one that is given."""
    found = None
    for entry in options:
        if entry.DefElem is not None and entry.DefElem.defname == name:
            found = entry.DefElem
    return found


# schemas and extensions


def create_schema(context: Context, statement: CreateSchemaStmt) -> None:
    """CREATE SCHEMA with the objects inside it, which it makes in their order."""
    name = statement.schemaname or (statement.authrole.rolename if statement.authrole is not None else "")
    if not name:  # of the role that runs it
        context.thing("create schema", None, "schema")
        return
    text = quote_identifier(name)
    database = context.database
    if name in database.schemas:
        if statement.if_not_exists:
            context.thing("create schema", text, "schema", is_present=False)
        elif name != "public" or database.is_complete:
            context.refuse(f"schema {text} already exists")
        return
    context.thing("create schema", text, "schema", is_new=True)
    database.schemas[name] = context.born
    if statement.if_not_exists or context.step.is_nested:
        database.own_schemas.pop(name, None)
    else:
        database.own_schemas[name] = context.born
    if not statement.schemaElts or context.run is None:
        return
    path = context.settings.search_path
    context.settings = msgspec.structs.replace(context.settings, search_path=(name, *path))
    for element in sorted(statement.schemaElts, key=_element_order):
        for kind, raw in msgspec.json.decode(element, type=dict[str, Raw]).items():
            context.run(context, kind, decode(kind, raw))
    context.settings = msgspec.structs.replace(context.settings, search_path=path)


_ELEMENTS = ("CreateSeqStmt", "CreateStmt", "ViewStmt", "IndexStmt", "CreateTrigStmt", "GrantStmt")


def _element_order(element: Raw) -> int:
    """PostgreSQL makes a schema's elements by kind, whatever order they stand in."""
    kind = bytes(element)[:20].split(b'"')[1].decode(errors="replace")
    return _ELEMENTS.index(kind) if kind in _ELEMENTS else len(_ELEMENTS)


_WITHOUT_TABLES = frozenset({
    "btree_gin", "btree_gist", "citext", "cube", "earthdistance", "fuzzystrmatch", "hstore", "intarray", "ltree",
    "pg_trgm", "pgcrypto", "plpgsql", "tablefunc", "unaccent", "uuid-ossp", "vector",
})  # fmt: skip
"""Extensions of which no tables come, neither with them nor by their functions."""


def create_extension(context: Context, statement: CreateExtensionStmt) -> None:
    """CREATE EXTENSION: what its script makes is the extension's own."""
    name = quote_identifier(statement.extname)
    if statement.extname in context.database.extensions:
        if statement.if_not_exists:
            context.thing("create extension", name, "extension", is_present=False)
        else:
            context.refuse(f"extension {name} already exists")
        return
    chosen = option(statement.options, "schema")
    path = context.settings.search_path
    schema = chosen.arg.text if chosen is not None and chosen.arg is not None else (path[0] if path else "public")
    context.thing("create extension", name, "extension", other_relation=quote_identifier(schema))
    context.database.extensions[statement.extname] = schema
    if statement.extname not in _WITHOUT_TABLES:
        context.database.are_made_alone = False


def alter_extension(context: Context, statement: AlterExtensionStmt) -> None:
    version = option(statement.options, "new_version")
    context.thing(
        "alter extension",
        quote_identifier(statement.extname),
        "extension",
        definition="update",
        new_name=version.arg.text if version is not None and version.arg is not None else None,
    )


# sequences


def create_sequence(context: Context, statement: CreateSeqStmt) -> None:
    assert statement.sequence is not None
    name = context.new_name(statement.sequence)
    found = context.database.relations.get(name)
    if found is not None and found.is_known:
        if statement.if_not_exists:
            context.effect("create sequence", found, is_present=False)
        else:
            context.refuse(f"relation {name.text} already exists")
        return
    sequence = Relation(name, "sequence", born=context.born)
    for column, kind in (("last_value", "int8"), ("log_cnt", "int8"), ("is_called", "bool")):
        sequence.columns[column] = Column(column, Type("pg_catalog", kind), is_not_null=True)
    if statement.sequence.relpersistence != "p":
        sequence.persistence = "temporary" if statement.sequence.relpersistence == "t" else "unlogged"
    if not _own(context, sequence, statement.options):
        return
    context.database.put(sequence)
    context.effect("create sequence", sequence, ACCESS_EXCLUSIVE)


def alter_sequence(context: Context, statement: AlterSeqStmt) -> None:
    assert statement.sequence is not None
    if statement.missing_ok and context.is_absent(context.name_of(statement.sequence), missing_ok=True):
        context.thing("alter sequence", context.name_of(statement.sequence).text, "sequence", is_present=False)
        return
    sequence = context.relation(statement.sequence, "sequence")
    if sequence.is_known and sequence.kind != "sequence":
        context.refuse(f"{sequence.text} is not a sequence")
        return
    if not _own(context, sequence, statement.options):
        return
    context.database.put(sequence)
    words = ", ".join(entry.DefElem.defname for entry in statement.options if entry.DefElem is not None)
    context.effect("alter sequence", sequence, SHARE_ROW_EXCLUSIVE, definition=words.replace("_", " ") or None)


def _own(context: Context, sequence: Relation, options: Sequence[Node]) -> bool:
    """Take in OWNED BY; False where PostgreSQL refuses it."""
    chosen = option(options, "owned_by")
    if chosen is None or chosen.arg is None or chosen.arg.List is None:
        return True
    parts = names(chosen.arg.List.items)
    if len(parts) < 2:  # noqa: PLR2004 -- OWNED BY NONE
        if parts == ("none",):
            sequence.owned_by = None
        return True
    table = context.relation(range_of(parts[:-1]))
    if table.are_columns_known and parts[-1] not in table.columns:
        context.refuse(f'column "{parts[-1]}" of relation {table.text} does not exist')
        return False
    sequence.owned_by = (table.name, parts[-1])
    return True


# statistics and publications


def create_statistics(context: Context, statement: CreateStatsStmt) -> None:
    name = context.qualify(names(statement.defnames)) if statement.defnames else None
    for node in statement.relations:
        if node.RangeVar is not None:
            relation = context.relation(node.RangeVar)
            text = name.text if name is not None else None
            context.effect("create object", relation, SHARE_UPDATE_EXCLUSIVE, object_name=text, definition="statistics")
            if name is not None:
                context.database.statistics[name] = relation.name


def alter_statistics(context: Context, statement: AlterStatsStmt) -> None:
    name = context.qualify(names(statement.defnames)).text if statement.defnames else None
    context.thing("alter object", name, "other", definition="statistics")


def create_publication(context: Context, statement: CreatePublicationStmt) -> None:
    context.thing("create object", quote_identifier(statement.pubname), "other", definition="publication")
    _published(context, statement.pubobjects)


def alter_publication(context: Context, statement: AlterPublicationStmt) -> None:
    context.thing("alter object", quote_identifier(statement.pubname), "other", definition="publication")
    _published(context, statement.pubobjects)


def _published(context: Context, objects: Sequence[PublicationObject]) -> None:
    """Tables that come into a publication, or leave one, are locked against other DDL."""
    for entry in objects:
        chosen = entry.PublicationObjSpec
        if chosen is None or chosen.pubtable is None or chosen.pubtable.relation is None:
            continue
        relation = context.relation(chosen.pubtable.relation)
        context.effect("also lock", relation, SHARE_UPDATE_EXCLUSIVE)
        if relation.kind != "partitioned table" and chosen.pubtable.relation.inh:
            for child in context.database.descendants(relation):
                context.effect("also lock", child, SHARE_UPDATE_EXCLUSIVE)


def create_subscription(context: Context, statement: CreateSubscriptionStmt) -> None:
    """CREATE SUBSCRIPTION makes a slot on the other server, unless told not to."""
    if _is_on(statement.options, "create_slot", _is_on(statement.options, "connect", True)):
        context.not_in_block("CREATE SUBSCRIPTION ... WITH (create_slot = true)")
    context.thing("create object", quote_identifier(statement.subname), "other", definition="subscription")


def alter_subscription(context: Context, statement: AlterSubscriptionStmt) -> None:
    changes = {
        "ALTER_SUBSCRIPTION_REFRESH": "REFRESH",
        "ALTER_SUBSCRIPTION_REFRESH_PUBLICATION": "REFRESH",
        "ALTER_SUBSCRIPTION_SET_PUBLICATION": "SET PUBLICATION",
        "ALTER_SUBSCRIPTION_ADD_PUBLICATION": "ADD PUBLICATION",
        "ALTER_SUBSCRIPTION_DROP_PUBLICATION": "DROP PUBLICATION",
    }.get(statement.kind)
    if changes == "REFRESH":
        context.not_in_block("ALTER SUBSCRIPTION ... REFRESH")
    elif statement.kind == "ALTER_SUBSCRIPTION_OPTIONS":
        if context.version >= _FAILOVER_SINCE and option(statement.options, "failover") is not None:
            context.not_in_block("ALTER SUBSCRIPTION ... SET (failover)")
        elif context.version >= _TWO_PHASE_SINCE and not _is_on(statement.options, "two_phase", True):
            context.not_in_block("ALTER SUBSCRIPTION ... SET (two_phase)")
    elif changes is not None and _is_on(statement.options, "refresh", True):
        context.not_in_block("ALTER SUBSCRIPTION with refresh")
    context.thing("alter object", quote_identifier(statement.subname), "other", definition="subscription")


def drop_subscription(context: Context, statement: DropSubscriptionStmt) -> None:
    """DROP SUBSCRIPTION drops its slot too. One without a slot may go in a block; who has none is not known here."""
    context.step.refused_in_transaction = "DROP SUBSCRIPTION"
    context.thing("drop object", quote_identifier(statement.subname), "other", definition="subscription")


def _is_on(options: Sequence[Node], name: str, default: bool) -> bool:
    chosen = option(options, name)
    if chosen is None:
        return default
    return chosen.arg is None or chosen.arg.text.lower() not in {"false", "off", "0"}


# databases and the server


def create_database(context: Context, statement: Any) -> None:
    context.not_in_block("CREATE DATABASE")
    context.thing("create object", quote_identifier(statement.dbname), "database", definition="database")


def drop_database(context: Context, statement: DropdbStmt) -> None:
    context.not_in_block("DROP DATABASE")
    context.thing(
        "drop database", quote_identifier(statement.dbname), "database",
        is_lossy=True, is_breaking=True, is_reversible=False,
    )  # fmt: skip


def alter_database(context: Context, statement: AlterDatabaseStmt) -> None:
    if option(statement.options, "tablespace") is not None:
        context.not_in_block("ALTER DATABASE SET TABLESPACE")
    context.thing("alter object", quote_identifier(statement.dbname), "database", definition="database")


def alter_system(context: Context, statement: Any) -> None:
    del statement
    context.not_in_block("ALTER SYSTEM")
    refuse_altered(context, may_reset=False)
    context.thing("alter object", None, "other", definition="system settings")


def create_tablespace(context: Context, statement: Any) -> None:
    context.not_in_block("CREATE TABLESPACE")
    context.thing("create object", quote_identifier(statement.tablespacename), "other", definition="tablespace")


def drop_tablespace(context: Context, statement: Any) -> None:
    context.not_in_block("DROP TABLESPACE")
    context.thing("drop object", quote_identifier(statement.tablespacename), "other", definition="tablespace")


# the rest


def define(context: Context, statement: DefineStmt) -> None:
    """CREATE AGGREGATE, OPERATOR, COLLATION, TEXT SEARCH …; base types are the business of the types."""
    kind = KINDS.get(statement.kind, "other")
    context.thing(
        "create object",
        _joined(context, names(statement.defnames)),
        kind,
        definition=statement.kind.removeprefix("OBJECT_").replace("_", " ").lower(),
    )


def _joined(context: Context, parts: Sequence[str]) -> str | None:
    if not parts:
        return None
    if len(parts) > 1:
        return qualified(parts[-2], parts[-1])
    return context.qualify(parts).text


def depends_on_extension(context: Context, statement: AlterObjectDependsStmt) -> None:
    """ALTER … DEPENDS ON EXTENSION; a relation, or that of a trigger, is locked for it."""
    if statement.relation is None:
        context.thing("alter object", None, KINDS.get(statement.objectType, "other"), definition="depends on extension")
        return
    if statement.objectType == "OBJECT_INDEX":
        name = context.name_of(statement.relation).text
        context.thing("alter object", name, "index", lock_level=ACCESS_EXCLUSIVE, definition="depends on extension")
        return
    relation = context.relation(statement.relation, KINDS.get(statement.objectType, "table"))
    level = ACCESS_SHARE if statement.objectType == "OBJECT_TRIGGER" else ACCESS_EXCLUSIVE
    context.effect("alter object", relation, level, definition="depends on extension")


def drop_roles(context: Context, statement: Any) -> None:
    for node in statement.roles:
        if node.RoleSpec is not None:
            context.thing("drop object", quote_identifier(node.RoleSpec.rolename), "role", definition="role")


def drop_owned(context: Context, statement: Any) -> None:
    """DROP OWNED: whatever the roles own here goes."""
    for node in statement.roles:
        if node.RoleSpec is not None:
            context.thing(
                "drop object", quote_identifier(node.RoleSpec.rolename), "role",
                definition="owned", is_lossy=True, is_breaking=True, is_reversible=False,
            )  # fmt: skip
    context.unfollowed("what the roles own is not known")


def simple(action: Action, words: str, kind: str = "other", field: str = "") -> Handler:
    """The interpreter of a statement about an object of which only the name is worth noting."""

    def interpret(context: Context, statement: Any) -> None:
        value = getattr(statement, field) if field else None
        if isinstance(value, Raw):
            decoded = msgspec.json.decode(value)
            value = decoded.get("rolename") if isinstance(decoded, dict) else decoded
        name = quote_identifier(value) if isinstance(value, str) and value else None
        context.thing(action, name, kind, definition=words)

    return interpret


def _with_setting(handler: Handler) -> Handler:
    """The interpreter of ALTER … SET of a parameter."""

    def interpret(context: Context, statement: Any) -> None:
        refuse_altered(context, may_reset=True)
        handler(context, statement)

    return interpret


def unfollowed(reason: str) -> Handler:
    """The interpreter of a statement whose results nobody can know beforehand."""

    def interpret(context: Context, statement: Any) -> None:
        del statement
        context.unfollowed(reason)

    return interpret


def _create_cast(context: Context, _: Any) -> None:
    """A conversion between types that is not built in: from now on a type change may have one."""
    context.database.has_casts = True
    context.thing("create object", None, "other", definition="cast")


HANDLERS: dict[str, Handler] = {
    "CreateSchemaStmt": create_schema,
    "CreateExtensionStmt": create_extension,
    "AlterExtensionStmt": alter_extension,
    "AlterExtensionContentsStmt": simple("alter extension", "contents", "extension"),
    "CreateSeqStmt": create_sequence,
    "AlterSeqStmt": alter_sequence,
    "CreateStatsStmt": create_statistics,
    "AlterStatsStmt": alter_statistics,
    "CreatePublicationStmt": create_publication,
    "AlterPublicationStmt": alter_publication,
    "CreateSubscriptionStmt": create_subscription,
    "AlterSubscriptionStmt": alter_subscription,
    "DropSubscriptionStmt": drop_subscription,
    "CreatedbStmt": create_database,
    "DropdbStmt": drop_database,
    "AlterDatabaseStmt": alter_database,
    "AlterDatabaseSetStmt": _with_setting(simple("alter object", "database settings", "database", "dbname")),
    "AlterDatabaseRefreshCollStmt": simple("alter object", "database collation version", "database", "dbname"),
    "AlterSystemStmt": alter_system,
    "CreateTableSpaceStmt": create_tablespace,
    "DropTableSpaceStmt": drop_tablespace,
    "AlterTableSpaceOptionsStmt": simple("alter object", "tablespace", "other", "tablespacename"),
    "DefineStmt": define,
    "AlterObjectDependsStmt": depends_on_extension,
    "CreateRoleStmt": simple("create object", "role", "role", "role"),
    "AlterRoleStmt": simple("alter object", "role", "role", "role"),
    "AlterRoleSetStmt": _with_setting(simple("alter object", "role settings", "role")),
    "DropRoleStmt": drop_roles,
    "DropOwnedStmt": drop_owned,
    "ReassignOwnedStmt": unfollowed("what the roles own is not known"),
    "CreateCastStmt": _create_cast,
    "CreateConversionStmt": simple("create object", "conversion"),
    "CreateTransformStmt": simple("create object", "transform"),
    "CreateOpClassStmt": simple("create object", "operator class"),
    "CreateOpFamilyStmt": simple("create object", "operator family"),
    "AlterOpFamilyStmt": simple("alter object", "operator family"),
    "AlterOperatorStmt": simple("alter object", "operator"),
    "AlterCollationStmt": simple("alter object", "collation version"),
    "CreateAmStmt": simple("create object", "access method", "other", "amname"),
    "CreatePLangStmt": simple("create object", "language", "other", "plname"),
    "CreateEventTrigStmt": simple("create object", "event trigger", "other", "trigname"),
    "AlterEventTrigStmt": simple("alter object", "event trigger", "other", "trigname"),
    "CreateFdwStmt": simple("create object", "foreign data wrapper", "other", "fdwname"),
    "AlterFdwStmt": simple("alter object", "foreign data wrapper", "other", "fdwname"),
    "CreateForeignServerStmt": simple("create object", "server", "other", "servername"),
    "AlterForeignServerStmt": simple("alter object", "server", "other", "servername"),
    "CreateUserMappingStmt": simple("create object", "user mapping", "other", "servername"),
    "AlterUserMappingStmt": simple("alter object", "user mapping", "other", "servername"),
    "DropUserMappingStmt": simple("drop object", "user mapping", "other", "servername"),
    "ImportForeignSchemaStmt": unfollowed("the tables of a foreign server are not known"),
    "AlterTSConfigurationStmt": simple("alter object", "text search configuration"),
    "AlterTSDictionaryStmt": simple("alter object", "text search dictionary"),
    "SecLabelStmt": simple("alter object", "security label"),
}
"""Statements."""
