"""Pages of the shop: what each asks of the database, as a web application would.

A page gets a connection in autocommit and the number of its visit, from which it takes its parameters, so that every
run asks the same. Here are the pages that have no faults in either shop; the others are in `sick` and `healthy`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]
Page = Callable[[Connection, int], None]

RESELLER = 1  # the customer with one order in ten
FIRST_ORDER = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Visit:
    """How often a page is visited: `times` before the audit, `in_background` in every round while it runs."""

    page: Page
    times: int
    in_background: int = 0


def regular_customer(n: int) -> int:
    """Return a customer who has at least ten orders."""
    return 2 + n * 7 % 150


def hour(n: int) -> dt.datetime:
    return FIRST_ORDER + dt.timedelta(hours=n * 37 % 9000)


# Pages that are the same in both shops.


def health_check(connection: Connection, _n: int) -> None:
    connection.execute("select 1")


def signed_in(connection: Connection, n: int) -> None:
    """Look up the session, then its customer: one row each, so no loop, however often it runs."""
    token = connection.execute("select md5('session' || %s::integer)", (1 + n * 13 % 19000,)).fetchone()
    row = connection.execute("select customer_id from sessions where token = %s", token).fetchone()
    connection.execute("select id, name, locale from customers where id = %s", row)


def poll_queue(connection: Connection, _n: int) -> None:
    connection.execute(
        "select id, payload from jobs where state = 'queued' order by id limit 1 for update skip locked"
    ).fetchall()


def view_page(connection: Connection, n: int) -> None:
    connection.execute(
        "insert into page_views (customer_id, path, viewed_at) values (%s, %s, %s)",
        (
            regular_customer(n),
            f"/product/{n % 12000}",
            FIRST_ORDER.replace(year=2026, month=11) + dt.timedelta(hours=n % 700),
        ),
    )


def category(connection: Connection, n: int) -> None:
    connection.execute(
        "select id, name, price from products where category_id = %s order by id limit 24", (1 + n % 40,)
    ).fetchall()


def product(connection: Connection, n: int) -> None:
    number = 1 + n * 31 % 12000
    connection.execute("select name, description, price from products where id = %s", (number,)).fetchall()
    connection.execute("select rating, body from reviews where product_id = %s limit 10", (number,)).fetchall()


def own_reviews(connection: Connection, n: int) -> None:
    connection.execute(
        "select id, product_id, rating from reviews where customer_id = %s limit 50", (regular_customer(n),)
    ).fetchall()


def payment_of_order(connection: Connection, n: int) -> None:
    connection.execute("select provider, amount from payments where order_id = %s", (1 + n * 997 % 140000,)).fetchall()


def sign_out_everywhere(connection: Connection, n: int) -> None:
    connection.execute("select token from sessions where customer_id = %s", (2 + n * 2,)).fetchall()


def recent_searches(connection: Connection, _n: int) -> None:
    connection.execute("select words from searches order by id desc limit 10").fetchall()


SHARED = (
    Visit(health_check, 300, 5),
    Visit(signed_in, 300, 5),
    Visit(poll_queue, 200, 5),
    Visit(view_page, 200, 2),
    Visit(category, 100, 2),
    Visit(product, 150, 2),
    Visit(own_reviews, 50, 1),
    Visit(payment_of_order, 100, 1),
    Visit(sign_out_everywhere, 40),
    Visit(recent_searches, 60, 1),
)
