"""Where PostgreSQL itself says what a statement uses, the same is said here.

A view depends on exactly the columns that its query names: pg_depend is the truth for name resolution. With an index on
every column, an Index Cond is the truth for which conditions an index answers.
"""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from pglast import parse_sql
from psycopg.rows import DictRow

from queryfit.sql.catalog import Catalog
from queryfit.sql.grammar import ast
from queryfit.sql.statement import analyse
from queryfit.sql.tree import walk
from tests.servers import Cluster
from tests.sql.test_references import CONDITIONS, STATEMENTS

TABLES = """
create table customer (id int, name text, email text, country text, is_active boolean, created_at timestamptz);
create table orders (id int, customer_id int, status text, created_at timestamptz, total numeric, note text,
    tags text[], data jsonb);
create table item (id int, order_id int, product_id int, quantity int, price numeric);
create table product (id int, sku text, title text, search tsvector, parent_id int, valid daterange);
create schema archive;
create table archive.orders (id int, archived_at timestamptz);
create table "Odd Name" (id int, "Mixed-Case" text);
"""
REPORTS = {
    "priced items of late orders by customer": """
        select c.name, c.country, sum(i.price * (1 - i.quantity)) as revenue, count(distinct o.id) filter
        (where o.note is not null) from customer c, orders o, item i where c.id = o.customer_id and
        i.order_id = o.id and o.created_at >= date '2026-01-01' and o.created_at < date '2026-01-01' +
        interval '3 month' and i.price between 1 and 9 group by c.name, c.country having sum(i.price) > 5
        order by revenue desc, c.name limit 20""",
    "the cheapest supplier": """
        select p.sku, p.title from product p join item i on p.id = i.product_id where i.price = (select
        min(x.price) from item x join orders y on x.order_id = y.id where x.product_id = p.id and y.status =
        'paid') and p.title like '%BRASS' order by i.price desc""",
    "customers that never ordered, by country": """
        select substring(email from 1 for 2) as code, count(*) as n, sum(k.worth) from (select c.email,
        c.id, (select max(total) from orders where customer_id = c.id) as worth from customer c where
        c.country in ('de', 'fr') and not exists (select * from orders o where o.customer_id = c.id and
        o.total > (select avg(total) from orders where customer_id > 0))) as k group by code order by code""",
    "share of a product over time": """
        select extract(year from o.created_at) as y, sum(case when c.country = 'br' then i.price *
        i.quantity else 0 end) / sum(i.price * i.quantity) as share from item i join orders o on o.id =
        i.order_id left join customer c on c.id = o.customer_id and c.is_active where i.product_id in
        (select id from product where sku ~ '^x') group by 1 order by 1""",
    "channels compared": """
        with web as (select product_id, sum(price) as amount, rank() over (partition by order_id order by
        sum(price) desc) as place from item group by product_id, order_id), shop as (select p.id, p.title,
        w.amount from product p join web w on w.product_id = p.id where w.place <= 10), other as
        materialized (select customer_id, count(*) n from orders group by customer_id) select 'web' as
        channel, s.title, s.amount from shop s union all select 'other', c.name, o.n from other o join
        customer c on c.id = o.customer_id where c.email is not null order by 1, 3 desc nulls last limit 100""",
    "a tree": """
        with recursive up as (select id, parent_id, 1 as depth, array[id] as path from product where sku =
        'a' union all select p.id, p.parent_id, up.depth + 1, up.path || p.id from up join product p on p.id
        = up.parent_id where not p.id = any(up.path)) select u.id, u.depth, t.title from up u join product t
        using (id) where u.depth < 5""",
    "windows and grouping sets": """
        select o.status, c.country, sum(o.total) as total, grouping(o.status), lag(sum(o.total)) over w from
        orders o natural join (select id as customer_id, country from customer) c group by rollup (o.status,
        c.country) window w as (partition by c.country order by sum(o.total))""",
    "lateral top of each": """
        select c.id, latest.total, tag from customer c cross join lateral (select total, tags from orders
        where customer_id = c.id order by created_at desc limit 3) latest, unnest(latest.tags) as tag where
        tag <> 'x'""",
    "a subquery of everything": """
        select * from (select * from item) i where exists (select 1 from product where product.id =
        i.product_id and title = 'x') and (i.order_id, i.id) in (select o.id, o.customer_id from orders o)""",
    "correlated two levels up": """
        select name from customer where exists (select from orders where customer_id = customer.id and
        exists (select from item where order_id = orders.id and price > 5 and email = 'x'))""",
    "values joined": """
        select v.label, o.note from (values (1, 'a'), (2, 'b')) as v (number, label) join orders o on o.id =
        v.number""",
    "sets of sets": """
        (select id from orders where total > 1 except select order_id from item) union (select id from
        product intersect select id from customer where name = 'x') order by id""",
    "a whole row": "select o, to_jsonb(i) from orders o join item i on i.order_id = o.id",
    "renamed and hidden": """
        select j.a, j.total from (orders as o (a, b) join item on b = item.order_id) as j where j.status =
        'x'""",
}


@pytest.fixture(scope="module")
def shop(cluster_of: Any) -> Iterator[psycopg.Connection[DictRow]]:
    """The tables of the shop, empty, with an index on every column, on PostgreSQL 18."""
    cluster: Cluster = cluster_of(18)
    cluster.create_database("sql_truth")
    with cluster.connect("sql_truth") as connection:
        connection.execute(TABLES)
        for row in columns(connection):
            method = "gin" if row["column_name"] in ("tags", "data", "search") else "btree"
            if row["column_name"] != "valid":
                name = '"' + row["column_name"] + '"'
                connection.execute(f"create index on {row['relation']} using {method} ({name})".encode())
        yield connection
    cluster.drop_database("sql_truth")


def columns(connection: psycopg.Connection[DictRow]) -> list[dict[str, Any]]:
    return connection.execute(
        """
        select attrelid::regclass::text as found, format('%I.%I', nspname, relname) as relation, nspname as schema,
               relname as name, attname as column_name, attnum as position, 'table' as kind
        from pg_attribute join pg_class c on c.oid = attrelid join pg_namespace n on n.oid = relnamespace
        where nspname in ('public', 'archive') and relkind = 'r' and attnum > 0
        """
    ).fetchall()


def real_catalog(connection: psycopg.Connection[DictRow]) -> Catalog:
    rows = columns(connection)
    return Catalog.from_rows({row["relation"]: row for row in rows}.values(), rows)


def depended_on(connection: psycopg.Connection[DictRow], sql: str) -> set[tuple[str, str]] | None:
    """Columns that a view of that text depends on; None where the server takes no such view."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(f"create view truth as {sql}".encode())
            rows = connection.execute(
                """
                select format('%I.%I', relnamespace::regnamespace, relname) as relation, attname
                from pg_depend join pg_rewrite r on r.oid = objid and classid = 'pg_rewrite'::regclass
                join pg_attribute on attrelid = refobjid and attnum = refobjsubid join pg_class c on c.oid = refobjid
                where attnum > 0 and refclassid = 'pg_class'::regclass and refobjid <> ev_class
                  and ev_class = 'truth'::regclass
                """
            ).fetchall()
    except psycopg.errors.Error:
        return None
    return {(row["relation"], row["attname"]) for row in rows}


def referenced(connection: psycopg.Connection[DictRow], sql: str, *, whole_rows: bool) -> set[tuple[str, str]]:
    catalog = real_catalog(connection)
    found = set()
    for row in analyse(sql, catalog).references:
        if row.column_name != "*":
            found.add((row.relation, row.column_name))
        elif whole_rows:
            schema, name = row.relation.split(".", 1)
            relation = catalog.lookup(schema, name.strip('"'))
            assert relation is not None
            found |= {(row.relation, column) for column in relation.columns}
    return found


def as_view(sql: str) -> str:
    """A statement of the cases as a view can hold it: something selected, nothing left open."""
    return re.sub(r"\$\d+", "null", re.sub(r"^((?:with .*\) )?)select from", r"\1select 1 as one from", sql))


def views() -> dict[str, str]:
    conditions = {name: f"select 1 as one from orders o where {text}" for name, (text, _) in CONDITIONS.items()}
    statements = {name: as_view(sql) for name, (sql, _) in STATEMENTS.items() if "insert" not in sql}
    return {name: as_view(sql).replace("orders.", "o.") for name, sql in conditions.items()} | statements | REPORTS


def test_names_resolve_as_the_server_resolves_them(shop: psycopg.Connection[DictRow]) -> None:
    judged = {}
    for name, sql in views().items():
        expected = depended_on(shop, sql)
        if expected is not None:
            # A row used as a value (`select o`) depends on the relation, not on its columns; a star on all of them.
            judged[name] = (expected, referenced(shop, sql, whole_rows=" o, " not in sql and "o is not" not in sql))
    assert {name: truth for name, (truth, _) in judged.items()} == {name: said for name, (_, said) in judged.items()}
    assert len(judged) >= 90
    assert set(REPORTS) <= set(judged)


def plan_conditions(plan: dict[str, Any], *, below_or: bool = False) -> Iterator[str]:
    """Index conditions of a plan that stand on their own: those below a BitmapOr are one arm of several."""
    if "Index Cond" in plan and not below_or:
        yield plan["Index Cond"]
    for child in plan.get("Plans", ()):
        yield from plan_conditions(child, below_or=below_or or plan["Node Type"] == "BitmapOr")


def columns_of(condition: str) -> set[str]:
    """Columns of `o` in a condition as EXPLAIN VERBOSE writes it."""
    return {column for alias, column in qualified_columns(condition) if alias == "o"}


def qualified_columns(condition: str) -> set[tuple[str, str]]:
    """(alias, column) of every column in a condition of a plan."""
    plain = re.sub(r"\((?:hashed )?(?:Init|Sub)Plan \d+\)", "plan", condition)
    fields = [node.fields for node in walk(parse_sql(f"select {plain}")[0]) if isinstance(node, ast.ColumnRef)]
    return {(names[0].sval, names[-1].sval) for names in fields if len(names) > 1}


ANSWERED_OTHERWISE = {
    # By the GIN indexes on jsonb and arrays, by the range that a pattern's prefix is: no roles of a plain lookup.
    "contains", "contained, turned round", "has key", "like with escape",
}  # fmt: skip


def test_conditions_that_an_index_answers_are_those_that_the_server_looks_up(shop: psycopg.Connection[DictRow]) -> None:
    said, truth = {}, {}
    catalog = real_catalog(shop)
    for name, (text, _) in CONDITIONS.items():
        condition = text.replace("orders", "o")
        sql = f"select 1 from orders o where {condition}"
        if name in ANSWERED_OTHERWISE:
            continue
        try:
            with shop.transaction():
                shop.execute("set local enable_seqscan = off")
                row = shop.execute(f"explain (verbose, generic_plan, format json) {sql}".encode()).fetchone()
        except psycopg.errors.Error:
            continue  # the type of a parameter that the server cannot tell
        assert row is not None
        plan = row["QUERY PLAN"][0]["Plan"]
        truth[name] = {column for found in plan_conditions(plan) for column in columns_of(found)}
        said[name] = {
            reference.column_name
            for reference in analyse(sql, catalog).references
            if reference.role in ("equality", "range", "null_test")
            and reference.expression is None
            and not reference.is_disjunct
            and reference.column_name != "*"
        }
    # Of several columns that could each be looked up, the server takes one index.
    taken = {name: found & truth[name] if truth[name] else found for name, found in said.items()}
    assert taken == truth
    assert len(truth) >= 45


JOINED = {
    "inner": "select 1 from orders o join item i on i.order_id = o.id where i.price = $1 and o.status = $2",
    "outer": "select 1 from orders o left join item i on i.order_id = o.id and i.price > 5 where o.note is null",
    "exists": "select 1 from orders o where exists (select 1 from item i where i.order_id = o.id and i.quantity = $1)",
    "in": "select 1 from orders o where o.id in (select i.order_id from item i where i.price < $1)",
    "subquery": "select 1 from (select x.id as n, x.note from orders x where x.total > 1) s where s.n = $1",
    "grouped": "select s.n from (select x.customer_id as n, sum(total) from orders x group by 1) s where s.n = $1",
    "union": "select 1 from (select id as n from orders x union all select id from item i) s where s.n = $1",
    "chain": "select 1 from orders o, item i, product p where i.order_id = o.id and p.id = i.product_id and p.sku = $1",
    "delete": "delete from item i using orders o where o.id = i.order_id and o.created_at < $1",
    "update": "update orders o set note = c.name from customer c where c.id = o.customer_id and c.email = $1",
    "cte": "with x as (select o.id, o.total from orders o) select 1 from x where x.total between $1 and $2",
    "lateral": "select 1 from orders o, lateral (select * from item i where i.order_id = o.id limit 1) x",
}
CONDITION_KEYS = ("Index Cond", "Filter", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter")


@pytest.mark.parametrize("sql", JOINED.values(), ids=JOINED)
def test_conditions_are_those_of_the_plan(shop: psycopg.Connection[DictRow], sql: str) -> None:
    row = shop.execute(f"explain (verbose, generic_plan, format json) {sql}".encode()).fetchone()
    assert row is not None
    truth: set[tuple[str, str]] = set()
    stack = [row["QUERY PLAN"][0]["Plan"]]
    while stack:
        plan = stack.pop()
        stack += plan.get("Plans", [])
        for key in CONDITION_KEYS:
            if key in plan:
                truth |= qualified_columns(plan[key])
    said = {(r.alias, r.column_name) for r in analyse(sql, real_catalog(shop)).references if r.clause > 0}
    assert said == truth


CORRELATED = {
    "scalar": "select (select max(i.price) from item i where i.order_id = o.id) from orders o",
    "not exists": "select 1 from orders o where not exists (select 1 from item i where i.order_id = o.id)",
    "left of nothing": "select 1 from orders o left join item i on i.order_id = o.id and o.status = $1",
    "right": "select 1 from item i right join orders o on i.order_id = o.id where o.total < $1",
    "limited": "select 1 from (select o.id from orders o limit 5) s join item i on i.order_id = s.id where s.id = $1",
    "kept": "with x as materialized (select o.id from orders o) select 1 from x, item i where i.order_id = x.id",
    "window": "select 1 from (select o.id, rank() over (order by o.total) from orders o) s where s.id = $1",
    "in or": "select 1 from orders o where o.id = $1 or o.total in (select i.price from item i)",
    "not in": "select 1 from orders o where o.id not in (select i.order_id from item i where i.price = $1)",
    "keyset": "select 1 from orders o where (o.created_at, o.id) < ($1, $2) order by o.created_at desc limit 5",
}


def lookups(plan: dict[str, Any], alias: str = "", *, below_or: bool = False) -> Iterator[tuple[str, str]]:
    """(alias, column) of what index scans look up; the index scan of a bitmap belongs to the heap scan above it."""
    alias = plan.get("Alias", alias)
    if "Index Cond" in plan and not below_or:
        yield from (pair for pair in qualified_columns(plan["Index Cond"]) if pair[0] == alias)
    for child in plan.get("Plans", ()):
        yield from lookups(child, alias, below_or=below_or or plan["Node Type"] == "BitmapOr")


@pytest.mark.parametrize("sql", [*JOINED.values(), *CORRELATED.values()], ids=[*JOINED, *CORRELATED])
def test_lookups_are_said_to_be_possible_and_conditions_are_looked_up(
    shop: psycopg.Connection[DictRow], sql: str
) -> None:
    """With every index there and only nested loops allowed: no lookup that was not said, none said that never comes."""
    with shop.transaction():
        for setting in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin"):
            shop.execute(f"set local {setting} = off".encode())
        row = shop.execute(f"explain (verbose, generic_plan, format json) {sql}".encode()).fetchone()
    assert row is not None
    looked_up = set(lookups(row["QUERY PLAN"][0]["Plan"]))
    bounding = {
        (reference.alias, reference.column_name): reference.role
        for reference in analyse(sql, real_catalog(shop)).references
        if reference.role in ("equality", "range", "join", "in_subquery", "null_test") and not reference.is_disjunct
    }
    assert looked_up <= set(bounding)
    filtered = {alias for (alias, _), role in bounding.items() if role in ("equality", "range", "null_test")}
    assert filtered <= {alias for alias, _ in looked_up}
