"""Findings in files as a GitLab Code Quality report, the subset of Code Climate's format that GitLab reads.

https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from queryfit.findings import Report
from queryfit.render import phrases
from queryfit.render.escape import line
from queryfit.render.values import to_json

_SEVERITIES = {"error": "critical", "warning": "major", "info": "info"}  # of info, minor, major, critical, blocker


def render(report: Report) -> str:
    """A JSON array of findings; what was not checked stands in it as `info`, so that it never reads as clean."""
    return to_json([*_findings(report), *_gaps(report)])


def _findings(report: Report) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for entry in phrases.by_place(report):
        yield {
            "description": line(entry.message),
            "check_name": entry.rule,
            "fingerprint": _unique(entry.id, seen),
            "severity": _SEVERITIES[entry.severity],
            "location": _location(entry.file, entry.line, entry.end_line),
        }


def _gaps(report: Report) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for place in phrases.gap_places(report.not_checked):
        name = "\0".join((place.file or "", *place.subjects, place.reason))
        yield {
            "description": f"Not checked: {place.text}",
            "check_name": "not-checked",
            "fingerprint": _unique(hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:20], seen),
            "severity": "info",
            "location": _location(place.file, place.line, None),
        }


def _unique(fingerprint: str, seen: set[str]) -> str:
    """The fingerprint, with a number where it is there already: of several that are the same GitLab shows one."""
    name, number = fingerprint, 1
    while name in seen:
        number += 1
        name = f"{fingerprint}-{number}"
    seen.add(name)
    return name


def _location(file: str | None, begin: int | None, end: int | None) -> dict[str, Any]:
    """GitLab requires a path and a line; what belongs to no file has the folder."""
    lines = {"begin": begin or 1, **({"end": end} if end and begin and end > begin else {})}
    return {"path": file.replace("\\", "/").removeprefix("./") if file else ".", "lines": lines}
