"""Run rules over the evidence of a capture and make one report of what they say."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from queryfit import baseline
from queryfit.config import Config
from queryfit.errors import QueryfitError
from queryfit.evidence.dictionary import tables
from queryfit.evidence.session import Addition, Session, open_session
from queryfit.evidence.store import Capture
from queryfit.findings import Finding, NotChecked, Promise, Report, Window
from queryfit.ranking import StatementKey, find, not_checked_rows
from queryfit.ruleset import Rule, run_rule

if TYPE_CHECKING:
    from queryfit.history.advice.outcomes import Calibration

_HOUR_S = 3600
_ADVICE = "index_candidate"  # a rule that reads it says what the lab found, and nothing of what the lab did not see
_UNPLANNED = """
    select database, fingerprint from workload
    where (database, fingerprint) not in (select (database, fingerprint) from what_if)
"""


def judge(
    capture: Capture,
    rules: Sequence[Rule],
    config: Config,
    *,
    today: date,
    before: Sequence[Mapping[str, Any]] | None = None,
    baseline_ids: frozenset[str] = frozenset(),
    addition: Addition | None = None,
    calibration: Calibration | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Judge a capture; rules about migrations are left to `lint`.

    `addition` is what the lab, or the history of its server, found out about it. `before` are the findings of runs
    before (None: there was none; see `baseline.compare`), `baseline_ids` the known findings, `calibration` says how
    right earlier predictions were. A rule that cannot run never stops the others: it is named as not checked. Raises
    QueryfitError where the capture is damaged, or the configuration sets a rule or parameter that is not there.
    """
    if unknown := sorted(config.rule_settings.keys() - {rule.name for rule in rules}):
        raise QueryfitError(f"{config.path} sets rule {unknown[0]!r}, which is not there", hint="see `queryfit rules`")
    about_files = {rule.name for rule in rules if rule.is_about_migrations}
    # what happened over time is judged where a history is at hand; a single capture knows nothing of it
    has_history = "span" in capture.held() or (addition is not None and "span" in addition.rows)
    about_time = {rule.name for rule in rules if not has_history and rule.is_about_time}
    rules = [rule for rule in rules if rule.name not in about_files | about_time]
    with open_session(capture, addition) as session:
        results: list[tuple[Rule, list[dict[str, Any]]]] = []
        not_checked: list[NotChecked] = []
        held = capture.held() | {table.name for table in tables().values() if table.capture in {"lab", "history"}}
        for rule in rules:
            progress(f"judging: {rule.name}")
            settings = config.rule_settings.get(rule.name, {})
            rule.values(settings)  # a wrong setting is the person's to mend, not something to go on without
            if missing := sorted({base for table in rule.reads for base in sources(table)} - held):
                not_checked.append(_not_held(rule, missing))
                continue
            try:
                rows = run_rule(session, rule, settings)
            except QueryfitError as error:
                not_checked.append(NotChecked(rule.name, None, error.message, error.hint))
                continue
            results.append((rule, rows))
            not_checked += not_checked_rows(rule, rows)
        statement_times = _statement_times(session)
        found = find(
            results,
            origin=capture.system_identifier,
            statement_ms_per_day=statement_times,
            calibration=calibration,
        )
        found = _with_rates(session, found)
        not_checked += _unread(session, [rule for rule, _ in results], found, not_checked)
        server = _server(session)
        window = _window(session, capture)
        lab = _Lab(
            frozenset(name for (name,) in session.query("select distinct database from what_if").rows),
            frozenset(session.query(_UNPLANNED).rows),
        )
    found, absent = baseline.compare(found, before, not_checked, rules=[rule.name for rule in rules])
    advising = {rule.name for rule in rules if _ADVICE in rule.reads}
    kept, suppressed, notes = baseline.suppress(
        found,
        [entry for entry in config.suppressions if entry.rule not in about_files],
        today=today,
        rules=[rule.name for rule in rules],
        not_checked=not_checked,
    )
    known = [finding for finding in kept if finding.id in baseline_ids]
    return Report(
        server=server,
        files=None,
        window=window,
        findings=[finding for finding in kept if finding.id not in baseline_ids],
        not_checked=not_checked,
        suppressed=[*suppressed, *(replace(finding, suppressed_by="baseline") for finding in known)],
        fixed=[entry for entry in absent if entry["rule"] not in advising or lab.has_judged(entry)],
        notes=notes,
        calibration=calibration,
        capture=str(capture.folder),
        cost=capture.meta.get("cost") or {},
        captured_ms_per_day=sum(statement_times.values()) if statement_times else None,
        rules_run=len(results),
    )


def _with_rates(session: Session, found: Sequence[Finding]) -> list[Finding]:
    """The findings with how the statements of their promises fare today."""
    wanted = {promise.fingerprint for finding in found for promise in finding.promises}
    wanted |= {promise.parent for finding in found for promise in finding.promises if promise.parent}
    if not wanted:
        return list(found)
    rows = session.query(
        "select database, fingerprint, calls, calls_per_day, blocks_hit + blocks_read as blocks,"
        " execution_ms + coalesce(planning_ms, 0) as ms, stddev_ms"
        " from workload where fingerprint in (select unnest($wanted))",
        {"wanted": sorted(wanted)},
    )
    rates = {(row["database"], row["fingerprint"]): row for row in rows.mappings()}
    return [
        replace(
            finding,
            promises=tuple(_with_rate(promise, finding.database, rates) for promise in finding.promises),
        )
        for finding in found
    ]


def _with_rate(
    promise: Promise, database: str | None, rates: Mapping[tuple[str | None, str], Mapping[str, Any]]
) -> Promise:
    rate = rates.get((database, promise.fingerprint))
    if rate is None:
        return promise
    parent = rates.get((database, promise.parent)) if promise.parent else None
    return replace(
        promise,
        calls_per_day=rate["calls_per_day"],
        mean_ms=rate["ms"] / rate["calls"],
        blocks_per_call=rate["blocks"] / rate["calls"],
        mean_error_ms=rate["stddev_ms"] / math.sqrt(rate["calls"]) if rate["stddev_ms"] is not None else None,
        calls_per_parent_call=rate["calls"] / parent["calls"] if parent else None,
    )


@dataclass(frozen=True, slots=True)
class _Lab:
    """What the lab looked at: databases, and the statements there that it did not plan."""

    databases: frozenset[str]
    unplanned: frozenset[tuple[Any, ...]]

    def has_judged(self, entry: Mapping[str, Any]) -> bool:
        """Whether it looked at every statement, of those still there, of a finding that came from it."""
        database = entry.get("database")
        statements = {(database, fingerprint) for fingerprint in entry.get("fingerprints") or ()}
        return database in self.databases and not statements & self.unplanned


def _not_held(rule: Rule, missing: Sequence[str]) -> NotChecked:
    return NotChecked(
        rule.name, None, f"the capture does not hold {', '.join(missing)}", "take a full capture with this version"
    )


def _statement_times(session: Session) -> dict[StatementKey, float]:
    result = session.query(
        "select database, fingerprint, execution_ms_per_day from workload where execution_ms_per_day is not null"
    )
    return {(database, fingerprint): ms for database, fingerprint, ms in result.rows}


def sources(table: str) -> set[str]:
    """The base tables behind an evidence table: itself, or what a derived one is made from."""
    described = tables()[table]
    if described.derivation is None:
        return {table}
    return {base for name in described.source.split(", ") if name in tables() for base in sources(name)}


def _is_history(table: str) -> bool:
    return any(tables()[base].capture == "history" for base in sources(table))


def _unread(
    session: Session, rules: Sequence[Rule], found: Sequence[Finding], said: Sequence[NotChecked]
) -> list[NotChecked]:
    """Gaps of the capture, told for every rule that would have read them; what a rule says itself comes first."""
    rows = session.query("select table_name, subject, reason, hint from unread order by all").rows
    if not rows:
        return []
    judged = {(finding.rule, finding.subject) for finding in found} | {(entry.rule, entry.subject) for entry in said}
    gaps: dict[NotChecked, None] = {}
    for rule in rules:
        # a history that is too short leaves a rule that does without one as it is
        reads = {base for table in rule.reads for base in sources(table) if base in rule.reads or not _is_history(base)}
        for table, subject, reason, hint in rows:
            if table in reads and (rule.name, subject) not in judged:
                gaps[NotChecked(rule.name, subject, reason, hint)] = None
    return list(gaps)


def _server(session: Session) -> dict[str, Any]:
    for row in session.query("select * from server").mappings():
        names = session.query("select database from database where is_captured order by 1").rows
        return {**row, "databases": [name for (name,) in names]}
    return {}


def _window(session: Session, capture: Capture) -> Window:
    """From the reset of the statement counters to the capture."""
    (seconds,) = session.query("select max(window_s) from workload").rows[0]
    until = datetime.fromisoformat(str(capture.meta["captured_at"]))
    if seconds is None:
        return Window(None, until, None, is_extrapolated=False)
    return Window(until - timedelta(seconds=seconds), until, seconds, is_extrapolated=seconds < _HOUR_S)
