"""The pages of the healthy shop: those of `sick`, by the same names, as they should be.

Some are right as they are: there an index of the healthy shop makes the difference.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from queryfit.demo import pages, sick

if TYPE_CHECKING:
    from queryfit.demo.pages import Connection


def order_history(connection: Connection, n: int) -> None:
    orders = connection.execute(
        "select id, status, total, created_at from orders where customer_id = %s order by created_at desc limit 5",
        (pages.regular_customer(n),),
    ).fetchall()
    connection.execute(
        "select id, order_id, product_id, quantity, unit_price from order_items where order_id = any(%s)",
        ([order[0] for order in orders],),
    ).fetchall()


def order_list(connection: Connection, n: int) -> None:
    connection.execute(
        "select o.id, o.total, c.name, c.email from orders o join customers c on c.id = o.customer_id"
        " where o.created_at >= %s order by o.created_at limit 25",
        (pages.hour(n),),
    ).fetchall()


def search(connection: Connection, n: int) -> None:
    connection.execute("select id, name from products where name like %s limit 20", (f"%{n % 90:02}abc%",)).fetchall()


def order_export(connection: Connection, n: int) -> None:
    connection.execute(
        "select id, customer_id, status, total from orders where id > %s order by id limit 200",
        (n * 7919 % 230000,),
    ).fetchall()


def shipped_orders(connection: Connection, n: int) -> None:
    connection.execute(
        "select o.id, s.carrier, s.shipped_at from orders o join shipments s on s.order_id = o.id"
        " where o.customer_id = %s order by o.created_at desc limit 10",
        (pages.regular_customer(n),),
    ).fetchall()


def dashboard(connection: Connection, _n: int) -> None:
    connection.execute("select reltuples::bigint from pg_class where oid = 'order_items'::regclass").fetchall()


def newsletter(connection: Connection, n: int) -> None:
    connection.execute(
        "select id, email from customers where id > %s order by id limit 500", (n * 500 % 60000,)
    ).fetchall()


def never_reviewed(connection: Connection, n: int) -> None:
    connection.execute(
        "select id, name from products p where category_id = %s"
        " and not exists (select from reviews r where r.product_id = p.id) order by id limit 20",
        (1 + n % 40,),
    ).fetchall()


def best_items(connection: Connection, n: int) -> None:
    first = n * 4001 % 230000
    connection.execute(
        "select order_id, max(unit_price) from order_items where order_id between %s and %s group by order_id",
        (first, first + 50),
    ).fetchall()


def large_orders(connection: Connection, n: int) -> None:
    start = pages.hour(n)
    connection.execute(
        "select count(*) from orders where created_at >= %s and created_at < %s and total > %s",
        (start, start + dt.timedelta(days=1), 400 + n),
    ).fetchall()


def tidy_searches(connection: Connection, n: int) -> None:
    connection.execute("update searches set words = lower(words) where id = %s", (1 + n * 17 % 40000,))


def traffic(connection: Connection, n: int) -> None:
    day = dt.date(2026, 7, 1) + dt.timedelta(days=n % 100)
    connection.execute(
        "select count(*) from page_views where viewed_at >= %s and viewed_at < %s",
        (day, day + dt.timedelta(days=1)),
    ).fetchall()


def customer_value(connection: Connection, n: int) -> None:
    connection.execute("select lifetime_total from customers where id = %s", (pages.regular_customer(n),)).fetchall()


def order_status(connection: Connection, n: int) -> None:
    connection.execute("select id, status, total from orders where id = %s", (1 + n * 1013 % 240000,)).fetchall()


def cart(connection: Connection, n: int) -> None:
    connection.execute("select id, content from carts where customer_id = %s", (pages.regular_customer(n),)).fetchall()


def also_bought(connection: Connection, n: int) -> None:
    connection.execute("select order_id from order_items where product_id = %s limit 20", (1 + n % 12000,)).fetchall()


STOREFRONT = (
    pages.Visit(order_history, 60, 2),
    pages.Visit(sick.latest_reviews, 60, 1),  # an index gives the order
    pages.Visit(search, 60),
    pages.Visit(sick.login, 80, 1),  # an index on lower(email)
    pages.Visit(sick.tracking, 60, 1),  # an index
    pages.Visit(shipped_orders, 60, 1),
    pages.Visit(customer_value, 200, 1),
    pages.Visit(order_status, 60, 1),
    pages.Visit(sick.sales, 20, 1),  # no index is in the way of HOT
    pages.Visit(cart, 60, 1),
    pages.Visit(sick.returned_orders, 40),  # an index
    pages.Visit(also_bought, 40),
    *pages.SHARED,
)

BACK_OFFICE = (
    pages.Visit(order_list, 60, 2),
    pages.Visit(order_export, 40),
    pages.Visit(sick.till, 60),  # an index
    pages.Visit(dashboard, 60),
    pages.Visit(newsletter, 40),
    pages.Visit(never_reviewed, 20),
    pages.Visit(tidy_searches, 200),
)

REPORTS = (pages.Visit(best_items, 40), pages.Visit(large_orders, 20), pages.Visit(traffic, 40))
