"""A capture from a stranger: what it says is made as it says or not at all, and never with more rights."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from queryfit.evidence.dictionary import tables
from queryfit.evidence.store import Capture, Store
from queryfit.lab.build import Lab, build
from queryfit.lab.maker import FailedError, check_single
from queryfit.lab.server import remove_labs

DATABASE = "d"
ESCALATE = "create role pwned superuser login"


def row(table: str, **given: object) -> dict[str, object]:
    """A row with something harmless in every column that must not be null."""
    neutral = {"varchar": "x", "boolean": False, "timestamp": datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)}
    required = {
        column.name: neutral.get(tables()[table].column_types[column.name], 0)
        for column in tables()[table].columns
        if column.is_required
    }
    known = tables()[table].column_types
    return {**required, **({"database": DATABASE} if "database" in known else {}), **given}


def relation(name: str, **given: object) -> dict[str, object]:
    schema, _, short = name.partition(".")
    plain = {"kind": "table", "persistence": "permanent", "tuple_rows": 1e300, "pages": 2**40, "size_bytes": 2**39}
    return row("relation", relation=name, schema=schema, name=short, root=name, **(plain | given))


def column(relation_name: str, name: str, type_: str = "integer", **given: object) -> dict[str, object]:
    return row("relation_column", relation=relation_name, column_name=name, type=type_, base_type="int4", **given)


EVIDENCE: dict[str, list[dict[str, object]]] = {
    "server": [row("server", version_number=180000)],
    "setting": [
        row("setting", name="work_mem", value="4096'; " + ESCALATE + "; --", source="database"),
        row("setting", name="enable_seqscan", value="off", source="database"),
        row("setting", name="session_preload_libraries", value="/tmp/evil", source="database"),
        row("setting", name="search_path", value='"$user", public, "a""b"', source="database"),
    ],
    "database": [row("database", is_captured=True, locale_provider="libc", collate_locale="'; " + ESCALATE)],
    "extension": [
        row("extension", extension="file_fdw", schema="public"),
        row("extension", extension='x"; ' + ESCALATE, schema="public"),
        row("extension", extension="no_such", schema="other"),
    ],
    "relation": [
        relation("public.good"),
        relation("public.bad_column"),
        relation("public.bad_name; " + ESCALATE),
        relation("public.v", kind="view", definition="select 1; " + ESCALATE),
        relation("public.w", kind="view", definition="select pg_read_file('/etc/passwd') as c"),
        relation("public.m", kind="materialized_view", definition="select 1 as c with data; " + ESCALATE),
        relation("public.child", parent="public.good", is_partition=True, partition_bound="default; " + ESCALATE),
    ],
    "relation_column": [
        column("public.good", "c", position=1),
        column("public.good", 'q"); drop table public.good; --', position=2),
        column("public.bad_column", "c", "integer); " + ESCALATE + "; --"),
        column("public.child", "c"),
        column("public.m", "c"),
        column("public.w", "c", "text"),
    ],
    "relation_index": [
        row(
            "relation_index",
            relation="public.good",
            index="public.i",
            access_method="btree",
            is_valid=True,
            definition="create index i on public.good (c); " + ESCALATE,
            size_bytes=2**62,
        ),
        row(
            "relation_index",
            relation="public.good",
            index="public.g",
            access_method="btree",
            is_valid=True,
            definition="create index g on public.good (c)",
            size_bytes=10**9,
            tuple_rows=-5.0,
        ),
        row(
            "relation_index",
            relation="pg_catalog.pg_class",
            index="pg_catalog.pg_class_oid_index",
            access_method="btree",
            is_valid=True,
            definition=ESCALATE,
            size_bytes=10**9,
        ),
    ],
    "relation_constraint": [
        row(
            "relation_constraint",
            relation="public.good",
            constraint_name="k",
            kind="check",
            is_validated=False,
            definition="check (true), owner to postgres",
        ),
    ],
    "data_type": [
        row("data_type", type="public.t", kind="enum", definition=ESCALATE),
        row(
            "data_type",
            type="public.d",
            kind="domain",
            definition="create domain public.d as int check (public.spy(value))",
        ),
    ],
    "routine": [
        row(
            "routine",
            routine="public.spy",
            schema="public",
            name="spy",
            kind="function",
            arguments="integer",
            input_types="integer",
            result="boolean",
            language="plpgsql",
            volatility="immutable",
            call_cost=1.0,
            parallel_safety="safe",
            definition="create function public.spy(integer) returns boolean language plpgsql"
            " immutable as $$ begin create table public.spied (); return true; end $$",
        ),
        row(
            "routine",
            routine="public.f",
            schema="public",
            name="f",
            kind="function",
            call_cost=1.0,
            arguments=") returns int language sql as ''; " + ESCALATE + "; --",
            input_types="",
            result="integer",
            language="c",
            volatility="immutable",
            parallel_safety="safe",
        ),
    ],
    "policy": [
        row(
            "policy",
            relation="public.good",
            policy_name="p",
            command="all",
            is_permissive=True,
            roles="public",
            using_expression="true); " + ESCALATE + "; --",
        ),
    ],
    "column_statistics": [
        row(
            "column_statistics",
            relation="public.good",
            column_name="c",
            is_inherited=False,
            null_fraction=2.0,
            distinct_values=-7.0,
            common_values="{x,y",
            common_frequencies=[0.5],
        ),
        row(
            "column_statistics",
            relation="pg_catalog.pg_class",
            column_name="oid",
            is_inherited=False,
            null_fraction=1.0,
        ),
    ],
    "extended_statistics": [
        row(
            "extended_statistics",
            relation="public.good",
            statistics_name="public.s",
            definition=ESCALATE,
            is_inherited=False,
            distinct_counts="[1]",
        ),
    ],
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Store(tmp_path_factory.mktemp("store")).write("full") as writer:
        for table, rows in EVIDENCE.items():
            writer.add(table, rows)
        writer.meta.update(system_identifier="1", captured_at=datetime.now(UTC).isoformat())
    capture = writer.committed
    assert isinstance(capture, Capture)
    with tempfile.TemporaryDirectory(prefix="queryfit-test-") as folder, pytest.MonkeyPatch.context() as patch:
        Path(folder).chmod(0o711)
        patch.setenv("XDG_CACHE_HOME", folder)
        with build(capture, DATABASE) as lab:
            yield lab
        remove_labs()


@pytest.fixture
def superuser(lab: Lab) -> Iterator[psycopg.Connection[Any]]:
    with closing(lab.connect_superuser()) as connection:
        yield connection


def test_nothing_got_a_right_that_it_should_not_have(superuser: psycopg.Connection[Any]) -> None:
    roles = superuser.execute("select rolname from pg_roles where rolsuper or rolname !~ '^(pg|queryfit)_'").fetchall()
    assert roles == [("postgres",)]
    owned = superuser.execute(
        "select c.relname from pg_class as c where c.oid >= 16384 and c.relowner = 10"
        " and c.relnamespace not in (select oid from pg_namespace where nspname ~ '^(pg_|queryfit_lab)')"
    ).fetchall()
    assert owned == []
    assert superuser.execute("select to_regclass('public.spied')").fetchone() == (None,)
    assert superuser.execute("select extname from pg_extension where extname = 'file_fdw'").fetchall() == []


def test_every_object_that_is_not_made_is_named(lab: Lab) -> None:
    named = {(item.kind, item.name) for item in lab.not_carried}
    assert {
        ("extension", "file_fdw"),
        ("extension", "no_such"),
        ("index", "public.i"),
        ("type", "public.t"),
        ("view", "public.v"),
        ("function", "public.f"),
        ("policy", "public.good.p"),
        ("statistics", "public.s"),
        ("statistics", "public.good.c"),
        ("setting", "work_mem"),
        ("partition", "public.child"),
    } <= named
    assert lab.doubts(["public.good"])
    assert lab.doubts(["pg_catalog.pg_class"])


def test_what_is_whole_is_there(lab: Lab, superuser: psycopg.Connection[Any]) -> None:
    with closing(lab.connect()) as own:
        assert own.execute("show enable_seqscan").fetchone() == ("off",)
        assert own.execute(
            "select count(*) from pg_attribute where attrelid = 'public.good'::regclass and attnum > 0"
        ).fetchone() == (2,)
        plan = str(own.execute("explain select * from public.good where c = 3").fetchall())
        assert "Index Scan using g" in plan or "Bitmap" in plan
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            own.execute("select c from public.w")
    sizes = superuser.execute(
        "select relpages from pg_class where relname in ('pg_class', 'pg_class_oid_index')"
    ).fetchall()
    assert all(pages < 1000 for (pages,) in sizes)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("create table t (); drop table t", "CreateStmt"),
        ("", "CreateStmt"),
        ("select 1", "CreateStmt"),
        ("select (", "SelectStmt"),
    ],
)
def test_only_one_statement_of_the_kind_is_sent(text: str, kind: str) -> None:
    with pytest.raises(FailedError):
        check_single(text, kind)
