"""Actions on columns: what the schema is afterwards, and what rules need to know of each."""

from __future__ import annotations

from typing import Any

import pytest

from queryfit.migrations.files import MigrationFile
from queryfit.migrations.model import Column, Database, Name, Relation
from queryfit.migrations.replay import Run, replay
from queryfit.migrations.steps import Effect
from queryfit.migrations.type_names import type_text

SHOP = """
create table customers (id bigint primary key, email varchar(50) unique);
create table orders (id bigint primary key, customer_id bigint references customers, n int not null default 1,
  note varchar(20), total numeric(10,2) check (total >= 0), constraint noted check (note <> ''));
create index orders_note on orders (note);
create index orders_lower on orders (lower(note));
create view paid as select id, total from orders;
"""


def run(change: str, *, before: str = SHOP, version: int = 18, zone: str | None = None) -> Run:
    """Replay a state and then a change to it, in files of their own."""
    database = Database(time_zone=zone)
    files = [MigrationFile(None, name, text, text, "psql", "each") for name, text in (("a", before), ("b", change))]
    found = replay(files, version=version, before=database)
    assert [step.refusal for step in found.steps if step.file == 0 and step.refusal] == []
    return found


def effects(found: Run) -> list[Effect]:
    own = {step.number for step in found.steps if step.file == 1}
    return [effect for effect in found.effects if effect.step in own]


def only(found: Run, action: str) -> Effect:
    matching = [effect for effect in effects(found) if effect.action == action]
    assert len(matching) == 1, effects(found)
    return matching[0]


def refusal(found: Run) -> str | None:
    return next((step.refusal for step in found.steps if step.refusal), None)


def table(found: Run, name: str = "orders") -> Relation:
    return found.databases[0].relations[Name("public", name)]


def column(found: Run, name: str, of: str = "orders") -> Column:
    return table(found, of).columns[name]


# adding


@pytest.mark.parametrize(
    ("definition", "facts"),
    [
        ("x int", {"is_rewrite": False, "is_scan": False, "is_default": False, "type_after": "integer"}),
        ("x int not null", {"is_rewrite": False, "is_scan": True, "object_name": "not null", "is_validated": False}),
        ("x int not null default 0", {"is_rewrite": False, "is_scan": False, "definition": "0"}),
        ("x timestamptz default now() not null", {"is_rewrite": False, "is_scan": False, "definition": "now()"}),
        ("x uuid default gen_random_uuid()", {"is_rewrite": True, "reason": "default gen_random_uuid() is volatile"}),
        ("x uuid default uuid_generate_v4()", {"is_rewrite": True}),
        ("x int default nobody_knows()", {"is_rewrite": None, "is_index_rebuild": None}),
        ("x serial", {"is_rewrite": True, "new_name": "serial", "type_after": "integer", "is_index_rebuild": True}),
        ("x int generated always as identity", {"is_rewrite": True, "new_name": "identity"}),
        ("x int generated always as (n + 1) stored", {"is_rewrite": True, "new_name": "stored"}),
        ("x int generated always as (n + 1) virtual", {"is_rewrite": False, "new_name": "virtual", "is_scan": False}),
        ("x int generated always as (n + 1) virtual not null", {"is_rewrite": False, "is_scan": True}),
        ("x varchar(20)[]", {"type_after": "character varying(20)[]"}),
        ("n int", {"is_present": False}),
    ],
)
def test_an_added_column_says_what_it_costs(definition: str, facts: dict[str, Any]) -> None:
    effect = only(run(f"alter table orders add column {definition}"), "add column")
    assert {name: getattr(effect, name) for name in facts} == facts
    assert effect.lock_level == 8


def test_a_domain_with_constraints_is_checked_row_by_row() -> None:
    before = SHOP + "create domain positive as int check (value > 0); create domain free as int default 3;"
    assert only(run("alter table orders add x positive", before=before), "add column").is_rewrite is True
    free = only(run("alter table orders add x free", before=before), "add column")
    assert (free.is_rewrite, free.is_default) == (False, True)


def test_constraints_behind_a_column_are_effects_of_their_own() -> None:
    found = run("alter table orders add x int default 1 check (x > 0) unique references customers")
    assert {(effect.action, effect.columns) for effect in effects(found)} >= {
        ("add check", "x"),
        ("add unique", "x"),
        ("add foreign key", "x"),
    }


def test_a_reference_of_a_column_without_a_default_needs_no_look() -> None:
    assert only(run("alter table orders add x bigint references customers"), "add foreign key").is_scan is False
    written = run("alter table orders add x bigint default null references customers")
    assert only(written, "add foreign key").is_scan is True


def test_the_schema_has_the_column_and_its_sequence() -> None:
    found = run("alter table orders add x serial, add y text collate \"C\" default 'a'")
    assert type_text(column(found, "x").type) == "integer"
    assert column(found, "x").is_not_null
    assert [sequence.name.name for sequence in found.databases[0].owned_sequences(Name("public", "orders"), "x")] == [
        "orders_x_seq"
    ]
    assert (column(found, "y").collation, column(found, "y").default) == (Name("", "C"), "constant")


def test_partitions_and_children_do_the_work() -> None:
    before = """
    create table events (id int, at date) partition by range (at);
    create table events_1 partition of events for values from ('2024-01-01') to ('2025-01-01');
    create table base (id int); create table derived () inherits (base);
    """
    found = run("alter table events add x uuid default gen_random_uuid()", before=before)
    assert only(found, "add column").is_rewrite is False
    assert only(found, "also lock").is_rewrite is True
    assert "x" in table(found, "events_1").columns
    both = run("alter table base add x int not null", before=before)
    assert (only(both, "add column").is_scan, only(both, "also lock").is_scan) == (True, True)
    assert refusal(run("alter table only base add x int", before=before)) == "column must be added to child tables too"
    assert refusal(run("alter table events_1 add x int", before=before)) == "cannot add column to a partition"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("alter table orders add n int", "already exists"),
        ("alter table orders add xmin int", "system column"),
        ("alter table orders add x int default (select 1)", "subquery"),
        ("alter table orders add x int default n", "column reference"),
        ("alter table orders add x int default 1 default 2", "multiple default"),
        ("alter table orders add x serial default 2", "multiple default"),
        ("alter table orders add x int generated always as identity default 2", "default and identity"),
        ("alter table orders add x int generated always as (random()) stored", "not immutable"),
        ("alter table orders add x text generated always as identity", "identity column type"),
        ("alter table orders alter missing type text", "does not exist"),
        ("alter table orders alter total type numeric", "used by a view"),
        ("alter table orders alter note type int", "cannot be cast automatically"),
        ("alter table orders alter n type serial", 'type "serial" does not exist'),
        ("alter table orders alter missing set not null", "does not exist"),
        ("alter table orders alter id drop not null", "primary key"),
        ("alter table orders drop total", "other objects depend"),
        ("alter table customers drop id", "other objects depend"),
        ("alter table orders drop missing", "does not exist"),
        ("alter table orders alter n drop expression", "not a stored generated column"),
        ("alter table orders alter note add generated always as identity", "must be declared NOT NULL"),
        ("alter table orders alter n add generated always as identity", "already has a default"),
        ("alter table orders alter n drop identity", "not an identity column"),
    ],
)
def test_what_is_refused_for_sure_leaves_the_schema_as_it_was(change: str, words: str) -> None:
    found = run(change)
    assert words in (refusal(found) or "")
    untouched = run("select 1")
    assert table(found).columns == table(untouched).columns
    assert table(found).constraints.keys() == table(untouched).constraints.keys()


# types


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        ("note type varchar(30)", {"is_rewrite": False, "is_scan": True, "is_index_rebuild": True}),
        ("note type varchar(10)", {"is_rewrite": True, "is_index_rebuild": True, "is_scan": False}),
        ("n type bigint", {"is_rewrite": True, "type_before": "integer", "type_after": "bigint", "is_breaking": False}),
        ("n type text using n::text", {"is_rewrite": True, "is_breaking": True, "definition": "n::text"}),
        ("customer_id type int", {"is_rewrite": True, "is_scan": True, "other_relation": "public.customers"}),
        ("n type int", {"is_rewrite": False, "is_scan": False, "is_index_rebuild": False}),
    ],
)
def test_a_type_change_says_what_it_costs(change: str, facts: dict[str, Any]) -> None:
    effect = only(run(f"alter table orders alter {change}"), "alter column type")
    assert {name: getattr(effect, name) for name in facts} == facts


def test_only_what_reads_the_column_is_done_again() -> None:
    before = "create table t (a varchar(10), b int check (b > 0)); create index on t (b); create index on t (a);"
    effect = only(run("alter table t alter a type text", before=before), "alter column type")
    assert (effect.is_rewrite, effect.is_scan, effect.is_index_rebuild) == (False, False, False)
    collated = run('alter table t alter a type text collate "C"', before=before)
    assert only(collated, "alter column type").is_index_rebuild is True


def test_tables_tied_by_a_foreign_key_are_locked() -> None:
    found = run("alter table customers alter id type int")
    assert [(effect.relation, effect.is_scan, effect.lock_level) for effect in effects(found)[1:]] == [
        ("public.orders", True, 8)
    ]


def test_a_type_that_is_not_known_is_not_guessed() -> None:
    effect = only(run("alter table elsewhere alter a type text"), "alter column type")
    assert (effect.is_known, effect.is_rewrite, effect.type_before) == (False, None, None)
    computed = only(run("alter table elsewhere alter a type int using length(a)"), "alter column type")
    assert computed.is_rewrite is True
    twice = run("alter table elsewhere alter a type varchar(10); alter table elsewhere alter a type varchar(20)")
    assert [effect.is_rewrite for effect in effects(twice)] == [None, False]


@pytest.mark.parametrize(("zone", "is_rewrite"), [("UTC", False), ("Europe/Berlin", True), (None, None)])
def test_time_zones(zone: str | None, is_rewrite: bool | None) -> None:
    before = "create table t (at timestamptz)"
    found = run("alter table t alter at type timestamp", before=before, zone=zone)
    assert only(found, "alter column type").is_rewrite is is_rewrite
    if zone is None:
        said = run("set time zone 'UTC'; alter table t alter at type timestamp", before=before)
        assert only(said, "alter column type").is_rewrite is False


# NOT NULL, defaults


@pytest.mark.parametrize(
    ("check", "is_scan"),
    [
        ("note is not null", False),
        ("note is not null and n > 0", False),
        ("not (note is null)", False),
        ("not (note is null or n is null)", False),
        ("(note is not null and n > 0) or (note is not null and n < 0)", False),
        ("(note, n) is not null", False),
        ("note is distinct from null", False),
        ("(note is not null) = true", False),
        ("note is not null or n > 0", True),
        ("note <> ''", True),
        ("n is not null", True),
        ("note is not null is true", True),
    ],
)
def test_a_valid_check_saves_the_scan(check: str, is_scan: bool) -> None:
    made = f"alter table orders add constraint proof check ({check}) not valid;"
    valid = run(
        "alter table orders alter note set not null",
        before=f"{SHOP}{made}alter table orders validate constraint proof;",
    )
    assert only(valid, "set not null").is_scan is is_scan
    assert only(run("alter table orders alter note set not null", before=SHOP + made), "set not null").is_scan is True


def test_not_null_once_is_enough() -> None:
    assert only(run("alter table orders alter n set not null"), "set not null").is_scan is False
    assert only(run("alter table orders alter id set not null"), "set not null").is_scan is False
    found = run("alter table orders alter note set not null")
    assert column(found, "note").is_not_null
    assert "orders_note_not_null" in table(found).constraints
    assert (
        "orders_note_not_null" not in table(run("alter table orders alter note set not null", version=17)).constraints
    )
    dropped = run("alter table orders alter n drop not null")
    assert not column(dropped, "n").is_not_null
    assert "orders_n_not_null" not in table(dropped).constraints


def test_defaults_are_for_rows_to_come() -> None:
    effect = only(run("alter table orders alter n set default 2 + 3"), "set default")
    assert (effect.lock_level, effect.definition, effect.is_rewrite) == (8, "2 + 3", False)
    assert column(run("alter table orders alter n drop default"), "n").default is None


# dropping


def test_a_dropped_column_takes_its_indexes_and_constraints_along() -> None:
    found = run("alter table orders drop note")
    effect = only(found, "drop column")
    assert (effect.is_lossy, effect.is_breaking, effect.is_reversible) == (True, True, False)
    assert [index.name.name for index in found.databases[0].indexes_of(table(found))] == ["orders_pkey"]
    assert "noted" not in table(found).constraints


def test_cascade_takes_views_and_foreign_keys_along() -> None:
    found = run("alter table customers drop id cascade; alter table orders drop total cascade")
    assert Name("public", "paid") not in found.databases[0].relations
    assert "orders_customer_id_fkey" not in table(found).constraints
    assert ("also lock", "public.orders", 8) in [(e.action, e.relation, e.lock_level) for e in effects(found)]
    assert only(run("alter table orders drop if exists missing"), "drop column").is_present is False


@pytest.mark.parametrize(
    ("holder", "words"),
    [
        ("create policy own on orders using (n > 0);", "policy"),
        ("create trigger changed before update of n on orders for each row execute function f();", "trigger"),
        (
            "create trigger changed before update on orders for each row when (new.n > 0) execute function f();",
            "trigger",
        ),
    ],
)
def test_what_a_trigger_or_policy_names_stays(holder: str, words: str) -> None:
    before = f"{SHOP}create function f() returns trigger language plpgsql as 'begin end'; {holder}"
    assert words in (refusal(run("alter table orders alter n type bigint", before=before)) or "")
    assert words in (refusal(run("alter table orders drop n", before=before)) or "")
    found = run("alter table orders drop n cascade", before=before)
    assert refusal(found) is None
    assert not table(found).triggers | table(found).policies
    assert refusal(run("alter table orders alter customer_id type numeric", before=before)) is None
    gone = "drop policy if exists own on orders; drop trigger if exists changed on orders;"
    assert refusal(run("alter table orders alter n type bigint", before=before + gone)) is None


def test_a_query_in_a_policy_does_not_hold_columns_by_their_names() -> None:
    policy = "create policy own on orders using (customer_id in (select n from elsewhere));"
    assert refusal(run("alter table orders alter n type bigint", before=SHOP + policy)) is None
    assert "policy" in (refusal(run("alter table orders alter customer_id type int", before=SHOP + policy)) or "")


# identity and generated columns


def test_identity_comes_and_goes_without_a_rewrite() -> None:
    before = "create table t (a int not null, b int generated always as (a + 1) stored)"
    found = run("alter table t alter a add generated always as identity", before=before)
    assert (column(found, "a", "t").identity, only(found, "add identity").is_rewrite) == ("a", False)
    gone = run(
        "alter table t alter a add generated by default as identity; alter table t alter a drop identity", before=before
    )
    assert column(gone, "a", "t").identity == ""
    assert gone.databases[0].owned_sequences(Name("public", "t"), "a") == []


def test_a_new_expression_is_computed_for_every_row() -> None:
    before = "create table t (a int, b int generated always as (a + 1) stored, c int generated always as (a) virtual)"
    assert (
        only(run("alter table t alter b set expression as (a + 2)", before=before), "set expression").is_rewrite is True
    )
    assert (
        only(run("alter table t alter c set expression as (a + 2)", before=before), "set expression").is_rewrite
        is False
    )
    old = run(
        "alter table t alter b set expression as (a + 2)",
        before=before.replace(", c int generated always as (a) virtual", ""),
        version=16,
    )
    assert refusal(old) == "SET EXPRESSION needs PostgreSQL 17"
    plain = run("alter table t alter b drop expression", before=before)
    assert column(plain, "b", "t").generated == ""


@pytest.mark.parametrize(
    ("change", "action", "level"),
    [("n set statistics 100", "set statistics", 4), ("n set (n_distinct = 3)", "set statistics", 4),
     ("note set storage external", "set storage", 8), ("note set compression pglz", "set compression", 8)],
)  # fmt: skip
def test_how_values_are_kept_is_noted_only(change: str, action: str, level: int) -> None:
    effect = only(run(f"alter table orders alter {change}"), action)
    assert (effect.lock_level, effect.is_rewrite, effect.is_scan) == (level, False, False)
