"""Take a capture into a folder and read it back with SQL."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from queryfit.capture.server import CaptureCost, CaptureOptions, capture_server
from queryfit.evidence.dictionary import tables
from queryfit.evidence.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# What an audit needs and no more, and roles that lack some of it.
ROLES = """
    do $$ begin
        if not exists (select from pg_roles where rolname = 'fit') then
            create role fit login;
            create role monitor login;
            create role plain login;
            create role app login;
            grant pg_monitor to fit, monitor;
            if current_setting('server_version_num')::int >= 140000 then
                grant pg_read_all_data to fit;
            end if;
        end if;
    end $$
"""


# What pg_read_all_data gives from 14 on.
READ_ALL_13 = """
    grant usage on schema public, "We ird" to fit;
    grant select on all tables in schema public, "We ird" to fit;
    grant select on all sequences in schema public, "We ird" to fit;
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """A committed capture: its evidence tables as views of a DuckDB connection."""

    connection: duckdb.DuckDBPyConnection
    meta: dict[str, Any]
    cost: CaptureCost
    told: list[str]

    def rows(self, sql: str) -> list[dict[str, Any]]:
        cursor = self.connection.execute(sql)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def row(self, sql: str) -> dict[str, Any]:
        (row,) = self.rows(sql)
        return row

    def value(self, sql: str) -> Any:
        (value,) = self.row(sql).values()
        return value

    def unread(self, table: str) -> list[tuple[str | None, str, str | None]]:
        """(subject, reason, hint) of the gaps in a table."""
        found = self.rows(f"select subject, reason, hint from unread where table_name = '{table}' order by subject")
        return [(row["subject"], row["reason"], row["hint"]) for row in found]


def take(
    dsn: str, folder: Path, options: CaptureOptions | None = None, *, on_progress: Callable[[str], None] | None = None
) -> Taken:
    """Capture a server into a store in `folder`; `on_progress` is called with each step's name."""
    told: list[str] = []

    def progress(text: str) -> None:
        told.append(text)
        if on_progress is not None:
            on_progress(text)

    options = options or CaptureOptions()
    with Store(folder).write(options.kind) as writer:
        cost = capture_server(dsn, options, writer, progress)
    assert writer.committed is not None
    connection = duckdb.connect()
    for table in writer.committed.held() - writer.committed.files().keys():
        connection.execute(tables()[table].create)  # captured, and empty
    for table, path in writer.committed.files().items():
        connection.execute(f"create view {table} as from read_parquet('{path}')")
    meta = json.loads((writer.committed.folder / "capture.json").read_text())
    return Taken(connection, meta, cost, told)
