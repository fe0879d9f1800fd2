"""What the doctor found: what can be judged, what cannot, and what mends it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from rich.text import Text

from queryfit.capture.doctor import Check
from queryfit.render.escape import block, line
from queryfit.render.look import Look
from queryfit.render.phrases import counted
from queryfit.render.sql import highlighted, joined, paragraph
from queryfit.render.table import Cell, Column, table
from queryfit.render.values import to_json

_STYLES = {"ok": "green", "limited": "yellow", "missing": "bold red"}


def diagnosis(checks: Sequence[Check], look: Look) -> str:
    """A table of checks, then each gap with its cost and its remedy; the worst first."""
    columns = [Column("check"), Column("status"), Column("found", weight=1)]
    rows: list[list[Cell]] = [
        [line(check.name), Text(check.status, _STYLES[check.status]), line(check.found)] for check in checks
    ]
    parts = [table(columns, rows, look)]
    gaps = sorted((check for check in checks if check.status != "ok"), key=lambda check: check.status != "missing")
    parts += [_gap(check, look) for check in gaps]
    by_status = Counter(check.status for check in checks)
    if gaps:
        said = ", ".join(
            f"{by_status[status]} {status}" for status in ("ok", "limited", "missing") if by_status[status]
        )
        said = (
            f"{counted(len(checks), 'check')}: {said}. `queryfit doctor --sql` prints a role that is fit for an audit."
        )
    else:
        said = f"{counted(len(checks), 'check')}, all well: `queryfit audit` can judge everything that it knows."
    return joined([*parts, paragraph(said, look, style="bold")])


def _gap(check: Check, look: Look) -> str:
    head = Text.assemble((line(check.name), "bold"), ": ", (check.status, _STYLES[check.status]))
    lines = [paragraph(head, look)]
    if check.cost:
        lines.append(paragraph(f"not judged for it: {line(check.cost)}", look, indent=2))
    if check.remedy:
        remedy = block(check.remedy)
        # SQL is kept whole, so that it can be copied; advice is wrapped
        is_sql = ";" in remedy
        lines.append(highlighted(remedy, look, indent=4) if is_sql else paragraph(line(remedy), look, indent=4))
    return "\n".join(lines)


def diagnosis_json(checks: Sequence[Check], role_sql: str) -> str:
    """The checks and the SQL that makes a fit role, as JSON."""
    return to_json({"checks": [asdict(check) for check in checks], "role_sql": role_sql})
