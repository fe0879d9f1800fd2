"""Fixes run as they are written, on a real server, and nobody queues behind them."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pytest
from pglast import parse_sql

from queryfit.fixes import made_safe
from tests.servers import Cluster

HOSTILE = (
    "a b",
    "Ünï☃",
    'quo"te',
    "apo'strophe",
    "line\nbreak",
    "$fix$ $ddl$",
    "-- x",
    "semi;colon",
    "back\\slash",
    "select",
)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def run(cluster: Cluster, database: str, script: str) -> None:
    """Statement by statement outside a transaction, as psql runs a file."""
    with cluster.connect(database) as connection:
        for statement in parse_sql(script):
            begin = statement.stmt_location or 0
            end = begin + statement.stmt_len if statement.stmt_len else len(script)
            connection.execute(script[begin:end].encode())


def indexes(cluster: Cluster, database: str) -> list[tuple[str, bool]]:
    sql = """
        select indexrelid::regclass::text as name, indisvalid from pg_index
        where indrelid::regclass::text !~ '^pg_' order by 1
    """
    return [(row["name"], row["indisvalid"]) for row in cluster.run(sql, database=database)]


@pytest.mark.parametrize("name", HOSTILE)
def test_an_index_is_built_and_dropped_whatever_the_table_is_called(newest: Cluster, database: str, name: str) -> None:
    relation = f"public.{quoted(name)}"
    newest.run(f"create table {relation} (id int, b int)", database=database)
    facts = {"relation": relation, "fix_read_bytes": 5 << 30, "fix_disk_bytes": 1 << 20}
    fix = made_safe(f"create index found on {relation} (b);", facts)
    assert "CONCURRENTLY" in fix
    assert "lock_timeout = 0" in fix
    assert "Expect: reads 5 GB twice" in fix
    run(newest, database, fix)
    assert indexes(newest, database) == [("found", True)]
    run(newest, database, made_safe("drop index concurrently found", {"relation": relation}))
    assert indexes(newest, database) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_a_table_is_altered_whatever_it_is_called(newest: Cluster, database: str, name: str) -> None:
    relation = f"public.{quoted(name)}"
    newest.run(f"create table {relation} (id int)", database=database)
    run(newest, database, made_safe(f"alter table {relation} set (fillfactor = 90);", {"relation": relation}))
    (row,) = newest.run("select reloptions from pg_class where relname = " + literal(name), database=database)
    assert row["reloptions"] == ["fillfactor=90"]


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def test_a_partitioned_table_gets_no_concurrent_build(newest: Cluster, database: str) -> None:
    newest.run(
        "create table p (id int) partition by list (id); create table p1 partition of p default", database=database
    )
    fix = made_safe("create index i on p (id)", {"relation": "public.p", "kind": "partitioned_table"})
    assert "CONCURRENTLY" not in fix
    run(newest, database, fix)
    run(newest, database, made_safe("create index j on only p (id)", {"relation": "public.p"}))
    assert ("i", True) in indexes(newest, database)


def test_every_statement_of_a_fix_has_its_own_limits(newest: Cluster, database: str) -> None:
    newest.run("create table a (x int)", database=database)
    fix = made_safe(
        "alter table a add constraint é check (x > 0) not valid; -- then\nalter table a validate constraint é;", {}
    )
    assert fix.count("lock_timeout = '2s'") == 2
    run(newest, database, fix)
    (row,) = newest.run("select convalidated from pg_constraint where conname = 'é'", database=database)
    assert row["convalidated"]


def test_reindex_keeps_its_word(newest: Cluster, database: str) -> None:
    newest.run("create table a (x int); create index i on a (x)", database=database)
    run(newest, database, made_safe("reindex index concurrently i;", {"relation": "public.a"}))
    assert indexes(newest, database) == [("i", True)]


@pytest.mark.parametrize(
    "sql",
    ["-- Ask.", "analyze a;", "vacuum (freeze) a;", "alter system set x = 1;", "", "no sql", "a\0b", "(" * 20_000],
)
def test_advice_and_what_takes_no_lock_stays_as_it_is(sql: str) -> None:
    assert made_safe(sql, {}) == sql


def test_nobody_queues_behind_a_fix_that_waits_for_its_lock(newest: Cluster, database: str) -> None:
    newest.run("create table a (x int)", database=database)
    fix = made_safe("alter table a add column y int", {})
    waits: list[float] = []
    failure: list[Any] = []

    def apply() -> None:
        try:
            run(newest, database, fix)
        except psycopg.Error as error:
            failure.append(error)

    with newest.connect(database) as holder, newest.connect(database) as reader:
        holder.execute("begin; select * from a")
        fixer = threading.Thread(target=apply)
        fixer.start()
        ends = time.monotonic() + 6
        while time.monotonic() < ends:
            began = time.monotonic()
            reader.execute("select * from a")
            waits.append(time.monotonic() - began)
            time.sleep(0.05)
        holder.execute("commit")
        fixer.join(30)
    assert not fixer.is_alive()
    assert failure == []
    assert 0.5 < max(waits) < 3.5, "a reader waits for one attempt and no longer"
    columns = "select attname from pg_attribute where attrelid = 'a'::regclass and attnum > 1"
    assert [row["attname"] for row in newest.run(columns, database=database)] == ["y"]


def test_several_statements_stay_several() -> None:
    assert made_safe("alter system set fsync = on;\nselect pg_reload_conf();", {}) == (
        "alter system set fsync = on;\n\nselect pg_reload_conf();"
    )
