"""Builds the shop of examples/shop on an embedded server of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from queryfit.embedded import EmbeddedServer, running
from queryfit.errors import QueryfitError
from queryfit.resources import folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DATABASE = "shop"

_BOTH = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track_planning": "on",
    "max_wal_size": "2GB",  # no checkpoint in the middle of the load
}

# What people leave or set on servers that then get slow, or lose data.
_SICK = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "105",
}

_HEALTHY = {
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "random_page_cost": "1.1",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "track_io_timing": "on",
    "statement_timeout": "60s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
}


@dataclass(frozen=True, slots=True)
class Shop:
    """A loaded shop on a running server."""

    server: EmbeddedServer
    is_healthy: bool

    @property
    def dsn(self) -> str:
        """The shop's database, as superuser."""
        return self.server.dsn(DATABASE)

    def role_dsn(self, role: str) -> str:
        """Return the shop's database, as `role`."""
        return self.server.dsn(DATABASE, role=role)


@contextlib.contextmanager
def open_shop(*, is_healthy: bool, progress: Callable[[str], None]) -> Iterator[Shop]:
    """Start a server, load the shop, and stop the server at the end of the block (unless `server.keep()` was called).

    `progress` is told in a few words what begins. Raises QueryfitError when the server or the load fails.
    """
    scripts = ("schema.sql", "data.sql", "constraints.sql", "indexes.sql" if is_healthy else "faults.sql")
    progress("starting PostgreSQL")
    with running({**_BOTH, **(_HEALTHY if is_healthy else _SICK)}) as server:
        shop = Shop(server, is_healthy)
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("create database shop")
        for script in scripts:
            progress(f"loading the shop: {script}")
            _execute(shop, folder("examples/shop") / script)
        with psycopg.connect(shop.dsn, autocommit=True) as connection:
            # made last, so that the statements of the load are not in it
            connection.execute("create extension pg_stat_statements")
            connection.execute("select pg_stat_statements_reset()")
            # counts of one table, but the date of all: so the age of the counters is known
            connection.execute("select pg_stat_reset_single_table_counters('categories'::regclass)")
        yield shop


def _execute(shop: Shop, script: Path) -> None:
    """Run a script with psql, which takes CREATE INDEX CONCURRENTLY and VACUUM between other statements."""
    environment = {
        "PATH": os.defpath,
        "PGOPTIONS": "-c statement_timeout=0 -c synchronous_commit=off",
        "PGCLIENTENCODING": "UTF8",
    }
    done = subprocess.run(
        [
            str(shop.server.programs / "psql"),
            *("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={shop.dsn}", f"--file={script}"),
        ],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        start_new_session=True,  # Ctrl-C ends us, and we the server
    )
    if done.returncode != 0:
        words = (done.stderr.strip().splitlines() or ["(no words)"])[-1]
        raise QueryfitError(f"The demo's {script.name} failed: {words}", hint="see that the disk has room for 1 GB")
