"""One connection to the server that a migration runs on, with a limit of time that the migration cannot lift.

The statements are a stranger's: results are thrown away row by row as they come, COPY gets no rows, and what does not
end is cancelled from here, whatever the session's statement_timeout says.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from queryfit.errors import QueryfitError
from queryfit.migrations.trace.observed import Failure

if TYPE_CHECKING:
    import psycopg

CANCEL_GRACE_S = 5.0
IDLE_WAIT_S = 0.5

IDLE, ACTIVE, IN_BLOCK, IN_FAILED_BLOCK = 0, 1, 2, 3  # libpq's PQTRANS_*
_LOST = Failure("", "the server closed the connection")


class OutOfTimeError(QueryfitError):
    """The whole trace took longer than it may."""


class Session:
    """A connection in autocommit mode; `deadline` is in seconds of time.monotonic()."""

    def __init__(self, connection: psycopg.Connection[Any], deadline: float) -> None:
        self.connection = connection
        self.deadline = deadline

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
        return self.connection.execute(query.encode()).fetchall()

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
        pgconn.set_single_row_mode()
        failure: Failure | None = None
        stop = min(self.deadline, time.monotonic() + limit_s)
        cancelled_at: float | None = None
        for event in self._results(meanwhile):
            now = time.monotonic()
            if event is None:
                if cancelled_at is None and now > stop:
                    self.connection.cancel_safe(timeout=CANCEL_GRACE_S)
                    cancelled_at = now
                elif cancelled_at is not None and now > cancelled_at + CANCEL_GRACE_S:
                    self.connection.close()
                    return failure or Failure("57014", f"it did not end within {limit_s:.0f} s")
            else:
                failure = failure or event
        if cancelled_at is not None:
            return Failure("57014", f"it did not end within {stop - cancelled_at + limit_s:.0f} s")
        if failure is None and self.is_lost:
            return _LOST
        return failure

    def _results(self, meanwhile: Callable[[], float] | None) -> Iterator[Failure | None]:
        """Yield each error, and None whenever some time has passed, until the server is ready again."""
        import psycopg
        from psycopg.pq import DiagnosticField, ExecStatus

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
                if status == ExecStatus.COPY_IN:
                    pgconn.put_copy_end(b"rows are not sent")
                elif status == ExecStatus.COPY_OUT:
                    while pgconn.get_copy_data(1)[0] >= 0:
                        yield None
                        if not select.select([pgconn.socket], [], [], IDLE_WAIT_S)[0]:
                            continue
                        pgconn.consume_input()
                elif status in {ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE}:
                    words = [
                        (result.error_field(place) or b"").decode("utf-8", "replace")
                        for place in (
                            DiagnosticField.SQLSTATE,
                            DiagnosticField.MESSAGE_PRIMARY,
                            DiagnosticField.MESSAGE_DETAIL,
                            DiagnosticField.CONSTRAINT_NAME,
                        )
                    ]
                    if not words[0]:
                        yield _LOST
                        return
                    yield Failure(words[0], words[1], words[2] or None, words[3] or None)
        except psycopg.OperationalError:
            yield _LOST

    def check_time(self) -> None:
        if time.monotonic() > self.deadline:
            raise OutOfTimeError(
                "The trace took longer than it may.", hint="allow it more time, or trace fewer files at once"
            )

    def close(self) -> None:
        self.connection.close()
