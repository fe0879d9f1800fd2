"""Where a measurement refuses, and that nothing is left of one that is interrupted, killed or cut off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from queryfit.advise.measure.left_overs import index_name
from queryfit.advise.measure.measure import Options, clean, measure
from queryfit.errors import QueryfitError
from queryfit.lab.planner import Index, Key
from tests.advise.test_measure import ON_CUSTOMER, QUICK, indexes_there, set_up, shop, trial
from tests.servers import Cluster, PgBouncer

SET = [("mine", ON_CUSTOMER)]
PATIENCE_S = 20
ANYWAY = replace(QUICK, is_anyway=True)
THERE = {"orders_pkey", "orders_note"}

# Builds the set, then runs a statement that takes for ever; says so on stdout.
LONG = """
import sys
from queryfit.advise.measure.measure import Options, Trial, measure
from queryfit.lab.planner import Index, Key, Query
endless = "select count(*) from orders as a, orders as b, orders as c where a.customer + b.customer = c.customer"
measure(
    sys.argv[1], [("mine", Index("public.orders", (Key(sys.argv[2], is_column=False),)))], [],
    [Trial("endless", Query("e", endless))],
    Options(is_anyway=True, is_unchanged_run=True, tell=lambda line: print(line, flush=True)),
)
"""


@contextmanager
def at_work(cluster: Cluster, database: str) -> Iterator[None]:
    """A session that did something just now."""
    with psycopg.connect(cluster.dsn(database, application_name="the shop"), autocommit=True) as connection:
        connection.execute("select 1")
        yield


@contextmanager
def started(dsn: str, until: str, key: str = "customer") -> Iterator[subprocess.Popen[str]]:
    """A measurement in a process of its own, once it has said a line that holds `until`."""
    process = subprocess.Popen(
        [sys.executable, "-c", LONG, dsn, key], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.stdout is not None
    try:
        with process.stdout as lines:
            assert any(until in line for line in lines), "it ended too early"
            yield process
    finally:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], bool]) -> float:
    """Seconds until the condition held."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < PATIENCE_S, "it never came true"
        time.sleep(0.1)
    return time.monotonic() - start


def measuring(cluster: Cluster) -> int:
    sessions = "select count(*) as n from pg_stat_activity where application_name = 'queryfit measure'"
    count: int = cluster.run(sessions)[0]["n"]
    return count


def build_runs(cluster: Cluster) -> bool:
    rows = cluster.run("select from pg_stat_activity where query like 'create index%' and state = 'active'")
    return bool(rows)


def guardians() -> set[int]:
    """Processes of this user that are guardians."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if (
            b"queryfit.advise.measure.left_overs" in words
            and (folder / "stat").read_text().rsplit(")")[-1].split()[0] != "Z"
        ):
            found.add(int(folder.name))
    return found


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda stop: stop.name)
def test_of_a_measurement_that_is_ended_nothing_is_left_after_seconds(
    newest: Cluster, database: str, stop: signal.Signals
) -> None:
    dsn = shop(newest, database)
    with started(dsn, "plan differently") as process:
        wait_until(lambda: measuring(newest) == 1)
        process.send_signal(stop)
        process.wait(PATIENCE_S)
        assert wait_until(lambda: measuring(newest) == 0) < 5
    assert indexes_there(newest, database) == THERE
    assert newest.run("select from pg_locks where locktype = 'advisory'") == []


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda stop: stop.name)
def test_beside_other_sessions_a_guardian_drops_what_a_killed_measurement_built(
    newest: Cluster, database: str, stop: signal.Signals
) -> None:
    shop(newest, database)
    dsn = newest.dsn(database)
    before = guardians()
    with at_work(newest, database), started(dsn, "plan differently") as process:
        assert len(indexes_there(newest, database) - THERE) == 1  # built, committed, seen by everybody
        assert len(guardians() - before) == 1
        process.send_signal(stop)
        process.wait(PATIENCE_S)
        assert wait_until(lambda: indexes_there(newest, database) == THERE) < 10
        wait_until(lambda: measuring(newest) == 0)
        wait_until(lambda: guardians() == before)


def test_a_build_that_nobody_waits_for_any_more_is_ended_and_dropped(newest: Cluster, database: str) -> None:
    shop(newest, database)
    dsn = newest.dsn(database)
    with psycopg.connect(newest.dsn(database, application_name="writer")) as writer:
        writer.execute("update orders set note = 'w' where id = 1")  # the build must wait for this transaction
        with started(dsn, "Creates 1 indexes") as process:
            wait_until(lambda: build_runs(newest))
            process.kill()
            wait_until(lambda: not build_runs(newest))
        writer.rollback()
    wait_until(lambda: indexes_there(newest, database) == THERE and measuring(newest) == 0)


def test_a_build_in_the_transaction_ends_soon_after_the_process_that_wanted_it(newest: Cluster, database: str) -> None:
    dsn = shop(newest, database)
    newest.run(
        "create function slow(n int) returns int immutable language plpgsql as "
        "$$begin perform pg_sleep(0.01); return n; end$$",
        database=database,
    )
    with started(dsn, "Creates 1 indexes", key="public.slow(id)") as process:  # 60,000 rows: ten minutes
        wait_until(lambda: build_runs(newest))
        process.kill()
        assert wait_until(lambda: measuring(newest) == 0) < 5
    assert indexes_there(newest, database) == THERE


def test_should_the_guardian_be_killed_too_the_next_measurement_drops_what_is_left(
    newest: Cluster, database: str
) -> None:
    shop(newest, database)
    dsn = newest.dsn(database)
    before = guardians()
    with at_work(newest, database), started(dsn, "plan differently") as process:
        for guardian in guardians() - before:
            os.kill(guardian, signal.SIGKILL)
        process.kill()
    wait_until(lambda: measuring(newest) == 0)
    left = indexes_there(newest, database) - THERE
    assert len(left) == 1
    told: list[str] = []
    measure(dsn, SET, [], [], replace(ANYWAY, tell=told.append))
    assert indexes_there(newest, database) == THERE
    assert told[0] == f"Dropped public.{left.pop()}, left by a measurement that was killed."


def test_clean_drops_the_tools_own_indexes_only(newest: Cluster, database: str) -> None:
    shop(newest, database)
    left = [index_name("00c0ffee", 1), index_name("00c0ffee", 12)]
    names = [*left, "queryfit_measure_of_mine", "queryfit_measurex00c0ffee_1"]
    newest.run(";".join(f"create index {name} on orders (state)" for name in names), database=database)
    assert clean(newest.dsn(database)) == [f"public.{name}" for name in left]
    assert indexes_there(newest, database) == {*THERE, *names[2:]}
    assert clean(newest.dsn(database)) == []


def test_beside_other_sessions_the_set_is_built_concurrently_and_measured(newest: Cluster, database: str) -> None:
    shop(newest, database)
    helped = trial("select * from orders where customer = 7", predicted_indexes=frozenset({"mine"}))
    needs = trial("select id from orders where note = 'x'")
    with at_work(newest, database):
        with pytest.raises(QueryfitError, match=r"1 other sessions work in .*the shop.*in use") as caught:
            measure(newest.dsn(database), SET, [], [helped], QUICK)
        assert "--measure-anyway" in (caught.value.hint or "")
        with pytest.raises(QueryfitError, match="only be hidden and shown by a superuser"):
            measure(newest.dsn(database, user="keeper"), SET, [], [helped], ANYWAY)
        with pytest.raises(QueryfitError, match="write are not run beside other sessions"):
            measure(newest.dsn(database), SET, [], [helped], replace(ANYWAY, is_writing=True))
        measured = measure(newest.dsn(database), SET, ["public.orders_note"], [helped, needs], ANYWAY)
    outcomes = {outcome.trial: outcome for outcome in measured.outcomes}
    assert measured.manner == "concurrent"
    assert outcomes[helped].is_faster
    assert outcomes[helped].is_as_predicted
    assert measured.slower == (outcomes[needs],)
    assert indexes_there(newest, database) == THERE
    rows = newest.run("select from pg_index where not indisvalid", database=database)
    assert rows == []


def test_a_concurrent_build_that_would_wait_for_an_old_transaction_does_not_begin(
    newest: Cluster, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop(newest, database)
    from queryfit.advise.measure import server as measure_server  # noqa: PLC0415

    monkeypatch.setattr(measure_server, "_LONG", measure_server._LONG.replace("interval '60 s'", "interval '0 s'"))
    with psycopg.connect(newest.dsn(database)) as old:
        old.execute("select 1")
        with pytest.raises(QueryfitError, match=r"would wait for session \d+, open for"):
            measure(newest.dsn(database), SET, [], [], ANYWAY)
    assert indexes_there(newest, database) == THERE


def test_a_standby_and_its_primary_are_refused(newest: Cluster) -> None:
    with Cluster(newest.bin_dir, root=newest.place) as primary:
        primary.create_database("shop")
        shop(primary, "shop")
        standby = primary.standby()
        primary.wait_for_standby()
        with pytest.raises(QueryfitError, match="is a standby"):
            measure(standby.dsn("shop"), SET, [], [], ANYWAY)
        with pytest.raises(QueryfitError, match="1 standby or subscriber streams from this server"):
            measure(primary.dsn("shop"), SET, [], [], QUICK)
        assert measure(primary.dsn("shop"), SET, [], [], ANYWAY).built[0].name == "mine"


def test_a_pooler_a_second_measurement_and_a_full_disk_are_refused(newest: Cluster, database: str) -> None:
    dsn = shop(newest, database)
    with PgBouncer(newest, "transaction") as pooler, pytest.raises(QueryfitError, match="a pooler stands before"):
        measure(pooler.dsn(database), SET, [], [], ANYWAY)
    with started(dsn, "plan differently"), pytest.raises(QueryfitError, match="another measurement runs"):
        measure(dsn, SET, [], [], ANYWAY)
    wait_until(lambda: measuring(newest) == 0)
    with pytest.raises(QueryfitError, match=r"takes up to .* TB of disk, and .* are free"):
        measure(newest.dsn(database), SET, [], [], Options(size_bytes=1 << 50, is_anyway=True))
    told: list[str] = []
    measure(dsn, SET, [], [], replace(ANYWAY, size_bytes=1 << 50, tell=told.append))
    assert "The server's free disk cannot be seen from here" in told[0]


def test_a_lock_that_somebody_holds_ends_the_build_soon(newest: Cluster, database: str) -> None:
    dsn = shop(newest, database)
    with psycopg.connect(newest.dsn(database, application_name="queryfit")) as holder:
        holder.execute("lock table orders in row exclusive mode")
        with pytest.raises(QueryfitError, match="lock timeout"):
            measure(dsn, [("mine", Index("public.orders", (Key("customer"),)))], [], [], QUICK)


def test_who_wants_the_tables_gets_them_and_the_measurement_ends(newest: Cluster, database: str) -> None:
    dsn = shop(newest, database)
    waited: list[float] = []

    def write() -> None:
        start = time.monotonic()
        newest.run("update orders set state = 'sent' where id = 1", database=database)
        waited.append(time.monotonic() - start)

    writer = threading.Thread(target=write)

    def tell(line: str) -> None:
        if "plan differently" in line:
            writer.start()
            wait_until(lambda: bool(newest.run("select from pg_locks where not granted")))

    trials = [trial(f"select count(*) from orders where customer = {number}") for number in range(30)]
    measured = measure(dsn, SET, [], trials, replace(QUICK, tell=tell))
    writer.join(PATIENCE_S)
    assert len(waited) == 1
    assert not measured.is_complete
    assert measured.outcomes == ()
    assert {skipped.reason for skipped in measured.skipped} == {
        "another session waited for a table of this measurement, which let it go on"
    }


def test_an_index_that_its_own_transaction_may_not_use_is_not_measured(newest: Cluster, database: str) -> None:
    dsn = shop(newest, database)
    set_up(
        newest,
        database,
        "create table loose (id int, n int) with (fillfactor = 50);"
        "insert into loose select i, i from generate_series(1, 1000) as i; alter table loose owner to keeper",
    )
    with psycopg.connect(newest.dsn(database, application_name="queryfit")) as old:
        old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        old.execute("select 1 from pg_class")  # may still want rows as they were
        set_up(newest, database, "update loose set n = -n where id < 9")
        measured = measure(dsn, [*SET, ("late", Index("public.loose", (Key("n"),)))], [], [], QUICK)
    assert [built.name for built in measured.built] == ["mine"]
    ((name, reason),) = measured.not_built
    assert name == "late"
    assert "while old transactions were open" in reason
