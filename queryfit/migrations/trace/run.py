"""Runs migrations statement by statement, in the transactions that their runner would use, and observes each."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pglast
import psycopg
from pglast.parser import ParseError

from queryfit.migrations.trace.alone import Watcher
from queryfit.migrations.trace.look import FIRST_USER_OID, View, difference, locks_seen, look
from queryfit.migrations.trace.observed import Failure, Observed
from queryfit.migrations.trace.wire import IDLE, IN_BLOCK, IN_FAILED_BLOCK, Session

if TYPE_CHECKING:
    from queryfit.migrations.files import MigrationFile
    from queryfit.migrations.trace.host import Remedy

REFUSES_BLOCK = frozenset({"25001", "2D000"})  # active_sql_transaction; COMMIT in a procedure
MOST_REMEDIES = 5
FIRST_SHARED_STATISTICS = 150000  # before, statistics travel by a collector and arrive whenever they like
_WORD = re.compile(r"[a-z]+", re.IGNORECASE)
# They fail outside a transaction block, so they must not be given one that the runner would not give.
_NEEDS_BLOCK = ("LOCK", "SAVEPOINT", "RELEASE", "DECLARE")
# They steer transactions themselves.
_STEERS = ("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE TRANSACTION")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a file, by its place in characters."""

    start: int
    end: int
    text: str


def statements_of(sql: str) -> list[Statement]:
    """Split SQL as the server does; what does not parse is cut where its scanner sees semicolons, else left whole."""
    for is_parsed in (True, False):
        try:
            slices = pglast.split(sql, with_parser=is_parsed, only_slices=True)
        except (ParseError, ValueError, RecursionError):
            continue
        return [
            Statement(s.start, s.stop, sql[s.start : s.stop]) for s in slices if sql[s.start : s.stop].strip(" ;\n")
        ]
    return [Statement(0, len(sql), sql)] if sql.strip() else []


class Tracer:
    """Runs files on one database, each in a session of its own.

    `connect` opens a connection as the role of the migrations, in autocommit mode; `watch` one that only looks, as the
    same or a stronger role. `limit_s` is for one statement, `deadline` (time.monotonic()) for everything.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        *,
        watch: Callable[[], psycopg.Connection[Any]] | None = None,
        deadline: float,
        limit_s: float = 60.0,
        remedy: Callable[[Failure, str], Remedy | None] | None = None,
        has_room: Callable[[], bool] | None = None,
    ) -> None:
        self.connect = connect
        self.watch = watch
        self.deadline = deadline
        self.limit_s = limit_s
        self.remedy = remedy  # mends the server for a statement that only lacks something around it
        self.has_room = has_room
        self.first_oid = FIRST_USER_OID
        self._watchers: list[psycopg.Connection[Any]] = []

    def close(self) -> None:
        for connection in self._watchers:
            connection.close()
        self._watchers.clear()

    def session(self) -> Session:
        return Session(self.connect(), self.deadline, self.has_room)

    def replay(self, file: MigrationFile) -> list[Failure]:
        """Run a file unobserved; where it fails as a whole, statement by statement, past every error."""
        session = self.session()
        try:
            if session.run(file.sql, limit_s=self.limit_s) is None:
                if session.state != IDLE:
                    session.run("commit")
                return []
            if session.is_lost:
                session = self.session()
            elif session.state != IDLE:
                session.run("rollback")
            failures = []
            statements = statements_of(file.sql)
            is_block = _is_block(file, statements)
            for statement in statements:
                if session.state == IDLE and is_block:
                    session.run("begin")
                failure = self._past(session, statement.text, is_pipeline=file.transactions == "pipeline")
                if failure is not None:
                    failures.append(replace(failure, statement=statement.text))
                if session.is_lost:
                    session = self.session()
            if session.state != IDLE and (failure := session.run("commit")) is not None:
                failures.append(failure)  # deferred constraints speak here
            return failures
        finally:
            session.close()

    def _past(self, session: Session, text: str, *, is_pipeline: bool) -> Failure | None:
        """Run a statement; what stands before it in its block stays, even after an error."""
        if session.state == IDLE or _is_steering(text):
            failure = self._mended(session, text)[0]
            if failure is not None and not session.is_lost and session.state != IDLE:
                session.run("rollback")
            return failure
        session.run("savepoint queryfit_past")
        failure = self._mended(session, text)[0]
        if session.is_lost or session.state == IDLE:
            return failure
        if failure is None:
            session.run("release savepoint queryfit_past")
            return None
        session.run("rollback to savepoint queryfit_past")
        if is_pipeline and failure.sqlstate in REFUSES_BLOCK:
            session.run("commit")
            return self._mended(session, text)[0]
        return failure

    def observe(self, number: int, file: MigrationFile) -> Iterator[Observed]:
        """Run a file as its runner does and yield what each statement did; `number` is the place of the file.

        After an error the rest of the file is not run, as runners do; a block left open is rolled back.
        """
        statements = statements_of(file.sql)
        is_block = _is_block(file, statements)
        is_pipeline = file.transactions == "pipeline"
        session = self.session()
        try:
            if is_block:
                session.run("begin")
            has_failed = False
            for position, statement in enumerate(statements):
                line = file.sql.count("\n", 0, statement.start) + 1
                blank = Observed(number, position, statement.start, statement.end, line, statement.text, is_run=False)
                if has_failed:
                    yield blank
                    continue
                began = time.monotonic()
                one = self._in_pipeline if is_pipeline and session.state == IN_BLOCK else self._one
                try:
                    seen = one(session, replace(blank, is_run=True))
                except psycopg.Error as error:  # of a question of ours: settings and schemas of the migration are in it
                    note = f"what it does could not be seen: {str(error).strip()}"
                    seen = replace(blank, note=note, locks_seen="none")
                    has_failed = session.is_lost
                    if not session.is_lost and session.state == IN_FAILED_BLOCK:
                        session.run("rollback")
                yield replace(seen, duration_ms=(time.monotonic() - began) * 1000)
                has_failed = seen.error is not None or session.is_lost
                is_again = is_block and file.transactions in {"batch", "pipeline"}
                if is_again and session.state == IDLE and not has_failed:
                    session.run("begin")  # the next implicit block of the same text
            if not session.is_lost and session.state != IDLE:
                session.run("rollback" if has_failed or file.transactions == "each" else "commit")
        finally:
            session.close()

    def _one(self, session: Session, blank: Observed) -> Observed:
        """Run one statement in the state that the session is in."""
        if session.state == IN_BLOCK:
            return self._in_block(session, replace(blank, is_in_block=True))
        if _is_steering(blank.text) or _first_words(blank.text).startswith(_NEEDS_BLOCK):
            return replace(blank, error=session.run(blank.text), locks_seen="none")
        session.run("begin")
        seen = self._in_block(session, blank)
        if seen.error is None:
            ended = session.run("commit")  # deferred constraints speak here
            return replace(seen, error=ended)
        if session.is_lost:
            return seen
        session.run("rollback")
        if seen.error.sqlstate in REFUSES_BLOCK:
            return self._alone(session, blank)
        return seen

    def _in_pipeline(self, session: Session, blank: Observed) -> Observed:
        """Run one statement in the block; what PostgreSQL refuses there runs alone, between two blocks."""
        if _is_steering(blank.text):
            return self._one(session, blank)
        session.run("savepoint queryfit_pipeline")
        seen = self._one(session, blank)
        if session.is_lost or session.state == IDLE:
            return seen
        if seen.error is None:
            session.run("release savepoint queryfit_pipeline")
            return seen
        if seen.error.sqlstate not in REFUSES_BLOCK:
            return seen
        session.run("rollback to savepoint queryfit_pipeline")
        ended = session.run("commit")
        return self._alone(session, blank) if ended is None else replace(seen, error=ended)

    def _in_block(self, session: Session, blank: Observed) -> Observed:
        before = look(session, self.first_oid)
        failure, note = self._mended(session, blank.text)
        if failure is not None or session.state != IN_BLOCK:
            return replace(blank, error=failure, note=note, locks_seen="none")
        try:
            after = look(session, self.first_oid)
            return replace(blank, note=note, **difference(before, after))
        except psycopg.Error as error:  # the migration's own settings are for our questions, too
            return replace(blank, note=f"what it did could not be read: {error}", locks_seen="none")

    def _alone(self, session: Session, blank: Observed) -> Observed:
        """Run a statement that refuses a transaction block, watched from outside."""
        is_shared = session.connection.info.server_version >= FIRST_SHARED_STATISTICS
        before = self._shared(session, is_shared)
        with ExitStack() as stack:
            watcher = None
            if self.watch is not None:
                if not self._watchers:
                    self._watchers = [self.watch() for _ in range(3)]
                watcher = stack.enter_context(Watcher(self._watchers, session.process_id))
            failure = session.run(blank.text, meanwhile=watcher, limit_s=self.limit_s)
        if session.is_lost or failure is not None:
            return replace(blank, error=failure, locks_seen="none")
        after = self._shared(session, is_shared)
        taken = watcher.seen if watcher is not None else {}
        return replace(
            blank,
            locks_seen=locks_seen(is_alone=True, is_watched=watcher is not None),
            **difference(before, after, taken),
        )

    def _shared(self, session: Session, is_shared: bool) -> View:
        if is_shared:
            session.rows("select pg_catalog.pg_stat_force_next_flush()")
        return look(session, self.first_oid, is_shared=is_shared)

    def _mended(self, session: Session, text: str) -> tuple[Failure | None, str | None]:
        """Run a statement; after an error that `remedy` can mend, once more. An open block is kept by a savepoint."""
        notes: list[str] = []
        attempt = text
        is_kept = (
            self.remedy is not None
            and session.state == IN_BLOCK
            and not _is_steering(text)
            and not _first_words(text).startswith(_NEEDS_BLOCK)
        )
        for _ in range(MOST_REMEDIES):
            if is_kept:
                session.run("savepoint queryfit_remedy")
            failure = session.run(attempt, limit_s=self.limit_s)
            if failure is None or self.remedy is None or session.is_lost:
                break
            remedy = self.remedy(failure, text)
            if remedy is None:
                break
            notes.append(remedy.note)
            attempt = remedy.instead or text
            if is_kept:
                session.run("rollback to savepoint queryfit_remedy")
        if is_kept and failure is None and session.state == IN_BLOCK:
            session.run("release savepoint queryfit_remedy")
        return failure, "; ".join(notes) or None


def _is_block(file: MigrationFile, statements: Sequence[Statement]) -> bool:
    """Whether the runner's way of sending the file makes a transaction block of it, or several."""
    return file.transactions in {"file", "pipeline"} or (file.transactions == "batch" and len(statements) > 1)


def _first_words(text: str) -> str:
    return " ".join(_WORD.findall(text[:200].lstrip())[:2]).upper()


def _is_steering(text: str) -> bool:
    return _first_words(text).startswith(_STEERS)
