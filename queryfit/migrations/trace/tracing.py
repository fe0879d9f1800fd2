"""A whole trace: a server, the history, rows in the tables, then the migrations themselves."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from queryfit.migrations.trace.filler import fill
from queryfit.migrations.trace.host import Host, embedded_host, named_host
from queryfit.migrations.trace.observed import Failure, Observed
from queryfit.migrations.trace.run import Tracer

if TYPE_CHECKING:
    from queryfit.migrations.files import MigrationFile

STATEMENT_LIMIT_S = 60.0
TOTAL_LIMIT_S = 600.0


@dataclass(slots=True)
class Trace:
    """What came of a run."""

    version: int  # major version of the server
    observed: list[Observed] = field(default_factory=list)
    unfollowed: list[tuple[str, Failure]] = field(default_factory=list)  # errors of the history, by file
    unfilled: dict[str, str] = field(default_factory=dict)  # table -> why it stayed empty, so that little shows on it


def trace(
    history: Sequence[MigrationFile],
    files: Sequence[MigrationFile],
    *,
    dsn: str | None = None,
    is_used_allowed: bool = False,
    limit_s: float = STATEMENT_LIMIT_S,
    total_limit_s: float = TOTAL_LIMIT_S,
    progress: Callable[[str], None] = lambda _: None,
) -> Trace:
    """Run `history` unobserved, then `files` observed, each file on tables with rows.

    On the embedded server, or on the empty throw-away database that `dsn` names (`is_used_allowed`: even if it holds
    tables). Limits are in seconds, of a statement and of everything. Raises QueryfitError when there is no server, the
    role of `dsn` is too mighty, or time is over.
    """

    @contextlib.contextmanager
    def host() -> Iterator[Host]:
        if dsn is None:
            with embedded_host(limit_s) as own:
                yield own
        else:
            yield named_host(dsn, limit_s, is_used_allowed=is_used_allowed)

    with host() as place:
        result = Trace(place.version)
        tracer = Tracer(
            place.connect,
            watch=place.watch,
            deadline=time.monotonic() + total_limit_s,
            limit_s=limit_s,
            remedy=place.remedy,
            has_room=place.has_room,
        )
        with contextlib.closing(tracer):
            for file in history:
                progress(file.name)
                result.unfollowed += [(file.name, failure) for failure in tracer.replay(file)]
            for number, file in enumerate(files):
                progress(file.name)
                session = tracer.session()
                try:
                    result.unfilled.update(fill(session))
                finally:
                    session.close()
                result.observed += tracer.observe(number, file)
    return result
