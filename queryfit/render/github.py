"""Findings in files as GitHub annotations: workflow commands, which show on the lines of a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from queryfit.findings import Finding, Report
from queryfit.render import phrases
from queryfit.render.escape import line, workflow, workflow_property

_COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}


def render(report: Report) -> str:
    """One command a finding, by file and line; what was not checked is a notice, once for each place and reason."""
    commands = [_annotation(entry) for entry in phrases.by_place(report)]
    return "\n".join([*commands, *_notices(report)])


def _annotation(finding: Finding) -> str:
    properties: dict[str, object] = {}
    if finding.file is not None:
        properties["file"] = _path(finding.file)
        if finding.line:
            properties |= _span(finding)
    properties["title"] = f"queryfit: {line(finding.rule)}"
    # the fix in lines of its own: GitHub shows an annotation as plain text
    text = line(finding.message) + (f"\n\n{phrases.essence(finding.fix)}" if finding.fix else "")
    return _command(_COMMANDS[finding.severity], properties, text)


def _span(finding: Finding) -> Iterator[tuple[str, object]]:
    """Lines, and columns where it is one line only: GitHub refuses them otherwise."""
    end = finding.end_line or finding.line
    yield "line", finding.line
    yield "endLine", end
    if finding.column and end == finding.line:
        yield "col", finding.column
        if finding.end_column:
            yield "endColumn", finding.end_column


def _notices(report: Report) -> Iterator[str]:
    for place in phrases.gap_places(report.not_checked):
        properties: dict[str, object] = {}
        if place.file is not None:
            properties["file"] = _path(place.file)
            if place.line:
                properties["line"] = place.line
        properties["title"] = "queryfit: not checked"
        yield _command("notice", properties, f"Not checked: {place.text}")


def _path(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")


def _command(name: str, properties: dict[str, object], text: str) -> str:
    told = ",".join(f"{key}={workflow_property(str(value))}" for key, value in properties.items())
    return f"::{name} {told}::{workflow(text)}"
