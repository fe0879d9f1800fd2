"""Types: enums and their values, domains and their constraints, composite and range types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from queryfit.migrations.coercion import domain_of
from queryfit.migrations.context import Context
from queryfit.migrations.interpret import naming, texts
from queryfit.migrations.interpret.column_definitions import collation, default_of
from queryfit.migrations.interpret.column_types import columns_of_type, used_in
from queryfit.migrations.model import (
    BEFORE,
    Born,
    Column,
    Database,
    Domain,
    Enum,
    Name,
    OtherType,
    Relation,
)
from queryfit.migrations.steps import SHARE
from queryfit.migrations.type_names import type_text
from queryfit.sql import ddl_parts
from queryfit.sql.ddl import (
    AlterDomainStmt,
    AlterEnumStmt,
    AlterTypeStmt,
    CompositeTypeStmt,
    CreateDomainStmt,
    CreateEnumStmt,
    CreateRangeStmt,
)
from queryfit.sql.ddl_parts import names

NOT_NULL_HAS_A_NAME = 17
"""The version from which a domain's NOT NULL is a constraint with a name."""

_NEW_TYPES_SINCE = 17


def _place(context: Context, parts: Sequence[str]) -> Name:
    """The name that a new type gets."""
    if len(parts) > 1:
        return Name(parts[-2], parts[-1])
    path = context.settings.search_path
    return Name(path[0] if path else "public", parts[-1] if parts else "")


def _is_new(context: Context, born: Born) -> bool:
    return born is not BEFORE and (
        born.file == context.file or (born.transaction is not None and born.transaction == context.transaction)
    )


def _exists(context: Context, name: Name) -> bool:
    """Refuse a name that a type has already, or a table's row type."""
    database = context.database
    relation = database.relations.get(name)
    if (
        name in database.enums
        or name in database.domains
        or name in database.types
        or (relation is not None and relation.is_known and relation.kind != "sequence")
    ):
        context.refuse(f'type "{name.name}" already exists')
        return True
    return False


# enums


def create_enum(context: Context, statement: CreateEnumStmt) -> None:
    """CREATE TYPE … AS ENUM."""
    name = _place(context, names(statement.typeName))
    is_taken = _exists(context, name)
    values = names(statement.vals)
    if len(set(values)) < len(values):
        context.refuse(f"enum type {name.text} has a label twice")
        is_taken = True
    context.thing("create type", name.text, "enum", is_new=not is_taken)
    if not is_taken:
        context.database.enums[name] = Enum(name, list(values), born=context.born)
        context.database.gone.discard(name)


def alter_enum(  # noqa: C901 -- two statements that share a form
    context: Context, statement: AlterEnumStmt
) -> None:
    """ALTER TYPE … ADD VALUE and RENAME VALUE. No table is locked; an added value is not to be used before COMMIT."""
    database = context.database
    parts = names(statement.typeName)
    name = context.qualify(parts, database.enums)
    enum = database.enums.get(name)
    is_known = enum is not None
    if enum is None:
        if name in database.gone or database.is_complete or name in database.domains or name in database.types:
            context.refuse(f'type "{name.name}" does not exist, or is no enum')
        enum = Enum(name, [], are_values_known=False)
    is_new = _is_new(context, enum.born)
    if statement.oldVal:
        context.thing("rename enum value", name.text, "enum", object_name=statement.oldVal,
                      new_name=statement.newVal, is_breaking=True, is_known=is_known, is_new=is_new)  # fmt: skip
        if statement.oldVal in enum.values:
            if statement.newVal in enum.values:
                context.refuse(f'enum label "{statement.newVal}" already exists')
            elif context.step.refusal is None:
                enum.values[enum.values.index(statement.oldVal)] = statement.newVal
        elif enum.are_values_known:
            context.refuse(f'"{statement.oldVal}" is not an existing enum label')
        return
    is_there = statement.newVal in enum.values
    context.thing("add enum value", name.text, "enum", object_name=statement.newVal, is_known=is_known, is_new=is_new,
                  is_present=not is_there)  # fmt: skip
    if is_there:
        if not statement.skipIfNewValExists:
            context.refuse(f'enum label "{statement.newVal}" already exists')
        return
    neighbor = statement.newValNeighbor
    if neighbor and neighbor not in enum.values and enum.are_values_known:
        context.refuse(f'"{neighbor}" is not an existing enum label')
    if context.step.refusal is not None:
        return
    at = enum.values.index(neighbor) + statement.newValIsAfter if neighbor in enum.values else len(enum.values)
    enum.values.insert(at, statement.newVal)
    # from 17 on, values of a type that is as new as they are may be used
    is_as_new = context.version >= _NEW_TYPES_SINCE and enum.born.transaction == context.transaction
    if context.transaction is not None and not is_as_new:
        enum.added[statement.newVal] = database.fresh_values_of = context.transaction
    database.enums[name] = enum


# domains


def create_domain(context: Context, statement: CreateDomainStmt) -> None:
    """CREATE DOMAIN."""
    name = _place(context, names(statement.domainname))
    base = context.type_of(statement.typeName)
    context.thing("create type", name.text, "domain", type_after=type_text(base), is_new=True)
    if _exists(context, name):
        return
    domain = Domain(name, base, born=context.born)
    inner = domain_of(context.database, base) if base is not None else None
    if inner is not None:
        domain.has_default, domain.default = inner.has_default, inner.default
    for node in statement.constraints:
        written = node.Constraint
        if written is None:
            continue
        if written.contype == "CONSTR_NOTNULL":
            domain.is_not_null = True
        elif written.contype == "CONSTR_DEFAULT":
            kind, _ = default_of(context, written.raw_expr)
            domain.has_default, domain.default = kind is not None, kind
        elif written.contype == "CONSTR_CHECK":
            domain.checks[written.conname or _check_name(domain)] = True
    context.database.domains[name] = domain
    context.database.gone.discard(name)


def _check_name(domain: Domain) -> str:
    number = 0
    name = naming.made_up(domain.name.name, "", "check")
    while name in domain.checks:
        number += 1
        name = naming.made_up(domain.name.name, "", f"check{number}")
    return name


def alter_domain(context: Context, statement: AlterDomainStmt) -> None:
    """ALTER DOMAIN: a constraint is checked in every table that has a column of the domain, under a SHARE lock."""
    database = context.database
    name = context.qualify(names(statement.typeName), database.domains)
    domain = database.domains.get(name)
    facts: dict[str, Any] = {
        "is_known": domain is not None,
        "is_new": domain is not None and _is_new(context, domain.born),
    }
    if domain is None:
        if name in database.gone or database.is_complete or name in database.enums or name in database.types:
            context.refuse(f'type "{name.name}" does not exist, or is no domain')
        domain = Domain(name, None)  # what it is stays unknown
    _ALTERATIONS[statement.subtype](context, domain, statement, facts)


def _domain_default(context: Context, domain: Domain, statement: AlterDomainStmt, facts: dict[str, Any]) -> None:
    kind, _ = default_of(context, statement.def_)
    context.thing("alter object", domain.name.text, "domain", definition="default", **facts)
    domain.has_default, domain.default = kind is not None, kind


def _domain_set_not_null(context: Context, domain: Domain, statement: AlterDomainStmt, facts: dict[str, Any]) -> None:
    del statement
    context.thing("set domain not null", domain.name.text, "domain", is_validated=not domain.is_not_null, **facts)
    if not domain.is_not_null:
        _check_users(context, domain)
        if context.step.refusal is None:
            domain.is_not_null = True


def _domain_drop_not_null(context: Context, domain: Domain, statement: AlterDomainStmt, facts: dict[str, Any]) -> None:
    del statement
    context.thing("drop domain not null", domain.name.text, "domain", **facts)
    domain.is_not_null = False


def _domain_add(context: Context, domain: Domain, statement: AlterDomainStmt, facts: dict[str, Any]) -> None:
    written = ddl_parts.node(statement.def_).Constraint
    if written is None:
        context.unfollowed("ALTER DOMAIN ADD without a constraint")
        return
    is_not_null = written.contype == "CONSTR_NOTNULL"
    name = written.conname
    if not name:
        name = naming.made_up(domain.name.name, "", "not_null") if is_not_null else _check_name(domain)
    is_checked = not written.skip_validation and not (is_not_null and domain.is_not_null)
    context.thing("add domain constraint", domain.name.text, "domain", object_name=name,
                  definition=texts.item(context, written.location), is_validated=not written.skip_validation,
                  **facts)  # fmt: skip
    if is_not_null and context.version < NOT_NULL_HAS_A_NAME:
        context.refuse("ALTER DOMAIN … ADD NOT NULL needs PostgreSQL 17")
    if name in domain.checks:
        context.refuse(f'constraint "{name}" for domain "{domain.name.name}" already exists')
    if is_checked:
        _check_users(context, domain)
    if context.step.refusal is not None:
        return
    if is_not_null:
        domain.is_not_null = True
    else:
        domain.checks[name] = not written.skip_validation


def _domain_drop(context: Context, domain: Domain, statement: AlterDomainStmt, facts: dict[str, Any]) -> None:
    name = statement.name
    not_null_name = naming.made_up(domain.name.name, "", "not_null")
    is_not_null = domain.is_not_null and name == not_null_name and name not in domain.checks
    is_missing = facts["is_known"] and name not in domain.checks and not is_not_null
    # a NOT NULL that has a name of its own is not told apart from a constraint that is not there
    is_surely_missing = is_missing and not domain.is_not_null
    context.thing("drop domain constraint", domain.name.text, "domain", object_name=name,
                  is_present=not is_surely_missing, is_cascade=statement.behavior == "DROP_CASCADE",
                  **facts)  # fmt: skip
    if is_surely_missing and not statement.missing_ok:
        context.refuse(f'constraint "{name}" of domain "{domain.name.name}" does not exist')
    if name in domain.checks:
        del domain.checks[name]
    elif is_not_null:
        domain.is_not_null = False


def _domain_validate(context: Context, domain: Domain, statement: AlterDomainStmt, facts: dict[str, Any]) -> None:
    name = statement.name
    is_valid = domain.checks.get(name)
    context.thing("validate domain constraint", domain.name.text, "domain", object_name=name, **facts)
    if facts["is_known"] and is_valid is None:
        context.refuse(f'constraint "{name}" of domain "{domain.name.name}" does not exist')
        return
    _check_users(context, domain)
    if context.step.refusal is None and is_valid is not None:
        domain.checks[name] = True


def _check_users(context: Context, domain: Domain) -> None:
    """Every table with a column of the domain is read whole; one with the domain inside another type forbids it."""
    database = context.database
    done = set()
    for name in _derived(database, domain.name):
        for relation, column in columns_of_type(database, name):
            kind = relation.columns[column].type
            is_inside = kind is not None and kind.dimensions > 0
            if relation.kind == "composite type":
                if used_in(database, relation.name) is not None:
                    context.refuse(f'cannot alter type "{domain.name.name}" because a column of another type uses it')
                continue
            if is_inside:
                context.refuse(
                    f'cannot alter type "{domain.name.name}" because column "{relation.name.name}.{column}" uses it'
                )
                return
            if relation.name not in done and relation.kind in {"table", "materialized view"}:
                done.add(relation.name)
                context.effect("also lock", relation, SHARE, is_scan=True, column_name=column,
                               reason=f"values of domain {domain.name.text} are checked")  # fmt: skip


def _derived(database: Database, name: Name) -> list[Name]:
    """The domain and those over it."""
    found = [name]
    for place in found:
        found += [
            other.name
            for other in database.domains.values()
            if other.base is not None
            and (other.base.schema, other.base.name) == tuple(place)
            and other.name not in found
        ]
    return found


_ALTERATIONS = {
    "T": _domain_default,
    "N": _domain_drop_not_null,
    "O": _domain_set_not_null,
    "C": _domain_add,
    "X": _domain_drop,
    "V": _domain_validate,
}


# composite and range types


def create_composite(context: Context, statement: CompositeTypeStmt) -> None:
    """CREATE TYPE … AS (…)."""
    if statement.typevar is None:
        return
    name = context.new_name(statement.typevar)
    is_taken = _exists(context, name)
    if not is_taken and context.database.exists(name):
        context.refuse(f'relation "{name.name}" already exists')
        is_taken = True
    context.thing("create type", name.text, "type", definition="composite", is_new=not is_taken)
    if is_taken:
        return
    relation = Relation(name, "composite type", born=context.born)
    for node in statement.coldeflist:
        definition = node.ColumnDef
        if definition is not None:
            relation.columns[definition.colname] = Column(
                definition.colname, context.type_of(definition.typeName), collation=collation(definition.collClause)
            )
    context.database.put(relation)
    context.database.types[name] = OtherType(
        name, "composite", {column.name: column.type for column in relation.columns.values()}, context.born
    )


def create_range(context: Context, statement: CreateRangeStmt) -> None:
    """CREATE TYPE … AS RANGE; from 14 on with a multirange type beside it."""
    name = _place(context, names(statement.typeName))
    is_taken = _exists(context, name)
    context.thing("create type", name.text, "type", definition="range", is_new=not is_taken)
    if is_taken:
        return
    database = context.database
    database.types[name] = OtherType(name, "range", born=context.born)
    database.gone.discard(name)
    multirange = next(
        (
            entry.DefElem.arg.TypeName
            for entry in statement.params
            if entry.DefElem is not None and entry.DefElem.defname == "multirange_type_name" and entry.DefElem.arg
        ),
        None,
    )
    if multirange is not None:
        other = _place(context, names(multirange.names))
    elif "range" in name.name:
        other = Name(name.schema, name.name.replace("range", "multirange", 1))
    else:
        other = Name(name.schema, f"{name.name}_multirange")
    if context.version >= 14:  # noqa: PLR2004 -- the version that brings them
        database.types.setdefault(other, OtherType(other, "range", born=context.born))


def alter_type(context: Context, statement: AlterTypeStmt) -> None:
    """ALTER TYPE … SET (…) of a base type."""
    name = context.qualify(names(statement.typeName), context.database.types)
    context.thing("alter object", name.text, "type", is_known=name in context.database.types)


HANDLERS: dict[str, Any] = {
    "CreateEnumStmt": create_enum,
    "AlterEnumStmt": alter_enum,
    "CreateDomainStmt": create_domain,
    "AlterDomainStmt": alter_domain,
    "CompositeTypeStmt": create_composite,
    "CreateRangeStmt": create_range,
    "AlterTypeStmt": alter_type,
}
"""The interpreter of each statement about types, by the parser's name of it."""
