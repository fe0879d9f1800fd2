"""The flags of a statement: each case names the flags that are set, all others are not."""

from dataclasses import asdict

import pytest

from queryfit.sql.statement import analyse
from tests.sql.shop import SHOP

CASES: dict[str, tuple[str, dict[str, object]]] = {
    "a key lookup": (
        "select id from orders where id = $1",
        {"relations": 1, "parameters": 1, "has_where": True},
    ),
    "a page": (
        "select * from orders order by id limit $2 offset 5000",
        {
            "relations": 1,
            "parameters": 2,
            "has_star": True,
            "has_order_by": True,
            "has_limit": True,
            "has_offset": True,
            "offset_rows": 5000,
        },
    ),
    "a page whose numbers are hidden": (
        "select o.* from orders o where id > $1 fetch first 10 rows only offset $2",
        {
            "relations": 1,
            "parameters": 2,
            "has_where": True,
            "has_star": True,
            "has_limit": True,
            "has_constant_limit": True,
            "has_offset": True,
        },
    ),
    "LIMIT ALL is none": ("select id from orders limit all", {"relations": 1, "is_full_read": True}),
    "a table read whole": ("select * from orders", {"relations": 1, "has_star": True, "is_full_read": True}),
    "TABLE": ("table orders", {"relations": 1, "has_star": True, "is_full_read": True}),
    "an aggregate is no full read": (
        "select max(id) from orders",
        {"relations": 1, "has_aggregate": True},
    ),
    "a function is no relation": ("select * from generate_series(1, 3)", {"has_star": True}),
    "a count": ("select count(*) from orders", {"relations": 1, "has_aggregate": True, "is_count_only": True}),
    "a count of constants with a condition": (
        "select count($1) as n from orders where total > $2",
        {"relations": 1, "parameters": 2, "has_where": True, "has_aggregate": True, "is_count_only": True},
    ),
    "a count of values is another": (
        "select count(note) from orders",
        {"relations": 1, "has_aggregate": True},
    ),
    "a count by group": (
        "select count(*) from orders group by status",
        {"relations": 1, "has_aggregate": True, "has_group_by": True},
    ),
    "a count of a page": (
        "select count(*) from (select id from orders limit 10) s",
        {"relations": 1, "subqueries": 1, "has_aggregate": True},
    ),
    "joins of all kinds": (
        "select o.id from orders o join item i on i.order_id = o.id, customer c where c.id = o.customer_id",
        {"relations": 3, "joins": 2, "has_where": True},
    ),
    "subqueries": (
        "select (select 1) from (select id from orders) s where exists (select from item)",
        {"relations": 2, "subqueries": 3, "has_where": True},
    ),
    "distinct": ("select distinct note from orders", {"relations": 1, "has_distinct": True, "is_full_read": True}),
    "a window": (
        "select rank() over (order by total) from orders where id = 1",
        {"relations": 1, "has_window": True, "has_where": True},
    ),
    "an aggregate over a window": (
        "select sum(total) over () from orders where id = 1",
        {"relations": 1, "has_window": True, "has_where": True},
    ),
    "a set operation": (
        "select id from orders union all select id from item where id = 1 order by 1",
        {"relations": 2, "has_set_operation": True, "has_order_by": True},
    ),
    "a CTE": (
        "with x as (select * from orders) select id from x",
        {"relations": 1, "common_tables": 1},
    ),
    "recursion": (
        "with recursive x as (select 1 as n union all select n + 1 from x where n < 5) select n from x",
        {"common_tables": 1, "has_recursion": True, "has_set_operation": True},
    ),
    "a queue": (
        "select id from orders where status = $1 order by id limit $2 for update skip locked",
        {
            "relations": 1,
            "parameters": 2,
            "has_where": True,
            "has_order_by": True,
            "has_limit": True,
            "has_row_locks": True,
            "is_skip_locked": True,
        },
    ),
    "row locks": (
        "select id from orders where id = 1 for share",
        {"relations": 1, "has_where": True, "has_row_locks": True},
    ),
    "not in a subquery": (
        "select id from orders where id not in (select order_id from item)",
        {"relations": 2, "subqueries": 1, "has_where": True, "has_not_in_subquery": True},
    ),
    "not equal to all": (
        "select id from orders where id <> all (select order_id from item)",
        {"relations": 2, "subqueries": 1, "has_where": True, "has_not_in_subquery": True},
    ),
    "not exists is harmless": (
        "select id from orders o where not exists (select from item where order_id = o.id)",
        {"relations": 2, "subqueries": 1, "has_where": True},
    ),
    "not in a list is harmless": (
        "select id from orders where id not in ($1, $2)",
        {"relations": 1, "parameters": 2, "has_where": True},
    ),
    "a leading wildcard": (
        "select id from orders where note ilike '%x%'",
        {"relations": 1, "has_where": True, "has_leading_wildcard": True},
    ),
    "a leading wildcard before a parameter": (
        "select id from orders where note like '%' || $1",
        {"relations": 1, "parameters": 1, "has_where": True, "has_leading_wildcard": True},
    ),
    "a trailing wildcard": (
        "select id from orders where note like 'x%'",
        {"relations": 1, "has_where": True},
    ),
    "an update": (
        "update orders set note = $1 from item where item.order_id = orders.id returning orders.id",
        {"relations": 2, "joins": 1, "parameters": 1, "has_where": True, "has_returning": True},
    ),
    "a delete of everything": ("delete from orders", {"relations": 1}),
    "an insert": ("insert into orders (id) values ($1)", {"relations": 1, "parameters": 1}),
    "an insert from a query": (
        "insert into orders select * from archive.orders where id = 1",
        {"relations": 2},
    ),
    "a writing CTE": (
        "with gone as (delete from item returning *) select count(*) from gone",
        {"relations": 1, "common_tables": 1, "has_aggregate": True, "has_writing_cte": True},
    ),
}


@pytest.mark.parametrize(("sql", "expected"), CASES.values(), ids=CASES)
def test_shape(sql: str, expected: dict[str, object]) -> None:
    shape = analyse(sql, SHOP).shape
    assert shape is not None
    assert {name: value for name, value in asdict(shape).items() if value not in (0, False, None)} == expected


@pytest.mark.parametrize(
    ("offset", "rows"),
    [("0", 0), ("3000000000", 3_000_000_000), ("9" * 30, None), ("9" * 9000, None), ("1.5", None), ("1 + 1", None)],
)
def test_offset_is_a_number_of_rows_or_unknown(offset: str, rows: int | None) -> None:
    shape = analyse(f"select id from orders offset {offset}", SHOP).shape
    assert shape is not None
    assert shape.has_offset
    assert shape.offset_rows == rows
