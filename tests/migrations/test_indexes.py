"""Indexes: made, dropped, rebuilt, renamed, on partitions too; the schema on real servers and the effects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryfit.migrations.interpret.naming import NAME_BYTES, made_up
from queryfit.migrations.steps import ACCESS_EXCLUSIVE, SHARE, SHARE_UPDATE_EXCLUSIVE
from tests.migrations.replaying import facts, last_effects, last_step, replayed
from tests.migrations.states import states
from tests.servers import Cluster

BEFORE = """
create table t (id int primary key, a int, b text, c date);
create index t_a on t (a);
create unique index t_u on t (a);
create view v as select a from t;
create materialized view m as select a, b from t;
create table r (a int references t (a));
create table pt (id int, k int, v text) partition by list (k);
create table pt1 partition of pt for values in (1);
create table pt2 partition of pt for values in (2) partition by list (id);
create table pt21 partition of pt2 for values in (1);
create table ptd partition of pt default;
create index pti on only pt (id);
create index pt1i on pt1 (id);
create index whole on pt (k);
create table par (id int);
create table ch () inherits (par);
"""
CASES = [
    "create index on t (b)",
    "create index on t (lower(b), a)",
    "create index on t ((a + 1))",
    "create index on t ((a + 1), (a + 2), lower(b), lower(b))",
    'create index on t ((b::int), (coalesce(a, 1)), (case when a > 1 then 1 end), (a::text collate "C"))',
    "create index on t (extract(year from c))",
    "create index on t (b) include (a)",
    "create index on t (a, b) include (a, c)",
    "create unique index on t (a); drop index t_u; alter table r drop constraint r_a_fkey",
    "create index on only pt2 (v); create index on pt (v)",
    "create index t_a on t (b)",
    "create index if not exists t_a on t (b)",
    "create unique index q on t (b) include (a) where a > 3",
    "create index on v (a)",
    "create index on m (a)",
    "create index on t (nix)",
    "create index on nix (a)",
    "create index on t using hash (a)",
    "create index concurrently on t (b)",
    "create index concurrently q on pt (v)",
    "drop index concurrently t_a",
    "drop index concurrently t_a, t_u",
    "drop index concurrently whole",
    "drop index t_a",
    "drop index t_pkey",
    "drop index t_u",
    "drop index t_u cascade",
    "drop index t",
    "drop index nix",
    "drop index if exists nix",
    "drop index pti",
    "drop index whole",
    "drop index pt1_k_idx",
    "reindex table t",
    "reindex index t_a",
    "reindex schema public",
    "reindex table concurrently t",
    "reindex table pt",
    "alter index t_a rename to zz",
    "alter index t_pkey rename to zz",
    "alter index t_a rename to t_u",
    "alter index t_a set (fillfactor = 50)",
    "alter index t_a set tablespace pg_default",
    "alter index if exists nix rename to zz",
    "alter index whole rename to zz",
    "create index on pt (v)",
    "create index on only pt (v)",
    "create index on pt1 (v)",
    "create unique index on pt (id)",
    "create unique index on pt (k, id)",
    "create unique index on pt2 (k, id)",
    "create index on pt (id)",
    "create index fff on pt (v)",
    "create index on par (id)",
    "alter index pti attach partition pt1i",
    "alter index pti attach partition t_a",
    (
        "alter index pti attach partition pt1i; create index i2 on pt2 (id); alter index pti attach partition i2; "
        "create index i3 on ptd (id); alter index pti attach partition i3"
    ),
    "create table pt3 partition of pt for values in (3)",
    "alter table pt add primary key (id, k)",
]


def test_the_schema_is_the_servers(cluster: Cluster, database: str) -> None:
    with states(cluster, database) as tried:
        assert tried.differences(BEFORE, CASES) == []


@pytest.mark.parametrize(
    ("statement", "level", "is_build"),
    [
        ("create index on orders (a)", SHARE, True),
        ("create index concurrently on orders (a)", SHARE_UPDATE_EXCLUSIVE, False),
    ],
)
def test_a_build_stops_writes_unless_it_is_concurrent(statement: str, level: int, is_build: bool) -> None:
    run = replayed(statement)
    (effect,) = last_effects(run)
    assert facts(effect, "relation", "object_name", "columns", "lock_level", "is_index_build") == (
        "public.orders", "public.orders_a_idx", "a", level, is_build,
    )  # fmt: skip


def test_concurrently_is_refused_in_a_transaction() -> None:
    step = last_step(replayed("create index concurrently on orders (a)", transactions="file"))
    assert step.refused_in_transaction == "CREATE INDEX CONCURRENTLY"
    assert step.refusal is not None
    assert last_step(replayed("create index concurrently on orders (a)")).refusal is None


def test_expressions_are_shown_as_written() -> None:
    (effect,) = last_effects(
        replayed("create index i on orders using gin (a, (doc -> 'x, y'),\n lower( b )) where a > 0")
    )
    assert effect.columns == "a, (doc -> 'x, y'), lower( b )"
    assert effect.definition == "gin"


def test_an_index_of_a_partitioned_table_is_built_on_its_partitions() -> None:
    run = replayed(
        "create table p (k int, v int) partition by list (k); create table p1 partition of p for values in (1);"
        "create table p2 partition of p for values in (2); create index p2_v on p2 (v)",
        "create index on p (v)",
    )
    assert {effect.relation: (effect.lock_level, effect.is_index_build) for effect in last_effects(run)} == {
        "public.p": (SHARE, False), "public.p1": (SHARE, True), "public.p2": (SHARE, False),
    }  # fmt: skip


def test_dropping_an_index_stops_all_work_on_its_table() -> None:
    run = replayed("create table t (a int); create index i on t (a)", "drop index i")
    (effect,) = last_effects(run)
    assert facts(effect, "relation", "object_name", "lock_level") == ("public.t", "public.i", ACCESS_EXCLUSIVE)


def test_dropping_an_index_that_nobody_made_names_no_table() -> None:
    (effect,) = last_effects(replayed("drop index orders_a"))
    assert facts(effect, "relation", "object_name", "is_known") == (None, "public.orders_a", False)


@given(st.text(min_size=1, max_size=90), st.text(max_size=90), st.sampled_from(["", "idx", "not_null", "fkey12"]))
def test_a_made_up_name_fits(first: str, second: str, label: str) -> None:
    first, second = first.encode(errors="ignore").decode(), second.encode(errors="ignore").decode()
    name = made_up(first, second, label)
    assert len(name.encode()) <= NAME_BYTES
    assert name.endswith(label)
