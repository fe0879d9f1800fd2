# ruff: noqa: E501 - tables of statements
"""Triggers, rules, policies, privileges, comments, sequences, schemas, and that every kind of statement is known."""

from __future__ import annotations

import pglast.ast
import pytest

from queryfit.migrations.interpret import HANDLERS
from queryfit.migrations.model import Name
from tests.migrations.replaying import facts, last_effects, last_step, relation, replayed

NO_STATEMENTS = {"RawStmt", "ReplicaIdentityStmt", "SetOperationStmt", "PLAssignStmt", "ReturnStmt"}
"""Parts of statements, and what only PL/pgSQL and bodies of functions hold."""


def test_every_kind_of_statement_is_known() -> None:
    kinds = {name for name in dir(pglast.ast) if name.endswith("Stmt")}
    assert kinds - NO_STATEMENTS - set(HANDLERS) == set()


@pytest.mark.parametrize(
    ("statement", "action", "relation_name", "lock_level", "object_name"),
    [
        (
            "create trigger tr before insert on t for each row execute function f()",
            "create trigger",
            "public.t",
            6,
            "tr",
        ),
        ("create or replace trigger tr after update on t execute function f()", "create trigger", "public.t", 6, "tr"),
        (
            "create constraint trigger tr after insert on t for each row execute function f()",
            "create trigger",
            "public.t",
            6,
            "tr",
        ),
        ("create rule r as on insert to t do instead nothing", "create rule", "public.t", 8, "r"),
        ("create policy p on t using (true)", "create policy", "public.t", 8, "p"),
        ("comment on table t is 'x'", "comment", "public.t", 4, None),
        ("comment on column shop.t.a is 'x'", "comment", "shop.t", 4, None),
        ("comment on view v is 'x'", "comment", "public.v", 4, None),
        ("comment on constraint c on t is 'x'", "comment", "public.t", 1, "c"),
        ("comment on trigger tr on t is 'x'", "comment", "public.t", 1, "tr"),
        ("comment on function f(int) is 'x'", "comment", "public.f", 0, None),
        ("comment on schema s is 'x'", "comment", "s", 0, None),
        ("create statistics st on a, b from t", "create object", "public.t", 4, "public.st"),
        ("alter sequence s restart", "alter sequence", "public.s", 6, None),
        ("alter sequence shop.s increment 2 owned by none", "alter sequence", "shop.s", 6, None),
        ("create sequence s", "create sequence", "public.s", 8, None),
        ("alter extension hstore update to '1.8'", "alter extension", "hstore", 0, None),
        ("create role joe login", "create object", "joe", 0, None),
        ("alter role \"Joe\" set work_mem = '1GB'", "alter object", None, 0, None),
        ("create aggregate total(int) (sfunc = int4pl, stype = int)", "create object", "public.total", 0, None),
        ("create event trigger e on ddl_command_start execute function f()", "create object", "e", 0, None),
        ("drop role joe", "drop object", "joe", 0, None),
        ("create server s foreign data wrapper f", "create object", "s", 0, None),
        ("create cast (text as mood) with inout", "create object", None, 0, None),
    ],
)
def test_what_a_statement_locks(
    statement: str, action: str, relation_name: str | None, lock_level: int, object_name: str | None
) -> None:
    run = replayed(statement)
    assert last_step(run).unfollowed is None
    (effect,) = last_effects(run)
    assert facts(effect, "action", "relation", "lock_level", "object_name") == (
        action,
        relation_name,
        lock_level,
        object_name,
    )


def test_a_row_trigger_of_a_partitioned_table_is_made_below_too() -> None:
    run = replayed(
        "create table p (id int) partition by range (id); create table p1 partition of p for values from (0) to (9);"
        "create trigger tr before insert on p for each row execute function f()"
    )
    assert [facts(effect, "action", "relation", "lock_level") for effect in last_effects(run)] == [
        ("create trigger", "public.p", 6), ("also lock", "public.p1", 6),
    ]  # fmt: skip
    run = replayed(
        "create table p (id int) partition by range (id); create trigger tr after insert on p execute function f()"
    )
    assert len(last_effects(run)) == 1


@pytest.mark.parametrize(
    ("before", "statement", "refusal"),
    [
        ("create trigger tr before insert on t for each row execute function f()", "create trigger tr after insert on t execute function f()",
         'trigger "tr" for relation public.t already exists'),
        ("create policy p on t", "create policy p on t", 'policy "p" for table public.t already exists'),
        ("create table t (id int)", "alter policy p on t using (true)", 'policy "p" for table public.t does not exist'),
        ("create table t (id int)", "comment on column t.nope is 'x'", 'column "nope" of relation public.t does not exist'),
        ("create sequence s", "create sequence s", "relation public.s already exists"),
        ("create table t (id int)", "alter sequence t restart", "public.t is not a sequence"),
        ("create table t (id int)", "create sequence s owned by t.nope", 'column "nope" of relation public.t does not exist'),
        ("create schema s", "create schema s", "schema s already exists"),
        ("create extension hstore", "create extension hstore", "extension hstore already exists"),
        ("create materialized view m as select 1", "create trigger tr after insert on m execute function f()",
         "public.m is a materialized view, which cannot have triggers"),
        ("create table t (id int)", "create trigger tr instead of insert on t for each row execute function f()", "public.t is a table"),
        ("create view v as select 1 as a", "create trigger tr before insert on v for each row execute function f()", "public.v is a view"),
        ("create view v as select 1 as a", "create trigger tr before insert on v for each statement execute function f()", None),
        ("create view v as select 1 as a", "create trigger tr instead of insert on v for each row execute function f()", None),
        ("select 1", "alter policy p on t using (true)", None),
        ("select 1", "comment on column t.nope is 'x'", None),
    ],
)  # fmt: skip
def test_what_is_refused_for_sure(before: str, statement: str, refusal: str | None) -> None:
    assert last_step(replayed(f"{before}; {statement}")).refusal == refusal


def test_what_needs_a_newer_version() -> None:
    statement = "create or replace trigger tr after update on t execute function f()"
    assert last_step(replayed(statement, version=13)).refusal is not None
    assert last_step(replayed(statement, version=14)).refusal is None
    merge = "merge into t using u on t.id = u.id when matched then delete"
    assert last_step(replayed(merge, version=14)).refusal is not None
    assert last_step(replayed(merge, version=15)).refusal is None


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("grant select, insert on t to public", [("grant", "public.t", "table", "public", "select, insert")]),
        (
            "grant all on t, shop.u to joe",
            [("grant", "public.t", "table", None, "all"), ("grant", "shop.u", "table", None, "all")],
        ),
        ("revoke all on schema s from public", [("revoke", "s", "schema", "public", "all")]),
        (
            "grant execute on function f(int), a.g to joe",
            [("grant", "public.f", "function", None, "execute"), ("grant", "a.g", "function", None, "execute")],
        ),
        ("grant usage on all sequences in schema s to public", [("grant", "s", "schema", "public", "usage")]),
        (
            "alter default privileges in schema s grant select on tables to public",
            [("grant", "s", "schema", "public", "select")],
        ),
        (
            "alter default privileges revoke execute on functions from public",
            [("revoke", None, "other", "public", "execute")],
        ),
        ("grant admin to joe, jane", [("grant role", "admin", "role", "joe, jane", None)]),
        ("revoke admin from joe", [("revoke", "admin", "role", "joe", None)]),
        ("grant usage on type mood to joe", [("grant", "mood", "type", None, "usage")]),
    ],
)
def test_privileges(statement: str, expected: list[tuple[object, ...]]) -> None:
    effects = last_effects(replayed(statement))
    assert [
        facts(effect, "action", "relation", "relation_kind", "object_name", "definition") for effect in effects
    ] == expected


def test_privileges_of_columns() -> None:
    (effect,) = last_effects(replayed("grant select (a, b) on t to joe"))
    assert effect.columns == "a, b"


def test_a_schema_with_its_objects() -> None:
    run = replayed(
        "create schema s create view v as select id from t create table t (id int); create table s.u (id int)"
    )
    assert set(run.databases[0].relations) == {Name("s", "t"), Name("s", "v"), Name("s", "u")}
    assert [effect.action for effect in run.effects][:3] == ["create schema", "create table", "create view"]
    again = replayed("create schema s; create schema if not exists s")
    assert (last_effects(again)[0].is_present, last_step(again).refusal) == (False, None)


def test_a_sequence_knows_its_column() -> None:
    run = replayed("create table t (id int); create sequence s owned by t.id")
    assert relation(run, "s").owned_by == (Name("public", "t"), "id")
    run = replayed("create table t (id int); create sequence s owned by t.id; alter sequence s owned by none")
    assert relation(run, "s").owned_by is None


def test_an_extension_goes_into_its_schema() -> None:
    run = replayed("create extension hstore with schema extensions; create extension if not exists hstore")
    assert run.databases[0].extensions == {"hstore": "extensions"}
    assert last_effects(run)[0].is_present is False


def test_publications_lock_their_tables() -> None:
    run = replayed("create publication p for table t, u where (id > 1), tables in schema s")
    assert [facts(effect, "action", "relation", "lock_level") for effect in last_effects(run)] == [
        ("create object", "p", 0), ("also lock", "public.t", 4), ("also lock", "public.u", 4),
    ]  # fmt: skip


def test_a_rule_locks_what_it_writes_to() -> None:
    run = replayed("create rule r as on insert to t do also insert into log values (new.id)")
    assert [facts(effect, "action", "relation", "lock_level") for effect in last_effects(run)] == [
        ("create rule", "public.t", 8), ("also lock", "public.log", 3),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "statement", ["drop owned by joe", "reassign owned by joe to jane", "import foreign schema a from server s into b"]
)
def test_what_nobody_can_know_beforehand_is_said_to_be_unfollowed(statement: str) -> None:
    assert last_step(replayed(statement)).unfollowed is not None


def test_dropping_a_database_loses_everything() -> None:
    (effect,) = last_effects(replayed("drop database shop"))
    assert facts(effect, "action", "relation", "is_lossy", "is_breaking", "is_reversible") == (
        "drop database", "shop", True, True, False,
    )  # fmt: skip


def test_a_cast_of_ones_own_makes_a_type_change_uncertain_and_not_refused() -> None:
    types = "create type a as enum ('x'); create type b as enum ('x'); create table t (c a);"
    change = "alter table t alter c type b;"
    assert last_step(replayed(types + change)).refusal is not None
    with_cast = f"{types} create cast (a as b) with inout as implicit; {change}"
    assert last_step(replayed(with_cast)).refusal is None
