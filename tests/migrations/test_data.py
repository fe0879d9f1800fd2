"""Statements on rows and maintenance: what they lock, write anew and read."""

from __future__ import annotations

import pytest

from tests.migrations.replaying import facts, last_effects, last_step, replayed


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        # action, relation, lock, definition, has WHERE
        ("insert into t values (1)", [("insert", "public.t", 3, "values", None)]),
        ("insert into t default values", [("insert", "public.t", 3, "default values", None)]),
        ("insert into t select * from u", [("insert", "public.t", 3, "select", None)]),
        ("insert into t with u as (select 1) select * from u", [("insert", "public.t", 3, "select", None)]),
        ("update t set a = 1", [("update", "public.t", 3, None, False)]),
        ("update shop.t set a = 1 where id = 1", [("update", "shop.t", 3, None, True)]),
        ("delete from t", [("delete", "public.t", 3, None, False)]),
        ("delete from t using u where u.id = t.id", [("delete", "public.t", 3, None, True)]),
        ("merge into t using u on t.id = u.id when matched then delete", [("merge", "public.t", 3, None, None)]),
        ("copy t from stdin", [("copy", "public.t", 3, "from", None)]),
        ("copy t to stdout", [("copy", "public.t", 1, "to", None)]),
        ("copy (select * from t) to stdout", []),
        ("copy (delete from t returning *) to stdout", [("delete", "public.t", 3, None, False)]),
        ("select * from t for update", [("select", "public.t", 2, "for update", None)]),
        ("select * from t a, u b for share of b", [("select", "public.u", 2, "for update", None)]),
        (
            "select * from t join u using (id) for no key update",
            [("select", "public.t", 2, "for update", None), ("select", "public.u", 2, "for update", None)],
        ),
        ("with t as (select 1) select * from t for update", []),
        (
            "with gone as (delete from t returning *) insert into u select * from gone",
            [("delete", "public.t", 3, None, False), ("insert", "public.u", 3, "select", None)],
        ),
        (
            "with a as (update t set b = 1 returning *), b as (insert into u values (1)) select 1",
            [("update", "public.t", 3, None, False), ("insert", "public.u", 3, "values", None)],
        ),
        ("select * from t", []),
        ("select setval('s', 1)", [("select", "public.s", 3, "setval", None)]),
        ("select pg_catalog.setval('shop.\"S\"'::regclass, 1, false)", [("select", 'shop."S"', 3, "setval", None)]),
        ("select nextval('s') from t", [("select", "public.s", 3, "nextval", None)]),
    ],
)
def test_rows(statement: str, expected: list[tuple[object, ...]]) -> None:
    effects = last_effects(replayed(statement))
    assert [
        facts(effect, "action", "relation", "lock_level", "definition", "has_where") for effect in effects
    ] == expected


def test_setval_through_pg_get_serial_sequence() -> None:
    run = replayed("create table t (id serial); select setval(pg_get_serial_sequence('t', 'id'), max(id)) from t")
    assert ("select", "public.t_id_seq", 3) in [
        facts(effect, "action", "relation", "lock_level") for effect in last_effects(run)
    ]


def test_partitions_are_locked_with_their_table() -> None:
    made = "create table p (id int) partition by range (id); create table p1 partition of p for values from (0) to (9);"
    for statement, level in (
        ("update p set id = 1", 3),
        ("delete from p", 3),
        ("lock table p in share mode", 5),
        ("analyze p", 4),
    ):
        effects = last_effects(replayed(made + statement))
        assert [facts(effect, "relation", "lock_level") for effect in effects] == [
            ("public.p", level),
            ("public.p1", level),
        ]
    assert len(last_effects(replayed(made + "delete from only p"))) == 1


def test_a_view_hands_changes_down() -> None:
    made = "create table t (id int); create view v as select id from t; create view w as select id from v;"
    effects = last_effects(replayed(made + "delete from w"))
    assert [facts(effect, "relation", "lock_level") for effect in effects] == [
        ("public.w", 3),
        ("public.v", 3),
        ("public.t", 3),
    ]
    effects = last_effects(replayed(made + "lock table w"))
    assert {facts(effect, "relation", "lock_level") for effect in effects} == {
        ("public.w", 8),
        ("public.v", 8),
        ("public.t", 8),
    }


@pytest.mark.parametrize(
    ("statement", "levels"),
    [
        ("lock t", [8]), ("lock table t in access share mode", [1]), ("lock table t, u in row exclusive mode", [3, 3]),
        ("lock table t in share row exclusive mode nowait", [6]), ("lock t in exclusive mode", [7]),
    ],
)  # fmt: skip
def test_lock_table(statement: str, levels: list[int]) -> None:
    effects = last_effects(replayed(statement))
    assert [effect.lock_level for effect in effects] == levels
    assert {effect.action for effect in effects} == {"lock table"}


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        # action, relation, lock, rewrite
        ("vacuum t", ("vacuum", "public.t", 4, False)),
        ("vacuum full t", ("vacuum full", "public.t", 8, True)),
        ("vacuum (full, analyze) t", ("vacuum full", "public.t", 8, True)),
        ("vacuum (full false) t", ("vacuum", "public.t", 4, False)),
        ("vacuum (full off, analyze) t", ("vacuum", "public.t", 4, False)),
        ("analyze t", ("analyze", "public.t", 4, False)),
        ("analyze", ("analyze", None, 4, False)),
        ("vacuum full", ("vacuum full", None, 8, True)),
        ("cluster t using t_i", ("cluster", "public.t", 8, True)),
        ("cluster", ("cluster", None, 8, True)),
    ],
)
def test_maintenance(statement: str, expected: tuple[object, ...]) -> None:
    (effect,) = last_effects(replayed(statement))
    assert facts(effect, "action", "relation", "lock_level", "is_rewrite") == expected
    assert effect.is_index_rebuild == effect.is_rewrite


def test_maintenance_of_everything_names_what_is_known() -> None:
    run = replayed("create table t (id int); create view v as select 1; vacuum full")
    assert [facts(effect, "relation", "is_rewrite") for effect in last_effects(run)] == [
        (None, True),
        ("public.t", True),
    ]


def test_cluster_needs_an_index() -> None:
    made = "create table t (id int); create index t_i on t (id);"
    assert last_step(replayed(made + "cluster t")).refusal is not None
    assert last_step(replayed(made + "cluster t using absent")).refusal is not None
    assert last_step(replayed(made + "cluster t using t_i; cluster t")).refusal is None
    assert last_step(replayed("cluster elsewhere")).refusal is None


@pytest.mark.parametrize(
    "call", ["create_hypertable('t', 'at')", "create_distributed_table('t', 'id')", "partman.create_parent('t')"]
)
def test_calls_of_extensions_that_change_the_schema_are_unseen(call: str) -> None:
    assert last_step(replayed(f"select {call}")).unseen is not None


def test_system_tables_are_not_taken_for_the_users() -> None:
    run = replayed("update pg_catalog.pg_class set reltuples = 1; create view v as select relname from pg_class")
    assert {name.name for name in run.databases[0].relations} == {"v"}


def test_the_catalog_is_no_table_of_the_schema() -> None:
    run = replayed(
        "update pg_index set indisready = true", "delete from pg_catalog.pg_statistic; create table pg_own ()"
    )
    assert [effect.relation for effect in run.effects] == [
        "pg_catalog.pg_index", "pg_catalog.pg_statistic", "public.pg_own",
    ]  # fmt: skip
