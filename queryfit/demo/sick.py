"""The pages of the sick shop; examples/shop/faults.toml says which statement has which fault."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from queryfit.demo import pages

if TYPE_CHECKING:
    from queryfit.demo.pages import Connection


def order_history(connection: Connection, n: int) -> None:
    """Show a customer's last orders with their items: one statement for each order."""
    orders = connection.execute(
        "select id, status, total, created_at from orders where customer_id = %s order by created_at desc limit 5",
        (pages.regular_customer(n),),
    ).fetchall()
    for order in orders:
        connection.execute(
            "select id, product_id, quantity, unit_price from order_items where order_id = %s", (order[0],)
        ).fetchall()


def order_list(connection: Connection, n: int) -> None:
    """Show the orders of an hour with their customers: one statement for each order."""
    orders = connection.execute(
        "select id, customer_id, total from orders where created_at >= %s order by created_at limit 25",
        (pages.hour(n),),
    ).fetchall()
    for order in orders:
        connection.execute("select name, email from customers where id = %s", (order[1],)).fetchall()


def latest_reviews(connection: Connection, _n: int) -> None:
    connection.execute("select id, product_id, rating, body from reviews order by created_at desc limit 20").fetchall()


def search(connection: Connection, n: int) -> None:
    connection.execute("select id, name from products where name like %s limit 20", (f"%{n % 90:02}ab%",)).fetchall()


def order_export(connection: Connection, n: int) -> None:
    connection.execute(
        "select id, customer_id, status, total from orders order by id limit 200 offset %s", (n * 7919 % 230000,)
    ).fetchall()


def login(connection: Connection, n: int) -> None:
    number = 1 + n * 101 % 60000
    connection.execute(
        "select id, name from customers where lower(email) = %s", (f"customer{number}@shop{number % 7}.example",)
    ).fetchall()


def tracking(connection: Connection, n: int) -> None:
    code = connection.execute("select 'TRACK' || md5(%s::text)", (str(1 + n * 89 % 120000),)).fetchone()
    connection.execute("select order_id, carrier, shipped_at from shipments where tracking_code = %s", code).fetchall()


def shipped_orders(connection: Connection, n: int) -> None:
    connection.execute(
        "select o.id, s.carrier, s.shipped_at from orders o join shipments s on s.order_id = o.id"
        " where o.customer_id = %s",
        (pages.regular_customer(n),),
    ).fetchall()


def till(connection: Connection, n: int) -> None:
    start = pages.hour(n)
    connection.execute(
        "select id, provider, amount from payments where captured_at >= %s and captured_at < %s",
        (start, start + dt.timedelta(hours=1)),
    ).fetchall()


def dashboard(connection: Connection, _n: int) -> None:
    connection.execute("select count(*) from order_items").fetchall()


def newsletter(connection: Connection, _n: int) -> None:
    connection.execute("select id, email from customers").fetchall()


def never_reviewed(connection: Connection, _n: int) -> None:
    connection.execute("select id, name from products where id not in (select product_id from reviews)").fetchall()


def best_items(connection: Connection, _n: int) -> None:
    """Rank the items of every order by price: a sort of the whole table."""
    connection.execute(
        "select count(*) from ("
        "select order_id, rank() over (partition by order_id order by unit_price desc) as place from order_items"
        ") as ranked where place = %s",
        (1,),
    ).fetchall()


def large_orders(connection: Connection, n: int) -> None:
    """Count the orders above a sum, adding up the items of every order."""
    connection.execute(
        "select count(*) from ("
        "select order_id, sum(quantity * unit_price) as total from order_items group by order_id"
        ") as sums where total > %s",
        (400 + n,),
    ).fetchall()


def returned_orders(connection: Connection, n: int) -> None:
    """Show a customer's last orders with the number of returns: a subquery for each order."""
    connection.execute(
        "select id, total, (select count(*) from returns where returns.order_id = orders.id) from orders"
        " where customer_id = %s order by created_at desc limit 10",
        (pages.regular_customer(n),),
    ).fetchall()


def sales(connection: Connection, n: int) -> None:
    """Book a batch of sales, one statement each."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "update inventory set stock = stock - 1, updated_at = now() where product_id = %s",
            [(100 + (n * 100 + place) * 11 % 11000,) for place in range(100)],
        )


def tidy_searches(connection: Connection, _n: int) -> None:
    connection.execute("update searches set words = lower(words)")


def traffic(connection: Connection, n: int) -> None:
    day = dt.date(2026, 7, 1) + dt.timedelta(days=n % 100)
    connection.execute("select count(*) from page_views where viewed_at::date = %s", (day,)).fetchall()


def customer_value(connection: Connection, n: int) -> None:
    customer = pages.RESELLER if n % 20 == 0 else pages.regular_customer(n)
    connection.execute("select count(*), sum(total) from orders where customer_id = %s", (customer,)).fetchall()


def order_status(connection: Connection, n: int) -> None:
    """Look an order up by a number that the application holds as a decimal."""
    connection.execute(
        "select id, status, total from orders where id = %s::numeric", (1 + n * 1013 % 240000,)
    ).fetchall()


STOREFRONT = (
    pages.Visit(order_history, 16, 1),
    pages.Visit(latest_reviews, 30, 1),
    pages.Visit(search, 60),
    pages.Visit(login, 40, 1),
    pages.Visit(tracking, 30, 1),
    pages.Visit(shipped_orders, 30, 1),
    pages.Visit(customer_value, 200, 1),
    pages.Visit(returned_orders, 20),
    pages.Visit(order_status, 30, 1),
    pages.Visit(sales, 260, 2),
    *pages.SHARED,
)

BACK_OFFICE = (
    pages.Visit(order_list, 40, 2),
    pages.Visit(order_export, 30),
    pages.Visit(till, 30),
    pages.Visit(dashboard, 30),
    pages.Visit(newsletter, 12),
    pages.Visit(never_reviewed, 15),
    pages.Visit(tidy_searches, 4),
)

REPORTS = (pages.Visit(best_items, 3), pages.Visit(large_orders, 2), pages.Visit(traffic, 20))
