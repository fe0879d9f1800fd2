"""A report as Markdown, for a ticket, a chat or a wiki."""

from __future__ import annotations

from collections.abc import Iterator

from queryfit import __version__
from queryfit.findings import Finding
from queryfit.render import phrases, report_tables
from queryfit.render import report_phrases as say
from queryfit.render.escape import code_block, code_span, markdown, shortened
from queryfit.render.report_tables import Cell, Table
from queryfit.report.choice import laid_out
from queryfit.report.model import Content

MOST_ROWS = 15
_MOST_SQL = 8_000


def render(content: Content) -> str:
    """The report: what changed, what to do with its SQL, then the tables."""
    return "\n\n".join(_parts(content)) + "\n"


def _parts(content: Content) -> Iterator[str]:
    yield f"# {markdown(content.headline.first.rstrip('.'))}"
    yield markdown(f"{say.place(content)} · {say.length(content.period.seconds)}, {say.stretch(content.period)}")
    if content.headline.rest:
        yield markdown(" ".join(content.headline.rest))
    yield "\n".join(
        f"- {markdown(card.name)}: **{markdown(card.value)}**" + (f" ({markdown(card.note)})" if card.note else "")
        for card in say.cards(content)
    )
    yield f"## What to do\n\n{markdown(say.totals(content))}"
    shown = laid_out(content.findings)
    yield from (_finding(finding, content) for finding in shown)
    names = {finding.id for finding in shown}
    rest = report_tables.open_findings([finding for finding in content.findings.found if finding.id not in names])
    yield from _section(f"### {phrases.counted(len(rest.rows), 'more finding')}", rest)
    yield from _section("### Fixed in this period", report_tables.fixed(content))
    yield from _section("### Not found any more, without a sign of a fix", report_tables.gone(content))
    yield from _section("## What changed", report_tables.changes(content))
    yield from _section("## Statements that took the most time", report_tables.statements(content))
    advice, calibration = report_tables.outcomes(content), say.calibration(content)
    if advice or calibration:
        yield "## Was the advice right?"
        yield from [markdown(calibration)] if calibration else []
        yield from [_table(advice)] if advice else []
    yield from _section("## One statement for every row of another", report_tables.loops(content))
    yield f"## Indexes\n\n{markdown(say.unused(content))}"
    yield from _section("### New in this period", report_tables.indexes(content.indexes.new))
    yield from _section("### Not scanned", report_tables.indexes(content.indexes.unused))
    yield from _section("### Most used", report_tables.indexes(content.indexes.most_used))
    yield from _section("## Tables", report_tables.tables(content))
    yield from _section("## Who was connected", report_tables.clients(content))
    yield from _section("## What active sessions waited for", report_tables.waits(content))
    yield from _section("## Where things are heading", report_tables.trends(content))
    yield from _section("## What happened to the server", report_tables.events(content))
    yield "## Not checked\n\nNeither found nor clean:\n\n" + "\n".join(_gaps(content))
    yield "### How the numbers were made\n\n" + "\n".join(f"- {markdown(text)}" for text in say.method(content))
    yield f"queryfit {__version__}. It changes nothing on the server."


def _section(head: str, table: Table) -> Iterator[str]:
    if table:
        yield head
        yield _table(table)


def _finding(finding: Finding, content: Content) -> str:
    facts = ["urgent" if finding.is_urgent else finding.severity, finding.proof]
    facts += [say.state(finding).lower()] if content.findings.compared_at else []
    if worth := phrases.stake(finding, content.findings.captured_ms_per_day):
        facts.append(worth)
    parts = [
        f"### {markdown(finding.title)}: {code_span(phrases.subject(finding, 160))}",
        " · ".join([*map(markdown, facts), code_span(finding.rule), code_span(finding.id)]),
        markdown(finding.message),
    ]
    if finding.fix:
        parts.append(code_block(shortened(finding.fix, _MOST_SQL), "sql"))
    return "\n\n".join(parts)


def _table(table: Table) -> str:
    """A pipe table of the first rows; lines that only a page can draw are left out."""
    kept = [
        place for place in range(len(table.columns)) if not any(row[place].values is not None for row in table.rows)
    ]
    lines = [
        f"| {' | '.join(markdown(table.columns[place]) for place in kept)} |",
        f"| {' | '.join('--:' if place in table.numbers else ':--' for place in kept)} |",
        *(f"| {' | '.join(_cell(row[place]) for place in kept)} |" for row in table.rows[:MOST_ROWS]),
    ]
    if len(table.rows) > MOST_ROWS:
        lines.append(f"\n… and {len(table.rows) - MOST_ROWS} more.")
    return "\n".join(lines)


def _cell(cell: Cell) -> str:
    text = code_span(cell.text) if cell.is_code else markdown(cell.text)
    return f"{text} ({markdown(cell.note)})" if cell.note else text


def _gaps(content: Content) -> Iterator[str]:
    for gap in say.gaps(content):
        subjects = f" ({markdown(phrases.of_what(gap.subjects, 5))})" if gap.subjects else ""
        rules = ", ".join(code_span(rule) for rule in gap.rules[:6])
        more = f" and {len(gap.rules) - 6} more" if len(gap.rules) > 6 else ""  # noqa: PLR2004
        yield f"- {markdown(gap.reason)}{subjects}: {rules}{more}"
        if gap.hint:
            yield f"  - hint: {markdown(gap.hint)}"
