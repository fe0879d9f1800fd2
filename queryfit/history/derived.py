"""What is found out from a history: the evidence tables `trend` and `statement_change`, and what is missing there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queryfit.evidence.dictionary import tables
from queryfit.history.changes import Change, find_changes, row
from queryfit.history.levels import watch
from queryfit.history.reading import engine, source
from queryfit.history.reasons import explain
from queryfit.history.trends import trends

if TYPE_CHECKING:
    from queryfit.evidence.engine import duckdb
    from queryfit.evidence.store import Capture

_SPANS = ("span", "statement_span", "relation_span", "database_span", "sequence_span", "server_event")
_CAPTURED = ("reference", "relation", "relation_sequence", "setting", "statement", "statement_text")
_EARLIER = ("span", "statement_span", "server_event")
Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def derive(
    files: Mapping[str, Path],
    fulls: Sequence[Capture],
    *,
    earlier: Mapping[str, Path] | None = None,
    since: datetime | None = None,
) -> Rows:
    """Rows of `trend`, `statement_change` and `unread` by table, for the session of a history.

    `files` are the Parquet files of the newest capture and of the spans, `fulls` the full captures that plans are read
    from, oldest first. `earlier` are the files of the spans of the stretch before `since` (naive
    UTC): with them, what changed is judged against what was before, and only what changed since then is told.
    """
    with engine() as raw:
        for name in (*_SPANS, *_CAPTURED):
            _view(raw, name, name, files.get(name))
        for name in _EARLIER:
            _view(raw, name, f"earlier_{name}", (earlier or {}).get(name))
            raw.execute(f"create view whole_{name} as from {name} union all by name from earlier_{name}")
        found = trends(raw)
        changed = statement_changes(raw, fulls, since=since if earlier else None)
        return {
            "trend": found.rows,
            "statement_change": [row(change) for change in changed],
            "unread": found.gaps,
        }


def explained(files: Mapping[str, Path], fulls: Sequence[Capture], changes: Sequence[Change]) -> list[Change]:
    """Changes that were found elsewhere, with their plans and reasons; `files` and `fulls` as above."""
    with engine() as raw:
        for name in ("span", "relation_span", "server_event", "reference"):
            _view(raw, name, name, files.get(name))
        return explain(raw, changes, fulls)


def statement_changes(
    raw: duckdb.DuckDBPyConnection, fulls: Sequence[Capture], *, since: datetime | None = None
) -> list[Change]:
    """The changes in `whole_span` and `whole_statement_span` of a connection, explained."""
    watched = watch(raw, spans="whole_span", statements="whole_statement_span")
    if watched is None:
        return []
    return explain(raw, find_changes(raw, watched, since=since), fulls)


def _view(raw: duckdb.DuckDBPyConnection, table: str, name: str, path: Path | None) -> None:
    """A view over the file of an evidence table, or an empty table in its place."""
    described = tables()[table]
    if path is None:
        raw.execute(described.create.replace(f"create table {table} (", f"create table {name} (", 1))
        return
    columns = [column.name for column in described.columns]
    raw.execute(f"create view {name} as select * exclude (filename) from ({source(raw, table, columns, [str(path)])})")
