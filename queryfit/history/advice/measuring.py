"""The saving that a fix really brought, from the counters before and after it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from queryfit import words
from queryfit.errors import QueryfitError
from queryfit.evidence.engine import duckdb
from queryfit.findings import Promise
from queryfit.history.advice.ledger import PRESENT, Remembered
from queryfit.history.advice.outcomes import (
    PATIENCE,
    Counts,
    Level,
    Outcome,
    Patience,
    StatementOutcome,
    statement_outcome,
    total_error,
)
from queryfit.history.chain import Link, chain, counting
from queryfit.history.opening import rates
from queryfit.history.reading import engine
from queryfit.history.series import STATEMENTS_ONLY, Series

if TYPE_CHECKING:
    from queryfit.evidence.store import Store

StatementKey = tuple[str, str]
_WHOLE = 0.8  # share of a window that has to lie between raw captures; of less, the merged ones know more


@dataclass
class Watch:
    """The counters of one server and scope up to a capture, window by window."""

    store: Store
    system_identifier: str
    scope: str
    until: datetime
    _seen: dict[tuple[datetime, datetime], Mapping[StatementKey, Counts]] = field(default_factory=dict)

    @cached_property
    def links(self) -> list[Link]:
        """The captures up to then whose counters follow one another, oldest first."""
        captures = self.store.captures(self.system_identifier)[0]
        return counting([link for link in chain(captures, self.scope) if link.at <= self.until])

    def within(self, begin: datetime, end: datetime) -> list[Link]:
        """Captures from `begin` to `end`, both included."""
        return [link for link in self.links if begin <= link.at <= end]

    def between(self, begin: datetime, end: datetime) -> Mapping[StatementKey, Counts]:
        """What each statement did between two moments; nothing where nothing was watched."""
        if (begin, end) not in self._seen:
            self._seen[begin, end] = self._counted(begin, end)
        return self._seen[begin, end]

    def _counted(self, begin: datetime, end: datetime) -> Mapping[StatementKey, Counts]:
        try:
            return self._watched(begin, end)
        except (QueryfitError, duckdb.Error):
            return {}  # a capture that cannot be read must not keep an audit from its findings

    def _watched(self, begin: datetime, end: datetime) -> Mapping[StatementKey, Counts]:
        links = self.within(begin, end)
        counts: Mapping[StatementKey, Counts] = {}
        if len(links) > 1:
            # counters are sums: the two ends say all, unless they began anew in between
            counts, is_whole = _differences([links[0], links[-1]])
            if not is_whole and len(links) > 2:  # noqa: PLR2004 -- more than the ends
                counts, _ = _differences(links)
        covered = links[-1].at - links[0].at if links else timedelta()
        if covered < (end - begin) * _WHOLE:
            window = {"since": begin.replace(tzinfo=UTC), "until": end.replace(tzinfo=UTC)}
            merged = rates(self.store, self.system_identifier, self.scope, **window)
            if merged and max(rate.seconds for rate in merged.values()) > covered.total_seconds():
                return {
                    key: Counts(rate.calls, rate.execution_ms, rate.seconds)
                    for key, rate in merged.items()
                    if rate.seconds > 0
                }
        return counts


def _differences(links: Sequence[Link]) -> tuple[Mapping[StatementKey, Counts], bool]:
    """What each statement did between the first and the last, and whether nothing was lost in between."""
    with tempfile.TemporaryDirectory(prefix="queryfit-") as name, engine(Path(name)) as raw:
        series = Series(raw, "hour", only=STATEMENTS_ONLY)
        series.take(links)
        (seconds,) = raw.execute("select coalesce(sum(covered_s), 0) from out_span").fetchone() or (0.0,)
        rows = raw.execute(
            "select database, fingerprint, sum(calls)::bigint, sum(execution_ms), sum(squared_ms), sum(planning_ms),"
            " sum(blocks_hit + blocks_read)::bigint, bool_or(is_lower_bound)"
            " from out_statement_span group by database, fingerprint"
        ).fetchall()
    elapsed = (links[-1].at - links[0].at).total_seconds()
    is_whole = seconds >= 0.99 * elapsed and not any(row[7] for row in rows)  # clocks differ a little
    if not seconds:
        return {}, is_whole
    return {(row[0], row[1]): Counts(row[2], row[3], seconds, row[4], row[5], row[6]) for row in rows}, is_whole


def measure(
    entry: Remembered, outcome: Outcome, watch: Watch, others: Sequence[Remembered], patience: Patience = PATIENCE
) -> Outcome:
    """The outcome as far as it can be told today. `others` are findings that may have been fixed at the same time.

    `entry` has to be as it was when it was fixed: `last_seen` is the last capture that still had it.
    """
    now = watch.until
    outcome = replace(outcome, is_at_least=False)
    end = min(now, outcome.fixed_at + patience.enough)
    seen = _Seen(entry, watch, _before(entry, watch, patience), _shares(entry, outcome, others))
    after = seen.after(outcome.fixed_at, end)
    if end < now and not after.is_enough(patience):
        after = seen.after(outcome.fixed_at, min(now, outcome.fixed_at + patience.most))
    is_over = now >= outcome.fixed_at + patience.enough
    if after.is_enough(patience):
        return after.told(outcome, "final" if is_over else "measured")
    early = replace(
        outcome,
        status="early",
        seconds=after.seconds,
        calls=after.calls,
        measured_until=end,
        note=f"too early: {words.duration(after.seconds * 1000)}, {after.calls:,} calls",
    )
    if now >= outcome.fixed_at + patience.most:
        return replace(early, status="unmeasurable", note=f"its statements were called {after.calls:,} times since")
    # with the time before the fix in it, less seems to be saved than is
    wide = seen.after(entry.last_seen, end)
    if outcome.fixed_at > entry.last_seen and wide.is_enough(patience):
        return wide.told(replace(early, is_at_least=True), "measured")
    return early


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The statements of a claim in the time after a fix."""

    until: datetime
    seconds: float
    calls: int  # of what drives them: their own, or their parents'
    statements: tuple[StatementOutcome, ...]

    def is_enough(self, patience: Patience) -> bool:
        is_long = self.seconds >= patience.least.total_seconds()
        return bool(self.statements) and is_long and self.calls >= patience.least_calls

    def told(self, outcome: Outcome, status: str) -> Outcome:
        got = sum(entry.got_ms_per_day for entry in self.statements)
        error = total_error(self.statements)
        return replace(
            outcome,
            status=status,
            got_ms_per_day=got,
            got_low_ms_per_day=got - error if error is not None else None,
            got_high_ms_per_day=got + error if error is not None else None,
            expected_ms_per_day=sum(entry.expected_ms_per_day for entry in self.statements),
            is_at_least=outcome.is_at_least,
            measured_until=self.until,
            seconds=self.seconds,
            calls=self.calls,
            statements=self.statements,
            note=None,
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    entry: Remembered
    watch: Watch
    before: Mapping[str, Level]
    shares: Mapping[str, float]

    def after(self, begin: datetime, end: datetime) -> _Stretch:
        counts = self.watch.between(begin, end) if begin < end else {}
        seconds = max((entry.seconds for entry in counts.values()), default=0.0)
        nothing = Counts(0, 0.0, seconds)
        found: list[StatementOutcome] = []
        calls = 0
        for promise in self.entry.promises:
            level = self.before.get(promise.fingerprint)
            if level is None or not seconds:
                continue
            after = counts.get(self._key(promise.fingerprint), nothing)
            parent = counts.get(self._key(promise.parent), nothing) if promise.parent else None
            calls += parent.calls if parent else after.calls
            share = self.shares.get(promise.fingerprint, 1.0)
            found.append(statement_outcome(promise, level, after, parent_after=parent, share=share))
        return _Stretch(end, seconds, calls, tuple(found))

    def _key(self, fingerprint: str) -> StatementKey:
        return self.entry.database or "", fingerprint


def _before(entry: Remembered, watch: Watch, patience: Patience) -> Mapping[str, Level]:
    """How the statements of a claim fared before: while the finding was there, for a week at most.

    Where that time was hardly watched: what the counters held when the promise was made.
    """
    # before its first capture, the fault may not have been there
    appeared = [change.at for change in entry.changes if change.state in PRESENT and change.at <= entry.last_seen]
    begin = max([entry.last_seen - patience.enough, *appeared])
    counts = watch.between(begin, entry.last_seen) if begin < entry.last_seen else {}
    levels = {}
    for promise in entry.promises:
        level = _level(promise, counts.get((entry.database or "", promise.fingerprint)), patience)
        if level is not None:
            parent = counts.get((entry.database or "", promise.parent)) if promise.parent else None
            own = counts.get((entry.database or "", promise.fingerprint))
            if parent and parent.calls and own and level.calls is not None:
                level = replace(level, calls_per_parent_call=own.calls / parent.calls)
            levels[promise.fingerprint] = level
    return levels


def _level(promise: Promise, counts: Counts | None, patience: Patience) -> Level | None:
    if counts is not None and counts.calls >= patience.least_calls and counts.seconds >= patience.least.total_seconds():
        return Level(
            counts.mean_ms,
            counts.calls,
            counts.squared_error_ms,
            counts.blocks_per_call,
            promise.calls_per_parent_call,
        )
    if promise.mean_ms is None:
        return None
    error = promise.mean_error_ms
    return Level(
        promise.mean_ms,
        squared_error_ms=error * error if error is not None else None,
        blocks_per_call=promise.blocks_per_call,
        calls_per_parent_call=promise.calls_per_parent_call,
    )


def _shares(entry: Remembered, outcome: Outcome, others: Sequence[Remembered]) -> Mapping[str, float]:
    """The part of each statement's saving that is this finding's, where others of the same time promised some, too."""
    rivals = [
        other
        for other in others
        if other.id != entry.id
        and other.database == entry.database
        and any(
            theirs.fixed_at > entry.last_seen and outcome.fixed_at > other.last_seen for theirs in other.outcomes[-1:]
        )
    ]
    shares = {}
    for promise in entry.promises:
        theirs = [
            max(other.uncorrected_ms_per_day, 0)
            for rival in rivals
            for other in rival.promises
            if other.fingerprint == promise.fingerprint
        ]
        own = max(promise.uncorrected_ms_per_day, 0)
        if theirs:
            total = own + sum(theirs)
            shares[promise.fingerprint] = own / total if total else 1 / (1 + len(theirs))
    return shares
