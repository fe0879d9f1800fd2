"""Statements that changed, told from those that only wobble."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from queryfit.history.changes import Change, find_changes
from queryfit.history.levels import watch
from queryfit.history.reasons import explain
from tests.history.spans import START, Row, Spans

WEEK = 24 * 7


def found(spans: Spans, **options: Any) -> list[Change]:
    watched = watch(spans.raw)
    assert watched
    return find_changes(spans.raw, watched, **options)


def said(spans: Spans) -> list[tuple[str, str]]:
    return [(change.fingerprint, change.change) for change in found(spans)]


def steady(spans: Spans, mean_ms: float = 1.0, calls: int = 100, blocks: float = 10) -> list[tuple[int, Row]]:
    return [(hour, {"calls": calls, "mean_ms": mean_ms, "blocks": blocks}) for hour in spans.hours]


class TestTempo:
    def test_a_statement_that_reads_more_and_takes_longer_got_slower_from_that_hour_on(self) -> None:
        spans = Spans(WEEK)
        rows = [(hour, {"calls": 50, "mean_ms": 1 if hour < 100 else 12, "blocks": 4 if hour < 100 else 900})
                for hour in spans.hours]  # fmt: skip
        spans.statement("a", rows)
        (change,) = found(spans)
        assert change.change == "slower"
        assert change.changed_at == START + timedelta(hours=100)
        assert (change.mean_ms_before, change.mean_ms) == pytest.approx((1, 12))
        assert (change.blocks_per_call_before, change.blocks_per_call) == pytest.approx((4, 900))
        assert change.calls_per_day == pytest.approx(1200)
        assert change.execution_ms_per_day == pytest.approx(14_400)

    def test_a_statement_that_was_mended_is_told_for_both_days(self) -> None:
        spans = Spans(WEEK)
        spans.statement(
            "a",
            [(hour, {"calls": 50, "mean_ms": 20 if 50 <= hour < 120 else 1, "blocks": 900 if 50 <= hour < 120 else 4})
             for hour in spans.hours],
        )  # fmt: skip
        changes = sorted(found(spans), key=lambda change: change.changed_at or START)
        assert [change.change for change in changes] == ["slower", "faster"]
        assert [change.changed_at for change in changes] == [START + timedelta(hours=hour) for hour in (50, 120)]

    def test_a_machine_that_is_slow_for_everything_slows_nothing_down(self) -> None:
        spans = Spans(WEEK)
        for number in range(12):
            spans.statement(
                f"s{number}",
                [(hour, {"calls": 50, "mean_ms": (number + 1) * (3 if hour >= 90 else 1)}) for hour in spans.hours],
            )
        assert said(spans) == []

    def test_one_that_alone_gets_slower_on_a_steady_machine_is_told_by_its_time(self) -> None:
        spans = Spans(WEEK)
        for number in range(12):
            spans.statement(f"s{number}", steady(spans, mean_ms=number + 1))
        spans.statement("a", [(hour, {"calls": 50, "mean_ms": 30 if hour >= 90 else 10}) for hour in spans.hours])
        assert said(spans) == [("a", "slower")]

    def test_noise_nights_and_wild_hours_are_no_changes(self) -> None:
        random = np.random.default_rng(7)
        spans = Spans(WEEK)
        wild = np.where(random.random(WEEK) < 0.03, 4.0, 1.0)
        for number in range(150):
            calls = random.poisson(40 * (1 + 0.9 * np.sin(np.arange(WEEK) / 24 * 2 * np.pi)))
            times = 2 * wild * np.exp(random.normal(0, random.uniform(0.05, 0.6), WEEK))
            blocks = 50 * np.exp(random.normal(0, random.uniform(0, 0.4), WEEK))
            spans.statement(
                f"s{number}",
                [(hour, {"calls": int(calls[hour]), "mean_ms": float(times[hour]), "blocks": float(blocks[hour])})
                 for hour in spans.hours],
            )  # fmt: skip
        assert said(spans) == []

    def test_a_change_before_the_stretch_that_was_asked_for_is_not_told(self) -> None:
        spans = Spans(2 * WEEK)
        rows = [(hour, {"calls": 50, "mean_ms": 1 if hour < 100 else 12, "blocks": 4 if hour < 100 else 900})
                for hour in spans.hours]  # fmt: skip
        spans.statement("a", rows)
        assert found(spans, since=START + timedelta(hours=WEEK)) == []
        assert len(found(spans, since=START + timedelta(hours=50))) == 1

    def test_a_change_that_costs_nothing_is_not_told(self) -> None:
        spans = Spans(WEEK)
        spans.statement("large", steady(spans, mean_ms=500))
        spans.statement("small", [(hour, {"calls": 5, "mean_ms": 0.01 if hour < 90 else 0.05}) for hour in spans.hours])
        assert said(spans) == []


class TestAppearance:
    def test_a_statement_that_appears_is_new_from_there_on(self) -> None:
        spans = Spans(WEEK)
        spans.statement("old", steady(spans))
        spans.statement("a", [(hour, {"calls": 20}) for hour in range(100, WEEK)])
        (change,) = found(spans)
        assert (change.fingerprint, change.change) == ("a", "new")
        assert change.changed_at == START + timedelta(hours=100)
        assert change.calls_per_day_before is None
        assert change.calls_per_day == pytest.approx(480)

    def test_what_may_have_been_evicted_right_before_is_not_called_new(self) -> None:
        spans = Spans(WEEK)
        spans.statement("old", steady(spans))
        spans.statement("a", [(hour, {"calls": 20}) for hour in range(100, WEEK)])
        spans.event("evicted", 95)
        assert said(spans) == []

    def test_a_nightly_job_in_its_first_nights_is_neither_new_nor_gone(self) -> None:
        spans = Spans(WEEK)
        spans.statement("old", steady(spans))
        spans.statement("nightly", [(hour, {"calls": 10}) for hour in range(20, WEEK - 24, 24)])
        assert said(spans) == []

    def test_one_whose_counters_stand_still_is_gone(self) -> None:
        spans = Spans(WEEK)
        spans.statement("old", steady(spans))
        spans.statement("a", [(hour, {"calls": 20}) for hour in range(60)])
        spans.event("evicted", 80)
        spans.event("statements_reset", 90)
        (change,) = found(spans)
        assert (change.fingerprint, change.change) == ("a", "gone")
        assert change.changed_at == START + timedelta(hours=60)
        assert change.calls_per_day_before == pytest.approx(480)
        assert change.calls_per_day is None

    @pytest.mark.parametrize("kind", ["evicted", "statements_reset", "crashed", "failed_over"])
    def test_one_whose_counters_were_lost_is_not_called_gone(self, kind: str) -> None:
        spans = Spans(WEEK)
        spans.statement("old", steady(spans))
        spans.statement("a", [(hour, {"calls": 20}) for hour in range(60)], is_held=False)
        spans.event(kind, 80)
        assert said(spans) == []

    def test_what_somebody_tried_by_hand_is_no_news(self) -> None:
        spans = Spans(WEEK)
        spans.statement("old", steady(spans))
        spans.statement("a", [(100, {"calls": 2})])
        assert said(spans) == []


class TestCalls:
    def test_thrice_the_calls_on_every_day_is_busier(self) -> None:
        spans = Spans(24 * 10)
        spans.statement(
            "a", [(hour, {"calls": (30 if hour >= 120 else 10) * (2 if hour % 24 > 12 else 1)}) for hour in spans.hours]
        )
        (change,) = found(spans)
        assert change.change == "busier"
        assert change.changed_at == START + timedelta(hours=120)
        assert change.calls_per_day_before == pytest.approx(350, rel=0.01)
        assert change.calls_per_day == pytest.approx(1050, rel=0.01)

    def test_weekends_are_not(self) -> None:
        spans = Spans(24 * 14)
        spans.statement("a", [(hour, {"calls": 3 if hour // 24 % 7 >= 5 else 40}) for hour in spans.hours])
        assert said(spans) == []


class TestReasons:
    def test_a_setting_that_moves_plans_is_one_and_another_is_not(self) -> None:
        spans = Spans(WEEK)
        spans.event("setting_changed", 99, subject="log_min_duration_statement", value_before="-1", value_now="0")
        spans.event("setting_changed", 101, subject="work_mem", value_before="4096", value_now="64")
        reason = self.reason(spans)
        assert (reason.reason_kind, reason.reason_subject) == ("setting_changed", "work_mem")
        assert reason.reason == "work_mem changed from 4096 to 64"

    def test_a_table_that_grew_at_that_time_is_one(self) -> None:
        spans = Spans(WEEK)
        spans.add("reference", [{"fingerprint": "a", "relation": "public.orders", "column_name": "id"}])
        spans.gauge(
            "relation_span",
            [(hour, {"relation": "public.orders", "live_rows": 1000 if hour < 99 else 50_000}) for hour in spans.hours],
        )
        reason = self.reason(spans)
        assert (reason.reason_kind, reason.reason_subject) == ("table_grew", "public.orders")
        assert reason.reason == "public.orders grew 50 times, to 50 k rows"

    def test_more_rows_a_call_are_one(self) -> None:
        spans = Spans(WEEK)
        assert self.reason(spans, rows=12).reason == "a call returns or changes 12 times the rows"

    def test_without_evidence_none_is_given(self) -> None:
        reason = self.reason(Spans(WEEK))
        assert reason.reason is None
        assert reason.plan_before is None

    def reason(self, spans: Spans, rows: int = 1) -> Change:
        spans.statement(
            "a",
            [(hour, {"calls": 50, "mean_ms": 1 if hour < 100 else 12, "blocks": 4 if hour < 100 else 900,
                     "rows": 1 if hour < 100 else rows}) for hour in spans.hours],
        )  # fmt: skip
        (change,) = explain(spans.raw, found(spans), [])
        return change


class TestHostile:
    def test_counters_that_no_server_has_are_left_out(self) -> None:
        spans = Spans(WEEK)
        spans.statement("old", steady(spans))
        spans.statement(
            "a",
            [
                (hour, {"calls": 50, "mean_ms": [float("inf"), float("nan"), -5.0, 1.0][hour % 4]})
                for hour in spans.hours
            ],
        )
        spans.statement("b", [(hour, {"calls": 50, "blocks": -3 if hour % 2 else 4}) for hour in spans.hours])
        assert said(spans) == []
