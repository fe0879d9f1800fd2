# ruff: noqa: E501 - tables of statements
"""What a rollback takes back is not there afterwards: statements that name it are refused as the server does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.migrations.refusals import of_model, of_server
from tests.servers import Cluster, outermost

GONE = [
    "begin; create table tt (a int); rollback; insert into tt values (1)",
    "begin; create table tt (a int); rollback; alter table tt add b int",
    "begin; create table tt (a int); rollback; create index on tt (a)",
    "begin; create table tt (a int); rollback; truncate tt",
    "begin; create table tt (a int); rollback; drop table tt",
    "begin; create table tt (a int); rollback; drop table if exists tt",
    "begin; create table tt (a int); rollback; update tt set a = 1",
    "begin; create table tt (a int); rollback; create table tt (b int); insert into tt (b) values (1)",
    "begin; create table tt (a int); rollback; begin; create table tt (a int); commit; alter table tt add b int",
    "begin; create table tt (a int); commit; alter table tt add b int",
    "create table tt (a int); begin; alter table tt rename to uu; rollback; alter table tt add b int",
    "create table tt (a int); begin; drop table tt; create table tt (b int); rollback; insert into tt values (1)",
    "create table tt (a int); begin; drop table if exists tt; create table tt (b int); rollback; insert into tt (a) values (1)",
    "create table tt (a int); begin; create table if not exists tt (a int); rollback; insert into tt values (1)",
    "begin; savepoint s; create table tt (a int); rollback to s; insert into tt values (1)",
    "begin; savepoint s; create table tt (a int); rollback to s; create table tt (a int); rollback to s; alter table tt add b int",
    "begin; savepoint s; create table tt (a int); rollback to s; create table tt (a int); commit; alter table tt add b int",
    "begin; create table tt (a int); savepoint s; create table uu (a int); rollback to s; commit; alter table tt add b int",
    "begin; create type mood as enum ('a'); rollback; create table tt (a mood)",
    "begin; create type mood as enum ('a'); rollback; create type mood as enum ('b'); create table tt (a mood)",
    "begin; create type mood as enum ('a'); rollback; drop type mood",
    "begin; create domain mood as text; rollback; create table tt (a mood)",
    "begin; create view v as select 1 as a; rollback; drop view v",
    "begin; create sequence s; rollback; drop sequence s",
    "create table tt (a int); begin; create index tt_a on tt (a); rollback; drop index tt_a",
    "create table tt (a int); create index tt_a_idx on tt (a); begin; create index on tt (a); rollback; drop index tt_a_idx",
    "begin; create schema x; create table x.tt (a int); rollback; create table x.tt (a int)",
    "begin; create schema x; create table x.tt (a int); rollback; alter table x.tt add b int",
    "create schema x; create table x.tt (a int); drop table x.tt; alter table x.tt add b int",
    "create schema x; create table x.tt (a int); drop table x.tt; truncate x.tt",
    "create schema x; begin; create table x.tt (a int); rollback; create table x.tt (a int); insert into x.tt values (1)",
    "begin; create table tt (a int); rollback and chain; alter table tt add b int",
]  # fmt: skip
SILENT = [
    "begin; create table if not exists tt (a int); rollback; insert into tt values (1)",
    "begin; create or replace view v as select 1 as a; rollback; drop view v",
    "begin; drop table if exists tt; create table tt (a int); rollback; insert into tt values (1)",
    "begin; alter table tt rename to uu; create table tt (a int); rollback; insert into tt values (1)",
    "begin; drop schema x cascade; create schema x; create table x.tt (a int); rollback; insert into x.tt values (1)",
    "begin; do $$ begin create table tt (a int); end $$; rollback; insert into tt values (1)",
    "begin; do $$ begin if f() then create table tt (a int); end if; end $$; rollback; insert into tt values (1)",
    "begin; do $$ begin execute f(); end $$; create table tt (a int); rollback; insert into tt values (1)",
    "set search_path = a, b; begin; create table tt (a int); rollback; insert into tt values (1)",
    "begin; create temp table tt (a int); rollback; insert into tt values (1)",
    "begin; create index on tt (a); rollback; drop index tt_a_idx",
    "begin; create table tt (id serial); rollback; alter sequence tt_id_seq restart",
]


@pytest.mark.parametrize("version", outermost())
def test_what_is_rolled_back_is_not_there(version: int, cluster_of: Callable[[int], Cluster]) -> None:
    cluster = cluster_of(version)
    cluster.create_database("taking_back")
    told = of_server(cluster, "taking_back", GONE)
    assert dict(zip(GONE, of_model(version, GONE), strict=True)) == dict(zip(GONE, told, strict=True))


@pytest.mark.parametrize("script", SILENT)
def test_what_may_have_been_there_is_let_through(script: str) -> None:
    assert of_model(18, [script]) == [None]
