"""`diff` between captures of a real server, before and after its schema, settings and load changed."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from queryfit.evidence.store import Store
from tests.cli.conftest import CommandLine, Outcome, written
from tests.servers import Cluster

BEFORE = """
    create table customer (id bigint primary key, email text, note varchar(20));
    create table orders (id bigint primary key, customer_id bigint, total int not null default 0);
    create table old (id int);
    create index orders_customer on orders (customer_id);
    create index orders_total on orders (total);
    insert into customer select n, 'c' || n from generate_series(1, 100) as n;
    insert into orders select n, n % 5000, n from generate_series(1, 30000) as n;
    analyze;
    select pg_stat_statements_reset();
"""
AFTER = """
    drop index orders_customer;
    drop table old;
    alter table customer rename to client;
    alter table client alter column note type text;
    alter table orders rename column total to amount;
    alter table orders add column paid boolean;
    alter table orders add constraint paid_known check (amount >= 0) not valid;
    create index "odd
::error::name" on orders (paid);
    create table "<script>|`x`" (id int);
    alter system set random_page_cost = 1.7;
    select pg_reload_conf();
"""
SEARCH = "select count(*) from orders where customer_id = {}"
NEW = "select max(id) from client where id > {}"
OLD = "select note from customer where id = {}"


@dataclass(frozen=True, slots=True)
class Two:
    """Two captures of a server, and what came between them."""

    before: str
    now: str
    folder: Path


@pytest.fixture
def two(queryfit: CommandLine, newest: Cluster, database: str, store: Store) -> Two:
    def taken() -> str:
        done = queryfit("capture", newest.dsn(database), "-q")
        assert done.status == 0, done.err
        return Path(done.out.strip()).name

    def ask(statement: str, times: int) -> None:
        with newest.connect(database) as connection:
            for number in range(times):
                connection.execute(statement.format(number).encode())

    newest.run(BEFORE, database=database)
    ask(SEARCH, 60)
    ask(OLD, 30)
    first = taken()
    try:
        for part in AFTER.split(";\n"):
            if part.strip():
                newest.run(part, database=database)
        ask(SEARCH, 60)
        ask(NEW, 30)
        last = taken()
    finally:
        newest.run("alter system reset random_page_cost")
        newest.run("select pg_reload_conf()")
    return Two(first, last, store.folder)


@pytest.fixture
def document(queryfit: CommandLine, two: Two) -> dict[str, Any]:
    done = queryfit("diff", two.before, two.now, "--format", "json")
    assert done.status == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def by_text(document: dict[str, Any], part: str) -> dict[str, Any]:
    (found,) = [entry for entry in document["statements"] if part in entry["text"]]
    return dict(found)


def test_statements_that_got_slower_and_are_new_with_plan_and_reason(document: dict[str, Any]) -> None:
    slower = by_text(document, "customer_id = ")
    assert slower["change"] == "slower"
    assert slower["blocks_per_call"] > 20 * slower["blocks_per_call_before"]
    assert slower["reason_kind"] == "index_dropped"
    assert slower["reason_subject"] == "public.orders_customer"
    assert "orders: " in slower["reason"]
    assert slower["reason"].endswith("Seq Scan")
    assert "orders_customer" in slower["plan_before"]
    assert "Seq Scan orders" in slower["plan_now"]
    assert by_text(document, "select max(id) from client")["change"] == "new"
    # a second of watching is no proof that nobody asks any more
    assert not [entry for entry in document["statements"] if entry["change"] == "gone"]


def test_changes_of_the_schema_are_said_in_words(document: dict[str, Any]) -> None:
    said = {entry["words"] for entry in document["schema"]}
    assert said >= {
        "table public.customer renamed to public.client",
        "table public.old dropped",
        "column note of public.client: type character varying(20) → text",
        "column amount of public.orders: column renamed from total",
        "column paid of public.orders added (boolean)",
        "constraint paid_known of public.orders added (CHECK ((amount >= 0)) NOT VALID)",
    }
    assert any(text.startswith("index public.orders_customer on public.orders dropped") for text in said)
    # neither the columns of a table that is gone, nor the indexes of one that has another name
    assert not [text for text in said if "public.old" in text and "dropped" not in text]
    assert not [text for text in said if "customer_pkey" in text]


def test_settings_are_told_with_both_values(document: dict[str, Any]) -> None:
    assert [entry["words"] for entry in document["settings"]] == ["random_page_cost: 4 → 1.7"]


def test_hostile_names_stay_text_in_every_form(queryfit: CommandLine, two: Two) -> None:
    terminal = queryfit("diff", two.before, two.now, "--width", "80").out
    assert not [line for line in terminal.splitlines() if line.strip().startswith("::error")]
    assert max(map(len, terminal.splitlines())) <= 80
    page = queryfit("diff", two.before, two.now, "--format", "markdown").out
    assert "<script>" not in page
    assert not [line for line in page.splitlines() if line.strip().startswith("::error")]


def test_the_time_is_as_good_as_the_name(queryfit: CommandLine, two: Two) -> None:
    named = queryfit("diff", two.before, two.now)
    assert queryfit("diff", "1h").out == named.out
    assert queryfit("diff", "yesterday", "now").out == named.out
    assert queryfit("diff", two.before).out == named.out


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("{now}", "{before}"), 2, "is not older than"),
        (("{before}", "{before}"), 2, "both are the capture"),
        (("never",), 2, "neither a capture nor a time"),
        (("1h", "--server", "nobody"), 2, "holds no server"),
    ],
)
def test_wrong_captures_are_refused_with_a_hint(
    queryfit: CommandLine, two: Two, arguments: tuple[str, ...], status: int, words: str
) -> None:
    done = queryfit("diff", *(text.format(now=two.now, before=two.before) for text in arguments))
    assert done.status == status
    assert words in done.err
    assert "hint: " in done.err


def test_two_servers_are_compared_only_when_asked(queryfit: CommandLine, two: Two, store: Store) -> None:
    other = written(store)
    done = queryfit("diff", other.name, two.now)
    assert done.status == 3
    assert "two servers" in done.err
    assert "--any" in done.err
    compared = queryfit("diff", other.name, two.now, "--any", "--format", "json")
    assert compared.status == 0, compared.err
    assert json.loads(compared.out)["is_same_server"] is False


def test_captures_outside_of_the_store_are_compared_as_they_are(
    queryfit: CommandLine, two: Two, store: Store, tmp_path: Path
) -> None:
    server = store.servers()[0]
    places = [tmp_path / name for name in ("a", "b")]
    for place, name in zip(places, (two.before, two.now), strict=True):
        shutil.copytree(store.folder / server / name, place)
    done = queryfit("diff", *places, "--format", "json")
    assert done.status == 0, done.err
    assert by_text(json.loads(done.out), "customer_id = ")["change"] == "slower"


def test_a_damaged_capture_is_named(queryfit: CommandLine, two: Two, store: Store) -> None:
    file = store.folder / store.servers()[0] / two.before / "relation.parquet"
    file.write_bytes(file.read_bytes()[:-10])
    done: Outcome = queryfit("diff", two.before, two.now)
    assert done.status == 3
    assert two.before in done.err
