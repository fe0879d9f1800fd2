"""GRANT and REVOKE, and comments: they lock briefly or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from queryfit.migrations.context import Context
from queryfit.migrations.model import Relation
from queryfit.migrations.steps import ACCESS_SHARE, SHARE_UPDATE_EXCLUSIVE
from queryfit.sql.ddl import AlterDefaultPrivilegesStmt, CommentStmt, GrantRoleStmt, GrantStmt
from queryfit.sql.ddl_parts import Node, RangeVar, names
from queryfit.sql.names import qualified, quote_identifier

KINDS: dict[str, str] = {
    "OBJECT_TABLE": "table",
    "OBJECT_FOREIGN_TABLE": "foreign table",
    "OBJECT_VIEW": "view",
    "OBJECT_MATVIEW": "materialized view",
    "OBJECT_SEQUENCE": "sequence",
    "OBJECT_INDEX": "index",
    "OBJECT_TYPE": "type",
    "OBJECT_DOMAIN": "domain",
    "OBJECT_FUNCTION": "function",
    "OBJECT_PROCEDURE": "function",
    "OBJECT_ROUTINE": "function",
    "OBJECT_AGGREGATE": "function",
    "OBJECT_SCHEMA": "schema",
    "OBJECT_EXTENSION": "extension",
    "OBJECT_ROLE": "role",
    "OBJECT_DATABASE": "database",
}
"""What the parser calls a kind of object, and `relation_kind` does."""

_LOCKS_SINCE = 18


def grant(context: Context, statement: GrantStmt) -> None:
    """GRANT and REVOKE on objects, or on all of a schema."""
    facts = _facts(statement)
    action: Any = "grant" if statement.is_grant else "revoke"
    kind = KINDS.get(statement.objtype, "other")
    if statement.targtype == "ACL_TARGET_ALL_IN_SCHEMA":
        for node in statement.objects:
            context.thing(action, quote_identifier(node.text), "schema", other_relation=f"all {kind}s", **facts)
        return
    level = ACCESS_SHARE if context.version >= _LOCKS_SINCE else 0
    for node in statement.objects:
        if node.RangeVar is not None:
            relation = context.relation(node.RangeVar, kind)
            context.effect(action, relation, level, **facts)
        else:
            context.thing(action, _object_name(context, node), kind, **facts)


def _facts(statement: GrantStmt) -> dict[str, Any]:
    is_public = any(
        node.RoleSpec is not None and node.RoleSpec.roletype == "ROLESPEC_PUBLIC" for node in statement.grantees
    )
    privileges = [node.AccessPriv.priv_name for node in statement.privileges if node.AccessPriv is not None]
    columns = [
        column.text for node in statement.privileges if node.AccessPriv is not None for column in node.AccessPriv.cols
    ]
    return {
        "object_name": "public" if is_public else None,
        "definition": ", ".join(privileges) or "all",
        "columns": ", ".join(columns) or None,
    }


def _object_name(context: Context, node: Node) -> str:
    """The name of an object that is no relation."""
    if node.ObjectWithArgs is not None:
        return context.qualify(names(node.ObjectWithArgs.objname), context.database.functions).text
    if node.TypeName is not None:
        return _joined(names(node.TypeName.names))
    if node.List is not None:
        return _joined(names(node.List.items))
    return quote_identifier(node.text)


def _joined(parts: Sequence[str]) -> str:
    if len(parts) > 1:
        return qualified(parts[-2], parts[-1])
    return quote_identifier(parts[-1]) if parts else ""


def alter_default_privileges(context: Context, statement: AlterDefaultPrivilegesStmt) -> None:
    """ALTER DEFAULT PRIVILEGES: a grant on what is made later."""
    if statement.action is None:
        return
    schemas: list[str | None] = []
    for option in statement.options:
        if option.DefElem is not None and option.DefElem.defname == "schemas" and option.DefElem.arg is not None:
            schemas = [node.text for node in option.DefElem.arg.List.items] if option.DefElem.arg.List else []
    kind = KINDS.get(statement.action.objtype, "other")
    action: Any = "grant" if statement.action.is_grant else "revoke"
    for schema in schemas or [None]:
        context.thing(
            action,
            quote_identifier(schema) if schema is not None else None,
            "schema" if schema is not None else "other",
            other_relation=f"future {kind}s",
            **_facts(statement.action),
        )


def grant_role(context: Context, statement: GrantRoleStmt) -> None:
    action: Any = "grant role" if statement.is_grant else "revoke"
    members = [node.RoleSpec.rolename for node in statement.grantee_roles if node.RoleSpec is not None]
    for node in statement.granted_roles:
        if node.AccessPriv is not None:
            context.thing(
                action, quote_identifier(node.AccessPriv.priv_name), "role", object_name=", ".join(members) or None
            )


# comments


def range_of(parts: Sequence[str]) -> RangeVar:
    """A relation from the parts of its name."""
    return RangeVar(relname=parts[-1] if parts else "", schemaname=parts[-2] if len(parts) > 1 else "")


def comment(context: Context, statement: CommentStmt) -> None:
    """COMMENT ON: relations are locked against other DDL, what belongs to one leaves it alone."""
    node, kind = statement.object, statement.objtype
    if node is None:
        return
    parts = names(node.List.items) if node.List is not None else ()
    match kind:
        case "OBJECT_TABLE" | "OBJECT_VIEW" | "OBJECT_MATVIEW" | "OBJECT_SEQUENCE" | "OBJECT_FOREIGN_TABLE":
            context.effect("comment", context.relation(range_of(parts), KINDS[kind]), SHARE_UPDATE_EXCLUSIVE)
        case "OBJECT_COLUMN":
            relation = context.relation(range_of(parts[:-1]))
            if _is_without(relation, parts[-1]):
                context.refuse(f'column "{parts[-1]}" of relation {relation.text} does not exist')
                return
            context.effect("comment", relation, SHARE_UPDATE_EXCLUSIVE, column_name=parts[-1])
        case "OBJECT_INDEX":
            name = context.name_of(range_of(parts))
            index = context.database.indexes.get(name)
            table = context.database.relations.get(index.relation) if index is not None else None
            if table is not None:
                context.effect("comment", table, 0, object_name=name.text)
            else:
                context.thing("comment", name.text, "index", lock_level=SHARE_UPDATE_EXCLUSIVE)
        case "OBJECT_TABCONSTRAINT" | "OBJECT_TRIGGER" | "OBJECT_RULE" | "OBJECT_POLICY":
            relation = context.relation(range_of(parts[:-1]))
            context.effect("comment", relation, ACCESS_SHARE, object_name=parts[-1])
        case _:
            context.thing("comment", _object_name(context, node), KINDS.get(kind, "other"))


def _is_without(relation: Relation, column: str) -> bool:
    return relation.are_columns_known and column not in relation.columns


HANDLERS: dict[str, Callable[[Context, Any], None]] = {
    "GrantStmt": grant,
    "AlterDefaultPrivilegesStmt": alter_default_privileges,
    "GrantRoleStmt": grant_role,
    "CommentStmt": comment,
}
"""Statements."""
