"""What faults.toml says of the sick shop is so, and none of it is so in the healthy one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.demo.conftest import FAULTS

if TYPE_CHECKING:
    from queryfit.demo.shop import Shop

TABLES = """
select coalesce(sum(n_live_tup), 0), max(n_live_tup) filter (where relname = 'order_items'), max(n_live_tup)
from pg_stat_user_tables
"""

# present in the healthy shop too, where it does no harm: pages of both ask these
SHARED: set[str] = set()


def test_the_list_is_long_enough_and_without_doubles() -> None:
    assert len({fault["id"] for fault in FAULTS}) == len(FAULTS) >= 16
    assert all(("subject" in fault) != ("statement" in fault) for fault in FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault["id"]))
def test_fault_is_planted(sick_shop: Shop, fault: dict[str, Any]) -> None:
    assert _check(sick_shop, fault) is True


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault["id"]))
def test_fault_is_not_in_the_healthy_shop(healthy_shop: Shop, fault: dict[str, Any]) -> None:
    try:
        is_there = _check(healthy_shop, fault)
    except psycopg.errors.UndefinedTable:
        is_there = False  # the faulty object is not even there
    assert not is_there


@pytest.mark.parametrize("shop", ["sick_shop", "healthy_shop"])
def test_shop_has_a_million_rows_and_most_are_order_items(request: pytest.FixtureRequest, shop: str) -> None:
    with psycopg.connect(request.getfixturevalue(shop).dsn) as connection:
        total, order_items, largest = connection.execute(TABLES).fetchone() or (0, 0, 0)
    assert total > 1_000_000
    assert order_items == largest == 720_000


def _check(shop: Shop, fault: dict[str, Any]) -> object:
    with psycopg.connect(shop.dsn) as connection:
        row = connection.execute(fault["check"]).fetchone()
    return row[0] if row is not None else None
