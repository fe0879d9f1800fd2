"""Runners as they really are: order, transactions, sections, versions."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryfit.migrations import runners
from queryfit.migrations.masking import Note


@pytest.mark.parametrize(
    ("runner", "names"),
    [
        ("psql", ["1.sql", "2.sql", "10.sql", "v11.sql", "a.sql", "b.sql"]),
        ("psql", ["1.9.0_a.sql", "1.10.0_a.sql", "2024/1.sql", "2024/12.sql", "2025/1.sql"]),
        ("flyway", ["V1__a.sql", "V1.2__b.sql", "V1_3__c.sql", "V2__d.sql", "V10__e.sql", "R__a_view.sql", "R__b.sql"]),
        ("dbmate", ["10_a.sql", "1_a.sql", "2_a.sql"]),
        ("golang-migrate", ["1_a.up.sql", "2_a.up.sql", "000003_b.up.sql", "10_c.up.sql"]),
        ("goose", ["00001_a.sql", "2_b.sql", "10_c.sql"]),
        ("prisma", ["20230101000000_a/migration.sql", "20240101000000_b/migration.sql"]),
        ("diesel", ["00000000000000_setup/up.sql", "2019-02-26-002946_a/up.sql", "20200101000000_b/up.sql"]),
        ("sqlx", ["1_a.sql", "2_b.up.sql", "10_c.sql"]),
    ],
)  # fmt: skip
def test_files_run_in_the_order_of_their_runner(runner: str, names: list[str]) -> None:
    backwards = list(reversed(names))
    assert sorted(backwards, key=lambda name: runners.order(runner, name)) == names


@given(st.lists(st.text(st.sampled_from("aV1_20./-Rup"), min_size=1).map(lambda name: name + ".sql"), max_size=5))
def test_any_names_can_be_ordered(names: list[str]) -> None:
    for runner in runners.RUNNERS:
        assert len(sorted(names, key=lambda name: runners.order(runner, name))) == len(names)
        for name in names:
            runners.version_of(runner, name)


def test_an_up_and_its_down_stand_at_the_same_place() -> None:
    for up, down in [("3_a.up.sql", "3_a.down.sql"), ("V3__a.sql", "U3__a.sql")]:
        runner = "flyway" if up.startswith("V") else "golang-migrate"
        assert runners.order(runner, up) == runners.order(runner, down)
        assert runners.is_down(runner, down)
        assert not runners.is_down(runner, up)


@pytest.mark.parametrize(
    ("runner", "text", "side_file", "transactions"),
    [
        ("psql", "select 1;", None, "each"),
        ("flyway", "create table t ();", None, "file"),
        ("flyway", "create table t ();", "executeInTransaction=false\n", "each"),
        ("flyway", "vacuum t;", "executeInTransaction=true", "file"),
        ("flyway", "-- about\ncreate unique index concurrently i on t (a);\nDROP INDEX CONCURRENTLY j;", None, "each"),
        ("flyway", "set lock_timeout = '1s'; create index concurrently i on t (a);", None, "file"),  # it is refused
        ("flyway", "select 1; vacuum;", "flyway.mixed=true", "each"),
        ("flyway", "select 1;", "mixed = true", "file"),
        ("flyway", "select 1;", "executeInTransaction=true\nflyway.executeInTransaction=false", "file"),
        ("flyway", "reindex index concurrently i;", None, "file"),  # not in its list, so PostgreSQL refuses it
        ("flyway", "select 'create index concurrently';", None, "file"),
        ("dbmate", "-- migrate:up\nselect 1;", None, "file"),
        ("dbmate", "-- migrate:up transaction:false\nselect 1;\n-- migrate:down\n", None, "batch"),
        ("dbmate", "-- migrate:up\nselect 1;\n-- migrate:down transaction:false\n", None, "file"),
        ("goose", "-- +goose Up\nselect 1;", None, "file"),
        ("goose", "-- +goose NO TRANSACTION\n-- +goose Up\nselect 1;", None, "each"),
        ("golang-migrate", "begin; select 1; commit;", None, "batch"),
        ("sqitch", "begin;", None, "each"),
        ("prisma", "create index i on t (a);", None, "batch"),
        ("prisma", "create index concurrently i on t (a); select 1;", None, "pipeline"),
        ("prisma", "create index concurrently i on t (a); drop index concurrently j;", None, "batch"),
        ("supabase", "create index concurrently i on t (a);", None, "pipeline"),
        ("supabase", "begin;\nselect 1;\ncommit;", None, "each"),
        ("supabase", "create function f() returns int as $$\nbegin\n  return 1;\nend $$;", None, "file"),
        ("supabase", "alter table t detach partition p concurrently;", None, "file"),  # not in its list: refused
        ("diesel", "select 1;", None, "file"),
        ("diesel", "select 1;", "run_in_transaction = false", "batch"),
        ("diesel", "select 1;", "run_in_transaction = true", "file"),
        ("diesel", "select 1;", "", "batch"),  # a bool of serde is false where it is missing
        ("diesel", "select 1;", "no [ toml", "file"),
        ("sqlx", "-- no-transaction\nselect 1;", None, "batch"),
        ("sqlx", "\n-- no-transaction\nselect 1;", None, "file"),
        ("sql-migrate", "-- +migrate Up notransaction\nselect 1;", None, "each"),
        ("atlas", "-- atlas:txmode none\n\nvacuum;", None, "each"),
        ("atlas", "select 1;", None, "file"),
        ("drizzle", "select 1;\n--> statement-breakpoint\nselect 2;", None, "file"),
        ("tern", "---- tern: disable-tx ----\nselect 1;", None, "each"),
    ],
)  # fmt: skip
def test_each_runner_sends_a_file_in_its_own_way(
    runner: str, text: str, side_file: str | None, transactions: str
) -> None:
    assert runners.transactions_of(runner, text, side_file=side_file) == transactions


def test_a_down_section_has_its_own_switch() -> None:
    text = "-- migrate:up\nselect 1;\n-- migrate:down transaction:false\n"
    assert runners.transactions_of("dbmate", text, downs=True) == "batch"


def test_an_old_prisma_sends_concurrently_with_the_rest() -> None:
    text = "create index concurrently i on t (a); select 1;"
    assert runners.transactions_of("prisma", text, is_split=False) == "batch"


@pytest.mark.parametrize(
    ("runner", "text"),
    [
        ("goose", "-- +goose Up\nselect 1;\n-- +goose Down\nselect 2;\n"),
        ("goose", "--+goose up\r\nselect 1;\r\n--+goose down\r\nselect 2;\r\n"),
        ("dbmate", "-- migrate:up\nselect 1;\n-- migrate:down\nselect 2;\n"),
        ("dbmate", "--migrate:up transaction:false\nselect 1;\n--migrate:down foo:bar\nselect 2;"),
        ("sql-migrate", "-- +migrate Up\nselect 1;\n-- +migrate Down\nselect 2;\n"),
        ("tern", "select 1;\n---- create above / drop below ----\nselect 2;\n"),
        ("node-pg-migrate", "-- Up Migration\nselect 1;\n-- Down Migration\nselect 2;\n"),
    ],
)
def test_marks_tell_the_runner_and_part_up_from_down(runner: str, text: str) -> None:
    assert runners.runner_of_text(text) == runner
    up, down = runners.sections(runner, text), runners.sections(runner, text, downs=True)
    assert ("select 1" in up, "select 2" in up) == (True, False)
    assert ("select 1" in down, "select 2" in down) == (False, True)
    assert len(up) == len(down) == len(text)


def test_breakpoints_tell_drizzle() -> None:
    assert runners.runner_of_text("select 1;--> statement-breakpoint\nselect 2;") == "drizzle"


def test_dbmate_takes_several_sections() -> None:
    text = "-- migrate:up\nA\n-- migrate:down\nB\n-- migrate:up\nC\n-- migrate:down\nD\n"
    assert [word for word in runners.sections("dbmate", text).split() if len(word) == 1] == ["A", "C"]


@pytest.mark.parametrize(
    "text", ["-- see migrate:up in the docs", "select '+goose Up'", "x -- migrate:up", "-- Down Migration\nselect 1;"]
)
def test_a_word_is_no_mark(text: str) -> None:
    assert runners.runner_of_text(text) is None


@pytest.mark.parametrize(
    ("folder", "names", "runner"),
    [
        ("/p/supabase/migrations", ["1_a.sql"], "supabase"),
        ("/p/migrations", ["20230101000000_a/migration.sql"], "prisma"),
        ("/p/migrations", ["2020-01-01-000000_a/up.sql"], "diesel"),
        ("/p/db/migration", ["V1__a.sql"], "flyway"),
        ("/p/db", ["structure.sql"], "rails"),
        ("/p/migrations", ["1_a.down.sql", "1_a.up.sql"], "golang-migrate"),
        ("/p/migrations", ["1_a.sql"], None),
        ("/p", ["up.sql"], None),
        ("/p/db/migration", ["beforeValidate.sql"], "flyway"),
        ("/p/db/migration", ["beforeEachMigrate__settings.sql"], "flyway"),
        ("/p/db/migration", ["before_all.sql", "afterwards.sql"], None),
    ],
)
def test_names_tell_the_runner(folder: str, names: list[str], runner: str | None) -> None:
    assert runners.runner_of_folder(names, folder) == runner


@pytest.mark.parametrize(
    ("runner", "name", "version"),
    [
        ("flyway", "db/V1_2__a.sql", "1.2"),
        ("flyway", "R__view.sql", None),
        ("dbmate", "20200101000000_a.sql", "20200101000000"),
        ("goose", "00007_a.sql", "7"),
        ("golang-migrate", "000012_a.up.sql", "12"),
        ("sqitch", "deploy/users/table.sql", "users/table"),
        ("sqitch", "deploy/users@v1.0.sql", "users"),
        ("prisma", "migrations/20230101000000_a/migration.sql", "20230101000000_a"),
        ("supabase", "0001_a.sql", "0001"),
        ("diesel", "2019-02-26-002946_create_user/up.sql", "20190226002946"),
        ("sqlx", "20200101000000_a.up.sql", "20200101000000"),
        ("sql-migrate", "m/1_a.sql", "1_a.sql"),
        ("atlas", "20200101000000.sql", "20200101000000"),
        ("node-pg-migrate", "m/1_a.sql", "1_a"),
        ("psql", "1_a.sql", None),
    ],
)
def test_what_the_runners_table_holds(runner: str, name: str, version: str | None) -> None:
    assert runners.version_of(runner, name) == version
    assert (runner in runners.RUNNER_TABLES) == (runner != "psql")


def test_a_plan_of_sqitch_orders_reworked_changes() -> None:
    plan = """%syntax-version=1.0.0
%project=shop

roles 2012-07-16T17:25:07Z A <a@b.c> # first
users [roles] 2012-07-16T17:25:07Z A <a@b.c>
@v1.0 2012-07-16T17:25:07Z A <a@b.c>

+users [users@v1.0] 2012-07-17T17:25:07Z A <a@b.c>
-roles 2012-07-17T17:25:07Z A <a@b.c>
"""
    places = runners.plan_order(plan)
    assert sorted(["users", "users@v1.0", "roles"], key=places.__getitem__) == ["roles", "users@v1.0", "users"]


def test_goose_takes_names_from_the_environment() -> None:
    text = "-- +goose Up\n-- +goose ENVSUB ON\nselect ${A:-1}, $B;\n-- +goose ENVSUB OFF\nselect '${C}', $$d$$;\n"
    notes: list[Note] = []
    filled = runners.fill("goose", text, notes)
    assert filled == text.replace("${A:-1}", "__A__1_").replace("$B", "_B")
    assert [note.line for note in notes] == [3, 3]


@pytest.mark.parametrize(
    "piece",
    ["reindex ", "\n  ", " ", "index ", "vacuum\n", "begin ", "-- migrate:up ", "--+goose ", "-\t", "-", "/*", "$a$ ",
     "create index concurrently i;", "create index concurrently ", "-- +migrate Up ", "-- Up Migration\n", "drop  "],
)  # fmt: skip
def test_hostile_texts_take_no_more_than_their_length(piece: str) -> None:
    text = piece * (300_000 // len(piece))
    start = time.process_time()
    runners.runner_of_text(text)
    for runner in runners.RUNNERS:
        runners.transactions_of(runner, text)
        runners.sections(runner, text)
        runners.fill(runner, text, [])
    assert time.process_time() - start < 3
