"""Capture and audit of a large server: `python -m tests.bench.scale [--folder FOLDER]`. Prints times against limits."""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb
from tabulate import tabulate

from tests.bench import dataset
from tests.bench.startup import program
from tests.servers import Cluster

LIMITS = {"capture": 15.0, "audit": 45.0}  # seconds of wall time, on two cores
MEMORY_LIMIT_MB = 1024


@dataclass(frozen=True, slots=True)
class Run:
    """What one command took: seconds, and megabytes at its peak."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def run(*arguments: str) -> Run:
    """Run queryfit in a process of its own."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as error:
        process = subprocess.Popen(
            [program(), *arguments],
            stdout=subprocess.DEVNULL,
            stderr=error,
        )
        # wait4, not RUSAGE_CHILDREN: that one holds the greatest peak of all children so far
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - began
        if process.returncode != 0:
            error.seek(0)
            sys.exit(f"queryfit {' '.join(arguments)} ended with {process.returncode}: {error.read().decode()[-2000:]}")
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def server_seconds(cluster: Cluster) -> float:
    """CPU time of the server's processes, those that have ended included."""
    assert cluster.process
    fields = Path(f"/proc/{cluster.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(int(value) for value in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure, print a table, and return 1 where a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "queryfit-bench")
    folder = parser.parse_args().folder
    rows: list[list[object]] = []
    is_good = True
    with dataset.server(folder) as cluster, tempfile.TemporaryDirectory() as store:
        dsn = cluster.dsn(dataset.DATABASE)
        for name, limit in LIMITS.items():
            before = server_seconds(cluster)
            took = run(name, dsn, "--store", store)
            on_server = server_seconds(cluster) - before
            fits = took.wall_s < limit and took.peak_mb < MEMORY_LIMIT_MB
            is_good = is_good and fits
            rows.append([name, took.wall_s, limit, took.cpu_s, on_server, took.peak_mb, "ok" if fits else "TOO MUCH"])
        _describe(Path(store))
    heads = ["command", "wall s", "limit s", "cpu s", "server cpu s", f"peak MB (limit {MEMORY_LIMIT_MB})", ""]
    print(tabulate(rows, heads, floatfmt=".1f"))
    return 0 if is_good else 1


def _describe(store: Path) -> None:
    newest = max(path.parent for path in store.glob("*/*/capture.json"))
    size = sum(path.stat().st_size for path in newest.iterdir())
    with duckdb.connect() as connection:
        counts = [
            f"{connection.read_parquet(str(newest / f'{table}.parquet')).shape[0]:,} {table}"
            for table in ("relation", "relation_index", "statement", "reference", "plan", "unread")
            if (newest / f"{table}.parquet").exists()
        ]
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"captured: {', '.join(counts)}; {size / 2**20:.1f} MB on disk (the benchmark itself used {own:.0f} MB)")


if __name__ == "__main__":
    sys.exit(main())
