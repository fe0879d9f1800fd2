"""Makes captured objects in the lab: each from one statement of a known kind, as a role without superuser.

Objects may need each other in any order, so what fails is tried again as long as anything else succeeds. What fails to
the end is recorded with PostgreSQL's own reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pglast
import psycopg
from psycopg import pq

from queryfit.lab.batches import batches, succeeded
from queryfit.lab.carried import NotCarried

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

_GOOD = {pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK}
_LONGEST_REASON = 300
_TOLD_EVERY = 10  # batches
_DUPLICATE_FUNCTION = b"42723"


class FailedError(Exception):
    """A statement was refused: before it was sent, or by the server."""


@dataclass(frozen=True, slots=True)
class Step:
    """One object: what makes it, and what it means if that fails.

    `expects` are the kinds of statement that `sql` may be, as pglast names them. `instead` gives something lesser to
    make in its place, and says what it lacks.
    """

    kind: str
    name: str
    sql: str
    expects: str
    relations: tuple[str, ...] = ()
    changes_plans: bool = True
    instead: Callable[[Maker, str], Step | None] | None = None
    lacks: str | None = None  # what an object in place of another one does without


@dataclass(slots=True)
class Maker:
    """Runs steps over the owner's connection (autocommit) and keeps what did not work."""

    connection: psycopg.Connection[Any]
    not_carried: list[NotCarried] = field(default_factory=list)
    made: int = 0

    def run(self, steps: Sequence[Step], progress: Callable[[int, int], None] = lambda _done, _all: None) -> None:
        """Make these objects; what cannot be made is in `not_carried` afterwards."""
        pending = list(steps)
        total, done = len(pending), 0
        while pending:
            failed: list[tuple[Step, str]] = []
            for number, batch in enumerate(batches(pending)):
                if number % _TOLD_EVERY == 0:
                    progress(done, total)
                refused = self._make(batch)
                failed += refused
                done += len(batch) - len(refused)
            if len(failed) < len(pending):
                pending = [step for step, _ in failed]
                continue
            pending = []
            for step, reason in failed:
                other = step.instead(self, reason) if step.instead is not None else None
                if other is None:
                    self._miss(step, reason)
                else:
                    pending.append(other)

    def _make(self, steps: Sequence[Step]) -> list[tuple[Step, str]]:
        """Make objects, all together where that works; those that failed, with the reason."""
        failed: list[tuple[Step, str]] = []
        if not self._make_together(steps):
            for step in steps:
                try:
                    self.execute(step.sql, step.expects)
                except FailedError as error:
                    failed.append((step, str(error)))
        refused = {id(step) for step, _ in failed}
        for step in steps:
            if id(step) not in refused:
                self.made += 1
                if step.lacks is not None:
                    self._miss(step, step.lacks)
        return failed

    def _make_together(self, steps: Sequence[Step]) -> bool:
        try:
            for step in steps:
                check_single(step.sql, step.expects)
            return succeeded(self.connection.pgconn, [(step.sql.encode(), ()) for step in steps])
        except (FailedError, UnicodeError):
            return False

    def execute(self, sql: str, expects: str) -> None:
        """Run one statement of that kind. Raises FailedError with the reason."""
        check_single(sql, expects)
        # the extended protocol takes one statement only, whatever a text looks like
        try:
            result: PGresult = self.connection.pgconn.exec_params(sql.encode(), None)
        except (psycopg.Error, UnicodeError) as error:
            raise FailedError(_short(str(error))) from error
        state = result.error_field(pq.DiagnosticField.SQLSTATE)
        if state == _DUPLICATE_FUNCTION:
            return  # a type brings functions of its own, which the capture lists too
        if result.status not in _GOOD:
            raise FailedError(_short(result.error_message.decode(errors="replace")))

    def miss(self, kind: str, name: str, reason: str, *relations: str, changes_plans: bool = True) -> None:
        self.not_carried.append(NotCarried(kind, name, reason, relations, changes_plans))

    def _miss(self, step: Step, reason: str) -> None:
        self.not_carried.append(NotCarried(step.kind, step.name, reason, step.relations, step.changes_plans))


def check_single(sql: str, expects: str) -> None:
    """Raise FailedError unless a text is one statement of the kind that pglast calls `expects`."""
    try:
        parsed = pglast.parse_sql(sql)
    except (pglast.parser.ParseError, UnicodeError, ValueError) as error:
        raise FailedError(f"it does not parse: {_short(str(error))}") from error
    if len(parsed) != 1 or type(parsed[0].stmt).__name__ not in expects.split():
        raise FailedError("its definition is not the one statement that it should be")


def _short(message: str) -> str:
    """The first line of an error, without its level."""
    line = message.strip().partition("\n")[0]
    for level in ("ERROR:", "FATAL:", "PANIC:"):
        line = line.removeprefix(level).strip()
    return line[:_LONGEST_REASON]
