"""What a capture holds for a planner elsewhere: statistics of every kind, routines, policies, ends of indexes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pytest

from queryfit.capture import extremes
from queryfit.capture.server import CaptureOptions, capture_server
from queryfit.evidence.store import Store
from tests.capture.taking import ROLES, Taken, take
from tests.conftest import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers import Cluster

DATABASE = "planner_view"
ICU = "create collation app.loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"

SCHEMA = """
    create schema app;
    create collation app.numeric (provider = libc, locale = 'C');
    create type app.mood as enum ('sad', 'fine');
    create type app.pair as (a int, b text);
    create domain app.code as text;
    create function app.half(a numeric, b int default 2) returns numeric
        language sql immutable strict parallel safe leakproof cost 3 set search_path = app as $$ select a / b $$;
    create function app.list(variadic ids int[]) returns table (id int, mood app.mood)
        language plpgsql stable rows 7 as $$ begin return query select 1, 'sad'::app.mood; end $$;
    create procedure app.nothing(inout a int) language sql as 'select 1';
    create function app.step(a int, b int) returns int language sql as 'select a + b';
    create aggregate app.total (int) (sfunc = app.step, stype = int);
    create operator app.=== (leftarg = int, rightarg = int, procedure = int4eq);
    create text search configuration app.plain (copy = simple);
    create foreign data wrapper nowhere;
    create server "Far away" foreign data wrapper nowhere;
    create foreign table app.far (id int) server "Far away";

    create table app.item (
        id bigint primary key,
        code app.code collate app.numeric,
        at timestamptz not null,
        city text,
        zip text,
        tags text[],
        during tstzrange,
        note text,
        price numeric(10, 2)
    ) with (parallel_workers = 3, fillfactor = 80);
    insert into app.item
        select n, 'c' || n, timestamptz '2026-01-01 00:00+00' + n * interval '1 minute', 'city' || n % 20,
            'zip' || n % 20, array['t' || n % 3, 'u' || n % 5],
            case when n % 10 = 0 then 'empty'
                else tstzrange('2026-01-01Z', timestamptz '2026-01-02 00:00+00' + n * interval '1 s') end,
            case when n % 4 > 0 then 'n' || n end, n % 977
        from generate_series(1, 3000) as n;
    create index item_at on app.item (at);
    create index item_price on app.item (price desc, id) with (fillfactor = 70, deduplicate_items = off);
    create index item_note on app.item (note nulls first);
    create index item_lower on app.item (lower(note), (id % 7));
    alter index app.item_lower alter column 2 set statistics 500;
    create index item_code on app.item (code);
    create index item_city_some on app.item (city) where price > 5;
    create index item_zip on app.item (zip text_pattern_ops);
    create statistics app.item_spread on city, zip, (lower(note)), (id % 7) from app.item;
    create statistics app.item_pair (ndistinct, dependencies) on zip, city from app.item;
    alter statistics app.item_pair set statistics 50;

    create table app.parent_a (a int);
    create table app.parent_b (b int);
    create table app.child (c int) inherits (app.parent_b, app.parent_a);
    create table app.typed of app.pair;
    create table app.guarded (id int primary key, owner name);
    insert into app.guarded select n, 'x' from generate_series(1, 500) as n;
    alter table app.guarded enable row level security, force row level security;
    create policy own on app.guarded for select to fit using (owner = current_user);
    create policy new on app.guarded as restrictive for update using (id > 3) with check (id > 4);
    create rule quiet as on delete to app.typed do instead nothing;
    create table app.event (id bigint, at timestamptz, city text, zip text) partition by range (at);
    create table app.event_1 partition of app.event for values from ('2026-01-01Z') to ('2026-02-01Z');
    create table app.event_2 partition of app.event for values from ('2026-02-01Z') to ('2027-01-01Z');
    create index event_at on app.event (at);
    create statistics app.event_pair on city, zip from app.event;
    insert into app.event
        select n, timestamptz '2026-01-01 00:00+00' + n * interval '1 hour', 'c' || n % 9, 'z' || n % 9
        from generate_series(1, 2000) as n;
    analyze;
    -- beyond the histogram
    insert into app.item values (9999, 'z', '2031-05-06 07:08:09+00', 'x', 'y', '{}', null, null, 12345.67);
    -- code of somebody else, which planning any statement on this table would run
    create role eve;
    create function app.spied(int) returns boolean language plpgsql immutable as
        $$ begin raise log 'spied upon'; return true; end $$;
    alter function app.spied owner to eve;
    create table app.trap (id int);
    create index trap_id on app.trap (id);
    create index trap_some on app.trap (id) where app.spied(1);
    insert into app.trap select n from generate_series(1, 500) as n;
    analyze app.trap;
    grant usage on schema app to plain;
"""


@dataclass(frozen=True, slots=True)
class View:
    """One version's captures of `SCHEMA` as a superuser, as a fit role and as one without any grant."""

    cluster: Cluster
    whole: Taken
    fit: Taken
    plain: Taken


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda version: f"pg{version}")
def view(
    request: pytest.FixtureRequest,
    cluster_of: Callable[[int], Cluster],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[View]:
    if request.param < 14:
        pytest.skip("statistics of expressions came with PostgreSQL 14")
    cluster = cluster_of(request.param)
    cluster.run(ROLES)
    cluster.create_database(DATABASE)
    cluster.run(SCHEMA, database=DATABASE)
    folder = tmp_path_factory.mktemp("view")
    try:
        yield View(cluster, *(take(cluster.dsn(DATABASE, user=user), folder) for user in ("postgres", "fit", "plain")))
    finally:
        cluster.drop_database(DATABASE)
        cluster.run("drop role eve")


def _rows(taken: Taken, sql: str) -> set[tuple[Any, ...]]:
    return {tuple(row.values()) for row in taken.rows(sql)}


def test_elements_of_arrays_and_bounds_of_ranges(view: View) -> None:
    tags = view.whole.row("select * from column_statistics where column_name = 'tags'")
    assert tags["common_elements"] == "{t0,t1,t2,u0,u1,u2,u3,u4}"
    # one for each element, the least and the greatest of them, and the share of nulls
    assert tags["common_element_frequencies"] == pytest.approx([1 / 3] * 3 + [0.2] * 5 + [0.2, 1 / 3, 0])
    assert set(tags["element_count_histogram"]) == {2}
    during = view.whole.row("select * from column_statistics where column_name = 'during'")
    if view.cluster.version >= 17:
        assert during["range_empty_fraction"] == pytest.approx(0.1)
        assert during["range_bounds_histogram"].startswith('{"[\\"2026-01-01 00:00:00+00\\",')
        assert during["range_length_histogram"].startswith("{864")  # seconds
    else:
        assert during["range_bounds_histogram"] is None


def test_statistics_of_index_expressions_stand_under_the_index(view: View) -> None:
    found = view.whole.rows(
        "select column_name, distinct_rows, null_fraction from column_statistics"
        " where relation = 'app.item_lower' order by 1"
    )
    assert found == [
        {"column_name": "expr", "distinct_rows": 7, "null_fraction": 0},
        {"column_name": "lower", "distinct_rows": 2250, "null_fraction": 0.25},
    ]
    target = view.whole.row("select position, statistics_target from index_column where statistics_target is not null")
    assert target == {"position": 2, "statistics_target": 500}


def test_extended_statistics_with_what_analyze_found(view: View) -> None:
    spread = view.whole.row("select * from extended_statistics where statistics_name = 'app.item_spread'")
    assert (spread["kinds"], spread["columns"], spread["column_positions"]) == (
        "ndistinct, dependencies, mcv, expressions",
        "city, zip",
        "4, 5",
    )
    assert spread["expressions"] == '{lower(note),"(id % (7)::bigint)"}'
    assert '"4, 5": 20' in spread["distinct_counts"]
    assert '"4, -2": 140' in spread["distinct_counts"]
    assert '"4 => 5": 1.000000' in spread["dependencies"]
    rows = spread["common_values"].count("{") - 1
    assert rows == len(spread["common_frequencies"]) == len(spread["common_base_frequencies"]) > 5
    assert spread["common_nulls"].startswith("{{f,f,t,f},")
    assert not spread["is_inherited"]
    pair = view.whole.row("select * from extended_statistics where statistics_name = 'app.item_pair'")
    assert (pair["distinct_counts"], pair["statistics_target"], pair["common_values"]) == ('{"4, 5": 20}', 50, None)
    assert view.whole.value("select is_inherited from extended_statistics where relation = 'app.event'")
    expressions = view.whole.rows(
        "select position, expression, null_fraction, distinct_values, common_values, histogram_bounds is not null as h"
        " from extended_expression_statistics order by position"
    )
    assert [(row["position"], row["expression"], row["null_fraction"], row["h"]) for row in expressions] == [
        (1, "lower(note)", 0.25, True),
        (2, "(id % (7)::bigint)", 0, False),
    ]
    assert sorted(expressions[1]["common_values"].strip("{}").split(",")) == list("0123456")


def test_the_ends_of_indexes(view: View) -> None:
    found = {
        (row["relation"], row["column_name"]): (row["least_value"], row["greatest_value"])
        for row in view.whole.rows("select * from column_extreme")
    }
    assert found == {
        ("app.item", "id"): ("1", "9999"),
        ("app.item", "at"): ("2026-01-01 00:01:00+00", "2031-05-06 07:08:09+00"),
        ("app.item", "price"): ("0.00", "12345.67"),
        ("app.item", "code"): ("c1", "z"),
        ("app.item", "note"): ("n1", "n999"),  # nulls are first in that index
        ("app.guarded", "id"): ("1", "500"),
        ("app.event_1", "at"): ("2026-01-01 01:00:00+00", "2026-01-31 23:00:00+00"),
        ("app.event_2", "at"): ("2026-02-01 00:00:00+00", "2026-03-25 08:00:00+00"),
    }  # not of a partial index, nor of one with another operator class, nor of a trap


def test_a_table_whose_planning_runs_somebodys_code_is_left_alone(view: View, tmp_path: Path) -> None:
    reason = "planning it could run function app.spied() of role eve, through app.trap"
    for taken in (view.whole, view.fit):
        assert ("app.trap", f"the ends of the index by id were not read: {reason}", None) in taken.unread(
            "column_extreme"
        )
    before = view.cluster.log.read_text().count("spied upon")
    view.cluster.run("explain select id from only app.trap order by id limit 1", database=DATABASE)
    after = view.cluster.log.read_text().count("spied upon")
    assert after > before, "the trap has to be one"
    take(view.cluster.dsn(DATABASE), tmp_path)
    assert view.cluster.log.read_text().count("spied upon") == after


def test_a_fit_role_reads_the_same_but_for_row_security(view: View) -> None:
    for table, hidden in (
        ("extended_statistics", ""),
        ("extended_expression_statistics", ""),
        ("routine", ""),
        ("policy", ""),
        ("column_extreme", "where relation <> 'app.guarded'"),
        ("column_statistics", "where relation <> 'app.guarded'"),
    ):
        names = "* exclude (common_nulls)" if table == "extended_statistics" else "*"
        sql = f"select hash({table}) from (select {names} from {table} {hidden}) as {table}"
        assert _rows(view.fit, sql) == _rows(view.whole, sql), table
        assert _rows(view.fit, sql), table
    gaps = view.fit.rows("select table_name, subject, hint from unread where subject = 'app.guarded' order by 1")
    hint = "alter role fit bypassrls; (or capture as the table's owner)"
    assert gaps == [
        {"table_name": name, "subject": "app.guarded", "hint": hint} for name in ("column_extreme", "column_statistics")
    ]


def test_a_plain_role_is_told_what_the_lab_will_lack(view: View) -> None:
    for table in ("extended_expression_statistics", "column_extreme", "column_statistics"):
        assert view.plain.value(f"select count(*) from {table}") == 0
    assert view.plain.value("select count(*) from extended_statistics where distinct_counts is not null") == 0
    assert view.plain.value("select count(*) from extended_statistics") == 3
    assert view.plain.unread("extended_statistics") == [
        (None, "the role may not read what ANALYZE found for 3 of 3 objects", "grant pg_read_all_data to plain;")
    ]
    assert view.plain.unread("extended_expression_statistics") == [
        (
            None,
            "the role may not read what ANALYZE found in the expressions of 1 indexes",
            "grant pg_read_all_data to plain;",
        )
    ]
    assert (
        None,
        "the role may not read 4 analyzed relations, nor the ends of their indexes",
        "grant pg_read_all_data to plain;",
    ) in view.plain.unread("column_extreme")


def test_routines(view: View) -> None:
    rows = {row["name"]: row for row in view.whole.rows("select * from routine where schema = 'app'")}
    assert {name: row["kind"] for name, row in rows.items()} == {
        "half": "function",
        "list": "function",
        "nothing": "procedure",
        "step": "function",
        "total": "aggregate",
        "spied": "function",
    }
    half = rows["half"]
    assert (half["routine"], half["arguments"], half["input_types"]) == (
        "app.half",
        "a numeric, b integer",
        "numeric, integer",
    )
    assert (half["result"], half["language"], half["volatility"], half["parallel_safety"], half["call_cost"]) == (
        "numeric",
        "sql",
        "immutable",
        "safe",
        3,
    )
    assert (half["is_strict"], half["is_leakproof"], half["defaulted_arguments"]) == (True, True, 1)
    assert half["settings"] == "{search_path=app}"
    assert "select a / b" in half["definition"]
    listed = rows["list"]
    assert (listed["is_variadic"], listed["is_set_returning"], listed["expected_rows"]) == (True, True, 7)
    assert listed["result"] == "TABLE(id integer, mood app.mood)"
    assert (rows["total"]["definition"], rows["nothing"]["result"]) == (None, None)
    assert (rows["spied"]["owner"], rows["spied"]["is_owner_superuser"]) == ("eve", False)
    of_extension = view.whole.rows("select distinct extension, definition from routine where extension is not null")
    assert of_extension == [{"extension": "pg_stat_statements", "definition": None}]


def test_policies_collations_and_what_else_there_is(view: View) -> None:
    policies = _rows(view.whole, "select policy_name, command, is_permissive, roles, using_expression, check_expression"
                     " from policy where relation = 'app.guarded'")  # fmt: skip
    assert policies == {
        ("own", "select", True, "fit", "(owner = CURRENT_USER)", None),
        ("new", "update", False, "public", "(id > 3)", "(id > 4)"),
    }
    collations = {row["collation_name"]: row for row in view.whole.rows("select * from user_collation")}
    assert collations['app."numeric"']["definition"] == (
        "create collation app.\"numeric\" (provider = libc, lc_collate = 'C', lc_ctype = 'C')"
    )
    assert _rows(view.whole, "select kind, object, relation from custom_object") == {
        ("operator", "app.===(integer,integer)", None),
        ("text search configuration", "app.plain", None),
        ("foreign server", '"Far away"', None),
        ("rule", "quiet on app.typed", "app.typed"),
    }
    column = view.whole.row("select * from relation_column where relation = 'app.item' and column_name = 'code'")
    assert (column["collation_schema"], column["collation_name"]) == ("app", "numeric")
    assert "pg_default" in {row["tablespace"] for row in view.whole.rows("select * from tablespace")}
    database = view.whole.row(f"select * from database where database = '{DATABASE}'")
    assert (database["encoding"], database["locale_provider"], database["collate_locale"], database["tablespace"]) == (
        "UTF8",
        "libc",
        "C.UTF-8",
        "pg_default",
    )


def test_how_relations_and_indexes_are_stored(view: View) -> None:
    rows = {row["name"]: row for row in view.whole.rows("select * from relation where schema = 'app'")}
    assert (rows["item"]["options"], rows["item"]["parallel_workers"]) == ("parallel_workers=3, fillfactor=80", 3)
    assert (rows["child"]["parent"], rows["child"]["parents"]) == ("app.parent_b", "app.parent_b, app.parent_a")
    assert (rows["typed"]["row_type"], rows["far"]["foreign_server"]) == ("app.pair", "Far away")
    assert (rows["item"]["table_access_method"], rows["far"]["table_access_method"]) == ("heap", None)
    assert rows["guarded"]["has_forced_row_security"]
    index = view.whole.row("select * from relation_index where index = 'app.item_price'")
    assert (index["options"], index["fill_factor"]) == ("fillfactor=70, deduplicate_items=off", 70)
    assert (
        index["pages"]
        == view.cluster.run("select relpages from pg_class where relname = 'item_price'", database=DATABASE)[0][
            "relpages"
        ]
    )
    inherited = view.whole.rows(
        "select distinct is_inherited from column_statistics where relation = 'app.event' and column_name = 'at'"
    )
    assert inherited == [{"is_inherited": True}]


def test_a_loose_collation_can_be_made_again(cluster: Cluster, database: str, tmp_path: Path) -> None:
    cluster.run("create schema app", database=database)
    try:
        cluster.run(ICU, database=database)
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("this build has no ICU")
    taken = take(cluster.dsn(database), tmp_path)
    row = taken.row("select * from user_collation")
    assert (row["provider"], row["locale"], row["is_deterministic"]) == ("icu", "und-u-ks-level2", False)
    cluster.run(f"drop collation app.loose; {row['definition']}", database=database)
    again = take(cluster.dsn(database), tmp_path)
    assert again.row("select * from user_collation") == row


def test_a_redacted_capture_holds_no_value_and_no_code(newest: Cluster, database: str, tmp_path: Path) -> None:
    newest.run(ROLES)
    newest.run(
        """
        create function sum_up(a int8) returns int8 language sql as $$ select a + 471147114711000 $$;
        create table t (id int primary key, a text, tags text[], during int8range);
        insert into t
            select n, 'secret' || n % 5, array['secret'], int8range(471147114711000, 471147114711000 + n)
            from generate_series(1, 500) as n;
        create index on t (a);
        create index on t (lower(a));
        create statistics s on a, tags, (lower(a)) from t;
        analyze t
        """,
        database=database,
    )
    with Store(tmp_path).write("full", redacts=True) as writer:
        capture_server(newest.dsn(database), CaptureOptions(max_plans=0), writer)
    assert writer.committed is not None
    with duckdb.connect() as connection:
        for table, path in writer.committed.files().items():
            text = str(connection.execute(f"select * from read_parquet('{path}')").fetchall())
            assert "secret" not in text, table
            assert "471147114711" not in text, table  # long: times and ids hold any short row of digits
        read = f"read_parquet('{writer.committed.files()['unread']}')"
        gaps = connection.execute(f"select reason from {read} where table_name = 'column_extreme'").fetchall()
    assert gaps == [("values of rows are left out by --redact",)]


def test_look_ups_are_few_and_the_rest_is_told(newest: Cluster, database: str, tmp_path: Path) -> None:
    for name, rows in (("small", 50), ("large", 5000), ("busy", 2000)):
        newest.run(
            f"create table {name} (id int primary key, a int);"
            f" insert into {name} select n, n from generate_series(1, {rows}) as n; create index on {name} (a)",
            database=database,
        )
    newest.run("analyze", database=database)
    for _ in range(20):
        newest.run("select count(*) from busy", database=database)
    taken = take(newest.dsn(database), tmp_path, CaptureOptions(max_extremes=2))
    assert _rows(taken, "select relation, column_name from column_extreme") == {
        ("public.busy", "a"),
        ("public.busy", "id"),
    }
    ((_, reason, hint),) = taken.unread("column_extreme")
    assert reason == (
        "2 columns and 1000 ms are spent at most: the ends of the indexes of 2 columns and 1 tables, small or little"
        " read, were not looked at"
    )
    assert "--schema" in (hint or "")
    late = take(newest.dsn(database), tmp_path, CaptureOptions(extremes_ms=0.001))
    assert late.value("select count(*) from column_extreme") == 0
    assert "the ends of the indexes of 6 columns and 0 tables" in late.unread("column_extreme")[0][1]
    none = take(newest.dsn(database), tmp_path, CaptureOptions(max_extremes=0))
    assert none.unread("column_extreme") == []


def test_an_end_full_of_dead_rows_costs_no_more_than_its_timeout(
    newest: Cluster, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest.run(
        """
        create table queue (id int primary key) with (autovacuum_enabled = off);
        insert into queue select n from generate_series(1, 120000) as n;
        create table calm (id int primary key);
        insert into calm select n from generate_series(1, 500) as n;
        analyze
        """,
        database=database,
    )
    monkeypatch.setattr(extremes, "BATCH_TIMEOUT_MS", 4)
    monkeypatch.setattr(extremes, "COLUMN_TIMEOUT_MS", 1)
    with newest.connect(database) as holder, holder.transaction():
        holder.execute("set transaction isolation level repeatable read")
        holder.execute("select count(*) from calm")
        newest.run("delete from queue where id > 10", database=database)
        start = time.monotonic()
        taken = take(newest.dsn(database), tmp_path)
        assert time.monotonic() - start < 5
    assert "public.queue" not in {row["relation"] for row in taken.rows("select relation from column_extreme")}
    ((_, reason, hint),) = [gap for gap in taken.unread("column_extreme") if gap[0] == "public.queue"]
    assert "the ends of the index by id were not read: canceling statement due to statement timeout" in reason
    assert hint == "vacuum public.queue, and capture again when the server is quiet"


def test_a_locked_table_keeps_its_own_secrets_only(newest: Cluster, database: str, tmp_path: Path) -> None:
    newest.run(
        """
        create table shut (id int primary key, a int);
        create table free (id int primary key, a int);
        create table reader (id int);
        create function counted() returns bigint language sql begin atomic select count(*) from shut; end;
        create policy p on reader using (id in (select id from shut));
        create statistics shut_s on a, (id % 7) from shut;
        create statistics free_s on a, (id % 7) from free;
        insert into shut select n, n from generate_series(1, 500) as n;
        insert into free select n, n from generate_series(1, 500) as n;
        analyze
        """,
        database=database,
    )
    with newest.connect(database) as holder, holder.transaction():
        holder.execute("lock table shut in access exclusive mode")
        start = time.monotonic()
        taken = take(newest.dsn(database), tmp_path)
        assert time.monotonic() - start < 5
    assert taken.rows("select relation from column_extreme") == [{"relation": "public.free"}]
    assert [subject for subject, _, _ in taken.unread("column_extreme")] == ["public.shut"]
    assert taken.value("select definition from routine where name = 'counted'") is None
    assert "1 routines" in taken.unread("routine")[0][1]
    assert taken.value("select using_expression from policy") is None
    assert [subject for subject, _, _ in taken.unread("policy")] == ["public.reader"]
    assert taken.rows("select relation from extended_expression_statistics") == [{"relation": "public.free"}]
