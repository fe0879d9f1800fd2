"""Rows made from statistics: what a table without its data can be filled with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from queryfit.lab.table_facts import TableFacts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    import psycopg


def generated_rows(
    table: TableFacts, count: int, *, seed: int = 0, columns: Collection[str] | None = None,
    tables: Mapping[str, TableFacts] | None = None,
) -> Iterator[tuple[str | None, ...]]:  # fmt: skip
    """`count` rows of the table as texts, column by column (`columns`, or all that are not generated, in order)."""
    yield from ()


def fill(
    connection: psycopg.Connection[Any], table: TableFacts, count: int, *, into: str | None = None, seed: int = 0,
    tables: Mapping[str, TableFacts] | None = None,
) -> int:  # fmt: skip
    """COPY `count` generated rows into the table, or into another one with these columns; how many were written."""
    return 0
