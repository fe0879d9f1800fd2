"""Migrations tried in the lab of a real capture: what gets dearer, what fails, what a new index is good for."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from queryfit.capture.server import CaptureOptions, capture_server
from queryfit.evidence.store import Capture, Store
from queryfit.lab.build import Lab, build
from queryfit.lab.server import found_labs, remove_labs
from queryfit.lab.trial import trial
from queryfit.lab.trial.trial import try_migrations
from queryfit.lint import Settings, lint
from queryfit.migrations.before import Schema, schema_in
from queryfit.migrations.files import MigrationFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from queryfit.findings import Finding, Report
    from tests.servers import Cluster

VERSIONS = (15, 18)  # before 18 nobody but a superuser writes statistics
RESTORES_SINCE = 18
DATABASE = "trial_shop"
TABLES = """
create table customer (id int primary key, email text not null, region int, note text);
create table orders (
    id int primary key, customer_id int not null references customer (id), state text not null, created timestamptz,
    total numeric, code text
);
create table event (id int, at date, kind int) partition by range (at);
create table event_1 partition of event for values from ('2025-01-01') to ('2026-01-01');
create table event_2 partition of event for values from ('2026-01-01') to ('2027-01-01');
create table unread (id int primary key, word text);
insert into customer select i, 'c' || i || '@example.com', i % 50, md5(i::text) from generate_series(1, 5000) as i;
insert into orders select i, 1 + i % 5000, case when i % 100 = 0 then 'open' else 'done' end,
    timestamptz '2026-01-01' + i * interval '1 minute', i, md5(i::text) from generate_series(1, 40000) as i;
insert into event select i, date '2025-01-01' + i % 700, i % 40 from generate_series(1, 20000) as i;
create index orders_customer on orders (customer_id);
create index orders_created on orders (created);
create index event_kind on event (kind);
create view open_orders as select id, customer_id, created from orders where state = 'open';
vacuum analyze;
select pg_stat_statements_reset();
"""
STATEMENTS = (
    ("select id, total from orders where created between %s and %s", ("2026-01-05", "2026-01-06")),
    ("select id from orders where created > %s order by created limit 10", ("2026-01-20",)),
    ("select * from orders where customer_id = %s", (7,)),
    ("select id, code from orders where code = %s", ("abc",)),
    ("select note from customer where email = %s", ("c7@example.com",)),
    ("select c.email, o.id from open_orders as o join customer as c on c.id = o.customer_id where o.id = %s", (100,)),
    ("select count(*) from event where kind = %s", (3,)),
    ("update customer set region = %s where id = %s", (3, 4)),
)
FAILS, DEARER, CHEAPER, UNUSED = (
    "statements-fail-after-migration",
    "statements-plan-dearer",
    "statements-plan-cheaper",
    "new-index-not-used",
)


@pytest.fixture(scope="module")
def cache() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="queryfit-test-") as folder, pytest.MonkeyPatch.context() as patch:
        Path(folder).chmod(0o711)
        patch.setenv("XDG_CACHE_HOME", folder)
        yield Path(folder)
        remove_labs()


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda version: f"pg{version}")
def capture(
    request: pytest.FixtureRequest, cluster_of: Callable[[int], Cluster], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Capture]:
    cluster = cluster_of(request.param)
    cluster.create_database(DATABASE)
    for statement in TABLES.split(";\n"):
        cluster.run(statement, database=DATABASE)
    with psycopg.connect(cluster.dsn(DATABASE), autocommit=True, prepare_threshold=0) as connection:
        for text, values in STATEMENTS:
            for _ in range(3):
                connection.execute(text.encode(), values)
    with Store(tmp_path_factory.mktemp("store")).write("full") as writer:
        capture_server(cluster.dsn(DATABASE), CaptureOptions(max_plans=0), writer)
    assert writer.committed is not None
    yield writer.committed
    cluster.drop_database(DATABASE)


@pytest.fixture(scope="module")
def schema(capture: Capture) -> Schema:
    return schema_in(capture)


@pytest.fixture(scope="module")
def linted(capture: Capture, schema: Schema, cache: Path) -> Callable[..., Report]:
    """Lint migrations, each a file, against the capture."""
    assert cache.exists()
    with build(capture, DATABASE) as lab:
        lab.keep()  # its server is not started anew for each test

    def run(*texts: str, **options: Any) -> Report:
        files = [
            MigrationFile(None, f"{number}.sql", text, text, "psql", options.get("transactions", "each"))
            for number, text in enumerate(texts, 1)
        ]
        settings = Settings(version=schema.version)
        before = schema_in(capture).database  # a replay changes it
        return lint(files, settings, before=before, trial=lambda files, run: try_migrations(capture, files, run)).report

    return run


def of(report: Report, *rules: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.rule in (rules or (FAILS, DEARER, CHEAPER, UNUSED))]


def test_dropped_index_makes_its_statements_dearer(linted: Callable[..., Report]) -> None:
    report = linted("set lock_timeout = '2s';\ndrop index concurrently orders_created;\n")
    (finding,) = of(report)
    assert (finding.rule, finding.subject, finding.line) == (DEARER, "public.orders_created", 2)
    assert finding.message.startswith("This drops public.orders_created: 2 statements, ")
    assert finding.evidence["factor"] > 5
    assert not [entry for entry in report.not_checked if entry.rule == DEARER]


def test_costs_are_those_of_the_server(
    linted: Callable[..., Report], schema: Schema, cluster_of: Callable[[int], Cluster]
) -> None:
    (finding,) = of(linted("create index concurrently orders_code on orders (code);"))
    with psycopg.connect(cluster_of(schema.version).dsn(DATABASE)) as real:
        real.execute("set plan_cache_mode = force_generic_plan")
        real.execute("prepare by_code (text) as select id, code from orders where code = $1")
        costs = []
        for statement in ("select", "create index on orders (code)"):
            real.execute(statement.encode())
            ((document,),) = real.execute("explain (format json) execute by_code ('abc')").fetchall()
            costs.append(document[0]["Plan"]["Total Cost"])
        real.rollback()
    assert finding.evidence["factor"] == pytest.approx(costs[0] / costs[1], rel=0.02)


def test_index_that_is_replaced_before_it_goes_is_no_finding(linted: Callable[..., Report]) -> None:
    report = linted(
        "create index concurrently orders_created_2 on orders (created) include (id);",
        "drop index concurrently orders_created;",
        "alter index orders_created_2 rename to orders_created;",
    )
    assert not of(report, DEARER, FAILS, UNUSED)


def test_new_index_and_what_uses_it(linted: Callable[..., Report]) -> None:
    report = linted("create index concurrently orders_code on orders (code);\ncreate index on orders (total);\n")
    found = {finding.rule: finding for finding in of(report)}
    assert found.keys() == {CHEAPER, UNUSED}
    assert found[CHEAPER].subject == "public.orders_code"
    assert found[CHEAPER].line == 1
    assert found[UNUSED].subject == "public.orders_total_idx"
    assert found[UNUSED].line == 2
    assert 300_000 < found[UNUSED].evidence["size_bytes"] < 3_000_000
    assert "None of the 5 captured statements on public.orders" in found[UNUSED].message


def test_index_is_used_by_a_statement_that_another_file_breaks(linted: Callable[..., Report]) -> None:
    report = linted("create index on customer (email);", "alter table customer rename column note to remark;")
    assert [finding.rule for finding in of(report)] == [FAILS]


def test_dropped_column_breaks_statements(linted: Callable[..., Report]) -> None:
    report = linted("alter table customer drop column note;")
    (finding,) = of(report)
    assert (finding.rule, finding.subject) == (FAILS, "public.customer.note")
    assert 'column "note" does not exist' in finding.message
    assert "1 statement," in finding.message
    assert finding.severity == "error"


def test_fault_stands_at_the_action_that_makes_it(linted: Callable[..., Report]) -> None:
    text = (
        "alter table orders\n  drop column total,\n  drop column code;\ndrop index orders_customer,\n orders_created;\n"
    )
    found = {finding.subject: (finding.rule, finding.line) for finding in of(linted(text), FAILS, DEARER)}
    assert found == {
        "public.orders.total": (FAILS, 2),
        "public.orders.code": (FAILS, 3),
        "public.orders_customer": (DEARER, 4),
        "public.orders_created": (DEARER, 5),
    }


def test_renamed_table_with_a_view_in_its_place_breaks_nothing(linted: Callable[..., Report]) -> None:
    moved = "alter table customer rename to client;\n"
    assert [finding.subject for finding in of(linted(moved))] == ["public.customer"]
    whole = linted(moved + "create view customer as select * from client;\n")
    assert not of(whole)


def test_dropped_view_breaks_its_statement(linted: Callable[..., Report]) -> None:
    (finding,) = of(linted("drop view open_orders;"))
    assert (finding.rule, finding.subject) == (FAILS, "public.open_orders")


def test_index_of_a_partitioned_table(linted: Callable[..., Report]) -> None:
    (dropped,) = of(linted("drop index event_kind;"))
    assert (dropped.rule, dropped.subject) == (DEARER, "public.event_kind")
    made = of(linted("create index event_at on event (at);"))
    assert [(finding.rule, finding.subject) for finding in made] == [(UNUSED, "public.event_at")]


def test_statistics_outlive_a_change_of_type(linted: Callable[..., Report], schema: Schema) -> None:
    report = linted("alter table customer alter column email type varchar(200);\ndrop index orders_created;")
    left_out = [entry.reason for entry in report.not_checked if entry.rule == DEARER]
    assert [finding.subject for finding in of(report)] == ["public.orders_created"]
    if schema.version >= RESTORES_SINCE:
        assert not left_out
    else:
        assert left_out == [
            "3 captured statements left out: a change of type drops statistics that this lab cannot write again"
        ]


def test_rewritten_table_keeps_its_size_and_its_indexes(linted: Callable[..., Report], schema: Schema) -> None:
    report = linted("alter table orders alter column total type text;\nalter table orders alter column id type bigint;")
    assert not of(report, FAILS, UNUSED)
    if schema.version >= RESTORES_SINCE:
        assert not of(report)


def test_statement_that_the_lab_refuses_ends_the_trial(linted: Callable[..., Report]) -> None:
    report = linted("drop index orders_created;\nalter table orders add check (missing(total));\n")
    assert not of(report)
    reasons = {entry.reason for entry in report.not_checked if entry.rule == DEARER}
    assert any("not tried in the lab from here on" in reason and "missing" in reason for reason in reasons)
    (place,) = {(entry.file, entry.line) for entry in report.not_checked if "from here on" in entry.reason}
    assert place == ("1.sql", 2)


def test_refusal_elsewhere_leaves_what_came_before_to_be_judged(linted: Callable[..., Report]) -> None:
    report = linted("drop index orders_created;\nalter table unread add check (missing(word));\n")
    assert [finding.rule for finding in of(report)] == [DEARER]


def test_block_that_is_not_seen_through_leaves_nothing_to_be_judged(linted: Callable[..., Report]) -> None:
    report = linted("drop index orders_created;\ndo $$ begin execute current_setting('my.sql'); end $$;\n")
    assert not of(report)
    assert any("not known what it does" in entry.reason for entry in report.not_checked)


def test_data_is_not_changed(linted: Callable[..., Report]) -> None:
    report = linted(
        "insert into unread values (1, 'x');\nupdate orders set code = 'x';\ndelete from orders;\ntruncate customer;\n"
        "drop index orders_created;\n"
    )
    assert [finding.subject for finding in of(report)] == ["public.orders_created"]
    assert not [entry for entry in report.not_checked if entry.rule == DEARER]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("create index on orders (pg_read_file('/etc/passwd'));", "must be marked IMMUTABLE"),
        ("alter table unread alter word type text using pg_read_file('/etc/passwd');", "permission denied"),
        ("create function f() returns int language c as '/tmp/evil.so';", "permission denied"),
        ("do $$ begin create role evil superuser; end $$;", "permission denied"),
        ("do $$ begin commit; create table x (i int); end $$;", "invalid transaction termination"),
        ("do $$ begin loop create table if not exists x (i int); end loop; end $$;", "statement timeout"),
    ],
)
def test_stranger_reaches_nothing(
    linted: Callable[..., Report], schema: Schema, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    if schema.version != VERSIONS[-1]:
        pytest.skip("one version will do")
    monkeypatch.setitem(trial.SETTINGS, "statement_timeout", "1s")
    report = linted(f"{text}\ndrop index orders_created;")
    told = [entry.reason for entry in report.not_checked if entry.rule == DEARER]
    assert any(re.search(reason, entry) for entry in told)


def test_nothing_is_left_in_the_lab(linted: Callable[..., Report], capture: Capture) -> None:
    def state(lab: Lab) -> list[Any]:
        with lab.connect_superuser() as connection:
            rows = connection.execute(
                b"select c.relname, c.relpages, c.reltuples, pg_relation_size(c.oid) from pg_class as c"
                b" where relnamespace = 'public'::regnamespace order by 1"
            ).fetchall()
            count = connection.execute(b"select count(*) from queryfit_lab.extent").fetchall()
        return [*rows, *count]

    with build(capture, DATABASE) as lab:
        before = state(lab)
    linted(
        "alter table orders alter column total type text;\nalter table customer rename to client;\n"
        "create index on orders (code);\ndrop table unread;\ncreate table fresh (id int primary key);\n"
    )
    with build(capture, DATABASE) as lab:
        assert not lab.was_built
        assert state(lab) == before
    assert found_labs()


def test_redacted_capture_proves_what_fails_and_no_more(
    newest: Cluster, database: str, cache: Path, tmp_path: Path
) -> None:
    assert cache.exists()
    newest.run("create table t (id int primary key, a int, b int); insert into t values (1, 2, 3)", database=database)
    newest.run("analyze t", database=database)
    newest.run("create index t_a on t (a); select pg_stat_statements_reset()", database=database)
    newest.run("select a from t where a = 2", database=database)
    newest.run("select b from t where id = 2", database=database)
    with Store(tmp_path / "store").write("full", redacts=True) as writer:
        capture_server(newest.dsn(database), CaptureOptions(max_plans=0), writer)
    taken = writer.committed
    assert taken is not None
    text = "drop index t_a;\nalter table t drop column b;\ncreate index t_ab on t (a, id);\n"
    report = lint(
        [MigrationFile(None, "1.sql", text, text, "psql", "each")],
        Settings(),
        before=schema_in(taken).database,
        trial=lambda files, run: try_migrations(taken, files, run, keeps_lab=False),
    ).report
    assert [(finding.rule, finding.subject) for finding in of(report)] == [(FAILS, "public.t.b")]
    assert any("redacted" in entry.reason for entry in report.not_checked if entry.rule == DEARER)


def test_migration_without_ddl_needs_no_lab(capture: Capture, schema: Schema) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    text = "insert into orders (id) values (1);\ngrant select on orders to somebody;\n"
    files = [MigrationFile(None, "1.sql", text, text, "psql", "each")]
    report = lint(
        files,
        Settings(version=schema.version),
        before=schema_in(capture).database,
        trial=lambda files, run: try_migrations(capture, files, run, never),
    ).report
    assert not of(report)
    assert not [entry for entry in report.not_checked if entry.rule in {FAILS, DEARER}]
