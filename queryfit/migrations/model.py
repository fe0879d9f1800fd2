"""The schema as migrations make it: what exists before a statement, as far as it is known.

Objects are mutable: interpreting a statement changes them. Names are unquoted here; `text` is a name as SQL needs it.
A relation that a statement names and no earlier one made is *unknown*: it is taken for a table that is there and in use.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from msgspec import Raw, Struct, field

from queryfit.sql.names import qualified
from queryfit.sql.ddl import NOTHING, PartitionBoundSpec


class Name(NamedTuple):
    """A qualified name, unquoted."""

    schema: str
    name: str

    @property
    def text(self) -> str:
        return qualified(self.schema, self.name)


class Type(NamedTuple):
    """A type with its modifiers, as a column has it: `numeric(10,2)[]` is ('pg_catalog', 'numeric', (10, 2), 1)."""

    schema: str  # pg_catalog for built-in ones
    name: str  # canonical: int4, varchar, bpchar, timestamptz …
    typmods: tuple[int | str, ...] = ()
    dimensions: int = 0  # 0: no array


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
    born: Born = BEFORE


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
    policies: set[str] = field(default_factory=set)
    has_row_security: bool = False
    clustered_on: Name | None = None
    of_type: Name | None = None
    # sizes and traffic, by --against
    size_bytes: int | None = None
    row_count: int | None = None
    writes_per_s: float | None = None
    reads_per_s: float | None = None

    @property
    def text(self) -> str:
        return self.name.text

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


class OtherType(Struct):
    """A composite, range, base or shell type. The fields of a composite type are in `Database.relations` too."""

    name: Name
    kind: str
    columns: dict[str, Type | None] = field(default_factory=dict)
    born: Born = BEFORE


class Function(Struct):
    """A function or procedure; several of one name are overloads."""

    name: Name
    arguments: tuple[Type | None, ...]  # input arguments
    volatility: Literal["immutable", "stable", "volatile"] = "volatile"
    returns: Type | None = None
    language: str = "sql"
    is_security_definer: bool = False
    has_search_path: bool = False
    is_procedure: bool = False
    born: Born = BEFORE


class Database(Struct):
    """Everything that is known to exist. `is_complete`: what is not here does not exist."""

    relations: dict[Name, Relation] = field(default_factory=dict)
    indexes: dict[Name, Index] = field(default_factory=dict)
    domains: dict[Name, Domain] = field(default_factory=dict)
    enums: dict[Name, Enum] = field(default_factory=dict)
    types: dict[Name, OtherType] = field(default_factory=dict)
    functions: dict[Name, list[Function]] = field(default_factory=dict)
    schemas: dict[str, Born] = field(default_factory=lambda: {"public": BEFORE})
    extensions: dict[str, str] = field(default_factory=dict)  # name → its schema
    is_complete: bool = False
    time_zone: str | None = None  # of the server, where it is known

    def copy(self) -> Database:
        """A deep copy, for a transaction that may roll back. Raw parts and bounds are shared: they never change."""
        return copy.deepcopy(self)

    def descendants(self, relation: Relation) -> Iterator[Relation]:
        """Partitions and inheritance children, at any depth; each once."""
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
        for relation in self.relations.values():
            for constraint in relation.constraints.values():
                if constraint.kind == "foreign key" and constraint.referenced == name:
                    yield relation, constraint

    def views_on(self, name: Name, column: str | None = None) -> Iterator[Relation]:
        """Views and materialized views that read a relation, or that column of it."""
        for relation in self.relations.values():
            for place, read in relation.depends_on:
                if place == name and (column is None or read == column):
                    yield relation
                    break


class Settings(Struct):
    """The session's settings as the file has set them so far."""

    search_path: tuple[str, ...] = ("public",)
    lock_timeout_ms: int | None = None
    statement_timeout_ms: int | None = None
    time_zone: str | None = None
    others: dict[str, Any] = field(default_factory=dict)
