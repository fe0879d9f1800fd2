"""What is different between two captures, as Markdown and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from queryfit import __version__, words
from queryfit.history.diff import Diff, Side, StatementChange
from queryfit.render import diff_phrases as phrases
from queryfit.render.escape import code_block, code_span, markdown
from queryfit.render.values import to_json

VERSION = 1


def render(diff: Diff) -> str:
    """The differences, for an issue or a wiki."""
    parts = ["# queryfit diff", "  \n".join([markdown(phrases.server(diff)), *map(markdown, phrases.sides(diff))])]
    parts.append(f"**{markdown(phrases.summary(diff))}**")
    if diff.statements:
        parts.append(f"## Statements\n\nCompared with {markdown(diff.basis)}.")
        parts += [_statement(entry) for entry in diff.statements]
    for title, changes in (("Schema", diff.schema), ("Settings", diff.settings)):
        if changes:
            parts.append(f"## {title}\n\n" + "\n".join(f"- {markdown(entry.words)}" for entry in changes))
    if diff.indexes:
        parts.append(_indexes(diff))
    if texts := phrases.events(diff):
        parts.append("## Server and counters\n\n" + "\n".join(f"- {markdown(text)}" for text in texts))
    if diff.gaps:
        parts.append("## Not compared, or only in part\n\n" + "\n".join(f"- {markdown(text)}" for text in diff.gaps))
    return "\n\n".join(parts) + "\n"


def _statement(entry: StatementChange) -> str:
    began = phrases.since(entry)
    facts = [*([began] if began else []), *phrases.numbers(entry)]
    lines = [f"### {entry.change}", code_block(entry.text, "sql"), markdown(" · ".join(facts))]
    if reason := entry.facts.get("reason"):
        lines.append(f"Why: {markdown(str(reason))}")
    lines += [markdown(text) for text in phrases.plans(entry)]
    return "\n\n".join(lines)


def _indexes(diff: Diff) -> str:
    lines = ["## Indexes", "", "| use | scans | size | index | table |", "| :-- | --: | --: | :-- | :-- |"]
    lines += [
        f"| {phrases.INDEX_USES[entry.use]} | {words.number(entry.scans)} |"
        f" {words.size(entry.size_bytes) if entry.size_bytes is not None else ''} |"
        f" {code_span(entry.index)} | {code_span(entry.relation)} |"
        for entry in diff.indexes
    ]
    return "\n".join(lines)


def render_json(diff: Diff) -> str:
    """The differences for programs; every key is always there, null where it is unknown."""
    return to_json(
        {
            "version": VERSION,
            "tool_version": __version__,
            "before": _side(diff.before),
            "now": _side(diff.now),
            "is_same_server": diff.is_same_server,
            "watched_s": diff.seconds,
            "basis": diff.basis,
            "statements": [{"text": entry.text, **entry.facts} for entry in diff.statements],
            "schema": [asdict(entry) for entry in diff.schema],
            "settings": [asdict(entry) for entry in diff.settings],
            "indexes": [asdict(entry) for entry in diff.indexes],
            "events": diff.events,
            "gaps": diff.gaps,
        }
    )


def _side(side: Side) -> dict[str, Any]:
    return {
        "capture": side.name,
        "folder": str(side.folder),
        "kind": side.kind,
        "captured_at": side.at,
        "server": side.server,
    }
