"""A report as a letter: HTML that mail clients show, the same as plain text, and the charts as pictures.

Mail clients know tables and inline styles, no scripts, no variables and little else; the page itself can be attached.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from queryfit import __version__
from queryfit.delivery.message import Attachment, Image, Letter
from queryfit.findings import Finding
from queryfit.render import charts, pages, palette, phrases, report_charts, report_tables
from queryfit.render import report_phrases as say
from queryfit.render.escape import block, line, shortened
from queryfit.render.report_tables import Cell, Table
from queryfit.report.choice import laid_out
from queryfit.report.model import Content

MOST_FINDINGS = 5
MOST_STATEMENTS = 8
MOST_ROWS = 6
_WIDTH = 76
_MOST_BRIEF = 4
_MINOR = frozenset({"evicted", "gap"})  # events that the page tells
_NAMED = {"since", "fixed"}  # columns whose values need their name before them
_SHORT = {"statement", "time/day", "share", "change", "mean"}


def letter(content: Content, *, title: str | None = None, page: str | None = None) -> Letter:
    """The letter, with the page as an attachment where it is given. `title` stands before the subject."""
    drawings = report_charts.drawings(content)
    images = [
        Image(f"{name}@queryfit", charts.png(drawing.chart), f"{drawing.title}. {drawing.description}")
        for name, drawing in drawings.items()
        if name == "load"
    ]
    day = content.period.until.strftime("%Y-%m-%d")
    subject = f"{line(title, 40)}: {content.headline.subject}" if title else content.headline.subject
    return Letter(
        subject=shortened(subject, say.MOST_SUBJECT),
        text=text(content),
        html=html(content, drawings),
        images=images,
        attachments=[Attachment(f"queryfit-report-{day}.html", page.encode())] if page is not None else (),
        brief=brief(content),
    )


def brief(content: Content) -> list[str]:
    """The few lines that a chat shows."""
    lines = [content.headline.first, *content.headline.rest[:2]]
    cards = " · ".join(f"{card.name} {card.value} ({card.note})" for card in say.cards(content)[:3])
    return [block(entry) for entry in [*lines, cards]][:_MOST_BRIEF]


def html(content: Content, drawings: dict[str, report_charts.Drawing]) -> str:
    """The HTML part."""
    return pages.environment().get_template("report_mail.html").render(_facts(content, drawings)).lstrip()


def _facts(content: Content, drawings: dict[str, report_charts.Drawing]) -> dict[str, Any]:
    findings = laid_out(content.findings, MOST_FINDINGS)
    load = drawings.get("load")
    return {
        "version": __version__,
        "colours": palette.LIGHT,
        "place": say.place(content),
        "stretch": f"{say.length(content.period.seconds)}, {say.stretch(content.period)}",
        "headline": content.headline,
        "cards": say.cards(content),
        "totals": say.totals(content),
        "findings": [_finding(finding, content) for finding in findings],
        "more": max(len(content.findings.found) - len(findings), 0),
        "fixed": _entries(report_tables.fixed(content).first(MOST_ROWS), "saves/day"),
        "load": load,
        "load_words": f"{load.title}. {load.description}" if load else "",
        "changes": _entries(report_tables.changes(content).first(MOST_ROWS), "time/day"),
        "statements": _entries(_narrow(report_tables.statements(content).first(MOST_STATEMENTS)), "time/day"),
        "calibration": say.calibration(content) or "",
        "outcomes": _entries(report_tables.outcomes(content).first(MOST_ROWS), "got/day"),
        "trends": _entries(_near(content), "reaches it"),
        "events": report_tables.events(content, but=_MINOR).first(10),
        "gaps": [f"{line(gap.reason, 200)} ({phrases.some(gap.rules, 3)})" for gap in say.gaps(content)[:MOST_ROWS]],
        "method": list(say.method(content))[:2],
    }


def _finding(finding: Finding, content: Content) -> dict[str, Any]:
    known = content.findings.compared_at is not None
    return {
        "command": f"queryfit {'fix' if finding.fix else 'show'} {finding.id}",
        "severity": "urgent" if finding.is_urgent else finding.severity,
        "state": say.state(finding).lower() if known else "",
        "title": line(finding.title, 160),
        "subject": phrases.subject(finding, 200),
        "message": line(finding.message, 500),
        "stake": phrases.stake(finding, content.findings.captured_ms_per_day),
        "proof": finding.proof,
        "essence": shortened(phrases.essence(finding.fix), 500) if finding.fix else "",
    }


def _near(content: Content) -> Table:
    table = report_tables.trends(content)
    rows = [row for row, trend in zip(table.rows, content.trends, strict=True) if trend.days_left is not None]
    return Table(table.columns, rows[:MOST_ROWS], table.numbers)


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of a table as a telephone has room for it: what it is about, one figure beside it, the rest below."""

    head: Cell
    figure: Cell | None
    facts: str


def _entries(table: Table, figure: str) -> list[Entry]:
    """The rows of a table; `figure` names the column of the one figure."""
    place = table.columns.index(figure)
    entries = []
    for row in table.rows:
        head = next((cell for cell in row if cell.is_code), row[0])
        facts = [
            f"{name} {cell.text}" if number in table.numbers or name in _NAMED else cell.text
            for number, (name, cell) in enumerate(zip(table.columns, row, strict=True))
            if cell.text and cell is not head and number != place and cell.values is None
        ]
        entries.append(Entry(head, row[place] if row[place].text else None, " · ".join(facts)))
    return entries


def _narrow(table: Table) -> Table:
    """The columns that fit into a mail."""
    kept = [place for place, name in enumerate(table.columns) if name in _SHORT]
    numbers = frozenset(new for new, old in enumerate(kept) if old in table.numbers)
    return Table(
        [table.columns[place] for place in kept], [[row[place] for place in kept] for row in table.rows], numbers
    )


def text(content: Content) -> str:
    """The plain-text part."""
    return "\n".join(_lines(content)).rstrip() + "\n"


def _lines(content: Content) -> Iterator[str]:
    yield from _wrapped(content.headline.first)
    yield ""
    if content.headline.rest:
        yield from _wrapped(" ".join(content.headline.rest))
        yield ""
    yield f"{say.place(content)}"
    yield f"{say.length(content.period.seconds)}, {say.stretch(content.period)}"
    yield ""
    for card in say.cards(content):
        yield f"{card.name + ':':<24}{card.value:<12}{card.note}".rstrip()
    yield from _head("What to do")
    yield from _wrapped(say.totals(content))
    for number, finding in enumerate(laid_out(content.findings, MOST_FINDINGS), 1):
        shown = _finding(finding, content)
        yield ""
        facts = ", ".join(filter(None, (shown["severity"], shown["state"], shown["proof"])))
        yield from _wrapped(f"{number}. {shown['title']} ({facts})")
        yield from _wrapped(shown["subject"], 3)
        yield from _wrapped(shown["message"], 3)
        if shown["stake"]:
            yield from _wrapped(shown["stake"], 3)
        yield f"   {shown['command']}"
    tables = (
        ("Fixed", report_tables.fixed(content).first(MOST_ROWS)),
        ("What changed", report_tables.changes(content).first(MOST_ROWS)),
        ("Statements that took the most time", _narrow(report_tables.statements(content).first(MOST_STATEMENTS))),
        ("Was the advice right?", report_tables.outcomes(content).first(MOST_ROWS)),
        ("Near their limit", _near(content)),
        ("What happened to the server", report_tables.events(content, but=_MINOR).first(10)),
    )
    for title, table in tables:
        if table:
            yield from _head(title)
            if title.startswith("Was") and (said := say.calibration(content)):
                yield from _wrapped(said)
            for row in table.rows:
                yield from _row(table, row)
    yield from _head("Not checked")
    for gap in say.gaps(content)[:MOST_ROWS]:
        yield from _wrapped(f"- {line(gap.reason, 200)} ({phrases.some(gap.rules, 3)})", 2, first=0)
    yield ""
    yield from _wrapped(" ".join(list(say.method(content))[:2]))
    yield ""
    yield f"queryfit {__version__}. It changes nothing on the server."


def _head(title: str) -> Sequence[str]:
    return "", title, "-" * len(title)


def _row(table: Table, row: Sequence[Cell]) -> Iterator[str]:
    """A row as its first text and, below it, the other values; numbers and dates with their names."""
    cells = [(place, cell) for place, cell in enumerate(row) if cell.text and cell.values is None]
    if len(table.columns) == 2:  # noqa: PLR2004 -- when and what
        yield from _wrapped("  ".join(cell.text for _, cell in cells), 4, first=0)
        return
    code = next((cell for _, cell in cells if cell.is_code), cells[0][1])
    others = [
        f"{table.columns[place]} {cell.text}" if place in table.numbers or table.columns[place] in _NAMED else cell.text
        for place, cell in cells
        if cell is not code
    ]
    yield from _wrapped(code.text, 2, first=0)
    if others:
        yield from _wrapped("; ".join(others), 4)
    if code.note:
        yield from _wrapped(code.note, 4)


def _wrapped(words: str, indent: int = 0, first: int | None = None) -> list[str]:
    """Lines of at most 76 characters; a word that is longer stays whole."""
    return textwrap.wrap(
        block(words).replace("\n", " "),
        _WIDTH,
        initial_indent=" " * (indent if first is None else first),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]
