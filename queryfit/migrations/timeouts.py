"""A lock_timeout in a migration: before the statements that want one, never in force for what is built CONCURRENTLY."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from queryfit.migrations import runners
from queryfit.migrations.files import MigrationFile
from queryfit.migrations.places import Edit, after
from queryfit.migrations.repairs import LOCK_TIMEOUT
from queryfit.migrations.replay import Run
from queryfit.migrations.steps import SHARE, Effect, Step

# comment lines that a runner reads; a header does not go above them
_MARK = re.compile(
    r"--[ \t-]*(?:\+goose[ \t]+(?:up|down|no transaction)|migrate:|\+migrate|atlas:|no-transaction|tern:|create above"
    r"|>|(?:up|down)[ \t]+migration)|--[ \t]*queryfit:[ \t]*ignore-file",
    re.IGNORECASE,
)
_RELATIONS = frozenset({"table", "partitioned table", "view", "materialized view", "foreign table"})


def timeouts(file: MigrationFile, place: int, run: Run) -> list[Edit]:
    """The edits that set a timeout, and those that switch it off, in the file at that place of the run."""
    walk = _Walk(file, run)
    for step, numbers in _statements(run, place):
        walk.statement(step, numbers)
    return walk.ended()


class _Walk:
    """Goes through the statements of a file in their order."""

    def __init__(self, file: MigrationFile, run: Run) -> None:
        self._file = file
        self._waiting = {effect.step for effect in run.effects if _waits(effect)}
        self._building = {effect.step for effect in run.effects if effect.is_concurrent}
        self._edits: list[Edit] = []
        self._is_on: bool | None = None  # what the new statements have set; null: what the file says itself
        self._own: int | None = None  # what the file sets itself, in ms
        self._transaction: int | None = None
        self._last: Step | None = None  # the last statement that waits under a timeout set here for the session

    def statement(self, step: Step, numbers: Sequence[int]) -> None:
        """A statement with the steps inside it."""
        if step.transaction != self._transaction:
            if self._transaction is not None:
                self._is_on = None  # SET LOCAL ended with it
            self._transaction = step.transaction
        is_on = self._is_on if self._is_on is not None else bool(step.lock_timeout_ms)
        if step.lock_timeout_ms and self._is_on is None:
            self._own = step.lock_timeout_ms
        if self._waiting.intersection(numbers):
            if not is_on:
                self._set(step, f"'{_text(self._own) if self._own else LOCK_TIMEOUT}'", is_on=True)
            if self._is_on and not self._is_local(step):
                self._last = step
        elif self._building.intersection(numbers) and is_on and step.transaction is None:
            self._set(step, "0", is_on=False)
            self._last = None
        elif step.kind == "VariableSetStmt" and "lock_timeout" in self._file.sql[step.start : step.end].lower():
            self._is_on = self._last = None  # the file's own word

    def _set(self, step: Step, value: str, *, is_on: bool) -> None:
        words = "set local lock_timeout" if self._is_local(step) else "set lock_timeout"
        first = self._file.text[step.start : step.start + 8].split(None, 1)[0]
        words = words.upper() if first.isupper() else words
        self._edits.append(_header(self._file.text, step.start, f"{words} = {value};"))
        self._is_on = is_on

    def _is_local(self, step: Step) -> bool:
        """A transaction is open, or will be: one statement is none, but two in one batch are."""
        return step.transaction is not None or self._file.transactions == "batch"

    def ended(self) -> list[Edit]:
        """All edits; a runner that goes on to the next file in the same session does not take the timeout along."""
        if self._last is not None and not runners.RUNNERS[self._file.runner].is_psql:
            at, lead = after(self._file, self._last)
            self._edits.append((at, at, f"{lead}\nreset lock_timeout;"))
        return self._edits


def _statements(run: Run, place: int) -> Iterator[tuple[Step, list[int]]]:
    """Each statement of a file with its number and those of the steps inside it."""
    current: tuple[Step, list[int]] | None = None
    for step in run.steps:
        if step.file != place:
            continue
        if step.is_nested and current is not None:
            current[1].append(step.number)
            continue
        if current is not None:
            yield current
        current = step, [step.number]
    if current is not None:
        yield current


def _text(timeout_ms: int) -> str:
    return f"{timeout_ms // 1000}s" if timeout_ms % 1000 == 0 else f"{timeout_ms}ms"


def _waits(effect: Effect) -> bool:
    return (
        effect.lock_level >= SHARE
        and not effect.is_concurrent
        and not effect.is_new
        and effect.is_present
        and effect.relation_kind in _RELATIONS
    )


def _header(text: str, start: int, statement: str) -> Edit:
    """A statement on a line of its own before another one, and before the comments that stand right above that."""
    at = text.rfind("\n", 0, start) + 1
    if text[at:start].strip("\ufeff \t"):
        return start, start, f"{statement} "
    indent = text[at:start].lstrip("\ufeff")
    at = start - len(indent)
    while at > 0:
        above = text.rfind("\n", 0, at - 1) + 1
        line = text[above : at - 1].lstrip("\ufeff").strip()
        if not line.startswith("--") or _MARK.match(line):
            break
        at = above
    if text.startswith("\ufeff", at):
        at += 1
    return at, at, f"{indent}{statement}\n"
