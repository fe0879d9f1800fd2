"""Labs on disk: a folder and a server each, reused between runs, given to one process at a time.

A lab is changed by the run that uses it (candidates are made, indexes hidden), so two processes never share one: a
process holds the lock of the lab's folder, and a second one that wants the same capture gets the next slot, a lab of
its own. The kernel frees the lock of a killed process; whoever comes next then stops its server, removes what it had
half built, and drops what it left in a finished lab. The server listens on a unix socket in a private folder only.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from queryfit.embedded import (
    LONGEST_SOCKET_FOLDER_BYTES,
    SUPERUSER,
    base_folder,
    give_to_server_user,
    is_run_by_root,
    launch,
    lock_file,
    locked,
    run_program,
    signals_ignored,
)
from queryfit.errors import QueryfitError
from queryfit.lab.programs import Programs

MOST_LABS = 8  # finished ones that are kept on disk
MOST_SLOTS = 16  # processes that use one capture at a time
META = "lab.json"  # written last: a folder without it is half built
KEPT = "kept"  # marker: the server outlives the process that started it
IN_USE = "in-use"  # marker: removed by an orderly end, so that what a killed run left is looked for
_PROGRAMS = "programs"
_SOCKET = "socket-folder"
_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "''",
    "fsync": "off",  # a lab can be built again
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "8MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",  # it would write what the empty files say over sizes and statistics
    "shared_buffers": "64MB",
    "max_connections": "20",
    "max_worker_processes": "0",
    "max_parallel_maintenance_workers": "0",
    "max_locks_per_transaction": "2048",  # one statement may reach thousands of partitions
    "temp_file_limit": "1GB",
    "log_min_messages": "fatal",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


@dataclass(slots=True)
class Place:
    """A lab's folder, held by this process."""

    folder: Path
    _lock: IO[str] | None = field(repr=False)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def is_finished(self) -> bool:
        return (self.folder / META).exists()

    @property
    def is_kept(self) -> bool:
        return (self.folder / KEPT).exists()

    @property
    def was_left_in_use(self) -> bool:
        return (self.folder / IN_USE).exists()

    @property
    def meta(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / META).read_text(encoding="utf-8"))
        return found

    @property
    def socket_folder(self) -> Path:
        note = self.folder / _SOCKET
        return Path(note.read_text(encoding="utf-8")) if note.exists() else self.folder / "socket"

    def dsn(self, database: str, role: str = SUPERUSER) -> str:
        """The libpq URI of a database, as `role` (authentication is trust, the socket is the owner's alone)."""
        return f"postgresql://{quote(role, safe='')}@/{quote(database, safe='')}?host={quote(str(self.socket_folder))}"

    def create(self, programs: Programs, settings: Mapping[str, str]) -> None:
        """Make an empty cluster and start it."""
        self.folder.chmod(0o711)
        (self.folder / _PROGRAMS).write_text(str(programs.folder), encoding="utf-8")
        self.data.mkdir(mode=0o700)
        give_to_server_user(self.data)
        run_program(
            programs.folder / "initdb",
            f"--pgdata={self.data}",
            f"--username={SUPERUSER}",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
            "--wal-segsize=1",
            *(["--no-data-checksums"] if programs.version >= 18 else []),  # noqa: PLR2004 -- pages are written by hand
        )
        lines = [f"{name} = {value}" for name, value in {**_SETTINGS, **settings}.items()]
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write("\n".join([*lines, "include_if_exists = 'socket.conf'", ""]))
        self.start()

    def start(self) -> None:
        """Start the server, unless it runs. Raises QueryfitError where it does not."""
        if not self._runs():
            self._prepare_socket()
            launch(self._programs(), self.folder)
        (self.folder / IN_USE).touch()

    def finish(self, meta: Mapping[str, Any]) -> None:
        """Say that the lab is built."""
        beside = self.folder / f"{META}.new"
        beside.write_text(json.dumps(meta, indent=1), encoding="utf-8")
        beside.replace(self.folder / META)

    def keep(self) -> None:
        (self.folder / KEPT).touch()

    def settled(self) -> None:
        """Say that nothing of the run is left in the lab."""
        (self.folder / IN_USE).unlink(missing_ok=True)

    def release(self) -> None:
        """Stop the server unless it is kept, and give the folder free; one that is half built is removed."""
        if self._lock is None:
            return
        with signals_ignored():
            if not self.is_finished:
                self.remove()
            elif not self.is_kept:
                self.stop()
            self._lock.close()
            self._lock = None

    def stop(self) -> None:
        """Stop the server if it runs: with a checkpoint, because replayed WAL would undo pages written by hand."""
        if self._runs():
            with contextlib.suppress(QueryfitError):
                _stop(self._programs(), self.data, "fast")
        (self.folder / KEPT).unlink(missing_ok=True)

    def remove(self) -> None:
        """Stop the server and remove all of the lab."""
        if self._runs():
            with contextlib.suppress(QueryfitError):
                _stop(self._programs(), self.data, "immediate")
        if (self.folder / _SOCKET).exists():
            shutil.rmtree(self.socket_folder, ignore_errors=True)
        (self.folder / META).unlink(missing_ok=True)  # first: what is removed in part is no lab
        shutil.rmtree(self.folder, ignore_errors=True)

    def clear(self) -> None:
        """Remove all of the lab, to build it anew in its place."""
        mode = self.folder.stat().st_mode
        self.remove()
        self.folder.mkdir(mode=mode & 0o777)

    def _programs(self) -> Path:
        return Path((self.folder / _PROGRAMS).read_text(encoding="utf-8"))

    def _runs(self) -> bool:
        if not (self.data / "postmaster.pid").exists():
            return False
        try:
            run_program(self._programs() / "pg_ctl", "status", f"--pgdata={self.data}")
        except (QueryfitError, OSError):
            return False
        return True

    def _prepare_socket(self) -> None:
        folder = self.folder / "socket"
        if len(os.fsencode(folder)) > LONGEST_SOCKET_FOLDER_BYTES:
            folder = Path(tempfile.mkdtemp(prefix="queryfit-", dir="/tmp"))
            shutil.rmtree(self.socket_folder, ignore_errors=True)
            (self.folder / _SOCKET).write_text(str(folder), encoding="utf-8")
        else:
            folder.mkdir(mode=0o700, exist_ok=True)
        give_to_server_user(folder)
        quoted = str(folder).replace("'", "''")
        settings = self.data / "socket.conf"
        settings.write_text(f"unix_socket_directories = '{quoted}'\nunix_socket_permissions = 0700\n", encoding="utf-8")
        give_to_server_user(settings)


@dataclass(frozen=True, slots=True)
class Found:
    """A finished lab on disk."""

    name: str
    folder: Path
    meta: Mapping[str, Any]
    used_at: float  # seconds since the epoch
    size_bytes: int  # on disk: what sparse files take
    is_running: bool
    is_kept: bool
    is_in_use: bool  # by a process that runs


def claim(key: str) -> Place:
    """Hold the first free lab of this key: a finished one where there is one, else an empty folder to build in.

    Raises QueryfitError where the cache folder cannot be written to.
    """
    base = labs_folder()
    with locked(base / "lock"):
        _sweep(base)
        slots = [base / f"{key}-{slot}" for slot in range(1, MOST_SLOTS + 1)]
        for folder in slots:
            # what is there and not in use is finished: the sweep has removed all else
            if folder.exists() and (lock := _try_lock(folder)) is not None:
                os.utime(folder / META)
                return Place(folder, lock)
        _make_room(base)
        for folder in slots:
            if not folder.exists() and (lock := _try_lock(folder)) is not None:
                folder.mkdir(mode=0o711 if is_run_by_root() else 0o700)
                return Place(folder, lock)
    raise QueryfitError(f"{MOST_SLOTS} processes use a lab of this capture", hint="wait until one of them has ended")


def found_labs() -> list[Found]:
    """The finished labs, the one used last first; what killed runs left is removed before."""
    base = labs_folder()
    found = []
    with locked(base / "lock"):
        _sweep(base)
        for folder in _folders(base):
            place = Place(folder, None)
            if not place.is_finished:
                continue
            lock = _try_lock(folder)
            if lock is not None:
                lock.close()
            with contextlib.suppress(OSError, ValueError):
                found.append(
                    Found(
                        name=folder.name,
                        folder=folder,
                        meta=place.meta,
                        used_at=(folder / META).stat().st_mtime,
                        size_bytes=disk_use(folder),
                        is_running=(place.data / "postmaster.pid").exists(),
                        is_kept=place.is_kept,
                        is_in_use=lock is None,
                    )
                )
    return sorted(found, key=lambda lab: -lab.used_at)


def remove_labs(names: set[str] | None = None) -> tuple[list[str], list[str]]:
    """Remove these labs (null: all), kept ones too; names of those removed, and of those in use, which stay."""
    base = labs_folder()
    removed, used = [], []
    with locked(base / "lock"):
        _sweep(base)
        for folder in _folders(base):
            if names is not None and folder.name not in names:
                continue
            lock = _try_lock(folder)
            if lock is None:
                used.append(folder.name)
                continue
            with lock:
                Place(folder, None).remove()
                _lock_path(folder).unlink(missing_ok=True)
            removed.append(folder.name)
    return removed, used


def labs_folder() -> Path:
    """The folder of this user's labs, in the cache. Raises QueryfitError where there is no place for it."""
    folder = base_folder() / "labs"
    folder.mkdir(mode=0o711 if is_run_by_root() else 0o700, exist_ok=True)
    return folder


def _folders(base: Path) -> Iterator[Path]:
    return (path for path in sorted(base.iterdir()) if path.is_dir() and not path.is_symlink())


def _lock_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")  # beside it: the folder comes and goes


def _try_lock(folder: Path) -> IO[str] | None:
    file = _lock_path(folder).open("a", encoding="utf-8")
    try:
        lock_file(file, waits=False)
    except OSError:
        file.close()
        return None
    return file


def _sweep(base: Path) -> None:
    """Stop the servers and remove the half-built labs that killed runs left. The base folder's lock is held."""
    for folder in _folders(base):
        place = Place(folder, None)
        if place.is_finished and (place.is_kept or not (place.data / "postmaster.pid").exists()):
            continue
        lock = _try_lock(folder)
        if lock is None:
            continue
        with lock, signals_ignored():
            if place.is_finished:
                place.stop()
            else:
                place.remove()
                _lock_path(folder).unlink(missing_ok=True)
    for path in base.glob("*.lock"):
        if not path.with_suffix("").exists():
            path.unlink(missing_ok=True)  # nobody holds it: a claim makes the folder before it lets go of the base


def _make_room(base: Path) -> None:
    """Remove the labs that were not used for longest, so that one more makes `MOST_LABS`."""
    finished = [folder for folder in _folders(base) if (folder / META).exists()]
    finished.sort(key=lambda folder: (folder / META).stat().st_mtime)
    for folder in finished[: max(0, len(finished) - MOST_LABS + 1)]:
        if Place(folder, None).is_kept:
            continue
        lock = _try_lock(folder)
        if lock is not None:
            with lock:
                Place(folder, None).remove()
                _lock_path(folder).unlink(missing_ok=True)


def disk_use(folder: Path) -> int:
    """Bytes on disk below a folder; of sparse files what they take."""
    total = 0
    for path, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                status = (Path(path) / name).lstat()
                total += getattr(status, "st_blocks", status.st_size // 512) * 512
    return total


def _stop(programs: Path, data: Path, mode: str) -> None:
    run_program(programs / "pg_ctl", "stop", f"--pgdata={data}", f"--mode={mode}", "--wait", "--silent")
