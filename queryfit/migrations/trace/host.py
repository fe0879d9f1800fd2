"""The server that migrations of strangers run on: a role that may do little, a database of its own, limits.

What a pull request brings may be hostile. It runs as a role without superuser and without membership in any of
PostgreSQL's own roles, so server files and programs are out of reach; extensions that read files or open connections
are not created; time, temporary files and connections are limited; the server listens on a private unix socket.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from queryfit import embedded
from queryfit.errors import QueryfitError
from queryfit.migrations.trace.observed import Failure

ROLE = "migration"
DATABASE = "trace"
NO_SELF_GRANT = 160000  # since then CREATEROLE hands out only roles of one's own making
LEAST_ROOM_BYTES = 1 << 30
SETTINGS = {
    "fsync": "off",  # the data is thrown away
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",  # it would take locks and read pages beside the migration
    "jit": "off",
    "shared_buffers": "64MB",
    "max_connections": "20",
    "max_worker_processes": "0",
    "max_parallel_maintenance_workers": "0",
    "max_locks_per_transaction": "1024",
    "temp_file_limit": "1GB",
    "max_wal_size": "1GB",
    "log_min_messages": "fatal",
}
# Not trusted by their authors, so only a superuser creates them; these reach neither files nor the network.
ALLOWED_EXTENSIONS = frozenset(
    {"vector", "earthdistance", "pg_stat_statements", "bloom", "amcheck", "pageinspect", "isn"}
)
# The wheel is built without OpenSSL and libuuid. What migrations use of these: defaults of columns, mostly.
STUBS = {
    "pgcrypto": """
        create function gen_random_bytes(integer) returns bytea volatile strict parallel safe language sql
            as $$ select substring(sha512(random()::text::bytea) for $1) $$;
        create function digest(text, text) returns bytea immutable strict parallel safe language sql
            as $$ select sha256($1::bytea) $$;
        create function digest(bytea, text) returns bytea immutable strict parallel safe language sql
            as $$ select sha256($1) $$;
        create function hmac(text, text, text) returns bytea immutable strict parallel safe language sql
            as $$ select sha256(($1 || $2)::bytea) $$;
        create function hmac(bytea, bytea, text) returns bytea immutable strict parallel safe language sql
            as $$ select sha256($1 || $2) $$;
        create function crypt(text, text) returns text immutable strict parallel safe language sql
            as $$ select md5($1 || $2) $$;
        create function gen_salt(text) returns text volatile strict parallel safe language sql
            as $$ select md5(random()::text) $$;
        create function gen_salt(text, integer) returns text volatile strict parallel safe language sql
            as $$ select md5(random()::text) $$;
    """,
    "uuid-ossp": """
        create function uuid_generate_v4() returns uuid volatile strict parallel safe language sql
            as $$ select gen_random_uuid() $$;
        create function uuid_generate_v1() returns uuid volatile strict parallel safe language sql
            as $$ select gen_random_uuid() $$;
        create function uuid_generate_v1mc() returns uuid volatile strict parallel safe language sql
            as $$ select gen_random_uuid() $$;
        create function uuid_generate_v5(uuid, text) returns uuid immutable strict parallel safe language sql
            as $$ select md5($1::text || $2)::uuid $$;
        create function uuid_nil() returns uuid immutable strict parallel safe language sql
            as $$ select '00000000-0000-0000-0000-000000000000'::uuid $$;
    """,
}
_EXTENSION = re.compile(
    r"\s*create\s+extension\s+(if\s+not\s+exists\s+)?(\"?)([\w-]+)\2(?:\s+with)?(?:\s+schema\s+(\"?)(\w+)\4)?",
    re.IGNORECASE,
)
_NO_EXTENSION = frozenset({"0A000", "58P01", "42501"})  # not there, or not for this role
_MISSING_ROLE = re.compile(r'role "(.+)" does not exist$')
DANGEROUS_ROLES = ("pg_read_server_files", "pg_write_server_files", "pg_execute_server_program")


@dataclass(frozen=True, slots=True)
class Remedy:
    """What was done about an error, and what to run in place of the statement (null: the statement itself again)."""

    note: str
    instead: str | None = None


@dataclass(slots=True)
class Host:
    """Where migrations run: `connect` as their role, `watch` to look on, `remedy` for what is lacking."""

    connect: Callable[[], psycopg.Connection[Any]]
    watch: Callable[[], psycopg.Connection[Any]]
    remedy: Callable[[Failure, str], Remedy | None] | None
    version: int  # major
    has_room: Callable[[], bool] | None = None  # on the disk; migrations may write without end


def _connection(dsn: str, settings: str | None = None) -> psycopg.Connection[Any]:
    try:
        connection = psycopg.connect(
            dsn, autocommit=True, prepare_threshold=None, application_name="queryfit trace", client_encoding="utf8",
            connect_timeout=10, options=settings or "",
        )  # fmt: skip
    except psycopg.Error as error:
        words = str(error).strip().splitlines()
        raise QueryfitError(
            f"The server for the trace does not answer: {words[-1] if words else 'no reason given'}",
            hint="see that --trace-dsn names a throw-away database that you may connect to",
        ) from error
    connection.add_notice_handler(lambda _: None)
    return connection


@contextlib.contextmanager
def embedded_host(limit_s: float) -> Iterator[Host]:
    """A server of our own for the length of the block, removed afterwards, also on Ctrl-C."""
    with embedded.running({**SETTINGS, "statement_timeout": f"{int(limit_s * 1000)}ms"}) as server:
        with contextlib.closing(_connection(server.dsn())) as connection:
            connection.execute(f"create role {ROLE} login createrole connection limit 10".encode())
            connection.execute(f"create database {DATABASE} owner {ROLE}".encode())
            # other databases are not the migration's to visit
            connection.execute(b"revoke connect on database postgres, template1 from public")
            version = connection.info.server_version // 10000

        def watch() -> psycopg.Connection[Any]:
            # the owner of a database sets what its sessions start with: a search_path of operators that superusers run
            return _connection(server.dsn(DATABASE), "-c search_path=pg_catalog")

        helper = watch()
        try:
            yield Host(
                connect=lambda: _connection(server.dsn(DATABASE, role=ROLE)),
                watch=watch,
                remedy=lambda failure, text: mend(helper, failure, text),
                version=version,
                has_room=lambda: shutil.disk_usage(server.folder).free > LEAST_ROOM_BYTES,
            )
        finally:
            helper.close()


def named_host(dsn: str, limit_s: float, *, is_used_allowed: bool = False) -> Host:
    """A throw-away database that a person named. What migrations make there stays there.

    Raises QueryfitError when its role could reach files or programs of the server, or when the database is in use:
    tables are there, unless `is_used_allowed`.
    """
    with contextlib.closing(_connection(dsn)) as connection:
        version = connection.info.server_version // 10000
        reasons = _too_mighty(connection)
        if reasons:
            raise QueryfitError(
                f"The role of --trace-dsn {reasons}, and migrations are code that could use it.",
                hint="create role tracer login; create database trace owner tracer; and name those in --trace-dsn",
            )
        count = connection.execute(
            b"select count(*) from pg_catalog.pg_class where oid >= 16384 and relkind in ('r', 'p', 'm', 'v', 'S')"
        ).fetchall()[0][0]
        if count and not is_used_allowed:
            raise QueryfitError(
                f"The database of --trace-dsn is not empty: it holds {count} tables, views or sequences.",
                hint="name an empty database; the migrations change it",
            )
    return Host(
        connect=lambda: _connection(dsn, f"-c statement_timeout={int(limit_s * 1000)}"),
        watch=lambda: _connection(dsn, "-c search_path=pg_catalog"),
        remedy=None,
        version=version,
    )


def _too_mighty(connection: psycopg.Connection[Any]) -> str | None:
    """Say in words what makes the role dangerous."""
    row = connection.execute(
        b"select rolsuper, rolreplication, rolcreaterole from pg_catalog.pg_roles where rolname = session_user"
    ).fetchall()[0]
    if row[0]:
        return "is a superuser"
    if row[1]:
        return "may replicate"
    if row[2] and connection.info.server_version < NO_SELF_GRANT:
        return "may create roles, and so give itself any"
    member = connection.execute(
        "select rolname from pg_catalog.pg_roles "
        "where rolname = any(%s) and pg_catalog.pg_has_role(session_user, oid, 'member')",
        [list(DANGEROUS_ROLES)],
    ).fetchall()
    return f"is a member of {member[0][0]}" if member else None


def mend(helper: psycopg.Connection[Any], failure: Failure, text: str) -> Remedy | None:
    """Make, as superuser, what a statement lacked: a role, an extension that does no harm.

    Only text of our own runs with these rights; of the migration nothing but quoted names gets into it.
    """
    try:
        role = _MISSING_ROLE.search(failure.message) if failure.sqlstate == "42704" else None
        if role is not None:
            name = sql.Identifier(role[1])
            helper.execute(sql.SQL("create role {}").format(name))
            helper.execute(sql.SQL("grant {} to {}").format(name, sql.Identifier(ROLE)))
            return Remedy(f"role {role[1]} was made")
        extension = _EXTENSION.match(text)
        if extension is None or failure.sqlstate not in _NO_EXTENSION:
            return None
        wanted, schema = extension[3].lower(), extension[5]
        if wanted in STUBS:
            prefix = f'create or replace function "{schema}".' if schema else "create or replace function "
            stand_in = STUBS[wanted].replace("create function ", prefix)
            return Remedy(f"functions that stand in for the extension {wanted} were made", stand_in)
        if wanted in ALLOWED_EXTENSIONS:
            place = sql.SQL(" schema {}").format(sql.Identifier(schema or "public"))
            helper.execute(sql.SQL("create extension if not exists {}").format(sql.Identifier(wanted)) + place)
            return Remedy(f"extension {wanted} was made by the superuser", "select 1")
    except psycopg.Error:
        return None
    return None
