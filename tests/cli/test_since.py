"""`audit --since` on a real server: what ran before the stretch is not judged."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import CommandLine
from tests.servers import Cluster

SHOP = """
    create table orders (id bigint primary key, customer_id bigint, note text);
    insert into orders select n, n % 5000, repeat('x', 50) from generate_series(1, 40000) as n;
    analyze;
    select pg_stat_statements_reset();
"""
SLOW = "select note from orders where customer_id = {}"
FAST = "select note from orders where id = {}"


@pytest.fixture
def dsn(newest: Cluster, database: str) -> str:
    newest.run(SHOP, database=database)
    return newest.dsn(database)


def ask(cluster: Cluster, database: str, statement: str, times: int) -> None:
    with cluster.connect(database) as connection:
        for number in range(times):
            connection.execute(statement.format(number).encode())


def report(queryfit: CommandLine, *arguments: str) -> dict[str, Any]:
    done = queryfit("audit", *arguments, "--no-lab", "--format", "json", "-q")
    assert done.status == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def subjects(document: dict[str, Any]) -> set[str]:
    return {finding["subject"] for finding in document["findings"]}


def test_a_statement_that_nobody_asks_any_more_is_not_listed(
    queryfit: CommandLine, newest: Cluster, database: str, dsn: str
) -> None:
    ask(newest, database, SLOW, 50)
    assert queryfit("capture", dsn, "-q").status == 0
    ask(newest, database, FAST, 50)
    assert "public.orders (customer_id)" in subjects(report(queryfit, dsn))
    live = report(queryfit, dsn, "--since", "1h")
    assert "public.orders (customer_id)" not in subjects(live)
    assert 0 < live["window"]["seconds"] < 3600
    # without a server the newest capture is judged, and shown and fixed like any other
    again = report(queryfit, "--since", "1h")
    assert subjects(again) == subjects(live)
    assert again["capture"] == live["capture"]
    assert queryfit("show", "1").status == 0
    # an audit of a part mends nothing: the next one of the whole says so
    whole = report(queryfit, dsn)
    (found,) = [entry for entry in whole["findings"] if entry["subject"] == "public.orders (customer_id)"]
    assert found["state"] == "open"


def test_the_sums_are_those_of_the_stretch(queryfit: CommandLine, newest: Cluster, database: str, dsn: str) -> None:
    ask(newest, database, SLOW, 20)
    assert queryfit("capture", dsn, "-q").status == 0
    ask(newest, database, SLOW, 30)
    whole = report(queryfit, dsn)
    part = report(queryfit, "--since", "1h")

    def calls(document: dict[str, Any]) -> Any:
        (found,) = [entry for entry in document["findings"] if entry["subject"] == "public.orders (customer_id)"]
        return found["evidence"]["calls"]

    assert (calls(whole), calls(part)) == (50, 30)


def test_a_store_without_an_earlier_capture_is_told(queryfit: CommandLine, dsn: str) -> None:
    done = queryfit("audit", dsn, "--since", "7d", "--no-lab")
    assert done.status == 3
    assert "hint: " in done.err
    assert queryfit("audit", dsn, "--since", "next year", "--no-lab").status == 2
