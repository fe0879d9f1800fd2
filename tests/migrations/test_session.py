# ruff: noqa: E501 - tables of statements
"""The session: settings and how long they hold, transactions, commands that no transaction takes."""

from __future__ import annotations

import pytest

from queryfit.migrations.interpret.session import milliseconds, path_of_text
from queryfit.migrations.model import Name
from queryfit.migrations.replay import Run
from tests.migrations.replaying import last_effects, last_step, replayed


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (500, 500), (0, 0), ("0", 0), ("5s", 5_000), ("5 s", 5_000), ("1min", 60_000), ("1.5min", 90_000), ("2h", 7_200_000),
        ("1d", 86_400_000), ("250ms", 250), ("1500us", 2), ("250", 250), (" 3s ", 3_000), ("1e3", 1_000),
        ("5S", None), ("5 sec", None), ("-1", None), (-1, None), ("", None), (True, None), (None, None), ("1h 5min", None),
    ],
)  # fmt: skip
def test_a_timeout_is_read_with_its_unit(value: str | int | None, expected: int | None) -> None:
    assert milliseconds(value) == expected


def timeouts(run: Run) -> list[tuple[int | None, int | None]]:
    return [(step.lock_timeout_ms, step.statement_timeout_ms) for step in run.steps]


def test_a_setting_holds_for_what_comes_behind_it() -> None:
    run = replayed(
        "select 1; set lock_timeout = '2s'; select 1; set statement_timeout to 500; select 1; reset all; select 1"
    )
    assert timeouts(run) == [
        (None, None), (None, None), (2_000, None), (2_000, None), (2_000, 500), (2_000, 500), (None, None),
    ]  # fmt: skip


def test_a_file_begins_with_a_new_session() -> None:
    assert timeouts(replayed("set lock_timeout = '2s'", "select 1"))[-1] == (None, None)


def test_set_local_ends_with_its_transaction() -> None:
    run = replayed("begin; set local lock_timeout = '2s'; select 1; commit; select 1")
    assert [pair[0] for pair in timeouts(run)] == [None, None, 2_000, 2_000, None]


def test_set_local_does_nothing_outside_a_transaction() -> None:
    assert timeouts(replayed("set local lock_timeout = '2s'; select 1"))[-1] == (None, None)


def test_set_stays_behind_a_commit_and_not_behind_a_rollback() -> None:
    assert timeouts(replayed("begin; set lock_timeout = 7; commit; select 1"))[-1] == (7, None)
    assert timeouts(replayed("begin; set lock_timeout = 7; rollback; select 1"))[-1] == (None, None)


def test_set_and_set_local_of_one_setting() -> None:
    run = replayed("begin; set lock_timeout = 7; set local lock_timeout = 9; select 1; commit; select 1")
    assert [pair[0] for pair in timeouts(run)] == [None, None, 7, 9, 9, 7]


def test_a_savepoint_keeps_the_settings_before_it() -> None:
    run = replayed("begin; savepoint a; set local lock_timeout = 9; rollback to a; select 1; commit")
    assert timeouts(run)[4] == (None, None)


def test_a_runners_transaction_takes_set_local() -> None:
    assert timeouts(replayed("set local lock_timeout = 9; select 1", transactions="file"))[-1] == (9, None)


@pytest.mark.parametrize(
    ("statement", "schema"),
    [
        ("set search_path = a, public", "a"),
        ("set search_path to 'A', public", "A"),
        ('set search_path = "$user", b', "b"),
        ("select pg_catalog.set_config('search_path', 'c, public', false)", "c"),
        ("select set_config('search_path', '\"D\", public', false)", "D"),
        ("set search_path = a; reset search_path", "public"),
        ("set search_path = a; set search_path to default", "public"),
        ("select set_config('search_path', '', false)", "public"),
    ],
)
def test_a_new_table_goes_into_the_first_schema_of_the_search_path(statement: str, schema: str) -> None:
    run = replayed(f"{statement}; create table t (id int)")
    assert Name(schema, "t") in run.databases[0].relations


def test_a_search_path_in_a_string() -> None:
    assert path_of_text('"$user", Public, "A""b"') == ["$user", "public", 'A"b']


def test_pg_temp_in_front_makes_temporary_tables() -> None:
    run = replayed("set search_path = pg_temp, public; create table t (id int)")
    assert Name("pg_temp", "t") in run.databases[0].relations


@pytest.mark.parametrize(
    ("statement", "command"),
    [
        ("vacuum t", "VACUUM"),
        ("vacuum full t", "VACUUM"),
        ("cluster", "CLUSTER"),
        ("create database d", "CREATE DATABASE"),
        ("drop database d", "DROP DATABASE"),
        ("create tablespace s location '/s'", "CREATE TABLESPACE"),
        ("drop tablespace s", "DROP TABLESPACE"),
        ("alter system set work_mem = '1GB'", "ALTER SYSTEM"),
        ("alter database d set tablespace s", "ALTER DATABASE SET TABLESPACE"),
        ("discard all", "DISCARD ALL"),
        ("commit prepared 'x'", "COMMIT PREPARED"),
        ("rollback prepared 'x'", "ROLLBACK PREPARED"),
        ("create subscription s connection '' publication p", "CREATE SUBSCRIPTION ... WITH (create_slot = true)"),
        ("alter subscription s refresh publication", "ALTER SUBSCRIPTION ... REFRESH"),
        ("alter subscription s set publication p", "ALTER SUBSCRIPTION with refresh"),
        ("create index concurrently on t (id)", "CREATE INDEX CONCURRENTLY"),
    ],
)
def test_some_commands_are_refused_in_a_transaction_block(statement: str, command: str) -> None:
    alone = last_step(replayed(statement))
    assert (alone.refused_in_transaction, alone.refusal) == (command, None)
    inside = replayed(f"begin; {statement}").steps[1]
    assert inside.refused_in_transaction == command
    assert inside.refusal == f"{command} cannot run inside a transaction block"
    by_runner = last_step(replayed(statement, transactions="file"))
    assert by_runner.refusal is not None


def test_several_statements_in_one_message_are_a_transaction_block() -> None:
    assert last_step(replayed("vacuum t", transactions="batch")).refusal is None
    assert last_step(replayed("select 1; vacuum t", transactions="batch")).refusal is not None
    # after COMMIT the rest is a block again
    assert last_step(replayed("select 1; commit; vacuum t", transactions="batch")).refusal is not None
    assert last_step(replayed("select 1; commit; vacuum t", transactions="file")).refusal is None


@pytest.mark.parametrize(
    "statement",
    [
        "analyze t", "alter database d set work_mem = '1GB'", "discard plans", "cluster t using t_pkey", "checkpoint",
        "create subscription s connection '' publication p with (create_slot = false)",
        "create subscription s connection '' publication p with (connect = false)",
        "alter subscription s set publication p with (refresh = false)", "reindex table t", "create index on t (id)",
    ],
)  # fmt: skip
def test_their_neighbours_are_not(statement: str) -> None:
    step = replayed(f"begin; {statement}").steps[1]
    assert (step.refused_in_transaction, step.refusal) == (None, None)


def test_explain_runs_its_statement_only_with_analyze() -> None:
    assert [effect.action for effect in last_effects(replayed("explain delete from t"))] == []
    assert [effect.action for effect in last_effects(replayed("explain analyze delete from t"))] == ["delete"]
    assert [effect.action for effect in last_effects(replayed("explain (analyze off) delete from t"))] == []


def test_a_prepared_statement_runs_with_execute() -> None:
    run = replayed("prepare p as delete from t where id = $1; execute p (1)")
    assert [(effect.step, effect.action) for effect in run.effects] == [(2, "delete")]
    assert last_step(replayed("execute elsewhere")).unseen is not None


def test_settings_are_effects() -> None:
    (effect,) = last_effects(replayed("set local lock_timeout = '2s'"))
    assert (effect.action, effect.object_name, effect.definition) == ("set", "lock_timeout", "2s")
    (effect,) = last_effects(replayed("set search_path = a, b"))
    assert effect.definition == "a, b"
    (effect,) = last_effects(replayed("reset lock_timeout"))
    assert effect.definition is None


@pytest.mark.parametrize(
    "statement", ["lock table t", "savepoint a", "rollback to a", "release a", "declare c cursor for select 1"]
)
def test_some_commands_need_a_transaction_block(statement: str) -> None:
    assert (last_step(replayed(statement)).refusal or "").endswith("can only be used in transaction blocks")
    assert replayed(f"begin; savepoint a; {statement}").steps[2].refusal is None
    assert last_step(replayed(statement, transactions="file")).refusal is None


def test_a_cursor_with_hold_needs_none() -> None:
    assert last_step(replayed("declare c cursor with hold for select 1")).refusal is None


def test_a_released_savepoint_is_gone() -> None:
    run = replayed(
        "begin; savepoint s; create table a (id int); savepoint s; create table b (id int); release s; rollback to s; commit"
    )
    assert run.databases[0].relations == {}
