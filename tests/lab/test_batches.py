"""Statements that are sent together: all of them are run, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from queryfit.lab.batches import SIZE, as_text, batches, run, succeeded
from queryfit.lab.maker import Maker, Step
from tests.servers import Cluster


@pytest.fixture
def connection(cluster_of: Callable[[int], Cluster]) -> Iterator[psycopg.Connection[Any]]:
    cluster = cluster_of(18)
    cluster.create_database("batches")
    with psycopg.connect(cluster.dsn("batches"), autocommit=True) as connection:
        yield connection
    cluster.drop_database("batches")


def tables(connection: psycopg.Connection[Any]) -> set[str]:
    rows = connection.execute("select relname from pg_class where relkind = 'r' and relnamespace = 2200").fetchall()
    return {name for (name,) in rows}


def test_all_of_them_are_run(connection: psycopg.Connection[Any]) -> None:
    statements = [(f"create table t{number} ()".encode(), ()) for number in range(SIZE)]
    assert succeeded(connection.pgconn, statements)
    assert len(tables(connection)) == SIZE


@pytest.mark.parametrize("bad", [b"create table nope (a no_type)", b"select 1/0", b"nonsense", b"create table b (); x"])
def test_where_one_fails_none_is_run(connection: psycopg.Connection[Any], bad: bytes) -> None:
    statements = [(b"create table a ()", ()), (bad, ()), (b"create table c ()", ())]
    assert not succeeded(connection.pgconn, statements)
    assert tables(connection) == set()
    assert succeeded(connection.pgconn, [statements[0]])  # the connection goes on


def test_a_lost_connection_is_no_success(connection: psycopg.Connection[Any]) -> None:
    assert not succeeded(connection.pgconn, [(b"select pg_terminate_backend(pg_backend_pid())", ()), (b"select 1", ())])


def test_values_arrive_as_they_are(connection: psycopg.Connection[Any]) -> None:
    values = [None, True, 7, 1e-30, 'a "b" {c}, \\', [0.5, None, 1e-7]]
    connection.execute("create table v (a int, b boolean, c int, d real, e text, f real[])")
    run(connection.pgconn, b"insert into v values ($1, $2, $3, $4, $5, $6)", [as_text(value) for value in values])
    (row,) = connection.execute("select a, b, c, d = 1e-30::real, e, f from v").fetchall()
    assert row == (None, True, 7, True, values[4], [0.5, None, pytest.approx(1e-7)])
    with pytest.raises(ValueError, match="NUL"):
        as_text("a\0b")


def test_batches_are_in_order() -> None:
    items = list(range(2 * SIZE + 1))
    assert [item for batch in batches(items) for item in batch] == items


def test_of_a_batch_the_good_ones_are_made(connection: psycopg.Connection[Any]) -> None:
    """In whatever order they need each other."""
    maker = Maker(connection)
    maker.run([
        Step("view", "v", "create view v as select * from later", "ViewStmt"),
        Step("relation", "a", "create table a ()", "CreateStmt"),
        Step("relation", "bad", "drop table a", "CreateStmt"),
        Step("relation", "later", "create table later ()", "CreateStmt"),
    ])  # fmt: skip
    assert tables(connection) == {"a", "later"}
    assert [item.name for item in maker.not_carried] == ["bad"]
    assert maker.made == 3
