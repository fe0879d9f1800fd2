"""Facts that only the rest of a run can tell."""

from __future__ import annotations

import pytest

from queryfit.migrations.files import MigrationFile, Transactions
from queryfit.migrations.replay import Run, replay
from queryfit.migrations.steps import Effect


def run(*texts: str, history: int = 0, in_transaction: bool = True) -> Run:
    """The files in their order; the first `history` of them are not judged."""
    transactions: Transactions = "file" if in_transaction else "each"
    return replay(
        [
            MigrationFile(None, f"{place}.sql", text, text, "psql", transactions, is_linted=place >= history)
            for place, text in enumerate(texts)
        ]
    )


def only(found: Run, action: str) -> Effect:
    (effect,) = [effect for effect in found.effects if effect.action == action]
    return effect


@pytest.mark.parametrize(
    ("second", "returns"),
    [
        ("create view orders as select * from purchases", "transaction"),
        ("alter table spare rename to orders", "transaction"),
        ("create table orders (id bigint)", "transaction"),
        ("create table items (id bigint)", None),
    ],
)
def test_a_name_that_a_rename_takes_away_may_come_back(second: str, returns: str | None) -> None:
    first = "alter table orders rename to purchases;"
    renamed = run(first + second).effects[0]
    assert (renamed.new_relation, renamed.name_returns) == ("public.purchases", returns)
    apart = run(first + second, in_transaction=False).effects[0]
    assert apart.name_returns == ("file" if returns else None)


def test_a_name_does_not_come_back_in_another_file() -> None:
    found = run("drop view orders", "create view orders as select 1 as id")
    assert only(found, "drop view").name_returns is None


def test_what_takes_the_place_of_another_is_swapped_in() -> None:
    found = run("alter table orders rename to old; alter table spare rename to orders")
    assert [effect.name_returns for effect in found.effects if effect.action == "rename table"] == [
        "transaction",
        "swap",
    ]


def test_a_renamed_column_has_a_new_name_and_is_no_new_column() -> None:
    dropped = only(run("alter table orders rename column a to b; alter table orders drop column b"), "drop column")
    assert (dropped.is_object_new, dropped.is_name_new) == (False, True)


def test_an_added_column_is_new_under_any_name() -> None:
    text = "alter table orders add column a int; alter table orders rename a to b; alter table orders drop column b"
    dropped = only(run(text), "drop column")
    assert (dropped.is_object_new, dropped.is_name_new) == (True, True)
    assert not only(
        run("alter table orders add column a int", "alter table orders drop a"), "drop column"
    ).is_object_new


def test_set_schema_is_a_rename() -> None:
    moved = only(run("alter table orders set schema sales"), "set schema")
    assert moved.new_relation == "sales.orders"


@pytest.mark.parametrize(
    ("index", "has_index"),
    [
        ("", False),
        ("create index on t (a, b, c)", True),
        ("create index on t (b, a)", True),
        ("create index on t (c, a, b)", False),
        ("create index on t (a)", False),
        ("create index on t using gin (a, b)", False),
        ("create index on t (a, b) where a is not null", True),
        ("create index on t (a, b) where c is not null", False),
        ("create index on t (a, b) where a > 0", False),
        ("create index on t (lower(c), a, b)", False),
        ("alter table t add primary key (b, a)", True),
    ],
)
def test_an_index_that_leads_with_the_columns_of_a_foreign_key_may_come_later(index: str, has_index: bool) -> None:
    made = "create table t (a int, b int, c text); alter table t add foreign key (a, b) references u (a, b);"
    assert only(run(made, index), "add foreign key").has_index is has_index


def test_indexes_of_a_table_that_nobody_made_are_not_known() -> None:
    assert only(run("alter table t add foreign key (a) references u"), "add foreign key").has_index is None
    assert only(run("alter table t add column a int references u"), "add foreign key").has_index is False


def test_a_foreign_key_of_a_table_that_goes_has_no_fault() -> None:
    found = run("create table t (a int references u)", "drop table t")
    assert only(found, "add foreign key").has_index is None


def test_policies_may_come_later() -> None:
    made = "create table t (a int); alter table t enable row level security"
    assert only(run(made), "set row security").has_policy is False
    assert only(run(made, "create policy p on t using (true)"), "set row security").has_policy is True
    unseen = "do $$ begin execute current_setting('a.b'); end $$"
    assert only(run(made, unseen), "set row security").has_policy is None


def test_a_refusal_behind_what_cannot_be_seen_is_not_certain() -> None:
    seen = run("create table t (a int)", "alter table t drop column b")
    assert seen.steps[-1].refusal == 'column "b" of relation "t" does not exist'
    unseen = run("create table t (a int)", "do $$ begin execute current_setting('a.b'); end $$", "alter table t drop b")
    assert unseen.steps[-1].refusal is None
    assert unseen.steps[-1].unfollowed is not None


def test_history_is_not_told_about() -> None:
    found = run("alter table orders rename to old; create view orders as select 1 as id", history=1)
    assert found.effects[0].name_returns is None
