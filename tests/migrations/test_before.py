"""`lint --against`: what servers hold becomes the schema before, with sizes and traffic, and what has run drops out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from queryfit.audit import take_capture
from queryfit.capture.server import CaptureOptions
from queryfit.errors import QueryfitError
from queryfit.evidence.store import Store
from queryfit.lint import Settings, lint
from queryfit.migrations.before import Schema, schema_of
from queryfit.migrations.files import MigrationFile, find_files
from queryfit.migrations.model import Database, Name
from queryfit.migrations.trace.run import statements_of
from queryfit.resources import folder
from tests.servers import Cluster, PgBouncer, available

VERSIONS = [version for version in (15, 18) if version in available()]
SCHEMA = """
create type mood as enum ('good', 'bad');
create domain positive as int check (value > 0);
create table customers (id bigint primary key, email varchar(50), level mood not null default 'good');
create table orders (
    id bigint generated always as identity primary key, customer_id bigint references customers, amount positive,
    price numeric(10, 2), note varchar(20) not null, doubled int generated always as (amount * 2) stored
);
alter table orders add constraint cheap check (price < 100) not valid;
create unique index orders_note on orders (note) where note <> '';
create table events (id bigint, at date not null) partition by range (at);
create table events_2025 partition of events for values from ('2025-01-01') to ('2026-01-01');
create table events_other partition of events default;
create view cheap as select id, note from orders where price < 10;
create materialized view totals as select customer_id, sum(price) as price from orders group by customer_id;
create table "Odd Name" ("a ""b" text);
create function touch() returns trigger language plpgsql as 'begin return new; end';
insert into customers select g, g || '@example.com' from generate_series(1, 5) as g;
insert into orders (customer_id, amount, price, note)
    select 1 + g % 5, 1, 1, lpad(g::text, 20, '0') from generate_series(1, 120000) as g;
insert into events select g, date '2025-01-01' + g % 300 from generate_series(1, 1000) as g;
analyze;
"""
CATALOG = """
    select n.nspname as schema, c.relname as relation, c.relkind as kind, a.attname as column, a.attnotnull as not_null,
        format_type(a.atttypid, a.atttypmod) as type
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and c.relkind in ('r', 'p', 'v', 'm')
        and not exists (select from pg_depend as d where d.objid = c.oid and d.deptype = 'e')
"""
CONSTRAINTS = """
    select n.nspname as schema, conrelid::regclass::text as relation, conname as name, contype as kind,
        convalidated as is_validated
    from pg_constraint as k join pg_namespace as n on n.oid = k.connamespace
    where k.conrelid <> 0 and k.contype in ('c', 'f', 'p', 'u', 'x')
        and n.nspname not in ('pg_catalog', 'information_schema')
"""
INDEXES = """
    select n.nspname as schema, c.relname as name, i.indisunique as is_unique, i.indisvalid as is_valid
    from pg_index as i
    join pg_class as c on c.oid = i.indexrelid
    join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
"""
KINDS = {"c": "check", "f": "foreign key", "p": "primary key", "u": "unique", "x": "exclusion"}


@pytest.fixture(scope="module", params=VERSIONS)
def server(request: pytest.FixtureRequest, cluster_of: Callable[[int], Cluster]) -> Iterator[Cluster]:
    cluster = cluster_of(request.param)
    cluster.create_database("before")
    cluster.run(f"drop extension pg_stat_statements; {SCHEMA}", database="before")
    yield cluster
    cluster.drop_database("before")


@pytest.fixture(scope="module")
def schema(server: Cluster) -> Schema:
    return schema_of(server.dsn("before"))


def found(schema: Schema, sql: str, transactions: Any = "each") -> dict[str, str]:
    """What the rules find in a migration, by rule."""
    file = MigrationFile(None, "1.sql", sql, sql, "psql", transactions)
    report = lint([file], Settings(version=schema.version), before=schema.database).report
    return {finding.rule: finding.message for finding in report.findings}


def compare(database: Database, server: Cluster, name: str) -> None:
    """The model's schema is the catalog's."""
    tables: dict[tuple[str, str], dict[str, tuple[bool, str | None]]] = {}
    for row in server.run(CATALOG, database=name):
        tables.setdefault((row["schema"], row["relation"]), {})[row["column"]] = (row["not_null"], row["type"])
    for (place, relation), columns in tables.items():
        model = database.relations[Name(place, relation)]
        assert list(model.columns) == list(columns), relation
        if model.kind in {"table", "partitioned table"}:
            assert {one.name: one.is_not_null for one in model.columns.values()} == {
                column: is_not_null for column, (is_not_null, _) in columns.items()
            }, relation
            assert all(one.type is not None for one in model.columns.values()), relation
    kept = {name for name in database.relations if database.relations[name].kind not in {"sequence", "composite type"}}
    assert {(one.schema, one.name) for one in kept} == set(tables)
    expected = {
        (row["relation"].removeprefix("public."), row["name"], KINDS[row["kind"]], row["is_validated"])
        for row in server.run(f"set search_path = ''; {CONSTRAINTS}", database=name)
    }
    modelled = {
        (relation.text.removeprefix("public."), one.name, one.kind, one.is_validated)
        for relation in database.relations.values()
        for one in relation.constraints.values()
        if one.kind != "not null"
    }
    assert modelled == expected
    assert {(one.name.schema, one.name.name, one.is_unique, one.is_valid) for one in database.indexes.values()} == {
        (row["schema"], row["name"], row["is_unique"], row["is_valid"]) for row in server.run(INDEXES, database=name)
    }


def test_the_schema_is_the_servers(schema: Schema, server: Cluster) -> None:
    assert schema.version == server.version
    assert schema.notes == []
    compare(schema.database, server, "before")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schema_of_the_demo_shop(cluster_of: Callable[[int], Cluster], version: int) -> None:
    cluster = cluster_of(version)
    cluster.create_database("shop")
    for name in ("schema.sql", "constraints.sql", "indexes.sql"):
        for statement in statements_of((folder("examples/shop") / name).read_text()):
            cluster.run(statement.text, database="shop")
    cluster.run("drop extension if exists pg_stat_statements", database="shop")
    compare(schema_of(cluster.dsn("shop")).database, cluster, "shop")
    cluster.drop_database("shop")


def test_types_are_known(schema: Schema) -> None:
    assert "column-type-rewrites-table" not in found(schema, "alter table orders alter note type varchar(40)")
    assert "column-type-rewrites-table" in found(schema, "alter table orders alter id type int")
    assert not found(schema, "set lock_timeout = '1s'; alter table orders alter note type text; ").keys() & {
        "column-type-rewrites-table", "column-type-not-known",
    }  # fmt: skip
    assert "enum-value-renamed" in found(schema, "alter type mood rename value 'bad' to 'worse'")


def test_what_is_not_there_is_refused(schema: Schema) -> None:
    assert "refused-by-postgresql" in found(schema, "alter table orders add column note text")
    assert "refused-by-postgresql" in found(schema, "alter table orders drop constraint nobody")


def test_small_tables_are_silent_for_work_and_not_for_what_breaks(schema: Schema) -> None:
    assert "index-not-concurrent" not in found(schema, "create index on customers (email)")
    assert "table-dropped" in found(schema, "drop table customers cascade")


def test_sizes_become_words(schema: Schema) -> None:
    message = found(schema, "create index on orders (price)")["index-not-concurrent"]
    assert "builds an index over " in message
    assert " MB; writes wait for about " in message
    message = found(schema, "alter table orders alter price type numeric(8, 1)")["column-type-rewrites-table"]
    assert "rewrites " in message
    assert "reads and writes wait for about " in message


def test_a_timeout_of_the_role_is_one(server: Cluster) -> None:
    sql = "alter table orders add column a int"
    assert "no-lock-timeout" in found(schema_of(server.dsn("before")), sql)
    server.run("create role careful superuser login; alter role careful set lock_timeout = '3s'")
    try:
        assert "no-lock-timeout" not in found(schema_of(server.dsn("before", "careful")), sql)
    finally:
        server.run("drop role careful")


def test_what_has_run_drops_out(server: Cluster, tmp_path: Path) -> None:
    for name in ("001_a.sql", "002_b.sql", "003_c.sql"):
        (tmp_path / name).write_text("-- +goose Up\ncreate index on orders (price);\n")
    files = find_files([tmp_path], root=tmp_path)
    server.run(
        "create table goose_db_version (id serial, version_id bigint, is_applied boolean);"
        "insert into goose_db_version (version_id, is_applied) values (1, true), (2, true)", database="before",
    )  # fmt: skip
    try:
        left = schema_of(server.dsn("before")).unapplied(files)
    finally:
        server.run("drop table goose_db_version", database="before")
    assert [file.name for file in left] == ["003_c.sql"]


def test_a_capture_is_a_source_as_well(server: Cluster, tmp_path: Path) -> None:
    capture = take_capture(server.dsn("before"), CaptureOptions(max_plans=0), Store(tmp_path / "store"))
    compare(schema_of(str(capture.folder), store=tmp_path / "store").database, server, "before")


def test_a_weak_role_sees_the_schema(server: Cluster) -> None:
    server.run("create role weak login")
    try:
        schema = schema_of(server.dsn("before", "weak"))
    finally:
        server.run("drop role weak")
    assert "column-type-rewrites-table" in found(schema, "alter table orders alter id type int")


def test_through_a_pooler(server: Cluster) -> None:
    if PgBouncer.executable() is None:
        pytest.skip("pgbouncer is not installed")
    with PgBouncer(server) as pooler:
        compare(schema_of(pooler.dsn("before")).database, server, "before")


def test_a_server_that_does_not_answer_is_one_clear_error() -> None:
    with pytest.raises(QueryfitError) as error:
        schema_of("host=/nowhere dbname=none")
    assert error.value.hint
