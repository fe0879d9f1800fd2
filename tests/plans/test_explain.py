"""Plans as real servers print them, and documents that are none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queryfit.errors import QueryfitError
from queryfit.evidence.dictionary import tables
from queryfit.plans.explain import PlanNode, execution_ms, read_plan

if TYPE_CHECKING:
    from tests.servers import Cluster

TABLES = """
    create table big as select i as id, i % 1000 as g, md5(i::text) as t from generate_series(1, 60000) as i;
    create table small as select i as id, i::text as n from generate_series(1, 1000) as i;
    create table "Odd.Name" (id int);
    create index on big (id);
    create table part (id int, n int) partition by range (id);
    create table part_1 partition of part for values from (1) to (10);
    create table part_2 partition of part for values from (10) to (20);
    analyze;
"""
PARALLEL = """
    set min_parallel_table_scan_size = 0; set parallel_setup_cost = 0; set parallel_tuple_cost = 0;
    set max_parallel_workers_per_gather = 2; set jit = off;
"""


def explain(cluster: Cluster, database: str, statement: str, options: str = "verbose", before: str = "") -> Any:
    script = f"{before} explain ({options}, format json) {statement}"
    return next(iter(cluster.run(script, database=database)[0].values()))


@pytest.fixture
def filled(cluster: Cluster, database: str) -> str:
    cluster.run(TABLES, database=database)
    return database


def test_rows_have_the_columns_of_the_evidence_table(cluster: Cluster, filled: str) -> None:
    nodes = read_plan(explain(cluster, filled, "select * from big where id = 3"))
    names = [column.name for column in tables()["plan_node"].columns]
    assert names == ["plan", *PlanNode.__dataclass_fields__]
    assert [(node.node_type, node.relation, node.index) for node in nodes] == [
        ("Index Scan", "public.big", "big_id_idx")
    ]
    assert nodes[0].condition == "(big.id = 3)"
    assert nodes[0].self_ms is None
    assert nodes[0].actual_rows is None
    assert nodes[0].rows_removed is None


def test_names_are_quoted_where_sql_needs_it(cluster: Cluster, filled: str) -> None:
    assert read_plan(explain(cluster, filled, 'select * from "Odd.Name" as o'))[0].relation == 'public."Odd.Name"'


@pytest.mark.parametrize(
    "statement",
    [
        "select g, count(*) from big join small as s on s.id = g group by g order by 2 limit 5",
        (
            "with x as materialized (select * from big where t like '%a%') select count(*) from x as a join x as b"
            " on a.id = b.id where a.g > (select avg(id) from small)"
        ),
        (
            "select s.id, (select count(*) from big where id between s.id and s.id + 10) from small as s"
            " where not exists (select 1 from big as b where b.id = s.id + 3 and b.g = 5)"
        ),
        "select * from part where id = 3 union all select id, g from big where g < 3",
    ],
)
def test_self_times_add_up_to_the_execution(cluster: Cluster, filled: str, statement: str) -> None:
    """Also with workers, whose times per loop other tools add up to more than the whole statement took."""
    document = explain(cluster, filled, statement, "analyze, buffers, verbose", PARALLEL)
    nodes = read_plan(document)
    total = execution_ms(document)
    own = [node.self_ms for node in nodes if node.self_ms is not None]
    assert total is not None
    assert len(own) == len(nodes)
    assert min(own) >= 0
    assert nodes[0].actual_total_ms is not None
    assert sum(own) == pytest.approx(nodes[0].actual_total_ms, rel=0.15, abs=1.0)
    assert sum(own) <= total * 1.15 + 1


def test_workers_are_seen(cluster: Cluster, filled: str) -> None:
    nodes = read_plan(explain(cluster, filled, "select count(*) from big", "analyze, verbose", PARALLEL))
    assert [node.workers_planned for node in nodes if node.node_type == "Gather"] == [2]
    assert [node.is_parallel_aware for node in nodes if node.node_type == "Seq Scan"] == [True]


def test_the_inner_side_of_a_nested_loop_runs_once_a_row(cluster: Cluster, filled: str) -> None:
    forced = "set enable_hashjoin = off; set enable_mergejoin = off; set max_parallel_workers_per_gather = 0;"
    nodes = read_plan(explain(cluster, filled, "select * from small as s join big as b on b.id = s.id", before=forced))
    inner = next(node for node in nodes if node.parent_relationship == "Inner")
    outer = next(node for node in nodes if node.parent_relationship == "Outer")
    assert inner.estimated_loops == outer.plan_rows == 1000
    assert nodes[0].self_cost == pytest.approx(
        nodes[0].total_cost - outer.total_cost - 1000 * inner.total_cost, abs=0.1
    )
    assert 0 <= nodes[0].self_cost < nodes[0].total_cost / 10


def test_a_limit_pays_only_for_the_rows_it_takes(cluster: Cluster, filled: str) -> None:
    limit, scan = read_plan(explain(cluster, filled, "select * from big limit 5"))
    assert scan.total_cost > 100 * limit.total_cost
    assert limit.self_cost == pytest.approx(0, abs=0.01)


def test_what_never_ran_took_no_time(cluster: Cluster, filled: str) -> None:
    nodes = read_plan(
        explain(
            cluster, filled, "select * from small where false or n = 'none' and exists (select from big)", "analyze"
        )
    )
    idle = [node for node in nodes if node.actual_loops == 0]
    for node in idle:
        assert (node.self_ms, node.actual_rows) == (0.0, 0.0)
    assert any(node.rows_removed == 1000 for node in nodes)


def test_pruned_partitions_are_counted(cluster: Cluster, filled: str) -> None:
    script = "set plan_cache_mode = force_generic_plan; prepare p(int) as select * from part where id = $1;"
    document = explain(cluster, filled, "execute p(3)", before=script)
    assert read_plan(document)[0].subplans_removed == 1


def test_a_sort_that_spills_writes_its_own_blocks(cluster: Cluster, filled: str) -> None:
    nodes = read_plan(
        explain(cluster, filled, "select * from big order by t", "analyze, buffers", "set work_mem = '64kB';")
    )
    sort = next(node for node in nodes if node.node_type == "Sort")
    assert sort.sort_key == "t"
    assert (sort.temp_blocks_written or 0) > 100
    assert sum(node.temp_blocks_written or 0 for node in nodes if node is not sort) == 0


def test_a_forbidden_node_is_seen(cluster: Cluster, filled: str) -> None:
    nodes = read_plan(explain(cluster, filled, "select * from small", before="set enable_seqscan = off;"))
    assert [node.is_disabled for node in nodes] == [True]


def test_a_rule_makes_several_plans(cluster: Cluster, filled: str) -> None:
    cluster.run("create rule r as on insert to part do also insert into small values (1, 'x')", database=filled)
    nodes = read_plan(explain(cluster, filled, "insert into part values (1, 1)"))
    assert [node.node_type for node in nodes if node.parent is None] == ["ModifyTable", "ModifyTable"]
    assert [node.node for node in nodes] == list(range(len(nodes)))


LEAF = {"Node Type": "Result", "Startup Cost": 0.0, "Total Cost": 1.0, "Plan Rows": 1, "Plan Width": 4}


@pytest.mark.parametrize(
    "document",
    [
        None, 3, "Seq Scan", [], {}, [{}], [{"Plan": None}], [{"Plan": []}], [{"Plan": {}}],
        [{"Plan": {"Node Type": "Seq Scan"}}], [{"Plan": {**LEAF, "Total Cost": "1"}}],
        [{"Plan": {**LEAF, "Total Cost": float("nan")}}], [{"Plan": {**LEAF, "Plan Rows": True}}],
        [{"Plan": {**LEAF, "Plan Rows": 10**400}}], [{"Plan": {**LEAF, "Plans": {}}}],
        [{"Plan": {**LEAF, "Plans": [1]}}], [{"Plan": {**LEAF, "Node Type": ["x"]}}],
        [{"Plan": {**LEAF, "Sort Key": "x"}}], [{"Plan": {**LEAF, "Parallel Aware": 1}}],
        [{"Plan": {**LEAF, "Filter": {"a": 1}}}],
    ],
)  # fmt: skip
def test_what_is_no_plan_is_an_error_with_a_hint(document: Any) -> None:
    with pytest.raises(QueryfitError) as caught:
        read_plan(document)
    assert caught.value.hint


def test_a_plan_nested_too_deep_is_an_error() -> None:
    document: dict[str, Any] = dict(LEAF)
    for _ in range(5_000):
        document = {**LEAF, "Plans": [document]}
    with pytest.raises(QueryfitError, match="too large"):
        read_plan([{"Plan": document}])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["Plan", "Plans"]), inner, max_size=2),
    max_leaves=10,
)
KEYS = st.sampled_from([
    *LEAF, "Plans", "Actual Loops", "Actual Total Time", "Parent Relationship", "Subplan Name", "CTE Name", "Filter",
    "Temp Written Blocks", "Disabled", "Relation Name", "Schema", "Sort Key",
])  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=6), st.dictionaries(KEYS, VALUES, max_size=6))
def test_damaged_documents_never_end_in_a_traceback(top: dict[str, Any], below: dict[str, Any]) -> None:
    document = [{"Plan": {**LEAF, "Plans": [{**LEAF, **below}], **top}}]
    try:
        nodes = read_plan(document)
    except QueryfitError:
        return
    assert json.dumps([node.node for node in nodes])
    assert all(node.self_cost >= 0 for node in nodes)
