"""Rows of evidence, and the dictionary that explains them."""

from __future__ import annotations

from difflib import get_close_matches

from rich.cells import cell_len

from queryfit.errors import UsageError
from queryfit.evidence.dictionary import tables
from queryfit.evidence.session import Result
from queryfit.render.escape import line, without_commands
from queryfit.render.look import Look
from queryfit.render.table import Column, has_own_width, table
from queryfit.render.values import cell, to_csv, to_json


def rendered(result: Result, form: str, look: Look) -> str:
    """Rows as a table for people, as a JSON array of objects, or as CSV."""
    if form == "json":
        return to_json([dict(zip(result.columns, row, strict=True)) for row in result.rows])
    if form == "csv":
        return to_csv(result.columns, result.rows)
    numbers = [
        any(isinstance(row[n], int | float) and not isinstance(row[n], bool) for row in result.rows)
        for n in range(len(result.columns))
    ]
    columns = [
        Column(line(name), is_number=is_number, weight=0 if is_number else 1)
        for name, is_number in zip(result.columns, numbers, strict=True)
    ]
    body = table(columns, [[cell(value) for value in row] for row in result.rows], look)
    if any(cell_len(row) > look.width for row in body.splitlines()) and not has_own_width(look.table_format):
        body = _records(result, look)
    count = len(result.rows)
    return f"{without_commands(body)}\n({count:,} row{'' if count == 1 else 's'})"


def _records(result: Result, look: Look) -> str:
    """One small table a row, for rows of more columns than fit side by side."""
    columns = [Column("column"), Column("value", weight=1)]
    return "\n\n".join(
        f"row {number}\n"
        + table(columns, [(line(name), cell(value)) for name, value in zip(result.columns, row, strict=True)], look)
        for number, row in enumerate(result.rows, 1)
    )


def dictionary() -> Result:
    """The evidence tables."""
    return Result(
        ("table", "capture", "meaning", "source"),
        tuple((entry.name, entry.capture, entry.meaning, entry.source) for entry in tables().values()),
    )


def description(name: str) -> Result:
    """The columns of an evidence table. Raises UsageError."""
    if name not in tables():
        near = get_close_matches(name, tables(), n=2)
        raise UsageError(
            f"there is no evidence table {name!r}",
            hint=f"did you mean {' or '.join(near)}?" if near else "`queryfit sql --tables` lists them",
        )
    return Result(
        ("column", "type", "null", "meaning"),
        tuple(
            (column.name, column.type, "" if column.is_required else "yes", column.meaning)
            for column in tables()[name].columns
        ),
    )
