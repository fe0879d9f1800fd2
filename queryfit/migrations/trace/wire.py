"""One connection to the server that a migration runs on, with a limit of time that the migration cannot lift.

The statements are a stranger's: results are thrown away row by row as they come, COPY gets no rows, and what does not
end is cancelled from here, whatever the session's statement_timeout says.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult

from queryfit.errors import QueryfitError
from queryfit.migrations.trace.observed import Failure

CANCEL_GRACE_S = 5.0
IDLE_WAIT_S = 0.5
CHUNK_ROWS = 1000

IDLE, ACTIVE, IN_BLOCK, IN_FAILED_BLOCK = 0, 1, 2, 3  # libpq's PQTRANS_*
_FAILED = frozenset({ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE})
_LOST = Failure("", "the server closed the connection")


class OutOfTimeError(QueryfitError):
    """The whole trace took longer than it may."""


class Session:
    """A connection in autocommit mode; `deadline` is in seconds of time.monotonic(); `has_room` looks at the disk."""

    def __init__(
        self, connection: psycopg.Connection[Any], deadline: float, has_room: Callable[[], bool] | None = None
    ) -> None:
        self.connection = connection
        self.deadline = deadline
        self.has_room = has_room

    @property
    def process_id(self) -> int:
        return self.connection.info.backend_pid

    @property
    def state(self) -> int:
        """IDLE, IN_BLOCK or IN_FAILED_BLOCK; anything else is a lost connection."""
        return int(self.connection.pgconn.transaction_status)

    @property
    def is_lost(self) -> bool:
        return self.connection.closed or self.state not in {IDLE, IN_BLOCK, IN_FAILED_BLOCK}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query of our own."""
        self.check_time()
        return self.connection.execute(query.encode(), prepare=False).fetchall()

    def run(self, sql: str, *, meanwhile: Callable[[], float] | None = None, limit_s: float = 60.0) -> Failure | None:
        """Run SQL, one statement or several, and return the first error.

        `meanwhile` is called while the server works and says after how many seconds it wants to be called again.
        Raises OutOfTimeError when the deadline of the whole trace is over.
        """
        if "\0" in sql:
            return Failure("22021", "the text holds a NUL byte")
        self.check_time()
        pgconn = self.connection.pgconn
        pgconn.send_query(sql.encode("utf-8", "replace"))
        try:
            pgconn.set_chunked_rows_mode(CHUNK_ROWS)
        except psycopg.NotSupportedError:  # libpq before 17
            pgconn.set_single_row_mode()
        failure: Failure | None = None
        stop = min(self.deadline, time.monotonic() + limit_s)
        cancelled_at: float | None = None
        next_look = 0.0
        for event in self._results(meanwhile):
            now = time.monotonic()
            if event is None:
                is_over = now > stop
                if not is_over and now > next_look and self.has_room is not None:
                    is_over = not self.has_room()
                    next_look = now + IDLE_WAIT_S
                if cancelled_at is None and is_over:
                    self.connection.cancel_safe(timeout=CANCEL_GRACE_S)
                    cancelled_at = now
                elif cancelled_at is not None and now > cancelled_at + CANCEL_GRACE_S:
                    self.connection.close()
                    return failure or Failure("57014", f"it did not end within {limit_s:.0f} s, or filled the disk")
            else:
                failure = failure or event
        if cancelled_at is not None:
            return Failure("57014", f"it did not end within {limit_s:.0f} s, or filled the disk")
        if failure is None and self.is_lost:
            return _LOST
        return failure

    def _results(self, meanwhile: Callable[[], float] | None) -> Iterator[Failure | None]:
        """Yield each error, and None whenever some time has passed, until the server is ready again."""
        pgconn = self.connection.pgconn
        try:
            while True:
                pgconn.flush()
                if pgconn.is_busy():
                    wait_s = meanwhile() if meanwhile else IDLE_WAIT_S
                    if select.select([pgconn.socket], [], [], wait_s)[0]:
                        pgconn.consume_input()
                    yield None
                    continue
                result = pgconn.get_result()
                if result is None:
                    return
                status = result.status
                if status == ExecStatus.COPY_OUT:
                    while (size := pgconn.get_copy_data(1)[0]) >= 0:
                        yield None
                        if size == 0 and select.select([pgconn.socket], [], [], IDLE_WAIT_S)[0]:
                            pgconn.consume_input()
                elif status == ExecStatus.COPY_IN:
                    pgconn.put_copy_end(b"rows are not sent")
                else:
                    yield _failure(result) if status in _FAILED else None
        except psycopg.OperationalError:
            yield _LOST

    def check_time(self) -> None:
        if time.monotonic() > self.deadline:
            raise OutOfTimeError(
                "The trace took longer than it may.", hint="allow it more time, or trace fewer files at once"
            )

    def close(self) -> None:
        self.connection.close()


def _failure(result: PGresult) -> Failure:
    places = (
        DiagnosticField.SQLSTATE,
        DiagnosticField.MESSAGE_PRIMARY,
        DiagnosticField.MESSAGE_DETAIL,
        DiagnosticField.CONSTRAINT_NAME,
    )
    sqlstate, message, detail, constraint = (
        (result.error_field(place) or b"").decode("utf-8", "replace") for place in places
    )
    return Failure(sqlstate, message, detail or None, constraint or None) if sqlstate else _LOST
