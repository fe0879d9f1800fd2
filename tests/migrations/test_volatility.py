"""How volatile a default is: by the catalog's word for built-in functions, by the migrations for others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from msgspec import Raw

from queryfit.migrations import builtin
from queryfit.migrations.context import Context
from queryfit.migrations.files import MigrationFile
from queryfit.migrations.model import Database, Settings
from queryfit.migrations.replay import replay
from queryfit.migrations.steps import Step
from queryfit.migrations.volatility import volatility
from queryfit.sql import ddl_parts, ddl_script
from tests.migrations import builtin_data
from tests.servers import Cluster, available

FUNCTIONS = """
create function steady() returns int stable language plpgsql as 'begin return 1; end';
create function fickle() returns int language plpgsql as 'begin return 1; end';
create function plain() returns int language sql as 'select 1';
create function plain_too() returns int language sql as 'select plain() + 1';
create function rolled() returns float language sql as 'select random()';
create function looked_up() returns int language sql as 'select 1 where true';
create function defined() returns int language sql security definer as 'select 1';
create function bounded() returns int language sql set work_mem = '1MB' as 'select 1';
create function inner_select() returns int language sql as 'select (select 1)';
create function twice(int) returns int language sql as 'select $1 + $1';
create function timed() returns timestamptz language sql as 'select now()';
create function promised() returns float stable language sql as 'select random()'
"""
DEFAULTS = (
    "1", "'x'", "null", "now()", "current_timestamp", "current_date", "localtimestamp", "clock_timestamp()",
    "statement_timestamp()", "'now'::timestamptz", "timezone('utc', now())", "now() at time zone 'utc'",
    "random()", "(random() * 10)::int", "gen_random_uuid()", "md5(random()::text)", "md5('x')", "'{}'::jsonb",
    "array[1, 2]", "array[random()]", "current_user", "pg_backend_pid()", "txid_current()", "nextval('numbers')",
    "date_trunc('day', now())", "to_char(now(), 'YYYY')", "interval '1 day'", "now() + interval '1 day'",
    "extract(epoch from now())", "extract(epoch from clock_timestamp())", "coalesce(null, random())",
    "case when true then 1 else 2 end", "steady()", "fickle()", "plain()", "plain_too()", "rolled()", "looked_up()",
    "defined()", "bounded()", "inner_select()", "twice(1)", "twice(random()::int)", "timed()", "promised()",
    "pg_catalog.random()", "length('x')", "to_timestamp(0)", "set_config('a.b', 'c', true)",
    "current_setting('work_mem')", "string_to_array('a,b', ',')", "row_to_json(row(1))", "upper('x')",
    "substring(md5(random()::text), 1, 8)", "greatest(1, random())",
)  # fmt: skip


@pytest.fixture
def context() -> Context:
    """The functions above, known to the model."""
    run = replay([MigrationFile(None, "functions.sql", FUNCTIONS, FUNCTIONS, "psql", "each")])
    assert [step.refusal for step in run.steps if step.refusal] == []
    return Context(18, run.databases[0], Settings(), Step(0, 0, "", 0, 0, 1, 1), [], "", 0, None)


def default(expression: str) -> Raw:
    statement = ddl_script.statements(f"alter table t alter c set default ({expression})")[0].node
    expression = statement.cmds[0].AlterTableCmd.def_
    assert isinstance(expression, Raw)
    return expression


@pytest.fixture(params=sorted(available()))
def server(request: pytest.FixtureRequest, cluster_of: Callable[[int], Cluster]) -> Iterator[tuple[int, Any]]:
    cluster = cluster_of(request.param)
    with psycopg.connect(cluster.dsn("postgres"), prepare_threshold=None) as connection:
        yield request.param, connection
        connection.rollback()


def test_a_default_is_volatile_where_the_server_rewrites_for_it(server: tuple[int, Any], context: Context) -> None:
    _, connection = server
    connection.execute("create schema volatility")
    connection.execute("set search_path = volatility")
    connection.execute(FUNCTIONS)
    connection.execute("create sequence numbers")
    wrong = []
    for expression in DEFAULTS:
        connection.execute("savepoint one")
        kind = connection.execute(f"select pg_typeof({expression})::text").fetchone()[0]
        connection.execute("create table t (a int)")
        connection.execute("insert into t values (1)")
        before = connection.execute("select pg_relation_filenode('t')").fetchone()
        connection.execute(f"alter table t add c {'text' if kind == 'unknown' else kind} default ({expression})")
        was_rewritten = connection.execute("select pg_relation_filenode('t')").fetchone() != before
        connection.execute("rollback to one")
        said = volatility(context, default(expression))
        if (said.kind == "volatile") != was_rewritten or said.kind == "unknown":
            wrong.append(f"{expression}: {said}, rewritten: {was_rewritten}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("expression", "kind", "culprit"),
    [
        ("1 + 2", "constant", ""),
        ("now()", "stable", "now()"),
        ("fickle() + 1", "volatile", "fickle()"),
        ("nobody_knows(1)", "unknown", "nobody_knows()"),
        ("nobody_knows(random())", "volatile", "random()"),
        ("uuid_generate_v4()", "volatile", "uuid_generate_v4()"),
        ("extensions.uuid_generate_v4()", "volatile", "uuid_generate_v4()"),
    ],
)
def test_the_function_to_blame_is_named(context: Context, expression: str, kind: str, culprit: str) -> None:
    assert tuple(volatility(context, default(expression))) == (kind, culprit)


def test_no_default_is_constant() -> None:
    context = Context(18, Database(), Settings(), Step(0, 0, "", 0, 0, 1, 1), [], "", 0, None)
    assert volatility(context, ddl_parts.NOTHING).kind == "constant"


def test_functions_that_call_each_other_end() -> None:
    text = "create function f() returns int language sql as 'select f()'"
    run = replay([MigrationFile(None, "f.sql", text, text, "psql", "each")])
    context = Context(18, run.databases[0], Settings(), Step(0, 0, "", 0, 0, 1, 1), [], "", 0, None)
    assert volatility(context, default("f()")).kind == "volatile"


def test_what_is_built_in_is_what_the_server_has(server: tuple[int, Any]) -> None:
    """Each function is at least as volatile here as there; casts are the same but for those that a version brings."""
    version, connection = server
    functions, casts, types = builtin_data.read(connection)
    order = "isv"
    said = (
        dict.fromkeys(builtin.IMMUTABLE, "i")
        | dict.fromkeys(builtin.STABLE, "s")
        | dict.fromkeys(builtin.VOLATILE, "v")
    )
    assert len(said) == len(builtin.IMMUTABLE) + len(builtin.STABLE) + len(builtin.VOLATILE)
    by_name, by_count = builtin_data.worst([functions])
    newer = {name for name in by_name if name not in said}
    assert not newer, "run builtin_data.write again"
    assert [name for name, worst in by_name.items() if order.index(said[name]) < order.index(worst)] == []
    assert [
        key
        for key, worst in by_count.items()
        if key in builtin.BY_ARGUMENTS and order.index(builtin.BY_ARGUMENTS[key]) < order.index(worst)
    ] == []
    here = {tuple(key.split(",")): how for key, how in builtin.CASTS.items()}
    assert {pair: how for pair, how in casts.items() if here.get(pair) != how} == {}
    missing = {pair for pair in here if pair not in casts}
    assert version < 18 or missing <= {("path", "point")}  # 14 took that one out
    assert types.keys() - builtin.TYPES == set()
    assert {name: builtin.TYPE_NAMES.get(name, name) for name in types} == types
