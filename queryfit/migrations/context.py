"""Where the interpretation of one statement stands: the schema before it, the settings, what was found so far."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

from msgspec import Struct

from queryfit.migrations.model import BEFORE, Born, Database, Index, Name, Relation, Settings, Type, name_in
from queryfit.migrations.steps import Action, Effect, Step
from queryfit.migrations.type_names import type_of
from queryfit.sql.ddl_parts import RangeVar, TypeName
from queryfit.sql.names import qualified

_SYSTEM = frozenset({"pg_catalog", "information_schema"})
SMALL_BYTES = 8 * 1024 * 1024
"""A table below it is read or written in well under a second even from a cold disk."""


class Nested(Struct):
    """A statement inside a DO block."""

    sql: str
    start: int  # its place in the file, in characters; that of the block where it is not known
    end: int
    is_conditional: bool = False
    control: Literal["", "commit", "rollback"] = ""  # ends the transaction, and nothing else


class Context(Struct):
    """What an interpreter works with. It changes `database` and `settings`, and adds to `effects` and `step`."""

    version: int  # PostgreSQL's major version
    database: Database
    settings: Settings
    step: Step
    effects: list[Effect]
    sql: str  # the file's text as it runs
    file: int
    transaction: int | None
    shift: int = 0  # from a location in the statement's tree to a place in `sql`, in bytes
    is_in_block: bool = False  # inside a transaction block, implicit ones too: some commands refuse that
    encoded: bytes | None = None  # `sql` in UTF-8, once it was needed
    with_columns: bool = False  # CREATE TABLE gives an effect for each of its columns
    after_commit: Settings | None = None  # of a transaction block: the settings without those of SET LOCAL
    is_outermost: bool = True  # False: inside a DO block
    run: Callable[[Context, str, Any], None] | None = None  # interprets a statement of that kind within this one
    run_nested: Callable[[Context, Nested], None] | None = None  # interprets a statement of a block, as its own step

    # names

    def name_of(self, relation: RangeVar) -> Name:
        """The name that the text means: of a relation that is there, else in the first schema of the search path."""
        if relation.schemaname:
            return name_in(relation.schemaname, relation.relname)
        return self.unqualified(relation.relname)

    def unqualified(self, name: str) -> Name:
        path = self.settings.search_path
        relations, indexes = self.database.relations, self.database.indexes
        for schema in ("pg_temp", *path) if self.database.has_temporary else path:
            found = name_in(schema, name)
            if found in relations or found in indexes:
                return found
        if name.startswith("pg_"):
            return Name("pg_catalog", name)
        return name_in(path[0] if path else "public", name)

    def new_name(self, relation: RangeVar) -> Name:
        """The name that a new relation gets."""
        if relation.schemaname:
            return Name(relation.schemaname, relation.relname)
        if relation.relpersistence == "t":
            return Name("pg_temp", relation.relname)
        path = self.settings.search_path
        return Name(path[0] if path else "public", relation.relname)

    def qualify(self, parts: Sequence[str], known: Any = ()) -> Name:
        """The name of an object that is no relation; `known` holds the names of its kind that are there."""
        if len(parts) > 1:
            return Name(parts[-2], parts[-1])
        path = self.settings.search_path
        for schema in (*path, "pg_catalog"):
            if (found := Name(schema, parts[-1])) in known:
                return found
        return Name(path[0] if path else "public", parts[-1])

    # relations

    def find(self, relation: RangeVar) -> Relation | None:
        """The relation that is there under that name; None where the model knows of none."""
        return self.database.relations.get(self.name_of(relation))

    def relation(self, relation: RangeVar, kind: Any = "table") -> Relation:
        """The relation of that name. One that nobody made is taken to be there: it becomes known as unknown."""
        name = self.name_of(relation)
        found = self.database.relations.get(name)
        if found is None:
            if name.schema in _SYSTEM:
                return Relation(name, kind, is_known=False, are_columns_known=False)
            if self.database.is_complete or name in self.database.gone:
                self.refuse_missing(relation)
                return Relation(name, kind, is_known=False, are_columns_known=False)
            if self.database.capitals and self._is_miscased(name):
                self.refuse_missing(relation)
                self.database.miscased.setdefault(name, self.step)
                return Relation(name, kind, is_known=False, are_columns_known=False)
            if self.database.own_schemas and kind == "table" and self._is_outside(relation, name):
                self.refuse_missing(relation)
                return Relation(name, kind, is_known=False, are_columns_known=False)
            found = Relation(name, kind, is_known=False, are_columns_known=False)
            self.database.put(found)
        return found

    def refuse_missing(self, relation: RangeVar) -> None:
        """Nothing has that name: in the words of the server."""
        schema = relation.schemaname
        if schema and Name(schema, "") in self.database.gone and schema not in self.database.schemas:
            self.refuse(f'schema "{schema}" does not exist')
        shown = f"{schema}.{relation.relname}" if schema else relation.relname
        self.refuse(f'relation "{shown}" does not exist')

    def _is_miscased(self, name: Name) -> bool:
        """Only a name that differs in its capitals is there, in a schema of which all is known so far.

        Not where the file reads the name before: it may move the rows of a table that it did not make.
        """
        database = self.database
        other = database.relations.get(database.capitals.get(Name(name.schema, name.name.lower()), name))
        if other is None or other.name.name == name.name or len(self.settings.search_path) > 1:
            return False
        if not all(relation.is_known for relation in database.relations.values()):
            return False
        start, end = (self.step.start, self.step.end) if self.is_outermost else (0, len(self.sql))
        read = rf'\b(?:from|join|using)\s+(?:only\s+)?[\w."]*{re.escape(name.name)}\b'
        return (
            re.search(read, self.sql[:end], re.IGNORECASE) is None
            and re.search(r"\bif\s+exists\b", self.sql[start:end], re.IGNORECASE) is None
        )

    def _is_outside(self, relation: RangeVar, name: Name) -> bool:
        """A table that is in none of the schemas where it may be: the migrations made them with all that is in them.

        Not where somebody else may make tables there, as those do who make partitions when their time comes.
        """
        database = self.database
        places = (relation.schemaname,) if relation.schemaname else self.settings.search_path
        if not database.are_made_alone or not places or database.has_temporary or "$user" in self.settings.others:
            return False
        if not all(place in database.own_schemas and database.own_schemas[place] == database.schemas.get(place)
                   for place in places):  # fmt: skip
            return False
        start, end = (self.step.start, self.step.end) if self.is_outermost else (0, len(self.sql))
        return not (
            name.name.endswith("_seq")
            or re.search(r"\bif\s+exists\b", self.sql[start:end], re.IGNORECASE)
            or any(other.children or other.kind == "partitioned table"
                   for other in database.relations.values() if other.name.schema in places)
            or any("create" in function.body.lower() for some in database.functions.values() for function in some)
        )  # fmt: skip

    def is_absent(self, name: Name, *, missing_ok: bool) -> bool:
        """Nothing has that name: for sure, or because nobody made it and the statement itself expects that.

        Without IF EXISTS what no migration made is taken to be there. With it, where earlier files made tables, it is
        taken not to be: `drop table if exists staging` before `create table staging` is how scripts begin.
        """
        database = self.database
        if database.exists(name):
            return False
        return database.is_complete or name in database.gone or self.expects_absence(missing_ok=missing_ok)

    def expects_absence(self, *, missing_ok: bool) -> bool:
        """IF EXISTS, after files that made tables."""
        return missing_ok and any(
            relation.is_known and relation.born.file < self.file for relation in self.database.relations.values()
        )

    @property
    def born(self) -> Born:
        """The birth mark of what this statement makes."""
        return Born(self.file, self.transaction)

    def is_new(self, thing: Relation | Index) -> bool:
        """Nobody else uses it yet: born in this file or transaction, or temporary."""
        born = thing.born
        if born is not BEFORE and (
            born.file == self.file or (born.transaction is not None and born.transaction == self.transaction)
        ):
            return True
        return isinstance(thing, Relation) and thing.persistence == "temporary"

    # types

    def type_of(self, written: TypeName | None) -> Type | None:
        """A type as it is written, in canonical form; None for what only a running server knows (`%type`)."""
        return type_of(self.database, self.settings.search_path, written)

    # what is found

    def effect(self, action: Action, relation: Relation | None, lock_level: int = 0, **facts: Any) -> Effect:
        """Add an effect on a relation, with the state that the relation is in."""
        if relation is None:
            effect = Effect(self.step.number, action, None, lock_level=lock_level, **facts)
        else:
            kind = relation.kind
            its_kind = facts.pop("relation_kind", kind) if "relation_kind" in facts else kind
            effect = Effect(self.step.number, action, qualified(*relation.name), its_kind, lock_level, **facts)
            # set one by one: most effects need few of them, and this is where a replay spends its time
            if effect.is_partitioned is None:
                effect.is_partitioned = kind == "partitioned table"
            if not relation.is_known:
                effect.is_known = False
            if self.is_new(relation):
                effect.is_new = True
            size = relation.size_bytes
            if size is not None:
                effect.is_small = size < SMALL_BYTES
                effect.size_bytes, effect.row_count = size, relation.row_count
                effect.writes_per_s, effect.reads_per_s = relation.writes_per_s, relation.reads_per_s
            elif relation.emptied_in is not None:
                effect.is_small = relation.emptied_in == self.transaction
        self.effects.append(effect)
        return effect

    def thing(self, action: Action, name: str | None, kind: str, **facts: Any) -> Effect:
        """Add an effect on what is no relation: a function, a type, a schema …; `name` as SQL needs it."""
        effect = Effect(self.step.number, action, name, relation_kind=kind, **facts)
        self.effects.append(effect)
        return effect

    def not_in_block(self, command: str) -> None:
        """PostgreSQL refuses the command in a transaction block."""
        self.step.refused_in_transaction = command
        if self.is_in_block:
            self.refuse(f"{command} cannot run inside a transaction block")

    def only_in_block(self, command: str) -> None:
        """PostgreSQL refuses the command outside a transaction block."""
        if not self.is_in_block:
            self.refuse(f"{command} can only be used in transaction blocks")

    def refuse(self, reason: str) -> None:
        """PostgreSQL refuses the statement here, for sure: the first reason stays."""
        self.step.refusal = self.step.refusal or reason

    def unfollowed(self, reason: str) -> None:
        """The model cannot follow the statement; the first reason stays."""
        self.step.unfollowed = self.step.unfollowed or reason

    def source(self, start: int, end: int) -> str:
        """The text between two locations of the statement's tree."""
        if self.sql.isascii():
            return self.sql[start + self.shift : end + self.shift]
        if self.encoded is None:
            self.encoded = self.sql.encode()
        return self.encoded[start + self.shift : end + self.shift].decode(errors="replace")
