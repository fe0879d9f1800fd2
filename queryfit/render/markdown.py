"""A report as Markdown, for an issue, a pull request or a wiki."""

from __future__ import annotations

from queryfit import __version__, words
from queryfit.findings import Finding, Report
from queryfit.render import phrases, promises, pull_request
from queryfit.render.escape import code_block, code_span, markdown


def render(report: Report) -> str:
    """The report: a table of all findings, each of them with its SQL, and what was not checked.

    Of files it is the comment of a pull request.
    """
    if report.files is not None:
        return pull_request.render(report)
    parts = ["# queryfit", _facts(report), f"**{_sentence(phrases.totals(report))}**"]
    if together := phrases.saved_together(report):
        parts.append(_sentence(markdown(together)))
    if report.findings:
        parts.append(_table(report))
    if changed := promises.changes(report):
        parts.append(f"Since the run before: {changed}.")
    parts += [_finding(number, finding, report) for number, finding in enumerate(report.findings, 1)]
    if report.suppressed:
        parts.append(f"## Suppressed\n\n{_suppressed(report)}")
    parts += _over_time(report)
    if report.not_checked:
        parts.append(f"## Not checked\n\nNeither found nor clean:\n\n{_gaps(report)}")
    elif not report.findings:
        parts.append(f"{phrases.counted(report.rules_run, 'rule')} ran, and nothing kept them from judging.")
    if report.notes:
        parts.append("## Notes\n\n" + "\n".join(f"- {markdown(note)}" for note in report.notes))
    return "\n\n".join(parts) + "\n"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _facts(report: Report) -> str:
    facts = [f"queryfit {__version__}"]
    if report.server is not None:
        facts += [phrases.server(report.server), phrases.window(report.window)]
        if report.captured_ms_per_day is not None:
            facts.append(f"{words.duration(report.captured_ms_per_day)} of statement time a day")
    if report.window and report.window.until:
        facts.append(f"{report.window.until:%Y-%m-%d %H:%M} UTC")
    if cost := phrases.cost(report.cost):
        facts.append(cost)
    return markdown(" · ".join(facts))


def _table(report: Report) -> str:
    lines = [
        "| # | severity | saves/day | of load | proof | finding | on |",
        "| --: | :-- | --: | --: | :-- | :-- | :-- |",
    ]
    for number, finding in enumerate(report.findings, 1):
        near = phrases.due(finding)
        cells = [
            str(number),
            "**urgent**" if finding.is_urgent else finding.severity,
            phrases.saving(finding) or "-",
            phrases.share(finding.impact_ms_per_day, report.captured_ms_per_day) or "",
            finding.proof,
            markdown(finding.title) + (f", {near}" if near else ""),
            code_span(phrases.subject(finding, 120)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _finding(number: int, finding: Finding, report: Report) -> str:
    worth = phrases.stake(finding, report.captured_ms_per_day)
    facts = [
        finding.severity,
        finding.proof,
        *([worth] if worth else []),
        *([over_time] if (over_time := promises.past(finding)) else []),
        code_span(finding.rule),
        code_span(finding.id),
    ]
    parts = [
        f"## {number}. {markdown(finding.title)}: {code_span(phrases.subject(finding, 160))}",
        " · ".join(facts),
        markdown(finding.message),
    ]
    if finding.fix:
        parts.append(code_block(finding.fix, "sql"))
    if finding.undo:
        parts.append(f"Undo:\n\n{code_block(finding.undo, 'sql')}")
    return "\n\n".join(parts)


def _over_time(report: Report) -> list[str]:
    """What is not there any more, and what came of advice."""
    parts = []
    if report.fixed:
        lines = [f"- {markdown(promises.fixed(entry, report.outcomes))}" for entry in report.fixed]
        parts.append("## Fixed since the run before\n\n" + "\n".join(lines))
    if report.gone:
        lines = [f"- {markdown(promises.gone(entry))}" for entry in report.gone]
        parts.append("## Not found any more, and not known to be fixed\n\n" + "\n".join(lines))
    if said := promises.calibration(report):
        parts.append(f"## Was the advice right?\n\n{_sentence(markdown(said))}")
        parts.append(_outcomes(report))
    return parts


def _outcomes(report: Report) -> str:
    lines = ["| fixed | finding | promise | seen |", "| :-- | :-- | :-- | :-- |"]
    for outcome in report.outcomes:
        cells = [
            f"{outcome.fixed_at:%Y-%m-%d}",
            f"{markdown(outcome.title)}: {code_span(outcome.subject)}",
            markdown(promises.kept(outcome)),
            markdown(promises.seen(outcome) or ""),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _suppressed(report: Report) -> str:
    return "\n".join(
        f"- {markdown(entry.title)}: {code_span(phrases.subject(entry, 120))} ({markdown(entry.suppressed_by or '')})"
        for entry in report.suppressed
    )


def _gaps(report: Report) -> str:
    lines = []
    for gap in phrases.gaps(report.not_checked):
        subjects = f" ({markdown(phrases.of_what(gap.subjects, 5))})" if gap.subjects else ""
        lines.append(f"- {markdown(gap.reason)}{subjects}: {', '.join(code_span(rule) for rule in gap.rules)}")
        if gap.hint:
            lines.append(f"  - hint: {markdown(gap.hint)}")
    return "\n".join(lines)
