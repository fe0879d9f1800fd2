"""Planning must never run code of the database's users: every road to it, first shown to be one, then closed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from queryfit.capture.connect import connect
from queryfit.capture.generic_plans import Candidate, PlannedStatements, plan_statements
from queryfit.capture.guard import Guard
from tests.servers import Cluster

PUBLIC = ("public",)
BYSTANDER = "select n from other order by n limit 3"  # one bad apple must not refuse the whole database

# mallory owns the code; what it does is write a file named after the road by which it was reached. A function that is
# not VOLATILE may not COPY, but it may call one that does.
STAGE = """
    create table plain (id int, n text);
    insert into plain select i % 50, 'x' from generate_series(1, 500) i;
    analyze plain;
    create table other (n text);
    grant all on all tables in schema public to public;
    grant create on schema public to public;
    set role mallory;
    create function spy() returns int language plpgsql volatile as
        $$ begin execute format('copy (select 1) to %L', current_setting('test.trace')); return 1; end $$;
    create function evil(int) returns int language plpgsql immutable as
        $$ begin return $1 * public.spy(); end $$;
    create function evil_now(int) returns int language plpgsql stable as
        $$ begin return $1 * public.spy(); end $$;
    create function evil_yes(anyelement) returns boolean language plpgsql immutable as
        $$ begin return public.spy() = 1; end $$;
    create function evil_match(int, int) returns boolean language plpgsql immutable as
        $$ begin return public.spy() = $1; end $$;
    reset role;
"""


@dataclass(frozen=True, slots=True)
class Road:
    """A way from a statement to a user's code; `setup` runs as a superuser."""

    name: str
    setup: str
    statement: str
    search_path: tuple[str, ...] = PUBLIC
    spares_superuser: bool = False  # planning runs it only for a plain role
    stops_all: bool = False  # the whole database is refused
    until_version: int = 99  # from it on planning does not run it any more
    needs: str = "select 1"  # a query that fails where the road cannot be built


MALLORY = "set role mallory;"
MOOD = (
    MALLORY
    + """
    create type mood as enum ('sad', 'ok');
    create function mood_is(mood, text) returns boolean immutable language plpgsql as
        $$ begin return public.spy() = 1; end $$;
"""
)
ROADS = (
    Road("call-immutable", "", "select evil(1)"),
    Road("call-stable", "", "select * from plain where id = evil_now(1)"),
    Road("call-in-from", "", "select * from plain join lateral (select evil(2) as two) e on two = id"),
    Road("call-in-cte", "", "with x as (select evil(1) as e) select * from x, plain"),
    Road("call-in-returning", "", "update plain set n = 'y' where id = 1 returning evil(1)"),
    Road("call-qualified", "", "select public.evil(1)"),
    Road("call-quoted",
         MALLORY + 'create function "Ev il"(int) returns int immutable language sql as $$select evil($1)$$',
         'select "Ev il"(1)'),
    Road("call-volatile-sql",  # inlined, and what is in it folded
         MALLORY + "create function outer_one(int) returns int volatile language sql as $$select public.evil(5)$$",
         "select outer_one(id) from plain"),
    Road("default-argument",
         MALLORY + "create function lazy(int default evil(1)) returns int volatile language plpgsql as"
         " $$begin return 1; end$$", "select lazy()"),
    Road("operator", MALLORY + "create operator === (leftarg = int, rightarg = int, function = evil_match)",
         "select 1 === 2"),
    Road("operator-on-statistics", MALLORY + """
         create function match_volatile(int, int) returns boolean language plpgsql volatile as
             $$ begin return public.spy() = $1; end $$;
         create operator === (leftarg = int, rightarg = int, function = match_volatile, restrict = eqsel)""",
         "select * from plain where id === 3"),
    Road("operator-spelled", MALLORY + "create operator === (leftarg = int, rightarg = int, function = evil_match)",
         "select 1 operator(public.===) 2"),
    Road("operator-in", MOOD + """
         create operator = (leftarg = mood, rightarg = text, function = mood_is)""",
         "select 'sad'::mood in ('x'::text)"),
    Road("operator-between", MOOD + """
         create operator >= (leftarg = mood, rightarg = text, function = mood_is);
         create operator <= (leftarg = mood, rightarg = text, function = mood_is)""",
         "select 'sad'::mood between 'x'::text and 'y'::text"),
    Road("operator-case", MOOD + """
         create operator = (leftarg = mood, rightarg = text, function = mood_is)""",
         "select case 'sad'::mood when 'x'::text then 1 end"),
    Road("operator-nullif", MOOD + """
         create operator = (leftarg = mood, rightarg = text, function = mood_is)""",
         "select nullif('sad'::mood, 'x'::text)"),
    Road("cast-implicit", MALLORY + """
         create type mood as enum ('sad', 'ok');
         create function weigh(mood) returns int immutable language plpgsql as $$begin return public.spy(); end$$;
         create cast (mood as int) with function weigh(mood) as implicit""",
         "select 'sad'::mood + 1"),
    Road("cast-of-a-column", MALLORY + """
         create type mood as enum ('sad', 'ok');
         create function lift(int) returns mood immutable language plpgsql as
             $$begin perform public.spy(); return 'ok'; end$$;
         create cast (int as mood) with function lift(int) as assignment;
         create table feeling (m mood)""",
         "insert into feeling values (1::int)"),
    Road("cast-of-predefined-types",
         "create function widen(int) returns point immutable language plpgsql as $$begin perform public.spy();"
         " return '(1,2)';"
         " end$$; create cast (int as point) with function widen(int); alter function widen owner to mallory",
         "select 1::int::point", stops_all=True),
    Road("cast-as-a-call", MALLORY + """
         create domain checked as int check (evil_yes(value));
         create domain list as checked[]""",
         "select list('{1}')"),
    Road("domain", MALLORY + "create domain checked as int check (evil_yes(value))", "select '{1}'::checked[]"),
    Road("domain-of-a-column", MALLORY + """
         create domain checked as int check (evil_yes(value));
         create table measure (v checked[])""",
         "select * from measure where v = '{1}'"),
    Road("domain-in-a-row", MALLORY + """
         create domain checked as int check (evil_yes(value));
         create type pair as (a checked, b int)""",
         "select '(1,2)'::pair"),
    Road("domain-in-a-range", MALLORY + """
         create domain checked as int check (evil_yes(value));
         create type span as range (subtype = checked)""",
         "select '[1,2)'::span"),
    Road("domain-by-json", MALLORY + """
         create domain checked as int check (evil_yes(value));
         create type pair as (a checked, b int)""",
         """select * from plain where n = json_populate_record(null::pair, '{"a": 1}')::text"""),
    Road("domain-of-a-function", MALLORY + """
         create domain checked as int check (evil_yes(value));
         reset role;
         create function trusted(checked[]) returns int immutable language sql as 'select 1'""",
         "select trusted('{1}')"),
    Road("type-input-by-oid", MALLORY + "create domain checked as int check (evil_yes(value))",
         "select * from plain where n = pg_input_is_valid('{1}', 'checked[]')::text",
         needs="select pg_input_is_valid('1', 'int')"),
    Road("type-input-in-a-view", MALLORY + """
         create domain checked as int check (evil_yes(value));
         create view peek as select * from plain where n = pg_input_is_valid('{1}', 'checked[]')::text""",
         "select * from peek", needs="select pg_input_is_valid('1', 'int')"),
    Road("xml", MALLORY + "create view trap as select public.spy() as s",
         "select * from plain where n = table_to_xml('trap', true, false, '')::text", needs="select xml '<a/>'"),
    Road("xml-in-a-view", MALLORY + """
         create view trap as select public.spy() as s;
         create view peek as select * from plain where n = table_to_xml('trap', true, false, '')::text""",
         "select * from peek", needs="select xml '<a/>'"),
    Road("view", MALLORY + "create view peek as select id from plain where id = evil_now(1)", "select * from peek"),
    Road("view-over-views", MALLORY + """
         create view one as select id from plain where id = evil_now(1);
         create view two as select id from one;
         create view three as select count(*) from two""",
         "select * from three"),
    Road("view-of-a-superuser",
         "create view peek as select id from plain where id = evil_now(1)", "select * from peek"),
    Road("view-written-to", MALLORY + """
         create table target (id int, v int default evil(1));
         create view shown as select id, v from target""",
         "insert into shown (id) values (1)"),
    Road("policy", MALLORY + """
         create table guarded (id int);
         alter table guarded enable row level security;
         create policy mine on guarded using (id = evil_now(1))""",
         "select * from guarded", spares_superuser=True),
    Road("policy-behind-a-view", MALLORY + """
         create table guarded (id int);
         alter table guarded enable row level security;
         create policy mine on guarded using (id = evil_now(1));
         reset role;
         grant select on guarded to bob;
         set role bob;
         create view peek as select * from guarded""",
         "select * from peek"),
    Road("index-expression", MALLORY + "create table t (id int); create index on t ((id + evil(1)))",
         "select * from t where id = 3"),
    Road("index-predicate", MALLORY + "create table t (id int); create index on t (id) where id > evil(1)",
         "select * from t where id = 3"),
    Road("statistics", MALLORY + "create table t (id int, n int); create statistics s on (id + evil(1)), n from t",
         "select * from t where id = 3 and n = 3"),
    Road("check", MALLORY + "create table t (id int, check (id > evil(1)))",
         "select * from t where id = 3"),
    Road("check-of-a-child", MALLORY + """
         create table t (id int);
         create table child (check (id > evil(1))) inherits (t)""",
         "select * from t where id = 3"),
    Road("index-of-a-partition", MALLORY + """
         create table t (id int) partition by list (id);
         create table part partition of t for values in (3);
         create index on part ((id + evil(1)))""",
         "select * from t where id = 3"),
    Road("default", MALLORY + "create table t (id int, v int default evil(1))", "insert into t (id) values (1)"),
    Road("default-asked-for", MALLORY + "create table t (id int, v int default evil(1))", "update t set v = default"),
    Road("generated", MALLORY + "create table t (id int, v int generated always as (id + evil(1)) stored)",
         "insert into t (id) values (1)", until_version=16),
    Road("rule", MALLORY + "create table t (id int); create rule r as on insert to t do also select evil(1)",
         "insert into t (id) values (1)"),
    Road("overload", MALLORY + "create function lower(varchar) returns text immutable language plpgsql as"
         " $$begin perform public.spy(); return 'x'; end$$", "select lower('X'::varchar)"),
    Road("overload-before-pg_catalog",
         MALLORY + "create function lower(text) returns text immutable language plpgsql as"
         " $$begin perform public.spy(); return 'x'; end$$", "select lower('X')", search_path=("public", "pg_catalog")),
    Road("overload-of-syntax",
         MALLORY + 'create function "json_value"(text, text) returns text immutable language plpgsql'
         " as $$begin perform public.spy(); return 'x'; end$$", "select public.json_value('X'::text, 'y'::text)"),
    Road("overload-of-later-syntax",  # a call before 17
         MALLORY + 'create function "json_scalar"(text) returns text immutable language plpgsql'
         " as $$begin perform public.spy(); return 'x'; end$$", "select json_scalar('X'::text)", until_version=17),
    Road("partition-key", MALLORY + """
         create table t (id int) partition by range ((id + evil(1)));
         create table part partition of t for values from (1) to (5)""",
         "select * from t where id = 3"),
    Road("operator-class", """
         create function evil_order(int, int) returns int immutable language plpgsql as
             $$begin return btint4cmp($1, $2) * public.spy(); end$$;
         create operator class evil_ops for type int4 using btree as operator 1 <, operator 2 <=, operator 3 =,
             operator 4 >=, operator 5 >, function 1 evil_order(int, int);
         alter function evil_order owner to mallory;
         create table t (id int) partition by range (id evil_ops);
         create table part partition of t for values from (1) to (5);
         create table more partition of t for values from (5) to (9)""",
         "select * from t where id = 3", stops_all=True),
    Road("aggregate", MALLORY + """
         create domain checked as int check (evil_yes(value));
         create function keep(checked[], int) returns checked[] immutable language sql as 'select $1';
         create aggregate gather(int) (sfunc = keep, stype = checked[], initcond = '{1}')""",
         "select gather(id) from plain"),
    Road("functional-notation", MALLORY + "create function secret(plain) returns int immutable language plpgsql as"
         " $$begin return public.spy(); end$$", "select (null::plain).secret"),
    Road("functional-notation-of-a-column",
         MALLORY + "create function secret(plain) returns int language sql as 'select evil(1)'",
         "select p.secret from plain as p"),
    Road("body-of-a-superuser",
         "create function trusted(int) returns int immutable language sql as 'select evil($1)'", "select trusted(1)"),
    Road("body-of-a-superuser-by-operator", MALLORY + """
         create operator === (leftarg = int, rightarg = int, function = evil_match);
         reset role;
         create function trusted(int) returns boolean immutable language plpgsql as 'begin return $1 === 1; end'""",
         "select trusted(1)"),
    Road("in-an-extension", """
         set role mallory;
         create extension pg_trgm;
         alter extension pg_trgm add function evil(int)""", "select evil(1)"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stage:
    """A cluster with a template database that holds `STAGE`, and roles: mallory (evil), bob, auditor (no superuser)."""

    cluster: Cluster
    template: str

    def open(self, setup: str) -> Place:
        """A database of its own with `setup` done."""
        name = f"guard_{uuid.uuid4().hex[:12]}"
        self.cluster.create_database(name, template=self.template)
        trace = self.cluster.root / f"{name}.trace"
        self.cluster.run(
            f"alter database {name} set test.trace = '{trace}'; alter database {name} set constraint_exclusion = on;"
            f"alter database {name} set extra_float_digits = 1; grant create on database {name} to mallory"
        )
        place = Place(self.cluster, name, trace)
        self.cluster.run(setup, database=name)
        place.take_trace()
        return place


@dataclass(frozen=True, slots=True)
class Place:
    cluster: Cluster
    database: str
    trace: Path

    def take_trace(self) -> bool:
        """Whether code has run since the last call."""
        was_there = self.trace.exists()
        self.trace.unlink(missing_ok=True)
        return was_there

    def plan(self, user: str, *statements: Candidate, guarded: bool) -> PlannedStatements:
        with connect(self.cluster.dsn(self.database, user)) as reader:
            guard = Guard.build(reader) if guarded else cast("Guard", LetAllThrough())
            return plan_statements(reader, statements, guard)


class LetAllThrough:
    """What a tool without a guard does."""

    def verdict(self, *_: object) -> None:
        return None


def candidate(statement: str, path: tuple[str, ...] = PUBLIC, fingerprint: str = "f" * 16) -> Candidate:
    return Candidate(fingerprint, statement, "select", path, 1.0, 0, 0)


@pytest.fixture(scope="module")
def stage_of() -> Iterator[Callable[[Cluster], Stage]]:
    stages: dict[str, Stage] = {}

    def stage(cluster: Cluster) -> Stage:
        key = str(cluster.root)
        if key not in stages:
            for role in ("mallory", "bob", "auditor"):
                exists = cluster.run(f"select from pg_roles where rolname = '{role}'")
                cluster.run("" if exists else f"create role {role} login")
            cluster.run("grant pg_read_all_data, pg_write_all_data to auditor")
            cluster.run("grant pg_write_server_files to auditor, mallory")
            template = f"stage_{uuid.uuid4().hex[:12]}"
            cluster.create_database(template)
            cluster.run(STAGE, database=template)
            stages[key] = Stage(cluster, template)
        return stages[key]

    yield stage
    for made in stages.values():
        made.cluster.drop_database(made.template)


@pytest.fixture
def stage(cluster: Cluster, stage_of: Callable[[Cluster], Stage]) -> Stage:
    return stage_of(cluster)


@pytest.mark.parametrize("road", ROADS, ids=lambda road: road.name)
def test_planning_never_runs_a_users_code(stage: Stage, road: Road) -> None:
    try:
        stage.cluster.run(road.needs)
    except Exception:  # noqa: BLE001 - whatever the reason is, the road cannot be built
        pytest.skip("this server does not have it")
    place = stage.open(road.setup)
    hostile = candidate(road.statement, road.search_path)
    beside = candidate(BYSTANDER, fingerprint="b" * 16)
    try:
        for user in ("postgres", "auditor"):
            place.plan(user, hostile, guarded=False)
            expected = stage.cluster.version < road.until_version and not (road.spares_superuser and user == "postgres")
            assert place.take_trace() == expected, f"without the guard, as {user}"
            result = place.plan(user, hostile, beside, guarded=True)
            assert not place.take_trace(), f"with the guard, as {user}"
            planned = {plan["fingerprint"] for plan in result.plans}
            if not (road.spares_superuser and user == "postgres"):
                assert hostile.fingerprint not in planned
                assert len(result.unread) == 2 - len(planned)
            assert (beside.fingerprint in planned) == (not road.stops_all)
    finally:
        stage.cluster.drop_database(place.database)


SHOP = """
    create extension pg_trgm;
    set role bob;
    create type status as enum ('open', 'paid');
    create domain positive as int check (value > 0);
    create table customer (
        id bigint generated always as identity primary key,
        email text not null check (email like '%@%' and length(email) < 200),
        born date default current_date,
        tags text[],
        profile jsonb,
        is_minor boolean generated always as (born > '2010-01-01'::date) stored
    );
    create unique index on customer (lower(email));
    create index on customer using gin (email public.gin_trgm_ops);
    create index on customer ((profile ->> 'city')) where born is not null;
    create table orders (
        id bigserial, customer_id bigint references customer, state status, amount positive, at timestamptz
    ) partition by range (at);
    create table orders_2025 partition of orders for values from ('2025-01-01') to ('2026-01-01');
    create table orders_2026 partition of orders for values from ('2026-01-01') to ('2027-01-01');
    create view adult as select id, email from customer where born < now() - interval '18 years';
    create view spender as select a.email, sum(o.amount) from adult a join orders o on o.customer_id = a.id group by 1;
    create materialized view best as select * from spender;
    alter table customer enable row level security;
    create policy everybody on customer using (email <> current_user);
    create function touch() returns trigger language plpgsql as $$ begin return new; end $$;
    create trigger touched before update on customer for each row execute function touch();
    create function my_report(int) returns int language plpgsql as $$ begin return 1; end $$;
"""
HEALTHY = (
    "select * from customer where lower(email) = lower($1)",
    ("select c.email, count(*), sum(o.amount) filter (where o.state = $1) from customer c left join orders o"
    " on o.customer_id = c.id where c.born between $2 and $3 group by c.email having count(*) > $4"
    " order by 2 desc limit $5"),
    "select * from customer where email % $1 order by email <-> $1 limit $2",
    "select * from customer where email ilike $1 and tags @> $2 and tags && array[$3]",
    "select profile ->> $1, profile #> $2, jsonb_array_elements(profile -> $3) from customer where profile @> $4",
    "select extract($1 from at), date_trunc($2, at), at at time zone $3 from orders where at > now() - interval $4",
    "select coalesce(nullif(email, $1), $2), greatest(id, $3), case when born > $4 then $5 else $6 end from customer",
    "insert into orders (customer_id, state, amount, at) values ($1, $2, $3, $4) returning id",
    "insert into customer (email) values ($1) on conflict (lower(email)) do update set email = excluded.email",
    "update customer set profile = jsonb_set(profile, $1, $2), born = default where id = any($3)",
    "delete from orders using customer c where c.id = orders.customer_id and c.email = $1",
    ("with recent as materialized (select * from orders where at > $1), top as (select customer_id from recent)"
    " select * from customer join top on top.customer_id = customer.id for update of customer skip locked"),
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < $1) select i from n",
    ("select *, row_number() over (partition by customer_id order by at desc rows between 1 preceding and current row)"
    " from orders tablesample system (10)"),
    "select * from adult natural join best", "select * from spender where email = $1", "table customer",
    ("select * from customer where id in (select customer_id from orders where state::text in ($1, $2))"
    " and not exists (select from orders_2025 o where o.customer_id = customer.id and o.amount % $3 = 0)"),
    "select unnest($1::int[]) union select customer_id from orders except all values (1), (2)",
    "select s.* from generate_series($1, $2) as s join lateral (select id from customer where id = s) as c on true",
    "select substring(email from $1), trim(email), position($2 in email) from customer",
    "select $1::status, $2::positive, cast($3 as numeric(10, 2)), row(1, 2) < row(id, 3) from orders",
    "merge into orders o using customer c on c.id = o.customer_id when matched then delete",
    "select relname, pg_relation_size(oid) from pg_class where relkind = $1",
    "select string_agg(distinct email, $1 order by email), array_agg(id), json_agg(c) from customer c",
    "select percentile_cont($1) within group (order by amount), grouping(state) from orders group by cube (state)",
    "select count(*) from information_schema.columns where table_name = $1",
    "select (c).email, c.* from customer c where (c.profile)['a'] is not null",
    "select nextval('orders_id_seq'), currval($1), set_config($2, $3, true), current_setting($4)",
)  # fmt: skip


def test_an_ordinary_shop_is_planned(stage: Stage) -> None:
    """Users' types, triggers, views and procedures are no reason to refuse: only code that planning would run is."""
    place = stage.open("grant create on schema public to bob; " + SHOP)
    try:
        for user in ("postgres", "auditor"):
            with connect(stage.cluster.dsn(place.database, user)) as reader:
                guard = Guard.build(reader)
                candidates = [candidate(text) for text in HEALTHY]
                planned = plan_statements(reader, candidates, guard)
            assert [row["reason"] for row in planned.unread] == []
            assert len(planned.plans) == len(HEALTHY)
    finally:
        stage.cluster.drop_database(place.database)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("select 1; drop table plain", "it holds 2 statements"),
        ("select 'a\\'; drop table plain; --'", "it holds 2 statements"),
        ("drop table plain", "Drop is not a statement that is planned"),
        ("select * into copied from plain", "SELECT INTO creates a table"),
        ("explain analyze select 1", "Explain is not a statement that is planned"),
        ("select from nowhere", "there is no relation nowhere on its search path"),
        ("select from nothing.plain", "there is no relation plain in schema nothing"),
        (
            "update plain set n = null where current of c",
            "it holds CurrentOfExpr, which is not known to be safe to plan",
        ),
        (
            "select domain_in('1', 5, 5)",
            "planning it could run pg_catalog.domain_in(), which executes what it is given",
        ),
        ("select " + "x" * 63 + "()", "a name in it has more than 62 bytes"),
        ("select pg_temp.anything(1)", "it names a temporary schema"),
        ("select database_to_xml(true, true, '')", "database_to_xml(), which executes what it is given"),
    ],
)
def test_what_is_refused_says_why(
    stage_of: Callable[[Cluster], Stage], newest: Cluster, text: str, reason: str
) -> None:
    stage = stage_of(newest)
    with connect(newest.dsn(stage.template)) as reader:
        guard = Guard.build(reader)
    assert reason in (guard.verdict(text, PUBLIC) or "")


def test_the_reason_names_function_owner_and_relation(stage_of: Callable[[Cluster], Stage], newest: Cluster) -> None:
    place = stage_of(newest).open("create view peek as select id from plain where id = evil_now(1)")
    with connect(newest.dsn(place.database)) as reader:
        guard = Guard.build(reader)
    newest.drop_database(place.database)
    assert guard.verdict("select evil(1)", PUBLIC) == "planning it could run function public.evil() of role mallory"
    assert guard.verdict("select from peek", PUBLIC) == (
        "planning it could run function public.evil_now() of role mallory, through public.peek"
    )


def test_a_foreign_table_is_not_planned(stage_of: Callable[[Cluster], Stage], newest: Cluster) -> None:
    """Planning would ask the other server."""
    place = stage_of(newest).open("""
        create extension postgres_fdw;
        create server far foreign data wrapper postgres_fdw options (host '/nowhere');
        create foreign table remote (id int) server far;
        create view behind as select * from remote""")
    with connect(newest.dsn(place.database)) as reader:
        guard = Guard.build(reader)
    newest.drop_database(place.database)
    for text in ("select * from remote", "select * from behind"):
        assert "foreign data wrapper of public.remote" in (guard.verdict(text, PUBLIC) or "")


def test_two_statements_under_the_old_quoting_never_run(stage: Stage) -> None:
    """With standard_conforming_strings off the server would read the text as two statements."""
    place = stage.open("")
    name = place.database
    stage.cluster.run(f"alter database {name} set standard_conforming_strings = off")
    text = r"select n from plain where n = '\' and n <> '; drop table plain; --'"
    planned = place.plan("postgres", candidate(text), guarded=True)
    assert stage.cluster.run("select count(*) from plain", database=name)[0]["count"] == 500
    assert len(planned.plans) == 1
    stage.cluster.drop_database(name)
