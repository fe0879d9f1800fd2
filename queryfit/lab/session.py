"""One connection that plans: statements through the extended protocol, each answer as the server's bytes.

It speaks to libpq beneath psycopg's cursors: a plan often takes less time than a cursor needs to wrap it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import pq
from psycopg.errors import error_from_result

from queryfit.capture.connect_errors import QueryError, query_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

_GOOD = frozenset({pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK, pq.ExecStatus.EMPTY_QUERY})
_OPEN = frozenset({pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR})

Row = tuple[bytes | None, ...]


class StatementError(QueryError):
    """The server refused a statement; `position`: the character of it that the server points to, from 0."""

    def __init__(self, error: QueryError, position: str | None) -> None:
        super().__init__(error.message, sqlstate=error.sqlstate, hint=error.hint)
        self.position = int(position) - 1 if position else None


class Session:
    """A connection in autocommit mode. Not thread-safe, but several sessions may work in several threads."""

    def __init__(self, connection: psycopg.Connection[object]) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn

    @property
    def version_number(self) -> int:
        """server_version_num: 180001."""
        return self._connection.info.server_version

    @property
    def is_in_transaction(self) -> bool:
        return pq.TransactionStatus(self._pgconn.transaction_status) in _OPEN

    def run(self, sql: str, params: Sequence[str | None] = ()) -> list[Row]:
        """Run exactly one statement; its rows as text in bytes.

        Raises QueryError when the server refuses it, ServerGoneError when the connection is lost.
        """
        result = self._pgconn.exec_params(
            sql.encode("utf-8", "backslashreplace"),
            [None if value is None else value.encode("utf-8", "backslashreplace") for value in params],
        )
        if result.status not in _GOOD:
            error = error_from_result(result, encoding="utf-8")
            told = query_error(error, is_gone=self._pgconn.status != pq.ConnStatus.OK)
            if isinstance(told, QueryError):
                raise StatementError(told, error.diag.statement_position)
            raise told
        columns = range(result.nfields)
        return [tuple(result.get_value(row, column) for column in columns) for row in range(result.ntuples)]

    def set_local(self, settings: Mapping[str, str]) -> None:
        """Set configuration parameters until the end of the transaction."""
        if settings:
            calls = ", ".join(f"pg_catalog.set_config(${2 * i + 1}, ${2 * i + 2}, true)" for i in range(len(settings)))
            self.run(f"select {calls}", [word for pair in settings.items() for word in pair])

    def close(self) -> None:
        self._connection.close()


def text_array(values: Sequence[str]) -> str:
    """The texts as PostgreSQL writes an array."""
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"
