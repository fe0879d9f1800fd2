"""Several looks in a row."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from queryfit.capture.server import CaptureOptions
from queryfit.capture.watch import Counts, Look, difference
from tests.capture.taking import take

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Cluster

START = datetime(2026, 1, 1, tzinfo=UTC)
KEY = (10, 5, 77)


def look(seconds: float, counts: dict[tuple[int, int, int], Counts], *, reset: int = 0) -> Look:
    at = START + timedelta(seconds=seconds)
    return Look(at, START + timedelta(days=reset), counts, {5: "shop"})


def test_a_difference_is_what_was_added() -> None:
    before = look(0, {KEY: Counts(10, 100, 5.0, START)})
    after = look(5, {KEY: Counts(13, 130, 6.5, START), (10, 5, 78): Counts(2, 2, 1.0, START)})
    assert difference(before, after, 1) == [
        {"interval": 1, "interval_ms": 5000, "database": "shop", "queryid": 77, "calls": 3, "rows": 30,
         "execution_ms": 1.5},
        {"interval": 1, "interval_ms": 5000, "database": "shop", "queryid": 78, "calls": 2, "rows": 2,
         "execution_ms": 1.0},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "after",
    [
        look(5, {KEY: Counts(3, 300, 50.0, START)}),
        look(5, {KEY: Counts(30, 30, 50.0, START)}),
        look(5, {KEY: Counts(30, 300, 50.0, START + timedelta(seconds=3))}),
        look(5, {KEY: Counts(30, 300, 50.0, START)}, reset=1),
        look(5, {KEY: Counts(10, 100, 5.0, START)}),
        look(5, {}),
    ],
    ids=["calls fell", "rows fell", "entry made anew", "all reset", "nothing happened", "evicted"],
)
def test_counters_that_did_not_simply_grow_are_left_out(after: Look) -> None:
    assert difference(look(0, {KEY: Counts(10, 100, 5.0, START)}), after, 1) == []


def test_a_watch_finds_what_ran_meanwhile(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    stop = threading.Event()

    def work() -> None:
        with cluster.connect(shop) as session:
            while not stop.is_set():
                rows = session.execute("select id from customer where score < 4").fetchall()
                for row in rows:
                    session.execute("select email from customer where id = %s", [row["id"]], prepare=False)
                stop.wait(0.02)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        taken = take(cluster.dsn(shop), tmp_path, CaptureOptions(watch_s=1.2, watch_every_s=0.3))
    finally:
        stop.set()
        worker.join()
    intervals = taken.rows(
        f"""
        select text, interval, interval_ms, sum(calls) as calls, sum(rows) as rows
        from statement_interval join statement_text using (fingerprint)
        where database = '{shop}' and text like '%from customer where%' group by all order by text, interval
        """
    )
    child = [row for row in intervals if "where id =" in row["text"]]
    parent = [row for row in intervals if "where score <" in row["text"]]
    assert [row["interval"] for row in parent] == [1, 2, 3, 4]
    assert all(250 < row["interval_ms"] < 1000 for row in parent)
    ratio = sum(row["calls"] for row in child) / sum(row["rows"] for row in parent)
    assert 0.8 < ratio < 1.2
    assert taken.value("select count(distinct sampled_at) from activity") == 5
    assert next(text for text in taken.told if text.startswith("watching")) == "watching: 0 of 1 s"
