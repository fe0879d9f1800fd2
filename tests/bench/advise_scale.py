"""Advice for a large server, after its capture: `python -m tests.bench.advise_scale [--folder FOLDER]`.

The server of `tests/bench/dataset.py` is captured, and its evidence then stretched: every table gets the statistics of
one that has rows, a size of its own, and every statement a share of the server's time, so that indexes are worth
having anywhere. Everything after that is measured: the lab, the workload, candidates and their sizes, the search.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from tabulate import tabulate

from tests.bench import dataset
from tests.bench.startup import program

LIMIT_S = 300.0
MEMORY_LIMIT_MB = 2048
EVERY_S = 1.0  # between two looks at the processes
_TICK = os.sysconf("SC_CLK_TCK")
_LEAST_ROWS, _MOST_ROWS = 20_000, 2_000_000
_ROWS_PER_PAGE = 80
_ENTRIES_PER_PAGE = 250

# The evidence of one table for all of them. `of` says how many rows a table has: from its name, spread evenly.
_STRETCHED = {
    "relation": f"""
        select source.* replace (
            of.rows as tuple_rows, of.rows // {_ROWS_PER_PAGE} as pages,
            of.rows // {_ROWS_PER_PAGE} as all_visible_pages, of.rows // {_ROWS_PER_PAGE} * 8192 as size_bytes)
        from source join of using (relation)""",
    "relation_index": f"""
        select source.* replace (
            of.rows as tuple_rows, of.rows // {_ENTRIES_PER_PAGE} as pages,
            of.rows // {_ENTRIES_PER_PAGE} * 8192 as size_bytes)
        from source join of using (relation)""",
    "column_statistics": """
        select source.* replace (of.relation as relation, of.rows * source.distinct_rows / model.rows as distinct_rows)
        from source join of as model on model.relation = source.relation and model.is_model, of
        where source.column_name in (select column_name from columns where columns.relation = of.relation)""",
    "column_extreme": "select * from source where false",
    "statement": """
        select * replace (calls * 5000 as calls, calls * 5000 * 2.0 as execution_ms, 2.0 as mean_ms) from source""",
}


def stretch(capture: Path) -> None:
    """Give every table of a capture the statistics of one, sizes, and every statement a share of the time."""
    meta_file = capture / "capture.json"
    meta = json.loads(meta_file.read_text(encoding="utf-8"))
    with duckdb.connect() as connection:
        connection.execute(
            f"""create table of as
            select relation, relation = $model as is_model,
                {_LEAST_ROWS} + hash(relation) % {_MOST_ROWS - _LEAST_ROWS} as rows
            from read_parquet($file) where schema like 'shop%'""",
            {"file": str(capture / "relation.parquet"), "model": dataset.table_name(0)},
        )
        connection.execute(
            "create table columns as select relation, column_name from read_parquet($file)",
            {"file": str(capture / "relation_column.parquet")},
        )
        for table, query in _STRETCHED.items():
            file, new = capture / f"{table}.parquet", capture / f"{table}.new"
            connection.execute(f"create or replace table source as select * from read_parquet('{file}')")
            connection.execute(f"copy ({query}) to '{new}' (format parquet, compression zstd)")
            new.replace(file)
            (rows,) = connection.execute(f"select count(*) from read_parquet('{file}')").fetchone() or (0,)
            meta["tables"][table] = {**meta["tables"][table], "rows": rows, "bytes": file.stat().st_size}
    meta_file.write_text(json.dumps(meta), encoding="utf-8")


@dataclass(slots=True)
class Servers:
    """What the processes of the lab's servers take: those whose data folder is below `folder`."""

    folder: Path
    peak_mb: float = 0.0  # of all at a time, what they share counted once
    _seconds: dict[int, float] = field(default_factory=dict)  # by postmaster, with its children that have ended
    _is_over: threading.Event = field(default_factory=threading.Event)

    @property
    def cpu_s(self) -> float:
        return sum(self._seconds.values())

    def watch(self) -> None:
        """Look again and again, until `end`."""
        while not self._is_over.wait(EVERY_S):
            with suppress(OSError):
                self._look()

    def end(self) -> None:
        self._is_over.set()

    def _look(self) -> None:
        total_kb = 0.0
        for note in self.folder.glob("**/postmaster.pid"):
            postmaster = int(note.read_text(encoding="utf-8").partition("\n")[0])
            children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii").split()
            live = 0.0
            for process in [postmaster, *map(int, children)]:
                with suppress(OSError):
                    live += _seconds(process, with_children=process == postmaster)
                    total_kb += _shared_out_kb(process)
            self._seconds[postmaster] = max(live, self._seconds.get(postmaster, 0.0))
        self.peak_mb = max(self.peak_mb, total_kb / 1024)


def _seconds(process: int, *, with_children: bool) -> float:
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(int(value) for value in fields[11 : 15 if with_children else 13]) / _TICK


def _shared_out_kb(process: int) -> float:
    """Memory of a process; what several share is divided by them."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("Pss:"))


def main() -> int:
    """Measure, print tables, and return 1 where a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "queryfit-bench")
    parser.add_argument("--capture", type=Path, help="a capture of the dataset taken before, in its folder")
    parser.add_argument("--keep", type=Path, help="write the answer, as JSON, there")
    # what else is given goes to `queryfit advise`
    given, more = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="queryfit-bench-") as place:
        capture = _capture(given.folder, given.capture, Path(place))
        stretch(capture)
        cache = Path(place, "cache")
        cache.mkdir()
        for folder in (Path(place), cache):
            folder.chmod(0o711)
        return _measured(capture, cache, given.keep or Path(place, "answer.json"), more)


def _capture(folder: Path, taken: Path | None, place: Path) -> Path:
    if taken is not None:
        return Path(shutil.copytree(taken, place / "store" / "server" / taken.name))
    with dataset.server(folder) as cluster:
        dsn = cluster.dsn(dataset.DATABASE)
        subprocess.run([program(), "capture", "-q", dsn, "--store", str(place / "store")], check=True)
    return max(path.parent for path in (place / "store").glob("*/*/capture.json"))


def _measured(capture: Path, cache: Path, answer: Path, more: list[str]) -> int:
    servers = Servers(cache)
    watcher = threading.Thread(target=servers.watch)
    watcher.start()
    began = time.monotonic()
    process = subprocess.Popen(
        [program(), "advise", str(capture), "-v", "--format", "json", "--output", str(answer), *more],
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    steps: list[tuple[str, float, float, float]] = []
    for line in process.stderr:
        now = (line.strip(), time.monotonic() - began, _cpu(process.pid), servers.cpu_s)
        print(f"{now[1]:6.1f} s {now[2]:6.1f} cpu {now[3]:6.1f} server  {now[0]}", file=sys.stderr, flush=True)
        steps.append(now)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - began
    servers.end()
    watcher.join()
    if process.returncode != 0:
        print(f"queryfit advise ended with {process.returncode}: {steps[-1][0] if steps else ''}", file=sys.stderr)
        return 1
    peak = used.ru_maxrss / 1024
    is_good = wall < LIMIT_S and peak < MEMORY_LIMIT_MB
    said = json.loads(answer.read_text(encoding="utf-8"))
    print({name: value for name, value in said.items() if isinstance(value, (int, float, str))})
    row = [wall, LIMIT_S, used.ru_utime + used.ru_stime, servers.cpu_s, peak, MEMORY_LIMIT_MB, servers.peak_mb]
    heads = ["wall s", "limit s", "cpu s", "lab cpu s", "peak MB", "limit MB", "lab peak MB", ""]
    print(tabulate([[*row, "ok" if is_good else "TOO MUCH"]], heads, floatfmt=".1f"))
    return 0 if is_good else 1


def _cpu(process: int) -> float:
    with suppress(OSError):
        return _seconds(process, with_children=False)
    return 0.0


if __name__ == "__main__":
    sys.exit(main())
