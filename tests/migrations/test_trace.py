# ruff: noqa: E501, ISC004 - tables of statements, one a cell
"""The tracer: what it sees on real servers, and what a stranger's migration cannot do there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psycopg
import pytest

from queryfit.errors import QueryfitError
from queryfit.migrations.files import MigrationFile
from queryfit.migrations.steps import ACCESS_EXCLUSIVE, SHARE, SHARE_ROW_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE, Effect, Step
from queryfit.migrations.trace import Failure, Observed, agree
from queryfit.migrations.trace.filler import fill
from queryfit.migrations.trace.host import embedded_host, mend, named_host
from queryfit.migrations.trace.run import Tracer, statements_of
from queryfit.migrations.trace.tracing import trace
from queryfit.migrations.trace.wire import OutOfTimeError
from tests.servers import Cluster

SHOP = """
create table customers (id int primary key, email text not null);
create table orders (id bigserial primary key, customer_id int not null references customers, state varchar(10) not null
    check (state in ('new', 'paid')), total numeric(10,2) check (total > 0), parent bigint references orders);
create index orders_customer on orders (customer_id);
"""


def file(text: str, transactions: str = "each", name: str = "m.sql") -> MigrationFile:
    return MigrationFile(None, name, text, text, "psql", transactions)  # type: ignore[arg-type]


@contextlib.contextmanager
def tracing(cluster: Cluster, database: str, *, seconds: float = 120, limit_s: float = 60) -> Iterator[Tracer]:
    """A tracer as an ordinary role that owns the database."""
    if not cluster.run("select from pg_roles where rolname = 'tracer'"):
        cluster.run("create role tracer login")
    cluster.run(f'alter database "{database}" owner to tracer')
    cluster.run("drop extension if exists pg_stat_statements", database=database)

    def connect() -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(cluster.dsn(database, "tracer"), autocommit=True)

    tracer = Tracer(connect, watch=connect, deadline=time.monotonic() + seconds, limit_s=limit_s)
    try:
        yield tracer
    finally:
        tracer.close()


def arranged(tracer: Tracer, text: str) -> dict[str, str]:
    assert tracer.replay(file(text)) == []
    session = tracer.session()
    try:
        return fill(session)
    finally:
        session.close()


def seen(tracer: Tracer, text: str, transactions: str = "each") -> list[Observed]:
    return list(tracer.observe(0, file(text, transactions)))


def test_locks_rewrites_scans_and_builds_are_seen(cluster: Cluster, database: str) -> None:
    with tracing(cluster, database) as tracer:
        assert arranged(tracer, SHOP) == {}
        rewrite, scan, build, key, nothing = seen(
            tracer,
            "alter table orders alter customer_id type bigint; alter table orders alter total set not null;"
            "create index on orders (total); alter table orders add foreign key (customer_id) references customers;"
            "alter table orders alter state type text",
        )
        assert rewrite.error is None
        assert rewrite.locks["public.orders"] == ACCESS_EXCLUSIVE
        assert rewrite.rewritten == {"public.orders"}
        assert rewrite.rebuilt["public.orders_customer"] == "public.orders"
        assert (set(scan.rewritten), set(scan.scanned)) == (set(), {"public.orders"})
        assert build.locks == {"public.orders": SHARE}
        assert build.built == {"public.orders_total_idx": "public.orders"}
        assert key.locks["public.customers"] == key.locks["public.orders"] == SHARE_ROW_EXCLUSIVE
        assert "public.orders" in key.scanned
        assert nothing.locks["public.orders"] == ACCESS_EXCLUSIVE
        assert not nothing.rewritten | {*nothing.rebuilt} | {*nothing.built}
        assert rewrite.pages > 0


def test_concurrent_statements_run_alone_and_show_their_locks(cluster: Cluster, database: str) -> None:
    with tracing(cluster, database) as tracer:
        arranged(tracer, SHOP)
        build, drop, vacuum = seen(
            tracer,
            "create index concurrently late on orders (total); drop index concurrently late; vacuum full orders",
        )
        for one in (build, drop):
            assert (one.error, one.locks_seen, one.locks["public.orders"]) == (None, "sampled", SHARE_UPDATE_EXCLUSIVE)
        assert build.built == {"public.late": "public.orders"}
        assert "public.orders" in build.scanned
        assert vacuum.locks["public.orders"] == ACCESS_EXCLUSIVE
        assert vacuum.rewritten == {"public.orders"}


def test_transactions_are_those_of_the_runner(newest: Cluster, database: str) -> None:
    with tracing(newest, database) as tracer:
        arranged(tracer, SHOP)
        concurrent = "create index concurrently on orders (total); select 1"
        for transactions, sqlstate in (("each", None), ("batch", "25001"), ("file", "25001")):
            first = seen(tracer, concurrent, transactions)[0]
            assert (first.error.sqlstate if first.error else None) == sqlstate
        assert seen(tracer, "create index concurrently on orders (total)", "batch")[0].error is None
        # LOCK TABLE fails outside a block; the tracer must not lend it one
        assert seen(tracer, "lock table orders")[0].error is not None
        _, lock, after, _ = seen(
            tracer, "begin; lock table orders; alter table orders alter total set not null; commit"
        )
        assert lock.locks == {"public.orders": ACCESS_EXCLUSIVE}
        assert (after.locks, after.held) == ({}, {"public.orders": ACCESS_EXCLUSIVE})
        # the file's own COMMIT ends the runner's transaction
        assert seen(tracer, "commit; create index concurrently on customers (email)", "file")[1].error is None


def test_after_an_error_the_rest_of_a_file_does_not_run(newest: Cluster, database: str) -> None:
    with tracing(newest, database) as tracer:
        failed, rest = seen(tracer, "alter table absent add x int; create table never (id int)")
        assert failed.error is not None
        assert failed.error.sqlstate == "42P01"
        assert not rest.is_run
        assert newest.run("select to_regclass('never') as r", database=database) == [{"r": None}]


def test_rows_make_violations_show(newest: Cluster, database: str) -> None:
    with tracing(newest, database) as tracer:
        arranged(tracer, SHOP)
        (required,) = seen(tracer, "alter table orders add column extra int not null")
        assert required.error is not None
        assert required.error.sqlstate == "23502"


@pytest.mark.parametrize(
    ("table", "least"),
    [
        ("create table t (a int primary key, b text not null unique, c timestamptz not null, d jsonb not null, e int[])", 200),
        ("create table t (a varchar(3) not null unique, b char(2), c numeric(3,1) not null, d bit(4), e interval)", 50),
        ("create type m as enum ('x', 'y'); create table t (a m not null, b m[], c uuid primary key, d inet, e bytea)", 200),
        ("create table t (a text not null check (a in ('p', 'q')), b int not null check (b between 5 and 7))", 200),
        ("create domain d as text check (value ~ '^x'); create table t (a text, b int check (b > a_len(a) or true))", 0),
        ("create table p (a int, b text, primary key (a, b)); create table t (a int not null, b text not null, "
         "foreign key (a, b) references p)", 200),
        ("create table t (id int primary key, up int references t, g int generated always as (id + 1) stored)", 200),
        ("create table t (id int generated always as identity, at date not null) partition by range (at); create table "
         "t1 partition of t for values from ('2024-01-01') to ('2024-02-01'); create table t2 partition of t default", 200),
        ("create table t (k text not null, n int) partition by list (k); create table t1 partition of t "
         "for values in ('a', 'b')", 200),
        ("create table t (k int not null) partition by hash (k); create table t1 partition of t for values with "
         "(modulus 2, remainder 0); create table t2 partition of t for values with (modulus 2, remainder 1)", 200),
        ("create function no() returns trigger language plpgsql as 'begin raise exception ''no''; end'; create table t "
         "(id int); create trigger no before insert on t for each row execute function no()", 200),
        ("create table t (a int not null, b int not null check (b > 1000000))", 200),
        ('create table "T x" ("A b" int primary key); alter table "T x" rename to t', 200),
    ],
)  # fmt: skip
def test_tables_get_rows_that_their_constraints_accept(newest: Cluster, database: str, table: str, least: int) -> None:
    with tracing(newest, database) as tracer:
        failures = tracer.replay(file(table))
        assert bool(failures) == (least == 0)
        session = tracer.session()
        unfilled = fill(session)
        session.close()
        if least:
            assert unfilled == {}
            assert newest.run("select count(*) as n from t", database=database)[0]["n"] >= least


def test_a_table_that_cannot_be_filled_is_told(newest: Cluster, database: str) -> None:
    with tracing(newest, database) as tracer:
        assert arranged(tracer, "create table t (a int check (a is null and a > 1) not null)").keys() == {"public.t"}


def test_a_table_that_cannot_be_read_is_told(newest: Cluster, database: str) -> None:
    with tracing(newest, database) as tracer:
        unfilled = arranged(
            tracer,
            "create table t (a int); alter table t enable row level security, force row level security; "
            "create policy p on t using (a = current_setting('no.such')::int); create table u (a int)",
        )
    assert list(unfilled) == ["public.t"]
    assert "no.such" in unfilled["public.t"]


def test_what_does_not_end_is_ended(newest: Cluster, database: str) -> None:
    with tracing(newest, database, limit_s=0.5) as tracer:
        began = time.monotonic()
        slow, rest = seen(tracer, "set statement_timeout = 0; select pg_sleep(60)")[1], None
        assert rest is None
        assert slow.error is not None
        assert slow.error.sqlstate == "57014"
        endless = seen(
            tracer,
            "do $$ begin loop begin perform pg_sleep(1); exception when query_canceled then end; end loop; end $$",
        )
        assert endless[0].error is not None
        assert time.monotonic() - began < 20
    with tracing(newest, database, seconds=0) as tracer, pytest.raises(OutOfTimeError):
        seen(tracer, "select 1")


@pytest.mark.parametrize(
    "text",
    [
        "select pg_terminate_backend(pg_backend_pid())",
        "copy t from stdin",
        "copy (select 1) to stdout",
        "select * from generate_series(1, 300000)",
        "set client_encoding = 'latin1'; select 'é'",
        "this is no SQL; select 1",
        "select 1; select '",
        "",
        ";;;",
        "select '\0'",
        "set statement_timeout = '1ms'; create index on t (id)",
        "set session characteristics as transaction read only; select 1",
        "set role none; reset session authorization; discard all",
        "create temp table t (id int); drop table t",
        "prepare transaction 'x'",
        "select '" + "x" * 200_000 + "'",
    ],
)
def test_nothing_that_a_file_holds_breaks_the_tracer(newest: Cluster, database: str, text: str) -> None:
    with tracing(newest, database, limit_s=5) as tracer:
        arranged(tracer, "create table t (id int)")
        first = seen(tracer, text)
        assert all(isinstance(one, Observed) for one in first)
        after = seen(tracer, "alter table t add column extra int")
        assert [one.error for one in after] == [None]


def test_statements_are_split_as_the_server_does() -> None:
    texts = [
        one.text
        for one in statements_of(
            "-- é; x\nselect ';' ; create function f() returns int language sql as $$ select 1; $$;"
        )
    ]
    assert texts == ["select ';'", "create function f() returns int language sql as $$ select 1; $$"]
    assert [one.text for one in statements_of("no sql here; select 1")] == ["no sql here", "select 1"]


@pytest.fixture(scope="module")
def embedded() -> Iterator[Callable[[Mapping[str, str]], list[Observed]]]:
    """Trace texts by name on the embedded server, one server for all tests here."""
    with embedded_host(10) as host:

        def run(texts: Mapping[str, str]) -> list[Observed]:
            tracer = Tracer(
                host.connect,
                watch=host.watch,
                deadline=time.monotonic() + 60,
                limit_s=5,
                remedy=host.remedy,
                has_room=host.has_room,
            )
            with contextlib.closing(tracer):
                return [one for name, text in texts.items() for one in tracer.observe(0, file(text, name=name))]

        yield run


@pytest.mark.parametrize(
    ("text", "sqlstate"),
    [
        ("copy (select 1) to program 'id'", "42501"),
        ("copy (select 1) to '/tmp/queryfit-escaped'", "42501"),
        ("create temp table x (t text); copy x from '/etc/passwd'", "42501"),
        ("select pg_read_file('/etc/passwd')", "42501"),
        ("select lo_import('/etc/passwd')", "42501"),
        ("create extension file_fdw", "42501"),
        ("create extension dblink", "42501"),
        ("create extension postgres_fdw", "42501"),
        ("create extension adminpack", "0A000"),
        ("alter role migration superuser", "42501"),
        ("grant pg_execute_server_program to migration", "42501"),
        ("create role evil superuser", "42501"),
        ("alter system set work_mem = '1GB'", "42501"),
        ("create database more", "42501"),
        ("set role postgres", "42501"),
        ("set temp_file_limit = -1", "42501"),
        ("load 'auto_explain'", "42501"),
        ("select pg_reload_conf()", "42501"),
        ("create function f() returns int language c as 'x', 'y'", "42501"),
    ],
)
def test_a_stranger_reaches_no_file_program_or_rank(
    embedded: Callable[[Mapping[str, str]], list[Observed]], text: str, sqlstate: str
) -> None:
    *_, last = embedded({"m": text})
    assert last.error is not None
    assert last.error.sqlstate == sqlstate
    assert not Path("/tmp/queryfit-escaped").exists()


def test_operators_in_the_way_are_not_run_by_the_superuser(
    embedded: Callable[[Mapping[str, str]], list[Observed]],
) -> None:
    trap = """
    create schema trap;
    create function trap.same(oid, oid) returns boolean language plpgsql as
        $$ begin if current_user = 'postgres' then alter role migration superuser; end if; return true; end $$;
    create operator trap.= (leftarg = oid, rightarg = oid, function = trap.same);
    alter database trace set search_path = trap, pg_catalog, public;
    """
    check = "create table public.trapped (id int); create index concurrently on public.trapped (id); select 1 / (select count(*) from pg_catalog.pg_roles where rolname = current_user and not rolsuper)"
    embedded({"trap": trap, "check": check})
    found = embedded({"undo": "alter database trace reset search_path", "after": check.rpartition(";")[2]})
    assert [one.error for one in embedded({"after": check.rpartition(";")[2]})] == [None]
    assert len(found) == 2


def test_what_only_lacks_something_around_it_is_helped(embedded: Callable[[Mapping[str, str]], list[Observed]]) -> None:
    found = embedded(
        {
            "m": 'create extension if not exists "uuid-ossp"; create extension pgcrypto; create extension citext;'
            "create table helped (id uuid default uuid_generate_v4(), h bytea default gen_random_bytes(4));"
            "insert into helped default values; grant select on helped to app_user; create extension vector;"
            "begin; grant insert on helped to other_user; create table after_it (v vector(3)); commit;"
        }
    )
    assert [one.error for one in found] == [None] * len(found)
    assert [one.note is not None for one in found] == [
        True,
        True,
        False,
        False,
        False,
        True,
        True,
        False,
        True,
        False,
        False,
    ]


def test_the_server_is_gone_afterwards() -> None:
    with embedded_host(10) as host:
        folder = Path(host.connect().info.host).parent
        assert folder.exists()
    assert not folder.exists()


def test_a_whole_trace() -> None:
    with pytest.raises(KeyboardInterrupt), embedded_host(10):
        raise KeyboardInterrupt
    result = trace([file(SHOP)], [file("alter table orders add column v float default random()", name="2.sql")])
    assert result.version >= 18
    assert (result.unfollowed, result.unfilled) == ([], {})
    assert [sorted(one.rewritten) for one in result.observed] == [["public.orders"]]


def test_a_named_database_must_be_empty_and_its_role_weak(newest: Cluster, database: str) -> None:
    with pytest.raises(QueryfitError, match="superuser"):
        named_host(newest.dsn(database), 10)
    newest.run(
        "create role trace_weak login; create role trace_strong login; grant pg_execute_server_program to trace_strong"
    )
    newest.run(f'alter database "{database}" owner to trace_weak')
    with pytest.raises(QueryfitError, match="pg_execute_server_program"):
        named_host(newest.dsn(database, "trace_strong"), 10)
    newest.run("drop extension pg_stat_statements", database=database)
    assert named_host(newest.dsn(database, "trace_weak"), 10).version >= 15
    result = trace(
        [], [file("create table t (id int); create index on t (id)")], dsn=newest.dsn(database, "trace_weak")
    )
    assert [one.error for one in result.observed] == [None, None]
    with pytest.raises(QueryfitError, match="not empty"):
        named_host(newest.dsn(database, "trace_weak"), 10)
    assert named_host(newest.dsn(database, "trace_weak"), 10, is_used_allowed=True).version >= 15
    with pytest.raises(QueryfitError, match="does not answer"):
        named_host("host=/nonexistent dbname=x", 10)


def test_only_names_get_into_what_the_superuser_runs(newest: Cluster, database: str) -> None:
    with newest.connect(database) as helper:
        newest.run("create role migration")
        failure = Failure("42704", 'role "x"; drop table y; --" does not exist')
        assert mend(helper, failure, "grant select on t to x") is not None
        assert newest.run("select count(*) as n from pg_roles where rolname like 'x\"%'")[0]["n"] == 1
        assert mend(helper, Failure("42501", "no"), 'create extension "plpython3u"') is None


def effect(relation: str, action: str = "alter column type", **fields: object) -> Effect:
    return Effect(1, action, relation, lock_level=ACCESS_EXCLUSIVE, **fields)  # type: ignore[arg-type]


def test_agreement_names_what_differs() -> None:
    step = Step(1, 0, "AlterTableStmt", 0, 1, 1, 1)
    observed = Observed(
        0, 0, 0, 1, 1, "", locks={"public.t": 8}, kinds={"public.t": "r"}, rewritten=frozenset({"public.t"}),
        scanned=frozenset({"public.t"}), rebuilt={"public.t_pkey": "public.t"}, there=frozenset({"public.t"}),
    )  # fmt: skip
    assert agree([step], [effect("public.t", is_rewrite=True)], observed) == []
    assert agree([step], [effect("public.t", is_rewrite=None)], observed) == []
    kinds = [one.kind for one in agree([step], [effect("public.t")], observed)]
    assert kinds == ["rewrite", "scan", "index build"]
    assert [one.kind for one in agree([step], [], observed)] == ["lock", "rewrite", "scan", "index build"]
    refused = Step(1, 0, "AlterTableStmt", 0, 1, 1, 1, refusal="no")
    assert [one.kind for one in agree([refused], [], observed)] == ["refusal"]
    failed = Observed(0, 0, 0, 1, 1, "", error=Failure("42P16", "no"))
    assert [one.kind for one in agree([step], [], failed)] == ["refusal"]
    assert agree([refused], [], failed) == []
    # what is in the rows is nothing that a schema tells
    assert agree([step], [], Observed(0, 0, 0, 1, 1, "", error=Failure("23502", "null"))) == []
