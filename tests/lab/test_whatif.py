"""What-if in a lab built from a real capture: costs, what is used, what can be hidden, and that nothing is left."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from queryfit.advise.doubts import doubts_of
from queryfit.capture.server import CaptureOptions, capture_server
from queryfit.evidence.store import Store
from queryfit.lab.build import Lab, NotCarried, build
from queryfit.lab.jobs import Job
from queryfit.lab.planner import Index, Key, NotPlannedError, Planned, Query, Size
from queryfit.lab.session import Session
from queryfit.lab.there import There
from queryfit.lab.whatif import LabPlanner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers import Cluster

TABLES = """
    create table big (id int primary key, g int, t text, at timestamptz, doc jsonb, tenant int);
    insert into big select i, i % 1000, md5(i::text), timestamptz '2025-01-01' + i * interval '1 min',
        jsonb_build_object('k', i % 50), i % 10 from generate_series(1, 20000) as i;
    create index big_g on big (g);
    create index big_broken on big (tenant);
    update pg_index set indisvalid = false where indexrelid = 'big_broken'::regclass;
    create table small (id int primary key, big_id int references big (id));
    insert into small select i, i * 7 from generate_series(1, 2000) as i;
    create schema "Two";
    create table "Two".big (id int, "G" int);
    insert into "Two".big select i, i % 500 from generate_series(1, 5000) as i;
    create table event (id int, at date, note text) partition by range (at);
    create table event_1 partition of event for values from ('2024-01-01') to ('2025-01-01');
    create table event_2 partition of event for values from ('2025-01-01') to ('2026-01-01');
    create index event_note on event (note);
    insert into event select i, date '2024-01-01' + i % 700, md5(i::text) from generate_series(1, 20000) as i;
    create view recent as select * from big where at > '2025-01-10';
    create table secret (id int, tenant int, body text);
    insert into secret select i, i % 100, 'x' from generate_series(1, 10000) as i;
    alter table secret enable row level security;
    create policy own on secret using (tenant = 7);
    create view busy as with x as (select * from recent where g < 10) select x.*, s.id as small_id
        from x join small as s on s.big_id = x.id;
    create extension postgres_fdw;
    create server elsewhere foreign data wrapper postgres_fdw;
    create foreign table far (id int) server elsewhere;
    create function slow_tax(int) returns numeric stable language plpgsql as 'begin return $1 * 0.2; end';
    create function all_big() returns setof big stable language sql as 'select * from big where g = 7';
    create type mood as enum ('good', 'bad');
    create table "Mixed Case" ("Id" int primary key, "Where" mood);
    insert into "Mixed Case" select i, case when i % 9 = 0 then 'bad' else 'good' end::mood
        from generate_series(1, 3000) as i;
    vacuum analyze;
"""
ON_T = Index("public.big", (Key("t"),))
ON_AT = Index("public.big", (Key("at", is_descending=True, is_nulls_first=True),), included=("g",))
ON_TENANT = Index("public.big", (Key("tenant"), Key("at")))
ON_DOC = Index("public.big", (Key("doc", operator_class="jsonb_path_ops"),), access_method="gin")
ON_LOWER = Index("public.big", (Key("lower(t)", is_column=False),), predicate="g < 10")
ON_TWO = Index('"Two".big', (Key('"G"'),))
ON_EVENT = Index("public.event", (Key("id"),))
ON_SMALL = Index("public.small", (Key("big_id"),))
ON_SECRET = Index("public.secret", (Key("tenant"),))
ALL = (ON_T, ON_AT, ON_TENANT, ON_DOC, ON_LOWER, ON_TWO, ON_EVENT, ON_SMALL, ON_SECRET)
BY_T = Query("by_t", "select * from big where t = 'abc'")
BY_G = Query("by_g", "select * from big where g = 7")


@pytest.fixture(scope="module")
def source(cluster_of: Callable[[int], Cluster]) -> Iterator[tuple[Cluster, str]]:
    cluster = cluster_of(18)
    cluster.create_database("whatif")
    cluster.run(TABLES.replace("vacuum analyze;", ""), database="whatif")
    cluster.run("vacuum analyze", database="whatif")
    yield cluster, "whatif"
    cluster.drop_database("whatif")


@pytest.fixture(scope="module")
def lab(source: tuple[Cluster, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    cluster, database = source
    place = Path(tempfile.mkdtemp(prefix="qfl", dir="/tmp"))  # a socket's path is short, and the server's user passes
    place.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(place))
        with Store(tmp_path_factory.mktemp("store")).write("full") as writer:
            capture_server(cluster.dsn(database), CaptureOptions(), writer, lambda _: None)
        assert writer.committed is not None
        with build(writer.committed, database) as lab:
            yield lab
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="module")
def planner(lab: Lab) -> Iterator[LabPlanner]:
    with LabPlanner(lab) as planner:
        refused = [answer for answer in planner.add(dict.fromkeys(ALL)).values() if isinstance(answer, NotPlannedError)]
        assert refused == []
        yield planner


def cost(planner: LabPlanner, query: Query, *visible: Index, hidden: tuple[str, ...] = ()) -> float:
    return planner.plan(query, visible, hidden).cost


class TestPlans:
    def test_a_candidate_costs_what_the_real_index_does(self, planner: LabPlanner, source: tuple[Cluster, str]) -> None:
        cluster, database = source
        texts = [
            "select * from big where t = 'abc'", "select g from big where at > '2025-01-14' order by at desc limit 5",
            "select * from big where tenant = 3 and at < '2025-01-02'", """select * from big where doc @> '{"k": 3}'""",
            "select * from big where lower(t) = 'a' and g < 10", 'select * from "Two".big where "G" = 3',
            "select * from event where id = 9", "select * from recent where t = 'x'",
        ]  # fmt: skip
        with cluster.connect(database) as connection:
            connection.execute("begin")
            sizes: dict[Index, Size | None] = {}
            for number, index in enumerate(ALL):
                connection.execute(index.create(f"real_{number}").encode())
            for number, index in enumerate(ALL):
                found = connection.execute(
                    "select sum(pg_relation_size(c.oid))::int8 as size, sum(c.reltuples) as rows from pg_class as c"
                    " where c.oid = to_regclass(%(name)s) and c.relkind = 'i' or c.oid in"
                    " (select inhrelid from pg_inherits where inhparent = to_regclass(%(name)s))",
                    {"name": f"{index.relation.rpartition('.')[0]}.real_{number}"},
                ).fetchone()
                assert found is not None
                sizes[index] = Size(found["size"], found["rows"], 0 if index.access_method != "btree" else 1, "real")
            real = {}
            for text in texts:
                row = connection.execute(f"explain (format json) {text}".encode()).fetchone()
                assert row is not None
                real[text] = row["QUERY PLAN"][0]["Plan"]["Total Cost"]
            connection.execute("rollback")
        planner.add(sizes)
        for text in texts:
            answer = planner.plan(Query(text, text), ALL)
            assert answer.candidates, text
            assert answer.cost == pytest.approx(real[text], rel=0.02), text

    def test_only_what_is_visible_is_used(self, planner: LabPlanner) -> None:
        bare = planner.plan(BY_T)
        assert not bare.candidates
        assert bare.document["Node Type"] == "Seq Scan"
        assert planner.plan(BY_T, [ON_T, ON_AT]).candidates == {ON_T}
        assert planner.plan(BY_T, [ON_AT]).cost == bare.cost
        assert planner.plan(BY_T, ALL).cost == planner.plan(BY_T, [ON_T]).cost

    def test_an_existing_index_is_named_and_can_be_hidden(self, planner: LabPlanner) -> None:
        there = planner.plan(BY_G)
        assert there.existing == {"public.big_g"}
        gone = planner.plan(BY_G, hidden=["public.big_g"])
        assert gone.existing == set()
        assert gone.cost > there.cost
        assert planner.plan(BY_G).cost == there.cost

    def test_a_partitioned_index_is_hidden_on_every_partition(self, planner: LabPlanner) -> None:
        query = Query("note", "select * from event where note = 'x'")
        assert planner.plan(query).existing == {"public.event_note"}
        assert planner.plan(query, hidden=["public.event_note"]).existing == set()

    def test_one_behind_a_constraint_stays(self, planner: LabPlanner) -> None:
        with pytest.raises(NotPlannedError, match="behind a constraint"):
            planner.plan(BY_G, hidden=["public.big_pkey"])
        with pytest.raises(NotPlannedError, match=r"no index public\.nothing"):
            planner.plan(BY_G, hidden=["public.nothing"])
        query = Query("upsert", "insert into big (id, g) values (1, 2) on conflict (id) do update set g = 3")
        assert planner.plan(query, hidden=["public.big_g"]).cost > 0

    def test_each_job_has_its_own_set_whatever_was_planned_before(self, planner: LabPlanner) -> None:
        queries = [BY_T, BY_G, Query("at", "select g from big where at > '2025-01-14'"), Query("one", "select 1")]
        queries += [Query("join", "select * from small join big on big.id = small.big_id where small.id = 3")]
        sets = [frozenset(), frozenset(ALL), frozenset([ON_T]), frozenset([ON_AT, ON_TWO]), frozenset([ON_SMALL])]
        hides = [frozenset(), frozenset(["public.big_g"])]
        jobs = [Job(query, shown, gone) for shown in sets for gone in hides for query in queries]
        apart = {job: planner.plan(job.query, job.visible, job.hidden) for job in jobs}
        for job, answer in zip(jobs * 3, planner.plan_each(jobs * 3), strict=True):
            assert isinstance(answer, Planned)
            assert (answer.cost, answer.candidates) == (apart[job].cost, apart[job].candidates)
            assert answer.candidates <= job.visible
            assert answer.existing.isdisjoint(job.hidden)

    def test_policies_bind(self, planner: LabPlanner) -> None:
        answer = planner.plan(Query("secret", "select * from secret"), ALL)
        assert answer.candidates == {ON_SECRET}

    def test_values_common_and_rare_are_costed_apart(self, planner: LabPlanner) -> None:
        text = "select * from big where at between $1 and $2 and t = any($3)"
        wide = Query("wide", text, values=("'2025-01-01'", "'2025-02-01'", "'{a,b}'"))
        narrow = Query("narrow", text, values=("'2025-01-01'", "'2025-01-01 01:00'", "'{a,b}'"))
        answers = planner.plan_all([Query("generic", text), wide, narrow], [ON_AT])
        costs = {key: answer.cost for key, answer in answers.items() if isinstance(answer, Planned)}
        assert costs["narrow"] < costs["generic"] < costs["wide"]


class TestRefusals:
    def test_what_postgresql_does_not_take_is_told_and_the_rest_stands(self, planner: LabPlanner) -> None:
        wrong = [
            Index("public.big", (Key("nothing"),)),
            Index("public.absent", (Key("id"),)),
            Index("public.big", (Key("doc", operator_class="text_pattern_ops"),)),
            Index("public.big", (Key("random()", is_column=False),)),
            Index("public.recent", (Key("id"),)),
        ]
        good = Index("public.big", (Key("doc"), Key("g")))
        answers = planner.add(dict.fromkeys([*wrong[:3], good, *wrong[3:]]))
        assert {index for index, answer in answers.items() if isinstance(answer, NotPlannedError)} == set(wrong)
        assert planner.plan(BY_T, [good, ON_T]).candidates == {ON_T}
        with pytest.raises(NotPlannedError, match="not known"):
            planner.plan(BY_T, [wrong[0]])

    def test_a_bad_text_between_others_changes_nothing(self, planner: LabPlanner) -> None:
        texts = [
            BY_T.text, "select * from nowhere", BY_T.text + " and g = 1 / 0", "select 'a'::int", "broken (", "vacuum",
            "select * from big where t = $1", "select $1 + now() + $2 + $3 from big", BY_T.text + " limit 3",
        ]  # fmt: skip
        answers = planner.plan_all([Query(text, text) for text in texts], [ON_T])
        planned = {text for text, answer in answers.items() if isinstance(answer, Planned)}
        assert planned >= {texts[0], texts[6], texts[8]}
        assert not planned & {texts[1], texts[2], texts[3], texts[4], texts[5]}
        for text in (texts[0], texts[6], texts[8]):
            answer = answers[text]
            assert isinstance(answer, Planned)
            assert answer.candidates == {ON_T}


ODD = {
    'select * from "Mixed Case" where "Where" = $1 and "Id" > $2': None,
    'select * from "Two".big as b join public.big using (id) where b."G" = 3': None,
    "select * from busy where small_id = $1": None,
    "with big as (select 1 as id) select * from big": None,
    "with recursive r as (select 1 as n union all select n + 1 from r where n < $1) select * from r, big": None,
    "select * from event_1 where id = 3": None,
    "select * from event where at = $1 for update skip locked": None,
    "select count(*) from secret where id = 3": None,
    "insert into event (id, at) select id, at from big where t = $1": None,
    "merge into small using big on small.big_id = big.id when matched then delete": None,
    "select lower(t), count(*) filter (where g > 3) from big group by rollup (1) having count(*) > $1": None,
    "select * from big, lateral (select * from small where big_id = big.id order by id limit $1) as s": None,
    "select * from big tablesample system ($1)": None,
    "values ($1), ($2)": None,
    "table big": None,
    "select xpath($1, $2)": None,
    "select * from far": "it reads a foreign table, and the lab has no foreign server",
    "select * from pg_temp.gone": "the capture holds no such table",
    "create temp table x as select 1": "not a statement that is planned",
    "select * from temp_orders": 'the capture holds no such table: relation "temp_orders" does not exist',
    "select no_such(id) from big": "the lab does not plan it: function no_such(integer) does not exist",
    "select * from big where g |=| $1": "the lab does not plan it: operator does not exist",
    "select * from json_table('[]', '$[*]' columns (a int path '$'))": None,
}


@pytest.mark.parametrize(("text", "reason"), ODD.items(), ids=list(ODD))
def test_odd_statements_are_planned_or_named_with_a_reason(planner: LabPlanner, text: str, reason: str | None) -> None:
    answer = planner.plan_all([Query(text, text)], ALL)[text]
    if reason is None:
        assert isinstance(answer, Planned), answer
        assert answer.cost >= 0
    else:
        assert isinstance(answer, NotPlannedError)
        assert reason in answer.message
        assert answer.message
    assert planner.plan(BY_T, [ON_T]).candidates == {ON_T}


def test_what_a_statement_reaches(planner: LabPlanner) -> None:
    def reached(text: str, *path: str) -> set[str]:
        return set(planner.relations(Query(text, text, search_path=path or ("public",))) or ())

    assert reached("select * from big") == {"public.big"}
    assert reached("select * from big", "Two") == {'"Two".big'}
    assert reached("select * from busy") == {"public.busy", "public.recent", "public.big", "public.small"}
    assert reached("select * from event") == reached("select * from event_2") | {"public.event_1"}
    assert reached("select 1") == set()


def test_an_invalid_index_is_not_shown_by_hiding_it(source: tuple[Cluster, str]) -> None:
    cluster, database = source
    with cluster.connect(database) as connection:
        there = There(Session(connection))
        assert there.hideable(["public.big_broken"]) == []
        assert len(there.hideable(["public.event_note"])) == 3


def test_a_function_that_the_lab_has_no_body_of_is_said(lab: Lab, planner: LabPlanner) -> None:
    lacks = NotCarried("function", "public.slow_tax", "a stub")
    with LabPlanner(replace(lab, not_carried=(*lab.not_carried, lacks))) as doubting:
        with pytest.raises(NotPlannedError, match=r"function public\.slow_tax: a stub"):
            doubting.plan(Query("tax", "select * from big where slow_tax(g) > 3"))
        assert doubting.plan(BY_G).cost == planner.plan(BY_G).cost


def test_doubt_about_a_column_is_doubt_about_conditions_on_it(lab: Lab, planner: LabPlanner) -> None:
    column = NotCarried("statistics", "public.big.g", "no histogram", ("public.big",), column="g")
    whole = NotCarried("index", "public.small_odd", "no such class", ("public.small",))
    doubting = replace(lab, not_carried=(*lab.not_carried, column, whole))

    def doubts(text: str) -> set[str]:
        return {item.name for item in doubts_of(doubting, planner, [Query(text, text)])}

    assert doubts("select g, t from big where t = 'abc'") == set()
    assert doubts("select * from big where t = $1") == set()
    assert doubts("select id from big where g = 7") == {"public.big.g"}
    assert doubts("select t from big order by g limit 3") == {"public.big.g"}
    assert doubts("select id from busy") == {"public.big.g", "public.small_odd"}  # the view has a condition on it
    assert doubts("select g from recent where t > $1") == set()
    assert doubts("select * from small") == {"public.small_odd"}
    assert doubts("select * from event") == set()
    assert doubts("select broken") == set()


def test_nothing_is_left_in_the_lab(lab: Lab) -> None:
    listings = (
        b"select count(*), count(*) filter (where indisvalid) from pg_index",
        b"select count(*) from queryfit_lab.extent",
        b"select count(*) from pg_locks where mode = 'RowExclusiveLock' and relation = 'public.big'::regclass",
    )
    with lab.connect_superuser() as connection:
        before = [connection.execute(listing).fetchone() for listing in listings]
        with LabPlanner(lab) as planner:
            planner.add({ON_T: None, ON_EVENT: None})
            planner.plan(BY_T, [ON_T], ["public.big_g"])
            planner.plan(Query("write", "update big set g = 1 where t = 'x'"), [ON_T])
            assert connection.execute(listings[2]).fetchone() == (0,)
        assert [connection.execute(listing).fetchone() for listing in listings] == before
