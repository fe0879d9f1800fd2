"""Rows brought into DuckDB in bulk, as it reads JSON: one at a time, many would take longer to load than to judge."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from msgspec import Struct, field

from queryfit.evidence.dictionary import table
from queryfit.evidence.engine import duckdb

_MOST_OF_A_LINE = 64 * 1024 * 1024  # bytes
_LEAST_OF_A_LINE = 1024 * 1024  # DuckDB takes buffers for the longest line that there may be


class Lines(Struct, frozen=True):
    """Rows of a table as lines of JSON. A key that a line leaves out has its value in `defaults`, else null.

    `unknown` names the rows, by the number in the table's first column, where a column with a default is null.
    """

    lines: bytes
    defaults: Mapping[str, object] = field(default_factory=dict)
    unknown: Mapping[str, Sequence[int]] = field(default_factory=dict)


def read_lines(raw: duckdb.DuckDBPyConnection, name: str, rows: Lines) -> None:
    """Append rows to a table."""
    if not rows.lines:
        return
    types = table(name).column_types
    spec = ", ".join(f"{column}: '{kind}'" for column, kind in types.items())
    key = next(iter(types))
    values = ", ".join(_value(rows, column, key) for column in types)
    longest = min(max(len(rows.lines), _LEAST_OF_A_LINE), _MOST_OF_A_LINE)
    with _as_file(rows.lines) as path:
        quoted = path.replace("'", "''")
        raw.execute(
            f"insert into {name} select {values} from read_json('{quoted}', format = 'newline_delimited',"
            f" columns = {{{spec}}}, maximum_object_size = {longest})"
        )


@contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """The path of a file that holds these bytes: in memory, where the system has such files."""
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):  # noqa: PTH112
        file = os.memfd_create("queryfit")
        try:
            with open(file, "wb", closefd=False) as stream:
                stream.write(data)
            yield f"/proc/self/fd/{file}"
        finally:
            os.close(file)
        return
    import tempfile  # noqa: PLC0415 -- it loads much that nothing else here needs

    with tempfile.TemporaryDirectory(prefix="queryfit-") as folder:
        path = os.path.join(folder, "rows.json")  # noqa: PTH118
        with open(path, "wb") as stream:  # noqa: PTH123
            stream.write(data)
        yield path


def _value(rows: Lines, column: str, key: str) -> str:
    """What a column of a line holds, in SQL."""
    if column not in rows.defaults:
        return column
    value = f"coalesce({column}, {_literal(rows.defaults[column])})"
    if numbers := rows.unknown.get(column):
        return f"case when {key} not in ({', '.join(map(str, numbers))}) then {value} end"
    return value


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"
