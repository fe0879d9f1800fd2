"""The content of a report equals what the generator of its history did: nothing is added, lost or made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from queryfit.errors import QueryfitError
from queryfit.evidence.session import Session
from queryfit.history.advice.outcomes import Calibration
from queryfit.report.choice import laid_out
from queryfit.report.content import Advice, assemble, headline
from queryfit.report.headline import MOST_SUBJECT, Story
from queryfit.report.headline import headline as tell
from queryfit.report.model import Content, Event, FixedFinding, Trend
from tests.report import sample
from tests.report.sample import BEHAVIOURS, END, GAP, LIST, MIDDLE, NEW, REGRESSION, RESET

Open = Callable[..., Session]


def content(session: Session, *findings: Any, **values: Any) -> Content:
    return assemble(session, since=MIDDLE, until=END, judgement=sample.judgement(*findings), **values)


def done(since: datetime, until: datetime) -> dict[str, tuple[int, float]]:
    """Calls and execution time by statement between two times, as the generator made them."""
    sums: dict[str, tuple[int, float]] = {}
    for at, ends, _ in sample.spans():
        for one in BEHAVIOURS:
            if since <= at < until and (amount := sample.behaved(one, at, ends)):
                calls, ms = sums.get(one.fingerprint, (0, 0.0))
                sums[one.fingerprint] = calls + amount[0], ms + amount[1]
    return sums


def test_statements_have_the_calls_and_times_of_the_period_and_of_the_one_before(fortnight: Open) -> None:
    found = content(fortnight())
    truth, before = done(MIDDLE, END), done(sample.BEGIN, MIDDLE)
    assert {entry.fingerprint: entry.calls for entry in found.statements} == {key: of[0] for key, of in truth.items()}
    for entry in found.statements:
        assert entry.execution_ms == pytest.approx(truth[entry.fingerprint][1])
        assert entry.execution_ms_per_day == pytest.approx(entry.execution_ms * 86_400 / found.period.covered_s)
        if entry.fingerprint == NEW.fingerprint:
            assert entry.before is None
        else:
            assert entry.before
            assert entry.before.execution_ms_per_day == pytest.approx(before[entry.fingerprint][1] / 7)
    total = sum(ms for _, ms in truth.values())
    assert found.totals.execution_ms_per_day == pytest.approx(total * 86_400 / found.period.covered_s)
    assert sum(entry.time_share for entry in found.statements) == pytest.approx(1)
    assert [entry.rank for entry in found.statements] == [1, 2, 3, 4]
    assert [entry.execution_ms for entry in found.statements] == sorted((ms for _, ms in truth.values()), reverse=True)


def test_the_load_adds_up_to_the_statements(fortnight: Open) -> None:
    found = content(fortnight())
    assert found.load
    assert found.load.step_s == 3600
    assert found.load.steps == 7 * 24
    for series, entry in zip(found.load.series, found.statements, strict=True):
        assert series.key == entry.key
        covered = {at: seconds for at, _, seconds in sample.spans()}
        hours = [MIDDLE + timedelta(hours=step) for step in range(found.load.steps)]
        # the hours of the gap share what was done in it
        seconds = [3600 if GAP[0] <= hour < GAP[1] else covered[hour] for hour in hours]
        ms = sum((rate or 0) * part / 3600 for rate, part in zip(series.values, seconds, strict=True))
        assert ms == pytest.approx(entry.execution_ms)


def test_hours_without_a_history_are_unknown_not_zero(fortnight: Open) -> None:
    rows = sample.history()
    hole = datetime(2026, 11, 18), datetime(2026, 11, 19)  # noqa: DTZ001
    rows = {
        name: [row for row in of if "started_at" not in row or not hole[0] <= row["started_at"] < hole[1]]
        for name, of in rows.items()
    }
    found = content(fortnight(rows))
    assert found.load
    values = found.load.series[0].values
    assert values[48:72] == [None] * 24
    assert None not in values[:48]
    assert found.sessions.waits
    assert found.sessions.waits.series[0].values[50] is None


def test_a_day_of_one_span_is_spread_evenly_over_finer_steps(fortnight: Open) -> None:
    day = timedelta(days=1)
    spans = [
        {"started_at": at, "ended_at": at + day, "grain": "day", "captures": 288, "covered_s": 86_400.0, "looks": 288}
        for at in (MIDDLE, MIDDLE + day)
    ]
    statement = {
        "database": "shop", "fingerprint": "a1", "calls": 24, "rows": 24, "execution_ms": 2400.0, "blocks_hit": 0,
        "blocks_read": 0, "temp_blocks_written": 0, "is_lower_bound": False,
    }  # fmt: skip
    statements = [{**statement, "started_at": span["started_at"], "ended_at": span["ended_at"]} for span in spans]
    found = content(fortnight({"span": spans, "statement_span": statements}))
    assert found.load
    assert found.load.step_s == 86_400
    assert list(found.load.series[0].values) == pytest.approx([100.0, 100.0])
    assert found.before is None
    assert found.totals_before is None


def test_resets_and_gaps_are_told(fortnight: Open) -> None:
    found = content(fortnight())
    assert found.method.gaps == [GAP]
    assert found.method.resets == 1
    assert found.method.lower_bound_statements == 4
    assert found.period.covered_s == 7 * 86_400 - 600
    assert [(event.kind, event.happened_at) for event in found.events] == [
        ("gap", GAP[1]),
        ("index_dropped", REGRESSION),
        ("setting_changed", datetime(2026, 11, 20, 8)),  # noqa: DTZ001
        ("statements_reset", RESET),
    ]


def test_indexes_tables_and_sessions(fortnight: Open) -> None:
    found = content(fortnight())
    assert [entry.index for entry in found.indexes.unused] == ["public.old"]
    assert found.indexes.unused_bytes == 400_000_000
    assert [entry.index for entry in found.indexes.most_used] == ["public.orders_pkey"]
    orders = found.tables[0]
    assert orders.relation == "public.orders"
    assert orders.grown_bytes == pytest.approx(7 * 70_000_000 * 1.4, abs=3)
    assert orders.grown_s == 7 * 86_400
    assert orders.size_bytes == 9_000_000_000 + 14 * 70_000_000
    assert len(orders.trend) == 7
    assert found.sessions.limit == 100
    assert found.sessions.most == max(row["most_connections"] for row in sample.session_rows()["database_span"])
    assert found.sessions.waits
    assert [series.label for series in found.sessions.waits.series] == ["running", "IO", "LWLock", "Lock"]
    assert found.sessions.clients[0].role == "shop_web"
    assert sum(wait.mean_sessions for wait in found.sessions.events) > 0


def test_plans_and_findings_stand_by_their_statements(fortnight: Open) -> None:
    finding = sample.finding()
    found = content(fortnight(), finding)
    slow = next(entry for entry in found.statements if entry.fingerprint == "a1")
    assert slow.findings == (finding.id,)
    assert slow.plan
    assert [(node.depth, node.node_type) for node in slow.plan.nodes] == [(0, "Limit"), (1, "Seq Scan")]
    assert [node.cost_share for node in slow.plan.nodes] == pytest.approx([0.01, 0.99])
    assert slow.change
    assert slow.change.reason == "index public.orders_customer_id_idx dropped"


def test_changes_before_the_period_are_old_news(fortnight: Open) -> None:
    rows = sample.history()
    rows["statement_change"] = [sample.change(LIST, "slower", changed_at=MIDDLE - timedelta(days=2))]
    assert content(fortnight(rows)).changes == []


def test_without_captures_in_the_period_there_is_no_report(fortnight: Open) -> None:
    with pytest.raises(QueryfitError, match="no two captures between 2027"):
        assemble(
            fortnight(),
            since=datetime(2027, 1, 1),  # noqa: DTZ001
            until=datetime(2027, 1, 8),  # noqa: DTZ001
            judgement=None,
        )


def test_without_a_full_capture_nothing_is_judged_and_it_says_so(fortnight: Open) -> None:
    found = assemble(fortnight(), since=MIDDLE, until=END, judgement=None)
    assert found.findings.judged_at is None
    assert "no full capture" in found.not_checked[0].reason
    assert any(entry.reason == "no logs were read" for entry in found.not_checked)


def test_the_slower_statement_leads_with_when_and_why(fortnight: Open) -> None:
    found = content(fortnight(), sample.finding(state="open"))
    assert found.headline.kind == "slower"
    assert found.headline.first == (
        "“select … from orders where customer_id = $1 order by created_at desc…” is 9.0× slower since Thu 19 Nov."
    )
    assert "index public.orders_customer_id_idx dropped" in found.headline.paragraph
    assert "Statement time rose by" in found.headline.paragraph
    assert "a call took 4 ms and takes 36 ms" in found.headline.paragraph.lower()
    assert headline(found) == "shop: select … from orders where custom… is 9.0× slower since Thu 19 Nov"
    assert len(headline(found)) <= MOST_SUBJECT


def story(found: Content, **values: Any) -> Story:
    plain = Story(
        server="shop", period=found.period, totals=found.totals, totals_before=found.totals, changes=(),
        findings=replace(found.findings, found=()), trends=(), events=(), outcomes=(),
    )  # fmt: skip
    return replace(plain, **values)


def test_what_matters_most_comes_first(fortnight: Open) -> None:
    found = content(fortnight())
    urgent = sample.finding(title="Torn pages cannot be repaired", is_urgent=True, impact_ms_per_day=None)
    near = Trend("sequence", "shop", "public.orders.id", "values", 2e9, 1e7, 9e6, 2e7, 2147483647.0, "int4", 9.0, 7.2,
                 12.4, END)  # fmt: skip
    crash = Event(RESET, "crashed", None, None, None, None, None)
    everything = {
        "changes": found.changes, "trends": [near], "events": [crash],
        "findings": replace(found.findings, found=(urgent,)),
    }  # fmt: skip
    assert tell(story(found, **everything)).first == "Torn pages cannot be repaired."
    del everything["findings"]
    assert tell(story(found, **everything)).first == "The server crashed on Sat 21 Nov at 06:00 UTC."
    del everything["events"]
    assert tell(story(found, **everything)).first == "public.orders.id reaches int4 in 9 days (7 to 12)."
    del everything["trends"]
    assert tell(story(found, **everything)).kind == "slower"
    quiet = tell(story(found))
    assert quiet.kind == "quiet"
    assert quiet.first.startswith("The load is as it was")


def test_a_load_that_fell_is_said_so(fortnight: Open) -> None:
    found = content(fortnight())
    assert found.totals.execution_ms_per_day
    before = replace(found.totals, execution_ms_per_day=found.totals.execution_ms_per_day * 2)
    assert tell(story(found, totals_before=before)).first.startswith("Statement time fell by 50 %")


def test_a_hostile_name_cannot_break_the_subject_line(fortnight: Open) -> None:
    rows = sample.history()
    rows["trend"] = [
        sample.trend("sequence", "x\r\nBcc: all@example.org\x00\u202e" + "long" * 99, days_left=3.0, limit_name="int4")
    ]
    subject = headline(content(fortnight(rows)))
    assert subject.isprintable()
    assert len(subject) <= MOST_SUBJECT
    assert "\n" not in subject


def test_room_goes_to_the_urgent_the_first_and_the_new() -> None:
    findings = [sample.finding(subject=f"public.t{number} (a)", state="open", severity="info") for number in range(20)]
    findings[9] = structs.replace(findings[9], is_urgent=True)
    findings[12] = structs.replace(findings[12], state="back", severity="warning")
    made = sample.judgement(*findings, fixed=[FixedFinding("ab", "missing-index", "t", "s", None)])
    found = replace(content_of(made), found=made.report.findings)
    assert [findings.index(entry) for entry in laid_out(found)] == [0, 1, 2, 3, 9, 12]


def content_of(made: Any) -> Any:
    from queryfit.report.content import _findings  # noqa: PLC0415

    return _findings(made)


def test_calibration_is_left_out_until_something_was_measured(fortnight: Open) -> None:
    assert content(fortnight()).calibration is None
    advice = Advice(Calibration(0.9, 3, 100.0, 90.0))
    assert content(fortnight(), advice=advice).calibration == advice.calibration
