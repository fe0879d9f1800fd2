"""A server as large as the benchmark asks for: 10,000 tables, 50,000 indexes, 5,000 different statements.

It is built once and kept in a folder; the next run starts it again.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.servers import Cluster, available

SCHEMAS = 20
TABLES = 10_000
STATEMENTS = 5_000
BATCH = 250  # tables created in one transaction: each holds locks on itself and on its indexes
LARGE = 40  # tables with enough rows for a missing index to matter
FILLED = 2_000  # tables with some rows, analyzed
DATABASE = "large"

SETTINGS = {
    "max_locks_per_transaction": "4096",
    "pg_stat_statements.max": "10000",
    "shared_buffers": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "autovacuum": "off",
    "maintenance_work_mem": "128MB",
}

# five indexes a table: a key, a foreign key's, two of several columns, and one that differs from table to table
_TABLE = """
create table {name} (
    id bigint generated always as identity primary key,
    customer_id bigint not null,
    parent_id bigint,
    status text not null default 'new',
    email text,
    created_at timestamptz not null default now(),
    amount numeric(12, 2),
    note text
);
create index on {name} (customer_id);
create index on {name} (status, created_at);
create index on {name} (created_at, customer_id);
create index on {name} ({special});
"""
_SPECIAL = (
    "parent_id",
    "customer_id, status",
    "lower(email)",
    "amount) where (status = 'open'",
    "email) include (note",
)

_STATEMENTS = (
    "select * from {one} where id = 5",
    "select id, amount from {one} where email = 'a@example.org'",
    # without aliases: from 18 on statements that differ only in the table behind an alias share one entry
    "select {one}.id, {two}.amount from {one} join {two} on {two}.customer_id = {one}.id where {one}.status = 'new'",
    "select id, status from {one} where created_at > now() - interval '1 day' order by created_at desc limit 20",
    "update {one} set amount = amount + 1 where parent_id = 7",
    "insert into {one} (customer_id, status) values (1, 'open')",
    "delete from {one} where note = 'gone'",
    "select count(*) from {one}",
    "select status, sum(amount) from {one} where customer_id = 3 group by status",
    "select id from {one} where lower(email) = 'a' and status in ('a', 'b')",
    "select id from {one} where customer_id not in (select parent_id from {two} where amount > 5)",
    "select id from {one} where email like '%x' order by id offset 1000 limit 10",
    "select * from {one} where note = 'x' and amount between 1 and 5",
    "select {one}.* from {one}, {two} where {one}.parent_id = {two}.id and {two}.created_at::date = '2026-01-01'",
)


def table_name(number: int) -> str:
    """Letters only: a fingerprint leaves out digits of names, so numbered tables would share one."""
    return f"{schema_name(number)}.orders_{_letters(number)}"


def schema_name(number: int) -> str:
    return f"shop_{_letters(number % SCHEMAS)}"


def _letters(number: int) -> str:
    return "".join("abcdefghij"[int(digit)] for digit in f"{number:05}")


@contextmanager
def server(folder: Path) -> Iterator[Cluster]:
    """The benchmark's server, built in `folder` where it is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    newest = max(available())
    cluster = Cluster(available()[newest], settings=SETTINGS, root=folder)
    cluster.data = folder / f"data-{newest}"
    is_complete = folder / f"complete-{newest}"
    if cluster.data.exists() and not is_complete.exists():
        shutil.rmtree(cluster.data)  # an earlier build was stopped
    built_in = cluster.root / "data"
    target, cluster.data = cluster.data, built_in if not is_complete.exists() else cluster.data
    with cluster:
        if not is_complete.exists():
            _build(cluster)
            cluster.stop()  # a clean stop keeps pg_stat_statements
            cluster.data.rename(target)
            cluster.data = target
            is_complete.touch()
            cluster.start()
        yield cluster
        cluster.stop()


def _build(cluster: Cluster) -> None:
    cluster.create_database(DATABASE)
    with cluster.connect(DATABASE) as connection:
        connection.execute("create extension pg_stat_statements")
        for number in range(SCHEMAS):
            _run(connection, f"create schema {schema_name(number)}")
        for first in range(0, TABLES, BATCH):
            with connection.transaction():
                _run(connection, "".join(_definition(number) for number in range(first, first + BATCH)))
            _say(f"{first + BATCH:,} of {TABLES:,} tables")
        for number in range(FILLED):
            rows = 20_000 if number < LARGE else 50
            _run(connection, _filling(table_name(number), rows))
        _say("filled")
        for number in range(FILLED):
            _run(connection, f"analyze {table_name(number)}")
        _say("analyzed")
        # what autovacuum does on a living server: without it the planner thinks that the catalog is empty
        catalog = connection.execute(
            "select oid::regclass::text as name from pg_class where relkind = 'r' and oid < 16384"
        )
        for row in catalog.fetchall():
            _run(connection, f"vacuum (analyze) {row['name']}")
        for number in range(0, TABLES, 2):
            if number % 4 == 0:
                _run(connection, _foreign_key(number))
        connection.execute("checkpoint")
        connection.execute("select pg_stat_statements_reset()")
        connection.execute("set statement_timeout = '20s'")
        for number in range(STATEMENTS):
            statement = _statement(number)
            for _ in range(1 + (number < LARGE) * 20):
                _run(connection, statement)
        _say(f"{STATEMENTS:,} statements")


def _definition(number: int) -> str:
    return _TABLE.format(name=table_name(number), special=_SPECIAL[number % len(_SPECIAL)])


def _filling(name: str, rows: int) -> str:
    return f"""
        insert into {name} (customer_id, parent_id, status, email, created_at, amount, note)
        select n % 500, n % 50, (array['new', 'open', 'paid', 'gone'])[1 + n % 4], 'user' || n || '@example.org',
            now() - n * interval '1 minute', n % 1000, repeat('note ', 1 + n % 7)
        from generate_series(1, {rows}) as n
    """


def _foreign_key(number: int) -> str:
    return (
        f"alter table {table_name(number)} add foreign key (parent_id)"
        f" references {table_name((number + 4) % TABLES)} not valid"
    )


def _statement(number: int) -> str:
    """A text of its own for every number below STATEMENTS; the first ones go to the large tables."""
    template = _STATEMENTS[number % len(_STATEMENTS)]
    return template.format(one=table_name(number), two=table_name(number + 1))


def _run(connection: psycopg.Connection[dict[str, object]], script: str) -> None:
    connection.execute(script.encode())


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)
