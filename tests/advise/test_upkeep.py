"""What writes pay for an index, from counters, from statements, and in the order that measurements have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryfit.advise.model import Weighted, Workload
from queryfit.advise.upkeep import TIME, Writes, upkeep, upkeep_of, writes_in, writes_of
from queryfit.evidence.session import example_session
from queryfit.lab.planner import Index, Key, Query
from queryfit.lab.table_facts import ColumnFacts, TableFacts

ROWS = 1_000_000
SALE = TableFacts(
    "public.sale",
    ROWS,
    20_000,
    {
        "id": ColumnFacts("id", "int8", null_fraction=0.0, average_width=8, distinct_values=-1, correlation=1.0),
        "client": ColumnFacts("client", "int4", null_fraction=0.0, average_width=4, distinct_values=5000,
                              correlation=0.0),
        "state": ColumnFacts("state", "text", category="S", null_fraction=0.0, average_width=5, distinct_values=2,
                             common_values_text="{sent,open}", common_frequencies=(0.9, 0.1), correlation=0.82),
        "note": ColumnFacts("note", "text", category="S", null_fraction=0.0, average_width=60, distinct_values=-1),
    },
    unique=(("id",),),
    index_definitions=("CREATE UNIQUE INDEX sale_pkey ON public.sale USING btree (id)",),
)  # fmt: skip
BUSY = Writes(1000, 5000, 5000, 100, {"state": 4000.0, "note": 500.0}, TIME)


def on(*names: str, **options: object) -> Index:
    return Index("public.sale", tuple(Key(name) for name in names), **options)  # type: ignore[arg-type]


def test_nothing_written_costs_nothing() -> None:
    assert upkeep_of(on("client"), SALE, Writes()) == 0


def test_an_index_on_what_updates_set_pays_for_them_and_for_the_others() -> None:
    assert upkeep(on("client"), SALE, BUSY).lost_rows == 0
    assert upkeep(on("state"), SALE, BUSY).lost_rows == 4000
    assert upkeep(on("client", included=("note",)), SALE, BUSY).lost_rows == 500
    partial = upkeep(on("client", predicate="state = 'open'"), SALE, BUSY)
    assert partial.lost_rows == 4000
    assert partial.entries == pytest.approx(0.1 * 5000)
    assert upkeep(on("state", access_method="brin"), SALE, BUSY).lost_rows == 0
    assert upkeep_of(on("state"), SALE, BUSY) > 3 * upkeep_of(on("client"), SALE, BUSY)


def test_hot_is_lost_once() -> None:
    there = (*SALE.index_definitions, "CREATE INDEX sale_state ON public.sale USING btree (state, id)")
    table = TableFacts(SALE.relation, ROWS, SALE.pages, SALE.columns, SALE.unique, index_definitions=there)
    assert upkeep(on("state"), table, BUSY).lost_rows == 0


@pytest.mark.parametrize("unit", [TIME, "cost"])
def test_costs_come_in_the_order_that_was_measured(unit: str) -> None:
    writes = Writes(inserted_rows=10_000, unit=unit)
    trigrams = Index("public.sale", (Key("note", operator_class="gin_trgm_ops"),), access_method="gin")
    costs = [
        upkeep_of(index, SALE, writes)
        for index in (on("client", access_method="brin"), on("id"), on("client"), on("note", "client"), trigrams)
    ]
    assert costs == sorted(costs)
    assert len(set(costs)) == len(costs)
    assert upkeep_of(on("client", predicate="state = 'open'"), SALE, writes) < upkeep_of(on("client"), SALE, writes)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1), st.floats(0, 1e6))
def test_more_writes_never_cost_less(inserted: float, updated: float, hot: float, deleted: float) -> None:
    index = on("state", "client")
    some = Writes(inserted, updated, updated * hot, deleted, {"state": updated / 2}, TIME)
    more = Writes(inserted + 1, updated * 2, updated * 2 * hot, deleted + 1, {"state": updated}, TIME)
    assert 0 <= upkeep_of(index, SALE, some) < upkeep_of(index, SALE, more)


COUNTERS = """
    insert into server (captured_at) values ('2026-01-11 00:00:00');
    insert into database (database, counters_since) values ('d', '2026-01-01 00:00:00');
    insert into relation (database, relation, root, kind) values
        ('d', 'public.a', 'public.a', 'table'), ('d', 'public.p', 'public.p', 'partitioned_table'),
        ('d', 'public.p1', 'public.p', 'table'), ('d', 'public.p2', 'public.p', 'table');
    insert into relation_counter (database, relation, inserted_rows, updated_rows, hot_updated_rows, deleted_rows)
    values ('d', 'public.a', 1000, 500, 200, 10), ('d', 'public.p1', 30, 0, 0, 0), ('d', 'public.p2', 50, 0, 0, 0);
"""


def test_writes_a_day_come_from_counters() -> None:
    with example_session(COUNTERS) as session:
        writes = writes_of(session, "d")
    assert writes["public.a"] == Writes(100, 50, 20, 1, {}, TIME)
    assert writes["public.p"].inserted_rows == 8
    assert writes["public.p2"].inserted_rows == 5


def test_a_first_load_is_no_rate() -> None:
    with example_session(COUNTERS.replace("2026-01-11 00:00:00", "2026-01-01 06:00:00")) as session:
        assert writes_of(session, "d") == {}


def test_writes_of_a_file_come_from_its_statements() -> None:
    def weighted(name: str, text: str, weight: float) -> Weighted:
        return Weighted(name, text, (Query(name, text),), weight)

    workload = Workload((
        weighted("q1", "insert into sale values (1, 2), (3, 4)", 10),
        weighted("q2", "update sale set state = 'sent' where client = $1", 5),
        weighted("q3", "delete from only public.sale where id = $1", 3),
        weighted("q4", "select * from sale", 100),
        weighted("q5", "not a statement", 1),
        weighted("q6", "update elsewhere set a = 1", 1),
    ))  # fmt: skip
    plan = {"Node Type": "ModifyTable", "Plans": [{"Parent Relationship": "Outer", "Plan Rows": 200.0}]}
    found = writes_in(workload, {"public.sale": SALE}, {"q2": plan})
    assert found == {"public.sale": Writes(20, 1000, 1000, 3, {"state": 1000.0}, "cost")}
