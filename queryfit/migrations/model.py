"""The schema as migrations make it: what exists before a statement, as far as it is known.

Objects are mutable: interpreting a statement changes them. Names are unquoted here; `text` is a name as SQL needs it.
A relation that a statement names and no earlier one made is *unknown*: it is taken for a table that is there, in use.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, NamedTuple, get_origin

from msgspec import Raw, Struct, field
from msgspec.structs import fields

from queryfit.migrations.steps import Step
from queryfit.sql.ddl_parts import NOTHING, PartitionBoundSpec
from queryfit.sql.names import qualified


class Name(NamedTuple):
    """A qualified name, unquoted."""

    schema: str
    name: str

    @property
    def text(self) -> str:
        return qualified(self.schema, self.name)


name_in = cache(Name)
"""Name(schema, name), where most are asked for again."""


class Type(NamedTuple):
    """A type with its modifiers, as a column has it: `numeric(10,2)[]` is ('pg_catalog', 'numeric', (10, 2), 1)."""

    schema: str  # pg_catalog for built-in ones
    name: str  # canonical: int4, varchar, bpchar, timestamptz …
    typmods: tuple[int | str, ...] = ()
    dimensions: int = 0  # 0: no array


plain_type = cache(Type)
"""Type(schema, name) without modifiers: the same few are asked for again and again."""


class Born(NamedTuple):
    """Where an object was made: nobody else uses it before that file, or that transaction, has ended."""

    file: int  # -1: in the state before the run
    transaction: int | None


BEFORE = Born(-1, None)
DefaultKind = Literal["constant", "stable", "volatile", "unknown"]


class Column(Struct):
    name: str
    type: Type | None  # null: not known
    is_not_null: bool = False
    is_not_null_validated: bool = True  # False: NOT NULL … NOT VALID (18)
    default: DefaultKind | None = None  # null: none
    default_expression: Raw = NOTHING
    identity: str = ""  # a: always, d: by default
    generated: str = ""  # s: stored, v: virtual
    generation_expression: Raw = NOTHING
    collation: Name | None = None
    is_inherited: bool = False
    is_own: bool = False  # inherited, but defined here too: it stays when a parent drops it


class Constraint(Struct):
    """A table's constraint. A NOT NULL is one of its own from 18 on; before, only the column's mark counts."""

    name: str
    kind: Literal["primary key", "unique", "foreign key", "check", "exclusion", "not null"]
    columns: tuple[str, ...] = ()
    is_validated: bool = True
    is_enforced: bool = True
    is_deferrable: bool = False
    is_no_inherit: bool = False
    expression: Raw = NOTHING  # of a check
    index: Name | None = None  # behind a primary key, unique or exclusion constraint
    referenced: Name | None = None
    referenced_columns: tuple[str, ...] = ()
    referenced_index: Name | None = None  # the unique index that a foreign key relies on
    behaviour: str = ""  # of a foreign key: the parser's letters for MATCH, ON UPDATE and ON DELETE
    is_local: bool = True  # False: only inherited


class Index(Struct):
    name: Name
    relation: Name
    columns: tuple[str | None, ...]  # keys in order; null for an expression
    expressions: tuple[Raw, ...] = ()
    included: tuple[str, ...] = ()
    predicate: Raw = NOTHING
    method: str = "btree"
    is_unique: bool = False
    is_nulls_not_distinct: bool = False
    is_valid: bool = True
    collations: tuple[Name | None, ...] = ()
    operator_classes: tuple[str | None, ...] = ()
    constraint: str | None = None
    parent: Name | None = None  # of a partition's index
    tablespace: str = ""
    is_in_default_order: bool = True  # no key is descending, nor has nulls first
    born: Born = BEFORE
    number: int = 0  # by age


class Policy(Struct):
    name: str


RelationKind = Literal[
    "table", "partitioned table", "foreign table", "view", "materialized view", "sequence", "index", "composite type"
]


class Relation(Struct):
    """A table, view, materialized view, sequence or foreign table. Indexes are kept apart, by name."""

    name: Name
    kind: RelationKind = "table"
    columns: dict[str, Column] = field(default_factory=dict)  # in their order
    constraints: dict[str, Constraint] = field(default_factory=dict)
    indexes: set[Name] = field(default_factory=set)
    is_known: bool = True  # False: only taken to be there
    are_columns_known: bool = True  # False: it may have columns, constraints and indexes that are not listed
    persistence: Literal["permanent", "unlogged", "temporary"] = "permanent"
    born: Born = BEFORE
    # partitions and inheritance
    parents: tuple[Name, ...] = ()
    children: set[Name] = field(default_factory=set)
    bound: PartitionBoundSpec | None = None  # of a partition
    partition_key: tuple[str | None, ...] = ()  # columns; null for an expression
    partition_strategy: str = ""
    default_partition: Name | None = None
    # views
    depends_on: frozenset[tuple[Name, str | None]] = frozenset()  # relation and column, null: the relation itself
    # sequences
    owned_by: tuple[Name, str] | None = None
    # the rest
    tablespace: str = ""
    access_method: str = ""
    triggers: set[str] = field(default_factory=set)
    rules: set[str] = field(default_factory=set)
    policies: set[str] = field(default_factory=set)
    # columns that triggers and policies name: kind and name of it → the columns. Those of one that is gone may be left
    held: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    has_row_security: bool = False
    clustered_on: Name | None = None
    of_type: Name | None = None
    emptied_in: int | None = None  # the transaction that truncated it last
    # sizes and traffic, by --against
    size_bytes: int | None = None
    row_count: int | None = None
    writes_per_s: float | None = None
    reads_per_s: float | None = None

    @property
    def text(self) -> str:
        return qualified(*self.name)

    @property
    def is_partition(self) -> bool:
        return self.bound is not None


class Domain(Struct):
    name: Name
    base: Type | None
    is_not_null: bool = False
    checks: dict[str, bool] = field(default_factory=dict)  # constraint → is validated
    has_default: bool = False
    default: DefaultKind | None = None
    born: Born = BEFORE


class Enum(Struct):
    name: Name
    values: list[str]
    added: dict[str, int | None] = field(default_factory=dict)  # value → transaction that added it
    born: Born = BEFORE
    are_values_known: bool = True  # False: it may have values that are not listed


class OtherType(Struct):
    """A composite, range, base or shell type. The fields of a composite type are in `Database.relations` too."""

    name: Name
    kind: str
    columns: dict[str, Type | None] = field(default_factory=dict)
    born: Born = BEFORE


class Parameter(NamedTuple):
    """A parameter of a function; `mode` is the parser's word for it."""

    name: str
    mode: str
    default: Raw


class Function(Struct):
    """A function or procedure; several of one name are overloads."""

    name: Name
    arguments: tuple[Type | None, ...]  # input arguments
    volatility: Literal["immutable", "stable", "volatile"] = "volatile"
    returns: Type | None = None
    language: str = "sql"
    is_security_definer: bool = False
    has_search_path: bool = False
    search_path: tuple[str, ...] | None = None  # as its SET says
    parameters: tuple[Parameter, ...] = ()  # all, also those that only return
    has_settings: bool = False  # SET of anything
    is_strict: bool = False
    is_set: bool = False  # RETURNS SETOF
    body: str = ""
    sql_body: Raw = NOTHING  # written as SQL instead of as a text
    is_procedure: bool = False
    may_write: bool | None = None  # rows or objects, when it runs; null: nobody asked so far
    born: Born = BEFORE

    @property
    def is_of_triggers(self) -> bool:
        """Only triggers call it: a statement cannot."""
        return self.returns is not None and self.returns.name in {"trigger", "event_trigger"}


class Database(Struct):
    """Everything that is known to exist. `is_complete`: what is not here does not exist.

    Relations come in by `put`, go by `forget` and change their names by `move`: these keep the maps that say who
    depends on whom. A constraint comes in by `constrain`.
    """

    relations: dict[Name, Relation] = field(default_factory=dict)
    indexes: dict[Name, Index] = field(default_factory=dict)
    domains: dict[Name, Domain] = field(default_factory=dict)
    enums: dict[Name, Enum] = field(default_factory=dict)
    types: dict[Name, OtherType] = field(default_factory=dict)
    functions: dict[Name, list[Function]] = field(default_factory=dict)
    schemas: dict[str, Born] = field(default_factory=lambda: {"public": BEFORE})
    extensions: dict[str, str] = field(default_factory=dict)  # name → its schema
    row_types: set[Name] = field(default_factory=set)  # tables of whose row type a column was made
    fresh_values_of: int | None = None  # the last transaction that added values to an enum made before it
    has_casts: bool = False  # CREATE CAST ran: there may be conversions between types that are not built in
    is_complete: bool = False
    time_zone: str | None = None  # of the server, where it is known
    lock_timeout_ms: int | None = None  # that the server gives to sessions, where it is known
    statement_timeout_ms: int | None = None  # likewise
    gone: set[Name] = field(default_factory=set)  # relations and indexes that migrations dropped or renamed
    # Schemas that surely were not there before a migration made them; False as `are_made_alone`: others may make tables
    own_schemas: dict[str, Born] = field(default_factory=dict)
    are_made_alone: bool = True
    # Relations whose names have capitals, by the name in small letters, and names that were refused for that
    capitals: dict[Name, Name] = field(default_factory=dict)
    miscased: dict[Name, Step] = field(default_factory=dict)
    # Who may depend on a relation (by a foreign key, a view's query, as its sequence) and who may have a constraint of
    # a name: places to look at; nothing is taken out.
    dependents: dict[Name, set[Name]] = field(default_factory=dict)
    constraint_places: dict[Name, Name | set[Name]] = field(default_factory=dict)  # most names are of one table
    trigger_places: dict[Name, set[tuple[Name, str]]] = field(default_factory=dict)  # function → tables with triggers
    indexes_made: int = 0
    statistics: dict[Name, Name] = field(default_factory=dict)  # extended statistics → their table
    temporary: dict[Name, bool] = field(default_factory=dict)  # temporary tables → they go when the transaction ends
    has_temporary: bool = False  # there was something in pg_temp

    def copy(self) -> Database:
        """A deep copy, for a transaction that may roll back. What never changes, such as trees and names, is shared."""
        made: Database = _fresh(self)
        return made

    def put(self, relation: Relation) -> None:
        """Add a relation, or note anew what a changed one depends on."""
        name = relation.name
        self.relations[name] = relation
        self.gone.discard(name)
        if not name.name.islower() and (lower := name.name.lower()) != name.name:
            self.capitals[Name(name.schema, lower)] = name
        if name.schema == "pg_temp":
            self.has_temporary = True
        for place, _ in relation.depends_on:
            self.dependents.setdefault(place, set()).add(name)
        if relation.owned_by is not None:
            self.dependents.setdefault(relation.owned_by[0], set()).add(name)
        for constraint in relation.constraints.values():
            self.constrain(relation, constraint)

    def constrain(self, relation: Relation, constraint: Constraint) -> None:
        """Add a constraint to a relation."""
        relation.constraints[constraint.name] = constraint
        place = Name(relation.name.schema, constraint.name)
        tables = self.constraint_places.get(place)
        if tables is None:
            self.constraint_places[place] = relation.name
        elif isinstance(tables, set):
            tables.add(relation.name)
        elif tables != relation.name:
            self.constraint_places[place] = {tables, relation.name}
        if constraint.referenced is not None:
            self.dependents.setdefault(constraint.referenced, set()).add(relation.name)

    def put_index(self, index: Index) -> None:
        """Add an index, and note it at its table; those of system catalogs are not kept."""
        relation = self.relations.get(index.relation)
        if relation is None:
            return
        self.indexes_made += 1
        index.number = self.indexes_made
        self.indexes[index.name] = index
        self.gone.discard(index.name)
        relation.indexes.add(index.name)

    def forget_index(self, name: Name) -> Index | None:
        """Take an index out."""
        index = self.indexes.pop(name, None)
        self.gone.add(name)
        if index is not None and (relation := self.relations.get(index.relation)) is not None:
            relation.indexes.discard(name)
            if relation.clustered_on == name:
                relation.clustered_on = None
        return index

    def forget(self, name: Name) -> Relation | None:
        """Take a relation out with its indexes and its own sequences; what depends on it stays as it is."""
        relation = self.relations.pop(name, None)
        self.gone.add(name)
        if relation is None:
            return None
        for index in list(relation.indexes):
            self.indexes.pop(index, None)
            self.gone.add(index)
        for parent in relation.parents:
            if (above := self.relations.get(parent)) is not None:
                above.children.discard(name)
                if above.default_partition == name:
                    above.default_partition = None
        for sequence in self.owned_sequences(name):
            self.forget(sequence.name)
        return relation

    def move(self, relation: Relation, new: Name) -> None:
        """Give a relation another name or schema, wherever it is named; its indexes and sequences stay as they are."""
        old = relation.name
        affected = [self.relations[name] for name in self.dependents.get(old, ()) if name in self.relations]
        self.relations.pop(old, None)
        self.gone.add(old)
        relation.name = new
        self.put(relation)
        for index in relation.indexes:
            if index in self.indexes:
                self.indexes[index].relation = new
        for parent in relation.parents:
            if (above := self.relations.get(parent)) is not None:
                above.children.discard(old)
                above.children.add(new)
                if above.default_partition == old:
                    above.default_partition = new
        for child in relation.children:
            if (below := self.relations.get(child)) is not None:
                below.parents = tuple(new if parent == old else parent for parent in below.parents)
        self._follow(affected, old, new)

    def _follow(self, affected: list[Relation], old: Name, new: Name) -> None:
        """What depends on a relation names it by its new name."""
        for other in affected:
            for constraint in other.constraints.values():
                if constraint.referenced == old:
                    constraint.referenced = new
            if other.depends_on:
                other.depends_on = frozenset(
                    (new if place == old else place, column) for place, column in other.depends_on
                )
            if other.owned_by is not None and other.owned_by[0] == old:
                other.owned_by = (new, other.owned_by[1])
            self.put(other)

    def move_index(self, index: Index, new: Name) -> None:
        """Give an index another name or schema, wherever it is named."""
        old = index.name
        del self.indexes[old]
        self.gone.add(old)
        self.gone.discard(new)
        index.name = new
        self.indexes[new] = index
        relation = self.relations.get(index.relation)
        if relation is not None:
            relation.indexes.discard(old)
            relation.indexes.add(new)
            if relation.clustered_on == old:
                relation.clustered_on = new
            constraint = relation.constraints.get(index.constraint) if index.constraint is not None else None
            if constraint is not None:
                constraint.index = new
            for _, key in self.referencing(relation.name):
                if key.referenced_index == old:
                    key.referenced_index = new
            for child in self.descendants(relation):
                for other in child.indexes:
                    if (below := self.indexes.get(other)) is not None and below.parent == old:
                        below.parent = new

    def end_transaction(self) -> None:
        """Temporary tables made with ON COMMIT DROP go."""
        for name, is_dropped in list(self.temporary.items()):
            if is_dropped:
                self._forget_temporary(name)

    def end_session(self) -> None:
        """All temporary tables go."""
        for name in list(self.temporary):
            self._forget_temporary(name)

    def _forget_temporary(self, name: Name) -> None:
        relation = self.relations.get(name)
        indexes = set(relation.indexes) if relation is not None else set()
        self.forget(name)
        self.gone -= {name, *indexes}  # a new session knows nothing of it
        del self.temporary[name]

    def exists(self, name: Name) -> bool:
        """A relation or an index has the name."""
        return name in self.relations or name in self.indexes

    def constraint_exists(self, name: Name) -> bool:
        """A table of that schema has a constraint of that name."""
        tables = self.constraint_places.get(name)
        for place in tables if isinstance(tables, set) else (tables,) if tables is not None else ():
            relation = self.relations.get(place)
            if relation is not None and name.name in relation.constraints:
                return True
        return False

    def descendants(self, relation: Relation) -> Iterator[Relation]:
        """Partitions and inheritance children, at any depth; each once."""
        if not relation.children:
            return
        seen = {relation.name}
        pending = sorted(relation.children)
        while pending:
            name = pending.pop()
            child = self.relations.get(name)
            if child is None or name in seen:
                continue
            seen.add(name)
            yield child
            pending += sorted(child.children)

    def indexes_of(self, relation: Relation) -> list[Index]:
        return [self.indexes[name] for name in sorted(relation.indexes) if name in self.indexes]

    def referencing(self, name: Name) -> Iterator[tuple[Relation, Constraint]]:
        """Foreign keys that point at a table, with the table that has them."""
        for place in sorted(self.dependents.get(name, ())):
            relation = self.relations.get(place)
            if relation is None:
                continue
            for constraint in relation.constraints.values():
                if constraint.referenced == name:
                    yield relation, constraint

    def views_on(self, name: Name, column: str | None = None) -> Iterator[Relation]:
        """Views and materialized views that read a relation, or that column of it."""
        for view in sorted(self.dependents.get(name, ())):
            relation = self.relations.get(view)
            if relation is None:
                continue
            for place, read in relation.depends_on:
                if place == name and (column is None or read == column):
                    yield relation
                    break

    def owned_sequences(self, name: Name, column: str | None = None) -> list[Relation]:
        """The sequences that a table's columns own, or that column of it."""
        found = []
        for place in sorted(self.dependents.get(name, ())):
            relation = self.relations.get(place)
            if relation is None or relation.owned_by is None or relation.owned_by[0] != name:
                continue
            if column is None or relation.owned_by[1] == column:
                found.append(relation)
        return found


def _fresh(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {name: _fresh(part) for name, part in value.items()}
    if kind is list:
        return [_fresh(part) for part in value]
    if kind is set:
        return value.copy()
    if kind not in _MUTABLE:
        return value
    made = copy.copy(value)
    for name in _containers(kind):  # type: ignore[arg-type]
        setattr(made, name, _fresh(getattr(value, name)))
    return made


@cache
def _containers(kind: Any) -> tuple[str, ...]:
    """The fields of a struct that hold dictionaries, lists or sets."""
    return tuple(entry.name for entry in fields(kind) if get_origin(entry.type) in {dict, list, set})


class Settings(Struct):
    """The session's settings as the file has set them so far."""

    search_path: tuple[str, ...] = ("public",)
    lock_timeout_ms: int | None = None
    statement_timeout_ms: int | None = None
    time_zone: str | None = None
    others: dict[str, Any] = field(default_factory=dict)


_MUTABLE = frozenset({Column, Constraint, Index, Policy, Relation, Domain, Enum, OtherType, Function, Database})
