"""Plans in one line, and what differs between two of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryfit.history.plan_changes import Plan, bare, difference, read_plan
from queryfit.plans.explain import read_plan as read_explain

Tree = dict[str, Any]


def node(kind: str, *children: Tree, **facts: Any) -> Tree:
    plan: Tree = {"Node Type": kind, "Startup Cost": 0, "Total Cost": 1, "Plan Rows": 1, "Plan Width": 4, **facts}
    return {**plan, "Plans": list(children)} if children else plan


def seq(table: str, **facts: Any) -> Tree:
    return node("Seq Scan", **{"Schema": "public", "Relation Name": table, "Alias": table, **facts})


def index(table: str, name: str, kind: str = "Index Scan", **facts: Any) -> Tree:
    return seq(table, **{"Node Type": kind, "Index Name": name, **facts})


def bitmap(table: str, name: str) -> Tree:
    return {
        **seq(table, **{"Node Type": "Bitmap Heap Scan"}),
        "Plans": [node("Bitmap Index Scan", **{"Index Name": name})],
    }


def plan(tree: Tree) -> Plan:
    return read_plan([asdict(entry) for entry in read_explain([{"Plan": tree}])])


@pytest.mark.parametrize(
    ("tree", "shape"),
    [
        (seq("orders"), "Seq Scan orders"),
        (node("Limit", node("Sort", seq("orders"))), "Limit ← Sort ← Seq Scan orders"),
        (bitmap("orders", "orders_a"), "Bitmap Scan orders_a"),
        (
            node("Hash Join", seq("a"), node("Hash", index("b", "b_pkey")), **{"Join Type": "Inner"}),
            "Hash Join (Seq Scan a, Index Scan b_pkey)",
        ),
        (
            node("Nested Loop", seq("a"), index("b", "b_pkey"), **{"Join Type": "Left"}),
            "Nested Loop Left Join (Seq Scan a, Index Scan b_pkey)",
        ),
        (node("Gather", node("Seq Scan", **{"Relation Name": "a", "Schema": "public"})), "Seq Scan a"),
    ],
)
def test_a_plan_reads_as_one_line(tree: Tree, shape: str) -> None:
    assert plan(tree).shape == shape


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        (index("orders", "orders_a"), seq("orders"), "orders: Index Scan orders_a → Seq Scan"),
        (seq("orders"), bitmap("orders", "orders_a"), "orders: Seq Scan → Bitmap Scan orders_a"),
        (
            node("Nested Loop", seq("a"), seq("b"), **{"Join Type": "Inner"}),
            node("Hash Join", seq("a"), node("Hash", seq("b")), **{"Join Type": "Inner"}),
            "Nested Loop → Hash Join",
        ),
        (node("Sort", seq("a")), seq("a"), "Sort ← Seq Scan a → Seq Scan a"),
    ],
)
def test_what_differs_is_named(before: Tree, now: Tree, words: str) -> None:
    assert difference(plan(before), plan(now)) == words
    assert difference(plan(before), plan(before)) is None


def test_numbers_of_rows_alone_are_no_other_plan() -> None:
    assert difference(plan(seq("a")), plan(seq("a", **{"Plan Rows": 90_000}))) is None


@given(st.text(max_size=200))
def test_hostile_names_make_no_long_lines(name: str) -> None:
    found = plan(seq(name or "a"))
    assert len(found.shape) <= 300
    assert difference(found, found) is None


@pytest.mark.parametrize(
    ("name", "short"), [("public.a", "a"), ('"We ird"."a.b"', '"a.b"'), ("a", "a"), ('public."x""y"', '"x""y"')]
)
def test_a_name_without_its_schema(name: str, short: str) -> None:
    assert bare(name) == short
