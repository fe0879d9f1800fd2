"""Builds the lab of a capture, or opens the one that was built for it before."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from queryfit.lab.carried import NotCarried

if TYPE_CHECKING:
    import psycopg

    from queryfit.evidence.store import Capture
    from queryfit.lab.planner import Size

Progress = Callable[[str], None]

__all__ = ["Lab", "NotCarried", "build"]


@dataclass(slots=True)
class Lab:
    """A running server with the schema, statistics and sizes of one captured database, and none of its rows.

    It belongs to this process alone until it is closed (another process gets a lab of its own). Use as a context
    manager: what a run made in it and did not drop is dropped when the lab is opened the next time.
    """

    folder: Path
    database: str  # as it is called in the lab, which is not its captured name
    captured_database: str
    version: int  # major, of the lab
    captured_version: int  # major, of the captured server
    programs: Path
    not_carried: tuple[NotCarried, ...]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def connect(self, *, is_bound: bool = False) -> psycopg.Connection[Any]:
        """A connection as the role that owns everything captured: no superuser; the captured settings apply.

        With `is_bound` as a role that owns nothing, may do everything, and is bound by all policies.
        Autocommit is off; the statement timeout is the lab's. Close it before the lab.
        """
        raise NotImplementedError

    def connect_superuser(self) -> psycopg.Connection[Any]:
        """A connection as superuser, search_path pg_catalog, autocommit on: for text of our own only."""
        raise NotImplementedError

    def doubts(self, relations: Collection[str], functions: Collection[str] = ()) -> tuple[NotCarried, ...]:
        """What is not carried and may change the plan of a statement that reaches these relations and functions."""
        raise NotImplementedError

    @contextmanager
    def shrunk(self, relations: Collection[str]) -> Iterator[None]:
        """For DDL: inside, these tables (schema.name; partitions named too) take no room, so that nothing reads
        their empty pages; afterwards `reapply` is called for them."""
        raise NotImplementedError
        yield

    def reapply(self, relations: Collection[str] | None = None) -> None:
        """Give these relations (tables with their indexes, or indexes; null: all) the captured sizes again.

        To be called after any DDL or VACUUM: both write what the empty files say. Also for indexes of which
        `set_index` said the size.
        """
        raise NotImplementedError

    def set_index(self, connection: psycopg.Connection[Any], index: str, size: Size) -> None:
        """Give a new index (schema.name) its size: pages, tuples, height of a B-tree.

        Over `connection` (from `connect`), so that it works on an index whose transaction is not committed. Call it
        before the index is planned with for the first time.
        """
        raise NotImplementedError

    def show(self, connection: psycopg.Connection[Any], indexes: Collection[str], is_visible: bool) -> None:
        """Show these indexes to the planner, or hide them, over a connection from `connect`; undone by its rollback."""
        raise NotImplementedError

    def dsn(self, *, is_superuser: bool = False) -> str:
        """The URI of the lab's database."""
        raise NotImplementedError

    def keep(self) -> None:
        """Leave the server running when this process ends."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop the server (unless kept) and give the lab free; its folder stays for the next run."""
        raise NotImplementedError


def build(capture: Capture, database: str, progress: Progress = lambda _: None) -> Lab:
    """The lab of one database of a capture: built, or started again where it was built before.

    Raises QueryfitError where no PostgreSQL is at hand, the capture is no full one, or the server fails. What cannot
    be carried is no error: `Lab.not_carried` names it.
    """
    raise NotImplementedError
