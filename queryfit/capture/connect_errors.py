"""What stands in the way of a connection or a query, in one line with the next step.

libpq gives no SQLSTATE for a refused connection, only words that may have several lines, repeat parts of the DSN and
come from the other side: they are matched, flattened and escaped here and printed nowhere else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from queryfit.errors import QueryfitError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

MESSAGE_LENGTH = 300
INSUFFICIENT_PRIVILEGE = "42501"
LOCK_NOT_AVAILABLE = "55P03"
QUERY_CANCELED = "57014"
GONE_STATES = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "08003", "08006"})


class QueryError(QueryfitError):
    """The server refused one statement; the connection is still good."""

    def __init__(self, message: str, *, sqlstate: str | None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate

    @property
    def is_timeout(self) -> bool:
        return self.sqlstate in {QUERY_CANCELED, LOCK_NOT_AVAILABLE}


class ServerGoneError(QueryfitError):
    """The connection was lost."""


def one_line(text: str) -> str:
    """Flatten a message to one short printable line: other people's words must not steer a terminal."""
    lines = [line.strip() for line in text.splitlines()]
    flat = " ".join(line for line in lines if line and not line.startswith("Is the server running"))
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in flat)
    return safe if len(safe) <= MESSAGE_LENGTH else f"{safe[: MESSAGE_LENGTH - 1]}…"


# Words of libpq, the server or a pooler → (what happened, next step); the first that matches wins.
_REFUSALS: tuple[tuple[str, str, str], ...] = (
    (
        r'too many connections for role "(.*?)"',
        'the role "{0}" has used up its connection limit',
        'close a session of that role, or raise it: alter role "{0}" connection limit 10;',
    ),
    (
        r'too many connections for database "(.*?)"',
        'the database "{0}" has used up its connection limit',
        'close a session there, or raise it: alter database "{0}" connection limit 100;',
    ),
    (
        r"remaining connection slots are reserved",
        "the server has no connection left for ordinary roles: the rest of max_connections is reserved",
        "close idle sessions, or connect as a superuser or (16 and later) with pg_use_reserved_connections",
    ),
    (
        r"too many clients already",
        "the server has used up max_connections",
        "close idle sessions, or put a pooler in front of the server",
    ),
    (
        r"no more connections allowed",
        "the pooler refuses clients: max_client_conn (or a limit per database or user) is used up",
        "raise it in pgbouncer.ini, or connect to the server itself",
    ),
    (
        r"password authentication failed|SCRAM|authentication failed for user",
        "the server does not accept this password",
        "check user and password; ~/.pgpass (mode 0600) or PGPASSWORD may hold another one",
    ),
    (
        r"no password supplied",
        "the server asks for a password and none was given",
        "put it in ~/.pgpass (mode 0600) or PGPASSWORD, not on the command line",
    ),
    (
        r'role "(.*?)" does not exist|no such user',
        'there is no role "{0}"',
        "name another one: user=… in the DSN, or PGUSER; `queryfit doctor` prints the SQL that makes a fit role",
    ),
    (r'database "(.*?)" does not exist|no such database', 'there is no database "{0}"', "list them: psql -l"),
    (
        r'permission denied for database "(.*?)"',
        'the role may not connect to the database "{0}"',
        'grant connect on database "{0}" to the role',
    ),
    (
        r'database "(.*?)" is not currently accepting connections',
        'the database "{0}" accepts no connections',
        "name another one with dbname=…",
    ),
    (
        r"no pg_hba.conf entry|pg_hba.conf rejects",
        "pg_hba.conf on the server does not let this host, user and database in",
        "add a line for them (hostssl if the server asks for encryption: sslmode=require) and reload the server",
    ),
    (
        r"server does not support SSL",
        "the server does not speak SSL, and the DSN asks for it",
        "sslmode=prefer, or turn ssl on at the server",
    ),
    (
        r"certificate|SSL|TLS",
        "the SSL handshake failed",
        "check sslmode, sslrootcert and the server's certificate",
    ),
    (
        r"starting up|shutting down|recovery mode|not yet accepting connections",
        "the server is starting up, shutting down or not ready for connections",
        "try again in a moment; a standby needs hot_standby = on",
    ),
    (
        r"timeout expired|timed out|connection timeout",
        "the server did not answer in time",
        "check host, port and firewalls; connect_timeout=… in the DSN waits longer",
    ),
    (
        r"failed to resolve host|could not translate host name|Name or service not known",
        "the host name cannot be resolved",
        "check the host in the DSN or PGHOST",
    ),
    (
        r"Connection refused|No such file or directory|Network is unreachable|No route to host",
        "no server answers there",
        "check host and port; is the server running and listening there (listen_addresses, unix_socket_directories)?",
    ),
    (
        r"definition of service|service file",
        "the service is not defined",
        "check ~/.pg_service.conf, PGSERVICE and PGSERVICEFILE",
    ),
)


def connection_error(error: Exception, dsn: str, given: Mapping[str, object]) -> QueryfitError:
    """Say why a connection was not made; `given` are the DSN's parameters, whose password is left out."""
    words = str(error)
    if _has_unescaped_password(dsn):
        return QueryfitError(
            "the connection failed, and the password in the URI holds characters that end it early",
            hint="percent-encode them (%40 for @, %2F for /, %3A for :), or use ~/.pgpass",
        )
    password = given.get("password")
    if isinstance(password, str) and password:
        words = words.replace(password, "***")
    for pattern, message, hint in _REFUSALS:
        match = re.search(pattern, words, re.DOTALL)
        if match is not None:
            names = [one_line(group or "?") for group in match.groups()] or ["?"]
            return QueryfitError(
                f"cannot connect: {message.format(*names)} ({_server_words(words)})", hint=hint.format(*names)
            )
    return QueryfitError(f"cannot connect: {_server_words(words)}", hint="check the DSN with: psql <DSN> -c 'select 1'")


def _server_words(words: str) -> str:
    """Return the part of a refusal that says where and what, without the layers around it."""
    line = one_line(words)
    return re.sub(r"^(connection failed: |connection is bad: )+", "", line)


def _has_unescaped_password(dsn: str) -> bool:
    """Tell whether a URI's password seems to hold a bare '@' or '/': parts of it are then taken for host or port."""
    match = re.match(r"postgres(?:ql)?://[^/@:?]*:([^?]*)@", dsn)
    return match is not None and any(c in match[1] for c in "@/")


_SQLSTATE_HINTS: Mapping[str, str] = {
    LOCK_NOT_AVAILABLE: "something holds a lock on it; try again when it is done",
    QUERY_CANCELED: "the server is busy or the catalog very large: try again later, or look at less with --schema",
    "40001": "the standby had to apply a change of its primary first; try again",
    "53100": "the server's disk is full",
    "53200": "the server is out of memory",
}


_POOLER_HINTS: tuple[tuple[str, str], ...] = (
    ("not supported by admin console", "this is PgBouncer's own console: name a database of the server behind it"),
    ("statement pooling mode", "PgBouncer in statement mode takes no transactions: connect to the server itself"),
)


def query_error(error: psycopg.Error, *, is_gone: bool) -> QueryfitError:
    """Turn psycopg's error into ours: `ServerGoneError` when the connection is lost, else `QueryError`."""
    state = error.sqlstate
    diagnosis = error.diag.message_primary
    words = one_line(diagnosis or str(error) or type(error).__name__)
    for pattern, next_step in _POOLER_HINTS:
        if re.search(pattern, words):
            return QueryError(words, sqlstate=state, hint=next_step)
    if is_gone or state in GONE_STATES:
        return ServerGoneError(
            f"the server went away in the middle: {words}",
            hint="it was stopped, restarted or crashed, a pooler or an administrator ended the session, or the "
            "network failed; see the server's log",
        )
    hint = one_line(error.diag.message_hint) if error.diag.message_hint else None
    return QueryError(words, sqlstate=state, hint=_SQLSTATE_HINTS.get(state or "", hint))
