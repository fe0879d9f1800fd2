# ruff: noqa: E501 - tables of statements
"""Views: their columns, what they read, what CREATE OR REPLACE VIEW may change."""

from __future__ import annotations

import pytest

from queryfit.migrations.model import Name
from queryfit.migrations.replay import Run
from tests.migrations.replaying import facts, last_effects, last_step, relation, replayed

SHOP = """
create table customers (id int primary key, email text, region varchar(20));
create table orders (id bigint primary key, customer_id int, total numeric(10,2), placed timestamptz);
create function score(int) returns float8 immutable language sql as 'select 1.0';
"""


def view(query: str) -> Run:
    return replayed(f"{SHOP}; create view v as {query}")


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("select id, email from customers", [("id", "int4"), ("email", "text")]),
        ("select * from customers", [("id", "int4"), ("email", "text"), ("region", "varchar")]),
        ("select c.*, o.total from customers c join orders o on o.customer_id = c.id",
         [("id", "int4"), ("email", "text"), ("region", "varchar"), ("total", "numeric")]),
        ("select count(*), sum(total), 1 as one, 'x' from orders",
         [("count", "int8"), ("sum", None), ("one", "int4"), ("?column?", "text")]),
        ("select total::text, id = 1, email is null as e from orders, customers",
         [("total", "text"), ("?column?", "bool"), ("e", "bool")]),
        ("with c as (select id as key from customers) select key from c", [("key", "int4")]),
        ("with recursive r(n) as (select 1 union all select n + 1 from r) select n from r", [("n", "int4")]),
        ("select id from customers union all select customer_id from orders", [("id", "int4")]),
        ("select id from customers union all select id from orders", [("id", None)]),
        ("select * from (select id, email as mail from customers) s", [("id", "int4"), ("mail", "text")]),
        ("select a from (values (1), (2)) as t(a)", [("a", "int4")]),
        ("values (1, 'a')", [("column1", "int4"), ("column2", "text")]),
        ("select * from customers join orders using (id)",
         [("id", "int4"), ("email", "text"), ("region", "varchar"), ("customer_id", "int4"), ("total", "numeric"),
          ("placed", "timestamptz")]),
        ("select score(id) from customers", [("score", "float8")]),
        ("select exists (select from orders) as any_orders", [("any_orders", "bool")]),
        ("select c.key from customers as c(key)", [("key", "int4")]),
        ("select coalesce(email, 'x') from customers", [("coalesce", "text")]),
        ("select lower(email), upper(region), current_date, max(placed) from customers, orders",
         [("lower", "text"), ("upper", "text"), ("current_date", "date"), ("max", "timestamptz")]),
        ("select lower(r) from (select daterange(null, null) as r) s", [("lower", None)]),
        ("select case when id = 1 then 2 end from customers", [("case", None)]),
        ("select g from generate_series(1, 3) g", [("g", None)]),
        ("select x.a, x.b from json_to_record('{}') as x(a int, b text)", [("a", "int4"), ("b", "text")]),
    ],
)  # fmt: skip
def test_columns_of_a_view(query: str, columns: list[tuple[str, str | None]]) -> None:
    made = relation(view(query), "v")
    assert [(column.name, column.type.name if column.type else None) for column in made.columns.values()] == columns
    assert made.are_columns_known
    assert made.kind == "view"


@pytest.mark.parametrize("query", ["select * from elsewhere", "select e.* from elsewhere e", "select * from f()"])
def test_columns_of_what_is_not_known_are_not_known(query: str) -> None:
    assert not relation(view(query), "v").are_columns_known


@pytest.mark.parametrize(
    ("query", "reads"),
    [
        ("select email from customers", {("customers", None), ("customers", "email")}),
        ("select c.email from customers c where c.region = 'x' order by c.id",
         {("customers", None), ("customers", "email"), ("customers", "region"), ("customers", "id")}),
        ("select email from customers join orders on customer_id = customers.id",
         {("customers", None), ("orders", None), ("customers", "email"), ("orders", "customer_id"), ("customers", "id")}),
        ("select 1 from customers where exists (select from orders o where o.customer_id = customers.id)",
         {("customers", None), ("orders", None), ("orders", "customer_id"), ("customers", "id")}),
        ("with o as (select total from orders) select total from o", {("orders", None), ("orders", "total")}),
        ("select x from elsewhere", {("elsewhere", None), ("elsewhere", "x")}),
        ("select * from customers join orders using (id)",
         {("customers", None), ("orders", None), *(("customers", c) for c in ("id", "email", "region")),
          *(("orders", c) for c in ("id", "customer_id", "total", "placed"))}),
        ("select key from customers as c(key)", {("customers", None), ("customers", "id")}),
        ("select l.n from customers c, lateral (select c.region as n) l", {("customers", None), ("customers", "region")}),
        ("select sum(total) over (partition by customer_id) from orders",
         {("orders", None), ("orders", "total"), ("orders", "customer_id")}),
    ],
)  # fmt: skip
def test_what_a_view_reads(query: str, reads: set[tuple[str, str | None]]) -> None:
    made = relation(view(query), "v")
    assert {(name.name, column) for name, column in made.depends_on} == reads


def test_a_common_table_expression_hides_a_table() -> None:
    made = relation(view("with customers as (select 1 as one) select one from customers"), "v")
    assert made.depends_on == frozenset()


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ("select id, email from customers", None),
        ("select id, email, region from customers", None),
        ("select id from customers", "cannot drop columns from view"),
        ("select id, region from customers", 'cannot change name of view column "email" to "region"'),
        ("select id, 1 as email from customers", 'cannot change data type of view column "email"'),
        ("select id, lower(email) as email from customers", None),
        ("select id::int8, email from customers", 'cannot change data type of view column "id"'),
        ("select id, something(email) as email from customers", None),
        ("select * from elsewhere", None),
    ],
)
def test_what_create_or_replace_view_may_change(query: str, refusal: str | None) -> None:
    run = replayed(f"{SHOP}; create view v as select id, email from customers; create or replace view v as {query}")
    assert last_step(run).refusal == refusal
    (effect,) = last_effects(run)
    assert facts(effect, "action", "relation", "is_breaking") == ("replace view", "public.v", refusal is not None)
    if refusal is not None:
        assert list(relation(run, "v").columns) == ["id", "email"]


def test_a_typmod_counts_too() -> None:
    run = replayed(
        f"{SHOP}; create view v as select region from customers; "
        "create or replace view v as select region::varchar(30) from customers"
    )
    assert last_step(run).refusal == 'cannot change data type of view column "region"'


def test_a_view_that_is_there() -> None:
    assert (
        last_step(replayed("create view v as select 1; create view v as select 1")).refusal
        == "relation public.v already exists"
    )
    assert (
        last_step(replayed("create table v (id int); create or replace view v as select 1")).refusal
        == "public.v is not a view"
    )
    unknown = replayed("create or replace view v as select 1")
    assert (last_step(unknown).refusal, unknown.effects[0].action) == (None, "create view")


def test_column_names_behind_the_name_of_the_view() -> None:
    run = replayed("create view v (a, b) as select 1, 2, 3 as c")
    assert list(relation(run, "v").columns) == ["a", "b", "c"]
    assert run.effects[0].columns == "a, b, c"


def test_a_materialized_view() -> None:
    run = replayed(f"{SHOP}; create materialized view m as select id, email from customers with no data")
    made = relation(run, "m")
    assert (made.kind, list(made.columns)) == ("materialized view", ["id", "email"])
    assert facts(run.effects[-1], "action", "definition") == ("create materialized view", "with no data")
    again = replayed("create materialized view m as select 1; create materialized view if not exists m as select 1")
    assert (again.effects[-1].is_present, last_step(again).refusal) == (False, None)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        # lock, concurrent, rewrite, scan
        ("refresh materialized view m", (8, False, True, False)),
        ("refresh materialized view concurrently m", (7, True, False, True)),
        ("refresh materialized view m with no data", (8, False, False, False)),
    ],
)
def test_refresh(statement: str, expected: tuple[int, bool, bool, bool]) -> None:
    run = replayed("create materialized view m as select 1 as a; create unique index on m (a)", statement)
    (effect,) = last_effects(run)
    assert facts(effect, "lock_level", "is_concurrent", "is_rewrite", "is_scan") == expected


@pytest.mark.parametrize(
    ("index", "is_refused"),
    [
        ("create unique index on m (a)", False),
        ("create index on m (a)", True),
        ("create unique index on m (a) where a > 0", True),
        ("create unique index on m (lower(b))", True),
    ],
)
def test_refresh_concurrently_needs_a_plain_unique_index(index: str, is_refused: bool) -> None:
    run = replayed(
        f"create materialized view m as select 1 as a, 'x' as b; {index}; refresh materialized view concurrently m"
    )
    assert (last_step(run).refusal is not None) == is_refused


def test_refresh_of_what_nobody_made() -> None:
    run = replayed("refresh materialized view concurrently m")
    assert last_step(run).refusal is None
    assert facts(run.effects[0], "relation_kind", "is_known") == ("materialized view", False)


def test_a_temporary_view_over_a_temporary_table() -> None:
    run = replayed("create temp table t (id int); create view v as select * from t")
    assert relation(run, "v").persistence == "temporary"


def test_a_query_that_nests_too_deeply_is_not_followed() -> None:
    run = replayed("create view v as select " + "+".join(["1"] * 450))
    assert last_step(run).unfollowed in {None, "the query nests too deeply"}
    assert Name("public", "v") in run.databases[0].relations


def test_select_into_makes_a_table() -> None:
    run = replayed(f"{SHOP}; select id, email into copy from customers")
    assert list(relation(run, "copy").columns) == ["id", "email"]
    assert last_effects(run)[0].action == "create table as"
