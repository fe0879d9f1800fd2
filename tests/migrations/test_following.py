"""The files that follow a migration: their names, and what their runners want in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from queryfit.migrations.files import MigrationFile
from queryfit.migrations.following import Following, alone, following
from queryfit.migrations.repairs import Later
from queryfit.migrations.runners import RUNNERS

VALIDATE = Later("alter table orders validate constraint positive")
INDEX = Later("create index concurrently on orders (note)", refuses_transaction=True)


def file(path: Path, runner: str) -> MigrationFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return MigrationFile(str(path), path.name, "", "", runner, RUNNERS[runner].transactions)


def made(one: MigrationFile, *later: Later) -> list[Following]:
    found = following(one, later, ())
    assert not isinstance(found, str), found
    return found


@pytest.mark.parametrize(
    ("runner", "name", "next_name", "text"),
    [
        ("psql", "001_a.sql", "001_a_after.sql", "{};\n"),
        ("psql", "change.sql", "change_after.sql", "{};\n"),
        ("flyway", "V1__a.sql", "V1_1__a_after.sql", "{};\n"),
        ("flyway", "V1.2__a.sql", "V1.2.1__a_after.sql", "{};\n"),
        ("golang-migrate", "000009_a.up.sql", "000010_a_after.up.sql", "{};\n"),
        ("supabase", "20250101000000_a.sql", "20250101000001_a_after.sql", "{};\n"),
        ("goose", "1_a.sql", "2_a_after.sql", "-- +goose Up\n{};\n\n-- +goose Down\n"),
        ("dbmate", "20250101_a.sql", "20250102_a_after.sql", "-- migrate:up\n{};\n\n-- migrate:down\n"),
        ("sql-migrate", "1_a.sql", "1_a_after.sql", "-- +migrate Up\n{};\n\n-- +migrate Down\n"),
        ("tern", "009_a.sql", "010_a_after.sql", "{};\n\n---- create above / drop below ----\n\n"),
        ("prisma", "20250101000000_a/migration.sql", "20250101000001_a_after/migration.sql", "{};\n"),
        ("diesel", "2025-01-01-000000_a/up.sql", "2025-01-01-000001_a_after/up.sql", "{};\n"),
        ("diesel", "00000000000009_a/up.sql", "00000000000010_a_after/up.sql", "{};\n"),
    ],
)
def test_names_and_texts(tmp_path: Path, runner: str, name: str, next_name: str, text: str) -> None:
    first, *_ = made(file(tmp_path / name, runner), VALIDATE)
    assert first.path.relative_to(tmp_path).as_posix() == next_name
    assert first.text.startswith(text.format(VALIDATE.text))
    assert first.transactions == RUNNERS[runner].transactions


@pytest.mark.parametrize(
    ("runner", "name", "begin"),
    [
        ("goose", "1_a.sql", "-- +goose NO TRANSACTION\n-- +goose Up\n"),
        ("dbmate", "1_a.sql", "-- migrate:up transaction:false\n"),
        ("sql-migrate", "1_a.sql", "-- +migrate Up notransaction\n"),
        ("sqlx", "1_a.sql", "-- no-transaction\n"),
        ("atlas", "1_a.sql", "-- atlas:txmode none\n\n"),
        ("tern", "1_a.sql", "---- tern: disable-tx ----\n"),
        ("flyway", "V1__a.sql", "create index concurrently"),
    ],
)
def test_switches(tmp_path: Path, runner: str, name: str, begin: str) -> None:
    one = file(tmp_path / name, runner)
    first, *beside = made(one, INDEX)
    assert first.text.startswith(begin)
    assert beside == []
    switched = alone(one, {"dbmate": "-- migrate:up\n", "sql-migrate": "-- +migrate Up\n"}.get(runner, "") + INDEX.text)
    assert switched is not None
    assert switched[0].startswith(begin.split("\n", maxsplit=1)[0])


def test_diesel(tmp_path: Path) -> None:
    found = made(file(tmp_path / "2025-01-02-000000_a" / "up.sql", "diesel"), INDEX)
    assert {one.path.name: one.text for one in found}["metadata.toml"] == "run_in_transaction = false\n"
    assert {one.path.name for one in found} == {"up.sql", "down.sql", "metadata.toml"}
    assert found[0].transactions == "batch"


def test_what_is_one_batch_gets_a_file_for_each_statement(tmp_path: Path) -> None:
    found = made(file(tmp_path / "1_a.up.sql", "golang-migrate"), VALIDATE, VALIDATE, INDEX, INDEX)
    assert [one.path.name for one in found] == ["2_a_after.up.sql", "3_a_after2.up.sql", "4_a_after3.up.sql"]


def test_flyway_does_not_see_everything_by_itself(tmp_path: Path) -> None:
    detach = Later("alter table events detach partition events_2025 concurrently", refuses_transaction=True)
    first, conf = made(file(tmp_path / "V1__a.sql", "flyway"), detach)
    assert (conf.path.name, conf.text) == (f"{first.path.name}.conf", "executeInTransaction=false\n")


@pytest.mark.parametrize("other", ["2_b.sql", "02_b.sql"])
def test_a_number_that_is_taken(tmp_path: Path, other: str) -> None:
    one = file(tmp_path / "1_a.sql", "goose")
    (tmp_path / other).write_text("")
    assert "there is no room" in str(following(one, [VALIDATE], ()))


def test_files_that_are_only_planned_are_left_out(tmp_path: Path) -> None:
    one = file(tmp_path / "1_a.sql", "goose")
    first = made(one, VALIDATE)[0]
    found = following(one, [VALIDATE], [first.path])
    assert [entry.path.name for entry in found if not isinstance(entry, str)] == ["3_a_after2.sql"]


@pytest.mark.parametrize(
    ("runner", "words"),
    [("sqitch", "sqitch.plan"), ("drizzle", "journal"), ("rails", "Rails"), ("psql", "outside of a transaction")],
)
def test_runners_that_keep_a_list(tmp_path: Path, runner: str, words: str) -> None:
    assert words in str(following(file(tmp_path / "1_a.sql", runner), [INDEX], ()))


def test_there_is_no_file_after_standard_input(tmp_path: Path) -> None:
    one = replace(file(tmp_path / "1_a.sql", "psql"), location=None)
    assert "standard input has none" in str(following(one, [VALIDATE], ()))
    assert alone(one, "") is None
