"""The history of the month tells what happened in it, with the numbers that the generator wrote down."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.month import shop
from tests.month.calendar import day
from tests.month.conftest import is_of_the_story

if TYPE_CHECKING:
    from queryfit.history import History
    from tests.month.conftest import Lived
    from tests.month.truth import Event, Interval

pytestmark = pytest.mark.xdist_group("month")

SCHEMA_KINDS = frozenset({"index_added", "index_dropped", "relation_added"})
LATE = timedelta(seconds=30)  # an event takes some moments of its own


def rows(history: History, select: str) -> list[dict[str, Any]]:
    return list(history.session.query(select).mappings())


def intervals(month: Lived) -> list[Interval]:
    """Those that begin with a capture; what came before the first one nobody could see."""
    return month.truth.intervals[1:]


def aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def interval_of(month: Lived, moment: datetime) -> Interval:
    return next(
        one for one in intervals(month) if one.started_at is not None and one.started_at < moment <= one.ended_at
    )


def evicting(month: Lived) -> set[datetime]:
    """Ends of the intervals in which entries of pg_stat_statements may have been evicted."""
    return {
        one.ended_at for before, one in pairwise(month.truth.intervals) if one.evictions_after > before.evictions_before
    }


class TestStatements:
    def test_every_interval_has_the_calls_rows_blocks_and_times_that_the_counters_could_show(
        self, month: Lived, history: History
    ) -> None:
        names = {value: name for name, value in month.truth.fingerprints.items()}
        told: dict[tuple[datetime, str], tuple[Any, ...]] = {
            (aware(row["ended_at"]), names[row["fingerprint"]]): (row["calls"], row["rows"], row["blocks"], row["ms"])
            for row in rows(
                history,
                "select ended_at, fingerprint, calls, rows, blocks_hit + blocks_read as blocks, execution_ms as ms"
                " from statement_span where database = 'shop'",
            )
            if row["fingerprint"] in names and row["calls"]
        }
        happened = {
            (interval.ended_at, name): (
                done.seen_calls,
                done.seen_rows,
                done.seen_blocks,
                pytest.approx(done.seen_ms, rel=1e-6, abs=1e-6),
            )
            for interval in intervals(month)
            for name, done in interval.statements.items()
            if done.seen_calls
        }
        assert len(happened) > 500
        assert told == happened

    def test_sums_over_the_month_are_the_truth_where_nothing_was_lost(self, month: Lived, history: History) -> None:
        coupons = month.truth.fingerprints["coupon"]
        (told,) = rows(
            history,
            "select sum(calls) as calls, sum(rows) as rows, bool_or(is_lower_bound) as is_lower_bound"
            f" from statement_span where fingerprint = '{coupons}'",
        )
        done = [interval.statements["coupon"] for interval in intervals(month) if "coupon" in interval.statements]
        assert told == {
            "calls": sum(one.calls for one in done),
            "rows": sum(one.rows for one in done),
            "is_lower_bound": False,
        }

    def test_a_sum_that_lacks_something_is_a_lower_bound_or_an_event_names_the_statement(
        self, month: Lived, history: History
    ) -> None:
        named = {row["subject"] for row in rows(history, "select subject from server_event where kind = 'evicted'")}
        for name, fingerprint in month.truth.fingerprints.items():
            happened = sum(one.statements[name].calls for one in intervals(month) if name in one.statements)
            (told,) = rows(
                history,
                "select sum(calls) as calls, bool_or(is_lower_bound) as is_lower_bound"
                f" from statement_span where fingerprint = '{fingerprint}'",
            )
            assert told["calls"] <= happened
            assert told["calls"] == happened or told["is_lower_bound"] or fingerprint in named, name

    def test_lower_bounds_are_the_intervals_in_which_something_was_lost(self, month: Lived, history: History) -> None:
        names = {value: name for name, value in month.truth.fingerprints.items()}
        told = {
            (aware(row["ended_at"]), names[row["fingerprint"]])
            for row in rows(history, "select ended_at, fingerprint from statement_span where is_lower_bound")
            if row["fingerprint"] in names
        }
        lost = {
            (interval.ended_at, name)
            for interval in intervals(month)
            for name, done in interval.statements.items()
            if done.is_lost and done.seen_calls  # one without a trace has no row; an event names it
        }
        assert lost <= told
        # before PostgreSQL 17 an entry does not say since when it counts: any may have been evicted and be back
        may_be = set() if int(month.truth.server_version.split(".")[0]) >= 17 else evicting(month)
        assert {at for at, _ in told - lost} <= may_be

    def test_nothing_is_negative(self, history: History) -> None:
        for table, columns in {
            "statement_span": ("calls", "rows", "execution_ms", "squared_ms", "blocks_hit", "blocks_read", "wal_bytes"),
            "relation_span": ("sequential_scans", "sequential_rows", "index_scans", "inserted_rows", "updated_rows"),
            "index_span": ("scans", "read_rows"),
            "database_span": ("commits", "rollbacks", "blocks_read", "blocks_hit", "sessions"),
        }.items():
            least = ", ".join(f"min({column}) as {column}" for column in columns)
            (row,) = rows(history, f"select {least} from {table}")
            assert all(value >= 0 for value in row.values()), (table, row)


class TestTablesAndIndexes:
    def test_rows_that_were_written_and_scans_of_tables(self, month: Lived, history: History) -> None:
        counters = ("inserted_rows", "updated_rows", "deleted_rows", "sequential_scans", "index_scans")
        told = {
            (aware(row["ended_at"]), row["relation"]): tuple(row[counter] for counter in counters)
            for row in rows(history, f"select ended_at, relation, {', '.join(counters)} from relation_span")
        }
        # what a dropped index had been used for is gone from its table's sum, and from nothing else
        dropped = next(one for one in month.truth.events if one.kind == "index_dropped")
        key = (interval_of(month, dropped.happened_at).ended_at, "public.payments")
        told[key] = (*told[key][:-1], None)
        happened: dict[tuple[datetime, str], tuple[Any, ...]] = {
            (interval.ended_at, relation): tuple(used.seen.get(counter, 0) for counter in counters)
            for interval in intervals(month)
            for relation, used in interval.relations.items()
        }
        happened[key] = (*happened[key][:-1], None)
        assert {place: values for place, values in told.items() if any(values)} == {
            place: values for place, values in happened.items() if any(values)
        }

    def test_scans_of_indexes(self, month: Lived, history: History) -> None:
        told = {
            (aware(row["ended_at"]), row["index"]): row["scans"]
            for row in rows(history, "select ended_at, index, scans from index_span where scans > 0")
        }
        assert told == {
            (interval.ended_at, index): used.seen["scans"]
            for interval in intervals(month)
            for index, used in interval.indexes.items()
            if used.seen.get("scans")
        }

    def test_sizes_and_sequences(self, month: Lived, history: History) -> None:
        sizes = rows(
            history,
            "select ended_at, size_bytes from relation_span where relation = 'public.page_views' and size_bytes > 0",
        )
        values = rows(history, "select ended_at, last_value from sequence_span where sequence = 'public.orders_id_seq'")
        assert {aware(row["ended_at"]): row["size_bytes"] for row in sizes} == {
            one.ended_at: one.sizes["public.page_views"] for one in intervals(month) if one.kind == "full"
        }
        assert {aware(row["ended_at"]): row["last_value"] for row in values} == {
            one.ended_at: one.sequence_value for one in intervals(month)
        }

    def test_connections(self, month: Lived, history: History) -> None:
        told = rows(history, "select ended_at, connections from database_span where database = 'shop'")
        assert {aware(row["ended_at"]): row["connections"] for row in told} == {
            one.ended_at: one.connections + 1
            for one in intervals(month)  # the capture's own
        }


@pytest.fixture(scope="module")
def events(history: History) -> list[dict[str, Any]]:
    return rows(history, "select * from server_event order by happened_at")


def happened_of(month: Lived, kinds: frozenset[str]) -> list[Event]:
    return [event for event in month.truth.events if event.kind in kinds]


class TestEvents:
    def test_no_other_kinds_of_events(self, month: Lived, events: list[dict[str, Any]]) -> None:
        assert {event["kind"] for event in events} == {event.kind for event in month.truth.events} | {"gap"}

    def test_resets_restarts_and_analyses_are_told_at_their_moment(
        self, month: Lived, events: list[dict[str, Any]]
    ) -> None:
        kinds = frozenset({"counters_reset", "statements_reset", "restarted", "crashed", "analyzed"})
        happened = happened_of(month, kinds)
        found = [event for event in events if event["kind"] in kinds]
        assert [(event["kind"], event["subject"]) for event in found] == [
            (event.kind, event.subject) for event in happened
        ]
        for one, event in zip(found, happened, strict=True):
            assert event.happened_at <= aware(one["happened_at"]) <= event.happened_at + LATE

    def test_changes_of_the_schema_are_told_with_the_next_capture(
        self, month: Lived, events: list[dict[str, Any]]
    ) -> None:
        found = [event for event in events if event["kind"] in SCHEMA_KINDS]
        assert Counter((aware(event["happened_at"]), event["kind"], event["subject"]) for event in found) == Counter(
            (interval_of(month, event.happened_at).ended_at, event.kind, event.subject)
            for event in happened_of(month, SCHEMA_KINDS)
        )

    def test_a_setting_is_told_with_the_next_full_capture(self, month: Lived, events: list[dict[str, Any]]) -> None:
        (found,) = [event for event in events if event["kind"] == "setting_changed"]
        (happened,) = happened_of(month, frozenset({"setting_changed"}))
        seen_at = next(
            one.ended_at for one in month.truth.intervals if one.kind == "full" and one.ended_at > happened.happened_at
        )
        assert (aware(found["happened_at"]), found["subject"]) == (seen_at, "random_page_cost")
        assert (found["value_before"], found["value_now"]) == ("4", "1.1")

    def test_the_day_without_captures_is_a_gap(self, month: Lived, events: list[dict[str, Any]]) -> None:
        (found,) = [event for event in events if event["kind"] == "gap"]
        gap = interval_of(month, day(27, 12))
        assert aware(found["happened_at"]) == gap.started_at
        assert found["value_now"] == gap.ended_at.replace(tzinfo=None).isoformat()

    def test_evictions_are_told_where_there_were_some(self, month: Lived, events: list[dict[str, Any]]) -> None:
        found = {aware(event["happened_at"]) for event in events if event["kind"] == "evicted"}
        may_be = evicting(month)
        burst = next(event.happened_at for event in month.truth.events if event.kind == "evicted")
        assert interval_of(month, burst).ended_at in found
        assert found <= may_be

    def test_an_evicted_statement_is_named(self, month: Lived, events: list[dict[str, Any]]) -> None:
        named = {event["subject"] for event in events if event["kind"] == "evicted"}
        of_the_story = {name for name, value in month.truth.fingerprints.items() if value in named}
        assert of_the_story == set(month.truth.evicted) == {"closing"}


class TestTrends:
    def test_the_keys_of_orders_end_on_their_day(self, month: Lived, history: History) -> None:
        (trend,) = rows(history, "select * from trend where kind = 'sequence' and limit_name = 'int4'")
        assert trend["subject"] == month.truth.facts["sequence"]
        assert trend["per_day"] == pytest.approx(month.truth.facts["sequence_per_day"], rel=1e-6)
        at = datetime.fromisoformat(month.truth.facts["sequence_limit_at"])
        left = [
            aware(trend["last_at"]) + timedelta(days=trend[column])
            for column in ("days_left_low", "days_left", "days_left_high")
        ]
        slack = timedelta(minutes=1)
        assert left[0] - slack <= at <= left[2] + slack
        assert abs(left[1] - at) < timedelta(minutes=10)

    def test_page_views_grow_by_the_same_every_day(self, month: Lived, history: History) -> None:
        (trend,) = rows(history, "select * from trend where kind = 'table_size' and subject = 'public.page_views'")
        fulls = [one for one in intervals(month) if one.kind == "full"]
        grown = fulls[-1].sizes["public.page_views"] - fulls[0].sizes["public.page_views"]
        days = (fulls[-1].ended_at - fulls[0].ended_at).total_seconds() / 86400
        assert trend["per_day"] == pytest.approx(grown / days, rel=0.01)
        assert trend["value"] == fulls[-1].sizes["public.page_views"]
        still = rows(history, "select subject from trend where kind = 'table_size' and per_day = 0")
        assert {"public.customers", "public.payments", "public.products"} <= {row["subject"] for row in still}

    def test_connections_creep_up(self, month: Lived, history: History) -> None:
        (trend,) = rows(history, "select * from trend where kind = 'connections' and database is null")
        assert trend["per_day"] == pytest.approx(month.truth.facts["connections_per_day"], rel=0.05)
        # the line of the truth: one more every half a day
        last = intervals(month)[-1]
        days_left = (trend["limit_value"] - last.connections - 1) / month.truth.facts["connections_per_day"]
        assert trend["days_left_low"] - 0.6 <= days_left <= trend["days_left_high"] + 0.6

    def test_nothing_else_is_said_to_end_within_a_year(self, history: History) -> None:
        ending = rows(history, "select kind, subject from trend where days_left_low < 365")
        assert {(row["kind"], row["subject"]) for row in ending} == {
            ("sequence", "public.orders_id_seq"),
            ("connections", "max_connections"),
        }


@pytest.fixture(scope="module")
def changes(month: Lived, history: History) -> dict[str, dict[str, Any]]:
    names = {value: name for name, value in month.truth.fingerprints.items()}
    found = rows(history, "select * from statement_change where database = 'shop'")
    return {names.get(row["fingerprint"], row["fingerprint"]): row for row in found if is_of_the_story(row)}


class TestChanges:
    def test_four_statements_changed_and_no_other(self, changes: dict[str, dict[str, Any]]) -> None:
        assert {name: row["change"] for name, row in changes.items()} == {
            "payment_of_order": "slower",
            "order_history": "faster",
            "coupon": "new",
            "newsletter": "gone",
        }

    @pytest.mark.parametrize(
        ("name", "kind", "reason"),
        [("payment_of_order", "index_dropped", "dropped"), ("order_history", "index_added", "added")],
    )
    def test_the_reason_is_the_index(
        self, month: Lived, changes: dict[str, dict[str, Any]], name: str, kind: str, reason: str
    ) -> None:
        event = next(one for one in month.truth.events if one.kind == kind)
        assert event.subject is not None
        row = changes[name]
        assert event.subject in row["reason"]
        assert reason in row["reason"]
        scans = {
            "index_dropped": (row["plan_now"], row["plan_before"]),
            "index_added": (row["plan_before"], row["plan_now"]),
        }
        without, with_index = scans[kind]
        assert "Seq Scan" in without
        assert event.subject.removeprefix("public.") in with_index

    @pytest.mark.parametrize(
        ("name", "kind"), [("payment_of_order", "index_dropped"), ("order_history", "index_added")]
    )
    def test_the_numbers_before_and_after_are_the_truth(
        self, month: Lived, changes: dict[str, dict[str, Any]], name: str, kind: str
    ) -> None:
        event = next(one for one in month.truth.events if one.kind == kind)
        ends = interval_of(month, event.happened_at)
        row = changes[name]
        assert ends.started_at is not None
        assert ends.started_at <= aware(row["changed_at"]) <= ends.ended_at
        before = [one.statements[name] for one in intervals(month) if one.ended_at < ends.ended_at]
        after = [one.statements[name] for one in intervals(month) if one.ended_at > ends.ended_at]
        for part, suffix in ((before, "_before"), (after, "")):
            calls, ms = sum(one.seen_calls for one in part), sum(one.seen_ms for one in part)
            blocks = sum(one.seen_blocks for one in part)
            # the interval of the change itself may be counted to either side
            assert row[f"mean_ms{suffix}"] == pytest.approx(ms / calls, rel=0.1)
            assert row[f"blocks_per_call{suffix}"] == pytest.approx(blocks / calls, rel=0.1)

    def test_a_new_statement_is_counted_a_day_of_its_own_time(
        self, month: Lived, changes: dict[str, dict[str, Any]]
    ) -> None:
        begun = datetime.fromisoformat(month.truth.facts["first_coupon_at"])
        first = interval_of(month, begun)
        assert first.started_at is not None
        assert first.started_at <= aware(changes["coupon"]["changed_at"]) <= first.ended_at
        calls = sum(one.statements["coupon"].calls for one in intervals(month) if "coupon" in one.statements)
        days = (intervals(month)[-1].ended_at - begun).total_seconds() / 86400
        assert changes["coupon"]["calls_per_day"] == pytest.approx(calls / days, rel=0.05)

    def test_a_statement_that_stopped_is_counted_a_day_of_the_time_before(
        self, month: Lived, changes: dict[str, dict[str, Any]]
    ) -> None:
        stopped = datetime.fromisoformat(month.truth.facts["last_newsletter_at"])
        last = interval_of(month, stopped)
        assert last.started_at is not None
        assert last.started_at <= aware(changes["newsletter"]["changed_at"]) <= last.ended_at
        (page,) = [page for page in shop.PAGES if page.name == "newsletter"]
        assert changes["newsletter"]["calls_per_day_before"] == pytest.approx(page.per_day, rel=0.05)
