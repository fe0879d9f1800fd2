"""DROP of everything: what goes along, what is refused, which tables are locked."""

from __future__ import annotations

import pytest

from queryfit.migrations.steps import ACCESS_EXCLUSIVE
from tests.migrations.replaying import facts, last_effects, last_step, replayed
from tests.migrations.states import states
from tests.servers import Cluster

BEFORE = """
create type mood as enum ('a', 'b');
create type pair as (x int, y mood);
create domain positive as int check (value > 0);
create domain small as positive;
create table p (id serial primary key, y int unique, m mood, s small);
create table c (id int primary key, pid int references p, z int references p (y));
create table t (id bigint generated always as identity, a int, b text, pos positive, ps pair);
create index t_a on t (a);
create view v as select a, b from t;
create view vv as select a from v;
create materialized view mv as select a from v;
create table par (id int);
create table ch () inherits (par);
create table pt (k int, v int) partition by list (k);
create table pt1 partition of pt for values in (1);
create table ptd partition of pt default;
create table rp (id int primary key) partition by list (id);
create table rp1 partition of rp for values in (1);
create table cc (rid int references rp);
create table typed of pair;
create schema other;
create table other.o (id int primary key, pid int references p);
create schema bare;
create function f() returns trigger language plpgsql as 'begin return new; end';
create trigger tg before insert on t for each row execute function f();
create function g(int) returns int language sql as 'select 1';
create function g(text) returns int language sql as 'select 1';
create policy pol on t;
create rule ru as on insert to c do instead nothing;
create sequence sq;
"""
CASES = [
    "drop table c",
    "drop table p",
    "drop table p cascade",
    "drop table p, c",
    "drop table p, c, other.o",
    "drop table t",
    "drop table t cascade",
    "drop table t, v",
    "drop table v",
    "drop table nix",
    "drop table if exists nix",
    "drop table if exists nix, c",
    "drop table par",
    "drop table par cascade",
    "drop table par, ch",
    "drop table pt",
    "drop table pt1",
    "drop table ptd",
    "drop table rp",
    "drop table rp1",
    "drop table rp1 cascade",
    "drop table rp cascade",
    "drop table cc",
    "drop table typed",
    "drop view v",
    "drop view v cascade",
    "drop view v, vv",
    "drop view vv",
    "drop view t",
    "drop view if exists nix",
    "drop materialized view mv",
    "drop view mv",
    "drop sequence p_id_seq",
    "drop sequence p_id_seq cascade",
    "drop sequence t_id_seq",
    "drop sequence sq",
    "drop type mood",
    "drop type mood cascade",
    "drop type pair",
    "drop type pair cascade",
    "drop domain positive",
    "drop domain positive cascade",
    "drop domain small cascade",
    "drop domain mood",
    "drop type nix",
    "drop type if exists nix",
    "drop schema other",
    "drop schema other cascade",
    "drop schema bare",
    "drop schema nix",
    "drop schema if exists nix",
    "drop schema public cascade",
    "drop trigger tg on t",
    "drop trigger nix on t",
    "drop trigger if exists nix on t",
    "drop trigger if exists tg on nix",
    "drop policy pol on t",
    "drop policy nix on t",
    "drop policy if exists nix on t",
    "drop rule ru on c",
    "drop function f()",
    "drop function f() cascade",
    "drop function g(int)",
    "drop function g",
    "drop table t cascade; create table t (a int)",
    "drop table c; create table c (id int primary key, pid int references p)",
]


def test_the_schema_is_the_servers(cluster: Cluster, database: str) -> None:
    with states(cluster, database) as tried:
        assert tried.differences(BEFORE, CASES) == []


def test_what_a_dropped_table_references_is_locked_too() -> None:
    run = replayed("create table p (id int primary key); create table c (pid int references p)", "drop table c")
    dropped, other = last_effects(run)
    assert facts(dropped, "action", "relation", "is_lossy", "is_breaking", "is_reversible") == (
        "drop table", "public.c", True, True, False,
    )  # fmt: skip
    assert facts(other, "action", "relation", "lock_level", "is_lossy") == (
        "also lock", "public.p", ACCESS_EXCLUSIVE, False,
    )  # fmt: skip


def test_cascade_tells_all_that_goes() -> None:
    run = replayed(
        "create table p (id int primary key); create table c (pid int references p); create view v as select id from p;"
        "create view vv as select * from v",
        "drop table p cascade",
    )
    assert {effect.relation: effect.is_breaking for effect in last_effects(run)} == {
        "public.p": True, "public.v": True, "public.vv": True, "public.c": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "action", "name"),
    [
        ("drop collation if exists german", "drop object", "german"),
        ("drop publication everything", "drop object", "everything"),
        ("drop extension hstore cascade", "drop extension", "hstore"),
        ("drop function app.f(int)", "drop function", "app.f"),
        ("drop aggregate s.total(int)", "drop function", "s.total"),
        ("drop operator === (int, int)", "drop object", '"==="'),
        ("drop cast (int as text)", "drop object", None),
        ("drop schema app cascade", "drop schema", "app"),
    ],
)
def test_each_kind_of_object_is_told(statement: str, action: str, name: str | None) -> None:
    (effect,) = last_effects(replayed(statement))
    assert facts(effect, "action", "relation", "lock_level") == (action, name, 0)


def test_a_table_that_was_dropped_is_not_there_to_be_dropped() -> None:
    run = replayed("create table t (a int); drop table t; drop table if exists t; drop table t")
    assert [step.refusal is None for step in run.steps] == [True, True, True, False]
    assert next(effect for effect in run.effects if effect.step == run.steps[2].number).is_present is False


def test_a_schema_that_nobody_made_may_hold_tables() -> None:
    (effect,) = last_effects(replayed("drop schema legacy cascade"))
    assert facts(effect, "is_known", "is_lossy", "is_reversible") == (False, True, False)
    (effect,) = last_effects(replayed("drop schema legacy"))
    assert facts(effect, "is_lossy", "is_breaking") == (False, False)


def test_an_index_behind_a_constraint_stays() -> None:
    step = last_step(replayed("create table t (a int primary key); drop index t_pkey"))
    assert step.refusal == "cannot drop index t_pkey because constraint t_pkey on table t requires it"
