"""`lint --fix`: what is mended lints clean, runs on real servers, and leaves the schema that was meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from queryfit.errors import QueryfitError
from queryfit.migrations.fixing import difference, write
from tests.migrations.mending import findings, mended, read, schema_after
from tests.migrations.mending import write as write_files
from tests.servers import Cluster, available

BASE = """create table customers (id bigint primary key, email text);
create table orders (id bigint, customer_id bigint, note varchar(20), amount int, state text);
create index orders_old on orders (state);
create index orders_by_customer on orders (customer_id);
create materialized view totals as select customer_id, count(*) as orders from orders group by customer_id;
create unique index totals_customer on totals (customer_id);
create table events (id bigint, at date) partition by range (at);
create table events_2025 partition of events for values from ('2025-01-01') to ('2026-01-01');
"""
CHANGES = {
    "index": "create index orders_customer on orders (customer_id);\n",
    "unnamed index": "create unique index on customers (email);\n",
    "drop index": "drop index orders_old;\n",
    "reindex": "reindex index orders_old;\nreindex table orders;\n",
    "refresh": "refresh materialized view totals;\n",
    "foreign key": "alter table orders add constraint buyer foreign key (customer_id) references customers (id);\n",
    "unnamed foreign key": "alter table orders add foreign key (customer_id) references customers;\n",
    "check": "alter table orders add constraint positive check (amount > 0);\n",
    "unnamed check": "alter table orders add check (amount > 0);\n",
    "not null": "alter table orders alter column customer_id set not null;\n",
    "two not null": "alter table orders alter customer_id set not null, alter column note set not null;\n",
    "unique": "alter table orders add constraint orders_note unique (note);\n",
    "unnamed unique": "alter table customers add unique (email);\n",
    "upper case": "ALTER TABLE orders ADD CONSTRAINT p CHECK (amount > 0);\nCREATE INDEX notes ON orders (note);\n",
    "several in one": (
        "alter table orders\n    add column placed date, -- when\n    add constraint positive check (amount > 0),\n"
        "    add constraint orders_customer foreign key (customer_id) references customers (id),\n"
        "    add constraint orders_note unique (note), -- one each\n    alter column customer_id set not null;\n"
    ),
    "comments": (
        "-- über all das\n\n-- the index\ncreate index notes on orders (note); -- tail\n\n/* block */\n"
        "alter table orders -- which\n    add constraint positive check (amount > 0) /* why */ ; -- tail\n-- the end\n"
    ),
    "no semicolon": "alter table orders add constraint positive check (amount > 0)",
    "no semicolon, comment": "alter table orders add constraint positive check (amount > 0) -- the end",
    "index without semicolon": "create index orders_customer on orders (customer_id) -- the end\n",
    "only a lock": "-- adds a column\nalter table orders add column placed date;\n",
    "several kinds": (
        "alter table orders add column placed date;\ncreate index orders_placed on orders (placed);\n"
        "alter table orders add constraint positive check (amount > 0);\nalter table orders add column done boolean;\n"
    ),
    "own timeout": (
        "set lock_timeout = '2s';\nalter table orders add column placed date;\n"
        "create index orders_placed on orders (placed);\nalter table orders add column done boolean;\n"
    ),
}
EXPLICIT = {
    "checks in a block": "begin;\nalter table orders add constraint positive check (amount > 0);\ncommit;\n",
    "index in a block": (
        "begin;\nalter table orders add column placed date;\ncreate index orders_placed on orders (placed);\n"
        "commit; -- done\nselect 1;\n"
    ),
    "unique in a block": "begin;\nalter table orders add constraint orders_note unique (note);\nend;\n",
    "validated in the block": (
        "begin;\nalter table orders add constraint positive check (amount > 0) not valid;\n"
        "alter table orders validate constraint positive;\ncommit;\n"
    ),
}
RUNNERS: Mapping[str, tuple[str, str, str]] = {
    "psql": ("001_base.sql", "002_change.sql", "{}"),
    "flyway": ("V1__base.sql", "V2__change.sql", "{}"),
    "goose": ("00001_base.sql", "00002_change.sql", "-- +goose Up\n{}\n-- +goose Down\nselect 1;\n"),
    "dbmate": ("20250101_base.sql", "20250102_change.sql", "-- migrate:up\n{}\n-- migrate:down\nselect 1;\n"),
    "golang-migrate": ("000001_base.up.sql", "000002_change.up.sql", "{}"),
    "diesel": ("2025-01-01-000000_base/up.sql", "2025-01-02-000000_change/up.sql", "{}"),
    "prisma": ("20250101000000_base/migration.sql", "20250102000000_change/migration.sql", "{}"),
    "supabase": ("supabase/migrations/20250101000000_base.sql", "supabase/migrations/20250102000000_change.sql", "{}"),
    "sql-migrate": ("1_base.sql", "2_change.sql", "-- +migrate Up\n{}\n-- +migrate Down\nselect 1;\n"),
    "tern": ("001_base.sql", "002_change.sql", "{}\n---- create above / drop below ----\nselect 1;\n"),
}
VERSIONS = [version for version in (15, 18) if version in available()]


def folder_of(root: Path, runner: str, change: str) -> Path:
    first, second, frame = RUNNERS[runner]
    write_files(root, {first: frame.format(BASE), second: frame.format(change)})
    return root / "supabase" / "migrations" if runner == "supabase" else root


def check(folder: Path, cluster: Cluster, version: int) -> None:
    """Mend a folder, and hold the result against the rules and a server."""
    before = read(folder)
    expected = schema_after(cluster, "mending", before)
    faults = findings(before, version)
    assert faults
    outcome = mended(before, version)
    assert outcome.left == []
    assert outcome.changes
    write(outcome.changes)
    after = read(folder)
    assert findings(after, version) == []
    names = [file.name.rpartition("/")[2] for file in after]
    assert names == [file.name.rpartition("/")[2] for file in outcome.files]
    if "prisma" not in {file.runner for file in after}:  # one that takes scripts apart does so with one statement, too
        assert [file.transactions for file in after] == [file.transactions for file in outcome.files]
    assert schema_after(cluster, "mending", after) == expected
    assert mended(after, version).changes == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("change", CHANGES)
def test_each_repair(tmp_path: Path, cluster_of: Callable[[int], Cluster], version: int, change: str) -> None:
    check(folder_of(tmp_path, "psql", CHANGES[change]), cluster_of(version), version)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("change", EXPLICIT)
def test_blocks_of_the_file_itself(
    tmp_path: Path, cluster_of: Callable[[int], Cluster], version: int, change: str
) -> None:
    check(folder_of(tmp_path, "psql", EXPLICIT[change]), cluster_of(version), version)


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("change", ["index", "check", "unique", "several in one"])
def test_each_runner(tmp_path: Path, cluster_of: Callable[[int], Cluster], runner: str, change: str) -> None:
    version = VERSIONS[0]
    folder = folder_of(tmp_path, runner, CHANGES[change])
    assert {file.runner for file in read(folder)} == {runner}
    check(folder, cluster_of(version), version)


def change_of(folder: Path, text: str, name: str = "002_change.sql", version: int = 18) -> str:
    """What becomes of a file behind the base."""
    write_files(folder, {"001_base.sql": BASE, name: text})
    outcome = mended(read(folder), version)
    assert outcome.left == []
    write(outcome.changes)
    return (folder / name).read_bytes().decode()


def test_windows_line_ends_and_a_byte_order_mark_stay(tmp_path: Path) -> None:
    text = "\ufeff-- über\r\nalter table orders add constraint positive check (amount > 0); -- tail\r\n-- the end\r\n"
    assert change_of(tmp_path, text) == (
        "\ufeffset lock_timeout = '5s';\r\n-- über\r\n"
        "alter table orders add constraint positive check (amount > 0) not valid; -- tail\r\n"
        "alter table orders validate constraint positive;\r\n-- the end\r\n"
    )


def test_what_is_not_mended_stays_as_it_is(tmp_path: Path) -> None:
    text = "select  1 ;;\n\n\t-- é \t\nselect 'a  b\n c';\n  create  index notes  on orders(note) ; -- why\n\nselect 2"
    assert change_of(tmp_path, text) == text.replace("create  index notes", "create  index concurrently notes")


def test_a_suppression_stays_with_its_statement(tmp_path: Path) -> None:
    text = (
        "-- queryfit: ignore check-validated-at-once small table\n"
        "alter table orders add constraint positive check (amount > 0);\n"
    )
    assert change_of(tmp_path, text) == f"set lock_timeout = '5s';\n{text}"


def test_a_timeout_stands_below_the_marks_of_the_runner(tmp_path: Path) -> None:
    text = "-- +goose Up\n-- +goose StatementBegin\nalter table orders add column a int;\n-- +goose StatementEnd\n"
    write_files(tmp_path, {"1_base.sql": f"-- +goose Up\n{BASE}", "2_change.sql": text})
    write(mended(read(tmp_path)).changes)
    assert (tmp_path / "2_change.sql").read_text() == text.replace("Up\n", "Up\nset local lock_timeout = '5s';\n")


def test_applied_migrations_are_not_rewritten(tmp_path: Path) -> None:
    write_files(tmp_path, {"001_base.sql": BASE, "002_change.sql": CHANGES["index"]})
    outcome = mended([replace(file, is_applied=True) for file in read(tmp_path)])
    assert outcome.changes == []
    assert outcome.left == ["002_change.sql has been applied: it is not rewritten; mend it by a new migration"]


def test_other_encodings_are_not_rewritten(tmp_path: Path) -> None:
    (tmp_path / "1.sql").write_bytes("-- caf\u00e9\ncreate index on orders (note);\n".encode("latin-1"))
    outcome = mended(read(tmp_path))
    assert outcome.changes == []
    assert "is not UTF-8" in outcome.left[0]


def test_no_room_for_a_file_between_two(tmp_path: Path) -> None:
    up = "-- +goose Up\n"
    texts = {"1_base.sql": up + BASE, "2_change.sql": up + CHANGES["check"], "3_next.sql": f"{up}select 1;\n"}
    outcome = mended(read(write_files(tmp_path, texts)))
    assert any("there is no room for a migration between 2_change.sql and the next one" in one for one in outcome.left)
    assert {change.name for change in outcome.changes} == {"2_change.sql"}  # its lock_timeout


def test_statements_of_do_blocks_are_left(tmp_path: Path) -> None:
    text = "set lock_timeout = '2s';\ndo $$ begin create index on orders (note); end $$;\n"
    outcome = mended(read(write_files(tmp_path, {"1.sql": BASE, "2.sql": text})))
    assert outcome.changes == []
    assert outcome.left == ["2.sql:2: inside a DO block nothing is rewritten"]


def test_one_that_cannot_be_mended_does_not_keep_the_others(tmp_path: Path) -> None:
    text = "create index notes on orders (note);\nalter table orders add unique (note) deferrable;\n"
    write_files(tmp_path, {"001_base.sql": BASE, "002_change.sql": text})
    outcome = mended(read(tmp_path))
    assert "create index concurrently notes" in outcome.changes[0].after
    assert any("unique-constraint-builds-index" in one or "using-index" in one for one in outcome.left)


def test_a_diff_that_patch_applies(tmp_path: Path) -> None:
    write_files(tmp_path, {"001_base.sql": BASE, "002_change.sql": CHANGES["no semicolon"]})
    shown = difference(mended(read(tmp_path)).changes)
    assert shown.splitlines()[:2] == ["--- a/002_change.sql", "+++ b/002_change.sql"]
    assert "\\ No newline at end of file" in shown


def test_all_or_nothing_is_written(tmp_path: Path) -> None:
    write_files(tmp_path, {"a/1.sql": CHANGES["index"], "b/1.sql": CHANGES["index"]})
    outcome = mended(read(tmp_path / "a") + [replace(file, group=1) for file in read(tmp_path / "b")])
    assert len(outcome.changes) == 2
    (tmp_path / "b").rename(tmp_path / "c")
    (tmp_path / "b").write_text("a file in the way")
    with pytest.raises(QueryfitError, match="cannot write"):
        write(outcome.changes)
    assert (tmp_path / "a" / "1.sql").read_text() == CHANGES["index"]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["1.sql"]


def test_a_link_stays_a_link_and_keeps_its_mode(tmp_path: Path) -> None:
    write_files(tmp_path, {"real/1.sql": CHANGES["index"], "links/0.sql": "select 1;\n"})
    (tmp_path / "real" / "1.sql").chmod(0o640)
    (tmp_path / "links" / "1.sql").symlink_to(tmp_path / "real" / "1.sql")
    write(mended(read(tmp_path / "links")).changes)
    assert (tmp_path / "links" / "1.sql").is_symlink()
    assert "concurrently" in (tmp_path / "real" / "1.sql").read_text()
    assert (tmp_path / "real" / "1.sql").stat().st_mode & 0o777 == 0o640
