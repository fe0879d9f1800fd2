"""Which statements of a migration a trial runs, and as what."""

from __future__ import annotations

import pytest

from queryfit.lab.trial.steps import Choice, Part, choice_of, parts_of
from queryfit.migrations.files import MigrationFile
from queryfit.migrations.replay import replay


def parts(text: str, *, is_down: bool = False) -> list[Part]:
    file = MigrationFile(None, "1.sql", text, text, "psql", "each", is_down=is_down)
    run = replay([file], version=18)
    return parts_of([file], run.steps, run.effects, 0)


def choice(text: str) -> Choice:
    (part,) = parts(text)
    return choice_of(part)


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("create index concurrently é on t (a);", "create index  é on t (a)"),
        ("drop index /* CONCURRENTLY */ concurrently i", "drop index /* CONCURRENTLY */  i"),
        ("create table x as select 1 with data -- now", "create table x as select 1\nwith no data"),
        ("create materialized view v as select 1 -- now", "create materialized view v as select 1\nwith no data"),
        ("create table x as select 1 with no data", "create table x as select 1\nwith no data"),
        ("set search_path = a, b", "set search_path = a, b"),
        (
            "select pg_catalog.set_config('search_path', '', false)",
            "select pg_catalog.set_config('search_path', '', false)",
        ),
        ("alter table t owner to x, add a int", "alter table t owner to x, add a int"),
        ("do $$ begin create index i on t (a); end $$", "do $$ begin create index i on t (a); end $$"),
    ],
)
def test_schema_is_changed(text: str, run: str) -> None:
    done = choice(text)
    assert done.reason is None
    assert done.sql is not None
    assert " ".join(done.sql.split()) == " ".join(run.split())


@pytest.mark.parametrize(
    "text",
    [
        "insert into t values (1)", "update t set a = 1", "delete from t", "truncate t", "grant select on t to x",
        "alter table t owner to x", "alter table t set tablespace fast", "comment on table t is 'x'", "vacuum t",
        "set statement_timeout = 0", "set role postgres", "begin", "commit", "select 1",
        "select now(), setval('s', 3)", "select f(a) from t",
        "analyze", "lock table t",
        "create trigger g before update on t for each row execute function f()", "drop trigger g on t",
        "refresh materialized view v", "reindex index i", "create role x",
    ],
)  # fmt: skip
def test_what_moves_no_plan_is_left_out(text: str) -> None:
    assert choice(text) == Choice()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("do $$ begin execute current_setting('a.b'); end $$", "not known what it does"),
        ("do $$ begin update t set a = 1; create index i on t (a); end $$", "changes data"),
        ("do language plpython3u $$ import os $$", "not known what it does"),
        ("select * into x from t", "SELECT INTO"),
        ("select add_everything()", "not known what it does"),
        ("call everything()", "not known what it does"),
        ("rollback", "ROLLBACK"),
        ("creat table x", "kind unparsed"),
        ("alter system set work_mem = '1GB'", "AlterSystemStmt"),
    ],
)
def test_what_nobody_can_follow_ends_the_trial(text: str, reason: str) -> None:
    done = choice(text)
    assert done.sql is None
    assert reason in (done.reason or "")


def test_ways_back_are_not_tried() -> None:
    assert parts("drop table t", is_down=True) == []


def test_relations_of_a_statement() -> None:
    (part,) = parts("alter table a.t add foreign key (x) references b.u (y), drop column z")
    assert part.relations == {"a.t", "b.u"}
    assert not part.is_wide
    assert parts("drop function f()")[0].is_wide
    assert parts("drop table t cascade")[0].is_wide
    assert not parts("create function f() returns int language sql return 1")[0].is_wide
