"""Which files are found, in which order, as what."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queryfit.errors import QueryfitError
from queryfit.migrations.files import MAX_BYTES, MigrationFile, decode, find_files


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        put(root, name, text)


def put(root: Path, name: str, text: str | bytes = "select 1;\n") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def names(files: list[MigrationFile]) -> list[str]:
    return [file.name for file in files]


def linted(files: list[MigrationFile]) -> list[str]:
    return [file.name for file in files if file.is_linted]


def test_a_folder_is_linted_in_natural_order(tmp_path: Path) -> None:
    for name in ["10_c.sql", "2_b.sql", "1_a.sql", "readme.md", ".hidden.sql", "z.SQL"]:
        put(tmp_path, f"m/{name}")
    files = find_files([tmp_path / "m"], root=tmp_path)
    assert names(files) == linted(files) == ["m/1_a.sql", "m/2_b.sql", "m/10_c.sql", "m/z.SQL"]
    assert {(file.runner, file.transactions, file.group) for file in files} == {("psql", "each", 0)}


def test_earlier_files_of_the_folder_are_history_and_later_ones_are_not_read(tmp_path: Path) -> None:
    for number in range(1, 6):
        put(tmp_path, f"{number}.sql", f"select {number};")
    files = find_files([tmp_path / "4.sql", tmp_path / "2.sql"], root=tmp_path)
    assert names(files) == ["1.sql", "2.sql", "3.sql", "4.sql"]
    assert linted(files) == ["2.sql", "4.sql"]


def test_paths_are_shown_from_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a/b/1.sql")
    monkeypatch.chdir(tmp_path / "a")
    assert names(find_files([Path("b")], root=Path.cwd())) == ["b/1.sql"]
    assert names(find_files([Path("b/1.sql")], root=tmp_path)) == ["a/b/1.sql"]
    assert names(find_files([Path()], root=Path("b"))) == [f"{tmp_path}/a/b/1.sql".replace(f"{tmp_path}/a/b/", "")]
    assert names(find_files([tmp_path / "a"], root=tmp_path / "c")) == [f"{tmp_path}/a/b/1.sql"]


def test_a_history_folder_comes_first_and_takes_the_place_of_the_files_own(tmp_path: Path) -> None:
    for name in ["old/10.sql", "old/9.sql", "new/1.sql", "new/2.sql"]:
        put(tmp_path, name)
    files = find_files([tmp_path / "new/2.sql"], root=tmp_path, history=tmp_path / "old")
    assert names(files) == ["old/9.sql", "old/10.sql", "new/2.sql"]
    assert linted(files) == ["new/2.sql"]
    assert {file.group for file in files} == {0}


def test_a_history_that_is_the_files_own_folder_ends_before_the_file(tmp_path: Path) -> None:
    for name in ["1.sql", "2.sql", "3.sql"]:
        put(tmp_path, name)
    assert names(find_files([tmp_path / "2.sql"], root=tmp_path, history=tmp_path)) == ["1.sql", "2.sql"]


def test_a_history_around_the_linted_files_does_not_hold_them_twice(tmp_path: Path) -> None:
    put(tmp_path, "base/1.sql")
    put(tmp_path, "later/2.sql")
    assert names(find_files([tmp_path / "later"], root=tmp_path, history=tmp_path)) == ["base/1.sql", "later/2.sql"]


def test_every_group_gets_the_history(tmp_path: Path) -> None:
    for name in ["old/1.sql", "a/1.sql", "b/1.sql"]:
        put(tmp_path, name)
    files = find_files([tmp_path / "a", tmp_path / "b", Path("-")], root=tmp_path, history=tmp_path / "old", stdin="x")
    assert [(file.name, file.group, file.is_linted) for file in files] == [
        ("old/1.sql", 0, False), ("a/1.sql", 0, True),
        ("old/1.sql", 1, False), ("b/1.sql", 1, True),
        ("old/1.sql", 2, False), ("-", 2, True),
    ]  # fmt: skip


def test_services_of_one_repository_do_not_mix(tmp_path: Path) -> None:
    put(tmp_path, "services/a/migrations/1_a.sql")
    put(tmp_path, "services/b/migrations/V1__b.sql")
    put(tmp_path, "services/b/migrations/node_modules/x.sql")
    put(tmp_path, "services/c/prisma/migrations/20230101000000_a/migration.sql")
    put(tmp_path, "services/c/prisma/migrations/20240101000000_b/migration.sql")
    files = find_files([tmp_path], root=tmp_path)
    groups = {file.runner: file.group for file in files}
    assert len(files) == 4
    assert len(set(groups.values())) == 3
    assert groups.keys() == {"psql", "flyway", "prisma"}


def test_a_migration_of_prisma_has_its_siblings_as_history(tmp_path: Path) -> None:
    for stamp in ["20230101000000_a", "20240101000000_b", "20250101000000_c"]:
        put(tmp_path, f"prisma/migrations/{stamp}/migration.sql")
    put(tmp_path, "prisma/migrations/migration_lock.toml", 'provider = "postgresql"')
    files = find_files([tmp_path / "prisma/migrations/20240101000000_b/migration.sql"], root=tmp_path)
    assert [(file.version, file.is_linted) for file in files] == [
        ("20230101000000_a", False),
        ("20240101000000_b", True),
    ]
    assert {(file.runner, file.transactions) for file in files} == {("prisma", "batch")}


@pytest.mark.parametrize(("wanted", "transactions"), [("^6.1.0", "batch"), ("~7.4.2", "pipeline"), (None, "pipeline")])
def test_the_prisma_that_a_project_asks_for_decides(tmp_path: Path, wanted: str | None, transactions: str) -> None:
    if wanted is not None:
        put(tmp_path, "package.json", f'{{"devDependencies": {{"prisma": "{wanted}"}}}}')
    put(tmp_path, "prisma/migrations/20230101000000_a/migration.sql", "create index concurrently i on t (a);")
    assert [file.transactions for file in find_files([tmp_path], root=tmp_path)] == [transactions]


def test_diesel_reads_metadata_beside_the_migration(tmp_path: Path) -> None:
    for folder in ["2020-01-01-000000_a", "2020-01-02-000000_b"]:
        put(tmp_path, f"migrations/{folder}/up.sql")
        put(tmp_path, f"migrations/{folder}/down.sql", "select 2;")
    put(tmp_path, "migrations/2020-01-02-000000_b/metadata.toml", "run_in_transaction = false")
    for path in [tmp_path / "migrations", tmp_path / "migrations/2020-01-02-000000_b/up.sql"]:
        files = find_files([path], root=tmp_path)
        assert [(file.version, file.transactions) for file in files] == [
            ("20200101000000", "file"), ("20200102000000", "batch"),
        ]  # fmt: skip


def test_a_folder_with_up_sql_that_follows_no_convention_stays_alone(tmp_path: Path) -> None:
    put(tmp_path, "cases/one/up.sql")
    put(tmp_path, "cases/two/up.sql")
    files = find_files([tmp_path / "cases/two/up.sql"], root=tmp_path)
    assert [(file.name, file.runner) for file in files] == [("cases/two/up.sql", "psql")]


def test_flyway_orders_versions_over_its_subfolders_and_repeats_last(tmp_path: Path) -> None:
    for name in ["R__view.sql", "2024/V10__c.sql", "V2__b.sql", "2023/V1_1__a.sql", "U2__b.sql", "B2__base.sql"]:
        put(tmp_path, f"db/migration/{name}", "create table t ();")
    put(tmp_path, "db/migration/V2__b.sql.conf", "executeInTransaction=false\n")
    files = find_files([tmp_path], root=tmp_path)
    assert [(file.name.removeprefix("db/migration/"), file.version, file.transactions) for file in files] == [
        ("2023/V1_1__a.sql", "1.1", "file"),
        ("V2__b.sql", "2", "each"),
        ("2024/V10__c.sql", "10", "file"),
        ("R__view.sql", None, "file"),
    ]
    assert {file.group for file in files} == {0}
    one = find_files([tmp_path / "db/migration/V2__b.sql"], root=tmp_path)
    assert [(file.version, file.transactions) for file in one] == [("1.1", "file"), ("2", "each")]


def test_flyway_reads_what_the_project_says(tmp_path: Path) -> None:
    put(tmp_path, "flyway.toml", "[flyway]\nexecuteInTransaction = false\n")
    put(tmp_path, "db/migration/V1__a.sql")
    put(tmp_path, "db/migration/V2__b.sql")
    put(tmp_path, "db/migration/V2__b.sql.conf", "executeInTransaction=true")
    assert [file.transactions for file in find_files([tmp_path], root=tmp_path)] == ["each", "file"]


def test_migrations_for_other_engines_are_apart(tmp_path: Path) -> None:
    put(tmp_path, "db/migration/mysql/V1__a.sql")
    put(tmp_path, "db/migration/postgresql/V1__a.sql")
    assert [file.group for file in find_files([tmp_path], root=tmp_path)] == [0, 1]


def test_sqitch_runs_deploy_scripts_in_the_order_of_the_plan(tmp_path: Path) -> None:
    plan = [f"{change} 2020-01-01T00:00:00Z a <a@b>\n" for change in ["z", "sub/a", "m"]]
    put(tmp_path, "sqitch.plan", "%project=x\n\n" + "".join(plan))
    for kind in ["deploy", "revert", "verify"]:
        for change in ["z", "sub/a", "m"]:
            put(tmp_path, f"{kind}/{change}.sql", f"begin; -- {kind}\nselect :'x';\ncommit;")
    files = find_files([tmp_path], root=tmp_path)
    assert names(files) == ["deploy/z.sql", "deploy/sub/a.sql", "deploy/m.sql"]
    assert {(file.runner, file.transactions) for file in files} == {("sqitch", "each")}
    assert "'_x'" in files[0].sql
    one = find_files([tmp_path / "deploy/sub/a.sql"], root=tmp_path)
    assert [(file.version, file.is_linted) for file in one] == [("z", False), ("sub/a", True)]
    assert find_files([tmp_path / "verify/z.sql"], root=tmp_path) == []
    both = find_files([tmp_path / "deploy", tmp_path / "revert"], root=tmp_path, downs=True)
    assert names(both)[3:] == ["revert/m.sql", "revert/sub/a.sql", "revert/z.sql"]


def test_goose_is_known_by_its_marks_even_without_a_telling_name(tmp_path: Path) -> None:
    put(tmp_path, "m/1_a.sql", "-- +goose Up\ncreate table t ();\n-- +goose Down\ndrop table t;\n")
    put(tmp_path, "m/2_b.sql", "-- +goose NO TRANSACTION\n-- +goose Up\nvacuum t;\n")
    files = find_files([tmp_path], root=tmp_path)
    assert [(file.runner, file.transactions) for file in files] == [("goose", "file"), ("goose", "each")]
    assert [file.version for file in files] == ["1", "2"]
    assert "drop" in files[0].text
    assert "drop" not in files[0].sql


def test_sqlx_is_known_by_the_project_around_it(tmp_path: Path) -> None:
    put(tmp_path, "Cargo.toml", '[dependencies]\nsqlx = "0.8"\n')
    put(tmp_path, "migrations/1_a.up.sql", "-- no-transaction\nvacuum;")
    put(tmp_path, "migrations/1_a.down.sql")
    files = find_files([tmp_path], root=tmp_path)
    assert [(file.runner, file.transactions) for file in files] == [("sqlx", "batch")]


@pytest.mark.parametrize(("beside", "runner"), [("atlas.sum", "atlas"), ("meta/_journal.json", "drizzle")])
def test_what_stands_beside_tells_the_runner(tmp_path: Path, beside: str, runner: str) -> None:
    put(tmp_path, f"m/{beside}")
    put(tmp_path, "m/0001_a.sql")
    assert [(file.runner, file.transactions) for file in find_files([tmp_path], root=tmp_path)] == [(runner, "file")]


def test_downs_are_linted_only_when_asked_and_then_backwards(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        put(tmp_path, f"{number}_x.up.sql", f"select {number};")
        put(tmp_path, f"{number}_x.down.sql", f"select -{number};")
    assert [file.is_down for file in find_files([tmp_path], root=tmp_path)] == [False] * 3
    files = find_files([tmp_path], root=tmp_path, downs=True)
    assert names(files) == ["1_x.up.sql", "2_x.up.sql", "10_x.up.sql", "10_x.down.sql", "2_x.down.sql", "1_x.down.sql"]
    assert [file.is_down for file in files] == [False] * 3 + [True] * 3
    one = find_files([tmp_path / "2_x.down.sql"], root=tmp_path, downs=True)
    assert [(file.name, file.is_linted) for file in one] == [
        ("1_x.up.sql", False), ("2_x.up.sql", False), ("2_x.down.sql", True),
    ]  # fmt: skip
    assert find_files([tmp_path / "2_x.down.sql"], root=tmp_path) == []


def test_a_down_section_is_a_file_of_its_own_when_asked(tmp_path: Path) -> None:
    put(tmp_path, "1_a.sql", "-- migrate:up\ncreate table t ();\n-- migrate:down transaction:false\ndrop table t;\n")
    put(tmp_path, "2_b.sql", "-- migrate:up\nselect 1;\n")
    files = find_files([tmp_path], root=tmp_path, downs=True)
    assert [(file.name, file.is_down, file.transactions) for file in files] == [
        ("1_a.sql", False, "file"), ("2_b.sql", False, "file"), ("1_a.sql", True, "batch"),
    ]  # fmt: skip
    assert files[2].sql.strip() == "-- migrate:down transaction:false\ndrop table t;"


def test_a_runner_can_be_named(tmp_path: Path) -> None:
    path = put(tmp_path, "1_a.up.sql", "select 1; select 2;")
    assert [file.runner for file in find_files([path], root=tmp_path, runner="prisma")] == ["prisma"]
    with pytest.raises(QueryfitError, match="no runner is called 'liquid'") as caught:
        find_files([path], root=tmp_path, runner="liquid")
    assert "golang-migrate" in (caught.value.hint or "")


@pytest.mark.parametrize(("flag", "transactions"), [(True, "file"), (False, "each"), (None, "batch")])
def test_the_flag_wins_over_the_file(tmp_path: Path, flag: bool | None, transactions: str) -> None:
    path = put(tmp_path, "1_a.sql", "-- migrate:up transaction:false\nselect 1;")
    assert [file.transactions for file in find_files([path], root=tmp_path, transactions=flag)] == [transactions]
    [file] = find_files([Path("-")], root=tmp_path, stdin=path.read_text(), transactions=flag)
    assert (file.transactions, file.runner) == (transactions, "dbmate")


def test_only_changed_files_are_linted_and_the_others_are_applied(tmp_path: Path) -> None:
    paths = [put(tmp_path, f"{number}.sql") for number in range(1, 5)]
    link = tmp_path.parent / f"{tmp_path.name}-link"
    link.symlink_to(tmp_path)
    for folder in (tmp_path, link):
        files = find_files([folder], root=tmp_path, changed={Path(os.path.realpath(paths[2]))})
        assert [(Path(file.name).name, file.is_linted, file.is_applied) for file in files] == [
            ("1.sql", False, True), ("2.sql", False, True), ("3.sql", True, False),
        ]  # fmt: skip
    assert find_files([tmp_path], root=tmp_path, changed=set()) == []


def test_standard_input_stands_alone(tmp_path: Path) -> None:
    [file] = find_files([Path("-")], root=tmp_path, stdin="\\connect x\nselect 1;\n")
    assert (file.path, file.name, file.runner, file.transactions) == (None, "-", "psql", "each")
    assert file.sql.strip() == "select 1;"
    assert [note.line for note in file.notes] == [1]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"select 'caf\xc3\xa9';\r\n", "select 'café';\r\n"),
        (b"\xef\xbb\xbfselect 1;", "\ufeffselect 1;"),
        ("select 'é';".encode("utf-16"), "select 'é';"),
        (b"select 'caf\xe9';", "select 'café';"),
        (b"\xff\xfe\x00", "ÿþ\x00"),
    ],
)
def test_bytes_become_text(tmp_path: Path, data: bytes, text: str) -> None:
    assert decode(data)[0] == text
    put(tmp_path, "1.sql", data)
    [file] = find_files([tmp_path], root=tmp_path)
    assert (file.text, len(file.sql)) == (text, len(text))
    assert "\0" not in file.sql
    assert find_files([Path("-")], root=tmp_path, stdin=data)[0].text == text


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read(data: bytes) -> None:
    text, _ = decode(data)
    [file] = find_files([Path("-")], root=Path(), stdin=data)
    assert (len(file.sql), file.text) == (len(text), text)
    [same] = find_files([Path("-")], root=Path(), stdin=data.decode(errors="surrogateescape"))
    assert len(same.sql) == len(same.text)


def test_strange_file_names_can_be_shown(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    for name in [b"1_\xff.sql", b"2_\n.sql", "3_é.sql".encode()]:
        with open(os.path.join(folder, name), "wb") as file:  # noqa: PTH118, PTH123 - a name that is no text
            file.write(b"select 1;")
    files = find_files([tmp_path], root=tmp_path)
    assert names(files) == ["1_\ufffd.sql", "2_\n.sql", "3_é.sql"]
    assert all(file.text == "select 1;" for file in files)


def test_what_is_missing_or_empty_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for paths, history, words in [
        ([tmp_path / "none.sql"], None, "no such file or folder"),
        ([tmp_path / "empty"], None, "no .sql files there"),
        ([tmp_path / "a\0b"], None, "no such file or folder"),
        ([Path("-")], tmp_path / "none", "no such folder"),
    ]:
        with pytest.raises(QueryfitError, match=words) as caught:
            find_files(paths, root=tmp_path, history=history, stdin="")
        assert caught.value.hint


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file that nobody can read from its beginning")
def test_an_unreadable_file_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "1.sql").symlink_to("/proc/self/mem")
    with pytest.raises(QueryfitError, match=r"1\.sql: ") as caught:
        find_files([tmp_path], root=tmp_path)
    assert caught.value.hint


def test_a_folder_in_the_place_of_a_file_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "m" / "x.sql").mkdir(parents=True)
    (tmp_path / "m" / "y.sql").symlink_to(tmp_path / "nowhere")
    put(tmp_path, "m/z.sql")
    assert names(find_files([tmp_path / "m"], root=tmp_path)) == ["m/z.sql"]


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = put(tmp_path, "1.sql")
    os.truncate(path, MAX_BYTES + 1)
    [file] = find_files([path], root=tmp_path)
    assert file.text == ""
    assert "was not read" in file.notes[0].text


def test_the_order_does_not_hang_on_the_file_system(tmp_path: Path) -> None:
    order = list(range(1, 60))
    random.Random(7).shuffle(order)
    for number in order:
        put(tmp_path, f"{number}_x.sql")
    assert [file.version for file in find_files([tmp_path], root=tmp_path, runner="goose")] == [
        str(number) for number in range(1, 60)
    ]
