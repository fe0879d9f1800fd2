"""ADD COLUMN, and what the definition of a column says wherever it stands."""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw, Struct

from queryfit.migrations.coercion import base_of, domain_of
from queryfit.migrations.context import Context
from queryfit.migrations.interpret import constraints, naming, texts
from queryfit.migrations.model import Column, DefaultKind, Name, Relation, Type
from queryfit.migrations.steps import ACCESS_EXCLUSIVE, ROW_EXCLUSIVE
from queryfit.migrations.type_names import SERIALS, type_text
from queryfit.migrations.volatility import volatility
from queryfit.sql import ddl
from queryfit.sql.ddl import NOTHING, AlterTableCmd, AlterTableStmt, CollateClause, ColumnDef

SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
INTEGERS = frozenset(Type("pg_catalog", name) for name in ("int2", "int4", "int8"))
_ATTRIBUTES = {
    "CONSTR_ATTR_DEFERRABLE": {"deferrable": True},
    "CONSTR_ATTR_DEFERRED": {"deferrable": True, "initdeferred": True},
    "CONSTR_ATTR_NOT_ENFORCED": {"is_enforced": False, "skip_validation": True, "initially_valid": False},
}
_DRAWN = re.compile(rb'"sval":"nextval"\}\}\].{0,99}?"A_Const":\{"sval":\{"sval":"([\w.]+)"')
_NULL = b'{"A_Const":{"isnull":true'
GENERATED_WORDS = {"s": "stored", "v": "virtual"}


class Definition(Struct):
    """What a column's definition says; `column` is not in any table yet."""

    column: Column
    word: str | None = None  # serial, identity, stored, virtual
    default: str | None = None  # the text of its DEFAULT or of what it is generated from
    culprit: str = ""  # the function that makes the default volatile
    domain_default: DefaultKind | None = None  # of its domain, where it has none of its own
    is_written: bool = False  # a default or expression is written: references are then looked up even for nulls
    constraints: list[ddl.Constraint] = []
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
            _of_domain(context, kind, found)
    if definition.constraints:
        _read_constraints(context, definition, found)
        _refuse_contradictions(context, definition, found)
    return found


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
    parts = ddl.names(clause.collname)
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
                column.default_expression = entry.raw_expr
                column.default, found.culprit = volatility(context, entry.raw_expr)
        elif kind == "CONSTR_IDENTITY":
            column.identity = entry.generated_when or "a"
            column.is_not_null = True
            column.default = "volatile"
            found.word, found.culprit = "identity", "its sequence"
        elif kind == "CONSTR_GENERATED":
            found.is_written = True
            column.generated = entry.generated_kind or "s"
            column.generation_expression = entry.raw_expr
            column.default = found.domain_default = None
            found.word = GENERATED_WORDS.get(column.generated, "stored")
            found.default = text_between(context, entry.location, following, "generated")
        elif kind in _ATTRIBUTES:
            if found.constraints:
                found.constraints[-1] = msgspec.structs.replace(found.constraints[-1], **_ATTRIBUTES[kind])
        elif kind not in {"CONSTR_NULL", "CONSTR_ATTR_NOT_DEFERRABLE", "CONSTR_ATTR_IMMEDIATE", "CONSTR_ATTR_ENFORCED"}:
            found.constraints.append(entry)


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


def add_column(  # noqa: C901, PLR0912 -- one thing after the other
    context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt
) -> None:
    """ADD COLUMN: rewrites the table when every row needs a value of its own, scans it when a rule has to hold."""
    definition = action.definition.ColumnDef
    if definition is None:
        context.unfollowed("ADD COLUMN without a column")
        return
    if statement.objtype == "OBJECT_TYPE":
        _add_attribute(context, relation, definition, action)
        return
    found = defined(context, definition)
    column = found.column
    if column.name in relation.columns and not _is_refused_kind(relation):
        context.effect("add column", relation, ACCESS_EXCLUSIVE, column_name=column.name,
                       type_after=type_text(column.type), is_present=False)  # fmt: skip
        if not action.missing_ok:
            context.refuse(f'column "{column.name}" of relation "{relation.name.name}" already exists')
        return
    is_only = statement.relation is not None and not statement.relation.inh
    children = list(context.database.descendants(relation)) if relation.children else []
    _refuse(context, relation, found, children, is_only=is_only)
    if any(entry.contype == "CONSTR_PRIMARY" for entry in found.constraints):
        column.is_not_null = True
    is_rewrite, is_scan, reason = _work(relation, found)
    context.effect(
        "add column",
        relation,
        ACCESS_EXCLUSIVE,
        column_name=column.name,
        type_after=type_text(column.type),
        is_default=(column.default or found.domain_default) is not None or bool(column.generated),
        definition=found.default,
        new_name=found.word,
        object_name="not null" if column.is_not_null else None,
        is_validated=False if is_scan and column.is_not_null else None,
        is_rewrite=is_rewrite,
        is_scan=is_scan,
        is_index_rebuild=rebuilds(relation) if is_rewrite else is_rewrite,
        reason=reason,
    )
    if context.step.refusal is not None:
        return
    if is_rewrite:
        _lock_drawn(context, column.default_expression)
    _put(context, relation, found)
    for child in children:
        own = child.columns.get(column.name)
        if own is not None:  # of the same name already: the two become one, rows stay as they are
            child_rewrite: bool | None = False
            child_scan = (
                context.version >= constraints.NOT_NULLS_ARE_CONSTRAINTS and column.is_not_null and not own.is_not_null
            )
            own.is_inherited = True
        else:
            child_rewrite, child_scan, reason = _work(child, found)
            child.columns[column.name] = _copied(column)
        own = child.columns[column.name]
        if column.is_not_null:
            constraints.mark_not_null(context, child, own)
        context.effect(
            "also lock",
            child,
            ACCESS_EXCLUSIVE,
            column_name=column.name,
            is_rewrite=child_rewrite,
            is_scan=child_scan,
            is_index_rebuild=rebuilds(child) if child_rewrite else child_rewrite,
            reason=reason if child_rewrite is not False or child_scan else None,
        )
    for entry in found.constraints:
        constraints.add_constraint(
            context,
            relation,
            entry,
            (column.name,),
            is_new_table=False,
            is_only=is_only,
            is_born_null=not found.is_written,
        )
    if context.step.refusal is not None:
        for table in (relation, *children):
            table.columns.pop(column.name, None)


def _copied(column: Column) -> Column:
    return Column(
        column.name,
        column.type,
        default=column.default,
        default_expression=column.default_expression,
        identity=column.identity,
        generated=column.generated,
        generation_expression=column.generation_expression,
        collation=column.collation,
        is_inherited=True,
    )


def _put(context: Context, relation: Relation, found: Definition) -> None:
    column = found.column
    relation.columns[column.name] = column
    if column.is_not_null:
        column.is_not_null = False
        constraints.mark_not_null(context, relation, column, found.not_null_name)
    if found.word in {"serial", "identity"}:
        put_sequence(context, relation, column.name)


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


def _lock_drawn(context: Context, expression: Raw) -> None:
    """A default that draws from a sequence while the table is rewritten locks the sequence."""
    if b'"nextval"' not in bytes(expression):
        return
    for drawn in _DRAWN.findall(bytes(expression)):
        parts = tuple(part.strip('"') for part in drawn.decode().split("."))
        name = context.qualify(parts, context.database.relations)
        sequence = context.database.relations.get(name)
        if sequence is not None and sequence.kind == "sequence":
            context.effect("also lock", sequence, ROW_EXCLUSIVE)


def rebuilds(relation: Relation) -> bool:
    """A table written anew builds its indexes anew, where it has any; one of unknown indexes is taken to have some."""
    return bool(relation.indexes) or not relation.are_columns_known


def has_rows(relation: Relation) -> bool:
    """The relation keeps rows itself: a partitioned table has none, a foreign one's are somewhere else."""
    return relation.kind in {"table", "materialized view"}


def _work(  # noqa: PLR0911 -- the first reason counts
    relation: Relation, found: Definition
) -> tuple[bool | None, bool, str | None]:
    """Whether it is rewritten (None: not known), whether it is scanned instead, and why."""
    column = found.column
    if relation.kind != "table":
        return False, False, None
    if column.generated == "v":
        reason = "NOT NULL of a virtual column is checked" if column.is_not_null else None
        return False, column.is_not_null, reason
    if column.generated == "s":
        return True, False, "a stored generated column is computed for every row"
    if found.word == "serial":
        return True, False, "every row gets a number of its sequence"
    if found.word == "identity":
        return True, False, "every row gets a number of its sequence"
    if found.domain is not None:
        return True, False, f"constraints of domain {found.domain} are checked"
    default = column.default or found.domain_default
    if default == "volatile":
        return True, False, f"default {found.culprit} is volatile"
    if default == "unknown":
        return None, False, f"whether default {found.culprit} is volatile is not known"
    if default is not None or not column.is_not_null:
        return False, False, None
    return False, True, "NOT NULL without a default is checked"


def _is_refused_kind(relation: Relation) -> bool:
    return relation.kind in {"view", "materialized view", "sequence", "index"}


def _refuse(  # noqa: C901 -- a list of refusals
    context: Context, relation: Relation, found: Definition, children: list[Relation], *, is_only: bool
) -> None:
    """What PostgreSQL refuses for sure."""
    name = found.column.name
    table = relation.name.name
    if _is_refused_kind(relation) and relation.is_known:
        context.refuse(f'ALTER action ADD COLUMN cannot be performed on relation "{table}"')
    elif relation.is_partition:
        context.refuse("cannot add column to a partition")
    elif relation.of_type is not None:
        context.refuse("cannot add column to typed table")
    elif is_only and children:
        context.refuse("column must be added to child tables too")
    elif (other := _clashing(found.column, children)) is not None:
        context.refuse(f'child table "{other}" has different type for column "{name}"')
    elif name in SYSTEM_COLUMNS:
        context.refuse(f'column name "{name}" conflicts with a system column name')
    elif found.word == "identity" and found.column.type is not None and found.column.type not in INTEGERS:
        context.refuse("identity column type must be smallint, integer, or bigint")
    elif found.word == "identity" and children and (relation.kind != "partitioned table" or context.version < 17):  # noqa: PLR2004 -- the version that allows it
        context.refuse("cannot recursively add identity column to table that has child tables")
    elif found.column.generated and _reads_generated(relation, found.column):
        context.refuse("cannot use generated column in column generation expression")
    elif (
        found.column.default or found.domain_default or found.domain
    ) is not None and relation.name in context.database.row_types:
        context.refuse(f'cannot alter table "{table}" because a column of another table uses its row type')
    elif found.column.generated == "v" and context.version < 18:  # noqa: PLR2004 -- the version that brings them
        context.refuse("virtual generated columns need PostgreSQL 18")


def _reads_generated(relation: Relation, column: Column) -> bool:
    """A generated column is computed from another one, or from itself."""
    for name in naming.columns_of(column.generation_expression):
        other = relation.columns.get(name)
        if name == column.name or (other is not None and other.generated):
            return True
    return False


def _clashing(column: Column, children: list[Relation]) -> str | None:
    """A child that has a column of the name already, of another type."""
    for child in children:
        own = child.columns.get(column.name)
        if own is not None and own.type is not None and column.type is not None and own.type != column.type:
            return child.name.name
    return None


def _add_attribute(context: Context, relation: Relation, definition: ColumnDef, action: AlterTableCmd) -> None:
    """ALTER TYPE … ADD ATTRIBUTE; typed tables follow with CASCADE."""
    kind = context.type_of(definition.typeName)
    name = definition.colname
    context.effect("alter type attribute", relation, ACCESS_EXCLUSIVE, relation_kind="type", column_name=name,
                   type_after=type_text(kind), definition="add attribute")  # fmt: skip
    if name in relation.columns:
        context.refuse(f'column "{name}" of relation "{relation.name.name}" already exists')
        return
    tables = typed_tables(context, relation)
    if tables and action.behavior != "DROP_CASCADE":
        context.refuse(f'cannot alter type "{relation.name.name}" because it is the type of a typed table')
        return
    for table in (relation, *tables):
        table.columns[name] = Column(name, kind, collation=collation(definition.collClause))
        if table is not relation:
            context.effect("also lock", table, ACCESS_EXCLUSIVE, column_name=name)


def typed_tables(context: Context, relation: Relation) -> list[Relation]:
    """Tables made OF that composite type."""
    return [other for other in context.database.relations.values() if other.of_type == relation.name]


def default_of(context: Context, expression: Raw) -> tuple[DefaultKind | None, str]:
    """How volatile a default is; None for no default, and for DEFAULT NULL."""
    if expression is NOTHING or bytes(expression).startswith(_NULL):
        return None, ""
    _refuse_default(context, expression)
    return volatility(context, expression)
