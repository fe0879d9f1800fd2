"""Seconds that sets of indexes save on real data: the peers' sets and ours, run in turn on one server.

    QUERYFIT_BENCH_TPCH='host=… dbname=tpch_measure' QUERYFIT_BENCH_JUDGE=FOLDER QUERYFIT_BENCH_QUERIES=tpch.sql \
        python -m tests.bench.real_time [--set NAME=FILE …] [--peers '*b1000*'] [--rounds 3] [--json FILE]

QUERYFIT_BENCH_TPCH names a database of TPC-H at scale 1, primary keys only, analyzed and vacuumed, that nobody else
uses (`create database … template tpch`); QUERYFIT_BENCH_QUERIES is the file of texts that `tests.bench.tpc` makes, and
QUERYFIT_BENCH_JUDGE the folder with `peers-tpch19/*.sql`. Without them there is nothing to measure, and it says so.

All indexes of all sets are built in one transaction that is rolled back at the end. Each query is planned under every
set; sets that give the same plan share its runs. The plans are then run in turn, their order turned around from round
to round, after a warm-up of each. Times are the server's; where the server runs on this machine the processor time of
its process is told as well, which neighbours disturb less (and in which waits for the disk are not).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pglast.stream import RawStream

from queryfit.advise.measure.alternation import Runner, shape
from queryfit.advise.measure.measure import Options, Trial
from queryfit.advise.measure.server import Session, decide
from queryfit.advise.measure.switches import Switch, switch
from queryfit.lab.planner import Index, Key, Query
from queryfit.sql.grammar import Node, ast, enums
from queryfit.sql.names import qualified, quote_identifier
from queryfit.sql.parse import parse

EXCLUDED = ("q02", "q17", "q20")  # single queries there would be nearly all of the cost
TODAY = "today"
SLOWER = 1.10
SETTINGS = {"max_parallel_workers_per_gather": "0", "jit": "off", "work_mem": "64MB", "random_page_cost": "4"}


@dataclass(slots=True)
class Plan:
    """One plan of one query: the sets that lead to it, and its times."""

    sets: list[str]
    times_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    @property
    def median_ms(self) -> float:
        return statistics.median(self.times_ms)

    @property
    def cpu_median_ms(self) -> float:
        return statistics.median(self.cpu_ms)


def processor_ms(pid: int) -> float:
    """Processor time that a process of this machine has used, 0 where that cannot be seen."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e6
    except (OSError, ValueError):
        return 0.0


def index_of(statement: Node) -> Index:
    """The index that a CREATE INDEX statement describes."""
    keys = []
    for part in statement.indexParams:
        is_descending = part.ordering == enums.SortByDir.SORTBY_DESC
        nulls = {
            enums.SortByNulls.SORTBY_NULLS_FIRST: True,
            enums.SortByNulls.SORTBY_NULLS_LAST: False,
        }.get(part.nulls_ordering, is_descending)
        expression = quote_identifier(part.name) if part.name else RawStream()(part.expr)
        keys.append(
            Key(
                expression, is_column=part.name is not None, is_descending=is_descending, is_nulls_first=nulls,
                operator_class=".".join(quote_identifier(word.sval) for word in part.opclass or ()) or None,
            )
        )  # fmt: skip
    return Index(
        qualified(statement.relation.schemaname or "public", statement.relation.relname),
        tuple(keys),
        included=tuple(quote_identifier(part.name) for part in statement.indexIncludingParams or ()),
        access_method=statement.accessMethod or "btree",
        predicate=RawStream()(statement.whereClause) if statement.whereClause else None,
        is_unique=bool(statement.unique),
    )


def _index_nodes(text: str) -> list[Node]:
    parsed = parse(text)
    if parsed.error is not None:
        raise SystemExit(f"no file of CREATE INDEX statements: {parsed.error}")
    return [raw.stmt for raw in parsed.statements if isinstance(raw.stmt, ast.IndexStmt)]


def indexes_of(file: Path) -> list[Index]:
    """The indexes of a file of CREATE INDEX statements; other statements in it are passed over."""
    return list(dict.fromkeys(index_of(node) for node in _index_nodes(file.read_text(encoding="utf-8"))))


def index_statements(text: str) -> list[str]:
    """The CREATE INDEX statements of a text, without names and not concurrent."""
    return [index_of(node).create() for node in _index_nodes(text)]


def queries_of(file: Path) -> list[Query]:
    """The queries of a file in which each begins with `-- name: q01`."""
    parts = file.read_text(encoding="utf-8").split("-- name: ")[1:]
    found = [part.partition("\n")[::2] for part in parts]
    return [Query(name, text.strip().rstrip(";")) for name, text in found if name not in EXCLUDED]


def plans_of(runner: Runner, queries: list[Query], hidden: dict[str, list[str]]) -> dict[str, list[Plan]]:
    """By query the different plans under all sets."""
    by_query: dict[str, dict[str, Plan]] = {query.key: {} for query in queries}
    for name, names in hidden.items():
        with runner.switch.hiding(names):
            for query in queries:
                key = json.dumps(shape(runner.explain(query, "costs")["Plan"]), sort_keys=True)
                by_query[query.key].setdefault(key, Plan([])).sets.append(name)
    return {key: list(plans.values()) for key, plans in by_query.items()}


def run(runner: Runner, queries: list[Query], hidden: dict[str, list[str]], rounds: int) -> dict[str, list[Plan]]:
    """Times of all plans of all queries."""
    plans = plans_of(runner, queries, hidden)
    for query in queries:
        for number in range(rounds + 1):
            for plan in plans[query.key] if number % 2 else reversed(plans[query.key]):
                with runner.side(hidden[plan.sets[0]], query):
                    runner.explain(query, "costs")
                    start = processor_ms(runner.session.pid)
                    elapsed = runner.timed(query)
                    cpu = processor_ms(runner.session.pid) - start
                if number:  # the first is the warm-up
                    plan.times_ms.append(elapsed)
                    plan.cpu_ms.append(cpu)
        words = ", ".join(f"{plan.median_ms:.0f} ({len(plan.sets)} sets)" for plan in plans[query.key])
        print(f"{query.key}: {words} ms", file=sys.stderr, flush=True)
    return plans


def table(plans: dict[str, list[Plan]], sizes: dict[str, float]) -> list[dict[str, Any]]:
    """A row a set: seconds of all queries, what is left of today's, and the queries that got slower."""
    times = {key: {name: plan for plan in of for name in plan.sets} for key, of in plans.items()}
    today = sum(of[TODAY].median_ms for of in times.values())
    cpu_today = sum(of[TODAY].cpu_median_ms for of in times.values())
    rows = []
    for name, size_mb in sizes.items():
        ratios = {key: of[name].median_ms / of[TODAY].median_ms for key, of in times.items()}
        # beyond noise: even the fastest run with the set is slower than the slowest of today's
        slower = {
            key: round(ratio, 2)
            for key, ratio in ratios.items()
            if ratio > SLOWER and min(times[key][name].times_ms) > max(times[key][TODAY].times_ms)
        }
        seconds = sum(of[name].median_ms for of in times.values())
        cpu = sum(of[name].cpu_median_ms for of in times.values())
        rows.append({
            "set": name, "mb": round(size_mb), "before_s": round(today / 1000, 2), "after_s": round(seconds / 1000, 2),
            "left_percent": round(100 * seconds / today, 1),
            "cpu_left_percent": round(100 * cpu / cpu_today, 1) if cpu_today else None,
            "worst_ratio": round(max(ratios.values()), 2),
            "slower": slower,
        })  # fmt: skip
    return sorted(rows, key=lambda row: float(row["after_s"]))


def build(made: Switch, sets: dict[str, list[Index]], deadline: float) -> tuple[dict[str, list[str]], dict[str, float]]:
    """Build the union of all sets; by set what is hidden to show it, and its real size in MB of 10^6 bytes."""
    union = list(dict.fromkeys(index for indexes in sets.values() for index in indexes))
    names = {index: f"i{number}" for number, index in enumerate(union)}
    made.build([(name, index) for index, name in names.items()], deadline=deadline)
    for name, reason in made.refused:
        print(f"not built: {name}: {reason}", file=sys.stderr)
    built = {index.name: index.size_bytes for index in made.built}
    shown = {name: {names[index] for index in indexes} & built.keys() for name, indexes in sets.items()}
    hidden = {name: sorted(built.keys() - those) for name, those in shown.items()}
    return hidden, {name: sum(built[each] for each in those) / 1e6 for name, those in shown.items()}


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--set", action="append", default=[], metavar="NAME=FILE", help="a set of our own")
    parser.add_argument("--peers", default="*b1000*", help="which of the peers' files")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    names = ("QUERYFIT_BENCH_TPCH", "QUERYFIT_BENCH_QUERIES", "QUERYFIT_BENCH_JUDGE")
    dsn, texts, judge = (os.environ.get(name) for name in names)
    if not dsn or not texts:
        print(f"nothing measured: set {names[0]} and {names[1]}")
        return 0
    sets: dict[str, list[Index]] = {TODAY: []}
    for word in arguments.set:
        name, _, file = word.partition("=")
        sets[name] = indexes_of(Path(file))
    for file in sorted((Path(judge) / "peers-tpch19").glob(f"{arguments.peers}.sql") if judge else []):
        sets[file.stem] = indexes_of(file)
    queries = queries_of(Path(texts))
    options = Options(run_s=300, total_s=4 * 3600)
    deadline = time.monotonic() + options.total_s
    with Session.open(dsn) as session:
        for name, value in SETTINGS.items():
            session.set(name, value)
        with switch(session, decide(session, options), dsn) as made:
            session.set("maintenance_work_mem", "512MB")
            hidden, sizes = build(made, sets, deadline)
            print(f"built {len(made.built)} indexes for {len(sets) - 1} sets", file=sys.stderr, flush=True)
            runner = Runner(session, made, options, deadline)
            kept, skipped = runner.runnable([Trial(query.key, query) for query in queries])
            for each in skipped:
                print(f"{each.fingerprint}: {each.reason}", file=sys.stderr)
            plans = run(runner, [trial.query for trial in kept], hidden, arguments.rounds)
    rows = table(plans, sizes)
    for row in rows:
        slower = ", ".join(f"{key} {ratio} x" for key, ratio in row["slower"].items()) or "none slower"
        print(
            f"{row['set']:40} {row['mb']:6} MB {row['before_s']:8} s -> {row['after_s']:8} s "
            f"{row['left_percent']:6} % (processor {row['cpu_left_percent']} %)  "
            f"worst {row['worst_ratio']:5} x  {slower}"
        )
    if arguments.json:
        detail = {
            key: [{"sets": plan.sets, "times_ms": plan.times_ms, "cpu_ms": plan.cpu_ms} for plan in of]
            for key, of in plans.items()
        }
        arguments.json.write_text(json.dumps({"sets": rows, "queries": detail}, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
