"""One finding with its whole evidence: what, why, the statements, plans, tables and numbers, the fix and the undo."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text
from rich.tree import Tree

from queryfit import words
from queryfit.details import Details, Plan
from queryfit.findings import Finding
from queryfit.render import phrases, promises
from queryfit.render.escape import block, line, shortened, without_commands
from queryfit.render.look import Look
from queryfit.render.sql import highlighted, indented, joined, paragraph, prose, styled
from queryfit.render.table import Cell, Column, console, table
from queryfit.render.terminal import PROOF_STYLES, SEVERITY_STYLES
from queryfit.ruleset import Rule

_MOST_TEXT = 6_000  # characters of a statement; the evidence has the rest
_MOST_NUMBERS = 40
_EXPENSIVE = 0.4  # share of a plan's cost from which a node stands out
_UNIT = re.compile(r"_(ms|bytes)(?=$|_per_)")  # the value says it
_SHOWN_ELSEWHERE = {"also", "statements", "database", "fingerprint", "fix_read_bytes", "fix_disk_bytes"}


def render(finding: Finding, rule: Rule | None, details: Details, look: Look, *, number: int) -> str:
    """The finding as text; `rule` is None when its file is no longer there."""
    parts = [_head(finding, look, number)]
    if finding.fix:
        parts.append(f"{_heading('Fix', look)}\n{highlighted(finding.fix, look)}")
    if finding.undo:
        head = f"{_heading('Undo', look)}, in essence: `queryfit fix {number} --undo` prints it safe to run"
        parts.append(f"{head}\n{highlighted(phrases.essence(finding.undo), look)}")
    parts.append(_numbers(finding, details, look))
    parts += [_statement(row, look) for row in details.statements]
    if (left := details.statement_count - len(details.statements)) > 0:
        parts.append(f"… and {phrases.counted(left, 'more statement')}: `queryfit sql` reads them all.")
    parts += [_plan(plan, look) for plan in details.plans]
    parts.append(_relations(details, look))
    parts.append(_indexes(details, look))
    parts.append(_also(finding, look))
    if rule is not None:
        parts += [f"{_heading(line(title), look)}\n{prose(text, look)}" for title, text in rule.sections.items()]
    return without_commands(joined(parts))


def _heading(text: str, look: Look) -> str:
    return styled(text, "bold", look)


def _head(finding: Finding, look: Look, number: int) -> str:
    facts = Text.assemble(
        (finding.severity, SEVERITY_STYLES[finding.severity]),
        " · ",
        (finding.proof, PROOF_STYLES[finding.proof]),
        f" · {finding.state}",
    )
    if finding.is_urgent:
        facts = Text.assemble(("urgent", "bold white on red"), " · ", facts)
    if stake := phrases.stake(finding, None):
        facts.append(f" · {stake}", "bold green" if finding.impact_ms_per_day else "")
    over_time = promises.past(finding)
    where = f" in {line(finding.database)}" if finding.database else ""
    place = f"{finding.file}:{finding.line}" if finding.file and finding.line else finding.file
    lines = [
        paragraph(Text.assemble((f"{number}. {line(finding.title)}", "bold")), look),
        paragraph(Text.assemble((phrases.subject(finding), "cyan"), where), look),
        paragraph(facts, look),
        *([paragraph(over_time, look)] if over_time else []),
        *([paragraph(line(place), look)] if place else []),
        paragraph(f"{finding.rule} · {finding.id}", look, style="dim"),
        "",
        paragraph(line(finding.message), look),
    ]
    return "\n".join(lines)


def _numbers(finding: Finding, details: Details, look: Look) -> str:
    """The columns of the rule that no other part shows, each in its unit."""
    shown_texts = {row["text"] for row in details.statements}
    rows: list[Sequence[Cell]] = []
    for name, value in finding.evidence.items():
        is_elsewhere = name in _SHOWN_ELSEWHERE or name.endswith(("_sql", "_words"))
        if is_elsewhere or value is None or isinstance(value, dict | list):
            continue
        if isinstance(value, str):
            if value in shown_texts:
                continue
            text = block(value)
        else:
            # a process id is a name, not a count
            text = str(value) if name.endswith("pid") else words.in_words(name, value)
        label = _UNIT.sub("", name)
        rows.append([line(label.replace("_", " ")), shortened(text, 500)])
    if not rows:
        return ""
    columns = [Column("evidence"), Column("value", weight=1)]
    return f"{_heading('The numbers', look)}\n{_table(columns, rows[:_MOST_NUMBERS], look)}"


def _table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], look: Look) -> str:
    return indented(table(columns, rows, Look(look.width - 2, look.has_colour, "simple")))


def _statement(row: Mapping[str, Any], look: Look) -> str:
    facts = [
        f"{words.number(row['calls'])} calls" + _rate(row["calls_per_day"]),
        f"{words.duration(row['mean_ms'])} each",
        f"{words.number(row['rows_per_call'])} rows each",
        f"{words.percent(row['time_share'])} of all statement time",
    ]
    head = f"{_heading('Statement', look)} {row['fingerprint']}"
    said = paragraph(", ".join(facts), look, indent=2, style="dim")
    return f"{head}\n{said}\n{highlighted(_formatted(row['text']), look)}"


def _rate(per_day: float | None) -> str:
    return f" ({words.number(per_day)} a day)" if per_day is not None else ""


def _formatted(text: str) -> str:
    """The statement laid out by its own parse tree; as it is when it does not parse or is very long."""
    if len(text) > _MOST_TEXT:
        return shortened(text, _MOST_TEXT)
    from queryfit.sql.parse import parse  # noqa: PLC0415 -- the parser loads only where a statement is shown

    parsed = parse(text)
    if parsed.error or len(parsed.statements) != 1:
        return text
    from pglast.stream import IndentedStream  # noqa: PLC0415

    try:
        return str(IndentedStream(comma_at_eoln=True)(parsed.statements[0]))
    except Exception:  # noqa: BLE001 -- a node that the printer does not know must not hide the statement
        return text


def _plan(plan: Plan, look: Look) -> str:
    """The plan as a tree: what it reads and how, rows and cost expected, and where the cost arises."""
    if not plan.nodes:
        return ""
    total = max(float(plan.facts["total_cost"]), 1e-9)
    trees: dict[int, Tree] = {}
    for node in plan.nodes:
        label = _node(node, total)
        parent = trees.get(node["parent"]) if node["parent"] is not None else None
        trees[node["node"]] = parent.add(label) if parent else Tree(label, guide_style="dim")
    by = console(Look(look.width - 2, look.has_colour))
    with by.capture() as captured:
        by.print(trees[plan.nodes[0]["node"]])
    body = "\n".join(text.rstrip() for text in captured.get().rstrip("\n").splitlines())
    head = f"{_heading('Plan', look)} of {plan.facts['fingerprint']}, {str(plan.facts['origin']).replace('_', ' ')}"
    return f"{head}\n{indented(body)}"


def _node(node: Mapping[str, Any], total: float) -> Text:
    cost = float(node["self_cost"]) * max(float(node["estimated_loops"] or 1), 1)
    part = min(cost / total, 1)
    label = Text.assemble((line(str(node["node_type"])), "bold red" if part >= _EXPENSIVE else "bold"))
    if node["join_type"] and node["join_type"] != "Inner":
        label.append(f" ({line(node['join_type'])})")
    if node["relation"]:
        alias = node["alias"]
        is_other = alias and alias != str(node["relation"]).rpartition(".")[2]
        label.append(f" on {line(node['relation'])}" + (f" as {line(alias)}" if is_other else ""), "cyan")
    if node["index"]:
        label.append(f" using {line(node['index'])}", "cyan")
    if node["subplan_name"]:
        label.append(f" [{line(node['subplan_name'])}]")
    loops = float(node["estimated_loops"] or 1)
    label.append(
        f"  {words.number(node['plan_rows'])} rows, cost {words.number(node['total_cost'])}"
        + (f", {words.number(loops)} loops" if loops > 1 else "")
        + (f", {words.percent(part)} of the cost here" if part >= 0.05 else ""),  # noqa: PLR2004
        "dim",
    )
    if node["actual_rows"] is not None:
        label.append(f"; actual {words.number(node['actual_rows'])} rows")
    for name in ("condition", "filter", "sort_key"):
        if node[name]:
            label.append(f"\n{name.replace('_', ' ')}: {line(node[name], 200)}", "dim")
    return label


def _relations(details: Details, look: Look) -> str:
    if not details.relations:
        return ""
    columns = [
        Column("table", weight=1),
        Column("rows", is_number=True),
        Column("size", is_number=True),
        Column("indexes", is_number=True),
        Column("dead", is_number=True),
        Column("scans seq/index", is_number=True),
        Column("analyzed"),
    ]
    rows = [
        [
            line(row["relation"])
            + ("" if row["kind"] == "table" else f" ({line(str(row['kind']).replace('_', ' '))})"),
            _or_unknown(words.number, row["tuple_rows"]),
            _or_unknown(words.size, row["size_bytes"]) + (" or so" if row["is_size_estimated"] else ""),
            _or_unknown(words.size, row["index_bytes"]),
            _or_unknown(words.number, row["dead_rows"]),
            f"{_or_unknown(words.number, row['sequential_scans'])} / {_or_unknown(words.number, row['index_scans'])}",
            f"{row['analyzed_at']:%Y-%m-%d}" if row["analyzed_at"] else "never seen",
        ]
        for row in details.relations
    ]
    return f"{_heading('Tables', look)}\n{_table(columns, rows, look)}"


def _indexes(details: Details, look: Look) -> str:
    if not details.indexes:
        return ""
    columns = [
        Column("index", weight=2),
        Column("columns", weight=3),
        Column("kind"),
        Column("size", is_number=True),
        Column("scans", is_number=True),
    ]
    rows = []
    for row in details.indexes:
        keys = line(row["key_columns"])
        keys += f" include ({line(row['included_columns'])})" if row["included_columns"] else ""
        keys += f" where {line(row['predicate'], 80)}" if row["predicate"] else ""
        kind = "primary key" if row["is_primary"] else "unique" if row["is_unique"] else line(row["access_method"])
        kind += "" if row["is_valid"] else ", INVALID"
        size, scans = _or_unknown(words.size, row["size_bytes"]), _or_unknown(words.number, row["scans"])
        rows.append([line(row["index"]), keys, kind, size, scans])
    return f"{_heading('Indexes', look)}\n{_table(columns, rows, look)}"


def _or_unknown(form: Any, value: float | None) -> str:
    return "?" if value is None else str(form(value))


def _also(finding: Finding, look: Look) -> str:
    """Other faults with the same root: one cure mends them too."""
    also = finding.evidence.get("also") or ()
    if not also:
        return ""
    lines = [
        paragraph(
            Text.assemble(
                ("· ", "yellow"), (line(other["rule"]), "cyan"), f" ({other['proof']}): {line(other['message'])}"
            ),
            look,
            indent=2,
        )
        for other in also
    ]
    return "\n".join([_heading("The same root also shows as", look), *lines])
