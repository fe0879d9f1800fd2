"""`show` and `fix`: one finding, whole."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest
from rich.cells import cell_len
from syrupy.assertion import SnapshotAssertion

from queryfit.details import Details, Plan, no_details
from queryfit.findings import Finding
from queryfit.render import finding as render
from queryfit.render import fixes, phrases
from queryfit.render.look import Look
from queryfit.ruleset import load_rules
from tests.render.samples import EVIL, HOSTILE, INDEX, LOOP, URGENT, WIDE

ANSI = re.compile(r"\x1b\[[0-9;]*m")
RULE = next(rule for rule in load_rules() if rule.name == "duplicate-index")


def node(number: int, parent: int | None, node_type: str, **facts: Any) -> dict[str, Any]:
    return {
        "plan": "p", "node": number, "parent": parent, "depth": 0, "node_type": node_type, "join_type": None,
        "relation": None, "alias": None, "index": None, "subplan_name": None, "self_cost": 1.0, "total_cost": 1.0,
        "plan_rows": 1.0, "estimated_loops": 1.0, "condition": None, "filter": None, "sort_key": None,
        "actual_rows": None, **facts,
    }  # fmt: skip


def statement(text: str, **facts: Any) -> dict[str, Any]:
    return {
        "fingerprint": "0123456789abcdef", "text": text, "calls": 41_000, "calls_per_day": 5_857.0, "mean_ms": 180.2,
        "rows_per_call": 12.0, "time_share": 0.66, **facts,
    }  # fmt: skip


NODES = [
    node(0, None, "Limit", total_cost=9000.0, self_cost=0.5, plan_rows=10.0),
    node(1, 0, "Sort", total_cost=8999.0, self_cost=900.0, plan_rows=12.0, sort_key="orders.created_at DESC"),
    node(2, 1, "Nested Loop", join_type="Left", total_cost=8000.0, self_cost=10.0, plan_rows=12.0),
    node(3, 2, "Seq Scan", relation="public.orders", alias="o", total_cost=7000.0, self_cost=7000.0, plan_rows=12.0,
         filter="(o.customer_id = $1)"),
    node(4, 2, "Index Scan", relation="public.customers", alias="customers", index="customers_pkey", total_cost=8.4,
         self_cost=8.4, estimated_loops=12.0, condition="(customers.id = o.customer_id)"),
]  # fmt: skip
DETAILS = Details(
    statements=[statement("select * from orders o left join customers c on c.id=o.customer_id where o.customer_id=$1")],
    statement_count=7,
    plans=[
        Plan({"plan": "p", "fingerprint": "0123456789abcdef", "origin": "generic_plan", "total_cost": 9000.0}, NODES)
    ],
    relations=[
        {"relation": "public.orders", "kind": "table", "tuple_rows": 5.2e6, "size_bytes": 5_200_000_000,
         "index_bytes": 112_000_000, "is_size_estimated": True, "dead_rows": 12_000, "sequential_scans": 41_000,
         "index_scans": 7, "analyzed_at": datetime.fromisoformat("2026-01-07 03:04")},
        {"relation": "public.order_view", "kind": "view", "tuple_rows": None, "size_bytes": None, "index_bytes": None,
         "is_size_estimated": False, "dead_rows": None, "sequential_scans": None, "index_scans": None,
         "analyzed_at": None},
    ],
    indexes=[
        {"relation": "public.orders", "index": "public.orders_pkey", "access_method": "btree", "key_columns": "id",
         "included_columns": None, "predicate": None, "is_unique": True, "is_primary": True, "is_valid": True,
         "size_bytes": 112_000_000, "scans": 7},
        {"relation": "public.orders", "index": "public.orders_paid", "access_method": "btree",
         "key_columns": "created_at", "included_columns": "total", "predicate": "(status = 'paid'::text)",
         "is_unique": False, "is_primary": False,
         "is_valid": False, "size_bytes": None, "scans": None},
    ],
)  # fmt: skip
EVIL_DETAILS = Details(
    statements=[statement(HOSTILE, fingerprint="f" * 16), statement("select 1; drop table x; -- \x1b[2J")],
    statement_count=2,
    plans=[Plan(
        {"plan": "p", "fingerprint": "f" * 16, "origin": "file", "total_cost": 0.0},
        [node(0, None, HOSTILE, relation=HOSTILE, alias=HOSTILE, index=HOSTILE, filter=HOSTILE, join_type=HOSTILE,
              subplan_name=HOSTILE, actual_rows=1.0)],
    )],
    relations=[{**DETAILS.relations[0], "relation": HOSTILE, "kind": HOSTILE}],
    indexes=[{**DETAILS.indexes[1], "index": HOSTILE, "key_columns": HOSTILE, "predicate": HOSTILE}],
)  # fmt: skip


@pytest.mark.parametrize("width", [80, 140])
def test_picture(width: int, snapshot: SnapshotAssertion) -> None:
    assert render.render(INDEX, RULE, DETAILS, Look(width, has_colour=False), number=2) == snapshot


def test_picture_in_colour(snapshot: SnapshotAssertion) -> None:
    text = render.render(INDEX, RULE, DETAILS, Look(100, has_colour=True), number=2)
    assert text == snapshot


@pytest.mark.parametrize("finding", [URGENT, LOOP, WIDE], ids=lambda finding: finding.rule)
def test_picture_without_capture_and_rule(finding: Finding, snapshot: SnapshotAssertion) -> None:
    assert render.render(finding, None, no_details(), Look(80, has_colour=False), number=1) == snapshot


@pytest.mark.parametrize("colour", [False, True])
def test_hostile_text_steers_no_terminal(colour: bool) -> None:
    look = Look(80, has_colour=colour)
    for text in (render.render(EVIL, None, EVIL_DETAILS, look, number=1), fixes.render(EVIL, look)):
        plain = ANSI.sub("", text)
        assert plain.replace("\n", "").isprintable()
        assert not [line for line in plain.splitlines() if line.strip().startswith("::error")]


def test_only_sql_is_wider_than_the_terminal() -> None:
    text = render.render(INDEX, RULE, DETAILS, Look(80, has_colour=False), number=2)
    wide = [line for line in text.splitlines() if cell_len(line) > 80]
    assert wide
    assert not [line for line in wide if not line.startswith(("  --", "  select", "  where", "  create"))]


def test_a_huge_statement_is_cut() -> None:
    details = Details([statement("select " + "1, " * 400_000 + "1")], 1, (), (), ())
    assert len(render.render(LOOP, None, details, Look(80, has_colour=False), number=1)) < 10_000


def test_the_fix_names_its_database_and_its_undo_in_essence() -> None:
    text = fixes.render(INDEX, Look(80, has_colour=False))
    assert "-- Run it in the database shop." in text
    assert "\ncreate index concurrently orders_customer_id_created_at_idx on" in text
    assert "set lock_timeout = 0;" in text
    assert text.splitlines()[-2:] == [
        "-- To undo (`queryfit fix 000000000002 --undo` prints it safe to run):",
        "--   drop index concurrently public.orders_customer_id_created_at_idx;",
    ]


def test_the_undo_alone() -> None:
    text = fixes.render(INDEX, Look(80, has_colour=False), is_undo=True)
    assert text.startswith("-- Undo of missing-index 000000000002")
    assert "set lock_timeout = 0;" in text
    assert "create index" not in text


def test_a_message_of_several_lines_stays_a_comment() -> None:
    commented = [line for line in fixes.render(EVIL, Look(80, has_colour=False)).splitlines() if "Message" in line]
    assert [line[:3] for line in commented] == ["-- "]


@pytest.mark.parametrize(
    ("fix", "essence"),
    [
        (INDEX.undo, "drop index concurrently public.orders_customer_id_created_at_idx;"),
        (URGENT.fix, "alter table public.order_item alter column id type bigint;"),
        (f"{URGENT.fix}\n\n{INDEX.undo}\n\nupdate t set a = 1;",
         ("alter table public.order_item alter column id type bigint;\n"
          "drop index concurrently public.orders_customer_id_created_at_idx;\nupdate t set a = 1;")),
        ("-- why\nselect a\nfrom b;", "select a\nfrom b;"),
        ("-- only advice", "-- only advice"),
        ("alter system set x = 1;\nselect pg_reload_conf();", "alter system set x = 1;\nselect pg_reload_conf();"),
    ],
)  # fmt: skip
def test_essence(fix: str, essence: str) -> None:
    assert phrases.essence(fix) == essence
