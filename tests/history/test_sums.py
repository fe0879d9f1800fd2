"""What a history adds up is never more than was really done, and all of it where nothing was lost."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from queryfit.evidence.engine import duckdb
from queryfit.evidence.store import Store
from queryfit.history import History, open_history, rates
from queryfit.history.chain import chain, counting
from queryfit.history.reading import engine
from queryfit.history.series import Series
from tests.history.simulator import SCOPE, SERVER, STANDBY, START, Simulator, fingerprint

QUERIES = st.integers(1, 3)
TABLES = st.sampled_from(["orders", "items"])
Act = tuple[str, Callable[[Simulator], object]]


def _act(name: str, *parts: st.SearchStrategy[object]) -> st.SearchStrategy[Act]:
    def bound(values: tuple[object, ...]) -> Act:
        return f"{name}{values}", lambda server: getattr(server, name)(*values)

    return st.tuples(*parts).map(bound)


CALLS = _act("call", QUERIES, st.integers(1, 50), st.sampled_from([0.5, 1.0, 70.0]), st.sampled_from(["app", "batch"]))
INSERTS = _act("insert", TABLES, st.integers(1, 50))
CAPTURES = _act("capture", st.sampled_from(["sample", "sample", "full"]))
QUIET = st.one_of(CALLS, INSERTS, CAPTURES, _act("wait", st.integers(1, 9000)), _act("restart"))
LOSSES = st.one_of(
    _act("evict", QUERIES),
    _act("reset_statement", QUERIES),
    _act("reset_statements"),
    _act("reset_counters"),
    _act("crash"),
    _act("fail_over"),
    _act("drop_table", TABLES),
    _act("rename_table", st.just("orders"), st.just("parcels")),
    _act("rename_role", st.just("app"), st.just("web")),
)
EXTENSIONS = st.sampled_from(["1.8", "1.10", "1.11"])
KNOWN_LOSS = {"evicted", "statements_reset", "counters_reset", "crashed", "failed_over", "relation_dropped"}
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
SLOW = settings(max_examples=8, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])


def run(folder: str, extension: str, acts: list[Act]) -> Simulator:
    """The acts between a first and a last capture; the truth counts from the first."""
    server = Simulator(Path(folder), extension)
    for query in (1, 2):
        server.call(query, 100 * query)
    server.insert("orders", 100)
    server.here, server.elsewhere = server.elsewhere, server.here
    server.call(1, 10_000)
    server.insert("orders", 10_000)
    server.here, server.elsewhere = server.elsewhere, server.here
    server.capture("full")
    server.calls.clear()
    server.ms.clear()
    server.inserted.clear()
    for _, act in acts:
        act(server)
    server.capture()
    return server


@contextmanager
def added_up(server: Simulator) -> Iterator[duckdb.DuckDBPyConnection]:
    """The spans alone, in tables `out_*`: a history finds out more, and takes longer."""
    links = counting(chain(Store(server.folder).captures(SERVER)[0], SCOPE))
    with engine() as raw:
        Series(raw, "hour").take(links)
        yield raw


def opened(server: Simulator, scope: str = SCOPE) -> History:
    return open_history(Store(server.folder), SERVER, scope, since=START - timedelta(hours=1))


def sums(history: History | duckdb.DuckDBPyConnection, table: str, key: str, value: str) -> Counter[str]:
    select = f"select {key}, sum({value}) from {{}} group by 1"
    if isinstance(history, History):
        rows = list(history.session.query(select.format(table)).rows)
    else:
        rows = history.execute(select.format(f"out_{table}")).fetchall()
    return Counter({name: total for name, total in rows if total})


@SLOW
@given(EXTENSIONS, st.lists(QUIET, max_size=14))
def test_all_is_counted_where_nothing_is_lost(extension: str, acts: list[Act]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = run(folder, extension, acts)
        with added_up(server) as raw:
            assert sums(raw, "statement_span", "fingerprint", "calls") == +server.calls
            assert sums(raw, "statement_span", "fingerprint", "execution_ms") == pytest.approx(server.ms)
            assert sums(raw, "relation_span", "split_part(relation, '.', 2)", "inserted_rows") == +server.inserted
            spans = raw.execute("select started_at, ended_at from out_span order by 1").fetchall()
        assert all(before[1] <= after[0] for before, after in pairwise(spans))
        counted = rates(Store(server.folder), SERVER, SCOPE, since=START - timedelta(hours=1), until=server.now)
        assert {key[1]: rate.calls for key, rate in counted.items()} == +server.calls


@SLOW
@given(EXTENSIONS, st.lists(st.one_of(CALLS, INSERTS, CAPTURES, QUIET, LOSSES, LOSSES), max_size=20))
def test_no_more_is_counted_than_was_done_and_a_loss_is_told(extension: str, acts: list[Act]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = run(folder, extension, acts)
        with added_up(server) as raw:
            calls = sums(raw, "statement_span", "fingerprint", "calls")
            inserted = sums(raw, "relation_span", "split_part(relation, '.', 2)", "inserted_rows")
            kinds = {kind for (kind,) in raw.execute("select distinct kind from out_server_event").fetchall()}
            lower = raw.execute("select fingerprint from out_statement_span where is_lower_bound").fetchall()
            least = raw.execute(
                "select least(min(calls), min(rows), min(execution_ms), min(squared_ms), min(blocks_hit))"
                " from out_statement_span"
            ).fetchall()
        assert least[0][0] is None or least[0][0] >= 0
        for name in server.calls | calls:
            assert calls[name] <= server.calls[name]
            if calls[name] < server.calls[name]:
                assert (name,) in lower or kinds & KNOWN_LOSS or name not in calls
        # a renamed table did its work under two names
        assert sum(inserted.values()) <= sum(server.inserted.values())
        for name in inserted:
            assert inserted[name] <= sum(server.inserted[alias] for alias in {name, "orders"})


def test_what_a_statement_did_before_it_was_seen_first_is_its_own(tmp_path: Path) -> None:
    server = Simulator(tmp_path)
    server.call(1, 10)
    server.capture()
    server.call(2, 7, 3.0)
    server.wait(300)
    server.capture()
    with opened(server) as history:
        rows = history.session.query("select fingerprint, calls, squared_ms, is_lower_bound from statement_span").rows
    assert rows == ((fingerprint(2), 7, 63.0, False),)


def test_texts_of_statements_that_are_gone_stay_readable(tmp_path: Path) -> None:
    server = Simulator(tmp_path)
    server.capture()
    server.call(1, 10)
    server.call(2, 10)
    server.wait(300)
    server.capture()
    server.evict(1)
    server.wait(300)
    server.capture()
    with opened(server) as history:
        texts = history.session.query("select text from statement_text order by 1").rows
        events = history.session.query("select kind, subject from server_event where subject is not null").rows
    assert texts == (("select 1",), ("select 2",))
    assert events == (("evicted", fingerprint(1)),)


def test_texts_that_come_into_sight_are_no_new_work(tmp_path: Path) -> None:
    server = Simulator(tmp_path, "1.10", has_monitor=False)
    server.call(1, 1000)
    server.capture()
    server.has_monitor = True
    server.capture()
    server.call(1, 5)
    server.capture()
    with opened(server) as history:
        assert sums(history, "statement_span", "fingerprint", "calls") == {fingerprint(1): 5}


def test_a_table_that_was_locked_for_a_while_is_followed(tmp_path: Path) -> None:
    server = Simulator(tmp_path)
    server.insert("orders", 1000)
    server.insert("items", 1000)
    server.locked = {"items"}
    server.capture()
    server.locked = {"orders"}
    server.insert("orders", 20)
    server.insert("items", 20)
    server.capture()
    server.locked = set()
    server.insert("items", 1)
    server.capture()
    with opened(server) as history:
        counted = sums(history, "relation_span", "relation", "inserted_rows")
        kinds = history.session.query("select distinct kind from server_event").rows
    # what `items` did before it was first seen is not known
    assert counted == {"public.orders": 20, "public.items": 1}
    assert kinds == ()


def test_a_sample_beside_a_full_capture_adds_nothing(tmp_path: Path) -> None:
    server = Simulator(tmp_path)
    server.call(1, 10)
    server.capture()
    server.call(1, 10)
    late = server.now
    server.call(1, 5)
    server.capture("full", cost={"elapsed_ms": 60_000})
    # it began before that one had read the counters of tables, and was done long before it ended
    server.capture(captured_at=(late + timedelta(seconds=1.5)).isoformat())
    server.call(1, 1)
    server.wait(120)
    server.capture()
    with opened(server) as history:
        assert sums(history, "statement_span", "fingerprint", "calls") == {fingerprint(1): 16}


def test_a_promoted_standby_keeps_its_history(tmp_path: Path) -> None:
    server = Simulator(tmp_path, is_standby=True)
    server.call(1, 10)
    server.capture()
    server.call(1, 10)
    server.wait(300)
    server.capture()
    server.fail_over(turns=True)
    server.call(1, 7)
    server.wait(300)
    server.capture()
    with opened(server) as history:
        assert sums(history, "statement_span", "fingerprint", "calls") == {fingerprint(1): 17}
        events = history.session.query("select kind, value_before, value_now from server_event").rows
    assert events == (("failed_over", "standby", "primary"),)


def test_a_standby_beside_its_primary_has_a_history_of_its_own(tmp_path: Path) -> None:
    server = Simulator(tmp_path)
    for _ in range(3):
        server.call(1, 10)
        server.capture()
        server.fail_over()
        server.fail_over(turns=True)
        server.call(2, 10)
        server.capture()
        server.fail_over()
        server.fail_over(turns=True)
    with opened(server) as primary, opened(server, STANDBY) as standby:
        assert sums(primary, "statement_span", "fingerprint", "calls") == {fingerprint(1): 20}
        assert sums(standby, "statement_span", "fingerprint", "calls") == {fingerprint(2): 20}
