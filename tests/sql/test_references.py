"""What columns a statement uses, in which roles: each case is a statement and all that it says, in short notation."""

import pytest

from queryfit.sql.statement import analyse
from tests.sql.shop import SHOP, said

CONDITIONS = {
    "equality": ("status = $1", ["orders.status equality = $1"]),
    "equality turned round": ("$1 = status", ["orders.status equality = $1"]),
    "a constant": ("status = 'it''s'", ["orders.status equality = 'it''s'"]),
    "a cast value": ("created_at = $1::date", ["orders.created_at equality = $1"]),
    "range turned round": ("$1 < total", ["orders.total range > $1"]),
    "between is two ranges": ("total between $1 and 5", ["orders.total range <= 5", "orders.total range >= $1"]),
    "not between": ("total not between 1 and 5", ["orders.total range < 1 !or", "orders.total range > 5 !or"]),
    "inequality answers nothing": ("status <> $1", ["orders.status other <> $1"]),
    "a list": ("status in ($1, 'b')", ["orders.status equality in $1, 'b'"]),
    "a list as PostgreSQL 18 writes it": ("id in ($1 /*, ... */)", ["orders.id equality in $1"]),
    "not in a list": ("status not in ($1)", ["orders.status other not in $1"]),
    "an array": ("id = any($1)", ["orders.id equality = any $1"]),
    "an array written out": ("id = any(array[1, 2])", ["orders.id equality = any 1, 2"]),
    "not in an array": ("id <> all($1)", ["orders.id other <> all $1"]),
    "in an array column": ("$1 = any(tags)", ["orders.tags other = any $1"]),
    "null": ("note is null", ["orders.note null_test is null"]),
    "not null, negated": ("not note is null", ["orders.note null_test is not null"]),
    "like shows its wildcard": ("note like '%x'", ["orders.note pattern ~~ '%x'"]),
    "like with escape": ("note like 'x!%' escape '!'", ["orders.note pattern ~~ 'x!%'"]),
    "ilike": ("note ilike $1", ["orders.note pattern ~~* $1"]),
    "like with a visible start": ("note like '%' || $1", ["orders.note pattern ~~ '%' || $1"]),
    "like with a hidden start": ("note like $1 || '%'", ["orders.note pattern ~~ <expression>"]),
    "not like": ("note not like 'x%'", ["orders.note other !~~ 'x%'"]),
    "regular expression": ("note ~ '^a'", ["orders.note pattern ~ '^a'"]),
    "similar": ("note similar to '%a'", ["orders.note pattern similar to '%a'"]),
    "trigrams": ("note % $1", ["orders.note pattern % $1"]),
    "contains": ("data @> $1", ["orders.data other @> $1"]),
    "contained, turned round": ("$1 <@ data", ["orders.data other @> $1"]),
    "has key": ("data ? 'k'", ["orders.data other ? 'k'"]),
    "a JSON field": ("data->>'k' = $1", ["orders.data [data ->> 'k'] equality = $1"]),
    "function": ("lower(status) = $1", ["orders.status [lower(status)] equality = $1"]),
    "function of a cast": ("lower(o.note::text) = $1", ["o.note [lower(note::text)] equality = $1"]),
    "cast": ("created_at::date = $1", ["orders.created_at [created_at::date] equality = $1"]),
    "arithmetic": ("total + 1 > $1", ["orders.total [total + 1] range > $1"]),
    "an expression of two": (
        "coalesce(note, status) = $1",
        ["orders.note [coalesce(note, status)] equality = $1", "orders.status [coalesce(note, status)] equality = $1"],
    ),
    "a computed value": ("created_at > now() - interval $1", ["orders.created_at range > <expression>"]),
    "a scalar subquery": ("id = (select max(id) from customer)", ["orders.id equality = <subquery>"]),
    "two columns of a row": (
        "total > id",
        ["orders.id other < orders.total", "orders.total other > orders.id"],
    ),
    "the order of rows": (
        "(customer_id, id) > ($1, $2)",
        ["orders.customer_id range > $1", "orders.id range > $2 !or"],
    ),
    "rows equal": ("(customer_id, id) = ($1, $2)", ["orders.customer_id equality = $1", "orders.id equality = $2"]),
    "one row in a list": (
        "(customer_id, id) in (($1, $2))",
        ["orders.customer_id equality = $1", "orders.id equality = $2"],
    ),
    "rows in a list": (
        "(customer_id, id) in (($1, $2), (3, 4))",
        ["orders.customer_id equality in <list> !or", "orders.id equality in <list> !or"],
    ),
    "or over columns": ("id = 1 or total = 2", ["orders.id equality = 1 !or", "orders.total equality = 2 !or"]),
    "or over one column is a list": ("id = 1 or 2 = id or id in (3)", [
        "orders.id equality = 1", "orders.id equality = 2", "orders.id equality in 3",
    ]),
    "or with a range is no list": ("id = 1 or id > 5", ["orders.id equality = 1 !or", "orders.id range > 5 !or"]),
    "not over or": ("not (id = 1 or total < 2)", ["orders.id other <> 1", "orders.total range >= 2"]),
    "not over and": ("not (id = 1 and total < 2)", ["orders.id other <> 1 !or", "orders.total range >= 2 !or"]),
    "not of an operator without opposite": ("not data @> $1", ["orders.data other not @> $1 !or"]),
    "not twice": ("not not id = 1", ["orders.id equality = 1"]),
    "distinct from": ("status is distinct from $1", ["orders.status other is distinct from $1"]),
    "a function that judges": ("starts_with(note, $1)", ["orders.note [starts_with(note, $1)] other"]),
    "a subquery in an expression": (
        "total + (select max(id) from customer) = $1",
        ["orders.total [total + (select …)] equality = $1"],
    ),
    "a case": (
        "case when total > 5 then note end = $1",
        [
            "orders.note [CASE WHEN total > 5 THEN note END] equality = $1",
            "orders.total [CASE WHEN total > 5 THEN note END] equality = $1",
        ],
    ),
    "a whole row": ("orders is not null", ["orders.* null_test is not null"]),
    "a system column": ("ctid = $1", []),
    "a column that is not there": ("nowhere = $1", []),
    "no column": ("$1 = 1 and true", []),
}  # fmt: skip


@pytest.mark.parametrize(("condition", "expected"), CONDITIONS.values(), ids=CONDITIONS)
def test_condition(condition: str, expected: list[str]) -> None:
    source = "orders o" if "o." in condition else "orders"
    assert said(f"select from {source} where {condition}") == expected


STATEMENTS = {
    "a boolean column": (
        "select from customer where is_active and not customer.is_active and is_active is true",
        [
            "customer.is_active equality = false",
            "customer.is_active equality = true",
            "customer.is_active equality is true true",
        ],
    ),
    "full text": ("select from product where search @@ to_tsquery($1)", ["product.search other @@ <expression>"]),
    "a range type": ("select from product where valid && $1", ["product.valid other && $1"]),
    "joins": (
        ("select from orders o join customer c on c.id = o.customer_id and c.country = 'de', item i"
        " where i.order_id = o.id"),
        [
            "c.country equality = 'de'",
            "c.id join = orders.customer_id",
            "i.order_id join = orders.id",
            "o.customer_id join = customer.id",
            "o.id join = item.order_id",
        ],
    ),
    "an outer join filters its inner side only": (
        "select from orders o left join item i on i.order_id = o.id and i.price > 5 and o.total > 6 where o.note = 'x'",
        [
            "i.order_id join = orders.id !optional",
            "i.price range > 5 !optional",
            "o.id join = item.order_id !or",
            "o.note equality = 'x'",
            "o.total range > 6 !or",
        ],
    ),
    "a right join is a left join": (
        "select from item i right join orders o on i.order_id = o.id",
        ["i.order_id join = orders.id !optional", "o.id join = item.order_id !or"],
    ),
    "using": (
        "select from item join product using (id) where id = $1",
        ["item.id equality = $1", "item.id join = product.id", "product.id join = item.id"],
    ),
    "a natural join": (
        "select from customer natural join archive.orders",
        ["customer.id join = archive.orders.id", "orders.id join = customer.id"],
    ),
    "a self join keeps its aliases apart": (
        "select from product a join product b on a.parent_id = b.id where b.sku = $1",
        ["a.parent_id join = product.id", "b.id join = product.parent_id", "b.sku equality = $1"],
    ),
    "a join by expression": (
        "select from customer c join orders o on lower(o.note) = c.email",
        ["c.email join = orders.note", "o.note [lower(note)] join = customer.email"],
    ),
    "a join by range": (
        "select from orders o, item i where i.price > o.total",
        ["i.price join > orders.total", "o.total join < item.price"],
    ),
    "unqualified names look outward": (
        "select from orders where exists (select from item where order_id = orders.id and status = 'x')",
        [
            "item.order_id join = orders.id",
            "orders.id join = item.order_id",
            "orders.status equality = 'x'",
        ],
    ),
    "not exists cannot drive": (
        "select from orders o where not exists (select from item i where i.order_id = o.id)",
        ["i.order_id join = orders.id", "o.id join = item.order_id !or"],
    ),
    "a scalar subquery cannot drive": (
        "select (select max(price) from item i where i.order_id = o.id) from orders o",
        ["i.order_id join = orders.id", "o.id join = item.order_id !or"],
    ),
    "compared with a correlated subquery": (
        "select from orders o where total = (select max(price) from item i where i.order_id = o.id)",
        ["i.order_id join = orders.id", "o.id join = item.order_id !or", "o.total equality = <subquery> !or"],
    ),
    "in a subquery": (
        "select from orders where customer_id in (select id from customer where country = $1)",
        [
            "customer.country equality = $1",
            "customer.id join = orders.customer_id",
            "orders.customer_id in_subquery in customer.id",
        ],
    ),
    "not in a subquery": (
        "select from orders where customer_id not in (select id from customer)",
        ["orders.customer_id not_in_subquery not in customer.id"],
    ),
    "rows in a subquery": (
        "select from item where (order_id, product_id) in (select o.id, p.id from orders o, product p)",
        [
            "item.order_id in_subquery in orders.id",
            "item.product_id in_subquery in product.id",
            "o.id join = item.order_id",
            "p.id join = item.product_id",
        ],
    ),
    "lateral": (
        "select from orders o cross join lateral (select * from item i where i.order_id = o.id) x where x.price = 1",
        ["i.order_id join = orders.id", "i.price equality = 1", "o.id join = item.order_id"],
    ),
    "a filter goes through a subquery": (
        "select from (select id as number, total from orders where note = 'x') s where s.number = $1 and total > 5",
        ["orders.id equality = $1", "orders.note equality = 'x'", "orders.total range > 5"],
    ),
    "but not through LIMIT": (
        "select from (select id from orders order by created_at limit 5) s where id = $1 order by id",
        ["orders.created_at order #1", "orders.id other = $1", "orders.id other order by #1"],
    ),
    "grouping lets filters through, not joins": (
        ("select from (select customer_id, sum(total) from orders group by 1) s join customer c on c.id = s.customer_id"
        " where s.customer_id = $1"),
        [
            "c.id join = orders.customer_id",
            "orders.customer_id equality = $1",
            "orders.customer_id group #1",
            "orders.customer_id join = customer.id !or",
        ],
    ),
    "a window is a wall": (
        "select from (select id, row_number() over (order by total) n from orders) s where id = $1 and n = 1",
        ["orders.id other = $1", "orders.total other window order by #1"],
    ),
    "a computed column is not the column": (
        "select from (select total + 1 as total from orders) s where total = 5",
        [],
    ),
    "renamed columns": ("select from orders as o (a, b) where b = $1", ["o.customer_id equality = $1"]),
    "a join with a name": (
        "select from (orders o join item i on i.order_id = o.id) as j (x) where j.x = 1",
        ["i.order_id join = orders.id", "o.id equality = 1", "o.id join = item.order_id"],
    ),
    "a CTE used once is a subquery": (
        "with x (number) as (select id from orders) select from x where number = $1",
        ["orders.id equality = $1"],
    ),
    "a CTE used twice is a table": (
        "with x as (select id from orders) select from x a, x b where a.id = 1",
        ["orders.id other = 1"],
    ),
    "a CTE asked to be kept": (
        "with x as materialized (select id from orders) select from x where id = 1",
        ["orders.id other = 1"],
    ),
    "a CTE asked to be merged": (
        "with x as not materialized (select id from orders) select from x a, x b where a.id = 1",
        ["orders.id equality = 1"],
    ),
    "a CTE hides a table, inside it the table is meant": (
        "with orders as (select id from orders where total = 1) select from orders where id = 2",
        ["orders.id equality = 2", "orders.total equality = 1"],
    ),
    "recursion": (
        ("with recursive t as (select id, parent_id from product where sku = $1 union all"
        " select p.id, p.parent_id from product p join t on p.parent_id = t.id) select from t"),
        [
            "p.parent_id join = product.id",
            "product.id join = product.parent_id !or",
            "product.sku equality = $1",
        ],
    ),
    "a union": (
        ("select from (select id, note as t from orders union all select id, title from product) u"
        " where t = $1 order by id"),
        [
            "orders.id order #1",
            "orders.note equality = $1",
            "product.id order #1",
            "product.title equality = $1",
        ],
    ),
    "the order of a union that sorts anyway": (
        "select id from orders union select id from product order by id",
        ["orders.id other order by #1", "product.id other order by #1"],
    ),
    "a view is what it selects from": (
        "select from paid_order p where p.email = $1",
        [
            "c.email equality = $1",
            "c.id join = orders.customer_id",
            "o.customer_id join = customer.id",
            "o.status equality = 'paid'",
        ],
    ),
    "a view with groups": (
        "select from spending where customer_id = $1 and spent > 5",
        ["orders.customer_id equality = $1", "orders.customer_id group #1"],
    ),
    "a view that cannot be read stands for itself": ("select from broken where id = 1", ["broken.id equality = 1"]),
    "a view that names itself": ("select from circle where id = 1", ["circle.id equality = 1"]),
    "sorting": (
        "select total as t, note from orders order by t desc, 2, lower(note) desc nulls last, orders.id nulls first",
        [
            "orders.id order #4 nulls first",
            "orders.note [lower(note)] order #3 desc nulls last",
            "orders.note order #2",
            "orders.total order #1 desc",
        ],
    ),
    "grouping by an alias, sorting by an aggregate": (
        ("select lower(note) as n, customer_id, sum(total) from orders group by n, customer_id having sum(total) > 5"
        " and customer_id = 3 order by sum(total)"),
        [
            "orders.customer_id equality = 3",
            "orders.customer_id group #2",
            "orders.note [lower(note)] group #1",
            "orders.total [sum(total)] other > 5",
            "orders.total [sum(total)] other order by #1",
        ],
    ),
    "an input column goes before an alias in GROUP BY": (
        "select total as id from orders group by id",
        ["orders.id group #1"],
    ),
    "distinct": ("select distinct note, id from orders", ["orders.id distinct #2", "orders.note distinct #1"]),
    "distinct on": (
        "select distinct on (customer_id) id from orders order by customer_id, id desc",
        ["orders.customer_id distinct #1", "orders.customer_id order #1", "orders.id order #2 desc"],
    ),
    "update from": (
        "update orders o set note = c.name from customer c where c.id = o.customer_id and c.email = $1",
        ["c.email equality = $1", "c.id join = orders.customer_id", "o.customer_id join = customer.id"],
    ),
    "delete using": (
        "delete from item using orders where orders.id = order_id and orders.status = $1",
        ["item.order_id join = orders.id", "orders.id join = item.order_id", "orders.status equality = $1"],
    ),
    "current of a cursor": ("delete from item where current of c", []),
    "insert from a query": (
        "insert into archive.orders (id) select id from orders where total = 1",
        ["orders.total equality = 1"],
    ),
    "a writing CTE": (
        ("with gone as (delete from orders where status = $1 returning id, note) insert into archive.orders select id"
        " from gone where note = 'x'"),
        ["orders.note other = 'x'", "orders.status equality = $1"],
    ),
    "a table function": (
        "select from orders o, unnest(o.tags) as t where t = $1 and o.id = 2",
        ["o.id equality = 2"],
    ),
    "a table that the catalog lacks": (
        "select from orders join elsewhere e on e.order_id = orders.id where secret = 1 and status = 2",
        ["orders.id join = <column>", "orders.status equality = 2"],
    ),
    "a schema": (
        "select from archive.orders where archive.orders.archived_at = $1",
        ["orders.archived_at equality = $1"],
    ),
    "odd names": (
        """select from "Odd Name" where "Mixed-Case" = 1 and lower("Mixed-Case") = 'x'""",
        ["""Odd Name.Mixed-Case [lower("Mixed-Case")] equality = 'x'""", "Odd Name.Mixed-Case equality = 1"],
    ),
    "a sample": ("select from orders tablesample system (1) where id = 1", ["orders.id equality = 1"]),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), STATEMENTS.values(), ids=STATEMENTS)
def test_statement(sql: str, expected: list[str]) -> None:
    assert said(sql) == expected


READ_AND_WRITTEN = {
    "a select list": (
        "select o.id, total * 2, c.* from orders o, customer c",
        ["c.* select", "o.id select", "o.total [total * 2] select"],
    ),
    "a star over a subquery adds nothing": ("select * from (select id from orders) s", ["orders.id select"]),
    "a whole row": ("select o from orders o", ["o.* select"]),
    "an aggregate": ("select max(total) from orders", ["orders.total [max(total)] select"]),
    "counting rows reads no column": ("select count(*) from orders", []),
    "update": (
        "update orders set note = $1, total = total + 1 returning id",
        ["orders.id select", "orders.note set", "orders.total [total + 1] select", "orders.total set"],
    ),
    "update of several": (
        "update orders set (note, total) = (select title, id from product)",
        ["orders.note set", "orders.total set", "product.id select", "product.title select"],
    ),
    "insert": ("insert into item (id, price) values ($1, $2)", ["item.id insert", "item.price insert"]),
    "insert of whole rows": ("insert into item values ($1, $2)", ["item.* insert"]),
    "insert or update": (
        ("insert into item as i (id) values ($1) on conflict (id, lower(price)) do update set price = excluded.price,"
        " quantity = i.quantity + 1 where i.price < 5"),
        [
            "i.id insert",
            "i.id other on conflict #1",
            "i.price [lower(price)] other on conflict #2",
            "i.price [price < 5] other",
            "i.price set",
            "i.quantity [quantity + 1] select",
            "i.quantity set",
        ],
    ),
    "merge": (
        ("merge into item t using product s on t.product_id = s.id when matched and t.price > 5 then update"
        " set price = s.title when not matched then insert (id) values (s.id)"),
        [
            "s.id join = item.product_id !or",
            "s.id select",
            "s.title select",
            "t.id insert",
            "t.price [price > 5] other",
            "t.price set",
            "t.product_id join = product.id !optional",
        ],
    ),
    "through EXPLAIN": (
        "explain (verbose) select note from orders where id = 1",
        ["orders.id equality = 1", "orders.note select"],
    ),
    "through PREPARE": ("prepare p as select note from orders", ["orders.note select"]),
    "through DECLARE": ("declare c cursor for select note from orders", ["orders.note select"]),
    "through CREATE TABLE AS": ("create table t as select note from orders", ["orders.note select"]),
    "through COPY": ("copy (select note from orders) to stdout", ["orders.note select"]),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), READ_AND_WRITTEN.values(), ids=READ_AND_WRITTEN)
def test_read_and_written(sql: str, expected: list[str]) -> None:
    assert said(sql, drop=()) == expected


def test_conditions_have_distinct_clauses_and_arms_share_one() -> None:
    rows = analyse("select from orders where id = 1 and (total = 2 or note = 'x') and status = 's'", SHOP).references
    clauses = {row.column_name: row.clause for row in rows}
    assert clauses == {"id": 1, "total": 2, "note": 2, "status": 3}


def test_blocks_are_numbered_from_the_outermost_inward() -> None:
    rows = analyse(
        "with x as (select note from orders) select (select max(price) from item) from product where sku = 'a'", SHOP
    ).references
    assert {row.relation: row.block for row in rows} == {
        "public.product": 0,
        "public.orders": 1,
        "public.item": 2,
    }


def test_a_filter_outside_stands_in_the_block_of_its_relation() -> None:
    rows = analyse("select from (select id from orders where total = 1) s where id = 2", SHOP).references
    assert {(row.column_name, row.role): (row.block, row.alias) for row in rows if row.role == "equality"} == {
        ("total", "equality"): (1, "orders"),
        ("id", "equality"): (1, "orders"),
    }
    assert len({row.clause for row in rows if row.role == "equality"}) == 2


def test_the_search_path_decides() -> None:
    sql = "select from orders where id = 1"
    assert [row.relation for row in analyse(sql, SHOP).references] == ["public.orders"]
    assert [row.relation for row in analyse(sql, SHOP, ("archive", "public")).references] == ["archive.orders"]
    assert analyse(sql, SHOP, ()).references == ()


def test_types_of_casts() -> None:
    rows = analyse(
        "select from orders where created_at::timestamp with time zone >= '2026-01-01'::date", SHOP
    ).references
    assert [(row.cast_type, row.value_cast_type, row.value) for row in rows] == [
        ("timestamptz", "date", "'2026-01-01'")
    ]


def test_long_values_are_not_kept() -> None:
    long = "x" * 10_000
    rows = analyse(f"select from orders where note = '{long}' and status || '{long}' = 'a'", SHOP).references
    assert [row.value for row in rows] == [None, "'a'"]
    assert all(len(row.expression or "") <= 500 for row in rows)
