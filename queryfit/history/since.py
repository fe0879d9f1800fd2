"""A capture as it would be if the counters of statements had begun at some moment: what `audit --since` judges.

It is a folder like any other capture, made for the time of the judgement: catalog and plans are those of the capture,
statements are the sums of their spans, and the tables of the history lie beside them. So rules, the lab and advice see
the stretch, and a statement that has not run in it is not there.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from queryfit.errors import QueryfitError
from queryfit.evidence.dictionary import tables
from queryfit.evidence.store import Capture, Store, open_capture
from queryfit.history.chain import captured_at, scope_of
from queryfit.history.opening import History, open_history
from queryfit.history.reading import engine, quoted

_META = "capture.json"
# a span in which the moment lies belongs to the stretch where most of it does
_IS_IN = "started_at + (ended_at - started_at) / 2 >= timestamp '{since:%Y-%m-%d %H:%M:%S.%f}'"
_FOUND = ("trend", "statement_change", "unread")

# what spans do not count is null, or nothing where null is not allowed
_STATEMENT = """
    select
        database,
        fingerprint,
        true as is_toplevel,
        sum(calls)::bigint as calls,
        sum(rows)::bigint as rows,
        sum(planning_ms) as planning_ms,
        sum(execution_ms) as execution_ms,
        sum(execution_ms) / sum(calls) as mean_ms,
        sqrt(greatest(sum(squared_ms) / sum(calls) - pow(sum(execution_ms) / sum(calls), 2), 0)) as stddev_ms,
        sum(blocks_hit)::bigint as shared_blocks_hit,
        sum(blocks_read)::bigint as shared_blocks_read,
        0 as shared_blocks_dirtied,
        0 as shared_blocks_written,
        0 as local_blocks_read,
        0 as local_blocks_written,
        0 as temp_blocks_read,
        sum(temp_blocks_written)::bigint as temp_blocks_written,
        sum(wal_bytes)::bigint as wal_bytes,
        $since::timestamp as counted_since
    from {spans}
    where calls > 0 and {is_in}
    group by database, fingerprint
"""
_STORE = """
    select * replace ($since::timestamp as reset_at, $evictions::bigint as evictions) from {store}
"""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The capture that is judged in place of another, and the stretch that its statements really cover."""

    capture: Capture
    since: datetime
    seconds: float


@contextmanager
def restricted(
    capture: Capture, since: datetime, progress: Callable[[str], None] = lambda _: None
) -> Iterator[Stretch]:
    """The capture with its statements counted from `since` (aware) on; it is gone when the block ends.

    Raises QueryfitError where the store holds no earlier capture of the same history in that stretch.
    """
    capture.files()  # a damaged one is told before all others are read
    store = Store(capture.folder.parent.parent)
    at = captured_at(capture).replace(tzinfo=UTC)
    with tempfile.TemporaryDirectory(prefix="queryfit-") as name:
        place = Path(name) / "spans"
        place.mkdir()
        with open_history(
            store,
            capture.system_identifier,
            scope_of(capture),
            since=since,
            until=at,
            compares=True,
            keep=place,
            progress=progress,
        ) as history:
            is_in = _IS_IN.format(since=since.astimezone(UTC))
            covered = "select coalesce(sum(covered_s), 0) from span"
            (seconds,) = history.session.query(f"{covered} where {is_in}").rows[0]
            if not seconds:  # nothing but a part of the last span: that has to do
                is_in = "true"
                (seconds,) = history.session.query(covered).rows[0]
            if not seconds and history.session.query("select * from statement_store").rows == ():
                raise QueryfitError(
                    "the captures hold no statements: the server does not count them, or not for this role to see",
                    hint="`queryfit doctor` says what is missing",
                )
            if not seconds:
                raise QueryfitError(
                    f"the store holds no capture since {since:%Y-%m-%d %H:%M} UTC to compare {capture.name} with",
                    hint="`queryfit capture` every few minutes keeps a history; `queryfit history` shows it",
                )
            began = at - timedelta(seconds=float(seconds))
            folder = Path(name) / capture.system_identifier / capture.name
            folder.mkdir(parents=True)
            _link_measurements(capture, folder.parent)
            _fill(folder, capture, history, began=began, is_in=is_in)
        yield Stretch(open_capture(folder), began, float(seconds))


def _fill(folder: Path, capture: Capture, history: History, *, began: datetime, is_in: str) -> None:
    """Make the capture's folder: links to what stays as it is, and the tables that are made anew."""
    spans, session = history.files, history.session
    files = {**capture.files(), **spans}
    made = {"statement", "statement_store", *_FOUND}
    evictions = session.query("select count(*) from server_event where kind = 'evicted' and subject is null").rows[0][0]
    bound = {"since": began.replace(tzinfo=None)}
    with engine() as raw:
        done = _STATEMENT.format(spans=f"read_parquet({quoted(spans['statement_span'])})", is_in=is_in)
        _copy(raw, "statement", done, folder, bound)
        if (state := files.get("statement_store")) is not None:
            sql = _STORE.format(store=f"read_parquet({quoted(state)})")
            _copy(raw, "statement_store", sql, folder, {**bound, "evictions": evictions})
        for table in _FOUND:
            _write_rows(raw, table, list(session.query(f"select * from {table}").mappings()), folder)
    for table, path in files.items():
        if table not in made:
            (folder / f"{table}.parquet").symlink_to(path.resolve())
    written = {path.stem: {"bytes": os.stat(path).st_size} for path in folder.glob("*.parquet")}  # noqa: PTH116
    empty = {table: {"bytes": 0, "rows": 0} for table in capture.held() if table not in written}
    meta = {key: value for key, value in capture.meta.items() if key != "full"}
    # a sample with the catalog of its full capture is as good as a full one
    meta |= {"tables": {**written, **empty}, "kind": "full" if "relation" in capture.held() else capture.kind}
    (folder / _META).write_text(json.dumps(meta, default=str), encoding="utf-8")


def _copy(raw: Any, table: str, sql: str, folder: Path, bound: Mapping[str, object]) -> None:
    """Write the rows of a SELECT as the table's file; the columns that it leaves out are null."""
    described = tables()[table]
    raw.execute(described.create.replace(f"create table {table} (", f"create or replace temp table {table} (", 1))
    raw.execute(f"insert into {table} by name {sql}", dict(bound))
    raw.execute(f"copy {table} to {quoted(folder / f'{table}.parquet')} (format parquet)")


def _write_rows(raw: Any, table: str, rows: list[dict[str, Any]], folder: Path) -> None:
    described = tables()[table]
    raw.execute(described.create.replace(f"create table {table} (", f"create or replace temp table {table} (", 1))
    names = list(described.column_types)
    for start in range(0, len(rows), 200):
        part = rows[start : start + 200]
        marks = ", ".join(f"({', '.join('?' * len(names))})" for _ in part)
        raw.execute(f"insert into {table} values {marks}", [entry[name] for entry in part for name in names])
    raw.execute(f"copy {table} to {quoted(folder / f'{table}.parquet')} (format parquet)")


def _link_measurements(capture: Capture, place: Path) -> None:
    """What was measured of statements lies beside the captures, and counts for this one, too."""
    for path in capture.folder.parent.glob("measured-*.json"):
        shutil.copy(path, place / path.name)
