"""Many small statements at once: sent together, one transaction, all or none of them.

Of the thousands of statements that make a lab each is cheap; a round trip and a commit each take as long again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from psycopg import pq
from psycopg.errors import error_from_result

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn

# Few enough that neither side waits for the other to read, nor for the locks of so many tables with their indexes.
SIZE = 100
_GOOD = frozenset({pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK, pq.ExecStatus.EMPTY_QUERY})

Item = TypeVar("Item")
Statement = tuple[bytes, Sequence[bytes | None]]  # with $1, $2 …, and their values as text


def batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Items in order, `SIZE` at a time."""
    return (items[start : start + SIZE] for start in range(0, len(items), SIZE))


def as_text(value: object) -> bytes | None:
    """A parameter as PostgreSQL reads it: null, a boolean, a number, a text, or a list of numbers.

    Raises ValueError for a text that the server cannot hold.
    """
    if value is None:
        return None
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return b"{" + b",".join(b"null" if item is None else str(item).encode() for item in value) + b"}"
    text = str(value).encode()
    if b"\0" in text:
        raise ValueError("a text holds a NUL character")
    return text


def run(connection: PGconn, statement: bytes, parameters: Sequence[bytes | None]) -> None:
    """Run one statement. Raises psycopg.Error."""
    result = connection.exec_params(statement, parameters or None)
    if result.status not in _GOOD:
        raise error_from_result(result, encoding="utf-8")


def succeeded(connection: PGconn, statements: Sequence[Statement]) -> bool:
    """Run statements, each one only and with its parameters, as one transaction; whether all of them succeeded.

    Where one did not, or the connection is lost, none of them has been run. `connection` is in autocommit mode.
    Raises psycopg.Error where nothing can be sent.
    """
    connection.enter_pipeline_mode()
    try:
        for statement, parameters in statements:
            connection.send_query_params(statement, parameters or None)
        connection.pipeline_sync()
        states: list[int] = []
        while True:
            result = connection.get_result()
            if connection.status != pq.ConnStatus.OK:
                return False
            if result is None:
                continue  # the end of what one statement answers
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                break
            states.append(result.status)
    finally:
        if connection.status == pq.ConnStatus.OK:
            connection.exit_pipeline_mode()
    return all(state in _GOOD for state in states)
