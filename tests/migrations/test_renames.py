"""RENAME, SET SCHEMA and OWNER TO: everything that named the old name names the new one."""

from __future__ import annotations

import pytest

from queryfit.migrations.model import Name
from queryfit.migrations.steps import ACCESS_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE
from tests.migrations.replaying import facts, last_effects, last_step, relation, replayed
from tests.migrations.states import states
from tests.servers import Cluster

BEFORE = """
create type mood as enum ('a', 'b');
create type pair as (x int, y mood);
create domain positive as int check (value > 0);
create table p (id serial primary key, y int unique, m mood, ms mood[], d positive, check (y > 0));
create table c (id int primary key, pid int references p, z int references p (y), constraint ck check (z > id));
create index c_low on c ((z + id)) where z > 1;
create view v as select y from p;
create view vv as select * from v;
create materialized view mv as select y from p;
create table par (id int, a int not null, constraint pck check (a > 0));
create table ch (b int) inherits (par);
create table pt (k int, v int) partition by list (k);
create table pt1 partition of pt for values in (1);
create index pt_v on pt (v);
create table typed of pair;
create schema other;
create sequence sq;
create function f() returns trigger language plpgsql as 'begin return new; end';
create trigger tg before insert on p for each row execute function f();
create policy pol on p;
"""
CASES = [
    "alter table p rename to q",
    "alter table p rename to c",
    "alter table p rename to p_pkey",
    "alter table nix rename to q",
    "alter table if exists nix rename to q",
    "alter table p rename to q; alter table c drop constraint c_pid_fkey; create table p (id int primary key)",
    "alter table p rename to q; drop table q cascade",
    "alter table pt rename to q; create table pt2 partition of q for values in (2)",
    "alter table pt1 rename to q; drop table pt",
    "alter table par rename to q; alter table q add column n int",
    "alter view v rename to w",
    "alter table v rename to w",
    "alter view v rename column y to yy",
    "alter materialized view mv rename to w",
    "alter sequence sq rename to sq2",
    "alter sequence p_id_seq rename to other_seq; drop table p cascade",
    "alter index p_pkey rename to pk",
    "alter index c_low rename to p_pkey",
    "alter index pt_v rename to q",
    "alter table c_low rename to q",
    "alter table p rename y to yy",
    "alter table p rename column y to id",
    "alter table p rename nix to b",
    "alter table p rename y to yy; alter table p drop column yy cascade",
    "alter table c rename z to zz; drop index c_low; alter table c drop column zz",
    "alter table par rename a to aa",
    "alter table only par rename a to aa",
    "alter table ch rename a to aa",
    "alter table ch rename b to bb",
    "alter table pt rename k to kk; alter table pt add primary key (kk)",
    "alter table p rename id to pk; alter table c add foreign key (id) references p",
    "alter table c rename constraint ck to zz",
    "alter table c rename constraint c_pkey to zz",
    "alter table c rename constraint nix to zz",
    "alter table c rename constraint ck to c_pkey",
    "alter table par rename constraint pck to zz",
    "alter table ch rename constraint pck to zz",
    "alter trigger tg on p rename to tg2",
    "alter trigger nix on p rename to tg2",
    "alter policy pol on p rename to pol2; drop policy pol2 on p",
    "alter type mood rename to humour",
    "alter type mood rename to pair",
    "alter type mood rename value 'a' to 'z'",
    "alter type pair rename to couple",
    "alter type pair rename attribute x to xx cascade",
    "alter type pair rename attribute x to xx",
    "alter domain positive rename to plus",
    "alter domain positive rename constraint positive_check to pc",
    "alter domain positive rename constraint nix to pc",
    "alter schema other rename to another",
    "alter schema public rename to main; create table main.x (id int references main.p)",
    "alter schema nix rename to another",
    "alter schema other rename to public",
    "alter function f() rename to ff; drop function ff() cascade",
    "alter table p set schema other",
    "alter table pt set schema other",
    "alter table par set schema other; alter table other.par add column n int",
    "alter table p set schema nix",
    "alter table p set schema public",
    "create table other.p (x int); alter table p set schema other",
    "alter view v set schema other",
    "alter materialized view mv set schema other",
    "alter sequence sq set schema other",
    "alter sequence p_id_seq set schema other",
    "alter type mood set schema other",
    "alter domain positive set schema other; drop domain other.positive cascade",
    "alter function f() set schema other",
    "alter table p set schema pg_temp",
    "alter table p owner to postgres",
    "alter schema other owner to postgres",
    "alter type mood owner to postgres",
]


def test_the_schema_is_the_servers(cluster: Cluster, database: str) -> None:
    with states(cluster, database) as tried:
        assert tried.differences(BEFORE, CASES) == []


def test_references_follow_a_renamed_table() -> None:
    run = replayed(
        "create table p (id int primary key); create table c (pid int references p); create view v as select id from p",
        "alter table p rename to q; alter table q rename id to pk",
    )
    (key,) = [one for one in relation(run, "c").constraints.values() if one.kind == "foreign key"]
    assert (key.referenced, key.referenced_columns) == (Name("public", "q"), ("pk",))
    assert (Name("public", "q"), "pk") in relation(run, "v").depends_on


def test_expressions_follow_a_renamed_column() -> None:
    run = replayed(
        "create table t (a int, constraint c check (a is not null))",
        "alter table t rename a to b; alter table t alter b set not null",
    )
    (effect,) = last_effects(run)
    assert facts(effect, "action", "is_scan") == ("set not null", False)


def test_a_renamed_column_breaks_clients_under_the_strongest_lock() -> None:
    run = replayed("alter table orders rename column total to amount")
    (effect,) = last_effects(run)
    assert facts(effect, "action", "column_name", "new_name", "lock_level", "is_breaking") == (
        "rename column", "total", "amount", ACCESS_EXCLUSIVE, True,
    )  # fmt: skip


def test_renaming_an_index_leaves_its_table_alone() -> None:
    run = replayed("create table t (a int); create index i on t (a)", "alter index i rename to j")
    table, index = last_effects(run)
    assert facts(table, "action", "relation", "lock_level", "new_name") == ("rename index", "public.t", 0, "public.j")
    assert facts(index, "relation", "relation_kind", "lock_level") == ("public.i", "index", SHARE_UPDATE_EXCLUSIVE)


@pytest.mark.parametrize(
    ("statement", "action", "name", "new"),
    [
        ("alter role app rename to application", "alter object", "app", "application"),
        ("alter function s.f(int) rename to g", "rename function", "s.f", "s.g"),
        ("alter type s.mood rename to humour", "rename type", "s.mood", "s.humour"),
        ("alter schema app rename to application", "rename schema", "app", "application"),
        ("alter extension hstore set schema ext", "set schema", "hstore", "ext"),
        ("alter function f() owner to app", "set owner", "public.f", "app"),
    ],
)
def test_each_kind_of_object_is_told(statement: str, action: str, name: str, new: str) -> None:
    (effect,) = last_effects(replayed(statement))
    assert facts(effect, "action", "relation", "new_name") == (action, name, new)


def test_a_name_that_is_taken_is_refused() -> None:
    run = replayed("create table a (x int); create table b (x int); alter table a rename to b")
    assert last_step(run).refusal == 'relation "b" already exists'
    assert Name("public", "a") in run.databases[0].relations
