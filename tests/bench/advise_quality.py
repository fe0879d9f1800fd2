"""How good the sets of indexes are that `advise` chooses, by an independent judge, and how long that takes.

    QUERYFIT_BENCH_TPC=FOLDER QUERYFIT_BENCH_DSN="host=… user=…" QUERYFIT_BENCH_JUDGE=FOLDER
        python -m tests.bench.advise_quality [--real-sizes] [tpch] [tpcds]

The folder and the databases are those that `tests/bench/tpc.py` makes, on PostgreSQL with HypoPG. The judge is a folder
with an `evaluate.py` that takes --dsn, --queries, --exclude, --indexes and --json, and plans the workload with the set
as HypoPG's indexes. With --real-sizes the budgets are kept by what the indexes really take, deduplicated, instead of by
what HypoPG says of them; the judge's column of MB is still HypoPG's. Left out are queries of which a single one would
be nearly all of the cost.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from psycopg.conninfo import make_conninfo

from queryfit.advise.candidates.evidence import catalog_of_session, schema_of_session, statements_of_workload
from queryfit.advise.candidates.propose import candidates
from queryfit.advise.model import Advice
from queryfit.advise.selection.select import Limits, select
from queryfit.advise.sizes.sample import sizes_of
from queryfit.advise.workload import workload_of_file
from queryfit.audit import take_capture
from queryfit.capture.server import CaptureOptions
from queryfit.evidence.session import open_session
from queryfit.evidence.store import Store
from queryfit.lab.hypopg import HypoPlanner
from queryfit.lab.table_facts import tables_of

MB = 10**6
BUDGETS = (250 * MB, 500 * MB, 1000 * MB, 2000 * MB, None)
EXCLUDED = {
    "tpch": ("q02", "q17", "q20"),
    "tpcds": ("q04", "q06", "q09", "q10", "q11", "q32", "q35", "q41", "q95"),
}
BEST_PEER = {"tpch": (85.8, 77.2, 65.9, 60.9, 57.6), "tpcds": (83.5, 79.5, 76.0, 73.3, 71.9)}
BEST_KNOWN = {"tpch": (85.8, 76.1, 64.5, 59.7, 57.6), "tpcds": (82.4, 77.1, 73.6, 72.1, 71.9)}
WORKERS = 2


def advise(name: str, dsn: str, folder: Path, store: Path, *, has_real_sizes: bool) -> tuple[Advice, float, float]:
    """Advice for all budgets; seconds of the capture, and of everything after it."""
    started = time.monotonic()
    capture = take_capture(dsn, CaptureOptions(), Store(store), redacts=False, progress=lambda _: None)
    captured = time.monotonic()
    with open_session(capture) as session:
        workload = workload_of_file(folder / f"{name}.sql")
        kept = tuple(one for one in workload.statements if one.fingerprint not in EXCLUDED[name])
        workload = replace(workload, statements=kept, database=name)
        statements = statements_of_workload(workload, catalog_of_session(session, name))
        found = candidates(statements, schema_of_session(session, name))
        if has_real_sizes:
            tables = tables_of(session, name, {one.index.relation for one in found})
            sizes = sizes_of([one.index for one in found], tables)
            found = [replace(one, size=sizes[one.index]) for one in found]
    with HypoPlanner(dsn, is_trusted=True, workers=WORKERS) as planner:
        advice = select(workload, found, [], planner, budgets=BUDGETS, limits=Limits(seconds=200))
    return advice, captured - started, time.monotonic() - captured


def judged(judge: Path, dsn: str, queries: Path, name: str, statements: list[str]) -> dict[str, float]:
    """What the judge says of a set."""
    with tempfile.TemporaryDirectory() as place:
        indexes, answer = Path(place, "indexes.sql"), Path(place, "answer.json")
        indexes.write_text("".join(f"{statement};\n" for statement in statements))
        options = {
            "dsn": dsn,
            "queries": queries,
            "indexes": indexes,
            "exclude": ",".join(EXCLUDED[name]),
            "json": answer,
        }
        words = [str(word) for option, value in options.items() for word in (f"--{option}", value)]
        subprocess.run([sys.executable, str(judge / "evaluate.py"), *words], check=True, stdout=subprocess.DEVNULL)
        found: dict[str, float] = json.loads(answer.read_text())
        return found


def main(arguments: list[str]) -> int:
    names = [argument for argument in arguments if argument != "--real-sizes"]
    has_real_sizes = names != arguments
    missing = [name for name in ("TPC", "DSN", "JUDGE") if not os.environ.get(f"QUERYFIT_BENCH_{name}")]
    if missing:
        print(f"not run: set {', '.join(f'QUERYFIT_BENCH_{name}' for name in missing)}", file=sys.stderr)
        return 2
    folder, judge = Path(os.environ["QUERYFIT_BENCH_TPC"]), Path(os.environ["QUERYFIT_BENCH_JUDGE"])
    for name in names or list(EXCLUDED):
        dsn = make_conninfo(os.environ["QUERYFIT_BENCH_DSN"], dbname=name)
        with tempfile.TemporaryDirectory() as store:
            advice, capture_s, seconds = advise(name, dsn, folder, Path(store), has_real_sizes=has_real_sizes)
        print(f"\n{name}: {len(advice.workload.statements)} statements, {advice.planner_calls} plans, {seconds:.1f} s "
              f"for all budgets, after a capture of {capture_s:.1f} s")  # fmt: skip
        size = "MB real" if has_real_sizes else "MB used"
        print(f"{'MB':>6} {'left %':>7} {'bound %':>8} {'judge %':>8} {'peer %':>7} {'known %':>8} "
              f"{size:>8} {'MB judge':>8} {'indexes':>8} {'worse':>6} {'dead':>5}")  # fmt: skip
        for point, peer, known in zip(advice.curve, BEST_PEER[name], BEST_KNOWN[name], strict=True):
            answer = judged(judge, dsn, folder / f"{name}.sql", name, [index.create() for index in point.indexes])
            label = "none" if point.budget_bytes is None else str(point.budget_bytes // MB)
            print(
                f"{label:>6} {100 * point.cost_after / advice.cost_before:7.2f} "
                f"{100 * point.bound / advice.cost_before:8.2f} {answer['relative']:8.2f} {peer:7.1f} {known:8.1f} "
                f"{point.size_bytes / MB:8.1f} {answer['size_mb']:8.1f} "
                f"{answer['indexes']:8.0f} {answer['worse']:6.0f} {answer['indexes'] - answer['used']:5.0f}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
