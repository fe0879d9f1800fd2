"""Drives the shop as its applications would: a storefront, a back office and reports, each over its own connections."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from queryfit.demo import healthy, sick

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryfit.demo.pages import Connection, Visit
    from queryfit.demo.shop import Shop

POOL_CONNECTIONS = 85  # what the sick storefront holds and does not use
REPORT_CONNECTIONS = 4  # likewise; with the one at work it is all that its role may have
BURST_TIMES = 3  # times the pages of a burst
QUIET_S = 2.0  # least pause between two bursts: load that comes and goes shows which statement follows which
LOCK_WAIT_S = 20


@dataclass(frozen=True, slots=True)
class Application:
    """One program of the shop: the name and role it connects with, and the pages it serves."""

    name: str
    role: str
    visits: tuple[Visit, ...]


def applications(*, is_healthy: bool) -> tuple[Application, ...]:
    """Return the programs that use the shop."""
    shown = healthy if is_healthy else sick
    return (
        Application("storefront", "shop_app", shown.STOREFRONT),
        Application("backoffice", "shop_app", shown.BACK_OFFICE),
        Application("reports", "shop_reports", shown.REPORTS),
    )


def exercise(shop: Shop) -> None:
    """Visit every page as often as its `times` says: the same statements and counts in every run."""
    programs = applications(is_healthy=shop.is_healthy)
    stop = threading.Event()
    with ThreadPoolExecutor(len(programs)) as threads:
        try:
            for done in [threads.submit(_visit_all, shop, program, stop) for program in programs]:
                done.result()
        finally:
            stop.set()  # on Ctrl-C the threads end at their next page


@contextlib.contextmanager
def background(shop: Shop) -> Iterator[None]:
    """Go on visiting pages, a few a second, for the length of a `with` block; a page's error is raised at its end."""
    stop = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        done = threads.submit(_drive, shop, stop)
        try:
            yield
        finally:
            stop.set()
        done.result()


@contextlib.contextmanager
def sessions(shop: Shop) -> Iterator[None]:
    """Hold the sick shop's idle connections, its forgotten transaction and those that wait for it, for a `with` block.

    The healthy shop has none of them.
    """
    if shop.is_healthy:
        yield
        return
    with contextlib.ExitStack() as stack:
        for role, name, count in (
            ("shop_app", "storefront", POOL_CONNECTIONS),
            ("shop_reports", "reports", REPORT_CONNECTIONS),
        ):
            for _ in range(count):
                stack.enter_context(_connect(shop, role, name)).execute("select 1")
        forgotten = stack.enter_context(_connect(shop, "shop_app", "checkout"))
        # the customer has gone to find the credit card
        forgotten.execute("begin")
        forgotten.execute("update inventory set stock = stock - 1 where product_id = 42")
        waiting = [stack.enter_context(_connect(shop, "shop_app", "warehouse")) for _ in range(2)]
        threads = [threading.Thread(target=_wait_for_lock, args=(connection,), daemon=True) for connection in waiting]
        for thread in threads:
            thread.start()
        try:
            _until_blocked(shop, len(waiting))
            yield
        finally:
            for connection in waiting:
                connection.cancel_safe()
            for thread in threads:
                thread.join(LOCK_WAIT_S)


def _connect(shop: Shop, role: str, name: str) -> Connection:
    return psycopg.connect(shop.role_dsn(role), autocommit=True, application_name=name)


def _visit_all(shop: Shop, program: Application, stop: threading.Event) -> None:
    with _connect(shop, program.role, program.name) as connection:
        for visit in program.visits:
            for number in range(visit.times):
                if stop.is_set():
                    return
                visit.page(connection, number)


def _drive(shop: Shop, stop: threading.Event) -> None:
    programs = applications(is_healthy=shop.is_healthy)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(_connect(shop, program.role, program.name)) for program in programs]
        for burst in itertools.count():
            start = time.monotonic()
            for program, connection in zip(programs, connections, strict=True):
                for visit in program.visits:
                    for place in range(visit.in_background * BURST_TIMES):
                        if stop.is_set():
                            return
                        visit.page(connection, burst * 100 + place)
            # quiet as long as busy: on a slow machine too there are moments of both
            if stop.wait(max(QUIET_S, time.monotonic() - start)):
                return


def _wait_for_lock(connection: Connection) -> None:
    """Update the row that the forgotten transaction holds; ends when it is cancelled."""
    with contextlib.suppress(psycopg.Error):
        connection.execute("update inventory set stock = stock + 10 where product_id = 42")


def _until_blocked(shop: Shop, count: int) -> None:
    """Wait until `count` sessions wait for a lock, so that what is planted is there when the audit looks."""
    pause = threading.Event()
    with psycopg.connect(shop.dsn, autocommit=True) as connection:
        for _ in range(LOCK_WAIT_S * 20):
            row = connection.execute(
                "select count(*) from pg_stat_activity"
                " where application_name = 'warehouse' and wait_event_type = 'Lock'"
            ).fetchone()
            if row is not None and row[0] >= count:
                return
            pause.wait(0.05)
