"""The spans of any stretch between captures, as Parquet files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from queryfit.history.holding import Held, fill
from queryfit.history.reading import engine, quoted
from queryfit.history.series import STATEMENTS_ONLY, Series
from queryfit.history.tables import NAMES


def spans_between(
    held: Held,
    start: datetime,
    end: datetime,
    folder: Path,
    progress: Callable[[str], None] = lambda _: None,
    *,
    only_statements: bool = False,
) -> dict[str, Path]:
    """Files of the span tables by name, of what is held from `start` to `end` (naive UTC), made in `folder`.

    The first capture only gives the others their beginning. With `only_statements` nothing else is read.
    """
    folder.mkdir()
    with engine(folder) as raw:
        series = Series(raw, "hour", only=STATEMENTS_ONLY) if only_statements else Series(raw, "hour")
        fill(series, held, start, end, progress)
        series.drop_idle()
        files = {}
        for name in NAMES:
            files[name] = folder / f"{name}.parquet"
            raw.execute(f"copy out_{name} to {quoted(files[name])} (format parquet, compression snappy)")
    return files


def spans_before(
    held: Held,
    until: datetime,
    length: timedelta,
    folder: Path,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Path]:
    """Files of the spans of statements in the stretch before `until`; none where less than half of it was watched."""
    begin = until - length
    known = [entry.at for entry in held.links] + [
        at for part in held.periods for at in (part.started_at, part.ended_at)
    ]
    within = [at for at in known if begin <= at <= until]
    if not within or max(within) - min(within) < length / 2:
        return {}
    return spans_between(held, min(within), until, folder, progress, only_statements=True)
