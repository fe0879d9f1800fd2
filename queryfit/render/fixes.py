"""The SQL of a fix, whole."""

from __future__ import annotations

from queryfit.findings import Finding
from queryfit.render.escape import line, without_commands
from queryfit.render.look import Look
from queryfit.render.phrases import essence
from queryfit.render.sql import highlighted


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
