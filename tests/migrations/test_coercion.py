"""Changes of a column's type: which of them write the table anew, against every server at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from queryfit.migrations import coercion
from queryfit.migrations.context import Context
from queryfit.migrations.model import Database, Domain, Enum, Name, OtherType, Settings, Type
from queryfit.migrations.steps import Step
from queryfit.migrations.type_names import type_text
from queryfit.sql import ddl_parts, ddl_script
from tests.servers import Cluster, outermost

TYPES = (
    "int2", "int4", "int8", "numeric", "numeric(10,2)", "numeric(12,2)", "numeric(10,4)", "numeric(10)", "float4",
    "float8", "money", "text", "varchar", "varchar(10)", "varchar(20)", "char(10)", "char(20)", "bpchar", "name",
    '"char"', "bytea", "bool", "date", "time", "time(3)", "time(6)", "timetz", "timetz(2)", "timestamp",
    "timestamp(3)", "timestamp(6)", "timestamptz", "timestamptz(3)", "timestamptz(6)", "interval", "interval(3)",
    "interval(6)", "interval day", "interval month", "interval day to second(3)", "json", "jsonb", "xml", "uuid",
    "oid", "regclass", "regproc", "regprocedure", "xid", "inet", "cidr", "macaddr", "macaddr8", "bit(3)", "bit(5)",
    "varbit", "varbit(3)", "varbit(5)", "point", "box", "tsvector", "int4range", "jsonpath", "int4[]", "int8[]",
    "text[]", "varchar[]", "varchar(10)[]", "varchar(20)[]", "numeric(10,2)[]", "mood", "pair", "free_int",
    "checked_text", "short_text", "some_ints", "mood[]", "checked_text[]", "bit", "char",
)  # fmt: skip
STATE = """
create type mood as enum ('a');
create type pair as (x int);
create domain free_int as int;
create domain checked_text as text check (value <> '');
create domain short_text as varchar(10);
create domain some_ints as int[]
"""


def context_of(version: int, zone: str | None) -> Context:
    """The state above, as the model has it."""
    database = Database()

    def name(text: str) -> Name:
        return Name("public", text)

    database.enums[name("mood")] = Enum(name("mood"), ["a"])
    database.types[name("pair")] = OtherType(name("pair"), "composite")
    for text, base, checks in (
        ("free_int", Type("pg_catalog", "int4"), {}),
        ("checked_text", Type("pg_catalog", "text"), {"checked_text_check": True}),
        ("short_text", Type("pg_catalog", "varchar", (10,)), {}),
        ("some_ints", Type("pg_catalog", "int4", (), 1), {}),
    ):
        database.domains[name(text)] = Domain(name(text), base, checks=checks)
    return Context(version, database, Settings(time_zone=zone), Step(0, 0, "", 0, 0, 1, 1), [], "", 0, None)


def action_of(statement: str) -> ddl_parts.ColumnDef:
    action = ddl_script.statements(statement)[0].node.cmds[0].AlterTableCmd
    definition = action.definition.ColumnDef
    assert isinstance(definition, ddl_parts.ColumnDef)
    return definition


def type_of(context: Context, text: str) -> Type:
    kind = context.type_of(action_of(f"alter table t alter c type {text}").typeName)
    assert kind is not None
    return kind


def verdict(context: Context, before: str, after: str, using: str = "") -> coercion.Change:
    definition = action_of(f"alter table t alter c type {after} {using}")
    return coercion.change(
        context, "c", type_of(context, before), context.type_of(definition.typeName), definition.raw_default
    )


def observed(connection: psycopg.Connection[Any], before: str, after: str, using: str) -> str:
    """What a server does to a table with such a column."""

    def file() -> object:
        row = connection.execute("select pg_relation_filenode('t')").fetchone()
        assert row is not None
        return row[0]

    connection.execute("rollback to pair")
    connection.execute(f"create table t (c {before})")
    was = file()
    try:
        connection.execute(f"alter table t alter c type {after} {using}")
    except psycopg.Error:
        connection.execute("rollback to pair")
        return "refused"
    return "free" if file() == was else "rewrite"


@pytest.fixture(params=outermost())
def server(request: pytest.FixtureRequest, cluster_of: Callable[[int], Cluster]) -> Iterator[tuple[int, Any]]:
    """A version with a session in which the state above exists, in a transaction that rolls back."""
    cluster = cluster_of(request.param)
    with psycopg.connect(cluster.dsn("postgres"), prepare_threshold=None) as connection:
        connection.execute("create schema coercion")
        connection.execute("set search_path = coercion")
        connection.execute(STATE)
        connection.execute("savepoint pair")
        yield request.param, connection
        connection.rollback()


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
def test_a_pair_of_types_costs_what_it_costs_the_server(server: tuple[int, Any], zone: str) -> None:
    version, connection = server
    connection.execute(f"set local timezone = '{zone}'")
    connection.execute("savepoint pair")
    context = context_of(version, zone)
    pairs = [(before, after) for before in TYPES for after in TYPES]
    if zone != "UTC":
        pairs = [pair for pair in pairs if pair[0].startswith("time") and pair[1].startswith("time")]
    else:  # each version takes its share: the rules hardly differ between them
        pairs = pairs[version % 3 :: 3]
    wrong = []
    for number, (before, after) in enumerate(pairs):
        for using in ("", f"using c::{after}") if number % 5 == 0 else ("",):
            said = verdict(context, before, after, using)
            did = observed(connection, before, after, using)
            if said.verdict != did:
                wrong.append(f"{before} to {after} {using}: model {said}, server {did}")
    assert not wrong, "\n".join(wrong[:40])


@pytest.mark.parametrize(
    ("before", "after", "using"),
    [
        ("text", "text", "using c"),
        ("text", "text", "using lower(c)"),
        ("text", "text", "using c || ''"),
        ("text", "varchar", 'using (c::text)::varchar collate "C"'),
        ("varchar(10)", "varchar(20)", "using c::varchar(15)"),
        ("varchar(10)", "varchar(20)", "using c::varchar(5)"),
        ("text", "int4", "using c::int"),
        ("timestamptz", "timestamp", "using c at time zone 'UTC'"),
        ("text", "int4", "using 1"),
        ("mood", "text", "using c::text"),
        ("text", "mood", "using c::mood"),
        ("varchar(5)", "text", "using null"),
    ],
)
def test_using_is_free_only_for_the_column_itself(server: tuple[int, Any], before: str, after: str, using: str) -> None:
    version, connection = server
    connection.execute("set local timezone = 'UTC'")
    connection.execute("savepoint pair")
    assert verdict(context_of(version, "UTC"), before, after, using).verdict == observed(
        connection, before, after, using
    )


@pytest.mark.parametrize(
    ("zone", "is_rewrite"),
    [("UTC", False), ("Etc/UTC", False), ("GMT", False), ("0", False), ("+00:00", False), ("Zulu", False),
     ("Africa/Abidjan", True), ("Europe/Berlin", True), (None, None)],
)  # fmt: skip
def test_a_zone_that_is_not_known_to_be_utc_is_not_guessed(zone: str | None, is_rewrite: bool | None) -> None:
    assert verdict(context_of(18, zone), "timestamptz", "timestamp").is_rewrite is is_rewrite


def test_types_that_nobody_made_are_not_guessed() -> None:
    context = context_of(18, "UTC")
    assert verdict(context, "geometry", "text").is_rewrite is None
    assert verdict(context, "text", "some_enum", "using c::some_enum").is_rewrite is None
    assert verdict(context, "vector(3)", "vector(4)").is_rewrite is None
    assert verdict(context, "geometry", "geometry").is_rewrite is False
    assert verdict(context, "geometry", "text", "using st_astext(c)").is_rewrite is True


@pytest.mark.parametrize(
    ("before", "after", "is_lossy"),
    [("timestamptz", "date", True), ("numeric(10,4)", "numeric(10,2)", True), ("numeric(10,2)", "int4", True),
     ("int8", "int4", False), ("text", "varchar(10)", False), ("timestamp(6)", "timestamp(3)", True),
     ("timestamp(3)", "timestamp", False), ("numeric(10,2)", "numeric", False), ("json", "jsonb", False)],
)  # fmt: skip
def test_what_a_change_loses_without_an_error(before: str, after: str, is_lossy: bool) -> None:
    context = context_of(18, "UTC")
    assert coercion.is_lossy(context.database, type_of(context, before), type_of(context, after)) is is_lossy


@pytest.mark.parametrize(
    ("before", "after", "is_breaking"),
    [("text", "int4", True), ("int4", "int8", False), ("int4", "text", True), ("text", "varchar(10)", False),
      ("text", "text[]", True), ("timestamp", "timestamptz", False), ("free_int", "int8", False),
     ("uuid", "text", True)],
)  # fmt: skip
def test_another_kind_of_value_breaks_clients(before: str, after: str, is_breaking: bool) -> None:
    context = context_of(18, "UTC")
    assert coercion.is_breaking(context.database, type_of(context, before), type_of(context, after)) is is_breaking


def test_a_type_is_written_as_the_server_writes_it(server: tuple[int, Any]) -> None:
    version, connection = server
    context = context_of(version, None)
    connection.execute(f"create table t ({', '.join(f'c{place} {text}' for place, text in enumerate(TYPES))})")
    rows = connection.execute(
        "select format_type(atttypid, atttypmod) from pg_attribute where attrelid = 't'::regclass and attnum > 0 "
        "order by attnum"
    ).fetchall()
    assert [(type_text(type_of(context, text)) or "").removeprefix("public.") for text in TYPES] == [
        row[0] for row in rows
    ]
