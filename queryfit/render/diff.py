"""What is different between two captures, for a person at a terminal."""

from __future__ import annotations

from collections.abc import Sequence, Sized

from rich.text import Text

from queryfit import __version__, words
from queryfit.history.diff import Diff, IndexUse, StatementChange
from queryfit.history.schema_changes import SchemaChange
from queryfit.render import diff_phrases as phrases
from queryfit.render.escape import line, without_commands
from queryfit.render.look import Look
from queryfit.render.sql import joined, paragraph, styled
from queryfit.render.table import Column, table

MOST_ROWS = 20
_STYLES = {
    "slower": "bold red",
    "faster": "bold green",
    "new": "yellow",
    "gone": "dim",
    "busier": "cyan",
    "quieter": "cyan",
}
_MOST_LETTERS = 600


def render(diff: Diff, look: Look, *, most_rows: int = MOST_ROWS) -> str:
    """The differences; `most_rows` of each kind are listed (0: all)."""
    parts = [
        _header(diff, look),
        paragraph(phrases.summary(diff), look, style="bold"),
        _statements(diff, look, most_rows),
        _changes("Schema", diff.schema, look, most_rows),
        _changes("Settings", diff.settings, look, most_rows),
        _indexes(diff, look, most_rows),
        _events(diff, look),
        _gaps(diff, look),
    ]
    return without_commands(joined(parts))


def _header(diff: Diff, look: Look) -> str:
    head = Text.assemble((f"queryfit {__version__}", "bold"), f" · {line(phrases.server(diff))}")
    lines = [paragraph(head, look)]
    lines += [paragraph(line(text), look, style="dim") for text in phrases.sides(diff)]
    return "\n".join(lines)


def _statements(diff: Diff, look: Look, most_rows: int) -> str:
    if not diff.statements:
        return ""
    shown = diff.statements[:most_rows] if most_rows else diff.statements
    head = paragraph(f"Statements, compared with {diff.basis}", look, style="bold")
    return "\n".join([head, *(_statement(entry, look) for entry in shown), *_left(diff.statements, shown)])


def _statement(entry: StatementChange, look: Look) -> str:
    began = phrases.since(entry)
    lines = [_hanging(f"{entry.change:<8}", _STYLES.get(entry.change, ""), entry.text, look)]
    numbers = phrases.numbers(entry)
    lines.append(paragraph(" · ".join([*([began] if began else []), *numbers]), look, indent=10, style="dim"))
    if reason := entry.facts.get("reason"):
        lines.append(paragraph(Text.assemble(("why: ", "cyan"), line(str(reason), _MOST_LETTERS)), look, indent=10))
    if plans := phrases.plans(entry):
        lines += [paragraph(line(text, _MOST_LETTERS), look, indent=10) for text in plans]
    return "\n".join(lines)


def _changes(title: str, changes: Sequence[SchemaChange], look: Look, most_rows: int) -> str:
    if not changes:
        return ""
    shown = changes[:most_rows] if most_rows else changes
    marks = {"added": ("+ ", "green"), "dropped": ("- ", "red")}
    lines = [_hanging(*marks.get(entry.action, ("~ ", "yellow")), entry.words, look) for entry in shown]
    return "\n".join([paragraph(title, look, style="bold"), *lines, *_left(changes, shown)])


def _indexes(diff: Diff, look: Look, most_rows: int) -> str:
    if not diff.indexes:
        return ""
    shown = diff.indexes[:most_rows] if most_rows else diff.indexes
    columns = [
        Column("use"),
        Column("scans", is_number=True),
        Column("size", is_number=True),
        Column("index", weight=3),
        Column("table", weight=2),
    ]
    rows = [_index(entry) for entry in shown]
    head = paragraph("Indexes", look, style="bold")
    return "\n".join([f"{head}\n{table(columns, rows, look)}", *_left(diff.indexes, shown)])


def _index(entry: IndexUse) -> list[str]:
    size = words.size(entry.size_bytes) if entry.size_bytes is not None else ""
    use = phrases.INDEX_USES[entry.use]
    return [use, words.number(entry.scans), size, line(entry.index), line(entry.relation)]


def _events(diff: Diff, look: Look) -> str:
    texts = phrases.events(diff)
    if not texts:
        return ""
    lines = [_hanging("· ", "dim", text, look) for text in texts]
    return "\n".join([paragraph("What happened to the server and its counters", look, style="bold"), *lines])


def _gaps(diff: Diff, look: Look) -> str:
    if not diff.gaps:
        return ""
    head = paragraph("Not compared, or only in part", look, style="bold")
    lines = [_hanging("· ", "yellow", text, look) for text in diff.gaps]
    return "\n".join([head, *lines])


def _hanging(mark: str, style: str, text: str, look: Look) -> str:
    """A text behind a mark; the lines that it is broken into stand below the text."""
    indent = 2 + len(mark)
    body = paragraph(line(text, _MOST_LETTERS), look, indent=indent)
    return f"  {styled(mark, style, look)}{body[indent:]}"


def _left(every: Sized, shown: Sized) -> list[str]:
    left = len(every) - len(shown)
    return [f"  … and {left} more: --limit 0 lists them all"] if left else []
