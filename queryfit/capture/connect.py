"""The one connection to an audited server: short read-only transactions, nothing left behind.

Behind a transaction pooler a session-level SET, a named prepared statement or an `options` parameter would reach other
clients, so every query runs in a transaction of its own whose settings are local to it. Queries always go through the
extended protocol: it takes exactly one statement, whatever a text holds.
"""

from __future__ import annotations

import os
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Self, cast

import psycopg
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from queryfit.capture.connect_errors import QueryError, ServerGoneError, connection_error, query_error
from queryfit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from psycopg.abc import Buffer

__all__ = ["QueryError", "Reader", "ServerGoneError", "Transaction", "connect"]

Row = dict[str, Any]

APPLICATION = "queryfit"
CONNECT_TIMEOUT_S = 10
QUERY_TIMEOUT_MS = 30_000
LOCK_TIMEOUT_MS = 200  # a wait in a lock queue makes others queue behind us
IDLE_TIMEOUT_MS = 60_000  # the server ends the transaction should this process hang
CHUNK_ROWS = 5_000
FIRST_CHUNKED_LIBPQ = 170000

# Catalog functions print dates, floats and bytes by these; a text must not depend on the role's settings.
TEXT_SETTINGS: Mapping[str, str] = {
    "standard_conforming_strings": "on",
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "row_security": "on",
}
# Our own catalog queries are short: compiling them or starting workers for them only costs the server.
FRUGAL_SETTINGS: Mapping[str, str] = {"jit": "off", "max_parallel_workers_per_gather": "0"}
# pg_stat_statements keeps this, so that the audit can leave its own statements out of the workload.
MARK = "/* queryfit */"
CATALOG_PATH = "pg_catalog, pg_temp"  # pg_temp last: else a temporary table could shadow a catalog


@dataclass(slots=True)
class Transaction:
    """One open read-only transaction of a `Reader`."""

    reader: Reader

    def query(self, sql: str, params: Sequence[object] | None = None) -> list[Row]:
        """Run one statement with `$1` parameters and return its rows; raises `QueryError`."""
        return self.reader._run(sql, params)  # noqa: SLF001

    def execute(self, sql: str, params: Sequence[object] | None = None) -> None:
        """Run one statement for its effect in this transaction (PREPARE, DEALLOCATE)."""
        self.reader._run(sql, params)  # noqa: SLF001

    def set_local(self, settings: Mapping[str, str]) -> None:
        """Set configuration parameters until the end of this transaction."""
        calls = ", ".join(f"pg_catalog.set_config(${2 * i + 1}, ${2 * i + 2}, true)" for i in range(len(settings)))
        self.reader._run(f"select {calls}", [word for pair in settings.items() for word in pair])  # noqa: SLF001


@dataclass(slots=True)
class Reader:
    """A read-only look at one database through one connection. Use as a context manager.

    `queries` counts statements sent and `server_ms` the time waited for them: it holds the network's share too, so the
    server's own time is at most that.
    """

    connection: psycopg.Connection[Row]
    names_itself: bool  # the person has set no application_name
    queries: int = field(default=0, init=False)
    server_ms: float = field(default=0.0, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self.connection.close()

    @property
    def version_number(self) -> int:
        """server_version_num: 180001."""
        return self.connection.info.server_version

    @property
    def database(self) -> str:
        return self.connection.info.dbname

    @property
    def announced_pid(self) -> int:
        """The backend's pid as told at connection; a transaction pooler tells one of its own."""
        return self.connection.info.backend_pid

    def query(
        self, sql: str, params: Sequence[object] | None = None, *, timeout_ms: int = QUERY_TIMEOUT_MS
    ) -> list[Row]:
        """Run one SELECT or SHOW with `$1` parameters in a read-only transaction of its own.

        Names resolve in pg_catalog alone. Raises `QueryError` (with its sqlstate) when the server refuses the
        statement, `ServerGoneError` when the connection is lost.
        """
        with self._transaction(timeout_ms, CATALOG_PATH, FRUGAL_SETTINGS) as transaction:
            return transaction.query(sql, params)

    def stream(
        self, sql: str, params: Sequence[object] | None = None, *, timeout_ms: int = QUERY_TIMEOUT_MS
    ) -> Iterator[list[Row]]:
        """Like `query`, in lists of at most `CHUNK_ROWS` rows as they arrive; consume it without delay."""
        size = CHUNK_ROWS if psycopg.pq.version() >= FIRST_CHUNKED_LIBPQ else 1
        with self._transaction(timeout_ms, CATALOG_PATH, FRUGAL_SETTINGS), self.connection.cursor() as cursor:
            self.queries += 1
            # closing: a consumer that stops early must not leave a running query before the rollback
            with closing(cast("Generator[Row]", cursor.stream(_marked(sql), params, binary=True, size=size))) as rows:
                while chunk := self._next_chunk(rows):
                    yield chunk

    def _next_chunk(self, rows: Iterator[Row]) -> list[Row]:
        start = time.perf_counter()
        try:
            return list(islice(rows, CHUNK_ROWS))
        except psycopg.Error as error:
            raise query_error(error, is_gone=self.connection.broken) from error
        finally:
            self.server_ms += (time.perf_counter() - start) * 1000

    @contextmanager
    def transaction(
        self, *, timeout_ms: int = QUERY_TIMEOUT_MS, search_path: str = CATALOG_PATH
    ) -> Iterator[Transaction]:
        """Open a read-only transaction for several statements, with the role's own planner settings.

        `search_path` is the value of that setting, quoted as SET takes it. It is committed when the block ends, rolled
        back when it raises.
        """
        with self._transaction(timeout_ms, search_path, {}) as transaction:
            yield transaction

    @contextmanager
    def _transaction(self, timeout_ms: int, search_path: str, settings: Mapping[str, str]) -> Iterator[Transaction]:
        transaction = Transaction(self)
        self._run("begin read only", None)
        try:
            transaction.set_local(
                {
                    "statement_timeout": str(timeout_ms),
                    "lock_timeout": str(LOCK_TIMEOUT_MS),
                    "idle_in_transaction_session_timeout": str(IDLE_TIMEOUT_MS),
                    "search_path": search_path,
                    # not at connection: a pooler would leave our name to the next client that sets none
                    **({"application_name": APPLICATION} if self.names_itself else {}),
                    **TEXT_SETTINGS,
                    **settings,
                }
            )
            yield transaction
        except BaseException:
            if not self.connection.closed:
                self._run("rollback", None)
            raise
        self._run("commit", None)

    def _run(self, sql: str, params: Sequence[object] | None) -> list[Row]:
        start = time.perf_counter()
        self.queries += 1
        try:
            # binary results make psycopg use the extended protocol even for a statement without parameters
            with self.connection.cursor(binary=True) as cursor:
                cursor.execute(_marked(sql), params)
                return cursor.fetchall() if cursor.description is not None else []
        except psycopg.Error as error:
            raise query_error(error, is_gone=self.connection.broken) from error
        finally:
            self.server_ms += (time.perf_counter() - start) * 1000


def connect(dsn: str | None) -> Reader:
    """Connect as libpq does: a URI, a conninfo string, PG* variables, a service, .pgpass; None for the environment.

    Raises `QueryfitError` with one line that says what stands in the way, without the password, and a hint.
    """
    try:
        given = conninfo_to_dict(dsn or "")
    except psycopg.ProgrammingError:
        # libpq's own words repeat the string, and with it the password
        raise UsageError(
            "the DSN is neither a PostgreSQL URI nor a conninfo string",
            hint="write postgresql://user@host:5432/database or 'host=… dbname=… user=…'; percent-encode special "
            "characters of a password in a URI (%40 for @, %2F for /)",
        ) from None
    parameters: dict[str, Any] = {"client_encoding": "UTF8"}
    if "connect_timeout" not in given and "PGCONNECT_TIMEOUT" not in os.environ:
        parameters["connect_timeout"] = CONNECT_TIMEOUT_S
    try:
        connection = _open(dsn or "", parameters)
        if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
            # the server would refuse to send bytes that are not UTF-8: ask for them as they are
            connection.close()
            connection = _open(dsn or "", {**parameters, "client_encoding": "SQL_ASCII"})
            for name in ("text", "varchar", "name", "bpchar", '"char"'):
                connection.adapters.register_loader(name, _AnyBytes)
    except (psycopg.Error, UnicodeError) as error:
        raise connection_error(error, dsn or "", given) from None
    return Reader(connection, names_itself="application_name" not in connection.info.get_parameters())


def _open(dsn: str, parameters: Mapping[str, Any]) -> psycopg.Connection[Row]:
    return psycopg.connect(
        dsn,
        autocommit=True,
        prepare_threshold=None,
        row_factory=dict_row,
        cursor_factory=psycopg.RawCursor,
        **parameters,
    )


def _marked(sql: str) -> bytes:
    # on a line of its own: the statement may end in a comment
    return f"{sql}\n{MARK}".encode("utf-8", "backslashreplace")


class _AnyBytes(Loader):
    """Text of a database without an encoding: whatever bytes it holds must not end the capture."""

    format = psycopg.pq.Format.BINARY

    def load(self, data: Buffer) -> str:
        return bytes(data).decode("utf-8", "backslashreplace")
