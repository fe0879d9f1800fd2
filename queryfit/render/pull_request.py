"""Findings in files as the comment of a pull request: short, fixes folded away, and never too long to be posted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby

from queryfit.findings import Finding, Report
from queryfit.render import phrases
from queryfit.render.escape import block, code_block, code_span, markdown, shortened

MARK = "<!-- queryfit lint -->"  # by it a later run finds its comment and replaces it
MOST_BYTES = 65_000  # GitHub takes 65,536 characters, however it counts them
_MOST_LISTED = 20
_MOST_LISTED_BYTES = 8_000
_MOST_SOURCE = 200


def render(report: Report) -> str:
    """The report as Markdown. What does not fit is counted: errors stay the longest."""
    head = f"{MARK}\n### queryfit lint: {_verdict(report)}"
    gaps, notes = _gaps(report), [f"- {markdown(shortened(note, 400))}" for note in report.notes]
    rest = [
        *_folded(f"{len(report.suppressed):,} suppressed", _suppressed(report)),
        *_folded(f"{len(gaps):,} not checked", gaps),
        *_folded(phrases.counted(len(notes), "note"), notes),
    ]
    left = MOST_BYTES - sum(len(part.encode()) + 2 for part in (head, *rest)) - 200  # for what says how many are left
    kept, cut = _fitting(report, left)
    parts = [head, *_by_file(kept)]
    if cut:
        parts.append(f"**… and {len(cut):,} more**: {', '.join(phrases.severities(cut).values())}.")
    return "\n\n".join([*parts, *rest]) + "\n"


def _verdict(report: Report) -> str:
    files = phrases.counted(len(report.files or ()), "file")
    if not report.findings:
        if not report.rules_run:
            return "nothing was judged, no rule ran"
        statements = "" if report.statements is None else f", {phrases.counted(report.statements, 'statement')}"
        return f"no finding in {files}{statements}"
    hit = len({entry.file for entry in report.findings})
    where = f"{hit:,} of {files}" if hit < len(report.files or ()) else files
    return f"{', '.join(phrases.severities(report.findings).values())} in {where}"


def _fitting(report: Report, room: int) -> tuple[list[tuple[Finding, str]], list[Finding]]:
    """Findings by file and line, each with its text, as many as there is room for; and the ones that are left out."""
    texts = [(entry, _finding(entry, source)) for entry, source in phrases.with_lines(report)]
    seen: set[str | None] = set()
    kept = set()
    cut = []
    for number in sorted(range(len(texts)), key=lambda n: phrases.SEVERITIES.index(texts[n][0].severity)):
        entry, text = texts[number]
        needed = len(text.encode()) + 2
        if entry.file not in seen:
            needed += len(_file(entry.file).encode()) + 2
        if needed > room:
            cut.append(entry)
            continue
        seen.add(entry.file)
        kept.add(number)
        room -= needed
    return [text for number, text in enumerate(texts) if number in kept], cut


def _by_file(kept: Sequence[tuple[Finding, str]]) -> Iterator[str]:
    for name, group in groupby(kept, key=lambda pair: pair[0].file):
        yield _file(name)
        yield from (text for _, text in group)


def _file(name: str | None) -> str:
    return f"#### {code_span(name or 'not in a file')}"


def _finding(entry: Finding, source: str | None) -> str:
    place = f"{entry.file}#L{entry.line}" if entry.file and entry.line else entry.subject
    parts = [f"**{entry.severity}** {code_span(entry.rule)} · {code_span(place)}  \n{markdown(entry.message)}"]
    if source:
        parts.append(code_block(shortened(block(source[: _MOST_SOURCE * 2]).strip(), _MOST_SOURCE), "sql"))
    if entry.fix:
        parts.append(f"<details><summary>Fix</summary>\n\n{code_block(entry.fix, 'sql')}\n\n</details>")
    return "\n\n".join(parts)


def _folded(what: str, lines: Sequence[str]) -> Iterator[str]:
    """A list that opens at a click."""
    if lines:
        sizes = accumulate(len(line.encode()) for line in lines[:_MOST_LISTED])
        shown = list(lines[: sum(size <= _MOST_LISTED_BYTES for size in sizes)])
        if len(shown) < len(lines):
            shown.append(f"- … and {len(lines) - len(shown):,} more")
        listed = "\n".join(shown)
        yield f"<details><summary>{what}</summary>\n\n{listed}\n\n</details>"


def _suppressed(report: Report) -> list[str]:
    return [
        f"- {code_span(entry.rule)} · {code_span(f'{entry.file}#L{entry.line}')}: "
        f"{markdown(shortened(entry.suppressed_by or '', 200))}"
        for entry in report.suppressed
    ]


def _gaps(report: Report) -> list[str]:
    lines = []
    for place in phrases.gap_places(report.not_checked):
        at = f" · {code_span(f'{place.file}#L{place.line}' if place.line else place.file)}" if place.file else ""
        lines.append(f"- {markdown(shortened(place.text, 400))}{at}")
    return lines
