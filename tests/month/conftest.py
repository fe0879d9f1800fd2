"""The month, lived through once for all workers of a test run."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from queryfit.evidence.store import Store
from queryfit.history import History, open_history, scopes
from tests.month.clock import compiler
from tests.month.month import Month
from tests.month.truth import FILE, Truth, read
from tests.servers import available

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CAPTURES_A_DAY = 3


@dataclass(frozen=True, slots=True)
class Lived:
    """A store with the captures of the month, and the truth about it."""

    folder: Path
    truth: Truth

    @property
    def store(self) -> Store:
        return Store(self.folder)

    def history(self, since: datetime | None = None, until: datetime | None = None) -> History:
        """The month as queryfit tells it."""
        (scope,) = scopes(self.store)
        since = since or datetime(2026, 10, 1, tzinfo=UTC)
        return open_history(self.store, scope.system_identifier, scope.scope, since=since, until=until)


def is_of_the_story(change: Mapping[str, Any]) -> bool:
    """Whether a change of a statement is more than a machine that was busy with other tests for a while.

    Times are real. Where a statement of the story got slower or faster, it read more or fewer blocks.
    """
    if change["change"] not in {"slower", "faster"}:
        return True
    before, now = change["blocks_per_call_before"] + 1, change["blocks_per_call"] + 1
    return bool(max(before / now, now / before) > 1.5)


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def month(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """Nobody changes it; take a copy to compact.

    QUERYFIT_TEST_MONTH names a folder in which it is kept from one run to the next, for who works on what reads it.
    """
    if compiler() is None:
        pytest.skip("no C compiler for the library that shifts a server's clock")
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # the parent is of all workers
    folder = Path(os.environ.get("QUERYFIT_TEST_MONTH") or base / "month")
    with _alone(folder):
        if not (folder / FILE).exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed
            folder.mkdir()
            newest = available()[max(available())]
            with Month(newest, folder, captures_a_day=CAPTURES_A_DAY, say=print) as lived:
                lived.live()
    return Lived(folder, read(folder / FILE))


@pytest.fixture(scope="session")
def history(month: Lived) -> Iterator[History]:
    with month.history() as opened:
        yield opened
