"""What a run teaches the ledger: which findings are new, open, fixed, gone or back, and what came of advice."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec import structs

from queryfit.evidence.store import Capture, Store
from queryfit.findings import Finding, Past, Report
from queryfit.history.advice.followed import Catalogs, remedy_of
from queryfit.history.advice.ledger import (
    MOST_CHANGES,
    MOST_OUTCOMES,
    PRESENT,
    Change,
    Ledger,
    Remembered,
    Unreadable,
    locked,
    place,
    put_aside,
    read,
    write,
)
from queryfit.history.advice.measuring import Watch, measure
from queryfit.history.advice.outcomes import PATIENCE, Outcome, Patience, calibrate
from queryfit.history.chain import Link, captured_at, link

_LEAST_CALLS = 10  # of a statement since, before its fault is called mended
_BY_OTHER_MEANS = 0.5  # of the promise that has to have come where the index that was advised is not there
_MOST_PROMISES = 200  # statements of one finding
_MOST_FIX = 20_000  # characters


@dataclass(frozen=True, slots=True)
class Memory:
    """What a run knows of those before it. `before` is null where there is nothing to compare with."""

    path: Path
    ledger: Ledger
    before: Sequence[Mapping[str, Any]] | None
    notes: Sequence[str] = ()


def remember(capture: Capture, last_run: tuple[Sequence[Finding], Capture] | None = None) -> Memory:
    """What is remembered of the server and scope of a capture, as of the time just before it.

    Without a ledger it begins with the findings of `last_run` and the capture that they came from. One that cannot be
    read is put aside, and a note says so. Raises OSError where that cannot be done.
    """
    path = place(capture.folder.parent, str(capture.meta.get("scope")))
    notes = []
    try:
        ledger = read(path)
    except Unreadable as error:
        ledger = Ledger()
        aside = put_aside(path)
        kept = f"; it is kept as {aside.name}" if aside else ""
        notes.append(f"{error}{kept}, and what is remembered begins anew")
    at = captured_at(capture)
    if not ledger.runs and last_run is not None and captured_at(last_run[1]) < at:
        ledger = seeded(*last_run)
    return Memory(path, ledger, _before(ledger, at) if ledger.runs else None, notes)


def _before(ledger: Ledger, at: datetime) -> list[Mapping[str, Any]] | None:
    """Entries with their states as they were before a moment; None where there was none."""
    entries = [_as_of(entry, at) for entry in ledger.entries if entry.first_seen < at]
    if not entries and (ledger.last_run is None or ledger.last_run >= at):
        return None
    return [brief(entry) for entry in entries]


def _as_of(entry: Remembered, at: datetime) -> Remembered:
    """The entry with the state that it had before a moment: the same run again has to say the same."""
    changes = tuple(change for change in entry.changes if change.at < at)
    return replace(entry, changes=changes or entry.changes[:1])


def brief(entry: Remembered) -> dict[str, Any]:
    """What a report says of a finding that is not there any more, and what tells whether it could have been seen."""
    names = ("id", "rule", "database", "subject", "title", "severity", "relation", "state", "predicted_ms_per_day")
    fingerprints = [promise.fingerprint for promise in entry.promises] or list(entry.fingerprints)
    return {name: getattr(entry, name) for name in names} | {
        "fingerprints": fingerprints,
        "first_seen": entry.first_seen,
        "why": entry.changes[-1].why,
    }


def seeded(findings: Sequence[Finding], capture: Capture) -> Ledger:
    """A ledger that begins with what a run found before there was one."""
    at = captured_at(capture)
    entries = tuple(_first_seen(finding, at, capture.name) for finding in findings)
    return Ledger(runs=1, last_run=at, last_capture=capture.name, entries=entries)


def learn(
    memory: Memory, capture: Capture, report: Report, *, is_live: bool = True, patience: Patience = PATIENCE
) -> Report:
    """Write down what a run found, and return its report with the past of findings, what was fixed, and outcomes.

    `report.fixed` are the entries of `memory.before` that were judged and not found. A capture older than the newest
    that the ledger knows changes nothing, unless it was taken just now (`is_live`) beside another audit. Raises OSError
    where the ledger cannot be written.
    """
    with locked(memory.path):
        try:
            ledger = read(memory.path)  # another audit may have written since
        except Unreadable:
            ledger = Ledger()
        ledger = ledger if ledger.runs else memory.ledger
        store = Store(capture.folder.parent.parent)
        scope = str(capture.meta.get("scope"))
        run = _Run(
            ledger=replace(ledger, scope=scope),
            capture=capture,
            now=link(capture),
            watch=Watch(store, capture.system_identifier, scope, captured_at(capture)),
            patience=patience,
        )
        is_again = ledger.last_capture == capture.name
        is_newest = ledger.last_run is None or run.at >= ledger.last_run
        if is_newest or is_live:
            found = [*report.findings, *report.suppressed]
            absent = {str(entry["id"]) for entry in report.fixed}
            shown = {finding.id for finding in report.findings}
            learned = run.learned(found, shown, absent, is_again=is_again, is_newest=is_newest)
            if capture.meta.get("is_redacted"):
                learned = _redacted(learned)
            write(memory.path, learned, run.at)
        else:
            learned = ledger
    return _told(report, learned, run.at)


@dataclass(slots=True)
class _Run:
    """One run over what was known before."""

    ledger: Ledger
    capture: Capture
    now: Link
    watch: Watch
    patience: Patience
    entries: dict[str, Remembered] = field(default_factory=dict)
    catalogs: Catalogs = field(default_factory=Catalogs)

    @property
    def at(self) -> datetime:
        return self.now.at

    def learned(
        self,
        found: Sequence[Finding],
        shown: Collection[str],
        absent: Collection[str],
        *,
        is_again: bool,
        is_newest: bool,
    ) -> Ledger:
        """The ledger after this run. `shown` is what nothing suppresses: only that is remembered anew."""
        self.entries = {entry.id: entry for entry in self.ledger.entries}
        for finding in found:
            entry = self.entries.get(finding.id)
            if entry is not None:
                if is_newest:
                    self.entries[finding.id] = self._seen_again(entry, finding)
            elif finding.id in shown:
                self.entries[finding.id] = _first_seen(finding, self.at, self.capture.name)
        present = {finding.id for finding in found}
        told = {
            (other["rule"], finding.database, other["subject"])
            for finding in found
            for other in finding.evidence.get("also", ())
        }
        if is_newest:
            for entry in list(self.entries.values()):
                if entry.id not in present:
                    self.entries[entry.id] = self._not_found(
                        entry, is_told=(entry.rule, entry.database, entry.subject) in told, is_absent=entry.id in absent
                    )
            if not is_again:
                self._count_runs()
            self._measure()
        return replace(
            self.ledger,
            runs=self.ledger.runs + (not is_again),
            last_run=self.at if is_newest else self.ledger.last_run,
            last_capture=self.capture.name if is_newest else self.ledger.last_capture,
            entries=tuple(self.entries.values()),
        )

    def _count_runs(self) -> None:
        for entry in self.entries.values():
            if entry.first_seen < self.at:
                self.entries[entry.id] = replace(entry, runs=entry.runs + 1)

    def _seen_again(self, entry: Remembered, finding: Finding) -> Remembered:
        was = _as_of(entry, self.at) if entry.first_seen < self.at else entry
        changes = was.changes
        outcomes = entry.outcomes
        if entry.state == "fixed" and entry.since == self.at:
            outcomes = outcomes[:-1] if was.state != "fixed" else outcomes  # this capture was judged otherwise before
        if was.state == "fixed":
            changes = (*changes, Change(self.at, "back"))
            outcomes = _closed(outcomes)
        elif was.state in ("gone", "told"):
            changes = (*changes, Change(self.at, "open"))
        is_counted = entry.last_seen < self.at
        return _described(
            replace(
                entry,
                last_seen=self.at,
                capture=self.capture.name,
                seen=entry.seen + is_counted,
                changes=changes[-MOST_CHANGES:],
                outcomes=outcomes,
            ),
            finding,
        )

    def _not_found(self, entry: Remembered, *, is_told: bool, is_absent: bool) -> Remembered:
        """An entry that this run does not list: told by another finding, fixed, gone, or not judged."""
        if entry.last_seen >= self.at:
            return entry  # the same capture, judged before with other rules
        if is_told:
            changed = self._changed(entry, "told", "told by another finding of the same root")
            return changed if entry.state in PRESENT else entry
        if entry.state == "told" and is_absent:
            return self._changed(entry, "gone", "it was told by another finding last")
        if is_absent and entry.state in PRESENT:
            return self._mended(entry) or self._changed(entry, "gone", self._why_gone(entry))
        if entry.state == "gone" and entry.promises and entry.since >= self.at - self.patience.most:
            at = self._followed_at(entry)  # it went out of sight before the fix could be seen
            return self._fixed(entry, at) if at is not None else entry
        return entry

    def _changed(self, entry: Remembered, state: str, why: str | None = None) -> Remembered:
        return replace(entry, changes=(*entry.changes, Change(self.at, state, why))[-MOST_CHANGES:])

    def _mended(self, entry: Remembered) -> Remembered | None:
        """The entry as fixed, with an outcome to measure where time was promised; None where nothing says so."""
        at = self._fixed_at(entry)
        return None if at is None else self._fixed(entry, at)

    def _fixed(self, entry: Remembered, fixed_at: datetime) -> Remembered:
        fixed = replace(entry, changes=(*entry.changes, Change(self.at, "fixed"))[-MOST_CHANGES:])
        if not entry.promises or entry.predicted_ms_per_day is None:
            return fixed
        outcome = Outcome(
            finding=entry.id,
            rule=entry.rule,
            title=entry.title,
            database=entry.database,
            subject=entry.subject,
            proof=entry.proof,
            fixed_at=fixed_at,
            status="early",
            predicted_ms_per_day=entry.predicted_ms_per_day,
            predicted_low_ms_per_day=entry.predicted_low_ms_per_day,
            uncorrected_ms_per_day=sum(promise.uncorrected_ms_per_day for promise in entry.promises),
        )
        return replace(fixed, outcomes=(*entry.outcomes, outcome)[-MOST_OUTCOMES:])

    def _fixed_at(self, entry: Remembered) -> datetime | None:
        remedy = remedy_of(entry.fix)
        if remedy.added or remedy.dropped:
            at = self._followed_at(entry)
            return self.at if at is None and remedy.added and self._is_faster(entry) else at
        if remedy.setting:
            links = self.watch.within(entry.last_seen, self.at)
            before = next((one.capture for one in links if one.is_full), None)
            if before is not None and (at := self.catalogs.changed_at(remedy.setting, before, self.now, links)):
                return at
        if not entry.fingerprints or self._calls(entry) >= _LEAST_CALLS:
            return self.at
        return None

    def _followed_at(self, entry: Remembered) -> datetime | None:
        """When the index that was advised, or its absence, was first seen."""
        remedy = remedy_of(entry.fix)
        if not remedy.added and not remedy.dropped:
            return None
        between = [link for link in self.watch.links if entry.last_seen < link.at <= self.at]
        return self.catalogs.followed_at(remedy, entry.database, self.now, between)

    def _calls(self, entry: Remembered) -> int:
        """Calls since the finding was seen last, of its statements and of those that drive them."""
        counts = self.watch.between(entry.last_seen, self.at)
        names = {*entry.fingerprints, *(promise.parent for promise in entry.promises if promise.parent)}
        return sum(
            count.calls
            for (database, fingerprint), count in counts.items()
            if fingerprint in names and entry.database in (None, database)
        )

    def _is_faster(self, entry: Remembered) -> bool:
        """Whether the statements got what was promised although the index that was advised is not there."""
        if not entry.promises:
            return False
        trial = Outcome(
            entry.id, entry.rule, entry.title, entry.database, entry.subject, entry.proof, entry.last_seen, "early",
            entry.predicted_ms_per_day, entry.predicted_low_ms_per_day,
        )  # fmt: skip
        came = measure(entry, trial, self.watch, (), replace(self.patience, least=timedelta()))
        promised, got = came.expected_ms_per_day or 0, came.got_ms_per_day or 0
        return promised > 0 and got >= _BY_OTHER_MEANS * promised

    def _why_gone(self, entry: Remembered) -> str:
        if entry.fingerprints and not (calls := self._calls(entry)):
            return "its statements were not called since"
        if entry.fingerprints and calls < _LEAST_CALLS:
            return f"its statements were called {calls} times since"
        return "not found any more, though its fix is not there"

    def _measure(self) -> None:
        """Look again at every outcome that is not final."""
        for entry in list(self.entries.values()):
            if entry.state == "fixed" and entry.outcomes and entry.outcomes[-1].status in ("early", "measured"):
                latest = measure(entry, entry.outcomes[-1], self.watch, list(self.entries.values()), self.patience)
                self.entries[entry.id] = replace(entry, outcomes=(*entry.outcomes[:-1], latest))


def _first_seen(finding: Finding, at: datetime, capture: str) -> Remembered:
    return _described(
        Remembered(
            id=finding.id,
            rule=finding.rule,
            database=finding.database,
            subject=finding.subject,
            title=finding.title,
            severity=finding.severity,
            proof=finding.proof,
            relation=None,
            fix=None,
            first_seen=at,
            last_seen=at,
            capture=capture,
            seen=1,
            runs=1,
            changes=(Change(at, "new"),),
        ),
        finding,
    )


def _closed(outcomes: tuple[Outcome, ...]) -> tuple[Outcome, ...]:
    """Outcomes of a finding that is back: what was measured while it was fixed is final."""
    if not outcomes or outcomes[-1].status in ("final", "unmeasurable"):
        return outcomes
    latest = outcomes[-1]
    if latest.status == "measured":
        return (*outcomes[:-1], replace(latest, status="final"))
    return (*outcomes[:-1], replace(latest, status="unmeasurable", note=f"it came back before that ({latest.note})"))


def _described(entry: Remembered, finding: Finding) -> Remembered:
    """The entry with what the finding says and promises today; no message and no text of a statement."""
    from queryfit.details import fingerprints_of  # noqa: PLC0415 -- only where something is remembered

    relation = finding.evidence.get("relation")
    promises = sorted(finding.promises, key=lambda promise: -abs(promise.ms_per_day))[:_MOST_PROMISES]
    return replace(
        entry,
        title=finding.title,
        severity=finding.severity,
        proof=finding.proof,
        relation=str(relation) if relation else None,
        fix=finding.fix[:_MOST_FIX] if finding.fix else None,
        predicted_ms_per_day=finding.impact_ms_per_day,
        predicted_low_ms_per_day=finding.impact_low_ms_per_day,
        promises=tuple(promises),
        fingerprints=tuple(fingerprints_of(finding)[:_MOST_PROMISES]),
    )


def _redacted(ledger: Ledger) -> Ledger:
    """The ledger without what a redacted capture may not hold: literals, which only the SQL of fixes has."""
    from queryfit.evidence.redact import without_literals  # noqa: PLC0415 -- the parser loads with it

    return replace(
        ledger,
        entries=tuple(
            replace(entry, fix=without_literals(entry.fix)) if entry.fix else entry for entry in ledger.entries
        ),
    )


def _told(report: Report, ledger: Ledger, at: datetime) -> Report:
    """The report with what the ledger knows."""
    entries = {entry.id: entry for entry in ledger.entries}

    def became(state: str) -> list[dict[str, Any]]:
        return [
            brief(entry)
            for entry in ledger.entries
            if any(change.at == at and change.state == state for change in entry.changes)
        ]

    outcomes = ledger.outcomes
    return structs.replace(
        report,
        findings=[_with_past(finding, entries.get(finding.id), at) for finding in report.findings],
        suppressed=[_with_past(finding, entries.get(finding.id), at) for finding in report.suppressed],
        fixed=became("fixed"),
        gone=became("gone"),
        outcomes=outcomes,
        calibration=calibrate(outcomes),
    )


def _with_past(finding: Finding, entry: Remembered | None, at: datetime) -> Finding:
    if entry is None or entry.last_seen != at:
        return finding
    return structs.replace(
        finding,
        state=entry.state if entry.state in PRESENT else finding.state,
        past=Past(
            first_seen=entry.first_seen,
            since=entry.since,
            is_changed=entry.since == at,
            fixed_seconds=entry.fixed_seconds,
            seen=entry.seen,
            runs=entry.runs,
        ),
    )
