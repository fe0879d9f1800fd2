"""The server that a measurement runs on: one direct connection, and the reasons not to touch it.

Creating indexes and running statements for minutes is for a clone or a staging server. Nothing on a server says that it
is one, so everything that speaks against it refuses: recovery, standbys that stream from it, sessions at work, a
pooler in between, another measurement, too little disk.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psycopg

from queryfit.advise.measure.measured import Manner, Options
from queryfit.capture.connect import connect
from queryfit.capture.connect_errors import QueryError, one_line, query_error
from queryfit.errors import QueryfitError
from queryfit.words import size

APPLICATION = "queryfit measure"
ADVISORY_KEY = 0x71666D65  # one measurement a database at a time: two would time each other
RECENT_S = 60  # a session that did something so lately is at work
LONG_S = 60  # CREATE INDEX CONCURRENTLY waits for transactions, and these are not about to end
LOCK_MS = 5_000
OWN_TIMEOUT = "60s"  # of what is not a statement of the workload
OWN_PATH = "pg_catalog, pg_temp"
LOOPBACK = ("127.0.0.1", "::1", "localhost", "")
ROOM = 2.0  # the disk that a build takes, of the index's size: its sort spills up to as much again

# Settings of the session: a client that vanishes is noticed within seconds, and nothing waits for ever.
SESSION_SETTINGS = (
    ("application_name", APPLICATION),
    ("lock_timeout", f"{LOCK_MS}ms"),
    ("statement_timeout", OWN_TIMEOUT),
    ("idle_in_transaction_session_timeout", "60s"),
    ("idle_session_timeout", "0"),
    ("transaction_timeout", "0"),
    ("client_connection_check_interval", "1s"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("client_min_messages", "error"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    ("standard_conforming_strings", "on"),
    ("plan_cache_mode", "force_custom_plan"),
    ("auto_explain.log_min_duration", "-1"),  # else EXPLAIN ANALYZE of a slow statement is logged, and timed twice
)

_STATE = """
select pg_is_in_recovery() as is_standby,
    pg_backend_pid() as pid,
    (select count(*) from pg_stat_replication) as standbys,
    (select reset_val from pg_settings where name = 'search_path') as search_path,
    -- empty without pg_read_all_settings
    (select setting from pg_settings where name = 'data_directory') as data_directory,
    current_setting('archive_mode') as archive_mode,
    (select rolsuper from pg_roles where rolname = current_user) as is_superuser
"""
_AT_WORK = f"""
select pid, coalesce(usename, '?') as "user", coalesce(nullif(application_name, ''), 'no name') as application,
    coalesce(state, 'hidden') as state
from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid()
    -- null: this role may not look at that session
    and coalesce(backend_type, 'client backend') = 'client backend' and usesysid is not null
    and (state is null or state <> 'idle' or state_change > now() - interval '{RECENT_S} s')
    and application_name not in ('{APPLICATION}', 'queryfit')
order by pid
"""
_LONG = f"""
select 'session ' || pid as name, extract(epoch from now() - xact_start)::float8 as age_s
from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and xact_start < now() - interval '{LONG_S} s'
union all
select 'prepared transaction ' || gid, extract(epoch from now() - prepared)::float8
from pg_prepared_xacts where database = current_database()
order by 2 desc
"""


@dataclass(slots=True)
class Session:
    """The connection of a measurement. Names resolve in pg_catalog alone unless a path is given. A context manager."""

    connection: psycopg.Connection[Any]
    search_path: str  # the one that the database and role have by themselves
    is_superuser: bool
    data_directory: str | None
    archive_mode: str
    standbys: int

    @classmethod
    def open(cls, dsn: str | None) -> Session:
        """Connect and take the database's one place for a measurement. Raises QueryfitError where that cannot be."""
        reader = connect(dsn)
        connection = reader.connection
        try:
            session = _begin(connection, reader.announced_pid)
        except BaseException:
            connection.close()
            raise
        return session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.connection.close()  # what is not committed the server rolls back

    @property
    def version(self) -> int:
        return self.connection.info.server_version // 10_000

    @property
    def pid(self) -> int:
        return self.connection.info.backend_pid

    @property
    def is_in_transaction(self) -> bool:
        return self.connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE

    @property
    def place(self) -> str:
        """Words for where this is, without secrets."""
        info = self.connection.info
        return f"database {info.dbname} at {info.host or 'the local socket'}"

    def run(self, sql: str, params: Sequence[object] | None = None) -> list[dict[str, Any]]:
        """Run one statement with $1 parameters by the extended protocol; raises QueryError or ServerGoneError."""
        return _run(self.connection, sql, params)

    @contextlib.contextmanager
    def savepoint(self, name: str, *, keep: bool = False) -> Iterator[None]:
        """A part of the transaction that is rolled back at its end; with `keep` only if it raises."""
        self.run(f"savepoint {name}")
        try:
            yield
        except BaseException:
            self._roll_back(name)
            raise
        if not keep:
            self._roll_back(name)
        self.run(f"release savepoint {name}")

    def _roll_back(self, name: str) -> None:
        if not self.connection.closed and self.is_in_transaction:
            self.run(f"rollback to savepoint {name}")

    @contextlib.contextmanager
    def patient(self, limit_s: float) -> Iterator[None]:
        """For CONCURRENTLY, outside a transaction: a lock timeout in it would leave an invalid index."""
        self.set("lock_timeout", "0")
        self.set("statement_timeout", f"{max(1, int(limit_s * 1000))}ms")
        try:
            yield
        finally:
            if not self.connection.closed:
                self.set("lock_timeout", f"{LOCK_MS}ms")
                self.set("statement_timeout", OWN_TIMEOUT)

    def set(self, name: str, value: str, *, is_local: bool = False) -> None:
        self.run("select set_config($1, $2, $3)", (name, value, is_local))


def _run(connection: psycopg.Connection[Any], sql: str, params: Sequence[object] | None = None) -> list[dict[str, Any]]:
    try:
        # binary results: the extended protocol takes one statement, whatever a text holds
        with connection.cursor(binary=True) as cursor:
            cursor.execute(sql.encode("utf-8", "backslashreplace"), params)
            return cursor.fetchall() if cursor.description is not None else []
    except psycopg.Error as error:
        raise query_error(error, is_gone=connection.broken) from error


def _begin(connection: psycopg.Connection[Any], announced_pid: int) -> Session:
    _run(connection, "select pg_catalog.set_config('search_path', $1, false)", (OWN_PATH,))
    state = _run(connection, _STATE)[0]
    if state["is_standby"]:
        raise QueryfitError(
            "this server is a standby: no index can be created on it",
            hint="measure on a clone that has been promoted, or on a staging server",
        )
    if state["pid"] != announced_pid:
        raise QueryfitError(
            "a pooler stands before this server; a measurement must hold one session of its own",
            hint="connect to the server itself",
        )
    for name, value in SESSION_SETTINGS:
        # not every version has all of these, and some only superusers may set
        with contextlib.suppress(QueryError):
            _run(connection, "select set_config($1, $2, false)", (name, value))
    if not _run(connection, "select pg_try_advisory_lock($1) as ok", (ADVISORY_KEY,))[0]["ok"]:
        raise QueryfitError(
            "another measurement runs on this database, and the two would time each other",
            hint="wait until it is over; one that was killed is gone within seconds",
        )
    return Session(
        connection, state["search_path"], state["is_superuser"], state["data_directory"] or None,
        state["archive_mode"], state["standbys"],
    )  # fmt: skip


def decide(session: Session, options: Options) -> Manner:
    """How to measure on this server; raises QueryfitError where it looks like one in use, or has too little disk."""
    busy = session.run(_AT_WORK)
    if not options.is_anyway:
        if session.standbys:
            raise QueryfitError(
                f"{session.standbys} standby or subscriber streams from this server: it looks like production",
                hint="name a clone or a staging server; --measure-anyway measures here all the same",
            )
        if busy:
            first = busy[0]
            raise QueryfitError(
                f"{len(busy)} other sessions work in {session.place}, such as {one_line(str(first['user']))} "
                f"({one_line(str(first['application']))}, {first['state']}): it looks like a server in use",
                hint=f"name a clone, or wait until nobody has worked there for {RECENT_S} s; --measure-anyway "
                "measures beside them",
            )
    _check_disk(session, options)
    if not busy:
        return "transaction"
    if not session.is_superuser:
        raise QueryfitError(
            "beside other sessions the set can only be hidden and shown by a superuser",
            hint="connect as one, or end the other sessions: alone, the owner of the tables is enough",
        )
    if long := session.run(_LONG):
        raise QueryfitError(
            f"CREATE INDEX CONCURRENTLY would wait for {one_line(long[0]['name'])}, open for {long[0]['age_s']:.0f} s",
            hint="end that transaction first",
        )
    return "concurrent"


def free_bytes(session: Session) -> int | None:
    """Free disk of the server, null where it cannot be seen: SQL has no word for it, so only on this machine."""
    if session.data_directory is None:
        return None
    host = session.connection.info.host
    if host not in LOOPBACK and not host.startswith("/"):
        return None
    folder = Path(session.data_directory)
    try:
        # a container may have a folder of the same name as this machine: only ours holds the file of this server's pid
        if not (folder / "PG_VERSION").exists():
            return None
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _check_disk(session: Session, options: Options) -> None:
    if options.size_bytes is None:
        return
    wanted = int(options.size_bytes * ROOM)
    free = free_bytes(session)
    if free is None:
        options.tell(f"The server's free disk cannot be seen from here; up to {size(wanted)} will be needed.")
    elif free < wanted:
        raise QueryfitError(
            f"building the set takes up to {size(wanted)} of disk, and {size(free)} are free",
            hint="lower --budget, or free disk on that server",
        )
