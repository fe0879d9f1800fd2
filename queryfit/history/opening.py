"""A history: one session over the newest capture and the spans before it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from queryfit.errors import QueryfitError
from queryfit.evidence.engine import duckdb
from queryfit.evidence.guarding import reading
from queryfit.evidence.session import Addition, Session, open_session
from queryfit.evidence.store import Capture, Store, Unusable
from queryfit.history.chain import Link, label
from queryfit.history.derived import derive
from queryfit.history.holding import Held, fill, hold
from queryfit.history.reading import engine, quoted
from queryfit.history.schema_events import name_indexes
from queryfit.history.series import STATEMENTS_ONLY, Series
from queryfit.history.stretch import spans_before
from queryfit.history.tables import NAMES, Grain
from queryfit.history.texts import texts_of_history

_ENOUGH = 5  # captures to choose the newest from: more than one in a row is rarely damaged


@dataclass(frozen=True, slots=True)
class History:
    """The newest capture's evidence with the history tables, in one session.

    `captures` are the raw ones that can be used and end in the window, oldest first; `fulls` the full ones that are
    still there and say something of the window, so the first may lie before it. `files` are the Parquet files of the
    history tables, where they were to be kept.
    """

    session: Session
    files: Mapping[str, Path]
    newest: Capture
    captures: Sequence[Capture]
    fulls: Sequence[Capture]
    unusable: Sequence[Unusable]
    since: datetime
    until: datetime

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()


class Rate(NamedTuple):
    """What a statement did in a window: calls, execution time, and the seconds in which it was watched."""

    calls: int
    execution_ms: float
    seconds: float


def open_history(
    store: Store,
    system_identifier: str,
    scope: str,
    *,
    since: datetime,
    until: datetime | None = None,
    grain: Grain = "hour",
    compares: bool = False,
    keep: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> History:
    """The history of a server and scope from `since` to `until` (by default the newest capture), aware datetimes.

    Spans are whole hours or days: the first may begin before `since`, which its row tells. With `compares` statements
    are also held against the stretch before, as long as this one, where the store reaches back. The files of the spans
    are left in the folder `keep`, by default nowhere. Raises QueryfitError where there is no capture in the window.
    """
    begin, end = _naive(since), _naive(until) if until else None
    with ExitStack() as stack:
        stack.enter_context(reading(store.folder))
        held = hold(store, system_identifier, scope)
        candidates = _newest(held, begin, end)
        links, unusable = held.links, held.unusable
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="queryfit-")))
        with engine(folder) as raw:
            known = [entry for entry in links if entry.is_full]
            series = Series(raw, grain, fulls=known)
            fill(series, held, _floor(begin, grain), end or (candidates[0].at if candidates else begin), progress)
            bad = {str(entry.folder) for entry in series.unusable}
            newest = next((entry for entry in candidates if str(entry.capture.folder) not in bad), None)
            if newest is None:
                reason = _why_none(held, scope, begin, end)
                raise QueryfitError(reason, hint="`queryfit history` shows what the store holds")
            name_indexes(raw, known)
            series.drop_idle()
            files = _write(raw, folder)
            # each text is kept in the first period of its month that has it
            earlier_periods = [period for period in held.periods if period.day >= begin.replace(day=1).date()]
            texts = texts_of_history(series, folder / "statement_text.parquet", newest.capture, earlier_periods)
            files["statement_text"] = texts
        last = end or newest.at
        usable = [entry for entry in links if str(entry.capture.folder) not in bad]
        fulls = [entry.capture for entry in _fulls(usable, begin, last)]
        progress("history: trends and changes")
        start = _floor(begin, grain)
        earlier = spans_before(held, start, newest.at - start, folder / "earlier", progress) if compares else {}
        found = derive({**newest.capture.files(), **files}, fulls, earlier=earlier, since=start)
        session = open_session(newest.capture, Addition(rows=found), files=files)
    return History(
        session=session,
        files=files if keep else {},
        newest=newest.capture,
        captures=[entry.capture for entry in usable if begin <= entry.at <= last],
        fulls=fulls,
        unusable=[*unusable, *series.unusable],
        since=since,
        until=until or newest.at.replace(tzinfo=UTC),
    )


def rates(
    store: Store, system_identifier: str, scope: str, *, since: datetime, until: datetime
) -> Mapping[tuple[str, str], Rate]:
    """What each statement did in a window, by database and fingerprint; empty where nothing was watched in it."""
    with ExitStack() as stack:
        stack.enter_context(reading(store.folder))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="queryfit-")))
        raw = stack.enter_context(engine(folder))
        series = Series(raw, "hour", only=STATEMENTS_ONLY)
        fill(series, hold(store, system_identifier, scope), _naive(since), _naive(until))
        (seconds,) = raw.execute("select coalesce(sum(covered_s), 0) from out_span").fetchone() or (0.0,)
        rows = raw.execute(
            "select database, fingerprint, sum(calls)::bigint, sum(execution_ms)"
            " from out_statement_span group by database, fingerprint having sum(calls) > 0"
        ).fetchall()
    return {(row[0], row[1]): Rate(row[2], row[3], seconds) for row in rows}


def _naive(moment: datetime) -> datetime:
    return (moment.astimezone(UTC) if moment.tzinfo else moment).replace(tzinfo=None)


def _floor(moment: datetime, grain: Grain) -> datetime:
    """The beginning of the hour or day."""
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return hour if grain == "hour" else hour.replace(hour=0)


def _why_none(held: Held, scope: str, begin: datetime, end: datetime | None) -> str:
    """Why there is nothing to tell of a window, in words that help to ask for another."""
    times = [entry.at for entry in held.links]
    if times and end is not None and end < min(times):
        return f"the captures of {label(scope)} begin at {min(times):%Y-%m-%d %H:%M} UTC, after what is asked for"
    if times and max(times) < begin:
        return f"the captures of {label(scope)} end at {max(times):%Y-%m-%d %H:%M} UTC, before what is asked for"
    return f"there is no capture of {label(scope)} in the time that is asked for"


def _newest(held: Held, begin: datetime, end: datetime | None) -> list[Link]:
    """The captures of the window that a session can stand on, the newest first.

    Where only periods are left of it, those nearest to its end will do. Those that lack a file are named in `held`.
    """
    before = [entry for entry in held.links if end is None or entry.at <= end]
    is_watched = any(period.ended_at > begin and (end is None or period.started_at < end) for period in held.periods)
    candidates = [entry for entry in reversed(before) if is_watched or entry.at >= begin]
    if is_watched:
        candidates += [entry for entry in held.links if end is not None and entry.at > end]
    whole: list[Link] = []
    for entry in candidates:
        if _is_whole(entry.capture, held.unusable):
            whole.append(entry)
        if len(whole) == _ENOUGH:
            break
    return whole


def _fulls(links: Sequence[Link], begin: datetime, end: datetime) -> list[Link]:
    fulls = [entry for entry in links if entry.is_full and entry.at <= end]
    before = [entry for entry in fulls if entry.at < begin]
    return [*before[-1:], *(entry for entry in fulls if entry.at >= begin)]


def _is_whole(capture: Capture, unusable: list[Unusable]) -> bool:
    """Whether the capture and the one it stands on are all there."""
    try:
        capture.files()
    except QueryfitError as error:
        unusable.append(Unusable(capture.folder, error.message))
        return False
    return True


def _write(raw: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, Path]:
    files = {}
    for name in NAMES:
        files[name] = folder / f"{name}.parquet"
        raw.execute(f"copy out_{name} to {quoted(files[name])} (format parquet, compression snappy)")
    return files
