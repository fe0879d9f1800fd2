"""Builds the lab of a capture, or opens the one that was built for it before."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import psycopg

from queryfit import __version__
from queryfit.errors import QueryfitError
from queryfit.evidence.engine import duckdb
from queryfit.evidence.session import open_session
from queryfit.lab import carried, contents, files
from queryfit.lab.btree_page import PAGE_BYTES, height
from queryfit.lab.carried import NotCarried
from queryfit.lab.database import DATABASE, OWNER, READER
from queryfit.lab.facts import Facts
from queryfit.lab.files import Extent
from queryfit.lab.programs import Programs, programs_for
from queryfit.lab.server import Place, claim, disk_use
from queryfit.lab.tidy import Mark, is_as_built, mark, tidy

if TYPE_CHECKING:
    from queryfit.evidence.session import Session
    from queryfit.evidence.store import Capture
    from queryfit.lab.part import Part
    from queryfit.lab.planner import Size

Progress = Callable[[str], None]
FORMAT = 1  # of labs: another one is built anew

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
    carried: dict[str, int]  # how many objects there are, by kind
    was_built: bool  # by this call, not before
    seconds: float  # that building or opening took
    is_part: bool  # relations that no statement reaches were left out
    _place: Place = field(repr=False)
    _mark: Mark = field(repr=False)
    _superuser: psycopg.Connection[Any] | None = field(default=None, repr=False)

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
        return _connect(self._place.dsn(DATABASE, READER if is_bound else OWNER), autocommit=False)

    def connect_superuser(self) -> psycopg.Connection[Any]:
        """A connection as superuser, search_path pg_catalog, autocommit on: for text of our own only."""
        return _connect(self._place.dsn(DATABASE), "-c search_path=pg_catalog -c statement_timeout=0")

    def doubts(
        self,
        relations: Collection[str],
        functions: Collection[str] = (),
        columns: Collection[tuple[str, str]] | None = None,
    ) -> tuple[NotCarried, ...]:
        """What is not carried and may change the plan of a statement that reaches these relations and functions.

        With `columns`, what is about other columns is left out: see `carried.doubts`.
        """
        return carried.doubts(self.not_carried, relations, functions, columns)

    @contextmanager
    def shrunk(self, relations: Collection[str], connection: psycopg.Connection[Any] | None = None) -> Iterator[None]:
        """For DDL: inside, these tables (schema.name; partitions named too) take no room.

        So nothing reads their empty pages. Afterwards `reapply` is called for them.

        `connection` (from `connect`) where the DDL is part of its open transaction; else the lab's own is used.
        """
        files.shrink(connection or self._own(), self._place.data, relations)
        try:
            yield
        finally:
            if connection is None or connection.info.transaction_status != psycopg.pq.TransactionStatus.INERROR:
                self.reapply(relations, connection)

    def reapply(
        self, relations: Collection[str] | None = None, connection: psycopg.Connection[Any] | None = None
    ) -> None:
        """Give these relations (tables with their indexes, or indexes; null: all) the captured sizes again.

        To be called after any DDL or VACUUM: both write what the empty files say. Also for indexes of which
        `set_index` said the size. `connection` as in `shrunk`.
        """
        files.reapply(connection or self._own(), self._place.data, relations)

    def set_index(self, connection: psycopg.Connection[Any], index: str, relation: str, size: Size) -> None:
        """Give a new index (schema.name) of a table its size: pages, tuples, height of a B-tree.

        Over `connection` (from `connect`), so that it works on an index whose transaction is not committed. Call it
        before the index is planned with for the first time: the server remembers the height.
        """
        pages = max(1, -(-size.size_bytes // PAGE_BYTES))
        levels = size.height or height(pages, 8)
        extent = Extent(index, relation, pages, pages, size.tuple_rows, 0, levels)
        connection.execute(
            f"select {files.SCHEMA}.remember(%s, %s, %s::int8, %s::int4, %s::float4, %s::int4, %s::int4)".encode(),
            extent.values(),
        )
        files.reapply(connection, self._place.data, [index])

    def show(self, connection: psycopg.Connection[Any], indexes: Collection[str], is_visible: bool) -> None:
        """Show these indexes to the planner, or hide them, over a connection from `connect`; undone by its rollback.

        Those behind a constraint stay visible.
        """
        connection.execute(f"select {files.SCHEMA}.show(%s, %s)".encode(), [list(indexes), is_visible])

    def dsn(self, *, is_superuser: bool = False) -> str:
        """The URI of the lab's database."""
        return self._place.dsn(DATABASE, *([] if is_superuser else [OWNER]))

    @property
    def planned_bytes(self) -> int:
        """What the captured tables and indexes take, as the lab's planner believes."""
        row = self._own().execute(f"select coalesce(sum(file_pages), 0)::int8 from {files.SCHEMA}.extent".encode())
        return int((row.fetchone() or (0,))[0]) * PAGE_BYTES

    @property
    def disk_bytes(self) -> int:
        """What the lab takes on disk."""
        return disk_use(self.folder)

    @property
    def is_kept(self) -> bool:
        return self._place.is_kept

    def keep(self) -> None:
        """Leave the server running when this process ends."""
        self._place.keep()

    def close(self) -> None:
        """Stop the server (unless kept) and give the lab free; its folder stays for the next run."""
        with suppress(psycopg.Error):
            if not self.is_kept and is_as_built(self._own(), self._mark):
                self._place.settled()
        if self._superuser is not None:
            self._superuser.close()
            self._superuser = None
        self._place.release()

    def _own(self) -> psycopg.Connection[Any]:
        if self._superuser is None or self._superuser.closed:
            self._superuser = self.connect_superuser()
        return self._superuser


def build(
    capture: Capture,
    database: str,
    progress: Progress = lambda _: None,
    *,
    session: Session | None = None,
    part: Part | None = None,
) -> Lab:
    """The lab of one database of a capture: built, or started again where it was built before.

    `session` over that capture where there is one: the evidence of a large database takes memory and time to load.
    With `part` nothing but that is carried.

    Raises QueryfitError where no PostgreSQL is at hand, the capture is no full one, or the server fails. What cannot
    be carried is no error: `Lab.not_carried` names it.
    """
    started = time.monotonic()
    major = captured_major(capture)
    programs = programs_for(major)
    place = claim(key_of(capture, database, programs, part))
    try:
        meta = None
        if place.is_finished:
            progress("starting the lab")
            meta = _open(place)
            if meta is None:
                place.clear()
        was_built = meta is None
        if meta is None:
            with nullcontext(session) if session is not None else open_session(capture) as held:
                facts = Facts(held, database, part)
                meta = _build(place, capture, facts, programs=programs, major=major, progress=progress)
        return Lab(
            folder=place.folder,
            database=DATABASE,
            captured_database=database,
            version=programs.version,
            captured_version=major,
            programs=programs.folder,
            not_carried=tuple(
                NotCarried(**{**item, "relations": tuple(item["relations"])}) for item in meta["not_carried"]
            ),
            carried=meta["carried"],
            was_built=was_built,
            seconds=time.monotonic() - started,
            is_part=part is not None,
            _place=place,
            _mark=meta["mark"],
        )
    except psycopg.Error as error:
        place.release()
        words = str(error).strip().splitlines()
        raise QueryfitError(
            f"the lab's server failed: {words[0] if words else type(error).__name__}",
            hint="see that disk and memory have room; `queryfit lab remove` clears what is there",
        ) from error
    except BaseException:
        place.release()
        raise


def captured_major(capture: Capture) -> int:
    """The major version of the captured server. Raises QueryfitError where the capture is of no server."""
    files_ = capture.files()
    rows: list[tuple[int]] = []
    if path := files_.get("server"):
        with duckdb.connect() as connection:  # one file of one row: a session would read all of the capture
            rows = connection.execute("select version_number from read_parquet($path)", {"path": str(path)}).fetchall()
    if not rows or "relation" not in capture.held():
        raise QueryfitError(
            f"capture {capture.name} holds no schema to build a lab of", hint="take a full one: queryfit capture DSN"
        )
    return int(rows[0][0]) // 10000


def key_of(capture: Capture, database: str, programs: Programs, part: Part | None = None) -> str:
    """What a lab is kept under: two captures with the same catalog files share one."""
    parts = [FORMAT, __version__, programs.version, str(programs.folder), database, *([part.key] if part else [])]
    parts += [
        f"{path.parent.name}/{path.name}/{path.stat().st_size}"
        for table, path in sorted(capture.files().items())
        if table in contents.READS
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _build(
    place: Place, capture: Capture, facts: Facts, *, programs: Programs, major: int, progress: Progress
) -> dict[str, Any]:
    started = time.monotonic()
    progress("starting PostgreSQL for the lab")
    place.create(programs, {})
    not_carried, counts = contents.fill(place, facts, version=programs.version, captured=major, progress=progress)
    not_carried += [
        NotCarried("evidence", table, "the capture holds none: an earlier version took it", changes_plans=False)
        for table in sorted(contents.READS - capture.held())
    ]
    if capture.meta.get("is_redacted"):
        reason = "the capture is redacted: it holds no sample values, so no histograms and common values"
        not_carried.append(NotCarried("statistics", "of all columns", reason, carried.EVERY_RELATION))
    # what the build read of index files is still in the server's memory, and would hide what is written into them
    place.stop()
    place.start()
    progress("setting sizes")
    with closing(_connect(place.dsn(DATABASE), "-c search_path=pg_catalog")) as connection:
        files.reapply(connection, place.data, None)
        built = mark(connection)
        connection.execute(b"checkpoint")
    meta = {
        "format": FORMAT,
        "capture": capture.name,
        "capture_folder": str(capture.folder),
        "database": facts.database,
        "version": programs.version,
        "captured_version": major,
        "carried": counts,
        "not_carried": [asdict(item) for item in not_carried],
        "build_seconds": time.monotonic() - started,
        "mark": built,
    }
    place.finish(meta)
    return meta


def _open(place: Place) -> dict[str, Any] | None:
    """Start a finished lab, tidied where a run was killed; null where that run changed what cannot be mended."""
    was_left = place.was_left_in_use
    place.start()
    meta = place.meta
    if was_left:
        with closing(_connect(place.dsn(DATABASE), "-c search_path=pg_catalog")) as connection:
            if not tidy(connection, meta["mark"]):
                return None
            files.reapply(connection, place.data, None)
    return meta


def _connect(dsn: str, options: str = "", *, autocommit: bool = True) -> psycopg.Connection[Any]:
    connection = psycopg.connect(
        dsn, autocommit=autocommit, prepare_threshold=None, application_name="queryfit lab", client_encoding="utf8",
        connect_timeout=30, options=options,
    )  # fmt: skip
    connection.add_notice_handler(lambda _: None)
    return connection
