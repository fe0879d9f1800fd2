"""Findings in files as JUnit XML: a suite a file, a failure a finding, a skipped case for what was not checked.

XML 1.0 cannot hold most control characters, escaped or not: `escape` has written them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree as ET

from queryfit.findings import Finding, Report
from queryfit.render import phrases
from queryfit.render.escape import block, line


def render(report: Report) -> str:
    """The report as XML. A file without a finding is one case that passes."""
    root = ET.Element("testsuites", name="queryfit")
    findings = {name: list(group) for name, group in groupby(phrases.by_place(report), key=lambda entry: entry.file)}
    gaps: dict[str | None, list[phrases.GapPlace]] = {}
    for place in phrases.gap_places(report.not_checked):
        gaps.setdefault(place.file, []).append(place)
    names = dict.fromkeys([*(report.files or ()), *findings, *gaps])
    for name in names:
        _suite(root, name, findings.get(name, ()), gaps.get(name, ()))
    for key in ("tests", "failures", "skipped"):
        root.set(key, str(sum(int(suite.get(key, 0)) for suite in root)))
    root.set("errors", "0")
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}'


def _suite(root: ET.Element, name: str | None, findings: Sequence[Finding], gaps: Sequence[phrases.GapPlace]) -> None:
    shown = line(name or "queryfit")
    suite = ET.SubElement(root, "testsuite", name=shown)
    for entry in findings:
        case = ET.SubElement(suite, "testcase", name=_case_name(entry), classname=shown, file=shown)
        failure = ET.SubElement(case, "failure", message=line(entry.message), type=entry.severity)
        failure.text = _body(entry, shown)
        if entry.line:
            case.set("line", str(entry.line))
    for place in gaps:
        at = f" at line {place.line}" if place.line else ""
        case = ET.SubElement(suite, "testcase", name=f"not checked{at}", classname=shown, file=shown)
        ET.SubElement(case, "skipped", message=place.text)
    if not len(suite):
        ET.SubElement(suite, "testcase", name="no finding", classname=shown, file=shown)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(findings)))
    suite.set("skipped", str(len(gaps)))
    suite.set("errors", "0")


def _case_name(entry: Finding) -> str:
    return line(entry.rule) + (f" at line {entry.line}" if entry.line else "")


def _body(entry: Finding, place: str) -> str:
    where = ":".join([place, *(str(part) for part in (entry.line, entry.column) if part)])
    text = f"{where} {entry.severity} {line(entry.rule)}\n{line(entry.message)}"
    return f"{text}\n\n{block(phrases.essence(entry.fix))}" if entry.fix else text
