"""Findings in the words that every renderer for people uses."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from queryfit import words
from queryfit.findings import Finding, NotChecked, Report, Window
from queryfit.render import promises
from queryfit.render.escape import line

CLOSE = 0.95  # a low estimate from here on is as good as the high one
SEVERITIES = ("error", "warning", "info")
_TEXT_COLUMNS = ("text", "statement", "query")
_STATEMENT_SUBJECT = "fingerprint:"
# what `queryfit.fixes` puts around a statement: DDL that is tried again, and CONCURRENTLY without limits
_RETRIED = re.compile(r"^do (\$fix_*\$)\n.*?\bexecute (\$ddl_*\$)(.*?)\2;.*?^\1;", re.DOTALL | re.MULTILINE)
_UNLIMITED = re.compile(
    r"(?:^(?:--|select pid,|where xact_start|select indexrelid)[^\n]*\n)*"
    r"^set lock_timeout = 0;[^\n]*\nset statement_timeout = 0;\n(.*?)^reset statement_timeout;\nreset lock_timeout;",
    re.DOTALL | re.MULTILINE,
)


class Gap(Struct, frozen=True):
    """Rules that could not judge for one and the same reason."""

    reason: str
    hint: str | None
    rules: tuple[str, ...]
    subjects: tuple[str, ...]


class GapPlace(Struct, frozen=True):
    """What rules could not judge at one place of a file for one reason."""

    file: str | None
    line: int | None
    reason: str
    hint: str | None
    rules: tuple[str, ...]
    subjects: tuple[str, ...]

    @property
    def text(self) -> str:
        """Why, for which rules, and what would mend it, on one line."""
        about = "" if self.file or not self.subjects else f"{some(self.subjects, 3)}, "
        hint = f"; hint: {self.hint}" if self.hint else ""
        return line(f"{self.reason} ({about}by {some(self.rules, 4)}){hint}")


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """`1 finding`, `3 findings`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def subject(finding: Finding, most: int = 300) -> str:
    """What the finding is about; a statement by its text, where the rule returns it, rather than its fingerprint."""
    if finding.subject.startswith(_STATEMENT_SUBJECT):
        for name in _TEXT_COLUMNS:
            if isinstance(text := finding.evidence.get(name), str) and text.strip():
                return line(text, most)
    return line(finding.subject, most)


def saving(finding: Finding) -> str | None:
    """Time saved a day in short, from the low estimate on: `0.8-2.1 h`; None where time is not what is at stake."""
    if finding.impact_ms_per_day is None:
        return None
    return _span(finding.impact_low_ms_per_day, finding.impact_ms_per_day)


def _span(low: float | None, high: float) -> str:
    """`36 min-2.1 h`, with the unit once where it is the same; the high one alone where the low one is close."""
    most = words.duration(high)
    if low is None or low >= high * CLOSE:
        return most
    least = words.duration(max(low, 0))
    unit = most.rpartition(" ")[2]
    return f"{least.removesuffix(f' {unit}') if low > 0 else 0}-{most}"


def share(ms_per_day: float | None, captured_ms_per_day: float | None) -> str | None:
    """That much of the time of all captured statements: `66 %`."""
    if ms_per_day is None or not captured_ms_per_day:
        return None
    part = ms_per_day / captured_ms_per_day
    return "<0.1 %" if 0 < part < 0.001 else words.percent(part)  # noqa: PLR2004 -- finer than the counters are


def stake(finding: Finding, captured_ms_per_day: float | None) -> str:
    """What the fix is worth, in words: the saving with its low estimate, or what is near."""
    parts = []
    if finding.impact_ms_per_day is not None:
        low = finding.impact_low_ms_per_day
        parts.append(f"saves {words.duration(finding.impact_ms_per_day)} a day")
        if low is not None and low < finding.impact_ms_per_day * CLOSE:
            parts.append(f"at least {words.duration(low)}")
        if part := share(finding.impact_ms_per_day, captured_ms_per_day):
            parts.append(f"{part} of the captured time")
        if corrected := promises.correction(finding):
            parts.append(corrected)
    if near := due(finding):
        parts.append(near)
    if not parts and (exposed := finding.evidence.get("exposure_ms_per_day")):
        parts.append(f"touches {words.duration(exposed)} of statement time a day")
    return ", ".join(parts)


def due(finding: Finding) -> str | None:
    """How near the fault is: `12 days left`, or `4 % left`."""
    days, headroom = finding.evidence.get("days_left"), finding.evidence.get("headroom_fraction")
    if isinstance(days, int | float):
        return f"{words.in_words('days_left', days)} left"
    return f"{words.percent(max(headroom, 0))} left" if isinstance(headroom, int | float) else None


def totals(report: Report) -> str:
    """The findings by severity, and what they save together."""
    if not report.findings:
        return "no findings"
    by_severity = Counter(entry.severity for entry in report.findings)
    names = {"error": "error", "warning": "warning", "info": "info"}
    parts = [
        f"{by_severity[name]} {names[name]}{'s' if name != 'info' and by_severity[name] != 1 else ''}"
        for name in SEVERITIES
        if by_severity[name]
    ]
    text = f"{counted(len(report.findings), 'finding')}: {', '.join(parts)}"
    if urgent := sum(entry.is_urgent for entry in report.findings):
        text += f" ({urgent} urgent)"
    return text


def saved_together(report: Report) -> str | None:
    """What all findings save together; claims on one statement never add up to more than the statement's time."""
    # a finding that makes things slower takes from the sum
    high = sum(entry.impact_ms_per_day or 0 for entry in report.findings)
    low = sum(entry.impact_low_ms_per_day or 0 for entry in report.findings)
    if high <= 0:
        return None
    part = share(high, report.captured_ms_per_day)
    text = words.duration(high) if low >= high * CLOSE else f"{words.duration(max(low, 0))} to {words.duration(high)}"
    return f"together they save {text} a day" + (f", up to {part} of the captured time" if part else "")


def window(entry: Window | None) -> str:
    """The time that the counters cover."""
    if entry is None:
        return "no counters"
    if entry.seconds is None:
        return "window unknown, so no rates"
    return f"window {words.duration(entry.seconds * 1000)}" + (", extrapolated" if entry.is_extrapolated else "")


def server(facts: Mapping[str, Any]) -> str:
    """The server in one line: `PostgreSQL 18.1 (rds, standby), databases shop, stats`."""
    kinds = [str(facts.get("provider") or "")]
    kinds += ["standby"] if facts.get("is_standby") else []
    kinds += ["through a pooler"] if facts.get("is_pooled") else []
    # Debian says `15.14 (Debian 15.14-0+deb12u1)`: the number is what matters
    number = str(facts.get("version") or "").partition(" ")[0]
    databases = [str(name) for name in facts.get("databases") or ()]
    shown = ", ".join(databases[:3]) + (f" and {len(databases) - 3} more" if len(databases) > 3 else "")  # noqa: PLR2004
    text = f"PostgreSQL {number} ({', '.join(kind for kind in kinds if kind)})"
    return line(f"{text} · {shown}" if shown else text)


def cost(facts: Mapping[str, Any]) -> str | None:
    """What the look cost the server; None where it was not measured."""
    ms = facts.get("server_ms")
    if not isinstance(ms, int | float):
        return None
    text = f"this look cost the server {words.duration(ms)}"
    queries = facts.get("queries")
    return f"{text} in {counted(queries, 'query', 'queries')}" if isinstance(queries, int) else text


def gaps(entries: Sequence[NotChecked]) -> list[Gap]:
    """What was not checked, by reason: the reason that stops most rules first."""
    by_reason: dict[tuple[str, str | None], tuple[dict[str, None], dict[str, None]]] = {}
    for entry in entries:
        rules, subjects = by_reason.setdefault((entry.reason, entry.hint), ({}, {}))
        rules[entry.rule] = None
        if entry.subject is not None:
            subjects[entry.subject] = None
    found = [
        Gap(reason, hint, tuple(rules), tuple(subjects)) for (reason, hint), (rules, subjects) in by_reason.items()
    ]
    return sorted(found, key=lambda gap: (-len(gap.rules), -len(gap.subjects), gap.reason))


def of_what(subjects: Sequence[str], most: int = 3) -> str:
    """What could not be judged: some names, or how many statements, whose fingerprints say nothing to a person."""
    if all(name.startswith(_STATEMENT_SUBJECT) for name in subjects):
        return counted(len(subjects), "statement")
    return some(subjects, most)


def some(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(line(name, 80) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def essence(fix: str) -> str:
    """The statements that change something, without the checks and limits around them and without comments."""
    body = fix
    if "set lock_timeout = 0;" in body:  # a search for words is quicker than one for a pattern
        body = _UNLIMITED.sub(r"\1", body)
    if "do $fix" in body:
        body = _RETRIED.sub(r"\3;", body)
    lines = [text for text in body.splitlines() if text.strip() and not text.lstrip().startswith("--")]
    return "\n".join(lines) or fix.strip()


def by_place(report: Report) -> list[Finding]:
    """Findings in the order of the files, then by line, column, severity and rule."""
    order = {name: number for number, name in enumerate(report.files or ())}
    return sorted(
        report.findings,
        key=lambda entry: (
            order.get(entry.file or "", len(order)),
            entry.file or "",
            entry.line or 0,
            entry.column or 0,
            SEVERITIES.index(entry.severity),
            entry.rule,
        ),
    )


def with_lines(report: Report) -> Iterator[tuple[Finding, str | None]]:
    """Findings in the order of files and lines, each with the line of source that it begins in."""
    lines: list[str] = []
    name: str | None = None
    for entry in by_place(report):
        if entry.file != name:
            name = entry.file
            lines = report.sources.get(name or "", "").split("\n")
        text = lines[entry.line - 1] if entry.line and entry.line <= len(lines) else ""
        yield entry, text.rstrip() or None


def severities(findings: Sequence[Finding]) -> Mapping[str, str]:
    """How many findings of each severity there are, in words: `3 errors`, `1 warning`, `2 info`."""
    counts = Counter(entry.severity for entry in findings)
    return {
        name: counted(counts[name], name, "info" if name == "info" else None) for name in SEVERITIES if counts[name]
    }


def unjudged(entries: Sequence[NotChecked]) -> int:
    """How many things could not be judged: statements or other subjects, and rules that could not run at all."""
    return len({(entry.file, entry.line, entry.subject or f"rule {entry.rule}") for entry in entries})


def gap_places(entries: Sequence[NotChecked]) -> list[GapPlace]:
    """What could not be judged, by place and reason: one entry for all rules that had to leave it."""
    found: dict[tuple[str | None, int | None, str, str | None], tuple[dict[str, None], dict[str, None]]] = {}
    for entry in entries:
        rules, subjects = found.setdefault((entry.file, entry.line, entry.reason, entry.hint), ({}, {}))
        rules[entry.rule] = None
        if entry.subject is not None:
            subjects[entry.subject] = None
    return [
        GapPlace(file, number, reason, hint, tuple(rules), tuple(subjects))
        for (file, number, reason, hint), (rules, subjects) in found.items()
    ]
