"""A month of captures every five minutes: how small it gets, and how long a history of it takes to open.

    python -m tests.bench.month [--folder DIR] [--days 30] [--statements 2000] [--fresh]

The captures are written with DuckDB and are such as `open_capture` reads: making them is not measured.
Each measurement runs in a process of its own: CPU time of user and system, wall time, and the most memory it had.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from queryfit.evidence.dictionary import tables
from queryfit.evidence.store import PERIOD, Store, open_capture

SERVER = "7000000000000000001"
SCOPE = json.dumps(["shop", False, "one", [], []])
START = datetime(2026, 10, 1, tzinfo=UTC)
EVERY = timedelta(minutes=5)
RELATIONS, INDEXES, SEQUENCES, SESSIONS = 300, 700, 150, 80
CONSTANT = frozenset({"statement_text", "shape", "reference"})
FIRST = f"{START:%Y%m%dT%H%M%SZ}-000000"
MOST_BYTES, MOST_S, MOST_MEMORY = 300 * 2**20, 20.0, 2**30


def make_month(folder: Path, days: int, statements: int) -> None:
    """Write the captures: a full one at midnight, samples in between."""
    with duckdb.connect(config={"threads": 2}) as raw:
        raw.execute("set enable_progress_bar = false")
        raw.execute(
            "create table made as select i, substr(md5(i::varchar), 1, 16) as fingerprint,"
            " (hash(i) // 2)::bigint as queryid, 1 + hash(i) % 1000 / (1 + i % 37) as pace,"
            f" 0.05 + (hash(i * 7) % 1000) / 100.0 as mean from range({statements}) as number (i)"
        )
        place = folder / SERVER
        place.mkdir(parents=True)
        for number in range(days * 288 + 1):
            at = START + number * EVERY
            kind = "full" if number % 288 == 0 else "sample"
            if number % 288 == 0:
                full = f"{at:%Y%m%dT%H%M%SZ}-{number:06x}"
            name = f"{at:%Y%m%dT%H%M%SZ}-{number:06x}"
            _write(raw, place / name, number, kind, statements=statements, full=full)


def _write(raw: duckdb.DuckDBPyConnection, folder: Path, number: int, kind: str, *, statements: int, full: str) -> None:
    folder.mkdir()
    at = START + number * EVERY
    facts = {table.name: {"rows": 0, "bytes": 0} for table in tables().values() if table.capture in {"sample", kind}}
    moment = f"timestamp '{at:%Y-%m-%d %H:%M:%S}'"
    for table, select in _rows(number, moment, kind, statements).items():
        path = folder / f"{table}.parquet"
        if table in CONSTANT and number:
            # the same in every capture: not compressed nine thousand times
            shutil.copyfile(folder.parent / FIRST / path.name, path)
            facts[table] = {"rows": statements, "bytes": path.stat().st_size}
            continue
        columns = tables()[table].column_types
        given = raw.execute(f"describe {select}").fetchall()
        known = {row[0] for row in given}
        neutral = {"varchar": "''", "boolean": "false", "timestamp": moment}
        parts = [
            f"{name}::{kind_} as {name}"
            if name in known
            else f"{neutral.get(kind_, '0') if column.is_required else 'null'}::{kind_} as {name}"
            for (name, kind_), column in zip(columns.items(), tables()[table].columns, strict=True)
        ]
        (rows,) = raw.execute(
            f"copy (select {', '.join(parts)} from ({select})) to '{path}' (format parquet, compression zstd)"
        ).fetchone() or (0,)
        facts[table] = {"rows": rows, "bytes": path.stat().st_size}
    meta: dict[str, Any] = {
        "format_version": 2,
        "kind": kind,
        "is_redacted": False,
        "system_identifier": SERVER,
        "captured_at": at.isoformat(),
        "written_at": (at + timedelta(seconds=3)).isoformat(),
        "tool_version": "0.1.0",
        "database": "shop",
        "is_standby": False,
        "scope": SCOPE,
        "cost": {"queries": 30, "server_ms": 900.0, "elapsed_ms": 1500.0},
        "tables": facts,
        **({} if kind == "full" else {"full": full}),
    }
    (folder / "capture.json").write_text(json.dumps(meta, indent=2))


def _rows(number: int, moment: str, kind: str, statements: int) -> dict[str, str]:
    """A SELECT a table; counters grow with the number of the capture, each thing at a pace of its own.

    Half of the statements are rarely called, as they are; the load follows the hours of the day.
    """
    load = f"({number} + 40 * sin({number} * 2 * pi() / 288))"  # grows steadily, faster by day
    since = "timestamp '2026-09-01 00:00:00'"
    calls = f"(case when i % 2 = 0 then {load} * pace else floor({number} / (5 + i % 300)) + 1 end)::bigint"
    common = "'shop' as database"
    rows = {
        "server": f"""select '{SERVER}' as system_identifier, 170002 as version_number, '17.2' as version,
            'self-hosted' as provider, {since} as started_at, {moment} as captured_at, 'watch' as role,
            true as has_monitor, true as has_read_all_data""",
        "statement_store": f"""select '1.11' as extension_version, {statements} as entries, 5000 as maximum_entries,
            0 as evictions, {since} as reset_at, false as tracks_planning, 'top' as track""",
        "checkpoint": f"select {number} as timed, {since} as counted_since",
        "database": f"""select 'shop' as database, true as is_captured, true as allows_connections,
            {40 + number % 17} as connections, 100000000000 + {number}::bigint * 1000000 as size_bytes,
            50000000 + {number} * 2000 as age_xids, 1000000 + {number} as age_multixacts,
            (5000 * {load})::bigint + 1000 as commits, {number} as rollbacks, {number} * 900 as blocks_read,
            {number} * 90000 as blocks_hit, {number} * 4096 as temp_bytes, {number // 500} as deadlocks,
            {number} * 7 as sessions""",
        "statement": f"""select {common}, 'app' as role, queryid,
            true as is_toplevel, fingerprint, {calls} as calls, {calls} * (1 + i % 9) as rows,
            {calls} * mean as execution_ms,
            mean as mean_ms, 0.3 as stddev_ms, 0.01 as min_ms, 90.5 as max_ms,
            {calls} * (3 + i % 50) as shared_blocks_hit, {calls} * (i % 5) as shared_blocks_read,
            case when i % 50 = 0 then {calls} else 0 end as temp_blocks_written,
            case when i % 3 = 0 then {calls} * 120 else 0 end as wal_bytes, {since} as counted_since
            from made""",
        "statement_text": f"""select fingerprint, 'select ' || md5((i * 3)::varchar) ||
            ' from public.table_' || i % {RELATIONS} || ' where customer_id = $1 and ' || md5((i * 5)::varchar)
            || ' > $2 order by created_at desc limit $3' as text, 'select' as kind, false as is_truncated
            from made""",
        "shape": "select fingerprint from made",
        "reference": f"""select {common}, fingerprint, 'public.table_' || i % {RELATIONS} as relation,
            'customer_id' as column_name, 'equality' as role from made""",
        "relation_counter": f"""select {common}, 'public.table_' || i as relation,
            {number} * (i % 7) as sequential_scans,
            {number} * (i % 7) * 1000 as sequential_rows, (({load}) * (i % 90))::bigint + 4000 as index_scans,
            {number} * (i % 31) as inserted_rows, {number} * (i % 11) as updated_rows,
            {number} * (i % 3) as deleted_rows,
            {number} * (i % 5) as hot_updated_rows, 100000 + {number} * (i % 31) as live_rows,
            ({number} * (i % 13)) % 5000 as dead_rows, {since} + to_days({number // 288}) as analyzed_at
            from range({RELATIONS}) as made (i)""",
        "index_counter": f"""select {common}, 'public.table_' || i % {RELATIONS} as relation,
            'public.index_' || i as index,
            {number} * (i % 40) as scans, {number} * (i % 40) * 12 as read_rows, {number} * (i % 40) * 9 as fetched_rows
            from range({INDEXES}) as made (i)""",
        "relation_sequence": f"""select {common}, 'public.seq_' || i as sequence, 'bigint' as type,
            1000 + {number} * (i % 31) as last_value, true as is_readable, 1 as increment, 1 as minimum_value,
            9223372036854775807 as maximum_value from range({SEQUENCES}) as made (i)""",
        "activity": f"""select {moment} as sampled_at, i as pid, 'client backend' as backend_type, 'shop' as database,
            'app' as role, 'web-' || i % 6 as application,
            case when (i + {number}) % 9 = 0 then 'active' else 'idle' end as state,
            case when (i + {number}) % 9 = 0 then 'IO' else 'Client' end as wait_type,
            case when (i + {number}) % 9 = 0 then 'DataFileRead' else 'ClientRead' end as wait_event,
            (i * 37 + {number}) % 9000 as transaction_ms, i = 0 as is_own from range({SESSIONS}) as made (i)""",
    }
    if kind == "full":
        day = number // 288
        rows |= {
            "relation": f"""select {common}, 'public.table_' || i as relation, 'public' as schema,
                'table_' || i as name,
                'table' as kind, 'permanent' as persistence, 'public.table_' || i as root, 100000.0 as tuple_rows,
                (i + 1) * 1000000 + {number} * (i % 31) * 100 as size_bytes, (i + 1) * 400000 as index_bytes
                from range({RELATIONS}) as made (i)""",
            "relation_column": f"""select {common}, 'public.table_' || i // 12 as relation, 'column_' || i % 12 as
                column_name, i % 12 + 1 as position, 'bigint' as type, 'int8' as base_type
                from range({RELATIONS * 12}) as made (i)""",
            "relation_index": f"""select {common}, 'public.table_' || i % {RELATIONS} as relation,
                'public.index_' || i as index, 'btree' as access_method, 'customer_id' as key_columns,
                'customer_id' as key_signature, true as is_valid, 800000 as size_bytes,
                'create index index_' || i || ' on public.table_' || i % {RELATIONS} || ' (customer_id)' as definition
                from range({INDEXES}) as made (i)""",
            "setting": f"""select 'setting_' || i as name,
                case when i = 7 then '{day // 10}' else i::varchar end as value,
                'configuration file' as source from range(350) as made (i)""",
            "plan": f"""select i::varchar as plan, {common}, substr(md5(i::varchar), 1, 16) as fingerprint,
                'generic_plan' as origin,
                100.0 as total_cost, 10.0 as plan_rows, repeat(md5(i::varchar), 40) as document
                from range(50) as made (i)""",
        }
    return rows


def measure(label: str, code: str, *arguments: str) -> dict[str, float]:
    """Run Python in a process of its own and say what it took."""
    started = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    program = f"{code}\nimport resource as _r\nprint('peak', _r.getrusage(_r.RUSAGE_SELF).ru_maxrss)"
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{label}: {done.stderr}")
    said = done.stdout.splitlines()
    took = {
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "wall_s": time.monotonic() - started,
        "peak_bytes": int(said[-1].split()[1]) * 1024.0,
    }
    print(
        f"{label:<34} {took['cpu_s']:7.1f} s CPU {took['wall_s']:7.1f} s {took['peak_bytes'] / 2**20:7.0f} MB  "
        f"{' '.join(said[:-1])[:80]}",
        flush=True,
    )
    return took


OPEN = f"""
import sys
from datetime import datetime, timedelta, UTC
from pathlib import Path
from queryfit.evidence.store import Store
from queryfit.history import open_history
until = datetime.fromisoformat(sys.argv[4])
with open_history(
    Store(Path(sys.argv[1])), "{SERVER}", '{SCOPE}', since=until - timedelta(days=int(sys.argv[2])), grain=sys.argv[3]
) as history:
    print(history.session.query("select count(*), sum(calls) from statement_span").rows[0])
"""
COMPACT = """
import sys
from datetime import datetime
from pathlib import Path
from queryfit.evidence.store import Store
from queryfit.history.compaction import compact
from queryfit.history.keeping import Keep
done = compact(Store(Path(sys.argv[1])), Keep(), now=datetime.fromisoformat(sys.argv[2]))
print(f"{done.bytes_before / 2**20:.0f} MB before, {done.bytes_after / 2**20:.0f} MB after")
"""
REPORT = """
import sys
from queryfit.cli.main import status_of
if status_of(["report", "--store", sys.argv[1], "--since", sys.argv[2], "--output", sys.argv[3], "--no-lab", "-q"]):
    sys.exit(3)
"""


def openings(store: Path, days: int, until: str, when: str) -> Iterator[dict[str, float]]:
    yield measure(f"open 7 days by the hour, {when}", OPEN, str(store), "7", "hour", until)
    yield measure(f"open {days} days by the day, {when}", OPEN, str(store), str(days), "day", until)
    yield measure(f"open {days} days by the hour, {when}", OPEN, str(store), str(days), "hour", until)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "queryfit-month")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--statements", type=int, default=2000)
    parser.add_argument("--fresh", action="store_true", help="make the month anew")
    parser.add_argument("--raw", action="store_true", help="also measure before the captures are merged")
    options = parser.parse_args()
    store = options.folder
    until = (START + timedelta(days=options.days)).isoformat()
    if options.fresh or not store.exists():
        if store.exists():
            sys.exit(f"{store} is there already: remove it first")
        started = time.monotonic()
        make_month(store, options.days, options.statements)
        print(f"made in {time.monotonic() - started:.0f} s", flush=True)
    captures, _ = Store(store).captures(SERVER)
    assert open_capture(captures[-1].folder).files()
    taken = []
    has_periods = any(folder.kind == PERIOD for folder in Store(store).folders(SERVER)[0])
    if options.raw and not has_periods:
        taken += list(openings(store, options.days, until, "raw"))
    measure("compact", COMPACT, str(store), until)
    taken = list(openings(store, options.days, until, "merged"))
    week = f"{START + timedelta(days=options.days - 7):%Y-%m-%d}"
    report = measure("report of 7 days", REPORT, str(store), week, str(store.parent / "month.html"))
    size = sum(path.stat().st_size for path in (store / SERVER).rglob("*") if path.is_file())
    print(f"the store takes {size / 2**20:.0f} MB")
    misses = [took for took in (*taken, report) if took["wall_s"] > MOST_S or took["peak_bytes"] > MOST_MEMORY]
    if misses or size > MOST_BYTES:
        sys.exit("a target is missed")


if __name__ == "__main__":
    main()
