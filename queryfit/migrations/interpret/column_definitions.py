"""What the definition of a column says, wherever it stands: in ADD COLUMN, CREATE TABLE or a composite type."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from queryfit.migrations.coercion import base_of, cast, domain_of, written_type
from queryfit.migrations.context import Context
from queryfit.migrations.interpret import naming, texts
from queryfit.migrations.interpret.values import fault_of_constant
from queryfit.migrations.model import Column, DefaultKind, Name, Relation, Type
from queryfit.migrations.type_names import SERIALS, type_text
from queryfit.migrations.volatility import volatility
from queryfit.sql import ddl_parts
from queryfit.sql.ddl_parts import NOTHING, CollateClause, ColumnDef, kept

_ATTRIBUTES = {
    "CONSTR_ATTR_DEFERRABLE": {"deferrable": True},
    "CONSTR_ATTR_DEFERRED": {"deferrable": True, "initdeferred": True},
    "CONSTR_ATTR_NOT_ENFORCED": {"is_enforced": False, "skip_validation": True, "initially_valid": False},
}
_NULL = b'{"A_Const":{"isnull":true'
_TEXT = b'{"A_Const":{"sval":'
GENERATED_WORDS = {"s": "stored", "v": "virtual"}


class Definition(Struct):
    """What a column's definition says; `column` is not in any table yet."""

    column: Column
    word: str | None = None  # serial, identity, stored, virtual
    default: str | None = None  # the text of its DEFAULT or of what it is generated from
    culprit: str = ""  # the function that makes the default volatile
    domain_default: DefaultKind | None = None  # of its domain, where it has none of its own
    is_written: bool = False  # a default or expression is written: references are then looked up even for nulls
    constraints: list[ddl_parts.Constraint] = []
    domain: str | None = None  # the domain that it is of, where that has constraints
    not_null_name: str = ""


def defined(context: Context, definition: ColumnDef) -> Definition:
    """Read a column's definition, as it stands in ADD COLUMN or CREATE TABLE."""
    name = definition.colname
    if len(name) > naming.NAME_BYTES or not name.isascii():
        name = naming.clip(name.encode())
    kind = context.type_of(definition.typeName)
    found = Definition(Column(name, kind, collation=collation(definition.collClause)))
    column = found.column
    if kind is not None:
        if kind.schema == "pg_catalog":
            serial = SERIALS.get(kind.name) if not kind.dimensions else None
            if serial is not None:
                column.type = Type("pg_catalog", serial)
                column.is_not_null = True
                column.default = "volatile"
                found.word, found.culprit, found.is_written = "serial", "nextval()", True
        else:
            refuse_gone(context, kind)
            _of_domain(context, kind, found)
    if definition.constraints:
        _read_constraints(context, definition, found)
        if found.word is not None or len(definition.constraints) > 1:
            _refuse_contradictions(context, definition, found)
    return found


def refuse_gone(context: Context, kind: Type) -> None:
    """Refuse a type that a migration dropped or renamed."""
    database = context.database
    if not database.gone:
        return
    places = (kind.schema,) if kind.schema else context.settings.search_path
    for schema in places:
        name = Name(schema, kind.name)
        if (
            name in database.gone
            and name not in database.enums
            and name not in database.domains
            and name not in database.types
            and name not in database.relations
        ):
            context.refuse(f'type "{kind.name}" does not exist')
            return


def _refuse_contradictions(context: Context, definition: ColumnDef, found: Definition) -> None:
    """A column fills itself in one way at most, and is not NULL and NOT NULL at once."""
    kinds = [node.Constraint.contype for node in definition.constraints if node.Constraint is not None]
    name = found.column.name
    defaults = kinds.count("CONSTR_DEFAULT") + (found.word == "serial")
    if defaults > 1:
        context.refuse(f'multiple default values specified for column "{name}"')
    elif defaults and "CONSTR_IDENTITY" in kinds:
        context.refuse(f'both default and identity specified for column "{name}"')
    elif defaults and "CONSTR_GENERATED" in kinds:
        context.refuse(f'both default and generation expression specified for column "{name}"')
    elif "CONSTR_NULL" in kinds and ("CONSTR_NOTNULL" in kinds or found.word == "serial"):
        context.refuse(f'conflicting NULL/NOT NULL declarations for column "{name}"')
    elif found.column.generated:
        kind = volatility(context, found.column.generation_expression).kind
        if kind == "volatile":
            context.refuse("generation expression is not immutable")


def collation(clause: CollateClause | None) -> Name | None:
    """The collation of a COLLATE clause, as it is written; None for the database's own."""
    if clause is None or not clause.collname:
        return None
    parts = ddl_parts.names(clause.collname)
    if parts[-1] == "default" and (len(parts) == 1 or parts[-2] == "pg_catalog"):
        return None
    return Name(parts[-2] if len(parts) > 1 else "", parts[-1])


def _of_domain(context: Context, kind: Type, found: Definition) -> None:
    database = context.database
    if (place := Name(kind.schema, kind.name)) in database.relations:
        database.row_types.add(place)
        return
    domain = domain_of(database, kind)
    seen = 0
    while domain is not None and seen <= len(database.domains):
        if domain.has_default:
            found.domain_default = domain.default or "unknown"
            found.culprit = f"the default of domain {domain.name.text}"
            break
        domain = domain_of(database, domain.base) if domain.base is not None else None
        seen += 1
    if base_of(database, kind)[1]:
        found.domain = type_text(kind)


def _read_constraints(context: Context, definition: ColumnDef, found: Definition) -> None:
    column = found.column
    entries = [node.Constraint for node in definition.constraints if node.Constraint is not None]
    for place, entry in enumerate(entries):
        kind = entry.contype
        following = entries[place + 1].location if place + 1 < len(entries) else None
        if kind == "CONSTR_NOTNULL":
            column.is_not_null = True
            found.not_null_name = entry.conname
        elif kind == "CONSTR_DEFAULT":
            found.is_written, found.domain_default, found.culprit = True, None, ""
            found.default = text_between(context, entry.location, following, "default")
            if bytes(entry.raw_expr).startswith(_NULL):
                column.default = None  # DEFAULT NULL is no default
            else:
                _refuse_default(context, entry.raw_expr)
                refuse_type_of_default(context, column.name, column.type, entry.raw_expr)
                column.default_expression = kept(entry.raw_expr)
                column.default, found.culprit = volatility(context, entry.raw_expr)
        elif kind == "CONSTR_IDENTITY":
            column.identity = entry.generated_when or "a"
            column.is_not_null = True
            column.default = "volatile"
            found.word, found.culprit = "identity", "its sequence"
        elif kind == "CONSTR_GENERATED":
            found.is_written = True
            column.generated = entry.generated_kind or "s"
            column.generation_expression = kept(entry.raw_expr)
            column.default = found.domain_default = None
            found.word = GENERATED_WORDS.get(column.generated, "stored")
            _refuse_virtual(context, column.generated, entry.raw_expr)
            found.default = text_between(context, entry.location, following, "generated")
        elif kind in _ATTRIBUTES:
            if found.constraints:
                found.constraints[-1] = msgspec.structs.replace(found.constraints[-1], **_ATTRIBUTES[kind])
        elif kind not in {"CONSTR_NULL", "CONSTR_ATTR_NOT_DEFERRABLE", "CONSTR_ATTR_IMMEDIATE", "CONSTR_ATTR_ENFORCED"}:
            found.constraints.append(entry)


def _refuse_virtual(context: Context, generated: str, expression: Raw) -> None:
    """A virtual column is computed by what PostgreSQL brings with it (18)."""
    if generated != "v" or b'"FuncCall"' not in bytes(expression) or not context.database.functions:
        return
    pending: list[Any] = [ddl_parts.tree(expression)]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            pending += node.values()
            parts = [part["String"].get("sval", "") for part in node.get("funcname", []) if "String" in part]
            if parts and context.qualify(parts, context.database.functions) in context.database.functions:
                context.refuse("generation expression uses user-defined function")
                return


def _refuse_default(context: Context, expression: Raw) -> None:
    """A default reads no table and no column."""
    text = bytes(expression)
    if b'"SubLink"' in text:
        context.refuse("cannot use subquery in DEFAULT expression")
    elif b'"ColumnRef"' in text:
        context.refuse("cannot use column reference in DEFAULT expression")


def text_between(context: Context, start: int, end: int | None, word: str) -> str:
    """The text of a default from its place on, without the word that opens it."""
    text = texts.item(context, start) if end is None else texts.one_line(context.source(start, end))
    return text[len(word) :].lstrip() if text[: len(word)].lower() == word and word != "generated" else text


def default_of(context: Context, expression: Raw) -> tuple[DefaultKind | None, str]:
    """How volatile a default is; None for no default, and for DEFAULT NULL."""
    if expression is NOTHING or bytes(expression).startswith(_NULL):
        return None, ""
    _refuse_default(context, expression)
    return volatility(context, expression)


def put_sequence(context: Context, relation: Relation, column: str) -> None:
    """The sequence behind a serial or identity column."""
    name = naming.relation_name(context.database, relation.name.schema, relation.name.name, column, "seq")
    context.database.put(
        Relation(
            name, "sequence", persistence=relation.persistence, born=context.born, owned_by=(relation.name, column)
        )
    )


def lock_sequences(context: Context, relation: Relation, column: str, level: int) -> None:
    """Lock the sequences that a column owns."""
    for sequence in context.database.owned_sequences(relation.name, column):
        context.effect("also lock", sequence, level, other_relation=relation.text)


_GIVEN = {
    "now": "timestamptz", "clock_timestamp": "timestamptz", "statement_timestamp": "timestamptz",
    "transaction_timestamp": "timestamptz", "gen_random_uuid": "uuid", "nextval": "int8", "md5": "text",
}  # fmt: skip
"""What the functions give that defaults call most."""


def type_of_default(context: Context, kind: Type | None, expression: Raw) -> Type | None:
    """The type that a default has of itself: a string takes the column's; few functions are known."""
    node = ddl_parts.tree(expression)
    form, value = next(iter(node.items())) if isinstance(node, dict) and len(node) == 1 else ("", {})
    if form == "TypeCast":
        return written_type(context, value.get("typeName", {}))
    if form == "FuncCall":
        names = [part.get("String", {}).get("sval", "") for part in value.get("funcname", [])]
        name = _GIVEN.get(names[-1]) if names and names[0] in {names[-1], "pg_catalog"} else None
        return Type("pg_catalog", name) if name is not None else None
    return _type_of_constant(kind, value) if form == "A_Const" else None


def _type_of_constant(kind: Type | None, constant: dict[str, Any]) -> Type | None:
    if "ival" in constant:
        return Type("pg_catalog", "int4")
    if "boolval" in constant:
        return Type("pg_catalog", "bool")
    if "fval" in constant:
        return Type("pg_catalog", "int8" if constant["fval"].get("fval", "").isdigit() else "numeric")
    return kind if "sval" in constant else None


def refuse_type_of_default(context: Context, column: str, kind: Type | None, expression: Raw) -> None:
    """A default becomes a value of its column without being told to."""
    found = type_of_default(context, kind, expression)
    if cast(context, found, kind, is_explicit=False).verdict == "refused":
        context.refuse(
            f'column "{column}" is of type {type_text(kind)} but default expression is of type {type_text(found)}'
        )
    _refuse_value(context, kind, expression)


def _refuse_value(context: Context, kind: Type | None, expression: Raw) -> None:
    """A string constant has to be a value of the column's type; its length counts only with the first row."""
    if kind is None or not bytes(expression).startswith(_TEXT):
        return
    fault = fault_of_constant(context, "", kind, ddl_parts.tree(expression)["A_Const"], is_assigned=False)
    if fault is not None:
        context.refuse(fault)
