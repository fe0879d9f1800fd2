"""The SQL of a fix, whole and in essence."""

from __future__ import annotations

import re

from queryfit.findings import Finding
from queryfit.render.escape import line, without_commands
from queryfit.render.look import Look
from queryfit.render.sql import highlighted

# what `queryfit.fixes` puts around a statement: DDL that is tried again, and CONCURRENTLY without limits
_RETRIED = re.compile(r"^do (\$fix_*\$)\n.*?\bexecute (\$ddl_*\$)(.*?)\2;.*?^\1;", re.DOTALL | re.MULTILINE)
_UNLIMITED = re.compile(
    r"(?:^(?:--|select pid,|where xact_start|select indexrelid)[^\n]*\n)*"
    r"^set lock_timeout = 0;[^\n]*\nset statement_timeout = 0;\n(.*?)^reset statement_timeout;\nreset lock_timeout;",
    re.DOTALL | re.MULTILINE,
)


def render(finding: Finding, look: Look, *, is_undo: bool = False) -> str:
    """The SQL ready to run: what it mends above it, and how to take it back below, both as comments."""
    sql, other = (finding.undo, None) if is_undo else (finding.fix, finding.undo)
    lines = [f"-- {'Undo of ' if is_undo else ''}{line(finding.rule)} {finding.id}: {line(finding.subject)}"]
    if finding.database:
        lines.append(f"-- Run it in the database {line(finding.database)}.")
    if not is_undo:
        lines.append(f"-- {line(finding.message)}")
    lines += ["", sql or ""]
    if other:
        # in essence: run as it stands it would lack its limits, and nobody should take it from a comment
        lines += ["", f"-- To undo (`queryfit fix {finding.id} --undo` prints it safe to run):"]
        lines += [f"--   {text}" for text in essence(other).splitlines()]
    return without_commands(highlighted("\n".join(lines), look, indent=0))


def essence(fix: str) -> str:
    """The statements that change something, without the checks and limits around them and without comments."""
    body = _RETRIED.sub(r"\3;", _UNLIMITED.sub(r"\1", fix))
    lines = [text for text in body.splitlines() if text.strip() and not text.lstrip().startswith("--")]
    return "\n".join(lines) or fix.strip()
