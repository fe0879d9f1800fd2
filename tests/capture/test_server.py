"""What a capture says about a server whose facts are known, on every version."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from queryfit.capture.remedies import read_everything
from queryfit.capture.server import CaptureOptions
from queryfit.errors import QueryfitError
from queryfit.evidence.dictionary import tables
from tests.capture.taking import ROLES, take
from tests.servers import Cluster, PgBouncer, available

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ODD = '"We ird"."T""q\nnü"'


def test_a_full_capture_holds_every_table_and_no_gap_for_a_superuser(
    cluster: Cluster, shop: str, tmp_path: Path
) -> None:
    taken = take(cluster.dsn(shop), tmp_path)
    assert set(taken.meta["tables"]) == {
        table.name for table in tables().values() if table.capture in {"full", "sample"}
    }
    gaps = taken.rows("select * from unread where table_name <> 'plan'")
    assert [gap["table_name"] for gap in gaps] == ([] if cluster.version >= 16 else ["io"])
    for table in tables().values():
        if table.capture not in {"full", "sample"}:
            continue
        for column in table.columns:
            if column.is_required:
                assert taken.value(f"select count(*) from {table.name} where {column.name} is null") == 0, column


def test_the_server_says_who_it_is(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    taken = take(cluster.dsn(shop), tmp_path)
    server = taken.row("select * from server")
    identifier = cluster.run("select system_identifier::text as id from pg_control_system()")[0]["id"]
    assert server["system_identifier"] == identifier == taken.meta["system_identifier"]
    assert server["version_number"] // 10000 == cluster.version
    assert (server["provider"], server["is_standby"], server["is_pooled"]) == ("self-hosted", False, False)
    assert (server["role"], server["is_superuser"], server["has_monitor"]) == ("postgres", True, True)
    now = cluster.run("select clock_timestamp() at time zone 'UTC' as now")[0]["now"]
    assert 0 <= (now - server["captured_at"]).total_seconds() < 60
    assert 0 <= (now - server["started_at"]).total_seconds() < 24 * 3600


def test_settings_are_the_servers_and_not_those_of_our_transaction(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    taken = take(cluster.dsn(shop), tmp_path)
    values = {row["name"]: row for row in taken.rows("select * from setting")}
    assert values["statement_timeout"]["value_ms"] == 0
    assert values["search_path"]["value"] == '"$user", public'
    assert values["jit"]["value"] == "on"
    assert values["TimeZone"]["value"] == "Asia/Kathmandu"
    assert values["shared_buffers"]["value_bytes"] == 32 * 2**20
    assert values["autovacuum_naptime"]["value_ms"] == 3600 * 1000
    assert values["max_connections"]["value_number"] == 40
    assert values["autovacuum_work_mem"]["value_bytes"] is None  # -1: as maintenance_work_mem


def test_relations(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    taken = take(cluster.dsn(shop), tmp_path)
    kinds = {row["relation"]: row["kind"] for row in taken.rows("select * from relation where extension is null")}
    assert kinds == {
        "public.customer": "table",
        ODD: "table",
        "public.adult": "view",
        "public.best": "materialized_view",
        "public.event": "partitioned_table",
        "public.event_2020": "table",
        "public.event_2021": "partitioned_table",
        "public.event_2021_0": "table",
        "public.typed": "table",
    }
    customer = taken.row("select * from relation where name = 'customer'")
    assert customer["tuple_rows"] == 1000
    assert customer["size_bytes"] == cluster.run("select pg_relation_size('customer') as n", database=shop)[0]["n"]
    assert customer["index_bytes"] == cluster.run("select pg_indexes_size('customer') as n", database=shop)[0]["n"]
    assert customer["fill_factor"] == 90
    assert customer["vacuum_threshold_rows"] == 50 + 0.01 * 1000
    assert customer["analyze_threshold_rows"] == 50 + 0.1 * 1000
    assert not customer["is_size_estimated"]
    adult = taken.row("select * from relation where name = 'adult'")
    assert "born < '2000-01-01'::date" in adult["definition"]
    assert (adult["size_bytes"], adult["vacuum_threshold_rows"]) == (None, None)


def test_partitions_know_their_parent_and_their_root(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    taken = take(cluster.dsn(shop), tmp_path)
    rows = taken.rows("select * from relation where name like 'event%' order by name")
    assert [(row["parent"], row["root"], row["partition_strategy"]) for row in rows] == [
        (None, "public.event", "range"),
        ("public.event", "public.event", None),
        ("public.event", "public.event", "hash"),
        ("public.event_2021", "public.event", None),
    ]
    assert rows[0]["partition_key"] == "RANGE (at)"
    assert rows[3]["partition_bound"] == "FOR VALUES WITH (modulus 2, remainder 0)"
    index = taken.row("select * from relation_index where relation = 'public.event_2020'")
    assert index["parent_index"] == "public.event_id"


def test_columns(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    taken = take(cluster.dsn(shop), tmp_path)
    rows = {
        (row["relation"], row["column_name"]): row
        for row in taken.rows("select * from relation_column where relation in ('public.customer', 'public.typed')")
    }
    email = rows["public.customer", "email"]
    assert (email["type"], email["base_type"], email["collation_name"]) == ("character varying(40)", "varchar", "C")
    assert (email["is_not_null"], email["default_expression"]) == (True, "'nobody'::character varying")
    assert rows["public.customer", "id"]["identity"] == "always"
    positive = rows["public.typed", "a"]
    assert (positive["type"], positive["base_type"], positive["type_category"]) == (
        "public.positive",
        "int4",
        "N",
    )
    assert positive["type_schema"] == "public"
    assert rows["public.typed", "b"]["type_category"] == "A"


def test_indexes(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    taken = take(cluster.dsn(shop), tmp_path)
    index = taken.row("select * from relation_index where index = 'public.customer_lower'")
    assert index["key_columns"] == "lower((email)::text), score"
    assert (index["included_columns"], index["predicate"]) == ("born", "(score > (3)::numeric)")
    assert (index["is_unique"], index["has_expressions"], index["is_valid"]) == (False, True, True)
    assert index["definition"].startswith("CREATE INDEX customer_lower ON public.customer USING btree (lower(")
    columns = taken.rows("select * from index_column where index = 'public.customer_lower' order by position")
    assert [(c["column_name"], c["expression"], c["is_key"], c["is_descending"]) for c in columns] == [
        (None, "lower((email)::text)", True, True),
        ("score", None, True, False),
        ("born", None, False, False),
    ]
    primary = taken.row("select * from relation_index where index = 'public.customer_pkey'")
    assert (primary["is_primary"], primary["constraint_name"], primary["is_referenced"]) == (
        True,
        "customer_pkey",
        True,
    )


def test_constraints(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    taken = take(cluster.dsn(shop), tmp_path)
    foreign = taken.row("select * from relation_constraint where constraint_name = 'fk'")
    assert (foreign["relation"], foreign["columns"]) == (ODD, "customer_id")
    assert (foreign["referenced_relation"], foreign["referenced_columns"]) == ("public.customer", "id")
    assert (foreign["kind"], foreign["on_delete"], foreign["on_update"]) == ("foreign_key", "cascade", "no action")
    assert foreign["index"] == "public.customer_pkey"
    column = taken.row("select * from constraint_column where constraint_name = 'fk'")
    assert (column["type"], column["referenced_type"], column["referenced_base_type"]) == ("bigint", "bigint", "int8")
    young = taken.row("select * from relation_constraint where constraint_name = 'young'")
    assert (young["kind"], young["is_validated"]) == ("check", False)


def test_column_statistics(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    taken = take(cluster.dsn(shop), tmp_path)
    row = taken.row("select * from column_statistics where relation = 'public.customer' and column_name = 'score'")
    assert (row["least_value"], row["greatest_value"], row["distinct_rows"]) == (1, 1000, 1000)
    assert row["histogram_bounds"].startswith("{1,")
    born = taken.row("select * from column_statistics where relation = 'public.customer' and column_name = 'born'")
    assert (born["least_value"], born["histogram_bounds"][:12]) == (None, "{1970-01-02,")
    assert taken.value("select definition from extended_statistics where relation = 'public.customer'").startswith(
        "CREATE STATISTICS public.customer_spread"
    )


def test_sequences(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    taken = take(cluster.dsn(shop), tmp_path)
    identity = taken.row("select * from relation_sequence where relation = 'public.customer'")
    assert (identity["last_value"], identity["is_identity"], identity["column_name"]) == (1000, True, "id")
    serial = taken.row("select * from relation_sequence where relation <> 'public.customer'")
    assert (serial["relation"], serial["type"], serial["is_identity"]) == (ODD, "integer", False)
    assert (serial["last_value"], serial["is_readable"], serial["maximum_value"]) == (None, True, 2**31 - 1)


def test_statements_are_understood(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    cluster.run("select * from customer where email = 'x' order by born", database=shop)
    cluster.run("select * from customer where email = 'y' order by born", database=shop)
    cluster.run('select amount from "We ird"."T""q\nnü" where customer_id = 7', database=shop)
    taken = take(cluster.dsn(shop), tmp_path)
    found = taken.row(
        f"""
        select statement.*, text, kind from statement join statement_text using (fingerprint)
        where database = '{shop}' and text like '%order by born%'
        """
    )
    assert (found["calls"], found["rows"], found["kind"], found["role"]) == (2, 0, "select", "postgres")
    assert (found["counted_since"] is None) == (cluster.version == 13)  # pg_stat_statements 1.8 has no reset time
    assert found["text"] == "select * from customer where email = $1 order by born"
    roles = taken.rows(f"select * from reference where fingerprint = '{found['fingerprint']}'")
    assert {(row["relation"], row["column_name"], row["role"]) for row in roles} >= {
        ("public.customer", "email", "equality"),
        ("public.customer", "born", "order"),
    }
    assert taken.value(f"select has_order_by from shape where fingerprint = '{found['fingerprint']}'")
    assert taken.value(f"select count(*) from reference where relation = '{ODD}' and role = 'equality'") == 1
    assert taken.value("select count(*) from statement_text where text like '%/* queryfit */%'") == 0
    assert taken.row("select * from statement_store")["track"] == "top"


def test_names_follow_the_search_path_of_the_role(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    cluster.run(
        f"""
        create schema app authorization app;
        create table app.customer (name text);
        grant select on app.customer to app;
        grant usage on schema public to app;
        alter role app in database "{shop}" set search_path = app, public
        """,
        database=shop,
    )
    cluster.run("select name from customer where name = 'x'", database=shop, user="app")
    taken = take(cluster.dsn(shop), tmp_path)
    assert taken.rows("select distinct relation from reference where column_name = 'name'") == [
        {"relation": "app.customer"}
    ]


def test_plans_come_with_the_statements_that_matter(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    cluster.run("select * from customer where email = 'x'", database=shop)
    taken = take(cluster.dsn(shop, user="fit"), tmp_path)
    node = taken.row("select plan_node.* from plan_node join plan using (plan) where index = 'customer_email'")
    assert node["relation"] == "public.customer"
    without = take(cluster.dsn(shop, user="fit"), tmp_path, CaptureOptions(max_plans=0))
    assert without.value("select count(*) from plan") == 0


def test_a_sample_holds_counters_only(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    cluster.run("select * from customer where email = 'x'", database=shop)
    taken = take(cluster.dsn(shop), tmp_path, CaptureOptions(kind="sample"))
    assert set(taken.meta["tables"]) == {table.name for table in tables().values() if table.capture == "sample"}
    assert taken.value("select count(*) from reference where relation = 'public.customer'") > 0
    assert taken.value("select count(*) from relation_counter where relation = 'public.customer'") == 1


def test_schemas_and_exclusions(newest: Cluster, newest_shop: str, tmp_path: Path) -> None:
    only = take(newest.dsn(newest_shop), tmp_path, CaptureOptions(schemas=("We ird",)))
    for table in ("relation", "relation_index", "relation_column", "relation_counter", "relation_constraint"):
        assert only.rows(f"select distinct relation from {table}") == [{"relation": ODD}]
    without = take(newest.dsn(newest_shop), tmp_path, CaptureOptions(excludes=("We*", "public.event*")))
    left = {row["relation"] for row in without.rows("select relation from relation where extension is null")}
    assert left == {"public.customer", "public.adult", "public.best", "public.typed"}


def test_databases(newest: Cluster, newest_shop: str, tmp_path: Path) -> None:
    named = take(newest.dsn(), tmp_path, CaptureOptions(databases=(newest_shop,)))
    assert named.rows("select distinct database from relation") == [{"database": newest_shop}]
    assert named.value(f"select is_captured from database where database = '{newest_shop}'")
    assert not named.value("select is_captured from database where database = 'postgres'")
    every = take(newest.dsn(), tmp_path, CaptureOptions(databases="all"))
    assert {row["database"] for row in every.rows("select distinct database from relation")} >= {
        "postgres",
        newest_shop,
    }
    with pytest.raises(QueryfitError, match='there is no database "nope"') as caught:
        take(newest.dsn(), tmp_path, CaptureOptions(databases=("nope",)))
    assert newest_shop in (caught.value.hint or "")


def test_statements_are_found_through_another_database(newest: Cluster, newest_shop: str, tmp_path: Path) -> None:
    newest.run("select * from customer where email = 'x'", database=newest_shop)
    newest.run("drop extension pg_stat_statements", database=newest_shop)
    alone = take(newest.dsn(newest_shop), tmp_path)
    ((subject, reason, hint),) = alone.unread("statement")
    assert (subject, reason) == (None, "the extension pg_stat_statements does not exist in this database")
    assert "create extension pg_stat_statements" in (hint or "")
    assert alone.value("select count(*) from statement_store") == 0
    both = take(newest.dsn(newest_shop), tmp_path, CaptureOptions(databases=(newest_shop, "postgres")))
    assert both.unread("statement") == []
    assert both.value("select count(*) from reference where relation = 'public.customer' and role = 'equality'") > 0


def test_an_extension_that_is_not_loaded_is_told(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    version = max(available())
    with Cluster(
        available()[version],
        settings={"shared_preload_libraries": None, "pg_stat_statements.track_utility": None},
        root=tmp_path_factory.mktemp("unloaded"),
    ) as bare:
        bare.run("create extension pg_stat_statements")
        taken = take(bare.dsn(), tmp_path)
        ((_, reason, hint),) = taken.unread("statement")
        assert reason == "pg_stat_statements is created but not loaded: shared_preload_libraries lacks it"
        assert "restart" in (hint or "")
        assert taken.value("select count(*) from setting") > 100


def test_tables_never_analyzed_are_no_gap(newest: Cluster, database: str, tmp_path: Path) -> None:
    newest.run(ROLES)
    newest.run("create table fresh (a int); insert into fresh values (1)", database=database)
    taken = take(newest.dsn(database, user="monitor"), tmp_path)
    assert taken.unread("column_statistics") == []
    assert taken.value("select tuple_rows from relation where name = 'fresh'") is None


def test_a_role_that_only_monitors_reads_no_statistics_and_says_so(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    taken = take(cluster.dsn(shop, user="monitor"), tmp_path)
    assert taken.value("select count(*) from column_statistics") == 0
    assert taken.unread("column_statistics") == [
        (
            None,
            "the role may read none of the 2 analyzed relations, so pg_stats shows it nothing",
            read_everything("monitor", cluster.version, ["public"]),
        )
    ]
    ((subject, _, hint),) = taken.unread("relation_sequence")
    assert (subject, hint) == (None, read_everything("monitor", cluster.version, ["We ird", "public"]))
    assert taken.unread("statement") == []
    assert taken.value("select count(*) from relation_sequence where last_value is not null or is_readable") == 0


def test_a_fit_role_reads_all(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    cluster.run("select * from customer where email = 'x'", database=shop)
    taken = take(cluster.dsn(shop, user="fit"), tmp_path)
    gaps = taken.rows("select distinct table_name from unread")
    lacking = {row["table_name"] for row in gaps} - {"plan"}
    # before pg_read_all_data only its owner may read about an index
    of_old = {13: {"io", "extended_expression_statistics"}, 14: {"io"}, 15: {"io"}}
    assert lacking == of_old.get(cluster.version, set())
    assert taken.value("select count(*) from column_statistics where relation = 'public.customer'") == 4
    server = taken.row("select * from server")
    assert (server["has_monitor"], server["has_read_all_data"], server["is_superuser"]) == (
        True,
        cluster.version > 13,
        False,
    )


def test_a_plain_role_is_told_all_that_it_lacks(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    cluster.run("select * from customer where email = 'x'", database=shop)
    with cluster.connect(shop):  # a session of another role
        taken = take(cluster.dsn(shop, user="plain"), tmp_path)
    lacking = {row["table_name"] for row in taken.rows("select distinct table_name from unread")} - {
        "io",
        "plan",
        "replica",
    }
    assert lacking == {
        "activity",
        "column_extreme",
        "column_statistics",
        "extended_expression_statistics",
        "extended_statistics",
        "relation_sequence",
        "setting",
        "statement",
    }
    hidden = taken.row("select * from statement_text where kind = 'hidden'")
    assert taken.value(f"select count(*) from statement where fingerprint = '{hidden['fingerprint']}'") > 10
    assert taken.value("select count(*) from activity where text is not null and role <> 'plain'") == 0
    assert taken.value("select count(*) from relation where name = 'customer'") == 1


def test_one_unreadable_table_is_named(newest: Cluster, newest_shop: str, tmp_path: Path) -> None:
    newest.run(
        "grant select on all tables in schema public to plain; revoke select on customer from plain",
        database=newest_shop,
    )
    taken = take(newest.dsn(newest_shop, user="plain"), tmp_path)
    assert [subject for subject, _, _ in taken.unread("column_statistics")] == ["public.customer"]


def test_row_security_hides_statistics_and_is_named(newest: Cluster, newest_shop: str, tmp_path: Path) -> None:
    newest.run(
        "alter table customer enable row level security; create policy own on customer using (id = 1)",
        database=newest_shop,
    )
    taken = take(newest.dsn(newest_shop, user="fit"), tmp_path)
    ((subject, reason, hint),) = taken.unread("column_statistics")
    assert (subject, hint) == ("public.customer", "alter role fit bypassrls; (or capture as the table's owner)")
    assert "row security" in reason


@pytest.mark.parametrize("lock", ["access exclusive", "exclusive"])
def test_a_locked_relation_neither_blocks_nor_fails(cluster: Cluster, shop: str, tmp_path: Path, lock: str) -> None:
    with cluster.connect(shop) as holder, holder.transaction():
        holder.execute(f"lock table customer, event in {lock} mode".encode())
        holder.execute("alter sequence customer_id_seq cache 2")
        if lock == "access exclusive":
            holder.execute("drop index customer_email")
        start = time.monotonic()
        taken = take(cluster.dsn(shop), tmp_path)
        assert time.monotonic() - start < 5
        holder.execute("rollback")
    relations = taken.rows("select * from relation where name in ('customer', 'adult')")
    assert {row["relation"] for row in relations} == {"public.customer", "public.adult"}
    assert [subject for subject, _, _ in taken.unread("relation_sequence")] == ["public.customer_id_seq"]
    customer = taken.row("select * from relation where name = 'customer'")
    assert customer["size_bytes"] > 0
    named = [subject for subject, _, _ in taken.unread("relation")]
    if lock == "access exclusive":
        assert customer["is_size_estimated"]
        assert "public.customer" in named
        assert taken.value("select definition from relation where name = 'adult'") is None
    else:
        assert not customer["is_size_estimated"]
        assert named == []
    assert taken.value("select definition <> '' from relation_index where index = 'public.event_id'") == (
        lock == "exclusive"
    )


def test_a_lock_that_comes_in_between_is_waited_for_shortly(newest: Cluster, newest_shop: str, tmp_path: Path) -> None:
    holder = newest.connect(newest_shop)

    def lock(text: str) -> None:
        if "catalog" in text:  # the locks were looked for before
            holder.execute("begin")
            holder.execute("lock table customer in access exclusive mode")

    with holder:
        start = time.monotonic()
        taken = take(newest.dsn(newest_shop), tmp_path, on_progress=lock)
        assert time.monotonic() - start < 5
    assert taken.value("select is_size_estimated from relation where name = 'customer'")
    assert taken.value("select count(*) from relation where name = 'typed' and not is_size_estimated") == 1


@pytest.mark.parametrize("step", ["settings", "statements", "catalog", "column statistics", "counters"])
def test_a_server_that_goes_away_ends_in_one_clear_error(tmp_path: Path, going: Cluster, step: str) -> None:
    going.start()

    def stop(text: str) -> None:
        if step in text:
            going.stop("immediate")

    with pytest.raises(QueryfitError, match="the server went away in the middle"):
        take(going.dsn(), tmp_path, on_progress=stop)
    assert not list(tmp_path.glob("*/*/capture.json"))
    assert not list((tmp_path / ".incoming").iterdir())


@pytest.fixture(scope="module")
def going(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(available()[max(available())], root=tmp_path_factory.mktemp("going")) as cluster:
        cluster.run("create extension pg_stat_statements")
        cluster.run("checkpoint")  # commits are asynchronous in tests, and this server is about to crash
        yield cluster


def test_a_hot_standby(cluster: Cluster, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with Cluster(available()[cluster.version], root=tmp_path_factory.mktemp("primary")) as primary:
        primary.run("create extension pg_stat_statements")
        primary.run(ROLES)
        primary.run("create unlogged table fast (id serial, b text); create table slow (id serial primary key, b text)")
        primary.run("insert into slow (b) select 'x' from generate_series(1, 100); analyze")
        standby = primary.standby()
        primary.wait_for_standby()
        standby.run("select * from slow where b = 'x'")
        taken = take(standby.dsn(user="fit"), tmp_path)
        server = taken.row("select * from server")
        assert (server["is_standby"], server["standbys"]) == (True, 0)
        assert server["system_identifier"] == taken.meta["system_identifier"]
        assert taken.value("select count(*) from statement_text where text like '%from slow where b%'") == 1
        assert taken.value("select count(*) from plan_node where relation = 'public.slow'") == 1
        assert [subject for subject, _, _ in taken.unread("relation_sequence")] in ([], ["public.fast_id_seq"])
        assert taken.value("select last_value from relation_sequence where relation = 'public.slow'") >= 100
        seen = take(primary.dsn(user="fit"), tmp_path).row("select * from replica")
        assert (seen["application"], seen["state"]) == ("standby", "streaming")


def test_through_a_transaction_pooler(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    if PgBouncer.executable() is None:
        pytest.skip("pgbouncer is not installed")
    cluster.run("select * from customer where email = 'x'", database=shop)
    with PgBouncer(cluster) as pooler:
        taken = take(pooler.dsn(shop, user="fit"), tmp_path)
    assert taken.value("select is_pooled from server")
    assert taken.value("select count(*) from plan") >= 1
    assert taken.value("select count(*) from relation where name = 'customer'") == 1


def test_sessions_and_who_waits_for_whom(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    with cluster.connect(shop) as holder, cluster.connect(shop) as waiter:
        holder.execute("set application_name = 'holder'")
        waiter.execute("set application_name = 'waiter'")
        waiter.execute("set statement_timeout = '20s'")
        holder.execute("begin")
        holder.execute("lock table typed in share mode")

        def wait() -> None:
            with pytest.raises(psycopg.errors.QueryCanceled):
                waiter.execute("insert into typed values (1)")

        thread = threading.Thread(target=wait)
        thread.start()
        blocked = "select 1 as one from pg_locks where not granted"
        while not cluster.run(blocked):
            time.sleep(0.01)
        taken = take(cluster.dsn(shop, user="fit"), tmp_path)
        waiter.cancel()
        thread.join()
    sessions = {row["application"]: row for row in taken.rows("select * from activity where application <> ''")}
    assert sessions["holder"]["state"] == "idle in transaction"
    assert sessions["holder"]["text"] == "lock table typed in share mode"
    assert sessions["waiter"]["wait_type"] == "Lock"
    assert [name for name, row in sessions.items() if row["is_own"]] == ["queryfit"]
    wait_row = taken.row("select * from lock_wait")
    assert (wait_row["pid"], wait_row["blocker_pid"]) == (sessions["waiter"]["pid"], sessions["holder"]["pid"])
    assert (wait_row["relation"], wait_row["lock_mode"]) == ("public.typed", "RowExclusiveLock")
    assert wait_row["waited_ms"] >= 0


def test_what_it_cost_the_server_is_told(newest: Cluster, newest_shop: str, tmp_path: Path) -> None:
    taken = take(newest.dsn(newest_shop), tmp_path)
    assert taken.meta["cost"] == {
        "queries": taken.cost.queries,
        "server_ms": round(taken.cost.server_ms, 1),
        "elapsed_ms": round(taken.cost.elapsed_ms, 1),
    }
    assert 50 < taken.cost.queries < 500
    assert 0 < taken.cost.server_ms < taken.cost.elapsed_ms
    assert taken.told[0] == "server, settings and sessions"


def test_numbers_that_are_written_as_words_have_no_bounds(newest: Cluster, database: str, tmp_path: Path) -> None:
    newest.run(
        """
        create table odd (price money, what regclass, n numeric, f float8);
        insert into odd
            select g::numeric::money, case when g % 2 = 0 then 'pg_class' else 'pg_type' end,
                case when g % 3 = 0 then 'NaN'::numeric else g end,
                case when g % 3 = 0 then '-Infinity'::float8 else g end
            from generate_series(1, 1000) as g;
        analyze odd
        """,
        database=database,
    )
    taken = take(newest.dsn(database), tmp_path)
    bounds = taken.rows("select column_name, least_value, greatest_value from column_statistics order by 1")
    assert {row["column_name"]: (row["least_value"], row["greatest_value"]) for row in bounds} == {
        "f": (1, 1000),
        "n": (1, 1000),
        "price": (None, None),
        "what": (None, None),
    }


def test_a_database_without_an_encoding(newest: Cluster, tmp_path: Path) -> None:
    newest.run("drop database if exists raw")
    newest.run("create database raw encoding 'SQL_ASCII' template template0 lc_collate 'C' lc_ctype 'C'")
    try:
        with psycopg.connect(newest.dsn("raw", client_encoding="SQL_ASCII"), autocommit=True) as session:
            session.execute(b'create table "caf\xe9" (a text)')
            session.execute(b"insert into \"caf\xe9\" select '\xe9' from generate_series(1, 100)")
            session.execute(b'analyze "caf\xe9"')
            session.execute(b"select a from \"caf\xe9\" where a = '\xe9'")
            session.execute(b"create extension pg_stat_statements")
        taken = take(newest.dsn("raw"), tmp_path)
        assert taken.value("select count(*) from relation where name = 'caf\\xe9'") == 1
        assert taken.value("select common_values from column_statistics") == "{\\xe9}"
        assert taken.value("select count(*) from reference where role = 'equality'") == 1
        elsewhere = take(newest.dsn(), tmp_path)
        assert elsewhere.value("select count(*) from statement") > 0
        ((_, reason, hint),) = elsewhere.unread("statement_text")
        assert "cannot be converted" in reason
        assert hint == "name that database itself in the DSN"
        assert elsewhere.rows("select distinct kind from statement_text") == [{"kind": "hidden"}]
    finally:
        newest.drop_database("raw")
        newest.run("select pg_stat_statements_reset()")


def test_the_extension_may_live_in_any_schema(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    cluster.run(
        'create schema "Ext; --"; alter extension pg_stat_statements set schema "Ext; --"; select * from customer',
        database=shop,
    )
    taken = take(cluster.dsn(shop), tmp_path)
    assert taken.unread("statement") == []
    assert taken.value("select count(*) from reference where relation = 'public.customer'") > 0
    assert taken.value("select schema from extension where extension = 'pg_stat_statements'") == "Ext; --"
