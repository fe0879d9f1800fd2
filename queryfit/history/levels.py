"""What each statement did, bucket by bucket over a history, as arrays that levels are looked for in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from queryfit.evidence.engine import duckdb

MOST_BUCKETS = 96  # enough to see a day of a month, and few enough for thousands of statements
LEAST_BUCKET_S = 60.0
_HOURS = (1, 2, 3, 4, 6, 8, 12, 24)  # lengths of buckets that a day is made of
_HOUR_S = 3600.0
_FEWEST_FOR_MACHINE = 8  # statements: the median of fewer is one of them
_MACHINE_CALLS = 5

# a stranger's capture may hold what no server counts
IS_SANE = "calls > 0 and isfinite(execution_ms) and least(execution_ms, blocks_hit, blocks_read) >= 0"

Array = np.ndarray[Any, Any]
StatementKey = tuple[str, str]

_SERIES = """
    with part as (
        select
            database,
            fingerprint,
            floor(epoch(ended_at - $start - interval 1 microsecond) / $width_s)::integer as bucket,
            sum(calls) as calls,
            sum(rows) as rows,
            sum(execution_ms) as execution_ms,
            sum(blocks_hit) as hit,
            sum(blocks_read) as read,
            sum(temp_blocks_written) as temp,
            bool_or(is_lower_bound) as is_lower_bound,
            min(started_at) as started_at,
            max(ended_at) as ended_at
        from {statements}
        where {is_sane}
        group by database, fingerprint, bucket
    )
    select
        database,
        fingerprint,
        list(bucket order by bucket),
        list(calls::double order by bucket),
        list(rows::double order by bucket),
        list(execution_ms order by bucket),
        list(hit::double order by bucket),
        list(read::double order by bucket),
        list(temp::double order by bucket),
        list(is_lower_bound order by bucket),
        min(started_at),
        max(ended_at)
    from part
    join statement_text using (fingerprint)
    where kind in ('select', 'insert', 'update', 'delete', 'merge', 'unparsed')
    group by database, fingerprint
    order by database, fingerprint
"""


@dataclass(frozen=True, slots=True)
class Level:
    """What a statement did in a stretch: totals, and the seconds that it was watched."""

    calls: float
    rows: float
    execution_ms: float
    blocks_hit: float
    blocks_read: float
    temp_blocks: float
    seconds: float

    @property
    def mean_ms(self) -> float:
        return self.execution_ms / self.calls

    @property
    def blocks_per_call(self) -> float:
        return (self.blocks_hit + self.blocks_read) / self.calls

    @property
    def calls_per_day(self) -> float | None:
        return self.calls * 86_400 / self.seconds if self.seconds > 0 else None

    @property
    def ms_per_day(self) -> float | None:
        return self.execution_ms * 86_400 / self.seconds if self.seconds > 0 else None


@dataclass(frozen=True, slots=True)
class Series:
    """One statement, a number for each bucket in which it ran.

    `first_at` is where the span of its first calls began.
    """

    key: StatementKey
    buckets: Array
    calls: Array
    rows: Array
    execution_ms: Array
    hit: Array
    read: Array
    temp: Array
    is_lower_bound: Array
    first_at: datetime
    last_at: datetime

    @property
    def log_blocks(self) -> Array:
        return np.asarray(np.log((self.hit + self.read) / self.calls + 1))

    @property
    def log_ms(self) -> Array:
        return np.asarray(np.log(np.maximum(self.execution_ms / self.calls, 1e-6)))


@dataclass(frozen=True, slots=True)
class Watched:
    """All statements of a history, in buckets of equal length.

    `seconds` is what was watched of each bucket, `slowness` how much slower than usual the machine was in it for
    statements in general: the logarithm of a factor.
    """

    start: datetime
    end: datetime
    width_s: float
    seconds: Array
    slowness: Array
    series: Sequence[Series]
    spans: str  # the relations that they were read from
    statements: str

    def level(self, one: Series, start: int, end: int) -> Level:
        """What a statement did from its active bucket `start` up to, without it, `end`."""
        part = slice(start, end)
        until = int(one.buckets[end]) if end < len(one.buckets) else len(self.seconds)
        since = int(one.buckets[start]) if start else 0
        return Level(
            calls=float(one.calls[part].sum()),
            rows=float(one.rows[part].sum()),
            execution_ms=float(one.execution_ms[part].sum()),
            blocks_hit=float(one.hit[part].sum()),
            blocks_read=float(one.read[part].sum()),
            temp_blocks=float(one.temp[part].sum()),
            seconds=float(self.seconds[since:until].sum()),
        )


def watch(raw: duckdb.DuckDBPyConnection, *, spans: str = "span", statements: str = "statement_span") -> Watched | None:
    """The statements of the history in a connection; None where it holds no span.

    `spans` and `statements` are the relations that hold the rows of `span` and `statement_span`.
    """
    start, end = raw.execute(f"select min(started_at), max(ended_at) from {spans}").fetchone() or (None, None)
    if start is None or end is None:
        return None
    length_s = (end - start).total_seconds()
    width_s = _width(length_s)
    bound = {"start": start, "width_s": width_s}
    seconds = np.zeros(int(max(length_s - 1e-6, 0) // width_s) + 1)  # a span that ends on an edge is before it
    covered = raw.execute(
        "select floor(epoch(ended_at - $start - interval 1 microsecond) / $width_s)::integer, sum(covered_s)"
        f" from {spans} group by 1",
        bound,
    ).fetchall()
    for bucket, covered_s in covered:
        seconds[bucket] = covered_s or 0
    rows = raw.execute(_SERIES.format(statements=statements, is_sane=IS_SANE), bound).fetchall()
    series = [_series(row) for row in rows]
    return Watched(start, end, width_s, seconds, _slowness(series, len(seconds)), series, spans, statements)


def _series(row: tuple[Any, ...]) -> Series:
    database, fingerprint, buckets, calls, rows, execution_ms, hit, read, temp, bounds, first_at, last_at = row
    return Series(
        key=(database, fingerprint),
        buckets=np.asarray(buckets),
        calls=np.asarray(calls, dtype=float),
        rows=np.asarray(rows, dtype=float),
        execution_ms=np.asarray(execution_ms, dtype=float),
        hit=np.asarray(hit, dtype=float),
        read=np.asarray(read, dtype=float),
        temp=np.asarray(temp, dtype=float),
        is_lower_bound=np.asarray(bounds),
        first_at=first_at,
        last_at=last_at,
    )


def exact_level(
    raw: duckdb.DuckDBPyConnection,
    watched: Watched,
    key: StatementKey,
    since: datetime | None,
    until: datetime | None,
) -> Level:
    """What a statement did in the spans between two moments; null: from the begin, or to the end, of what was watched.

    Buckets hold spans of both sides of a change; this holds those of one.
    """
    bound = {"since": since or watched.start, "until": until or watched.end}
    numbers = raw.execute(
        "select sum(calls), sum(rows), sum(execution_ms), sum(blocks_hit), sum(blocks_read), sum(temp_blocks_written)"
        f" from {watched.statements} where database = $database and fingerprint = $fingerprint"
        f" and started_at >= $since and ended_at <= $until and {IS_SANE}",
        {**bound, "database": key[0], "fingerprint": key[1]},
    ).fetchone()
    seconds = raw.execute(
        f"select sum(covered_s) from {watched.spans} where started_at >= $since and ended_at <= $until", bound
    ).fetchone()
    return Level(*(float(number or 0) for number in (*(numbers or ()), *(seconds or ()))))


def _width(length_s: float) -> float:
    """The length of a bucket: a day is a whole number of them, where there are days."""
    wanted = length_s / MOST_BUCKETS
    if length_s < 2 * 24 * _HOUR_S:
        return max(wanted, LEAST_BUCKET_S)
    return next(
        (hours * _HOUR_S for hours in _HOURS if hours * _HOUR_S >= wanted), math.ceil(wanted / 86_400) * 86_400.0
    )


def _slowness(series: Sequence[Series], buckets: int) -> Array:
    """How much slower than usual a bucket was for the median statement; 0 where too few ran to tell."""
    deviations = np.full((len(series), buckets), np.nan)
    for number, one in enumerate(series):
        enough = one.calls >= _MACHINE_CALLS
        if 2 * int(enough.sum()) >= buckets:
            values = one.log_ms[enough]
            deviations[number, one.buckets[enough]] = values - np.median(values)
    known = (~np.isnan(deviations)).sum(axis=0) >= _FEWEST_FOR_MACHINE
    result = np.zeros(buckets)
    if known.any():
        result[known] = np.nanmedian(deviations[:, known], axis=0)
    return result
