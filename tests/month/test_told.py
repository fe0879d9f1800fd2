"""What `queryfit diff` and `queryfit report` print of the month is its story, with its numbers."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from queryfit.audit import Settings
from queryfit.cli.main import status_of
from queryfit.evidence.store import Store
from queryfit.render import report_json, report_markdown
from queryfit.report.making import make, stretch
from queryfit.report.whom import choose
from tests.month.calendar import day
from tests.month.conftest import is_of_the_story
from tests.month.truth import Done

if TYPE_CHECKING:
    from queryfit.report.model import Content
    from tests.month.conftest import Lived
    from tests.month.truth import Interval

pytestmark = pytest.mark.xdist_group("month")


@pytest.fixture(scope="module")
def store(month: Lived, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, for who remembers what was printed."""
    return Path(shutil.copytree(month.folder, tmp_path_factory.mktemp("told") / "store"))


def run(store: Path, *arguments: str) -> str:
    output = store.parent / "output"
    assert status_of([*arguments, "--store", str(store), "--output", str(output), "--quiet"]) == 0
    return output.read_text(encoding="utf-8")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def between(month: Lived, since: datetime, until: datetime) -> list[Interval]:
    return [
        one
        for one in month.truth.intervals
        if one.started_at is not None and since <= one.started_at and one.ended_at <= until
    ]


def sums(part: list[Interval], name: str) -> Done:
    total = Done()
    for one in part:
        if (done := one.statements.get(name)) is not None:
            total.add(calls=done.seen_calls, rows=done.seen_rows, execution_ms=done.seen_ms, blocks=done.seen_blocks)
    return total


def full_of(month: Lived, number: int) -> Interval:
    return next(one for one in month.truth.intervals if one.kind == "full" and one.ended_at >= day(number))


class TestDiff:
    def diff(self, month: Lived, store: Path, first: int, last: int) -> dict[str, Any]:
        """Between the full captures of two days, by the names of the captures."""
        names = (full_of(month, first).capture, full_of(month, last).capture)
        told: dict[str, Any] = json.loads(run(store, "diff", *names, "--format", "json"))
        told["statements"] = [one for one in told["statements"] if is_of_the_story(one)]
        return told

    def test_quiet_days_have_nothing_to_tell(self, month: Lived, store: Path) -> None:
        told = self.diff(month, store, 2, 4)
        assert [told[part] for part in ("statements", "schema", "settings", "indexes", "events")] == [[]] * 5

    def test_the_index_that_was_dropped_is_why_a_statement_got_slower(self, month: Lived, store: Path) -> None:
        told = self.diff(month, store, 11, 14)
        (change,) = told["statements"]
        assert (change["fingerprint"], change["change"]) == (month.truth.fingerprints["payment_of_order"], "slower")
        assert (change["plan_before"], change["plan_now"]) == ("Index Scan payments_order", "Seq Scan payments")
        assert change["reason_subject"] == "public.payments_order"
        assert ("dropped", "public.payments_order") in {(one["action"], one["subject"]) for one in told["schema"]}
        begun, last = moment(change["changed_at"]), full_of(month, 14).ended_at
        happened = sums(between(month, begun, last), "payment_of_order")
        assert change["mean_ms"] == pytest.approx(happened.execution_ms / happened.calls, rel=1e-6)
        assert change["blocks_per_call"] == pytest.approx(happened.blocks / happened.calls, rel=1e-6)
        days = (last - begun).total_seconds() / 86_400
        assert change["calls_per_day"] == pytest.approx(happened.calls / days, rel=1e-3)

    def test_a_setting_is_told_before_and_now(self, month: Lived, store: Path) -> None:
        told = self.diff(month, store, 13, 14)
        assert [(one["subject"], one["before"], one["now"]) for one in told["settings"]] == [
            ("random_page_cost", "4", "1.1")
        ]
        assert not told["schema"]

    def test_a_release_is_a_new_table_and_a_new_statement(self, month: Lived, store: Path) -> None:
        told = self.diff(month, store, 22, 24)
        assert [(one["fingerprint"], one["change"]) for one in told["statements"]] == [
            (month.truth.fingerprints["coupon"], "new")
        ]
        assert {(one["kind"], one["action"], one["subject"]) for one in told["schema"]} >= {
            ("table", "added", "public.coupons")
        }

    def test_the_index_that_was_advised_makes_a_statement_faster(self, month: Lived, store: Path) -> None:
        told = self.diff(month, store, 19, 22)
        (change,) = told["statements"]
        assert (change["fingerprint"], change["change"]) == (month.truth.fingerprints["order_history"], "faster")
        assert change["reason_subject"] == month.truth.facts["advised_index"]
        begun, last = moment(change["changed_at"]), full_of(month, 22).ended_at
        after = sums(between(month, begun, last), "order_history")
        assert change["mean_ms"] == pytest.approx(after.execution_ms / after.calls, rel=1e-6)

    def test_a_crash_is_told_and_no_number_is_negative(self, month: Lived, store: Path) -> None:
        told = self.diff(month, store, 17, 18)
        assert [one["kind"] for one in told["events"]] == ["crashed"]
        assert not told["statements"]


@pytest.fixture(scope="module")
def content(store: Path) -> Content:
    kept = Store(store)
    scope = choose(kept, None)
    return make(kept, scope, stretch(scope, "2026-10-01", None), Settings(store=store))


@pytest.fixture(scope="module")
def report(content: Content) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(report_json.render(content))
    return told


class TestReport:
    def test_its_time_is_the_month(self, month: Lived, report: dict[str, Any]) -> None:
        known = month.truth.intervals
        assert moment(report["period"]["until"]) == known[-1].ended_at
        assert report["period"]["captures"] == len(known) - 1

    def test_every_statement_has_its_calls_and_its_time(self, month: Lived, report: dict[str, Any]) -> None:
        told = {one["fingerprint"]: one for one in report["statements"]}
        known = month.truth.intervals[1:]
        of_the_story = {value: name for name, value in month.truth.fingerprints.items() if value in told}
        assert len(of_the_story) >= 8
        for fingerprint, name in of_the_story.items():
            happened = sums(known, name)
            assert told[fingerprint]["calls"] == happened.calls
            assert told[fingerprint]["execution_ms"] == pytest.approx(happened.execution_ms, rel=1e-6)
            assert told[fingerprint]["is_lower_bound"] == any(
                one.statements[name].is_lost for one in known if name in one.statements
            )

    def test_the_load_over_time_adds_up_to_the_time_of_all_statements(
        self, month: Lived, report: dict[str, Any]
    ) -> None:
        """Of a statement: what it took an hour in each part of the chart, times the part's length."""
        load = report["load"]
        assert load["unit"] == "ms_per_hour"
        hours = load["step_s"] / 3600
        fingerprint = month.truth.fingerprints["revenue"]
        (line,) = [one for one in load["series"] if one["key"] == ["shop", fingerprint]]
        charted = sum(value * hours for value in line["values"] if value is not None)
        assert charted == pytest.approx(sums(month.truth.intervals[1:], "revenue").execution_ms, rel=0.05)

    def test_four_statements_changed(self, month: Lived, report: dict[str, Any]) -> None:
        names = {value: name for name, value in month.truth.fingerprints.items()}
        assert Counter((names[one["fingerprint"]], one["change"]) for one in report["changes"]) == Counter(
            [
                ("payment_of_order", "slower"),
                ("order_history", "faster"),
                ("coupon", "new"),
                ("newsletter", "gone"),
            ]
        )

    def test_the_paragraph_begins_with_the_crash_and_names_what_got_slower(self, report: dict[str, Any]) -> None:
        headline = report["headline"]
        assert "crashed" in headline["first"]
        assert "17 Oct" in headline["first"]
        assert any("payments where order_id" in words and "slower" in words for words in headline["rest"])

    def test_the_story_s_events_and_no_others(self, month: Lived, report: dict[str, Any]) -> None:
        shown = {"counters_reset", "statements_reset", "restarted", "crashed", "index_added", "index_dropped",
                 "relation_added", "setting_changed"}  # fmt: skip
        assert Counter((one["kind"], one["subject"]) for one in report["events"] if one["kind"] in shown) == Counter(
            (one.kind, one.subject) for one in month.truth.events if one.kind in shown
        )
        assert {one["kind"] for one in report["events"]} <= shown | {"evicted", "gap", "analyzed"}

    def test_the_advice_that_was_followed_is_fixed_and_what_came_is_the_truth(
        self, month: Lived, report: dict[str, Any]
    ) -> None:
        assert month.truth.facts["advice"] in {one["id"] for one in report["findings"]["fixed"]}
        (outcome,) = [one for one in report["outcomes"] if one["finding"] == month.truth.facts["advice"]]
        promised = next(
            one for one in month.truth.audits if month.truth.facts["advice"] in {two["id"] for two in one["findings"]}
        )
        assert promised["findings"]
        event = next(one for one in month.truth.events if one.subject == month.truth.facts["advised_index"])
        assert event.happened_at <= moment(outcome["fixed_at"])
        fixed = moment(outcome["fixed_at"])
        (told,) = outcome["statements"]
        after = sums(between(month, fixed, moment(outcome["measured_until"])), "order_history")
        assert told["calls_after"] == after.calls
        assert told["mean_after_ms"] == pytest.approx(after.execution_ms / after.calls, rel=1e-6)
        # before it: the intervals up to the one of the fix, as many as were counted
        earlier = [one for one in month.truth.intervals if one.ended_at <= event.happened_at]
        stretches = (sums(earlier[-number:], "order_history") for number in range(1, len(earlier)))
        before = next(one for one in stretches if one.calls == told["calls_before"])
        assert told["mean_before_ms"] == pytest.approx(before.execution_ms / before.calls, rel=1e-6)
        got = (told["mean_before_ms"] - told["mean_after_ms"]) * told["calls_per_day"]
        assert outcome["got_ms_per_day"] == pytest.approx(got, rel=1e-6)
        days = (moment(outcome["measured_until"]) - fixed).total_seconds() / 86_400
        assert told["calls_per_day"] == pytest.approx(after.calls / days, rel=0.15)  # hours of work, not of the gap
        assert report["calibration"]["measured"] >= 1

    def test_the_index_that_was_dropped_is_missed(self, report: dict[str, Any]) -> None:
        found = {(one["rule"], one["subject"]) for one in report["findings"]["found"]}
        assert ("missing-index", "public.payments (order_id)") in found

    def test_the_loop_is_told(self, month: Lived, report: dict[str, Any]) -> None:
        (loop,) = report["loops"]
        assert loop["evidence"]["fingerprint"] == month.truth.fingerprints["reviews_of_product"]
        assert loop["evidence"]["parent_fingerprint"] == month.truth.fingerprints["category"]
        assert loop["evidence"]["repeats_per_call"] == 12

    def test_tables_that_grew(self, month: Lived, report: dict[str, Any]) -> None:
        views = next(one for one in report["tables"] if one["relation"] == "public.page_views")
        assert views["size_bytes"] == month.truth.intervals[-1].sizes["public.page_views"]
        assert views["inserted_rows"] == sum(
            one.relations["public.page_views"].seen.get("inserted_rows", 0) for one in month.truth.intervals[1:]
        )
        assert views["is_lower_bound"]

    def test_the_finding_about_the_key_knows_its_date(self, report: dict[str, Any]) -> None:
        (found,) = [one for one in report["findings"]["found"] if one["rule"] == "integer-key-near-end"]
        assert found["evidence"]["days_left"] == pytest.approx(63, abs=0.1)

    def test_dates(self, report: dict[str, Any]) -> None:
        ends = {one["subject"]: one["days_left"] for one in report["trends"] if one["days_left"] is not None}
        assert ends == {
            "public.orders_id_seq": pytest.approx(63, abs=0.01),
            "max_connections": pytest.approx(20.5, abs=0.6),
        }

    def test_markdown_tells_the_same_story(self, content: Content, report: dict[str, Any]) -> None:
        text = report_markdown.render(content)
        assert text.startswith("# " + report["headline"]["first"].removesuffix("."))
        for words in (
            "payments_order",
            "orders_customer_id_idx",
            "coupons",
            "random_page_cost",
            "63 days",
            "max_connections",
        ):
            assert words in text.replace("\\", ""), words
