"""What an index costs its table's writes: processor time and WAL of INSERT and UPDATE, beside the formula.

    python -m tests.bench.upkeep

A server of its own (PostgreSQL 18), 300,000 rows before the first write; the processor time of the backend is read
from /proc, so that what else the machine does hardly shows. Numbers are what each index adds to a row.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from tabulate import tabulate

from tests import servers

ROWS, WRITTEN = 300_000, 100_000
ROUNDS = 2
TABLE = """
    create extension if not exists pg_trgm;
    drop table if exists entry;
    create unlogged table source as
    select
        n as id, n as serial, (random() * 1e9)::int as a, (random() * 1000)::int as b, (random() * 50)::int as c,
        md5(random()::text) as t, (random() * 1e6)::numeric(10, 2) as d, 0 as counter
    from generate_series(1, 500000) as n;
"""
# statement by statement: each opens and locks all indexes of the table
SINGLE = f"""
    do $$ begin
        for n in 500001..{500000 + WRITTEN // 5} loop
            insert into entry values (
                n, n, (random() * 1e9)::int, (random() * 1000)::int, (random() * 50)::int, md5(random()::text),
                (random() * 1e6)::numeric(10, 2), 0
            );
        end loop;
    end $$
"""
INDEXES = {
    "none": "",
    "btree (serial)": "create index on entry (serial)",
    "btree (a)": "create index on entry (a)",
    "btree (b)": "create index on entry (b)",
    "btree (a, b)": "create index on entry (a, b)",
    "btree (a, b, c)": "create index on entry (a, b, c)",
    "btree (a, b, c, d)": "create index on entry (a, b, c, d)",
    "btree (t)": "create index on entry (t)",
    "btree (a) include (t)": "create index on entry (a) include (t)",
    "btree (a) where c < 5": "create index on entry (a) where c < 5",
    "btree (lower(t))": "create index on entry (lower(t))",
    "hash (a)": "create index on entry using hash (a)",
    "brin (serial)": "create index on entry using brin (serial)",
    "gin (t gin_trgm_ops)": "create index on entry using gin (t gin_trgm_ops)",
}


@dataclass(frozen=True, slots=True)
class Spent:
    """Of one write: microseconds of processor time, and bytes of WAL."""

    microseconds: float
    wal_bytes: float


def _seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _spent(connection: psycopg.Connection[Any], statement: str, rows: int) -> Spent:
    (before,) = connection.execute("select pg_current_wal_insert_lsn()").fetchone() or ("",)
    began = _seconds(connection.info.backend_pid)
    connection.execute(statement.encode())
    seconds = _seconds(connection.info.backend_pid) - began
    (wal,) = connection.execute("select pg_current_wal_insert_lsn() - %s", (before,)).fetchone() or (0,)
    return Spent(seconds / rows * 1e6, float(wal) / rows)


def _measured(connection: psycopg.Connection[Any], index: str) -> dict[str, Spent]:
    connection.execute("drop table if exists entry")
    connection.execute("create table entry (like source) with (fillfactor = 80, autovacuum_enabled = off)")
    connection.execute("insert into entry select * from source where id <= 300000 order by id")
    if index:
        connection.execute(index.encode())
    connection.execute("vacuum analyze entry")
    connection.execute("checkpoint")
    insert = f"insert into entry select * from source where id > {ROWS} and id <= {ROWS + WRITTEN} order by id"
    found = {"insert": _spent(connection, insert, WRITTEN)}
    found["insert alone"] = _spent(connection, SINGLE, WRITTEN // 5)
    connection.execute("vacuum entry")
    step = ROWS // (WRITTEN // 4)
    update = f"update entry set {{}} where id % {step} = 0 and id <= {ROWS}"
    found["hot update"] = _spent(connection, update.format("counter = counter + 1"), WRITTEN // 4)
    found["update of a"] = _spent(
        connection, update.format("a = a + 1, b = b + 1, t = md5(t), serial = serial + 1"), WRITTEN // 4
    )
    found["delete and vacuum"] = _deleted(connection)
    return found


def _deleted(connection: psycopg.Connection[Any]) -> Spent:
    delete = _spent(connection, f"delete from entry where id % 12 = 5 and id <= {ROWS}", ROWS // 12)
    vacuum = _spent(connection, "vacuum entry", ROWS // 12)
    return Spent(delete.microseconds + vacuum.microseconds, delete.wal_bytes + vacuum.wal_bytes)


def _difference(spent: Spent, base: Spent) -> str:
    return f"{spent.microseconds - base.microseconds:+.1f} µs {spent.wal_bytes - base.wal_bytes:+.0f} B"


def main() -> int:
    programs = servers.available().get(18)
    if programs is None:
        print("upkeep: not measured, there is no PostgreSQL 18")
        return 0
    settings = {"shared_buffers": "256MB", "full_page_writes": "on", "max_wal_size": "8GB", "jit": "off"}
    with (
        tempfile.TemporaryDirectory() as folder,
        servers.Cluster(programs, settings=settings, root=Path(folder)) as cluster,
        psycopg.connect(cluster.dsn(), autocommit=True) as connection,
    ):
        connection.execute("drop table if exists source")
        connection.execute(TABLE.encode())
        best: dict[str, dict[str, Spent]] = {}
        for _ in range(ROUNDS):
            for name, index in INDEXES.items():
                for what, spent in _measured(connection, index).items():
                    held = best.setdefault(name, {}).get(what)
                    if held is None or spent.microseconds < held.microseconds:
                        best[name][what] = spent
    base = best.pop("none")
    lines = [[name, *(_difference(found[what], base[what]) for what in base)] for name, found in best.items()]
    heads = [f"{what} ({spent.microseconds:.1f} µs, {spent.wal_bytes:.0f} B)" for what, spent in base.items()]
    print(tabulate(lines, ["index", *heads]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
