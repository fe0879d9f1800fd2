"""Types that a schema defines, and migrations that have run, as a capture reads them."""

from __future__ import annotations

from pathlib import Path

from tests.capture.taking import take
from tests.servers import Cluster

SCHEMA = """
create type mood as enum ('so', 'it''s', 'Über');
create domain positive as numeric(10, 2) default 1 not null constraint above check (value > 0);
create domain small as positive check (value < 10);
create domain code as varchar(5) collate "C" default 'x';
create type point3 as (x int, "Y y" text[], z text collate "C");
create type span as range (subtype = date);
create type words as range (subtype = text, collation = "C", subtype_opclass = text_pattern_ops);
create table "T" (a mood, b small, c point3, d span);
"""


def test_types_can_be_made_again_in_their_order(cluster: Cluster, database: str, tmp_path: Path) -> None:
    cluster.run(SCHEMA, database=database)
    first = take(cluster.dsn(database), tmp_path / "1").rows("select type, kind, definition from data_type")
    assert {row["type"]: row["kind"] for row in first} == {
        "public.mood": "enum", "public.positive": "domain", "public.small": "domain", "public.point3": "composite",
        "public.span": "range", "public.code": "domain", "public.words": "range",
    }  # fmt: skip
    definitions = {row["type"]: row["definition"] for row in first}
    assert definitions["public.code"] == (
        "create domain public.code as character varying(5) collate pg_catalog.\"C\" default 'x'::character varying"
    )
    assert 'z text collate pg_catalog."C"' in definitions["public.point3"]
    assert definitions["public.words"].endswith(
        '(subtype = text, collation = pg_catalog."C", subtype_opclass = pg_catalog.text_pattern_ops)'
    )
    cluster.run("drop schema public cascade; create schema public", database=database)
    cluster.run(";\n".join(row["definition"] for row in first), database=database)
    again = take(cluster.dsn(database), tmp_path / "2").rows("select type, kind, definition from data_type")
    assert again == first


def test_types_of_extensions_are_left_out(cluster: Cluster, database: str, tmp_path: Path) -> None:
    cluster.run("create schema e; create extension if not exists pg_stat_statements schema e", database=database)
    assert take(cluster.dsn(database), tmp_path).rows("select type from data_type") == []


def test_what_runners_remember(newest: Cluster, database: str, tmp_path: Path) -> None:
    newest.run(
        "create table schema_migrations (version varchar primary key);"
        "insert into schema_migrations values ('20250101'), ('20250102');"
        'create schema "my app"; create table "my app".goose_db_version (version_id bigint);'
        'insert into "my app".goose_db_version values (0), (1);'
        "create table pgmigrations (other text)",
        database=database,
    )
    rows = take(newest.dsn(database), tmp_path).rows("select relation, version from applied_migration order by all")
    assert [(row["relation"], row["version"]) for row in rows] == [
        ('"my app".goose_db_version', "0"), ('"my app".goose_db_version', "1"),
        ("public.schema_migrations", "20250101"), ("public.schema_migrations", "20250102"),
    ]  # fmt: skip


def test_a_table_that_may_not_be_read_is_left_out(newest: Cluster, database: str, tmp_path: Path) -> None:
    newest.run("create table schema_migrations (version varchar); create role nobody login", database=database)
    try:
        taken = take(newest.dsn(database, "nobody"), tmp_path)
    finally:
        newest.run("drop role nobody")
    assert taken.rows("select * from applied_migration") == []
    assert [reason for _, reason, _ in taken.unread("applied_migration")]


_VALUES = {
    "int4": "7", "int8": "7", "bool": "true", "text": "'a'", "varchar(9)": "'a'", "char(3)": "'a'", "bpchar": "'a'",
    '"char"': "'a'", "name": "'a'", "numeric": "7", "float8": "7", "date": "'2026-01-01'",
    "timestamptz": "'2026-01-01'", "timetz": "'10:00+01'", "interval": "'1 day'",
    "uuid": "'00000000-0000-0000-0000-000000000001'",
    "bytea": "'\\x01'",
    "inet": "'10.0.0.1'", "cidr": "'10.0.0.0/8'", "macaddr": "'00:00:00:00:00:01'", "bit(3)": "'101'", "money": "7",
    "varbit": "'101'", "jsonb": "'{}'", "int4[]": "'{1}'", "int4range": "'[1,2)'", "regclass": "'pg_class'",
    "tid": "'(1,1)'", "pg_lsn": "'0/1'", "citext": "'a'", "mood": "'so'", "small": "3",
}  # fmt: skip


def test_which_types_a_btree_keeps_once_for_many_rows(cluster: Cluster, database: str, tmp_path: Path) -> None:
    """The pages of an index over equal values tell what the server really does."""
    cluster.run(
        "create extension citext; create type mood as enum ('so'); create domain small as int4", database=database
    )
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(_VALUES))
    cluster.run(
        f"create table t ({columns}); insert into t select {', '.join(_VALUES.values())} from generate_series(1, 3000)",
        database=database,
    )
    for number in range(len(_VALUES)):
        cluster.run(f"create index i{number} on t (c{number})", database=database)
    taken = take(cluster.dsn(database), tmp_path)
    pages = {row["index"]: row["pages"] for row in taken.rows("select index, pages from relation_index")}
    rows = taken.rows("select has_equal_images from relation_column where relation = 'public.t' order by position")
    said = {kind: row["has_equal_images"] for kind, row in zip(_VALUES, rows, strict=True)}
    # 3,000 row addresses take 18 kB where the key is kept once, and 48 kB or more where it is not
    assert said == {kind: pages[f"public.i{number}"] <= 5 for number, kind in enumerate(_VALUES)}
