"""Lives through the month: drives the programs, makes the events happen, takes the captures, writes down the truth."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psycopg
from psycopg.rows import dict_row

from queryfit.audit import Settings, audit_capture, take_capture
from queryfit.capture.server import CaptureOptions
from queryfit.evidence.store import Capture, Store
from queryfit.sql.statement import fingerprint
from tests.month import calendar, shop
from tests.month.calendar import day
from tests.month.clock import Clock
from tests.month.ledger import Ledger
from tests.month.truth import FILE, Event, Interval, Truth
from tests.servers import START_TIMEOUT_S, TEST_SETTINGS, Cluster, run_as_user

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from queryfit.findings import Report

Row = dict[str, Any]

MAX_ENTRIES = 300  # of pg_stat_statements: captures leave about 70 there
ODD_STATEMENTS = 1500
MAX_CONNECTIONS = 120
FIRST_CONNECTIONS, CONNECTIONS_A_DAY = 10, 2
SEQUENCE = "public.orders_id_seq"
SEQUENCE_A_DAY = 1_600_000
SEQUENCE_DAYS_LEFT = 63  # at the end of the month
INT4 = 2**31 - 1
AUDITS = frozenset({7, 14, 20, 21, 28, 32})  # days after whose full capture an audit runs
SIZES = "select schemaname || '.' || relname as name, pg_relation_size(relid) as bytes from pg_stat_user_tables"
SETTINGS = {
    "max_connections": str(MAX_CONNECTIONS),
    "pg_stat_statements.max": str(MAX_ENTRIES),
    # the story has no room for workers that come when they like: their times are in it
    "autovacuum_naptime": "2000000s",
    "autovacuum_vacuum_threshold": str(2**31 - 1),
    "autovacuum_analyze_threshold": str(2**31 - 1),
    "autovacuum_vacuum_insert_threshold": "-1",
    "checkpoint_timeout": "1d",
    "fsync": "on",  # it is a server that one may trust with a shop
    "full_page_writes": "on",
    "track_io_timing": "on",
}


class Month:
    """A month of a shop's server, as a context manager; `live` lets it happen."""

    def __init__(self, bin_dir: Path, folder: Path, *, captures_a_day: int, say: Callable[[str], None]) -> None:
        self.say = say
        self.folder = folder
        self.captures_a_day = captures_a_day
        self.clock_folder = Path(tempfile.mkdtemp(prefix="queryfit-clock-"))
        self.clock_folder.chmod(0o755)
        self.clock = Clock(self.clock_folder)
        self.clock.set(calendar.START)
        self.cluster = Cluster(bin_dir, settings=SETTINGS, environment=self.clock.environment, root=folder)
        self.store = Store(folder)
        self.truth = Truth(database=shop.DATABASE, texts=dict(shop.STATEMENTS))
        self.connections: dict[str, psycopg.Connection[tuple[Any, ...]]] = {}
        self.held: list[psycopg.Connection[tuple[Any, ...]]] = []
        self.visited: dict[str, int] = {}
        self.report: Report | None = None
        self.cleanup = ExitStack()

    def __enter__(self) -> Self:
        self.cleanup.callback(shutil.rmtree, self.clock_folder, ignore_errors=True)
        self.cleanup.enter_context(self.cluster)
        self.cleanup.callback(self._disconnect)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cleanup.close()

    def live(self) -> Truth:
        """Let the month happen; write `truth.json` into the store's folder at the end."""
        self._build()
        self.ledger.observe()
        self.ledger.open_interval()
        before: datetime | None = None
        for slot in calendar.slots(self.captures_a_day):
            at = slot.started_at
            for planned in (event for event in calendar.EVENTS if slot.started_at < event.at <= slot.ended_at):
                self._work(at, planned.at)
                self.clock.set(planned.at)
                getattr(self, f"_{planned.name}")(planned.at)
                at = planned.at
            self._work(at, slot.ended_at)
            before = self._capture(slot, before)
        for name, text in shop.STATEMENTS.items():
            self.truth.fingerprints[name] = fingerprint(text)
        self.truth.facts |= {
            "sequence": SEQUENCE,
            "sequence_per_day": SEQUENCE_A_DAY,
            "sequence_limit_at": day(calendar.DAYS + 1 + SEQUENCE_DAYS_LEFT, calendar.FIRST_HOUR),
            "connections_per_day": CONNECTIONS_A_DAY,
            "page_views_per_day": 24 * 250,
            "no_captures_from": day(calendar.DAY_WITHOUT_CAPTURES),
            "no_captures_until": day(calendar.DAY_WITHOUT_CAPTURES + 1),
            "first_coupon_at": day(shop.FIRST_DAY_OF_COUPONS, 8),
            "last_newsletter_at": day(shop.LAST_DAY_OF_NEWSLETTER + 1),
        }
        self.truth.write(self.folder / FILE)
        return self.truth

    # -- the server

    def _build(self) -> None:
        self.say("the shop is built")
        self.cluster.run(f"create database {shop.DATABASE}")
        self.cluster.run(shop.SCHEMA, database=shop.DATABASE)
        self.cluster.run("create extension pg_stat_statements", database=shop.DATABASE)
        self.cluster.run("vacuum analyze", database=shop.DATABASE)
        self._connect()
        self._at_sequence(calendar.START)
        self._ask("select pg_stat_reset()")
        self._ask("select pg_stat_statements_reset()")
        # they are given on the command line; at a reload the server would say that the file's wait for a restart
        self._ask(f"alter system set max_connections = {MAX_CONNECTIONS}")
        self._ask(f"alter system set shared_buffers = '{TEST_SETTINGS['shared_buffers']}'")
        self.ledger = Ledger(self._ask)
        self.truth.server_version = self._ask("select current_setting('server_version') as version")[0]["version"]

    def _connect(self) -> None:
        # its statements are not counted: what is read for the truth is no part of it
        self.admin = psycopg.connect(
            self.cluster.dsn(shop.DATABASE, options="-c pg_stat_statements.track=none", application_name="truth"),
            autocommit=True,
            row_factory=dict_row,
        )
        for role, name in (("shop_app", "storefront"), ("shop_reports", "reports")):
            self.connections[role] = self._session(role, name)

    def _session(self, role: str, name: str) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            self.cluster.dsn(shop.DATABASE, role, application_name=name),
            autocommit=True,
            prepare_threshold=None,
            cursor_factory=psycopg.RawCursor,
        )

    def _disconnect(self) -> None:
        for connection in [*self.held, *self.connections.values(), self.admin]:
            with suppress(psycopg.Error):
                connection.close()
        self.held.clear()

    def _ask(self, query: str) -> list[Row]:
        cursor = self.admin.execute(query.encode())
        return cursor.fetchall() if cursor.description else []

    # -- the programs

    def _work(self, started_at: datetime, ended_at: datetime) -> None:
        """Visit the pages as often as it is due between two moments, then have all counters flushed and read."""
        self._hold(ended_at)
        self.clock.set(started_at + (ended_at - started_at) / 2)
        for page in shop.PAGES:
            first, end = day(page.first_day), day(page.last_day + 1)
            if page.first_day == shop.FIRST_DAY_OF_COUPONS:
                first = day(page.first_day, 8)  # when it is released
            begin, stop = max(started_at, first), min(ended_at, end)
            if begin >= stop:
                continue
            for _ in range(calendar.visits(page.per_day, begin, stop, is_even=page.is_even)):
                number = self.visited[page.name] = self.visited.get(page.name, -1) + 1
                page.visit(self._runner(page.role), number)
        self._at_sequence(ended_at)
        # backends flush their counters at most once a second; more than that has passed for them now
        self.clock.set(ended_at - (ended_at - started_at) / 50)
        for role in self.connections:
            self._run(role, "heartbeat", (1,))
        self.ledger.observe()

    def _runner(self, role: str) -> shop.Run:
        return lambda name, values: self._run(role, name, values)

    def _run(self, role: str, name: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        cursor = self.connections[role].execute(shop.STATEMENTS[name].encode(), values)
        self.ledger.sent[name] += 1
        return cursor.fetchall() if cursor.description else []

    def _hold(self, moment: datetime) -> None:
        """Let the storefront hold as many connections as it does on that day, and one more every twelve hours."""
        wanted = FIRST_CONNECTIONS + int(CONNECTIONS_A_DAY * ((moment - calendar.START).total_seconds() / 86400))
        while len(self.held) < wanted:
            self.held.append(self._session("shop_app", "storefront"))

    def _at_sequence(self, moment: datetime) -> None:
        left_s = (self._limit_at() - moment).total_seconds()
        self._ask(f"select setval('{SEQUENCE}', {INT4 - round(SEQUENCE_A_DAY * left_s / 86400)})")

    @staticmethod
    def _limit_at() -> datetime:
        return day(calendar.DAYS + 1 + SEQUENCE_DAYS_LEFT, calendar.FIRST_HOUR)

    # -- captures

    def _capture(self, slot: calendar.Slot, before: datetime | None) -> datetime:
        state = self._ask(
            f"select (select last_value from {SEQUENCE}) as value,"
            " (select numbackends from pg_stat_database where datname = current_database()) as connections"
        )[0]
        evictions = self._evictions()
        self.clock.set(slot.ended_at)
        capture = take_capture(self.cluster.dsn(shop.DATABASE, "monitor"), CaptureOptions(kind=slot.kind), self.store)
        captured_at = datetime.fromisoformat(str(capture.meta["captured_at"]))
        ledger = self.ledger
        self.truth.system_identifier = capture.system_identifier
        self.truth.intervals.append(
            Interval(
                started_at=before,
                ended_at=captured_at,
                capture=capture.name,
                kind=slot.kind,
                statements={name: done for name, done in sorted(ledger.statements.items()) if done.calls},
                relations=dict(sorted(ledger.relations.items())),
                indexes=dict(sorted(ledger.indexes.items())),
                sequence_value=state["value"],
                connections=state["connections"],
                max_connections=MAX_CONNECTIONS,
                sizes={row["name"]: row["bytes"] for row in self._ask(SIZES)},
                evictions_before=evictions,
                evictions_after=self._evictions(),
            )
        )
        ledger.open_interval()
        number = (slot.ended_at - calendar.START).days + 1
        if slot.kind == "full" and number in AUDITS:
            self._audit(capture, captured_at)
        if slot.kind == "full":
            self.say(f"day {number}: {self._ask('select count(*) as n from pg_stat_statements')[0]['n']} entries")
        return captured_at

    def _audit(self, capture: Capture, at: datetime) -> None:
        self.report = audit_capture(capture, Settings(store=self.folder))
        self.truth.audits.append({
            "at": at,
            "capture": capture.name,
            "findings": [
                {"id": one.id, "rule": one.rule, "subject": one.subject, "impact_ms_per_day": one.impact_ms_per_day}
                for one in self.report.findings
            ],
        })  # fmt: skip

    # -- what happens

    def _tell(self, kind: str, at: datetime, subject: str | None = None, **values: str | None) -> None:
        self.say(f"{at:%d %H:%M} {kind} {subject or ''}")
        self.truth.events.append(Event(at, kind, subject, **values))

    def _analyze(self, at: datetime) -> None:
        self._ask("vacuum analyze orders, page_views")
        self._flush()
        for relation in ("public.orders", "public.page_views"):
            self._tell("analyzed", at, relation)

    def _flush(self) -> None:
        self._ask("select pg_stat_force_next_flush()")
        self.ledger.observe()

    def _reset_counters(self, at: datetime) -> None:
        self._ask("select pg_stat_reset()")
        self.ledger.counters_lost()
        self._tell("counters_reset", at)

    def _reset_statements(self, at: datetime) -> None:
        self._ask("select pg_stat_statements_reset()")
        self.ledger.statements_lost()
        self._tell("statements_reset", at)

    def _close_books(self, _at: datetime) -> None:
        self._run("shop_reports", "closing", (1, 20_000))

    def _burst_of_odd_statements(self, at: datetime) -> None:
        before = self._evictions()
        with self._session("shop_reports", "explorer") as connection:
            for number in range(ODD_STATEMENTS):
                connection.execute(shop.odd_statement(number).encode())
        self.truth.evicted = self.ledger.evictions()
        if not self.truth.evicted:
            raise AssertionError("the burst evicted nothing that the story knows")
        self._tell("evicted", at, value_before=str(before), value_now=str(self._evictions()))

    def _evictions(self) -> int:
        return int(self._ask("select dealloc from pg_stat_statements_info")[0]["dealloc"])

    def _drop_index(self, at: datetime) -> None:
        self._ask("drop index payments_order")
        self._flush()
        self._tell("index_dropped", at, "public.payments_order")

    def _change_setting(self, at: datetime) -> None:
        before = self._ask("select current_setting('random_page_cost') as value")[0]["value"]
        self._ask("alter system set random_page_cost = 1.1")
        self._ask("select pg_reload_conf()")
        self._tell("setting_changed", at, "random_page_cost", value_before=before, value_now="1.1")

    def _restart(self, at: datetime) -> None:
        self._disconnect()
        self.cluster.restart()
        self._connect()
        self._tell("restarted", at)

    def _crash(self, at: datetime) -> None:
        """Kill the server without a word: what it had counted is lost."""
        process = self.cluster.process
        assert process
        self._ask("checkpoint")  # commits do not wait for the disk here: none is to be lost
        process.kill()
        process.wait()
        self._disconnect()
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self.cluster.start()
                break
            except RuntimeError:  # its processes are still about to notice
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        self._connect()
        self.ledger.statements_lost()
        self.ledger.counters_lost()
        self._tell("crashed", at)

    def _follow_advice(self, at: datetime) -> None:
        """Run what the last audit had recommended for the slow list of orders."""
        findings = self.report.findings if self.report else ()
        finding = next(
            (
                one
                for one in findings
                if one.rule.startswith("missing-index") and one.subject.startswith("public.orders")
            ),
            None,
        )
        if finding is None or finding.fix is None:
            raise AssertionError(f"no index was recommended: {[(one.rule, one.subject) for one in findings]}")
        before = self._indexes()
        # as a person would: psql runs CREATE INDEX CONCURRENTLY between other statements
        run_as_user(
            [
                self.cluster.bin_dir / "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1",
                f"--dbname={self.cluster.dsn(shop.DATABASE, options='-c pg_stat_statements.track=none')}",
            ],
            input=finding.fix,
        )  # fmt: skip
        self.ledger.observe()
        (index,) = self._indexes() - before
        self.truth.facts |= {"advice": finding.id, "advised_index": index, "advised_sql": finding.fix}
        self._tell("index_added", at, index)

    def _indexes(self) -> set[str]:
        query = "select schemaname || '.' || indexrelname as name from pg_stat_user_indexes"
        return {row["name"] for row in self._ask(query)}

    def _release(self, at: datetime) -> None:
        self._ask(shop.RELEASE)
        self._flush()
        self._tell("relation_added", at, "public.coupons")
        self._tell("index_added", at, "public.coupons_pkey")
