"""Many Parquet files of one table read at once, each row with the capture that it is of.

A capture may be of an older version that lacks a column, or damaged although its files have the right size: the one
that cannot be read is found and left out, the others are read all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from queryfit.evidence.dictionary import tables
from queryfit.evidence.engine import duckdb

MEMORY_LIMIT = "448MB"  # beside the session that is made from it, all stays below a gigabyte


@contextmanager
def engine(scratch: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB of our own that may read files; what does not fit into memory goes to `scratch`."""
    config: dict[str, str | int | float | list[str]] = {
        "threads": 2,
        "memory_limit": MEMORY_LIMIT,
        "preserve_insertion_order": False,
    }
    if scratch is not None:
        config["temp_directory"] = str(scratch)
    with duckdb.connect(config=config) as raw:
        raw.execute("set enable_progress_bar = false")  # it is drawn on standard output
        yield raw


def quoted(text: object) -> str:
    return "'" + str(text).replace("'", "''") + "'"


def source(raw: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str], files: Sequence[str]) -> str:
    """SELECT of `filename` and the columns from Parquet files of an evidence table; null where no file has a column.

    Raises duckdb.Error where a file cannot be read.
    """
    listed = f"read_parquet([{', '.join(map(quoted, files))}], union_by_name = true, filename = true)"
    held = {row[0] for row in raw.execute(f"describe select * from {listed}").fetchall()}
    kinds = tables()[table].column_types
    parts = [
        f"{column}::{kinds[column]} as {column}" if column in held else f"null::{kinds[column]} as {column}"
        for column in columns
    ]
    return f"select filename, {', '.join(parts)} from {listed}"


def read_files(
    raw: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str], files: Sequence[str]
) -> list[tuple[Any, ...]]:
    """Rows of small tables, the file's path first; a file that cannot be read gives none."""
    if not files:
        return []
    try:
        return raw.execute(source(raw, table, columns, files)).fetchall()
    except duckdb.Error:
        if len(files) == 1:
            return []
    half = len(files) // 2
    return [*read_files(raw, table, columns, files[:half]), *read_files(raw, table, columns, files[half:])]


def unreadable(
    raw: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str], files: Sequence[str]
) -> dict[str, str]:
    """The files among these that cannot be read, with the first line of why."""
    if not files:
        return {}
    try:
        # every column is decoded: the footer of a damaged file may be whole
        decoded = ", ".join(f"count({column})" for column in columns)
        raw.execute(f"select {decoded} from ({source(raw, table, columns, files)})").fetchall()
    except duckdb.Error as error:
        if len(files) == 1:
            return {files[0]: str(error).splitlines()[0]}
    else:
        return {}
    half = len(files) // 2
    return {**unreadable(raw, table, columns, files[:half]), **unreadable(raw, table, columns, files[half:])}
