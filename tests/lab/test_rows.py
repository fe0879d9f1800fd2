"""Rows made from statistics: a server that analyzes them finds the statistics that they were made from."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queryfit.capture.server import CaptureOptions, capture_server
from queryfit.evidence.session import open_session
from queryfit.evidence.store import Store
from queryfit.lab.row_values import Values
from queryfit.lab.rows import fill, generated_rows, writable_columns
from queryfit.lab.table_facts import ColumnFacts, TableFacts, array_values, tables_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers import Cluster

NAME = "made"
COUNT = 4000
TABLES = """
    create type mood as enum ('sad', 'ok', 'very happy');
    select setseed(0.75);
    create table client (
        id int primary key, email varchar(40) not null unique, "Name" text, code char(6), mood mood, born date,
        boss int references client, made int generated always as (id + 1) stored
    );
    insert into client (id, email, "Name", code, mood, born, boss)
    select
        n, 'client' || n || '@example.com', case when random() < 0.7 then 'Name ' || (random() * 90)::int end,
        'C' || n % 500, (enum_range(null::mood))[1 + floor(power(random(), 2) * 3)], date '1960-01-01' + n * 3,
        case when n > 10 then n / 10 end
    from generate_series(1, 5000) as n;
    create table item (
        client int not null references client, number smallint not null, amount numeric(8, 2), share float8,
        is_done boolean, at timestamptz, token uuid, document jsonb, tags text[], during int4range, raw bytea,
        address inet, length interval, words tsvector, primary key (client, number)
    );
    insert into item
    select
        c, n, round((random() * 1000)::numeric, 2), random(), random() < 0.9,
        timestamptz '2024-01-01' + c * interval '1 min',
        gen_random_uuid(), jsonb_build_object('k', c % 7, 's', 'v' || n), array['a' || c % 4, 'b' || n],
        int4range(c, c + n), decode(md5(c::text), 'hex'), ('10.0.' || c % 9 || '.' || n)::inet, n * interval '1 hour',
        to_tsvector('simple', 'w' || c % 5 || ' z' || n)
    from generate_series(1, 5000) as c, generate_series(1, 3) as n;
    analyze;
"""


@pytest.fixture(scope="module")
def made(
    cluster_of: Callable[[int], Cluster], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Cluster, dict[str, TableFacts]]]:
    """A server with the empty tables, and what was known of them when they were full."""
    cluster = cluster_of(18)
    cluster.create_database(NAME)
    cluster.run(TABLES, database=NAME)
    options = CaptureOptions()
    with Store(tmp_path_factory.mktemp("store")).write(options.kind) as writer:
        capture_server(cluster.dsn(NAME), options, writer, lambda _: None)
    assert writer.committed is not None
    with open_session(writer.committed) as session:
        tables = tables_of(session, NAME)
    cluster.run("truncate client, item", database=NAME)
    yield cluster, tables
    cluster.drop_database(NAME)


@pytest.fixture
def connection(made: tuple[Cluster, dict[str, TableFacts]]) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(made[0].dsn(NAME)) as opened:
        yield opened
        opened.rollback()


def _without_values(table: TableFacts) -> TableFacts:
    """As a redacted capture knows it."""
    columns = {
        name: replace(column, common_values_text=None, histogram_text=None, common_elements_text=None,
                      range_bounds_text=None)
        for name, column in table.columns.items()
    }  # fmt: skip
    return replace(table, columns=columns)


@pytest.mark.parametrize("is_redacted", [False, True], ids=["whole", "redacted"])
def test_keys_and_foreign_keys_hold(
    made: tuple[Cluster, dict[str, TableFacts]], connection: psycopg.Connection[Any], *, is_redacted: bool
) -> None:
    tables = {name: _without_values(table) for name, table in made[1].items()} if is_redacted else made[1]
    counts = {"public.client": 2000, "public.item": COUNT}
    for name, count in counts.items():
        assert fill(connection, tables[name], count, tables=tables, counts=counts, seed=3) == count
    row = connection.execute("select (select count(*) from client), (select count(*) from item)").fetchone()
    assert row == (2000, COUNT)


def test_statistics_come_back(made: tuple[Cluster, dict[str, TableFacts]], connection: psycopg.Connection[Any]) -> None:
    tables, counts = made[1], {"public.client": 5000, "public.item": 15000}
    for name, count in counts.items():
        fill(connection, tables[name], count, tables=tables, counts=counts)
    connection.execute("analyze client, item")
    found = {
        (table, column): (nulls, width, distinct, correlation)
        for table, column, nulls, width, distinct, correlation in connection.execute(
            "select 'public.' || tablename, attname, null_frac, avg_width, n_distinct, correlation from pg_stats"
            " where schemaname = 'public'"
        ).fetchall()
    }
    for (relation, name), (nulls, width, distinct, correlation) in found.items():
        column = tables[relation].columns[name]
        if column.is_generated:
            continue
        assert nulls == pytest.approx(column.null_fraction, abs=0.05), name
        assert width == pytest.approx(column.average_width, rel=0.35, abs=3), name
        rows = counts[relation]
        held = distinct if distinct > 0 else -distinct * rows
        known = column.distinct_in(rows)
        if column.type in {"int4", "int2", "date", "bool", "varchar", "uuid", "mood", "timestamptz"} and known:
            assert held == pytest.approx(known, rel=0.35, abs=2), name
        if column.type in {"int4", "date", "timestamptz"} and abs(column.order) > 0.95:
            assert correlation > 0.9, name


def test_common_values_are_as_common(
    made: tuple[Cluster, dict[str, TableFacts]], connection: psycopg.Connection[Any]
) -> None:
    table = made[1]["public.client"]
    fill(connection, table, COUNT, tables=made[1])
    column = table.columns["mood"]
    for value, share in zip(column.common_values, column.common_frequencies, strict=True):
        row = connection.execute("select avg((mood = %s)::int) from client", (value,)).fetchone()
        assert row is not None
        assert float(row[0]) == pytest.approx(share, abs=0.03)


def test_the_same_seed_gives_the_same_rows(made: tuple[Cluster, dict[str, TableFacts]]) -> None:
    table = made[1]["public.item"]
    assert list(generated_rows(table, 50, seed=5)) == list(generated_rows(table, 50, seed=5))
    assert list(generated_rows(table, 50, seed=5)) != list(generated_rows(table, 50, seed=6))
    assert "made" not in writable_columns(made[1]["public.client"])


@given(st.integers(1, 300), st.integers(0, 2**40), st.sampled_from(["int4", "text", "uuid", "numeric", "date"]))
@settings(max_examples=30, deadline=None)
def test_a_key_is_unique_without_any_statistics(count: int, seed: int, kind: str) -> None:
    column = ColumnFacts("id", kind, declared="character varying(12)" if kind == "text" else "", is_not_null=True)
    table = TableFacts("public.t", count, 1, {"id": column}, unique=(("id",),))
    rows = list(generated_rows(table, count, seed=seed))
    assert len(set(rows)) == count
    assert all(value is not None and len(value) <= 40 for (value,) in rows)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=300), st.integers(0, 2**62))
@settings(max_examples=5, deadline=None)
def test_rows_have_common_elements_as_often_as_they_occur(shares: list[float], seed: int) -> None:
    names = [f"e{place}" for place in range(len(shares))]
    column = ColumnFacts(
        "tags", "text[]", common_elements_text="{" + ",".join(names) + "}", element_frequencies=tuple(shares)
    )
    values = Values(column, rows=1e6, seed=seed)
    rows = [values.drawn(number / 2000) for number in range(2000)]
    held = Counter(name for row in rows for name in array_values(row))
    for name, share in zip(names, shares, strict=True):
        assert held[name] / len(rows) == pytest.approx(share, abs=0.06), name
