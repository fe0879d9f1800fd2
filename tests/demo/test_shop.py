"""What faults.toml says of the sick shop is so, and none of it is so in the healthy one."""

from __future__ import annotations

from typing import Any

from tests.demo.conftest import FAULTS


def test_the_list_is_long_enough_covers_every_family_and_has_no_doubles() -> None:
    assert len({fault["id"] for fault in FAULTS}) == len(FAULTS) >= 16
    assert all(("subject" in fault) != ("statement" in fault) for fault in FAULTS)
    assert {fault["family"] for fault in FAULTS} == {"workload", "schema", "plans", "connections", "settings"}


def test_faults_are_in_the_sick_shop_and_in_no_other(shop_facts: dict[str, Any]) -> None:
    expected = not shop_facts["is_healthy"]
    wrong = [name for name, answer in shop_facts["checks"].items() if bool(answer) != expected]
    assert wrong == []
    assert len(shop_facts["checks"]) == len(FAULTS)


def test_shop_has_a_million_rows_and_most_are_order_items(shop_facts: dict[str, Any]) -> None:
    total, order_items, largest = shop_facts["counts"]
    assert total > 1_000_000
    assert order_items == largest == 720_000
