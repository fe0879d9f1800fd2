"""Start of `queryfit --help` against a bare import of click: `python -m tests.bench.startup`."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

LIMIT = 2.0
RUNS = 15


def program() -> str:
    """The queryfit of this Python, else the one on the path."""
    beside = Path(sys.executable).with_name("queryfit")
    return str(beside) if beside.exists() else shutil.which("queryfit") or sys.exit("queryfit is not installed")


def cpu_seconds(command: list[str]) -> float:
    """CPU time of a command; the least disturbed measure on a shared machine."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Measure in turns, print medians, and return 1 where the limit is exceeded."""
    commands = {"import click": [sys.executable, "-c", "import click"], "queryfit --help": [program(), "--help"]}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for command in commands.values():
        cpu_seconds(command)  # compile and warm up
    for _ in range(RUNS):
        for name, command in commands.items():
            times[name].append(cpu_seconds(command))
    bare, ours = (statistics.median(times[name]) for name in commands)
    print(
        f"import click {bare * 1000:.0f} ms, queryfit --help {ours * 1000:.0f} ms: {ours / bare:.2f}x (limit {LIMIT}x)"
    )
    return 0 if ours <= LIMIT * bare else 1


if __name__ == "__main__":
    sys.exit(main())
