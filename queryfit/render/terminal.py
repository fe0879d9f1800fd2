"""A report on a server for a person at a terminal; the one on files is in `source`.

The first lines answer what to do first, what it saves and how sure that is; the last ones what to type next.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from queryfit import __version__, words
from queryfit.findings import Finding, Report
from queryfit.render import phrases, promises
from queryfit.render.escape import line, without_commands
from queryfit.render.look import Look
from queryfit.render.sql import highlighted, joined, paragraph
from queryfit.render.table import Cell, Column, console, has_own_width, table

SEVERITY_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}
PROOF_STYLES = {"measured": "green", "planned": "green", "inferred": "dim"}
MOST_ROWS = 20
_STATE_STYLES = {"new": "bold", "back": "bold red"}
_MOST_CHANGES = 5  # of each kind
_MOST_OUTCOMES = 5
_MOST_GAPS = 6
_WIDE = 110  # from here on the share of the load and the subject have columns of their own
_VERY_WIDE = 170  # from here on the rule, too
_ESSENCE_LINES = 6


def render(report: Report, look: Look, *, most_rows: int = MOST_ROWS, is_verbose: bool = False) -> str:
    """The report as text; `most_rows` findings are listed (0: all), -v also lists every gap."""
    parts = [_header(report, look)]
    if report.findings:
        parts.append(_first(report.findings[0], report, look))
        parts.append(_table(report, look, most_rows))
    else:
        parts.append(_nothing_found(report, look))
    parts.append(_changes(report, look))
    parts.append(_outcomes(report, look))
    parts.append(_suppressed(report, look))
    parts.append(_gaps(report, look, None if is_verbose else _MOST_GAPS))
    parts.append(_notes(report, look))
    parts.append(_next(report, look))
    return without_commands(joined(parts))


def _header(report: Report, look: Look) -> str:
    head = Text.assemble(("queryfit ", "bold"), (__version__, "bold"))
    facts: list[str | None] = []
    if report.server is not None:
        head.append(f" · {phrases.server(report.server)}")
        facts.append(phrases.window(report.window))
        if report.captured_ms_per_day is not None:
            facts.append(f"{words.duration(report.captured_ms_per_day)} of statement time a day")
        facts.append(phrases.cost(report.cost))
    if report.window and report.window.until:
        head.append(f" · {report.window.until:%Y-%m-%d %H:%M} UTC")
    said = " · ".join(fact for fact in facts if fact)
    return paragraph(head, look) + (f"\n{paragraph(said, look, style='dim')}" if said else "")


def _first(finding: Finding, report: Report, look: Look) -> str:
    """What to do first, what it saves, how sure that is, and the statement that does it."""
    stake = phrases.stake(finding, report.captured_ms_per_day)
    head = Text.assemble(
        ("Do this first", "bold reverse" if look.has_colour else "bold"),
        "  ",
        _severity(finding),
        " · ",
        (finding.proof, PROOF_STYLES[finding.proof]),
        (f" · {stake}" if stake else "", "bold green" if finding.impact_ms_per_day else ""),
    )
    lines = [paragraph(head, look), paragraph(line(finding.message), look, indent=2)]
    if finding.fix:
        core = phrases.essence(finding.fix).splitlines()
        shown = "\n".join([*core[:_ESSENCE_LINES], *(["…"] if len(core) > _ESSENCE_LINES else [])])
        lines.append(highlighted(shown, look, indent=4))
        if len(finding.fix.splitlines()) > len(core) and _is_remembered(report):
            said = "`queryfit fix 1` prints it with what belongs around it, and the undo."
            lines.append(paragraph(said, look, indent=2))
    elif _is_remembered(report):
        lines.append(paragraph("`queryfit show 1` prints the evidence.", look, indent=2))
    return "\n".join(lines)


def _table(report: Report, look: Look, most_rows: int) -> str:
    shown = report.findings[:most_rows] if most_rows else report.findings
    is_wide = look.width >= _WIDE or has_own_width(look.table_format)
    has_rule = look.width >= _VERY_WIDE or has_own_width(look.table_format)
    has_states = len({finding.state for finding in report.findings}) > 1
    columns = [Column("#", is_number=True), Column("severity"), Column("saves/day", is_number=True)]
    columns += [Column("of load", is_number=True)] if is_wide else []
    columns += [Column("proof")]
    columns += [Column("run")] if has_states else []
    columns += (
        [Column("finding", weight=5), Column("on", weight=4), *([Column("rule")] if has_rule else [])]
        if is_wide
        else [Column("finding", weight=1)]
    )
    rows = [
        _row(number, finding, report, is_wide=is_wide, has_rule=has_rule, has_states=has_states)
        for number, finding in enumerate(shown, 1)
    ]
    head = phrases.totals(report)
    if together := phrases.saved_together(report):
        head += f"; {together}"
    text = f"{paragraph(head, look, style='bold')}\n\n{table(columns, rows, look)}"
    if left := report.findings[len(shown) :]:
        text += f"\n{paragraph(f'… and {len(left)} more: --limit 0 lists them all.', look)}"
    return text


def _row(
    number: int, finding: Finding, report: Report, *, is_wide: bool, has_rule: bool, has_states: bool
) -> Sequence[Cell]:
    saving = phrases.saving(finding)
    title = line(finding.title)
    if near := phrases.due(finding):
        title = f"{title}, {near}"
    subject = phrases.subject(finding, 90 if is_wide else 100)
    cells: list[Cell] = [str(number), _severity(finding), Text(saving, "bold green") if saving else Text("-", "dim")]
    if is_wide:
        cells.append(phrases.share(finding.impact_ms_per_day, report.captured_ms_per_day) or "")
    cells.append(Text(finding.proof, PROOF_STYLES[finding.proof]))
    if has_states:
        cells.append(Text(finding.state, _STATE_STYLES.get(finding.state, "dim")))
    if is_wide:
        return [*cells, title, Text(subject, "bold"), *([Text(finding.rule, "dim")] if has_rule else [])]
    return [*cells, Text.assemble((title, "bold"), "\n  ", subject)]


def _is_remembered(report: Report) -> bool:
    """Whether `show` and `fix` can refer to this run: not where its capture could not be kept."""
    return report.capture is not None


def _severity(finding: Finding) -> Text:
    if finding.is_urgent:
        return Text("urgent", "bold white on red")
    return Text(finding.severity, SEVERITY_STYLES[finding.severity])


def _nothing_found(report: Report, look: Look) -> str:
    judged = phrases.counted(report.rules_run, "rule")
    if not report.rules_run:
        return paragraph("Nothing was judged: no rule ran.", look, style="bold")
    if report.not_checked:
        text = f"No finding by {judged}, as far as they could judge: what they could not is listed below."
        return paragraph(text, look, style="bold yellow")
    return paragraph(f"No finding: {judged} ran, and nothing kept them from judging.", look, style="bold green")


def _changes(report: Report, look: Look) -> str:
    if (said := promises.changes(report)) is None:
        return ""
    returned = [entry for entry in report.findings if entry.state == "back" and promises.is_changed(entry)]
    kinds = [
        ("fixed", "green", [promises.fixed(entry, report.outcomes) for entry in report.fixed]),
        (
            "back",
            "bold red",
            [
                f"{line(entry.title)}: {phrases.subject(entry, 120)} ({promises.was_fixed(entry) or 'was fixed'})"
                for entry in returned
            ],
        ),
        ("gone", "dim", [promises.gone(entry) for entry in report.gone]),
    ]
    lines = [paragraph(f"Since the run before: {said}", look)]
    for name, style, entries in kinds:
        shown = entries[:_MOST_CHANGES]
        lines += [paragraph(Text.assemble((f"{name:5}  ", style), line(entry, 400)), look, indent=2) for entry in shown]
        if len(entries) > len(shown):
            lines.append(f"  … and {len(entries) - len(shown)} more {name}")
    return "\n".join(lines)


def _outcomes(report: Report, look: Look) -> str:
    """Whether advice that was followed was right."""
    if (said := promises.calibration(report)) is None:
        return ""
    lines = [paragraph(Text.assemble(("Was the advice right? ", "bold"), f"{said[0].upper()}{said[1:]}."), look)]
    for outcome in report.outcomes[:_MOST_OUTCOMES]:
        text = f"{outcome.fixed_at:%Y-%m-%d}  {line(outcome.subject, 120)}: {promises.kept(outcome)}"
        lines.append(paragraph(text, look, indent=2))
        if seen := promises.seen(outcome):
            lines.append(paragraph(seen, look, indent=14, style="dim"))
    if (more := len(report.outcomes) - _MOST_OUTCOMES) > 0:
        lines.append(f"  … and {more} earlier")
    return "\n".join(lines)


def _suppressed(report: Report, look: Look) -> str:
    if not report.suppressed:
        return ""
    baseline = sum(entry.suppressed_by == "baseline" for entry in report.suppressed)
    others = len(report.suppressed) - baseline
    parts = ([f"{others} by the configuration"] if others else []) + (
        [f"{baseline} in the baseline"] if baseline else []
    )
    return paragraph(f"Suppressed: {', '.join(parts)}", look)


def _gaps(report: Report, look: Look, most: int | None) -> str:
    """What could not be judged, a reason at a time, and what would mend it."""
    gaps = phrases.gaps(report.not_checked)
    if not gaps:
        return ""
    rules = {rule for gap in gaps for rule in gap.rules}
    head = f"Not checked, so neither found nor clean: {phrases.counted(len(rules), 'rule')}, for these reasons"
    lines = [paragraph(head, look, style="bold")]
    for gap in gaps[:most]:
        reason = Text(line(gap.reason, 300))
        if gap.subjects:
            reason.append(f" ({phrases.of_what(gap.subjects)})")
        lines.append(paragraph(Text.assemble(("· ", "yellow"), reason), look, indent=2))
        lines.append(paragraph(f"keeps from judging: {phrases.some(gap.rules, 4)}", look, indent=4, style="dim"))
        if gap.hint:
            lines.append(paragraph(Text.assemble(("hint: ", "cyan"), line(gap.hint, 300)), look, indent=4))
    if most is not None and len(gaps) > most:
        lines.append(f"  … and {phrases.counted(len(gaps) - most, 'more reason')}: -v lists them all")
    return "\n".join(lines)


def _notes(report: Report, look: Look) -> str:
    return "\n".join(paragraph(f"note: {line(note, 400)}", look) for note in report.notes)


def _next(report: Report, look: Look) -> str:
    if not report.findings:
        return ""
    if _is_remembered(report):
        steps = [("queryfit show 1", "why, with the whole evidence")]
    else:
        steps = [("queryfit audit --format markdown", "all findings with their SQL")]
    if _is_remembered(report) and any(finding.fix for finding in report.findings):
        number = next(number for number, finding in enumerate(report.findings, 1) if finding.fix)
        steps.append((f"queryfit fix {number}", "the SQL, safe to run"))
    steps.append((f"queryfit rules show {report.findings[0].rule}", "what the rule looks for"))
    width = max(len(command) for command, _ in steps)
    lines = [Text.assemble("  ", (command.ljust(width), "bold"), f"   {why}") for command, why in steps]
    by = console(look)
    with by.capture() as captured:
        by.print(Text("\n").join([Text("Next", "bold"), *lines]), soft_wrap=True)
    return captured.get().rstrip("\n")
