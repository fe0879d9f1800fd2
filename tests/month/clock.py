"""The clock of a server that lives through a month in minutes.

A small library, preloaded into the server's processes, adds an offset to their wall clock. The offset is in memory that
all of them share with the generator: a jump is seen at once, by all. The monotonic clock, which measures execution
times, stays the machine's own, as do the timers behind timeouts.

libfaketime was tried first. It reads its offset from a file, with the C library's streams, and while it does so it
answers with the real time; PostgreSQL looks at the clock in the handler of its timers' signal, and then meets the real
time or an allocator at work: timeouts fired that were none, and now and then a server process crashed.
"""

from __future__ import annotations

import mmap
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

SOURCE = Path(__file__).with_name("clock.c")
OFFSET_BYTES = 8


def compiler() -> str | None:
    """The C compiler; None where there is none."""
    return shutil.which("cc") or shutil.which("gcc")


class Clock:
    """What time it is for the processes that were started with `environment`; its files are in `folder`."""

    def __init__(self, folder: Path) -> None:
        command = compiler()
        if command is None:
            raise RuntimeError("no C compiler is installed; on Debian: apt-get install gcc libc6-dev")
        self.library = folder / "clock.so"
        self.file = folder / "clock"
        subprocess.run([command, "-O2", "-shared", "-fPIC", "-o", self.library, SOURCE, "-ldl"], check=True)
        self.file.write_bytes(bytes(OFFSET_BYTES))
        self.file.chmod(0o644)
        with self.file.open("r+b") as file:
            self._offset_us = memoryview(mmap.mmap(file.fileno(), OFFSET_BYTES)).cast("q")

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables for the server's processes."""
        return {"LD_PRELOAD": str(self.library), "SHIFTED_CLOCK": str(self.file)}

    def set(self, moment: datetime) -> None:
        """Let it be `moment` (aware) now; time goes on from there at its usual speed."""
        self._offset_us[0] = round((moment.timestamp() - time.time()) * 1e6)
