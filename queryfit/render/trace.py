"""What migrations really did when they ran: locks, rewrites, reads, and where the model had said something else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from queryfit.migrations.steps import LOCK_MODES, ROW_EXCLUSIVE
from queryfit.render import phrases
from queryfit.render.escape import line, without_commands
from queryfit.render.look import Look
from queryfit.render.table import Cell, Column, table

if TYPE_CHECKING:
    from queryfit.migrations.trace.compared import Comparison, Traced

_STATEMENT = 60
_WORDS = {
    "refusal": "that it is {}",
    "lock": "the lock {} on {relation}",
    "rewrite": "of {relation} to be rewritten: {}",
    "scan": "of {relation} to be read whole: {}",
    "index build": "of {relation} to get an index built: {}",
    "index rebuild": "of {relation} to get indexes rebuilt: {}",
}


def render(comparison: Comparison, look: Look) -> str:
    """The trace as a table, a statement a row, with what the model had expected below what it got wrong."""
    rows = list(_rows(comparison))
    columns = [Column("Place", weight=2), Column("Statement", weight=3), Column("What it did", weight=5)]
    title = f"Trace on PostgreSQL {comparison.version}"
    if not rows:
        return f"{title}: no statement ran."
    wrong = sum(len(traced.disagreements) for traced in comparison.statements)
    failed = sum(traced.is_failed for traced in comparison.statements)
    counts = [phrases.counted(len(comparison.statements), "statement")]
    counts += [f"{failed:,} failed"] if failed else []
    counts += [f"{phrases.counted(wrong, 'point')} on which the model expected something else"] if wrong else []
    return without_commands(f"{title}\n\n{table(columns, rows, look)}\n\n{' · '.join(counts)}")


def document(comparison: Comparison) -> dict[str, Any]:
    """The trace in JSON's own types; `schema/report-1.json` describes it as `trace`."""
    return {
        "server_version": comparison.version,
        "statements": [_statement(traced) for traced in comparison.statements],
        "notes": list(comparison.notes),
    }


def _statement(traced: Traced) -> dict[str, Any]:
    seen = traced.observed
    return {
        "file": traced.file,
        "line": seen.line,
        "statement": " ".join(seen.text.split()),
        "is_run": seen.is_run,
        "error": {"sqlstate": seen.error.sqlstate, "message": seen.error.message} if seen.error else None,
        "duration_ms": round(seen.duration_ms, 3),
        "locks_seen": seen.locks_seen,
        "locks": {name: LOCK_MODES[level - 1] for name, level in sorted(seen.locks.items())},
        "rewritten": sorted(seen.rewritten),
        "read_whole": sorted(seen.scanned),
        "indexes_built": dict(sorted(seen.built.items())),
        "indexes_rebuilt": dict(sorted(seen.rebuilt.items())),
        "note": seen.note,
        "disagreements": [
            {"kind": one.kind, "relation": one.relation, "model": one.model, "observed": one.observed}
            for one in traced.disagreements
        ],
    }


def _rows(comparison: Comparison) -> Iterator[list[Cell]]:
    for traced in comparison.statements:
        seen = traced.observed
        place = f"{line(traced.file)}:{seen.line}"
        yield [place, line(seen.text, _STATEMENT), "\n".join(_facts(traced))]


def _facts(traced: Traced) -> Iterator[str]:
    """What happened, a fact a line."""
    seen = traced.observed
    if not seen.is_run:
        yield "not run: a statement before it failed"
        return
    if seen.error is not None:
        yield f"failed: {line(seen.error.message, 200)}"
    yield from _locks(seen.locks)
    for names, word in ((seen.rewritten, "rewrites"), (seen.scanned - seen.rewritten, "reads whole")):
        if names:
            yield f"{word} {line(', '.join(sorted(names)))}"
    for indexes, word in ((seen.built, "builds"), (seen.rebuilt, "builds anew")):
        if indexes:
            yield f"{word} {line(', '.join(sorted(indexes)))}"
    if seen.note:
        yield line(seen.note, 200)
    for one in traced.disagreements:
        said = _WORDS[one.kind].format(one.model, relation=one.relation)
        yield line(f"the model expected {said}; the server: {one.observed}", 300)


def _locks(locks: Mapping[str, int]) -> Iterator[str]:
    """The locks that somebody waits for, strongest first."""
    for name, level in sorted(locks.items(), key=lambda entry: (-entry[1], entry[0])):
        if level >= ROW_EXCLUSIVE:
            yield f"locks {line(name)}: {LOCK_MODES[level - 1]}"
