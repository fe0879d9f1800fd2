"""What a measurement may leave behind when it is killed, and who takes it away.

A measurement in one transaction leaves nothing: the server rolls back as soon as the connection is gone. Beside other
sessions the indexes must be built CONCURRENTLY, that is committed. Their names say what they are and of which run, and
a guardian, a process of its own, waits at the end of a pipe that the measuring process holds: when the pipe closes
without the all-clear, however that process ended, it drops what the run made. Should the guardian be killed as well,
the next measurement, or `clean`, finds the indexes by their names.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from queryfit.advise.measure.server import ADVISORY_KEY, APPLICATION, Session
from queryfit.capture.connect import connect
from queryfit.capture.connect_errors import QueryError
from queryfit.errors import QueryfitError

PREFIX = "queryfit_measure"
NAME = re.compile(rf"{PREFIX}_([0-9a-f]{{8}})_\d+")
_READY = "ready"
_ALL_CLEAR = "done"
_TRY_FOR_S = 600
_PAUSE_S = 0.5

_LEFT = """
select format('%I.%I', n.nspname, c.relname) as name, c.relname
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('i', 'I') and c.relname like 'queryfit\\_measure\\_%'
order by 1
"""
_END = f"""
select pg_terminate_backend(a.pid)
from pg_locks as l join pg_stat_activity as a using (pid)
where l.locktype = 'advisory' and l.objid = {ADVISORY_KEY} and l.database = (
    select oid from pg_database where datname = current_database()) and a.pid = $1 and a.application_name = $2
"""


def index_name(run: str, number: int) -> str:
    """The name of an index made for a measurement; `run` are 8 hex digits."""
    return f"{PREFIX}_{run}_{number}"


def comment(run: str) -> str:
    """What the index says of itself to a person who finds it."""
    return f"queryfit measure {run}: made for a measurement, may be dropped"


def drop_left_overs(session: Session, *, run: str | None = None) -> list[str]:
    """Drop indexes that measurements left behind (of one run only, if given); returns their names, schema.name.

    The session holds the database's one place for a measurement, so none of them is in use. Raises QueryError.
    """
    dropped: list[str] = []
    for row in session.run(_LEFT):
        found = NAME.fullmatch(row["relname"])
        if found is None or run not in {None, found[1]}:
            continue
        # waits for transactions that may be using it, instead of making everybody wait behind it
        with session.patient(_TRY_FOR_S):
            session.run(f"drop index concurrently if exists {row['name']}")
        dropped.append(row["name"])
    return dropped


def clean(dsn: str | None) -> list[str]:
    """Drop what killed measurements left in a database; returns the names. Raises QueryfitError."""
    with Session.open(dsn) as session:
        return drop_left_overs(session)


@dataclass(slots=True)
class Guardian:
    """The process at the other end of the pipe."""

    process: subprocess.Popen[str]
    pipe: IO[str]
    is_clear: bool = False

    def all_clear(self) -> None:
        """Tell it that nothing is left, so that it ends without a look."""
        with contextlib.suppress(OSError):
            self.pipe.write(f"{_ALL_CLEAR}\n")
            self.pipe.flush()
            self.is_clear = True


@contextlib.contextmanager
def guarded(dsn: str | None, run: str, pid: int) -> Iterator[Guardian]:
    """Have a guardian for the length of a block: unless it gets the all-clear in it, what `run` made is dropped.

    `pid` is the server process of the measurement: it may still be building an index that nobody waits for.
    Raises QueryfitError where no process can be started.
    """
    root = str(Path(__file__).resolve().parents[2])
    code = f"import sys; sys.path.insert(0, sys.argv[1]); from {__name__} import guard; guard()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, root],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True,  # a Ctrl-C in the terminal, or the end of it, is not for the guardian
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin as pipe, process.stdout as answers:
        # the DSN goes through the pipe, not on the command line: it may hold a password
        with contextlib.suppress(OSError):
            pipe.write(json.dumps({"dsn": dsn, "run": run, "pid": pid}) + "\n")
            pipe.flush()
        if answers.readline().strip() != _READY:
            process.wait()
            raise QueryfitError(
                "the process that would drop the indexes after a crash did not start; nothing was created",
                hint="is there memory, and may this user start processes?",
            )
        guardian = Guardian(process, pipe)
        yield guardian
    if guardian.is_clear:
        process.wait()


def guard() -> None:
    """The guardian's whole life: read the order, wait for the pipe's end, and drop what is left if it must."""
    order = json.loads(sys.stdin.readline())
    print(_READY, flush=True)
    if sys.stdin.read().strip() == _ALL_CLEAR:
        return
    deadline = time.monotonic() + _TRY_FOR_S
    while time.monotonic() < deadline:
        with contextlib.suppress(QueryfitError):
            _end_session(order["dsn"], order["pid"])
            with Session.open(order["dsn"]) as session:
                drop_left_overs(session, run=order["run"])
                return
        time.sleep(_PAUSE_S)


def _end_session(dsn: str | None, pid: int) -> None:
    """End the orphaned server process, which may be in the middle of a long build."""
    with connect(dsn) as reader, contextlib.suppress(QueryError):
        reader.query(_END, (pid, APPLICATION))
