# ruff: noqa: E501 - tables of statements
"""Schemas that migrations made: a table in them that no migration made is not there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from queryfit.migrations.files import MigrationFile
from queryfit.migrations.replay import replay
from tests.migrations.refusals import of_model, of_server
from tests.servers import Cluster, outermost

BEFORE = "create schema audit; create table audit.log (id int); "
SCRIPTS = [
    BEFORE + "alter table audit.logs add a int",
    BEFORE + "alter table audit.log add a int",
    BEFORE + "alter table if exists audit.logs add a int",
    BEFORE + "insert into audit.logs values (1)",
    BEFORE + "create index on audit.logs (id)",
    BEFORE + "create table public.t (id int); alter table public.t set schema audit; alter table audit.t add a int",
    BEFORE + "alter table audit.log rename to logs; alter table audit.logs add a int",
    BEFORE + "select 1 as id into audit.made; alter table audit.made add a int",
    BEFORE + "create view audit.v as select id from audit.log; alter table audit.v alter id set default 1",
    BEFORE + "set search_path = audit; alter table log add a int; alter table logs add a int",
    BEFORE + "set search_path = audit; create table logs (id int); alter table logs add a int",
    BEFORE + "set search_path = audit, public; create table public.logs (id int); alter table logs add a int",
    BEFORE + "do $$ begin if true then create table audit.logs (id int); end if; end $$; alter table audit.logs add a int",
    "create schema audit create table log (id int); alter table audit.log add a int",
    BEFORE + "drop schema audit cascade; create schema if not exists audit; alter table audit.log add a int",
    BEFORE + "do $$ begin if false then alter table audit.logs add a int; end if; end $$",
]  # fmt: skip
SILENT = [
    "create schema if not exists audit; alter table audit.logs add a int",
    BEFORE + "create extension pg_partman schema audit; alter table audit.logs add a int",
    BEFORE + "create table audit.p (id int) partition by range (id); alter table audit.p_1 add a int",
    BEFORE + "do $$ begin execute f(); end $$; alter table audit.logs add a int",
    BEFORE + "set search_path = audit, public; alter table logs add a int",
    BEFORE + 'set search_path = "$user", audit; alter table logs add a int',
    BEFORE + "select create_parent('audit.log'); alter table audit.log_1 add a int",
    BEFORE + "import foreign schema x from server y into audit; alter table audit.logs add a int",
    BEFORE + "create function f() returns trigger language plpgsql as $$ begin execute 'create table ' || new.t; "
    "return new; end $$; alter table audit.logs add a int",
    "do $$ begin if not exists (select) then create schema audit; end if; end $$; alter table audit.logs add a int",
]  # fmt: skip


@pytest.mark.parametrize("version", outermost())
def test_what_no_migration_made_is_not_there(version: int, cluster_of: Callable[[int], Cluster]) -> None:
    cluster = cluster_of(version)
    cluster.create_database("own_schemas")
    told = of_server(cluster, "own_schemas", SCRIPTS)
    assert dict(zip(SCRIPTS, of_model(version, SCRIPTS), strict=True)) == dict(zip(SCRIPTS, told, strict=True))


@pytest.mark.parametrize("script", SILENT)
def test_where_others_may_make_tables_nothing_is_said(script: str) -> None:
    assert of_model(18, [script]) == [None]


def test_beside_another_history_nothing_is_said() -> None:
    texts = [BEFORE + "alter table audit.logs add a int", "create table audit.logs (id int)"]
    files = [MigrationFile(None, f"{n}.sql", text, text, "psql", "each", n) for n, text in enumerate(texts)]
    assert [step.refusal for step in replay(files).steps] == [None] * 4
