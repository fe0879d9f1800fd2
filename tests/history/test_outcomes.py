"""What came of advice: predicted and got on a real server, by its own counters; and what is learned from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryfit.audit import Settings, audit_capture, audit_server, take_capture
from queryfit.capture.server import CaptureOptions
from queryfit.evidence.store import Capture, Store
from queryfit.findings import Finding, Promise, Report
from queryfit.history.advice.ledger import promises
from queryfit.history.advice.outcomes import (
    LEAST_FACTOR,
    MOST_FACTOR,
    Calibration,
    Counts,
    Level,
    Outcome,
    Patience,
    calibrate,
    statement_outcome,
)
from queryfit.render import json as render_json
from queryfit.render import markdown, terminal
from queryfit.render.look import Look
from tests.servers import Cluster

SHOP = """
    create table visit (id int primary key, customer_id int not null, note text);
    insert into visit select n, n % 3000, repeat('x', 60) from generate_series(1, 120000) as n;
    analyze visit;
"""
RULE, SUBJECT = "missing-index", "public.visit (customer_id)"
CALLS = 30  # of the statement, each time that the shop works


@dataclass(frozen=True)
class Counters:
    """What pg_stat_statements itself says of the statement."""

    calls: int
    ms: float
    blocks: int


@dataclass(frozen=True)
class Shop:
    """A shop whose visits are looked for without an index, and the store of its captures."""

    server: Cluster
    database: str
    settings: Settings

    @property
    def store(self) -> Store:
        return Store(self.settings.store_folder)

    def run(self, script: str) -> None:
        self.server.run(script, database=self.database)

    def work(self) -> None:
        with self.server.connect(self.database) as connection:
            for number in range(CALLS):
                connection.execute(f"select count(note) from visit where customer_id = {number}")

    def audit(self) -> Report:
        return audit_server(self.server.dsn(self.database), CaptureOptions(), self.settings)

    def capture(self) -> Capture:
        return take_capture(self.server.dsn(self.database), CaptureOptions(kind="sample"), self.store)

    def counters(self) -> Counters:
        row = self.server.run(
            "select sum(calls)::int as calls, sum(total_exec_time) as ms, sum(shared_blks_hit + shared_blks_read)::int"
            " as blocks from pg_stat_statements where query like 'select count(note) from visit%'",
            database=self.database,
        )[0]
        return Counters(row["calls"], row["ms"], row["blocks"])


@pytest.fixture
def shop(newest: Cluster, database: str, tmp_path: Path) -> Iterator[Shop]:
    newest.run(SHOP, database=database)
    newest.run("select pg_stat_statements_reset()")
    # a test has seconds where life has hours
    settings = Settings(store=tmp_path / "store", patience=Patience(least=timedelta(milliseconds=50)))
    yield Shop(newest, database, settings)
    newest.run("select pg_stat_statements_reset()")


def found(report: Report) -> Finding | None:
    return next((finding for finding in report.findings if finding.rule == RULE), None)


def gone(report: Report) -> tuple[list[str], list[str]]:
    """Subjects of the rule that are said to be fixed, and gone."""
    fixed = [entry["subject"] for entry in report.fixed if entry["rule"] == RULE]
    return fixed, [entry["subject"] for entry in report.gone if entry["rule"] == RULE]


def at(capture: str | None) -> datetime:
    meta = json.loads((Path(capture or "") / "capture.json").read_text())
    return datetime.fromisoformat(meta["captured_at"]).replace(tzinfo=None)


def test_what_came_is_what_the_servers_counters_say(shop: Shop) -> None:
    shop.work()
    before = shop.counters()
    first = shop.audit()
    advised = found(first)
    assert advised is not None
    assert advised.state == "new"
    assert first.outcomes == []
    (promise,) = advised.promises
    assert promise.mean_ms == pytest.approx(before.ms / before.calls)
    assert promise.blocks_per_call == pytest.approx(before.blocks / before.calls)
    assert promise.ms_per_day == pytest.approx(advised.impact_ms_per_day)

    shop.run("create index on visit (customer_id)")
    shop.work()
    middle = shop.counters()
    second = shop.audit()
    assert gone(second) == ([SUBJECT], [])
    (outcome,) = second.outcomes
    assert outcome.is_at_least, "the time of the fix itself is not known: some of the time before may be in it"
    assert outcome.predicted_ms_per_day == advised.impact_ms_per_day
    assert second.calibration == Calibration(), "a bound says nothing of how right the advice was"

    shop.work()
    after = shop.counters()
    third = shop.audit()
    assert gone(third) == ([], [])
    (outcome,) = third.outcomes
    seconds = (at(third.capture) - at(second.capture)).total_seconds()
    mean_before, mean_after = before.ms / before.calls, (after.ms - middle.ms) / CALLS
    assert (outcome.status, outcome.is_at_least, outcome.calls) == ("measured", False, CALLS)
    assert outcome.fixed_at == at(second.capture)
    assert outcome.seconds == pytest.approx(seconds, rel=0.01)
    assert outcome.got_ms_per_day == pytest.approx(CALLS * 86_400 / seconds * (mean_before - mean_after), rel=0.01)
    (statement,) = outcome.statements
    assert statement.blocks_per_call_before == pytest.approx(before.blocks / before.calls)
    assert statement.blocks_per_call_after == pytest.approx((after.blocks - middle.blocks) / CALLS)
    got, low, high = outcome.got_ms_per_day, outcome.got_low_ms_per_day, outcome.got_high_ms_per_day
    assert got is not None
    assert low is not None
    assert high is not None
    assert low < got < high
    known = third.calibration
    assert known is not None
    assert known.measured == 1
    assert known.got_ms_per_day == outcome.got_ms_per_day
    # the rule promises half of the time, nearly all came: later promises of its kind are raised, a little after one
    assert 1 < known.factor < 2
    for text in (
        terminal.render(third, Look(120, has_colour=False)),
        markdown.render(third),
        render_json.render(third),
    ):
        assert "got" in text
    jsonschema.validate(json.loads(render_json.render(third)), render_json.schema())
    assert "Was the advice right? Measured after 1 of 1 fix" in terminal.render(third, Look(200, has_colour=False))


def test_what_comes_back_is_said_to_be_back_and_promised_by_what_came_before(shop: Shop) -> None:
    shop.work()
    shop.audit()
    shop.run("create index on visit (customer_id)")
    shop.work()
    second = shop.audit()
    shop.work()
    third = shop.audit()
    (outcome,), known = third.outcomes, third.calibration
    assert known is not None
    shop.run("drop index visit_customer_id_idx")
    for _ in range(3):
        shop.work()
    fourth = shop.audit()
    returned = found(fourth)
    assert returned is not None
    assert returned.state == "back"
    assert returned.past is not None
    assert returned.past.is_changed
    assert returned.past.fixed_seconds == pytest.approx((at(fourth.capture) - at(second.capture)).total_seconds())
    assert (returned.past.seen, returned.past.runs) == (2, 4)
    assert returned.impact_ms_per_day is not None
    evidence = returned.evidence
    assert evidence["correction_outcomes"] == 1
    assert evidence["correction_factor"] == known.factor
    own = sum((entry.mean_ms or 0) * (entry.calls_per_day or 0) for entry in returned.promises)
    corrected = evidence["uncorrected_impact_ms_per_day"] * known.factor
    assert returned.impact_ms_per_day == pytest.approx(min(corrected, own))
    assert "corrected by" in terminal.render(fourth, Look(200, has_colour=False))
    assert "back" in terminal.render(fourth, Look(120, has_colour=False))

    fifth = found(shop.audit())
    assert fifth is not None
    assert fifth.past is not None
    assert (fifth.state, fifth.past.is_changed, fifth.past.seen) == ("back", False, 3)
    kept = promises(shop.store, Path(fourth.capture or "").parent.name, scope(fourth))
    assert [entry.got_ms_per_day for entry in kept.outcomes] == [outcome.got_ms_per_day]
    assert kept.outcomes[0].status == "final"
    assert kept.calibration == known
    assert {entry.id: entry.state for entry in kept.states}[returned.id] == "back"


def scope(report: Report) -> str:
    return str(json.loads((Path(report.capture or "") / "capture.json").read_text())["scope"])


def test_captures_in_between_say_when_it_was_fixed(shop: Shop) -> None:
    shop.work()
    shop.audit()
    shop.work()
    shop.capture()
    shop.run("create index on visit (customer_id)")
    fixed = shop.capture()
    shop.work()
    shop.capture()
    (outcome,) = shop.audit().outcomes
    assert outcome.fixed_at == at(str(fixed.folder))
    assert (outcome.status, outcome.is_at_least, outcome.calls) == ("measured", False, CALLS)


def test_too_little_is_too_early(shop: Shop) -> None:
    patient = replace(shop, settings=replace(shop.settings, patience=Patience()))
    shop.work()
    patient.audit()
    shop.run("create index on visit (customer_id)")
    shop.work()
    (outcome,) = patient.audit().outcomes
    assert (outcome.status, outcome.got_ms_per_day) == ("early", None)
    assert outcome.note is not None
    assert outcome.note.startswith("too early: ")


def test_a_statement_that_does_not_run_any_more_is_gone_not_fixed(shop: Shop) -> None:
    shop.work()
    advised = found(shop.audit())
    assert advised is not None
    shop.server.run("select pg_stat_statements_reset()")
    report = shop.audit()
    assert gone(report) == ([], [SUBJECT])
    assert report.outcomes == []
    (entry,) = [entry for entry in report.gone if entry["rule"] == RULE]
    assert entry["why"] == "its statements were not called since"
    shop.work()
    again = found(shop.audit())
    assert again is not None
    assert again.state == "open", "nobody ever fixed it"


def test_an_index_made_after_a_reset_is_the_fix_all_the_same(shop: Shop) -> None:
    shop.work()
    shop.audit()
    shop.run("create index on visit (customer_id)")
    shop.server.run("select pg_stat_statements_reset()")
    shop.work()
    assert gone(shop.audit()) == ([SUBJECT], [])
    shop.work()
    (outcome,) = shop.audit().outcomes
    assert outcome.calls == CALLS


def test_another_index_that_serves_is_a_fix_too(shop: Shop) -> None:
    shop.work()
    shop.audit()
    shop.run("create index named_otherwise on visit (customer_id, id)")
    shop.work()
    assert gone(shop.audit()) == ([SUBJECT], [])


def test_what_could_not_be_read_is_neither_fixed_nor_gone(shop: Shop) -> None:
    shop.work()
    shop.audit()
    shop.run("create role nobody_much login")
    try:
        narrow = audit_server(shop.server.dsn(shop.database, user="nobody_much"), CaptureOptions(), shop.settings)
        assert found(narrow) is None
        assert gone(narrow) == ([], [])
    finally:
        shop.run("drop role nobody_much")
    again = found(shop.audit())
    assert again is not None
    assert again.state == "open"


def test_judging_an_old_capture_again_changes_nothing(shop: Shop) -> None:
    shop.work()
    first = shop.audit()
    shop.run("create index on visit (customer_id)")
    shop.work()
    second = shop.audit()
    (ledger,) = shop.settings.store_folder.glob("*/ledger-*.json")
    held = ledger.read_bytes()
    again = audit_capture(Store(shop.settings.store_folder).find(first.capture or ""), shop.settings)
    assert ledger.read_bytes() == held
    old = found(again)
    assert old is not None
    assert old.state == "new", "as it was then"
    assert gone(again) == ([], [])
    repeated = audit_capture(Store(shop.settings.store_folder).find(second.capture or ""), shop.settings)
    assert gone(repeated) == gone(second) == ([SUBJECT], [])
    assert [entry.got_ms_per_day for entry in repeated.outcomes] == [entry.got_ms_per_day for entry in second.outcomes]
    assert json.loads(ledger.read_bytes())["runs"] == 2


def outcome_of(expected: float, got: float, proof: str = "planned", status: str = "final") -> Outcome:
    return Outcome(
        "f", "r", "t", None, "s", proof, datetime.fromisoformat("2026-01-01"), status, expected, expected,
        got_ms_per_day=got, expected_ms_per_day=expected,
    )  # fmt: skip


_expected = st.floats(1, 1e9)
_outcomes = st.lists(st.tuples(_expected, st.floats(-1e9, 1e10), st.sampled_from(["planned", "inferred"])), max_size=12)


@given(_outcomes)
def test_a_calibration_is_bounded(pairs: list[tuple[float, float, str]]) -> None:
    known = calibrate(outcome_of(*pair) for pair in pairs)
    for factor in (known.factor, *known.factors.values()):
        assert LEAST_FACTOR <= factor <= MOST_FACTOR
    assert known.measured == len(pairs)
    assert known.of("measured") == 1


@given(_outcomes.filter(bool), st.integers(0, 11), st.floats(0, 1e10))
def test_more_that_came_never_lowers_it(pairs: list[tuple[float, float, str]], place: int, more: float) -> None:
    raised = list(pairs)
    expected, got, proof = raised[place % len(raised)]
    raised[place % len(raised)] = (expected, got + more, proof)
    before, after = (calibrate(outcome_of(*pair) for pair in some) for some in (pairs, raised))
    assert after.factor >= before.factor * (1 - 1e-12)
    assert all(after.factors[name] >= factor * (1 - 1e-12) for name, factor in before.factors.items())


@given(st.lists(_expected, max_size=8))
def test_promises_that_were_kept_are_left_alone(sizes: list[float]) -> None:
    assert calibrate(outcome_of(size, size) for size in sizes).factor == pytest.approx(1)


def test_nothing_is_learned_from_what_was_not_measured() -> None:
    bound = replace(outcome_of(100, 1), is_at_least=True)
    assert calibrate([bound, outcome_of(100, 1, status="early"), outcome_of(0, 5)]) == Calibration()


def test_one_outcome_is_luck_and_ten_are_not() -> None:
    factors = [calibrate([outcome_of(100, 50)] * count).factor for count in (0, 1, 3, 10, 100)]
    assert factors == sorted(factors, reverse=True)
    assert factors[0] == 1
    assert factors[1] == pytest.approx(0.5**0.25)
    assert factors[-1] == pytest.approx(0.5, rel=0.03)


def test_a_kind_of_proof_with_outcomes_enough_has_a_factor_of_its_own() -> None:
    known = calibrate([outcome_of(100, 100)] * 3 + [outcome_of(100, 25, "inferred")] * 2)
    assert known.of("planned") == pytest.approx(1)
    assert known.of("inferred") == known.factor < 1
    assert (known.outcomes_of("planned"), known.outcomes_of("inferred")) == (3, 5)


@pytest.mark.parametrize(
    ("after", "more", "got"),
    [
        (Counts(100, 200.0, 86_400), {}, 100 * (10 - 2)),
        (Counts(100, 1_500.0, 86_400), {}, 100 * (10 - 15)),  # slower counts against it
        (Counts(100, 200.0, 86_400), {"share": 0.25}, 200),
        (Counts(50, 100.0, 43_200), {}, 100 * (10 - 2)),
        (Counts(100, 100.0, 86_400, planning_ms=100.0), {}, 100 * (10 - 2)),
        (Counts(0, 0.0, 86_400), {}, 0),
        # 20 calls of the parent would have brought 100: none came
        (Counts(0, 0.0, 86_400), {"parent_after": Counts(20, 5.0, 86_400)}, 1_000),
        (Counts(60, 600.0, 86_400), {"parent_after": Counts(20, 5.0, 86_400)}, 400),
    ],
)
def test_the_saving_of_a_statement(after: Counts, more: Mapping[str, Any], got: float) -> None:
    promise = Promise("f", 500, 400, 500, calls_per_day=100, mean_ms=10)
    level = Level(10.0, calls_per_parent_call=5)
    assert statement_outcome(promise, level, after, **more).got_ms_per_day == pytest.approx(got)


def test_a_promise_is_held_against_the_calls_that_came() -> None:
    promise = Promise("f", 500, 400, 500, calls_per_day=100, mean_ms=10)
    assert statement_outcome(promise, Level(10.0), Counts(300, 600.0, 86_400)).expected_ms_per_day == 1_500
