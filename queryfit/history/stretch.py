"""The spans of any stretch between captures, as Parquet files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from queryfit.history.chain import Link, counting
from queryfit.history.reading import engine, quoted
from queryfit.history.series import STATEMENTS_ONLY, Series
from queryfit.history.tables import NAMES


def spans_between(
    links: Sequence[Link],
    start: datetime,
    end: datetime,
    folder: Path,
    progress: Callable[[str], None] = lambda _: None,
    *,
    only_statements: bool = False,
) -> dict[str, Path]:
    """Files of the span tables by name, of captures from `start` to `end` (naive UTC), made in `folder`.

    The first capture only gives the others their beginning. With `only_statements` nothing else is read.
    """
    folder.mkdir()
    within = counting([entry for entry in links if start <= entry.at <= end])
    with engine(folder) as raw:
        series = Series(raw, "hour", only=STATEMENTS_ONLY) if only_statements else Series(raw, "hour")
        series.take(within, progress)
        files = {}
        for name in NAMES:
            files[name] = folder / f"{name}.parquet"
            raw.execute(f"copy out_{name} to {quoted(files[name])} (format parquet, compression snappy)")
    return files


def spans_before(
    links: Sequence[Link],
    until: datetime,
    length: timedelta,
    folder: Path,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Path]:
    """Files of the spans of statements in the stretch before `until`; none where less than half of it was watched."""
    within = [entry for entry in links if until - length <= entry.at <= until]
    if len(within) < 2 or within[-1].at - within[0].at < length / 2:  # noqa: PLR2004 -- a span has two ends
        return {}
    return spans_between(within, within[0].at, until, folder, progress, only_statements=True)
