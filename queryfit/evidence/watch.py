"""Limits of a query: its time, its memory, and a Ctrl-C that is heard while DuckDB works."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from queryfit.evidence.engine import duckdb

PROCESS_MEMORY_BYTES = 1 << 30  # what one statement may add to the process: DuckDB's limit and the rows it returns
_LOOKS_EVERY_S = 0.25  # for a signal, while a query runs


class Watch:
    """Interrupts a connection whose time is up: one thread for all of its queries, asleep between them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._changed = threading.Condition()
        self._deadline: float | None = None  # of the query that runs, on the monotonic clock
        self._wakes_at: float | None = None  # when the thread looks again; null: when it is told to
        self._expired = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_over = False
        # a signal writes here at once; Python itself hears of it only when DuckDB is done
        self._hears, self._tells = os.pipe()
        os.set_blocking(self._hears, False)
        os.set_blocking(self._tells, False)

    @contextmanager
    def limit(self, seconds: float) -> Iterator[threading.Event]:
        """Interrupt what runs inside after so many seconds; the event says that it happened."""
        expired = threading.Event()
        with self._changed:
            self._expired, self._deadline = expired, time.monotonic() + seconds
            if self._wakes_at is None or self._deadline < self._wakes_at:
                self._wakes_at = self._deadline
                self._changed.notify()  # otherwise it wakes in time by itself, and looks at the deadline of then
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="time limit of queries", daemon=True)
            self._thread.start()
        is_main = threading.current_thread() is threading.main_thread()
        before = signal.set_wakeup_fd(self._tells, warn_on_full_buffer=False) if is_main else -1
        try:
            yield expired
        finally:
            if is_main:
                signal.set_wakeup_fd(before)
            with self._changed:
                self._deadline = None

    def end(self) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        os.close(self._hears)
        os.close(self._tells)

    def _has_heard(self) -> bool:
        try:
            numbers = os.read(self._hears, 64)
        except BlockingIOError:
            return False
        return not {signal.SIGINT, signal.SIGTERM}.isdisjoint(numbers)

    def _run(self) -> None:
        with self._changed:
            while not self._is_over:
                now = time.monotonic()
                if self._deadline is not None and self._deadline <= now:
                    self._expired.set()
                    self._connection.interrupt()
                    self._deadline = None
                elif self._deadline is not None and self._has_heard():
                    self._connection.interrupt()
                self._wakes_at = None if self._deadline is None else min(self._deadline, now + _LOOKS_EVERY_S)
                self._changed.wait(None if self._wakes_at is None else self._wakes_at - now)


@contextmanager
def memory_limit() -> Iterator[None]:
    """Bound what the process may allocate: DuckDB's own limit does not count the text that a function makes."""
    try:
        import resource  # noqa: PLC0415 -- not on Windows

        present = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5]) * resource.getpagesize()
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = present + PROCESS_MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard < 0 else min(wanted, hard), hard))
    except (ImportError, OSError, ValueError):  # no such bookkeeping here: the machine's own limits hold
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
