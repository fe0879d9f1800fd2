"""Who is visible where: relations, subqueries and CTEs of a block, and the base columns behind their columns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

from queryfit.sql.catalog import Relation
from queryfit.sql.grammar import Node, ast

WHOLE_ROW = "*"


class Fence(IntEnum):
    """How far a condition from outside reaches into a subquery, as PostgreSQL pushes it down."""

    NONE = 0  # the subquery is pulled up: conditions and joins reach the relation's indexes
    JOINS = 1  # grouped, distinct, set operation: conditions with constants reach it, joins do not
    ALL = 2  # LIMIT, window, materialized CTE: nothing does


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """One appearance of a relation in a block; a self join has two."""

    relation: Relation
    alias: str
    block: int


@dataclass(frozen=True, slots=True)
class Origin:
    """The base column that a name stands for, and what lies between."""

    instance: Instance
    column: str
    fence: Fence = Fence.NONE

    def behind(self, fence: Fence) -> "Origin":
        """The same column seen through one more query level."""
        return self if fence <= self.fence else Origin(self.instance, self.column, fence)


Origins = tuple[Origin, ...]
"""Several for a set operation (one an arm); none for what is computed."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One item of FROM. `names` maps its columns; `is_open` when it may have columns that are not known."""

    alias: str
    names: Mapping[str, Origins]
    is_open: bool = False
    instance: Instance | None = None  # of a base relation
    instances: frozenset[Instance] = frozenset()  # every base relation below it

    def find(self, column: str) -> Origins | None:
        """Origins of a column; None when the source has no such column."""
        found = self.names.get(column)
        return () if found is None and self.is_open else found


def relation_source(instance: Instance, renamed: tuple[str, ...] = ()) -> Source:
    """A base relation; `renamed` are the names of FROM t AS a(x, y)."""
    columns = instance.relation.columns
    shown = renamed + columns[len(renamed) :]
    names = {name: (Origin(instance, column),) for name, column in zip(shown, columns, strict=False)}
    return Source(instance.alias, names, instance=instance, instances=frozenset((instance,)))


@dataclass(frozen=True, slots=True)
class Common:
    """A CTE as FROM sees it."""

    outputs: Sequence[tuple[str, Origins]]
    fence: Fence
    is_open: bool


@dataclass(slots=True, eq=False)
class Scope:
    """Names of one block, then of the blocks around it."""

    block: int
    parent: "Scope | None" = None
    is_driven: bool = True  # a match here can drive the outer block: not so in a scalar subquery or below OR
    commons: Mapping[str, Common] = field(default_factory=dict)
    is_correlated: bool = False  # a name in it was found in a block around it
    sources: list[Source] = field(default_factory=list)
    merged: dict[str, Origins] = field(default_factory=dict)  # columns of USING and NATURAL

    def part(self, start: int) -> "Scope":
        """The view that an ON condition has: the sources from `start` on."""
        return replace(self, sources=self.sources[start:])

    def resolve(self, reference: Node) -> tuple[Origins, bool]:
        """Origins of a column reference, and whether a condition on it can be used by the block that it belongs to."""
        names = [part.sval for part in reference.fields if isinstance(part, ast.String)]
        is_whole_row = len(names) < len(reference.fields)
        scope: Scope | None = self
        is_driven = True
        crossed: list[Scope] = []
        while scope is not None:
            found = scope.find_row(names) if is_whole_row else scope.find(names)
            if found is not None:
                for inner in crossed:
                    inner.is_correlated = True
                return found, is_driven
            is_driven = is_driven and scope.is_driven
            crossed.append(scope)
            scope = scope.parent
        return (), is_driven

    def starred(self, table: list[str]) -> list[Source]:
        """Sources that a star stands for: all, or those of one name."""
        if not table:
            return self.sources
        source = self._source(table)
        return [] if source is None else [source]

    def find(self, names: list[str]) -> Origins | None:
        """Origins in this block alone; None when it has no such name."""
        if len(names) == 1:
            return self._find_bare(names[0])
        *table, column = names
        source = self._source(table)
        # A name behind a table that is not a column of it is a system column, or a function written as a column.
        return None if source is None else source.find(column) or ()

    def find_row(self, table: list[str]) -> Origins | None:
        """Whole rows: of one source, or of all for a bare star."""
        if not table:
            return tuple(origin for source in self.sources for origin in rows(source))
        source = self._source(table)
        return None if source is None else rows(source)

    def _find_bare(self, name: str) -> Origins | None:
        if name in self.merged:
            return self.merged[name]
        is_open = False
        for source in self.sources:
            found = source.names.get(name)
            if found is not None:
                return found
            is_open = is_open or source.is_open
        if is_open:
            return ()
        return next((rows(source) for source in self.sources if source.alias == name), None)

    def _source(self, table: list[str]) -> Source | None:
        alias = table[-1]
        for source in self.sources:
            if source.alias != alias:
                continue
            if len(table) == 1 or (source.instance is not None and source.instance.relation.schema == table[-2]):
                return source
        return None


def rows(source: Source) -> Origins:
    """The whole row of a base relation; a derived table's columns were counted where it selects them."""
    return () if source.instance is None else (Origin(source.instance, WHOLE_ROW),)


def derived_source(
    alias: str, outputs: Iterable[tuple[str, Origins]], renamed: tuple[str, ...], *, fence: Fence, is_open: bool
) -> Source:
    """A subquery, CTE or view: its output columns, seen through `fence`."""
    names: dict[str, Origins] = {}
    for position, (name, origins) in enumerate(outputs):
        shown = renamed[position] if position < len(renamed) else name
        names.setdefault(shown, tuple(origin.behind(fence) for origin in origins))
    instances = frozenset(origin.instance for origins in names.values() for origin in origins)
    return Source(alias, names, is_open=is_open, instances=instances)
