"""What-if on a real server with HypoPG: costs, what is used, and that nothing is left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from queryfit.errors import QueryfitError
from queryfit.lab.hypopg import HypoPlanner
from queryfit.lab.planner import Index, Key, NotPlannedError, Planned, Query, Size
from tests.servers import Cluster, PgBouncer, available

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TABLES = """
    create extension hypopg;
    create table big (id int primary key, g int, t text, at timestamptz);
    insert into big select i, i % 1000, md5(i::text), timestamptz '2025-01-01' + i * interval '1 min'
        from generate_series(1, 20000) as i;
    create schema "Two";
    create table "Two".big (id int, "G" int);
    insert into "Two".big select i, i % 500 from generate_series(1, 5000) as i;
    create table event (id int, at date) partition by range (at);
    create table event_1 partition of event for values from ('2024-01-01') to ('2025-01-01');
    create table event_2 partition of event for values from ('2025-01-01') to ('2026-01-01');
    create index event_at on event (at);
    insert into event select i, date '2024-01-01' + i % 700 from generate_series(1, 20000) as i;
    analyze;
"""
ON_G = Index("public.big", (Key("g"),))
ON_T = Index("public.big", (Key("t"), Key("id")), included=("at",))
ON_TWO = Index('"Two".big', (Key('"G"'),))
BY_G = Query("by_g", "select * from big where g = 7")


@pytest.fixture(scope="module")
def server(cluster_of: Callable[[int], Cluster]) -> Iterator[tuple[Cluster, str]]:
    cluster = cluster_of(15)
    if not cluster.run("select from pg_available_extensions where name = 'hypopg'"):
        pytest.skip("HypoPG is not installed")
    cluster.create_database("hypo")
    cluster.run(TABLES, database="hypo")
    yield cluster, "hypo"
    cluster.drop_database("hypo")


@pytest.fixture
def dsn(server: tuple[Cluster, str]) -> str:
    return server[0].dsn(server[1])


@pytest.mark.skipif(15 not in available(), reason="Debian's PostgreSQL 15 brings HypoPG")
class TestPlans:
    def test_a_visible_candidate_is_used_and_a_hidden_one_is_not(self, dsn: str) -> None:
        with HypoPlanner(dsn) as planner:
            sizes = planner.add({ON_G: None, ON_T: None, ON_TWO: None})
            size = sizes[ON_G]
            assert isinstance(size, Size)
            assert size.source == "hypopg"
            assert size.tuple_rows == 20_000
            assert 300_000 < size.size_bytes < 1_000_000
            bare = planner.plan(BY_G)
            assert bare.candidates == frozenset()
            assert bare.document["Node Type"] == "Seq Scan"
            better = planner.plan(BY_G, [ON_G, ON_T, ON_TWO])
            assert better.candidates == {ON_G}
            assert better.cost < bare.cost / 3
            assert planner.plan(BY_G, [ON_T]).cost == bare.cost
            assert planner.calls == 3 + 2  # one more for the rows of each table

    def test_existing_indexes_are_named_with_their_schema(self, dsn: str) -> None:
        with HypoPlanner(dsn) as planner:
            planned = planner.plan(Query("key", "select * from big where id = 3"))
            assert planned.existing == {"public.big_pkey"}

    def test_an_index_of_a_partition_is_named_by_that_of_the_table(self, dsn: str) -> None:
        with HypoPlanner(dsn) as planner:
            planned = planner.plan(Query("at", "select * from event where at = '2025-01-03'"))
            assert planned.existing == {"public.event_at"}

    def test_a_role_without_any_right_to_it_plans_what_it_may_read(self, server: tuple[Cluster, str]) -> None:
        cluster, database = server
        cluster.run(
            """
            drop role if exists hypo_plain;
            create role hypo_plain login;
            grant select on big to hypo_plain;
            """,
            database=database,
        )
        before = cluster.run("select count(*) as n from pg_stat_statements where query ~* '^explain'")[0]["n"]
        with HypoPlanner(cluster.dsn(database, "hypo_plain")) as planner:
            planner.add({ON_G: None})
            assert planner.plan(BY_G, [ON_G]).candidates == {ON_G}
            with pytest.raises(NotPlannedError, match="permission denied") as caught:
                planner.plan(Query("event", "select * from event"))
            assert "pg_read_all_data" in (caught.value.hint or "")
        with HypoPlanner(cluster.dsn(database)) as planner:  # a superuser keeps its EXPLAINs out of the statistics
            middle = cluster.run("select count(*) as n from pg_stat_statements where query ~* '^explain'")[0]["n"]
            planner.plan(Query("other", "select * from big where g = 12345"))
            after = cluster.run("select count(*) as n from pg_stat_statements where query ~* '^explain'")[0]["n"]
        assert before <= middle == after

    def test_the_search_path_decides_which_table_is_read(self, dsn: str) -> None:
        query = Query("two", 'select * from big where "G" = 3', search_path=("Two",))
        with HypoPlanner(dsn) as planner:
            planner.add({ON_TWO: None, ON_G: None})
            assert planner.plan(query, [ON_TWO, ON_G]).candidates == {ON_TWO}

    def test_values_and_generic_plans(self, dsn: str) -> None:
        on_at = Index("public.big", (Key("at"),))
        text = "select count(*) from big where at < $1 and at > now() - $2"
        generic = Query("generic", text)
        rare = Query("rare", text, values=("'2025-01-01 00:10'", "interval '9 years'"))
        common = Query("common", text, values=("'2029-01-01'", "interval '9 years'"))
        with HypoPlanner(dsn) as planner:
            planner.add({on_at: None})
            answers = planner.plan_all([generic, rare, common], [on_at])
            costs = {key: answer.cost for key, answer in answers.items() if isinstance(answer, Planned)}
            assert costs["rare"] < costs["generic"] < costs["common"]

    def test_a_candidate_on_a_partitioned_table_is_on_each_partition(self, dsn: str) -> None:
        on_event = Index("public.event", (Key("id"),))
        query = Query("event", "select * from event where id = 77")
        with HypoPlanner(dsn) as planner:
            whole = planner.add({on_event: None})[on_event]
            part = planner.add({Index("public.event_1", (Key("id"),)): None})
            first = next(iter(part.values()))
            assert isinstance(whole, Size)
            assert isinstance(first, Size)
            assert whole.size_bytes > first.size_bytes * 1.5
            assert planner.plan(query, [on_event]).candidates == {on_event}
            assert planner.plan(query, [on_event]).cost < planner.plan(query).cost / 5

    def test_workers_answer_as_one_does(self, dsn: str) -> None:
        queries = [Query(f"q{n}", f"select * from big where g = {n} and t > 'a'") for n in range(30)]
        with HypoPlanner(dsn, is_trusted=True) as one, HypoPlanner(dsn, is_trusted=True, workers=2) as two:
            one.add({ON_G: None})
            two.add({ON_G: None})
            costs = [
                {key: answer.cost for key, answer in planner.plan_all(queries, [ON_G]).items()  # type: ignore[union-attr]
                } for planner in (one, two)
            ]  # fmt: skip
            assert costs[0] == costs[1]
            assert len(costs[0]) == 30


@pytest.mark.skipif(15 not in available(), reason="Debian's PostgreSQL 15 brings HypoPG")
class TestRefusals:
    def test_what_hypopg_does_not_know_is_told_and_the_rest_is_taken(self, dsn: str) -> None:
        gin = Index("public.big", (Key("t"),), access_method="gin")
        wrong = Index("public.big", (Key("nothing"),))
        absent = Index("public.absent", (Key("id"),))
        with HypoPlanner(dsn) as planner:
            answers = planner.add({ON_G: None, gin: None, wrong: None, absent: None, ON_T: None})
            assert {index for index, answer in answers.items() if isinstance(answer, NotPlannedError)} == {
                gin, wrong, absent,
            }  # fmt: skip
            with pytest.raises(NotPlannedError, match="not known"):
                planner.plan(BY_G, [gin])

    def test_one_bad_text_leaves_the_others_planned(self, dsn: str) -> None:
        texts = (
            "select * from big where g = 1", "select * from nowhere", "select * from big where g = 'x'", "nonsense",
            "drop table big", "select 1; select 2", "select * from big where g = 2", "<insufficient privilege>",
            "select * from big where g = ", "select 'a\0b'", "explain analyze delete from big",
        )  # fmt: skip
        with HypoPlanner(dsn) as planner:
            planner.add({ON_G: None})
            answers = planner.plan_all([Query(text, text) for text in texts], [ON_G])
        assert {text for text, answer in answers.items() if isinstance(answer, Planned)} == {texts[0], texts[6]}
        assert all(answer.message for answer in answers.values() if isinstance(answer, NotPlannedError))

    def test_values_that_are_no_constants_do_not_reach_the_server(self, dsn: str) -> None:
        with HypoPlanner(dsn) as planner:
            for value in ("(select 1)", "pg_sleep(9)", "1); drop table big; --", "1, 2", "g", "1 from big", "$1"):
                query = Query("bad", "select * from big where g = $1", values=(value,))
                with pytest.raises(NotPlannedError, match="not a constant"):
                    planner.plan(query)

    def test_a_users_function_is_not_planned_on_a_live_server(self, server: tuple[Cluster, str], dsn: str) -> None:
        server[0].run(
            """
            create role hypo_author;
            grant create on schema public to hypo_author;
            set role hypo_author;
            create function public.trap(int) returns int immutable language plpgsql as
                'begin raise exception ''it ran''; end';
            """,
            database=server[1],
        )
        with HypoPlanner(dsn) as planner:
            with pytest.raises(NotPlannedError, match=r"could run function public\.trap"):
                planner.plan(Query("trap", "select * from big where g = trap(1)"))
            trapped = Index("public.big", (Key("trap(g)", is_column=False),))
            assert isinstance(planner.add({trapped: None})[trapped], NotPlannedError)

    def test_hiding_is_refused_where_the_version_cannot(self, dsn: str) -> None:
        with HypoPlanner(dsn) as planner:
            if planner.can_hide:
                pytest.skip("this HypoPG can hide")
            with pytest.raises(NotPlannedError, match="cannot hide"):
                planner.plan(BY_G, hidden=["public.big_pkey"])

    def test_a_server_without_the_extension_says_what_to_do(self, server: tuple[Cluster, str]) -> None:
        with pytest.raises(QueryfitError, match="does not have the extension") as caught:
            HypoPlanner(server[0].dsn("template1"))
        assert "create extension hypopg" in (caught.value.hint or "")


@pytest.mark.skipif(15 not in available(), reason="Debian's PostgreSQL 15 brings HypoPG")
@pytest.mark.skipif(PgBouncer.executable() is None, reason="PgBouncer is not installed")
def test_behind_a_pooler_nothing_reaches_the_next_client(server: tuple[Cluster, str]) -> None:
    with PgBouncer(server[0]) as pooler:
        with HypoPlanner(pooler.dsn(server[1])) as planner:
            planner.add({ON_G: None})
            planner.plan_all(
                [BY_G, Query("p", "select * from big where g = $1"), Query("bad", "select * from big where g = 'x'")],
                [ON_G],
            )
        with psycopg.connect(pooler.dsn(server[1]), autocommit=True, prepare_threshold=None) as next_client:
            for sql in ("select from hypopg_list_indexes", "select from pg_prepared_statements"):
                assert next_client.execute(sql).fetchall() == []
            settings = next_client.execute(
                "select current_setting('statement_timeout'), current_setting('plan_cache_mode')"
            ).fetchone()
            assert settings == ("0", "auto")
