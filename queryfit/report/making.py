"""A report from a store: the history of the period and of the one before, judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from queryfit.audit import Settings, audit_capture
from queryfit.errors import QueryfitError
from queryfit.evidence.store import Capture, Store
from queryfit.findings import Finding
from queryfit.history import History, Scope, open_history, parse_since
from queryfit.history.advice.ledger import Promises, Remembered, promises
from queryfit.history.chain import captured_at
from queryfit.report.content import Advice, Judgement, assemble
from queryfit.report.model import Content, FixedFinding

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stretch:
    """The time of a report, aware, in UTC."""

    since: datetime
    until: datetime


def stretch(scope: Scope, since: str, until: str | None) -> Stretch:
    """The time that two words mean; the newest capture is now. Raises UsageError."""
    newest = captured_at(scope.captures[-1]).replace(tzinfo=UTC)
    end = parse_since(until, datetime.now(UTC)) if until else newest
    return Stretch(parse_since(since, end, is_past=False), end)


def make(store: Store, scope: Scope, time: Stretch, settings: Settings, progress: Progress = lambda _: None) -> Content:
    """The report on one server. Raises QueryfitError where there are no two captures in the time.

    Its newest full capture is judged as `queryfit audit` would, and that is remembered.
    """
    progress("reading the history")
    length = time.until - time.since
    history = open_history(
        store, scope.system_identifier, scope.scope, since=time.since - length, until=time.until, progress=progress
    )
    with history:
        judgement, advice = _judged(store, scope, history, time, settings=settings, progress=progress)
        progress("putting the report together")
        return assemble(
            history.session,
            since=_naive(time.since),
            until=_naive(time.until),
            judgement=judgement,
            advice=advice,
            unusable={entry.folder.name: entry.reason for entry in history.unusable},
        )


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)


def _judged(
    store: Store, scope: Scope, history: History, time: Stretch, *, settings: Settings, progress: Progress
) -> tuple[Judgement | None, Advice]:
    fulls = [capture for capture in history.fulls if captured_at(capture) <= _naive(time.until)]
    if not fulls:
        return None, Advice()
    known = promises(store, scope.system_identifier, scope.scope)
    first = _first(fulls, _naive(time.since))
    seen = max((entry.last_seen for entry in known.states), default=None)
    if first is not fulls[-1] and (seen is None or seen < captured_at(first)):  # else what is old would be new
        progress("judging the capture that the period began with")
        audit_capture(first, settings, progress)
    try:
        report = audit_capture(fulls[-1], settings, progress, history=_over_time(history))
    except QueryfitError as error:
        raise QueryfitError(f"capture {fulls[-1].name} cannot be judged: {error.message}", hint=error.hint) from None
    known = promises(store, scope.system_identifier, scope.scope)
    compared_at = _compared_at(known, _naive(time.since), captured_at(fulls[-1]))
    by_id = {entry.id: entry for entry in known.states}
    report = replace(
        report,
        findings=[
            _as_of(finding, by_id.get(finding.id), compared_at, captured_at(fulls[-1])) for finding in report.findings
        ],
    )
    outcomes = [outcome for outcome in known.outcomes if outcome.fixed_at <= _naive(time.until)]
    until = _naive(time.until)
    judgement = Judgement(
        report,
        captured_at(fulls[-1]),
        compared_at,
        fixed=_left(known, "fixed", compared_at, until),
        gone=_left(known, "gone", compared_at, until),
    )
    return judgement, Advice(known.calibration if known.calibration.measured else None, outcomes)


def _over_time(history: History) -> dict[str, list[dict[str, Any]]]:
    """What rules judge over time by: trends, and how statements changed from the period before to this one."""
    query = history.session.query
    return {name: list(query(f"select * from {name}").mappings()) for name in ("span", "trend", "statement_change")}


def _first(fulls: Sequence[Capture], since: datetime) -> Capture:
    """The last full capture before the period, else the first in it."""
    before = [capture for capture in fulls if captured_at(capture) <= since]
    return before[-1] if before else fulls[0]


def _compared_at(known: Promises, since: datetime, judged_at: datetime) -> datetime | None:
    """From when on a finding is new: the begin of the period, or the first run that is remembered."""
    if known.runs < 2:  # noqa: PLR2004 -- one run has nothing to be compared with
        return None
    first = min((entry.first_seen for entry in known.states), default=judged_at)
    return max(since, first)


def _as_of(finding: Finding, entry: Remembered | None, compared_at: datetime | None, judged_at: datetime) -> Finding:
    """The finding with its state in the period, not since the run before."""
    if entry is None or compared_at is None:
        return finding
    if any(change.state == "back" and compared_at < change.at <= judged_at for change in entry.changes):
        return replace(finding, state="back")
    return replace(finding, state="new" if entry.first_seen > compared_at else "open")


def _left(known: Promises, state: str, compared_at: datetime | None, until: datetime) -> list[FixedFinding]:
    """What came into that state in the period, and still is."""
    if compared_at is None:
        return []
    return [
        FixedFinding(
            entry.id, entry.rule, entry.title, entry.subject, entry.severity, entry.since, entry.changes[-1].why
        )
        for entry in known.states
        if entry.state == state and compared_at < entry.since <= until
    ]
