"""Findings as SARIF 2.1.0, for code scanning; the rules' metadata come from their files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from queryfit import __version__
from queryfit.findings import Finding, NotChecked, Report
from queryfit.render.escape import line
from queryfit.render.phrases import stake
from queryfit.render.values import plain, to_json
from queryfit.ruleset import Rule

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def render(report: Report, rules: Sequence[Rule]) -> str:
    """The report as one SARIF run. Suppressed findings are there too, marked as such."""
    index = {rule.name: number for number, rule in enumerate(rules)}
    findings = [*report.findings, *report.suppressed]
    run = {
        "tool": {
            "driver": {
                "name": "queryfit",
                "semanticVersion": __version__,
                "rules": [_rule(rule) for rule in rules],
                "notifications": [{"id": "not-checked"}],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(entry, index, report) for entry in findings],
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [_notification(entry, index) for entry in report.not_checked],
            }
        ],
    }
    return to_json({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _sentence(rule: str, subject: str | None, reason: str, hint: str | None) -> str:
    text = f"{rule}{f' on {subject}' if subject else ''} not checked: {reason}"
    return line(f"{text}; hint: {hint}" if hint else text)


def _notification(entry: NotChecked, index: dict[str, int]) -> dict[str, Any]:
    notification: dict[str, Any] = {
        "descriptor": {"id": "not-checked"},
        "level": "note",
        "message": {"text": _sentence(entry.rule, entry.subject, entry.reason, entry.hint)},
    }
    if entry.rule in index:
        notification["associatedRule"] = {"id": entry.rule, "index": index[entry.rule]}
    if entry.file is not None:
        region = {"region": {"startLine": entry.line}} if entry.line else {}
        notification["locations"] = [{"physicalLocation": {"artifactLocation": {"uri": _uri(entry.file)}, **region}}]
    return notification


def _rule(rule: Rule) -> dict[str, Any]:
    words = "\n\n".join(f"## {title}\n{text}" for title, text in rule.sections.items())
    return {
        "id": rule.name,
        "name": "".join(part.capitalize() for part in rule.name.split("-")),
        "shortDescription": {"text": line(rule.title)},
        "fullDescription": {"text": line(next(iter(rule.sections.values()), rule.title))},
        "help": {"text": words, "markdown": words},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": [rule.group], "precision": "high" if rule.proof != "inferred" else "medium"},
    }


def _result(finding: Finding, index: dict[str, int], report: Report) -> dict[str, Any]:
    worth = stake(finding, report.captured_ms_per_day)
    text = line(finding.message) + (f" ({worth}; {finding.proof})" if worth else f" ({finding.proof})")
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": text},
        "locations": [_location(finding)],
        "partialFingerprints": {"queryfit/v1": finding.id},
        "baselineState": "unchanged" if finding.state == "open" or finding.suppressed_by == "baseline" else "new",
        "properties": {
            "impact_ms_per_day": plain(finding.impact_ms_per_day),
            "impact_low_ms_per_day": plain(finding.impact_low_ms_per_day),
            "proof": finding.proof,
            "subject": finding.subject,
            "database": finding.database,
            "fix": finding.fix,
        },
    }
    if finding.rule in index:
        result["ruleIndex"] = index[finding.rule]
    if finding.suppressed_by:
        result["suppressions"] = [
            {
                "kind": "inSource" if finding.is_suppressed_in_source else "external",
                "justification": line(finding.suppressed_by),
            }
        ]
    return result


def _location(finding: Finding) -> dict[str, Any]:
    """A place in a file, or an object of the database."""
    name = f"{finding.database}.{finding.subject}" if finding.database else finding.subject
    logical = [{"fullyQualifiedName": line(name), "name": line(finding.subject)}]
    if finding.file is None:
        return {"logicalLocations": logical}
    region = {"region": _region(finding)} if finding.line else {}
    return {
        "physicalLocation": {"artifactLocation": {"uri": _uri(finding.file)}, **region},
        "logicalLocations": logical,
    }


def _region(finding: Finding) -> dict[str, int]:
    """What is at fault; SARIF, too, counts from 1 and ends behind the last character."""
    places = {
        "startLine": finding.line,
        "startColumn": finding.column,
        "endLine": finding.end_line,
        "endColumn": finding.end_column,
    }
    if finding.column is None:
        places = {"startLine": finding.line, "endLine": finding.end_line}
    return {name: place for name, place in places.items() if place is not None}


def _uri(path: str) -> str:
    return quote(path.replace("\\", "/").removeprefix("./"), errors="replace")
