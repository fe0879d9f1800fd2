"""A report as one page that needs no network: it can be mailed, kept, printed, and read on a telephone.

Everything that is filled in is escaped by the template engine; control characters are written out before. The page
itself forbids every request and every script but its own, which its policy names by hash.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from typing import Any

from markupsafe import Markup, escape

from queryfit import __version__, words
from queryfit.findings import Finding
from queryfit.render import charts, pages, palette, phrases, report_charts, report_tables
from queryfit.render import report_phrases as say
from queryfit.render.escape import block, line, shortened
from queryfit.report.choice import laid_out
from queryfit.report.model import Content, Plan, PlanNode, Statement

_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:ms|s|min|h|days?|%|[kMGT]?B|[kMGT])\b|%)")
_MOST_SQL = 12_000
_MOST_TEXT = 6_000
_MOST_NODES = 60
_NOTABLE = 0.3  # share of a plan's cost from which a node stands out


def render(content: Content) -> str:
    """The page."""
    environment = pages.environment()
    environment.filters |= {"spark": report_charts.spark, "prose": _prose}
    assert environment.loader
    script = environment.loader.get_source(environment, "report.js")[0]
    style = _variables() + environment.loader.get_source(environment, "report.css")[0]
    # both are our own files; nothing is filled into them
    own = {"script": Markup(script), "style": Markup(style), "script_hash": _hash(script)}  # noqa: S704
    return environment.get_template("report.html").render(**own, **_facts(content)).lstrip()


def _prose(text: str) -> Markup:
    """Words with what stands between backticks as code, and no line break between a number and its unit."""
    parts = _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", block(text)).split("`")
    if len(parts) % 2 == 0:  # one is left over
        parts[-2:] = ["`".join(parts[-2:])]
    marked = [f"<code>{escape(part)}</code>" if place % 2 else str(escape(part)) for place, part in enumerate(parts)]
    return Markup("".join(marked))  # noqa: S704 -- every part is escaped


def _hash(script: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _variables() -> str:
    """The palette as CSS variables: light, dark where that is preferred, light on paper."""
    light, dark = (
        "".join(f"--{name}:{value};" for name, value in colours.items()) for colours in (palette.LIGHT, palette.DARK)
    )
    return (
        f":root{{color-scheme:light dark;{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
    )


def _facts(content: Content) -> dict[str, Any]:
    """What the page shows, in words."""
    findings = content.findings
    drawings: dict[str, Any] = dict.fromkeys(("load", "connections", "waits"))
    drawings |= {
        name: _drawing(drawing, "wide" if name == "load" else "half")
        for name, drawing in report_charts.drawings(content).items()
    }
    in_order = laid_out(findings)
    room = {finding.id for finding in in_order}
    rest = [finding for finding in findings.found if finding.id not in room]
    ranks: dict[str, list[int]] = {}
    for entry in content.statements:
        for name in entry.findings:
            ranks.setdefault(name, []).append(entry.rank)
    return {
        "version": __version__,
        "place": say.place(content),
        "stretch": say.stretch(content.period),
        "length": say.length(content.period.seconds),
        "headline": content.headline,
        "cards": say.cards(content),
        "findings": [_finding(finding, content, ranks.get(finding.id, [])) for finding in in_order],
        "was_judged": findings.judged_at is not None,
        "totals": say.totals(content),
        "rest_head": phrases.counted(len(rest), "more finding"),
        "rest": report_tables.open_findings(rest),
        "fixed": report_tables.fixed(content),
        "gone": report_tables.gone(content),
        "drawings": drawings,
        "changes": report_tables.changes(content),
        "has_before": content.before is not None,
        "statements": report_tables.statements(content),
        "more": [_more(entry, content, room) for entry in content.statements],
        "calibration": say.calibration(content),
        "outcomes": report_tables.outcomes(content),
        "unused_words": say.unused(content),
        "unused": report_tables.indexes(content.indexes.unused),
        "new_indexes": report_tables.indexes(content.indexes.new),
        "most_used": report_tables.indexes(content.indexes.most_used),
        "tables": report_tables.tables(content),
        "waits": report_tables.waits(content),
        "clients": report_tables.clients(content),
        "trends": report_tables.trends(content),
        "loops": report_tables.loops(content),
        "log_errors": content.log_errors,
        "events": report_tables.events(content),
        "gaps": [
            {
                "reason": line(gap.reason, 400),
                "hint": line(gap.hint or "", 300),
                "subjects": phrases.of_what(gap.subjects, 5) if gap.subjects else "",
                "rules": phrases.some(gap.rules, 6),
            }
            for gap in say.gaps(content)
        ],
        "method": list(say.method(content)),
    }


def _finding(finding: Finding, content: Content, ranks: list[int]) -> dict[str, Any]:
    captured = content.findings.captured_ms_per_day
    return {
        "anchor": f"f-{finding.id}",
        "id": finding.id,
        "severity": "urgent" if finding.is_urgent else finding.severity,
        "state": say.state(finding) if content.findings.compared_at else "",
        "is_new": finding.state in {"new", "back"},
        "title": line(finding.title, 160),
        "subject": phrases.subject(finding, 300),
        "message": line(finding.message, 600),
        "stake": phrases.stake(finding, captured),
        "saving": phrases.saving(finding) or "",
        "proof": finding.proof,
        "rule": finding.rule,
        "since": say.since(finding) or "",
        "essence": shortened(phrases.essence(finding.fix), 600) if finding.fix else "",
        "fix": shortened(finding.fix, _MOST_SQL) if finding.fix else "",
        "undo": shortened(finding.undo, _MOST_SQL) if finding.undo else "",
        "statements": ranks[:6],
    }


def _more(entry: Statement, content: Content, room: set[str]) -> dict[str, Any]:
    """What unfolds below a statement."""
    found = {finding.id: finding for finding in content.findings.found}
    change = entry.change
    plan_change = ""
    if change is not None and change.plan_before and change.plan_now and change.plan_before != change.plan_now:
        plan_change = f"{line(change.plan_before, 400)} → {line(change.plan_now, 400)}"
    facts = [f"{words.number(entry.calls)} calls in the period"]
    if entry.rows_per_call is not None:
        facts.append(f"{_rows(entry.rows_per_call)} each")
    if entry.temp_bytes:
        facts.append(f"{words.size(entry.temp_bytes)} of temporary files")
    if entry.before is not None and entry.before.mean_ms is not None:
        facts.append(f"{words.duration(entry.before.mean_ms)} each before")
    return {
        "text": shortened(block(entry.text), _MOST_TEXT) or "The text of this statement is not known.",
        "facts": f"{', '.join(facts)} · {entry.fingerprint} in {line(entry.database, 60)}",
        "change": say.effect(change) if change else "",
        "since": say.moment(change.changed_at) if change else "",
        "reason": line(change.reason or "", 300) if change else "",
        "plan_change": plan_change,
        "plan": _plan(entry.plan) if entry.plan else [],
        "findings": [
            {
                "title": line(found[name].title, 120),
                "subject": phrases.subject(found[name], 160),
                "saving": phrases.saving(found[name]) or "",
                "anchor": f"f-{name}" if name in room else "",
                "essence": shortened(phrases.essence(found[name].fix or ""), 600),
            }
            for name in entry.findings
            if name in found
        ],
    }


def _rows(rows: float) -> str:
    return f"{words.number(rows)} row{'' if rows == 1 else 's'}"


def _plan(plan: Plan) -> list[dict[str, Any]]:
    return [_node(node) for node in plan.nodes[:_MOST_NODES]]


def _node(node: PlanNode) -> dict[str, Any]:
    parts = [node.node_type]
    parts += [f"on {line(node.relation, 80)}"] if node.relation else []
    parts += [f"using {line(node.index, 80)}"] if node.index else []
    loops = f" × {words.number(node.loops)} loops" if node.loops > 1 else ""
    return {
        "depth": min(node.depth, 12),
        "text": " ".join(parts),
        "facts": f"{_rows(node.rows)}{loops}",
        "percent": round(node.cost_share * 100),
        "is_notable": node.cost_share >= _NOTABLE,
        "condition": line(node.condition or "", 240),
        "filter": line(node.filter or "", 240),
    }


def _drawing(drawing: report_charts.Drawing, size: charts.Size) -> dict[str, Any]:
    """A chart for wide and for narrow screens; only one of them is shown."""
    return {
        "name": drawing.chart.name,
        "title": drawing.title,
        "unit": drawing.unit,
        "wide": _titled(charts.svg(drawing.chart, size), drawing, size),
        "narrow": _titled(charts.svg(drawing.chart, "narrow"), drawing, "narrow"),
        "legend": drawing.legend,
        "table": drawing.table,
    }


def _titled(svg: str, drawing: report_charts.Drawing, size: str) -> Markup:
    """The element with its title and its words, so that who cannot see it is told."""
    name = f"{drawing.chart.name}-{size}"
    named = f'role="img" aria-labelledby="{name}-title {name}-words"'
    words_of_it = (
        f'<title id="{name}-title">{html.escape(block(drawing.title))}</title>'
        f'<desc id="{name}-words">{html.escape(block(drawing.description))}</desc>'
    )
    svg = re.sub(r'aria-hidden="true">', lambda _: f"{named}>{words_of_it}", svg, count=1)
    return Markup(svg)  # noqa: S704 -- matplotlib's, with texts escaped above
