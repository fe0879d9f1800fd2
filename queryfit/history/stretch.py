"""The spans of any stretch between captures, as Parquet files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from queryfit.history.chain import Link, counting
from queryfit.history.reading import engine, quoted
from queryfit.history.series import Series
from queryfit.history.tables import NAMES


def spans_between(
    links: Sequence[Link],
    start: datetime,
    end: datetime,
    folder: Path,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Path]:
    """Files of the span tables by name, of captures from `start` to `end` (naive UTC), made in `folder`.

    The first capture only gives the others their beginning.
    """
    folder.mkdir()
    within = counting([entry for entry in links if start <= entry.at <= end])
    with engine(folder) as raw:
        Series(raw, "hour").take(within, progress)
        files = {}
        for name in NAMES:
            files[name] = folder / f"{name}.parquet"
            raw.execute(f"copy out_{name} to {quoted(files[name])} (format parquet, compression snappy)")
    return files
