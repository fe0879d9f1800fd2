"""Advice for a person at a terminal: the set, what it does to each statement, and what the money buys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from queryfit import __version__, words
from queryfit.advise import summary
from queryfit.advise.measure.measured import Measured
from queryfit.advise.model import Advice
from queryfit.render import advice_phrases as phrases
from queryfit.render.escape import line, without_commands
from queryfit.render.look import Look
from queryfit.render.phrases import counted
from queryfit.render.sql import joined, paragraph
from queryfit.render.table import Cell, Column, console, table

_MOST_STATEMENTS = 8
_MOST_GAPS = 4
_MOST_SUBJECT = 300
_BAR = 30  # columns of the longest bar
_EIGHTHS = "▏▎▍▌▋▊▉█"


def render(
    advice: Advice,
    look: Look,
    *,
    migration: Path | None = None,
    measured: Measured | None = None,
    is_verbose: bool = False,
) -> str:
    """The advice as text; -v lists every statement and every rejected candidate.

    `migration` is the file that the set was written to, null where it was not.
    """
    changes = summary.changes(advice)
    parts = [
        _header(advice, look),
        _headline(advice, look),
        _chosen(advice, look),
        _removals(advice, look),
        _helped(summary.helped(changes), advice, look, None if is_verbose else _MOST_STATEMENTS),
        _hurt(summary.hurt(changes), advice, look, None if is_verbose else _MOST_STATEMENTS),
        _measured(measured, look) if measured is not None else "",
        _curve(advice, look),
        _rejected(advice, look, is_verbose=is_verbose),
        _gaps(advice, look, None if is_verbose else _MOST_GAPS),
        "\n".join(paragraph(f"note: {line(note, 400)}", look) for note in advice.notes),
        _next(advice, look, migration),
    ]
    return without_commands(joined(parts))


def _header(advice: Advice, look: Look) -> str:
    head = Text.assemble(("queryfit ", "bold"), (__version__, "bold"))
    if place := advice.server or advice.workload.database:
        head.append(f" · {line(place, 200)}")
    facts = [phrases.load(advice)]
    if advice.budget_bytes is not None:
        facts.append(f"budget {words.size(advice.budget_bytes)}")
    facts.append(phrases.effort(advice))
    return f"{paragraph(head, look)}\n{paragraph(' · '.join(facts), look, style='dim')}"


def _headline(advice: Advice, look: Look) -> str:
    style = "bold green" if advice.chosen or advice.removals else "bold"
    return paragraph(
        Text.assemble((phrases.headline(advice), style), (f", {phrases.certainty(advice)}" if style != "bold" else "")),
        look,
    )


def _chosen(advice: Advice, look: Look) -> str:
    if not advice.chosen:
        return ""
    columns = [
        Column("#", is_number=True), Column("index", weight=1), Column("size", is_number=True),
        Column(phrases.per_day("saves", advice), is_number=True),
        Column(phrases.per_day("upkeep", advice), is_number=True), Column("build", is_number=True),
        Column("used by", is_number=True),
    ]  # fmt: skip
    rows: list[Sequence[Cell]] = []
    for number, chosen in enumerate(advice.chosen, 1):
        candidate = chosen.candidate
        what = Text.assemble((line(candidate.index.subject, _MOST_SUBJECT), "bold"))
        if candidate.why:
            what.append(Text.assemble("\n  ", (line(candidate.why, _MOST_SUBJECT), "dim")))
        saving = Text(phrases.amount(chosen.saving, advice), "bold green" if chosen.saving > 0 else "")
        rows.append([
            str(number), what, phrases.size(chosen), saving,
            phrases.amount(candidate.upkeep, advice), phrases.duration(chosen.build_ms),
            str(len(chosen.fingerprints)),
        ])  # fmt: skip
    return table(columns, rows, look)


def _removals(advice: Advice, look: Look) -> str:
    if not advice.removals:
        return ""
    columns = [Column("drop", weight=1), Column("frees", is_number=True), Column("because", weight=1)]
    rows: list[Sequence[Cell]] = [
        [
            Text.assemble((line(entry.existing.name, _MOST_SUBJECT), "bold"), "\n  ",
                          (line(entry.existing.index.subject, _MOST_SUBJECT), "dim")),
            words.size(entry.existing.size_bytes),
            line(entry.reason, _MOST_SUBJECT),
        ]
        for entry in advice.removals
    ]  # fmt: skip
    return table(columns, rows, look)


def _helped(changes: list[summary.Change], advice: Advice, look: Look, most: int | None) -> str:
    if not changes:
        return ""
    return _statements(phrases.cheaper(changes, advice), changes, advice, look, most, is_worse=False)


def _hurt(changes: list[summary.Change], advice: Advice, look: Look, most: int | None) -> str:
    if not advice.chosen and not advice.removals:
        return ""
    if not changes:
        return paragraph(phrases.worst(changes, advice), look, style="green")
    return _statements(phrases.worst(changes, advice), changes, advice, look, most, is_worse=True)


def _statements(
    head: str, changes: list[summary.Change], advice: Advice, look: Look, most: int | None, *, is_worse: bool
) -> str:
    columns = [
        Column(phrases.per_day("costs" if is_worse else "saves", advice), is_number=True),
        Column("change", is_number=True),
        *([Column("measured", is_number=True)] if advice.measured else []),
        Column("statement", weight=1),
    ]
    style = "yellow" if is_worse else "green"
    rows: list[Sequence[Cell]] = [
        [
            Text(phrases.amount(abs(change.saving), advice), style),
            phrases.factor(change.ratio),
            *([phrases.run(change, advice)] if advice.measured else []),
            phrases.text(change),
        ]
        for change in changes[:most]
    ]
    text = f"{paragraph(head, look, style='bold')}\n\n{table(columns, rows, look)}"
    if most is not None and len(changes) > most:
        text += f"\n{paragraph(f'… and {len(changes) - most} more: -v lists them all.', look)}"
    return text


def _measured(measured: Measured, look: Look) -> str:
    lines = [paragraph(Text.assemble(("Measured  ", "bold green"), phrases.measured(measured)), look)]
    for outcome in measured.slower:
        name = line(outcome.trial.query.text, phrases.MOST_TEXT)
        said = Text.assemble(("slower  ", "yellow"), f"{phrases.spread(outcome)}  {name}")
        lines.append(paragraph(said, look, indent=2))
    lines += [paragraph(fact, look, indent=2) for fact in phrases.measured_facts(measured)]
    return "\n".join(lines)


def _curve(advice: Advice, look: Look) -> str:
    """What each budget buys: a bar of what is saved, and behind it what the best possible could add."""
    points = summary.curve(advice)
    if len(points) < 2:  # noqa: PLR2004 -- one point is no curve
        return ""
    width = max(8, min(_BAR, look.width - 44))
    best = max((advice.cost_before - point.bound for point in points), default=0.0)
    columns = [Column("budget", is_number=True), Column("size", is_number=True), Column("indexes", is_number=True),
               Column("saves", is_number=True), Column("")]  # fmt: skip
    rows: list[Sequence[Cell]] = []
    for point in points:
        is_this = point.budget_bytes == advice.budget_bytes
        saved = advice.cost_before - point.cost_after
        bar = _bar(saved, advice.cost_before - point.bound, best, width)
        rows.append([
            Text(phrases.budget(point), "bold" if is_this else ""), words.size(point.size_bytes),
            str(len(point.indexes)), summary.percent(summary.share(saved, advice)),
            bar + Text(" ◂" if is_this else "", "bold"),
        ])  # fmt: skip
    text = f"{paragraph('What a budget buys', look, style='bold')}\n\n{table(columns, rows, look)}"
    if "░" in text:
        text += f"\n{paragraph('░ not reached: no set can save more than that', look, style='dim')}"
    return text


def _bar(value: float, bound: float, best: float, width: int) -> Text:
    eighths = round(max(value, 0.0) / best * width * 8) if best > 0 else 0
    full, rest = divmod(eighths, 8)
    text = "█" * full + (_EIGHTHS[rest - 1] if rest else "")
    beyond = round(max(bound, 0.0) / best * width) - len(text) if best > 0 else 0
    return Text.assemble((text, "green"), ("░" * beyond, "dim"))


def _rejected(advice: Advice, look: Look, *, is_verbose: bool) -> str:
    if not advice.rejected:
        return ""
    number = counted(len(advice.rejected), "candidate")
    if not is_verbose:
        return paragraph(f"{number} left out: -v says why.", look)
    columns = [Column("left out", weight=1), Column("size", is_number=True), Column("because", weight=1)]
    rows = [
        [
            line(entry.candidate.index.subject, _MOST_SUBJECT),
            words.size(entry.candidate.size.size_bytes) if entry.candidate.size else "",
            line(entry.reason, _MOST_SUBJECT),
        ]
        for entry in advice.rejected
    ]
    return f"{paragraph(f'{number} left out', look, style='bold')}\n\n{table(columns, rows, look)}"


def _gaps(advice: Advice, look: Look, most: int | None) -> str:
    gaps = summary.gaps(advice)
    if not gaps:
        return ""
    number = counted(len(advice.workload.skipped), "statement")
    lines = [paragraph(f"Not checked: {number}, for these reasons", look, style="bold")]
    for gap in gaps[:most]:
        many = f" ({counted(len(gap.fingerprints), 'statement')})"
        if most is None:
            many = f" ({', '.join(line(name, 40) for name in gap.fingerprints)})"
        lines.append(paragraph(Text.assemble(("· ", "yellow"), line(gap.reason, 300), many), look, indent=2))
        if gap.hint:
            lines.append(paragraph(Text.assemble(("hint: ", "cyan"), line(gap.hint, 300)), look, indent=4))
    if most is not None and len(gaps) > most:
        lines.append(f"  … and {counted(len(gaps) - most, 'more reason')}: -v lists them all")
    return "\n".join(lines)


def _next(advice: Advice, look: Look, migration: Path | None) -> str:
    if not advice.chosen and not advice.removals:
        return ""
    if migration is not None:
        steps = [(f"psql -v ON_ERROR_STOP=1 -f {line(str(migration))}", "build them, one at a time")]
    else:
        steps = [("queryfit advise … --output indexes.sql", "the migration, with its undo")]
    if not advice.measured:
        steps.append(("queryfit advise … --measure DSN", "prove it on a clone"))
    width = max(len(command) for command, _ in steps)
    lines = [Text.assemble("  ", (command.ljust(width), "bold"), f"   {why}") for command, why in steps]
    by = console(look)
    with by.capture() as captured:
        by.print(Text("\n").join([Text("Next", "bold"), *lines]), soft_wrap=True)
    return captured.get().rstrip("\n")
