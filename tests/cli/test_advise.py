"""The command line of advice: its options, its errors, and the whole way on a real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from queryfit.cli.advise import Share, Size
from queryfit.evidence.store import Store
from queryfit.lint import Settings, lint
from queryfit.migrations.before import schema_of
from queryfit.migrations.files import find_files
from tests.cli.conftest import CommandLine, written
from tests.servers import Cluster

MB = 1 << 20


@pytest.mark.parametrize(
    ("text", "size"),
    [("500MB", 500 * MB), ("1GB", 1024 * MB), ("2GiB", 2048 * MB), ("1.5 gb", 1536 * MB), ("8kB", 8192), ("1T", MB**2),
     ("7B", 7)],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert Size().convert(text, None, None) == size


@pytest.mark.parametrize(("text", "share"), [("10%", 0.1), ("0.1", 0.1), ("0", 0.0), ("250 %", 2.5), ("1", 1.0)])
def test_shares(text: str, share: float) -> None:
    assert Share().convert(text, None, None) == pytest.approx(share)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--budget", "500"], "'500' is not a size such as 500MB or 1.5GB"),
        (["--budget", "-1GB"], "is not a size"),
        (["--tolerance", "10"], "'10' is not a share such as 10% or 0.1"),
        (["--max-width", "9"], "9 is not in the range"),
        (["--for", "select 1", "--workload", "-"], "--for and --workload exclude each other"),
        (["--for", "  "], "--for holds no statement"),
        (["--curve", "curve.gif"], "curve.gif says no form for the curve"),
        (["--measure-writes"], "--measure-writes says how to measure, but not where"),
        (["--runner", "goose", "--undo", "undo.sql"], "for goose the way back is a section"),
        (["nonsense"], "'nonsense' is neither a DSN nor a capture"),
    ],
)
def test_wrong_usage_is_said_in_one_line_with_a_hint(queryfit: CommandLine, arguments: list[str], said: str) -> None:
    done = queryfit("advise", *arguments)
    assert (done.status, done.out) == (2, "")
    first, hint = done.err.splitlines()
    assert said in first
    assert hint.startswith("hint: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--runner", "dbmate"], "no migration for dbmate"),
        (["--runner", "prisma"], "refuses a file with DROP INDEX CONCURRENTLY"),
        (["--runner", "x"], "there is no runner 'x'"),
        (["--output", "nowhere/indexes.sql"], "there is no folder nowhere"),
        (["--workload", "missing.sql"], "there is no workload missing.sql"),
    ],
)
def test_what_cannot_be_done_is_said_before_anybody_waits(
    queryfit: CommandLine, arguments: list[str], said: str
) -> None:
    done = queryfit("advise", *arguments)
    assert (done.status, done.out) == (3, "")
    assert said in done.err.splitlines()[0]
    assert done.err.splitlines()[1].startswith("hint: ")


def test_a_png_is_refused_before_anybody_waits(queryfit: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queryfit.cli.advise.find_spec", lambda _: None)
    done = queryfit("advise", "--curve", "curve.png")
    assert done.status == 3
    assert done.err.splitlines()[1] == "hint: pip install 'queryfit[plot]', or ask for an .svg or .html file"


def test_hypopg_needs_a_server(queryfit: CommandLine, store: Store) -> None:
    capture = written(store)
    done = queryfit("advise", capture.name, "--hypopg")
    assert done.status == 2
    assert "plans on a server" in done.err


def test_a_capture_without_tables_is_no_base_for_advice(queryfit: CommandLine, store: Store) -> None:
    done = queryfit("advise", written(store).name)
    assert done.status == 3
    assert "holds no table" in done.err


SCHEMA = """
create table customers (id int primary key, email text not null, country text not null);
create table orders (
    id int primary key, customer_id int not null, status text not null, created_at timestamptz not null, note text
);
insert into customers select g, 'user' || g || '@example.com', 'c' || g % 50 from generate_series(1, 4000) as g;
insert into orders select g, 1 + g % 4000, case when g % 100 = 0 then 'open' else 'done' end,
    timestamptz '2026-01-01' + g * interval '1 minute', repeat('x', 60) from generate_series(1, 40000) as g;
create index orders_note on orders (note);
vacuum analyze customers, orders;
"""
WORKLOAD = """
-- weight: 100
select id, status from orders where customer_id = 7 order by created_at desc limit 10;
-- weight: 50
select * from customers where lower(email) = 'user7@example.com';
select count(*) from orders where status = 'open';
select no_such_column from orders;
"""


@pytest.fixture
def shop(newest: Cluster, database: str) -> str:
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            newest.run(statement, database=database)
    return newest.dsn(database)


def test_the_whole_way(queryfit: CommandLine, shop: str, tmp_path: Path, newest: Cluster, database: str) -> None:
    (tmp_path / "work.sql").write_text(WORKLOAD)
    common = ("advise", shop, "--workload", "work.sql", "--budget", "100MB", "-q")
    done = queryfit(*common, "--output", "indexes.sql", "--undo", "undo.sql", "--curve", "curve.svg")
    assert (done.status, done.err) == (0, "")
    assert "public.orders (customer_id" in done.out
    assert "best possible for these candidates and 100 MB" in " ".join(done.out.split())
    assert "Not checked: 1 statement" in done.out
    assert "psql -v ON_ERROR_STOP=1 -f indexes.sql" in done.out
    assert (tmp_path / "curve.svg").read_text().startswith("<svg")
    before = schema_of(shop)
    report = lint(find_files([tmp_path / "indexes.sql"], root=tmp_path), Settings(), before=before.database).report
    assert (report.findings, report.not_checked) == ([], [])
    names = newest.run("select indexname from pg_indexes where schemaname = 'public'", database=database)
    assert {row["indexname"] for row in names} == {"customers_pkey", "orders_note", "orders_pkey"}


def test_what_the_server_counted(
    queryfit: CommandLine, store: Store, shop: str, newest: Cluster, database: str
) -> None:
    newest.run("select pg_stat_statements_reset()", database=database)
    with newest.connect(database) as connection:
        for number in range(40):
            connection.execute("select id, status from orders where customer_id = %s", (number,), prepare=False)
            connection.execute("select count(*) from customers where country = 'c7'")
    done = queryfit("advise", shop, "-q", "--format", "json")
    assert (done.status, done.err) == (0, "")
    document = json.loads(done.out)
    assert document["unit"] == "ms per day"
    assert document["saving_share"] > 0.5
    assert "public.orders (customer_id" in document["indexes"][0]["subject"]
    assert document["cost_after"] < document["cost_before"]
    assert all(entry["build_ms"] > 0 and entry["size_bytes"] > 0 for entry in document["indexes"])
    (capture,) = store.captures(store.servers()[0])[0]
    by_sql = queryfit(
        "advise", capture.name, "-q", "--for", "select * from orders where customer_id = 7", "--format", "sql"
    )
    assert (by_sql.status, by_sql.err) == (0, "")
    assert "on public.orders using btree (customer_id" in by_sql.out
    assert "\ndrop index" not in by_sql.out


def test_the_clock_corrects_the_planner(
    queryfit: CommandLine, shop: str, tmp_path: Path, newest: Cluster, database: str
) -> None:
    # what is looked for stands at the end of the order: the planner takes the two for independent, and hopes
    newest.run(
        "create table event (id int, kind int, at int, note text);"
        "insert into event select at, case when at > 119000 then 1 else 2 + at % 99 end, at, repeat('x', 60)"
        " from (select (i * 7919::int8 % 120001)::int as at from generate_series(1, 120000) as i) as scattered;"
        "create index event_kind on event (kind)",
        database=database,
    )
    newest.run("vacuum analyze event", database=database)
    trap = "select max(id) from (select id from event where kind = 1 and note > 'a' order by at limit 1) as first;"
    (tmp_path / "work.sql").write_text(f"{trap}\nselect id, status from orders where customer_id = 7;\n")
    common = ("advise", shop, "--workload", "work.sql", "--max-width", "1", "--format", "json", "-q")
    planned = json.loads(queryfit(*common).out)
    proven = json.loads(queryfit(*common, "--measure", shop, "--measure-anyway").out)
    (trapped,) = [entry for entry in planned["indexes"] if entry["subject"].startswith("public.event ")]
    (withdrawn,) = proven["measured"]["withdrawn"]
    assert withdrawn["name"] == trapped["name"]
    assert withdrawn["ratio"] > 1.1
    assert [entry["subject"] for entry in proven["indexes"]] == ["public.orders (customer_id)"]
    assert any(
        entry["subject"] == trapped["subject"] and "measured: " in entry["reason"] for entry in proven["rejected"]
    )
    assert trapped["name"] not in proven["migration"]


def test_a_constant_that_is_not_known_is_named_where_an_index_needs_it(queryfit: CommandLine, shop: str) -> None:
    hidden = queryfit("advise", shop, "--for", "select id from orders where date_trunc($1, created_at) = $2", "-q")
    assert "as in date_trunc($1, created_at): no index on it was looked for" in " ".join(hidden.out.split())
    known = queryfit("advise", shop, "--for", "select id from orders where customer_id = $1", "-q")
    assert "not known" not in known.out
