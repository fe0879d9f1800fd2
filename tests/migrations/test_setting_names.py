"""Configuration parameters: the module of their names is what the servers have, and others are refused."""

from __future__ import annotations

import sys
from collections.abc import Callable

import psycopg
import pytest

from queryfit.migrations.settings_known import NAMES
from tests.migrations.refusals import of_model, of_server
from tests.migrations.setting_names import OF_SOME_BUILDS, read
from tests.servers import Cluster, available

FUNCTION = "create function f() returns int language sql as 'select 1'; "
SCRIPTS = [
    "set no_such = 1", "set local no_such = 1", "begin; set local no_such = 1", "set no_such to default",
    "reset no_such", "show no_such", 'set "No_Such" = 1', "set no.such = 1", "show all", "reset all",
    'set "WORK_mem" = \'4MB\'', "set Lock_Timeout = 0", "SHOW Work_Mem", 'show "Work_Mem"', 'show "Such"',
    "alter role postgres set no_such = 1", "alter role postgres reset no_such", "alter role postgres reset all",
    "alter role all set no_such = 1", "alter role postgres in database postgres set no_such = 1",
    "alter role postgres set search_path = public", "alter role postgres set app.tenant = 'a'",
    "alter database postgres set no_such = 1", "alter database postgres reset no_such",
    "alter database postgres set timezone = 'UTC'",
    "alter system set no_such = 1", "alter system reset no_such", "alter system set no_such to default",
    "create function f() returns int language sql set no_such = 1 as 'select 1'",
    "create function f() returns int language sql set search_path = public as 'select 1'",
    "create function f() returns int language sql set no_such from current as 'select 1'",
    FUNCTION + "alter function f() set no_such = 1",
    FUNCTION + "alter function f() reset no_such",
    FUNCTION + "alter function f() reset all",
    FUNCTION + "alter function f() set work_mem = '4MB'",
    "select set_config('no_such', '1', false)", "select pg_catalog.set_config('no_such', '1', false)",
    "select set_config('search_path', '', false)", "select set_config('app.tenant', '1', false)",
    "select set_config('no_such', '1', false) where false",
    "create table t (a int); select set_config('no_such', '1', false) from t",
    "select case when false then set_config('no_such', '1', false) end",
    "do $$ begin set no_such = 1; end $$", "do $$ begin perform set_config('no_such', '1', true); end $$",
    "do $$ begin alter role postgres set no_such = 1; end $$",
    "set session authorization default", "set time zone 'UTC'", "set names 'UTF8'", "set role none", "set seed = 0.5",
    "set xml option document", "set transaction isolation level serializable", "set default_with_oids = false",
    "set sort_mem = 1000", "set vacuum_mem = 2000", "show vacuum_mem", "set ssl_renegotiation_limit = 0",
    "set session characteristics as transaction read only", "set session_authorization = 'postgres'",
    "set transaction_isolation = 'serializable'", "show transaction isolation level", "show time zone",
    "show session authorization", "show is_superuser", "set force_parallel_mode = off", "set transaction_timeout = 0",
    "set idle_session_timeout = 0", "set operator_precedence_warning = off", "set enable_memoize = off",
    "show server_version_num", "show seed", "set datestyle = iso", "set intervalstyle = postgres",
]  # fmt: skip


@pytest.mark.parametrize("version", list(available()))
def test_the_names_are_those_of_the_server(version: int, cluster_of: Callable[[int], Cluster]) -> None:
    known = set()
    for word in NAMES.split():
        name, _, versions = word.partition("=")
        first, _, last = versions.partition("-")
        if int(first or 0) <= version <= int(last or 99):
            known.add(name)
    cluster = cluster_of(version)
    with psycopg.connect(cluster.dsn()) as connection:
        found = read(connection, available()[version] / "postgres")
    assert found - known == set()
    assert known - found - OF_SOME_BUILDS == set()


@pytest.mark.parametrize("version", list(available()))
def test_unknown_parameters_are_refused_as_the_server_does(version: int, cluster_of: Callable[[int], Cluster]) -> None:
    cluster = cluster_of(version)
    cluster.create_database("setting_names")
    told = of_server(cluster, "setting_names", SCRIPTS)
    for undo in ("alter role all reset all", "alter role postgres reset all", "alter database postgres reset all"):
        cluster.run(undo)
    assert dict(zip(SCRIPTS, of_model(version, SCRIPTS), strict=True)) == dict(zip(SCRIPTS, told, strict=True))


def test_the_list_is_loaded_only_for_what_is_not_common(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "queryfit.migrations.settings_known")
    assert of_model(18, ["set lock_timeout = '5s'; set search_path = public; set app.tenant = 'a'"]) == [None]
    assert "queryfit.migrations.settings_known" not in sys.modules
