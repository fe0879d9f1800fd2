"""Statements whose behaviour changed: new, gone, slower, faster, busier, quieter; with what is known of why.

Levels are looked for in the history of each statement. Blocks per call decide before times do, because a busy machine
makes everything slow; how slow it was for statements in general is taken out of the times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from queryfit.history.change_points import FEWEST, cuts, is_step
from queryfit.history.levels import IS_SANE, Array, Level, Series, StatementKey, Watched, exact_level

if TYPE_CHECKING:
    from queryfit.evidence.engine import duckdb

FACTOR = 1.5  # a half more is felt; less is weather
CONFIRMED_FACTOR = 1.1  # of time, where blocks per call say that it is another amount of work
CALLS_FACTOR = 2.0  # calls vary with the day; half or twice as many on every day do not
FEWEST_CALLS = 5  # on either side, and of what is new: what somebody tried by hand is no news
FEWEST_CALLS_A_DAY = 100.0  # of the busier side: rarer statements come and go
LEAST_SHARE = 0.01  # of the statement time of the server: what is less is not worth a line …
LEAST_MS_PER_DAY = 60_000.0  # … but a minute a day is, whatever else runs
FEWEST_DAYS = 3  # of calls on either side: a weekend has two
_QUIET_DAYS = 1.0  # a statement that was not seen for less may run once a night
_QUIET_GAPS = 3.0  # or for less than three times its longest pause
_DAY_S = 86_400.0
_TEMPO = ("slower", "faster")
_LEVELS = (*_TEMPO, "busier", "quieter")  # those with a level on either side


@dataclass(frozen=True, slots=True)
class Change:
    """A row of the evidence table `statement_change`; `*_before` and the rest are null where they say nothing."""

    database: str
    fingerprint: str
    change: str
    changed_at: datetime | None
    calls_per_day_before: float | None = None
    calls_per_day: float | None = None
    mean_ms_before: float | None = None
    mean_ms: float | None = None
    blocks_per_call_before: float | None = None
    blocks_per_call: float | None = None
    rows_per_call_before: float | None = None
    rows_per_call: float | None = None
    execution_ms_per_day_before: float | None = None
    execution_ms_per_day: float | None = None
    plan_before: str | None = None
    plan_now: str | None = None
    reason: str | None = None
    reason_kind: str | None = None
    reason_subject: str | None = None
    reason_definition: str | None = None
    read_share_before: float | None = None
    read_share: float | None = None
    temp_blocks_per_call_before: float | None = None
    temp_blocks_per_call: float | None = None

    @property
    def key(self) -> StatementKey:
        return self.database, self.fingerprint

    @property
    def weight(self) -> float:
        """Milliseconds a day that it makes of difference."""
        return abs((self.execution_ms_per_day or 0) - (self.execution_ms_per_day_before or 0))


def row(change: Change) -> dict[str, Any]:
    """The change as a row of the evidence table."""
    return asdict(change)


def find_changes(raw: duckdb.DuckDBPyConnection, watched: Watched, *, since: datetime | None = None) -> list[Change]:
    """What changed from `since` on (null: in all that was watched), the greatest difference of time first.

    The connection holds the spans, `whole_server_event` and the newest capture's `statement`.
    """
    total = sum(float(one.execution_ms.sum()) for one in watched.series)
    days = float(watched.seconds.sum()) / _DAY_S
    least_ms = min(LEAST_SHARE * total / days, LEAST_MS_PER_DAY) if days else 0.0
    lost = _lost(raw)
    held = {
        (database, name)
        for database, name in raw.execute("select distinct database, fingerprint from statement").fetchall()
    }
    found: list[Change] = []
    for one in watched.series:
        found += _tempo(watched, one, least_ms)
        found += _calls(watched, one)
        if one.calls.sum() >= FEWEST_CALLS or float(one.execution_ms.sum()) >= least_ms * days > 0:
            found += _appearance(watched, one, lost, is_held=one.key in held)
    found = _exact(raw, watched, found)
    return sorted(
        (change for change in found if since is None or change.changed_at is None or change.changed_at >= since),
        key=lambda change: (-change.weight, change.key, change.change),
    )


def compare(before: Level, now: Level, *, is_blocks_step: bool, is_time_step: bool, usual: float = 1.0) -> str | None:
    """`slower`, `faster` or None, from two levels; `usual` is the factor by which the whole machine got slower."""
    if min(before.calls, now.calls) < FEWEST_CALLS:
        return None
    time = now.mean_ms / max(before.mean_ms, 1e-6)
    blocks = (now.blocks_per_call + 1) / (before.blocks_per_call + 1)
    for name, by_time, by_blocks, by_machine in (
        ("slower", time, blocks, usual),
        ("faster", 1 / max(time, 1e-9), 1 / blocks, 1 / usual),
    ):
        if is_blocks_step and by_blocks >= FACTOR and by_time >= CONFIRMED_FACTOR:
            return name
        if is_time_step and by_time >= FACTOR and by_time / by_machine >= FACTOR and by_blocks > 1 / FACTOR:
            return name
    return None


def between(
    key: StatementKey, name: str, changed_at: datetime | None, before: Level | None, now: Level | None
) -> Change:
    """A change from its two levels; null: there was none."""

    def of(level: Level | None, end: str) -> dict[str, Any]:
        if level is None or not level.calls:
            return {}
        blocks = level.blocks_hit + level.blocks_read
        return {
            f"calls_per_day{end}": level.calls_per_day,
            f"mean_ms{end}": level.mean_ms,
            f"blocks_per_call{end}": level.blocks_per_call,
            f"rows_per_call{end}": level.rows / level.calls,
            f"execution_ms_per_day{end}": level.ms_per_day,
            f"read_share{end}": level.blocks_read / blocks if blocks else None,
            f"temp_blocks_per_call{end}": level.temp_blocks / level.calls,
        }

    facts = {**of(before, "_before"), **of(now, "")}
    return Change(database=key[0], fingerprint=key[1], change=name, changed_at=changed_at, **facts)


def _tempo(watched: Watched, one: Series, least_ms: float) -> Iterator[Change]:
    """Where calls of a statement became slower or faster."""
    if len(one.buckets) < 2 * FEWEST or one.calls.sum() < 2 * FEWEST_CALLS:
        return
    weights = np.minimum(one.calls, 100.0)
    blocks = one.log_blocks
    time = one.log_ms - watched.slowness[one.buckets]
    step = float(np.log(FACTOR))
    by_blocks = cuts(blocks, weights, least_step=step)
    # where both jump together, what the blocks say is sharper
    by_time = [
        cut for cut in cuts(time, weights, least_step=step) if all(abs(cut - other) >= FEWEST for other in by_blocks)
    ]
    edges = [0, *sorted([*by_blocks, *by_time]), len(one.buckets)]
    steps = _Steps(watched, one, weights, blocks, time, step)
    place = 1
    while place < len(edges) - 1:  # an edge at which nothing material happens parts nothing
        start, cut, end = edges[place - 1 : place + 2]
        if steps.verdict(start, cut, end, least_ms) is None:
            del edges[place]
            place = max(place - 1, 1)
        else:
            place += 1
    for start, cut, end in zip(edges, edges[1:], edges[2:], strict=False):
        if (name := steps.verdict(start, cut, end, least_ms)) is not None:
            began = watched.start + timedelta(seconds=float(one.buckets[cut]) * watched.width_s)
            yield between(one.key, name, began, watched.level(one, start, cut), watched.level(one, cut, end))


@dataclass(frozen=True, slots=True)
class _Steps:
    """The levels of one statement, by blocks per call and by time."""

    watched: Watched
    one: Series
    weights: Array
    blocks: Array
    time: Array
    step: float

    def verdict(self, start: int, cut: int, end: int, least_ms: float) -> str | None:
        """How the level from `cut` differs from the one before; None where it is nothing to speak of."""
        before, now = self.watched.level(self.one, start, cut), self.watched.level(self.one, cut, end)
        if abs(now.mean_ms - before.mean_ms) * (now.calls_per_day or 0) < least_ms:
            return None
        sides = slice(start, cut), slice(cut, end)
        slowness = self.watched.slowness[self.one.buckets]
        usual = [float(np.average(slowness[side], weights=self.weights[side])) for side in sides]
        return compare(
            before,
            now,
            is_blocks_step=self._is_step(self.blocks, *sides),
            is_time_step=self._is_step(self.time, *sides),
            usual=float(np.exp(usual[1] - usual[0])),
        )

    def _is_step(self, values: Array, first: slice, second: slice) -> bool:
        weights = self.weights
        return is_step(values[first], values[second], weights[first], weights[second], least_step=self.step)


def _calls(watched: Watched, one: Series) -> Iterator[Change]:
    """Where a statement began to be called far more or far less on every single day."""
    per_day = max(round(_DAY_S / watched.width_s), 1)
    count = len(watched.seconds) // per_day
    if count < 2 * FEWEST_DAYS:
        return
    first, last = int(one.buckets[0]), int(one.buckets[-1])
    calls = np.zeros(len(watched.seconds))
    calls[one.buckets] = one.calls
    doubtful = np.zeros(len(watched.seconds), dtype=bool)
    doubtful[one.buckets] = one.is_lower_bound
    offset = len(watched.seconds) - count * per_day  # whole days, counted back from the end
    days = []
    for day in range(count):
        part = slice(offset + day * per_day, offset + (day + 1) * per_day)
        seconds = float(watched.seconds[part].sum())
        # a day that was hardly watched, or in which the statement appears, says nothing about its rate
        if seconds < _DAY_S / 2 or part.start <= first != 0 or part.stop > last + per_day or doubtful[part].any():
            continue
        days.append((part.start, float(calls[part].sum()) * _DAY_S / seconds))
    rates = np.asarray([rate for _, rate in days])
    for cut in range(FEWEST_DAYS, len(rates) - FEWEST_DAYS + 1):
        before, now = rates[:cut], rates[cut:]
        is_busier = now.min() >= FACTOR * before.max() and now.mean() >= CALLS_FACTOR * before.mean()
        is_quieter = before.min() >= FACTOR * now.max() and before.mean() >= CALLS_FACTOR * now.mean()
        if (is_busier or is_quieter) and max(before.mean(), now.mean()) >= FEWEST_CALLS_A_DAY:
            bucket = days[cut][0]
            index = int(np.searchsorted(one.buckets, bucket))
            if 0 < index < len(one.buckets):
                yield between(
                    one.key,
                    "busier" if is_busier else "quieter",
                    watched.start + timedelta(seconds=bucket * watched.width_s),
                    watched.level(one, 0, index),
                    watched.level(one, index, len(one.buckets)),
                )
            return


@dataclass(frozen=True, slots=True)
class _Lost:
    """When counters of statements were lost: evicted, reset, or gone with the server's memory; naive UTC."""

    evictions: Sequence[tuple[datetime, str | None]]
    resets: Sequence[datetime]

    def may_hide(self, fingerprint: str, since: datetime, until: datetime, *, with_resets: bool) -> bool:
        """Whether a statement may have run between two moments without leaving a trace."""
        evicted = any(since <= at <= until and subject in {None, fingerprint} for at, subject in self.evictions)
        return evicted or (with_resets and any(since <= at <= until for at in self.resets))


def _lost(raw: duckdb.DuckDBPyConnection) -> _Lost:
    rows = raw.execute("select kind, happened_at, subject from whole_server_event").fetchall()
    return _Lost(
        [(at, subject) for kind, at, subject in rows if kind == "evicted"],
        [at for kind, at, _ in rows if kind in {"statements_reset", "crashed", "failed_over", "upgraded"}],
    )


def _appearance(watched: Watched, one: Series, lost: _Lost, *, is_held: bool) -> Iterator[Change]:
    """Whether a statement is new, or gone."""
    least_s = max(_QUIET_DAYS * _DAY_S, _QUIET_GAPS * _longest_pause_s(watched, one))
    first, last = int(one.buckets[0]), int(one.buckets[-1])
    before_s, after_s = float(watched.seconds[:first].sum()), float(watched.seconds[last + 1 :].sum())
    everything = len(one.buckets)
    # it was in no capture; only what was dropped right before may have been it
    lately = max(watched.start, one.first_at - timedelta(seconds=least_s))
    if before_s >= least_s and not lost.may_hide(one.key[1], lately, one.first_at, with_resets=False):
        yield between(one.key, "new", one.first_at, None, watched.level(one, 0, everything))
    if after_s < least_s or one.calls.sum() < FEWEST_CALLS:
        return  # what ran once or twice was not expected again
    # an entry that is still there says itself that nobody called it
    if is_held or not lost.may_hide(one.key[1], one.last_at, watched.end, with_resets=True):
        level = watched.level(one, 0, everything)
        yield between(one.key, "gone", one.last_at, replace(level, seconds=level.seconds - after_s), None)


def _longest_pause_s(watched: Watched, one: Series) -> float:
    """The longest time in which it was watched and did not run, between two in which it did; spans may be days long."""
    if len(one.buckets) < 2:  # noqa: PLR2004 -- two ends of a pause
        return 0.0
    until = np.concatenate([[0.0], np.cumsum(watched.seconds)])
    pauses = until[one.buckets[1:]] - until[one.buckets[:-1] + 1]
    return float(pauses.max()) + watched.width_s


def _exact(raw: duckdb.DuckDBPyConnection, watched: Watched, changes: Sequence[Change]) -> list[Change]:
    """The changes with the moments at which they began, and the levels of exactly what lies between these."""
    placed = [_placed(raw, change, watched) for change in changes]
    moments: dict[tuple[StatementKey, bool], list[datetime]] = {}
    for change in placed:
        if change.change in _LEVELS and change.changed_at:
            moments.setdefault((change.key, change.change in _TEMPO), []).append(change.changed_at)
    found = []
    for change in placed:
        at = change.changed_at
        if change.change == "new" and at is not None:
            level = exact_level(raw, watched, change.key, at, None)
            found.append(between(change.key, "new", at, None, level) if level.calls else change)
            continue
        if change.change not in _LEVELS or at is None:
            found.append(change)
            continue
        others = moments[change.key, change.change in _TEMPO]
        since = max((other for other in others if other < at), default=None)
        until = min((other for other in others if other > at), default=None)
        before = exact_level(raw, watched, change.key, since, at)
        now = exact_level(raw, watched, change.key, at, until)
        found.append(between(change.key, change.change, at, before, now) if before.calls and now.calls else change)
    return found


def _placed(raw: duckdb.DuckDBPyConnection, change: Change, watched: Watched) -> Change:
    """The change with the moment at which it began, as near as the spans tell; null where it came little by little."""
    if change.change not in _TEMPO or change.changed_at is None:
        return change
    around = timedelta(seconds=watched.width_s)
    rows = raw.execute(
        f"select started_at, calls, execution_ms, blocks_hit + blocks_read from {watched.statements}"
        f" where database = $database and fingerprint = $fingerprint and {IS_SANE}"
        " and ended_at > $since and started_at < $until order by started_at",
        {
            "database": change.database,
            "fingerprint": change.fingerprint,
            "since": change.changed_at - around,
            "until": change.changed_at + 2 * around,
        },
    ).fetchall()
    assert change.mean_ms
    assert change.mean_ms_before
    is_by_blocks = _moved(change.blocks_per_call, change.blocks_per_call_before) >= FACTOR
    middle = (
        np.sqrt(((change.blocks_per_call or 0) + 1) * ((change.blocks_per_call_before or 0) + 1)) - 1
        if is_by_blocks
        else np.sqrt(change.mean_ms * change.mean_ms_before)
    )
    rises = change.change == "slower"
    sides = [((blocks / calls if is_by_blocks else ms / calls) > middle) == rises for _, calls, ms, blocks in rows]
    # the place that leaves the fewest spans on the wrong side
    wrong = [sides[:place].count(True) + sides[place:].count(False) for place in range(len(rows) + 1)]
    best = int(np.argmin(wrong)) if wrong else 0
    return replace(change, changed_at=rows[best][0]) if best < len(rows) else change


def _moved(now: float | None, before: float | None) -> float:
    one, other = (now or 0) + 1, (before or 0) + 1
    return max(one / other, other / one)
