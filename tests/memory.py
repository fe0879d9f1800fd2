"""Keeps what a test run writes in memory, where there is room: servers write gigabytes that nobody reads afterwards.

On a disk's file system a new database costs the kernel ten times what it costs in /dev/shm. A run gets a folder of its
own there, as TMPDIR (data of servers, labs, pytest's folders) and as XDG_CACHE_HOME (the embedded server), and removes
it at its end. It holds a lock on it, which the kernel frees when the run is killed: the next run then removes it.
Who sets TMPDIR keeps what tests leave, in the folder of that name.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

try:
    import fcntl
except ImportError:  # Windows has no such folder either
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARED_MEMORY = Path("/dev/shm")
LEAST_ROOM_BYTES = 4 * 2**30


@contextlib.contextmanager
def temporary_files_in_memory() -> Iterator[None]:
    """Let temporary files of this process and of those that it starts be in memory, for the length of the block."""
    base = SHARED_MEMORY / f"queryfit-{os.geteuid()}"  # short: it becomes part of the paths of sockets
    if fcntl is None or "TMPDIR" in os.environ or not _is_fit(base):
        yield
        return
    with contextlib.ExitStack() as stack:
        with _locked(base):
            for left in base.iterdir():
                # its servers end by themselves when they miss their files
                with contextlib.suppress(OSError), _locked(left, waits=False):
                    shutil.rmtree(left, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(prefix="", dir=base))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            stack.enter_context(_locked(folder))
        folder.chmod(0o711)  # servers of a test that root runs are not root's
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TMPDIR", str(folder))
            patch.setenv("XDG_CACHE_HOME", str(folder))
            patch.setattr(tempfile, "tempdir", None)  # asks the environment anew
            yield


def _is_fit(base: Path) -> bool:
    """Whether `base` can be made, is ours, lets programs run, and has room, as has the machine's memory."""
    try:
        base.mkdir(mode=0o711, exist_ok=True)
        status, file_system = base.lstat(), os.statvfs(base)
        memory = re.search(r"^MemAvailable: +(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        return False
    room = min(file_system.f_bavail * file_system.f_frsize, int(memory[1]) * 1024 if memory else 0)
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return is_ours and not file_system.f_flag & os.ST_NOEXEC and room >= LEAST_ROOM_BYTES


@contextlib.contextmanager
def _locked(folder: Path, *, waits: bool = True) -> Iterator[None]:
    """Hold the lock of a folder; OSError where another process has it and we do not wait."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
