"""What faults.toml says of the sick shop is so, and none of it is so in the healthy one."""

from __future__ import annotations

from typing import Any

from tests.demo.conftest import FAULTS


def test_the_list_is_long_enough_covers_every_family_and_has_no_doubles() -> None:
    assert len({fault["id"] for fault in FAULTS}) == len(FAULTS) >= 16
    assert all(("subject" in fault) != ("statement" in fault) for fault in FAULTS)
    assert {fault["family"] for fault in FAULTS} == {"workload", "schema", "plans", "connections", "settings"}


def test_every_fault_is_in_the_sick_shop(sick_facts: dict[str, Any]) -> None:
    assert [name for name, is_there in sick_facts["checks"].items() if is_there is not True] == []
    assert len(sick_facts["checks"]) == len(FAULTS)


def test_no_fault_is_in_the_healthy_shop(healthy_run: dict[str, Any]) -> None:
    assert [name for name, is_there in healthy_run["facts"]["checks"].items() if is_there] == []


def test_both_shops_have_a_million_rows_and_most_are_order_items(
    sick_facts: dict[str, Any], healthy_run: dict[str, Any]
) -> None:
    for facts in (sick_facts, healthy_run["facts"]):
        total, order_items, largest = facts["counts"]
        assert total > 1_000_000
        assert order_items == largest == 720_000
