"""Advice as Markdown, for an issue, a pull request or a wiki."""

from __future__ import annotations

from collections.abc import Sequence

from queryfit import __version__, words
from queryfit.advise import summary
from queryfit.advise.measure.measured import Measured
from queryfit.advise.migration import Migration
from queryfit.advise.model import Advice
from queryfit.render import advice_phrases as phrases
from queryfit.render.escape import code_block, code_span, markdown
from queryfit.render.phrases import counted

_MOST_SUBJECT = 300
_MOST_STATEMENTS = 50
_MOST_REJECTED = 50


def render(advice: Advice, *, migration: Migration | None = None, measured: Measured | None = None) -> str:
    """The advice with its migration."""
    changes = summary.changes(advice)
    facts = [f"queryfit {__version__}", *([advice.server] if advice.server else []), phrases.load(advice)]
    lead = phrases.headline(advice)
    has_set = bool(advice.chosen or advice.removals)
    parts = [
        "# queryfit advise",
        markdown(" · ".join([*facts, phrases.effort(advice)])),
        f"**{markdown(lead)}**" + (f", {markdown(phrases.certainty(advice))}." if has_set else ""),
        _chosen(advice),
        _removals(advice),
        _statements(phrases.cheaper(summary.helped(changes), advice), summary.helped(changes), advice),
        _statements(phrases.worst(summary.hurt(changes), advice), summary.hurt(changes), advice) if has_set else "",
        _measured(measured) if measured is not None else "",
        _curve(advice),
        _rejected(advice),
        _gaps(advice),
    ]
    if advice.notes:
        parts.append("## Notes\n\n" + "\n".join(f"- {markdown(note)}" for note in advice.notes))
    if migration is not None and has_set:
        parts.append(f"## Migration\n\n{code_block(migration.text.rstrip(), 'sql')}")
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; headings that begin with `>` stand right."""
    lines = [
        f"| {' | '.join(head.lstrip('>') for head in heads)} |",
        f"| {' | '.join('--:' if head.startswith('>') else ':--' for head in heads)} |",
    ]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def _chosen(advice: Advice) -> str:
    if not advice.chosen:
        return ""
    heads = [">#", "index", ">size", f">{phrases.per_day('saves', advice)}",
             f">{phrases.per_day('upkeep', advice)}", ">build", ">disk meanwhile", ">used by"]  # fmt: skip
    rows = [
        [
            str(number),
            f"{code_span(chosen.candidate.index.subject[:_MOST_SUBJECT])}<br>{markdown(chosen.candidate.why)}",
            phrases.size(chosen), phrases.amount(chosen.saving, advice),
            phrases.amount(chosen.candidate.upkeep, advice), phrases.duration(chosen.build_ms),
            words.size(chosen.disk_bytes) if chosen.disk_bytes else "", str(len(chosen.fingerprints)),
        ]
        for number, chosen in enumerate(advice.chosen, 1)
    ]  # fmt: skip
    return f"## Indexes to build\n\n{_table(heads, rows)}"


def _removals(advice: Advice) -> str:
    if not advice.removals:
        return ""
    rows = [
        [code_span(entry.existing.name), code_span(entry.existing.index.subject[:_MOST_SUBJECT]),
         words.size(entry.existing.size_bytes), markdown(entry.reason)]
        for entry in advice.removals
    ]  # fmt: skip
    return f"## Indexes to drop\n\n{_table(['index', 'on', '>frees', 'because'], rows)}"


def _statements(head: str, changes: list[summary.Change], advice: Advice) -> str:
    if not changes:
        return markdown(head)
    has_runs = bool(advice.measured)
    heads = [f">{phrases.per_day('saves', advice)}", ">change", *([">measured"] if has_runs else []), "statement"]
    rows = [
        [
            phrases.amount(change.saving, advice),
            phrases.factor(change.ratio),
            *([phrases.run(change, advice)] if has_runs else []),
            code_span(phrases.text(change)),
        ]
        for change in changes[:_MOST_STATEMENTS]
    ]
    text = f"## {markdown(head)}\n\n{_table(heads, rows)}"
    left = len(changes) - len(rows)
    return f"{text}\n\n… and {left} more" if left else text


def _measured(measured: Measured) -> str:
    lines = [f"## Measured\n\n{markdown(phrases.measured(measured))}"]
    lines += [
        f"- slower: {markdown(phrases.spread(outcome))} {code_span(outcome.trial.query.text[: phrases.MOST_TEXT])}"
        for outcome in measured.slower
    ]
    lines += [f"- {markdown(fact)}" for fact in phrases.measured_facts(measured)]
    return "\n".join([lines[0], "", *lines[1:]])


def _curve(advice: Advice) -> str:
    points = summary.curve(advice)
    if len(points) < 2:  # noqa: PLR2004 -- one point is no curve
        return ""
    rows = [
        [
            phrases.budget(point), words.size(point.size_bytes), str(len(point.indexes)),
            summary.percent(summary.share(advice.cost_before - point.cost_after, advice)),
            summary.percent(summary.share(advice.cost_before - point.bound, advice)),
        ]
        for point in points
    ]  # fmt: skip
    return f"## What a budget buys\n\n{_table(['>budget', '>size', '>indexes', '>saves', '>at most possible'], rows)}"


def _rejected(advice: Advice) -> str:
    if not advice.rejected:
        return ""
    rows = [
        [code_span(entry.candidate.index.subject[:_MOST_SUBJECT]), markdown(entry.reason)]
        for entry in advice.rejected[:_MOST_REJECTED]
    ]
    head = f"{counted(len(advice.rejected), 'candidate')} left out"
    return f"<details><summary>{head}</summary>\n\n{_table(['index', 'because'], rows)}\n\n</details>"


def _gaps(advice: Advice) -> str:
    gaps = summary.gaps(advice)
    if not gaps:
        return ""
    lines = [f"## Not checked: {counted(len(advice.workload.skipped), 'statement')}\n"]
    for gap in gaps:
        lines.append(f"- {markdown(gap.reason)} ({counted(len(gap.fingerprints), 'statement')})")
        if gap.hint:
            lines.append(f"  - hint: {markdown(gap.hint)}")
    return "\n".join(lines)
