"""Rules for people who read, trust or write them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.text import Text

from queryfit.render.escape import line, without_commands
from queryfit.render.look import Look
from queryfit.render.sql import highlighted, joined, paragraph, prose, styled
from queryfit.render.table import Cell, Column, table
from queryfit.ruleset import Rule

SEVERITY_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}


def listing(rules: Sequence[Rule], look: Look) -> str:
    """A table of rules."""
    columns = [Column("rule", weight=2), Column("group"), Column("severity"), Column("title", weight=3)]
    rows: list[list[Cell]] = [
        [rule.name, line(rule.group), Text(rule.severity, SEVERITY_STYLES[rule.severity]), line(rule.title)]
        for rule in rules
    ]
    return table(columns, rows, look)


def listing_json(rules: Sequence[Rule]) -> str:
    """The rules with their words and thresholds as a JSON array."""
    return json.dumps([_plain(rule) for rule in rules], indent=2, ensure_ascii=False)


def _plain(rule: Rule) -> dict[str, Any]:
    return {
        "rule": rule.name,
        "group": rule.group,
        "title": rule.title,
        "severity": rule.severity,
        "proof": rule.proof,
        "reads": list(rule.reads),
        "since": rule.since,
        "parameters": [
            {"name": parameter.name, "value": parameter.value, "reason": parameter.reason}
            for parameter in rule.parameters
        ],
        "sections": dict(rule.sections),
        "file": str(rule.path),
    }


def explained(rule: Rule, look: Look) -> str:
    """One rule whole: what it says, why, its thresholds, its SELECT and its examples."""
    head = Text.assemble(
        (line(rule.title), "bold"),
        "\n",
        (rule.name, "cyan"),
        f"  {line(rule.group)} · ",
        (rule.severity, SEVERITY_STYLES[rule.severity]),
        f" at most · {rule.proof} · since {line(rule.since)}",
    )
    parts = [paragraph(head, look)]
    parts += [f"{styled(line(title), 'bold', look)}\n{prose(text, look)}" for title, text in rule.sections.items()]
    if rule.parameters:
        columns = [Column("threshold"), Column("value", is_number=True), Column("why", weight=1)]
        rows = [[p.name, line(str(p.value)), line(p.reason)] for p in rule.parameters]
        setting = f"Set them in queryfit.toml, below [rule.{rule.name}]."
        parts.append(f"{styled('Thresholds', 'bold', look)}\n{table(columns, rows, look)}\n{setting}")
    if rule.fix:
        parts.append(f"{styled('Fix', 'bold', look)}\n{highlighted(rule.fix, look)}")
    parts.append(
        f"{styled('The SELECT', 'bold', look)}, over {', '.join(rule.reads)}\n{highlighted(rule.select, look)}"
    )
    for example in rule.examples:
        finds = f"finds {', '.join(map(line, example.finds))}" if example.finds else "finds nothing"
        title = f"{styled('Example', 'bold', look)} {line(example.title)}: {styled(finds, 'green', look)}"
        parts.append(f"{title}\n{highlighted(example.body, look)}")
    parts.append(line(f"{rule.path}"))
    return without_commands(joined(parts))
