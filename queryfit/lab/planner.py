"""What a planner is asked, and what it answers: one interface for the lab and for HypoPG on a live server."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from queryfit.errors import QueryfitError


@dataclass(frozen=True, slots=True)
class Key:
    """One key of an index. `expression` is SQL: a quoted column, or an expression without its outer parentheses."""

    expression: str
    is_column: bool = True
    operator_class: str | None = None  # null: the default of the type
    collation: str | None = None  # null: the column's own
    is_descending: bool = False
    is_nulls_first: bool = False  # as it takes effect: PostgreSQL's default is `is_descending`

    @property
    def sql(self) -> str:
        parts = [self.expression if self.is_column else f"({self.expression})"]
        if self.collation is not None:
            parts.append(f"collate {self.collation}")
        if self.operator_class is not None:
            parts.append(self.operator_class)
        if self.is_descending:
            parts.append("desc")
        if self.is_nulls_first != self.is_descending:
            parts.append("nulls first" if self.is_nulls_first else "nulls last")
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Index:
    """What an index is, without a name: two that are equal order and hold the same."""

    relation: str  # schema.name, quoted where SQL needs it
    keys: tuple[Key, ...]
    included: tuple[str, ...] = ()  # quoted columns
    access_method: str = "btree"
    predicate: str | None = None
    is_unique: bool = False
    parameters: tuple[tuple[str, str], ...] = ()  # WITH (…), such as pages_per_range
    _hash: int = field(init=False, repr=False, compare=False)  # a search looks an index up millions of times

    def __post_init__(self) -> None:
        parts = (self.relation, self.keys, self.included, self.access_method, self.predicate, self.is_unique)
        object.__setattr__(self, "_hash", hash((*parts, self.parameters)))

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type[Index], tuple[object, ...]]:
        """Made anew where it is unpickled or copied: hashes of texts differ from process to process."""
        own = (self.relation, self.keys, self.included, self.access_method, self.predicate, self.is_unique)
        return Index, (*own, self.parameters)

    @property
    def subject(self) -> str:
        """How findings name it: `public.orders (customer_id, created_at) where …`."""
        keys = ", ".join(key.sql for key in self.keys)
        method = "" if self.access_method == "btree" else f"using {self.access_method} "
        included = f" include ({', '.join(self.included)})" if self.included else ""
        predicate = f" where {self.predicate}" if self.predicate else ""
        return f"{self.relation} {method}({keys}){included}{predicate}"

    def create(self, name: str = "", *, is_concurrent: bool = False) -> str:
        """The CREATE INDEX statement; `name` is quoted where SQL needs it, empty for one that PostgreSQL makes up."""
        words = ["create", *(["unique"] if self.is_unique else []), "index"]
        if is_concurrent:
            words.append("concurrently")
        if name:
            words.append(name)
        words += ["on", self.relation, "using", self.access_method, f"({', '.join(key.sql for key in self.keys)})"]
        if self.included:
            words.append(f"include ({', '.join(self.included)})")
        if self.parameters:
            words.append(f"with ({', '.join(f'{name} = {value}' for name, value in self.parameters)})")
        if self.predicate:
            words.append(f"where {self.predicate}")
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Size:
    """How large an index is once it is built. `source`: formula, built (on sampled or generated rows), real, hypopg."""

    size_bytes: int
    tuple_rows: float
    height: int = 0  # levels of a B-tree above its leaves
    source: str = "formula"


@dataclass(frozen=True, slots=True)
class Query:
    """A statement to be planned.

    `values` are literals in SQL for $1, $2 … (null among them is NULL); without them a text with parameters gets its
    generic plan. One statement may come as several queries: generic, and with representative values.
    """

    key: str  # fingerprint or name of the statement, and what tells its variants apart
    text: str
    values: tuple[str | None, ...] | None = None
    search_path: tuple[str, ...] = ("public",)


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan: its total cost, the candidates and the indexes there already (schema.name) that it uses."""

    cost: float
    candidates: frozenset[Index]
    existing: frozenset[str]
    document: Mapping[str, Any]  # the top node, as EXPLAIN (VERBOSE, FORMAT JSON) gives it under "Plan"


class NotPlannedError(QueryfitError):
    """The planner refuses a statement, or an index; the message says why."""


class Planner(Protocol):
    """A planner that knows indexes that are not there. Not thread-safe; use as a context manager."""

    @property
    def version(self) -> int:
        """PostgreSQL's major version."""

    def add(self, sizes: Mapping[Index, Size | None]) -> dict[Index, Size | NotPlannedError]:
        """Make candidates known, all hidden; with a size, or the planner's own where it is null.

        Answers with the size that counts from now on, or the reason why PostgreSQL does not take the index.
        """

    def plan(self, query: Query, visible: Collection[Index] = (), hidden: Collection[str] = ()) -> Planned:
        """The plan with these candidates there, and these existing indexes (schema.name) not.

        Indexes behind constraints cannot be hidden. Raises NotPlannedError.
        """

    def plan_all(
        self, queries: Sequence[Query], visible: Collection[Index] = (), hidden: Collection[str] = ()
    ) -> dict[str, Planned | NotPlannedError]:
        """The plans of several queries under one set of indexes, by key: the set is switched once."""

    @property
    def calls(self) -> int:
        """How many statements have been planned: what a limit counts."""
