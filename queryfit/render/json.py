"""Findings as JSON, for programs; `schema/report-1.json` describes it and tests hold it to that."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queryfit import __version__
from queryfit.findings import Finding, NotChecked, Report
from queryfit.render.values import plain, to_json

if TYPE_CHECKING:
    from queryfit.history.advice.outcomes import Calibration, Outcome

VERSION = 1
SCHEMA = Path(__file__).parent / "schema" / f"report-{VERSION}.json"


def render(report: Report) -> str:
    """The report as JSON; every key is always there, null where it is unknown."""
    return to_json(_document(report))


def document(report: Report) -> dict[str, Any]:
    """The report in JSON's own types, findings in rank order."""
    document: dict[str, Any] = plain(_document(report))
    return document


def _document(report: Report) -> dict[str, Any]:
    window = report.window
    return {
        "version": VERSION,
        "tool_version": __version__,
        "server": report.server,
        "files": report.files,
        "statements": report.statements,
        "window": {
            "since": window.since,
            "until": window.until,
            "seconds": window.seconds,
            "is_extrapolated": window.is_extrapolated,
        }
        if window
        else None,
        "captured_ms_per_day": report.captured_ms_per_day,
        "capture": report.capture,
        "cost": report.cost,
        "rules_run": report.rules_run,
        "findings": [_finding(entry, rank) for rank, entry in enumerate(report.findings, 1)],
        "suppressed": [_finding(entry, None) for entry in report.suppressed],
        "fixed": [_fixed(entry) for entry in report.fixed],
        "gone": [{**_fixed(entry), "why": entry.get("why")} for entry in report.gone],
        "outcomes": [_outcome(entry) for entry in report.outcomes],
        "calibration": _calibration(report.calibration),
        "not_checked": [_not_checked(entry) for entry in report.not_checked],
        "notes": report.notes,
        "trace": None,  # the command puts it in
    }


def schema() -> dict[str, Any]:
    """The published JSON Schema of the document."""
    read: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return read


def _finding(finding: Finding, rank: int | None) -> dict[str, Any]:
    return {
        "rank": rank,
        "id": finding.id,
        "rule": finding.rule,
        "group": finding.group,
        "title": finding.title,
        "database": finding.database,
        "subject": finding.subject,
        "severity": finding.severity,
        "is_urgent": finding.is_urgent,
        "impact_ms_per_day": finding.impact_ms_per_day,
        "impact_low_ms_per_day": finding.impact_low_ms_per_day,
        "proof": finding.proof,
        "message": finding.message,
        "fix": finding.fix,
        "undo": finding.undo,
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "end_line": finding.end_line,
        "end_column": finding.end_column,
        "state": finding.state,
        "suppressed_by": finding.suppressed_by,
        "is_suppressed_in_source": finding.is_suppressed_in_source,
        "past": {
            "first_seen": finding.past.first_seen,
            "since": finding.past.since,
            "is_changed": finding.past.is_changed,
            "fixed_seconds": finding.past.fixed_seconds,
            "seen": finding.past.seen,
            "runs": finding.past.runs,
        }
        if finding.past
        else None,
        "evidence": finding.evidence,
    }


def _fixed(entry: Any) -> dict[str, Any]:
    return {key: entry.get(key) for key in ("id", "rule", "subject", "title", "severity")}


def _outcome(outcome: Outcome) -> dict[str, Any]:
    names = [field.name for field in fields(outcome) if field.name != "statements"]
    statements = [{field.name: getattr(entry, field.name) for field in fields(entry)} for entry in outcome.statements]
    return {name: getattr(outcome, name) for name in names} | {"statements": statements}


def _calibration(known: Calibration | None) -> dict[str, Any] | None:
    if known is None:
        return None
    return {
        "factor": known.factor,
        "factors": dict(known.factors),
        "measured": known.measured,
        "predicted_ms_per_day": known.predicted_ms_per_day,
        "got_ms_per_day": known.got_ms_per_day,
    }


def _not_checked(entry: NotChecked) -> dict[str, Any]:
    return {
        "rule": entry.rule,
        "subject": entry.subject,
        "reason": entry.reason,
        "hint": entry.hint,
        "file": entry.file,
        "line": entry.line,
    }
