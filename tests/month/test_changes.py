"""What changed in the month, where its gauges are heading, and audits of a part of it: against the truth."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from queryfit.audit import Settings, audit_capture
from queryfit.cli.main import status_of
from queryfit.evidence.session import open_session
from queryfit.history import scopes
from queryfit.history.choosing import choose_two
from queryfit.history.diff import Diff, compare_captures
from queryfit.history.since import restricted
from tests.month.calendar import day
from tests.month.conftest import is_of_the_story

if TYPE_CHECKING:
    from pathlib import Path

    from queryfit.evidence.store import Capture
    from queryfit.findings import Report
    from queryfit.history import History
    from tests.month.conftest import Lived
    from tests.month.truth import Done

pytestmark = pytest.mark.xdist_group("month")


SECOND = timedelta(seconds=1)


def rows(history: History, select: str) -> list[dict[str, Any]]:
    return list(history.session.query(select).mappings())


def aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def done(month: Lived, name: str, since: datetime, until: datetime) -> list[Done]:
    """What a statement did in the intervals between two captures, as far as counters could show it."""
    return [
        interval.statements[name]
        for interval in month.truth.intervals[1:]
        if name in interval.statements
        and interval.started_at is not None
        and interval.started_at >= since - timedelta(seconds=1)
        and interval.ended_at <= until + timedelta(seconds=1)
    ]


def mean_ms(parts: list[Done]) -> float:
    return sum(part.seen_ms for part in parts) / sum(part.seen_calls for part in parts)


def capture_at(month: Lived, moment: datetime) -> Capture:
    """The last capture that was taken before a moment."""
    (scope,) = scopes(month.store)
    return [
        capture for capture in scope.captures if datetime.fromisoformat(str(capture.meta["captured_at"])) <= moment
    ][-1]


class TestChangesOfTheMonth:
    def test_they_are_those_of_the_story_and_no_others(self, month: Lived, history: History) -> None:
        names = {value: name for name, value in month.truth.fingerprints.items()}
        told = {
            (names.get(row["fingerprint"], row["fingerprint"]), row["change"])
            for row in rows(history, "select * from statement_change")
            if is_of_the_story(row)
        }
        assert told == {
            ("payment_of_order", "slower"),
            ("order_history", "faster"),
            ("coupon", "new"),
            ("newsletter", "gone"),
        }

    @pytest.mark.parametrize(
        ("name", "happened", "reason"),
        [
            ("payment_of_order", day(12, 10), ("index_dropped", "public.payments_order")),
            ("order_history", day(20, 9), ("index_added", "public.orders_customer_id_idx")),
        ],
    )
    def test_each_has_its_moment_its_reason_and_its_numbers(
        self, month: Lived, history: History, *, name: str, happened: datetime, reason: tuple[str, str]
    ) -> None:
        fingerprint = month.truth.fingerprints[name]
        told = rows(history, f"select * from statement_change where fingerprint = '{fingerprint}'")
        (change,) = [row for row in told if is_of_the_story(row)]
        began = aware(change["changed_at"])
        # the span in which it happened holds calls of both kinds: it counts for the side that has more of them
        spans = [interval for interval in month.truth.intervals[1:] if interval.started_at]
        around = [one for one in spans if one.started_at and one.started_at <= happened <= one.ended_at]
        assert any(abs(edge - began) < SECOND for one in around for edge in (one.started_at, one.ended_at) if edge)
        assert (change["reason_kind"], change["reason_subject"]) == reason
        assert change["plan_before"] != change["plan_now"]
        before = done(month, name, month.truth.intervals[0].ended_at, began)
        now = done(month, name, began, month.truth.intervals[-1].ended_at)
        assert change["mean_ms_before"] == pytest.approx(mean_ms(before), rel=1e-6)
        assert change["mean_ms"] == pytest.approx(mean_ms(now), rel=1e-6)
        blocks = sum(part.seen_blocks for part in now) / sum(part.seen_calls for part in now)
        assert change["blocks_per_call"] == pytest.approx(blocks)

    def test_an_evicted_statement_is_not_called_gone(self, month: Lived, history: History) -> None:
        evicted = [month.truth.fingerprints[name] for name in month.truth.evicted]
        assert evicted
        told = {row["fingerprint"] for row in rows(history, "select fingerprint from statement_change")}
        assert not told & set(evicted)


class TestTrends:
    def trend(self, history: History, kind: str, subject: str) -> dict[str, Any]:
        (found,) = rows(history, f"select * from trend where kind = '{kind}' and subject = '{subject}'")
        return found

    def test_the_sequence_ends_on_the_day_on_which_it_ends(self, month: Lived, history: History) -> None:
        found = self.trend(history, "sequence", month.truth.facts["sequence"])
        assert found["limit_name"] == "int4"
        assert found["per_day"] == pytest.approx(month.truth.facts["sequence_per_day"], rel=0.001)
        ends = aware(found["last_at"]) + timedelta(days=found["days_left"])
        expected = datetime.fromisoformat(str(month.truth.facts["sequence_limit_at"]))
        assert abs(ends - expected) < timedelta(days=1)
        # a sequence without any noise has a narrow range
        assert found["days_left_low"] - 0.1 <= found["days_left"] <= found["days_left_high"] + 0.1

    def test_connections_and_tables_grow_as_they_do(self, month: Lived, history: History) -> None:
        found = self.trend(history, "connections", "max_connections")
        assert found["per_day"] == pytest.approx(month.truth.facts["connections_per_day"])
        table = self.trend(history, "table_size", "public.page_views")
        first, last = month.truth.intervals[1], month.truth.intervals[-1]
        days = (last.ended_at - first.ended_at).total_seconds() / 86_400
        grown = last.sizes["public.page_views"] - first.sizes["public.page_views"]
        assert table["per_day"] == pytest.approx(grown / days, rel=0.05)

    def test_a_crash_a_restart_and_resets_make_no_falls(self, history: History) -> None:
        assert not rows(history, "select * from trend where kind in ('sequence', 'table_size') and per_day_low < 0")


class TestDiff:
    def diff(self, month: Lived, before: str, now: str) -> Diff:
        return compare_captures(*choose_two(month.store, before, now), month.store)

    def test_the_week_of_the_dropped_index(self, month: Lived) -> None:
        found = self.diff(month, "2026-10-08T03:00", "2026-10-15T03:00")
        (slower,) = [one for one in found.statements if is_of_the_story(one.facts)]
        assert (slower.change, slower.facts["reason_kind"]) == ("slower", "index_dropped")
        assert slower.text == month.truth.texts["payment_of_order"]
        assert [change.words.partition(" (")[0] for change in found.schema] == [
            "index public.payments_order on public.payments dropped"
        ]
        assert "random_page_cost: 4 → 1.1" in [change.words for change in found.settings]
        assert {event["kind"] for event in found.events} >= {"statements_reset", "evicted"}

    def test_the_days_of_the_advice_and_the_release(self, month: Lived) -> None:
        found = self.diff(month, "2026-10-18T03:00", "2026-10-29T03:00")
        assert {(entry.change, entry.text) for entry in found.statements} == {
            ("faster", month.truth.texts["order_history"]),
            ("new", month.truth.texts["coupon"]),
            ("gone", month.truth.texts["newsletter"]),
        }
        used = {(entry.use, entry.index) for entry in found.indexes}
        assert ("began", "public.orders_customer_id_idx") in used

    def test_days_on_which_nothing_happened_differ_in_nothing(self, month: Lived) -> None:
        found = self.diff(month, "2026-10-02T03:00", "2026-10-04T03:00")
        assert not found.statements
        assert not found.schema
        assert not found.settings


class TestSince:
    def test_the_stretch_holds_what_the_statements_did_in_it(self, month: Lived) -> None:
        last = month.truth.intervals[-1]
        since = day(28, 3)
        with restricted(capture_at(month, last.ended_at), since) as stretch, open_session(stretch.capture) as session:
            told = {
                fingerprint: (calls, ms)
                for fingerprint, calls, ms in session.query(
                    "select fingerprint, calls, execution_ms from workload"
                ).rows
            }
        assert stretch.seconds == pytest.approx((last.ended_at - since).total_seconds(), rel=0.1)
        for name, fingerprint in month.truth.fingerprints.items():
            parts = done(month, name, stretch.since, last.ended_at)
            if calls := sum(part.seen_calls for part in parts):
                assert told[fingerprint] == (calls, pytest.approx(sum(part.seen_ms for part in parts), rel=1e-6)), name
            else:
                assert fingerprint not in told, name

    def report(self, month: Lived, folder: Path, capture: Capture, since: str | None) -> Report:
        """An audit on a copy of the store, since it remembers its runs there."""
        store = folder / "store"
        if not store.exists():
            shutil.copytree(month.folder, store)
        (scope,) = scopes(type(month.store)(store))
        copy = next(entry for entry in scope.captures if entry.name == capture.name)
        return audit_capture(copy, Settings(store=store, since=since))

    def test_rules_that_judge_over_time_run_and_say_what_an_index_did(self, month: Lived, tmp_path: Path) -> None:
        capture = capture_at(month, day(15, 3.1))
        whole = self.report(month, tmp_path, capture, None)
        assert "statement-got-slower" not in {finding.rule for finding in whole.findings}
        found = self.report(month, tmp_path, capture, "7d")
        # the missing index and what got slower without it are one fault, told once and by the name it always has
        (missing,) = [finding for finding in found.findings if finding.subject == "public.payments (order_id)"]
        assert missing.rule == "missing-index"
        assert "statement-got-slower" in {other["rule"] for other in missing.evidence["also"]}
        assert missing.fix
        assert "on public.payments (order_id)" in missing.fix.lower()
        slower = [finding.evidence for finding in found.findings if finding.rule == "statement-got-slower"]
        told = [{"change": "slower", **one, "blocks_per_call_before": one["blocks_before_per_call"]} for one in slower]
        assert not [one for one in told if is_of_the_story(one)]
        (key,) = [finding for finding in found.findings if finding.rule == "integer-key-near-end"]
        assert "days" in key.message
        assert key.evidence["is_seen"] is True

    def test_a_statement_that_was_mended_before_the_stretch_is_not_listed(self, month: Lived, tmp_path: Path) -> None:
        fingerprint = month.truth.fingerprints["newsletter"]
        last = month.truth.intervals[-1].ended_at
        found = self.report(month, tmp_path, capture_at(month, last), "3d")
        assert not [finding for finding in found.findings if fingerprint in json.dumps(finding.evidence, default=str)]
        assert found.window
        assert found.window.seconds == pytest.approx(3 * 86_400, rel=0.15)

    def test_the_command_judges_the_newest_capture(
        self, month: Lived, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        store = tmp_path / "store"
        shutil.copytree(month.folder, store)
        arguments = ["audit", "--since", "7d", "--store", str(store), "--no-lab", "--format", "json", "-q"]
        assert status_of(arguments) == 0
        document = json.loads(capfd.readouterr().out)
        assert document["capture"].endswith(month.truth.intervals[-1].capture)
        assert document["window"]["seconds"] == pytest.approx(7 * 86_400, rel=0.1)
        assert "connections-run-out" in {finding["rule"] for finding in document["findings"]}

    def test_a_stretch_that_nobody_can_know_is_refused(self, month: Lived, capfd: pytest.CaptureFixture[str]) -> None:
        assert status_of(["audit", "--since", "soon", "--store", str(month.folder), "--no-lab"]) == 2
        assert "neither a stretch of time nor a date" in capfd.readouterr().err
        first = month.truth.intervals[0].capture
        assert status_of(["audit", first, "--since", "2d", "--store", str(month.folder), "--no-lab"]) == 3
        assert "hint: " in capfd.readouterr().err


def test_the_session_of_a_part_of_the_month_is_closed(month: Lived) -> None:
    with closing(month.history(day(2, 3), day(4, 3)).session) as session:
        changes = list(session.query("select * from statement_change").mappings())
    assert not [change for change in changes if is_of_the_story(change)]
