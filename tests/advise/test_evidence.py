"""An audit that asks the lab: what the live server was spared is planned there, its planner says which index helps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from queryfit.advise.advise import advise
from queryfit.advise.evidence import found_in_lab
from queryfit.advise.remembered import remembered
from queryfit.advise.request import Request
from queryfit.audit import Settings, audit_capture, take_capture
from queryfit.capture.server import CaptureOptions
from queryfit.evidence.session import open_session
from queryfit.evidence.store import Capture, Store
from queryfit.findings import Finding, Report
from tests.servers import Cluster

SHOP = """
    create table orders (id bigint primary key, customer_id int not null, status text not null, note text not null);
    insert into orders select n, 1 + n % 4000, 'paid', repeat('x', 80) from generate_series(1, 80000) as n;
    create table visits (id bigint primary key, page int not null);
    insert into visits select n, n % 50 from generate_series(1, 30000) as n;
    create role somebody;
    create function half(int) returns int immutable language sql return $1 / 2;
    alter function half owner to somebody;
    analyze orders, visits;
"""
LOOKUP = "select id, status from orders where customer_id = 17"
REFUSED = "select count(*) from visits where page = half(40)"


@pytest.fixture(scope="module")
def taken(cluster_of: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Capture, Path]]:
    """A full capture of a server whose orders lack an index, and the store that it is in."""
    cluster: Cluster = cluster_of(18)  # type: ignore[operator]
    cluster.create_database("asked")
    cluster.run(SHOP, database="asked")
    cluster.run("select pg_stat_statements_reset()")
    for _ in range(12):
        cluster.run(f"{LOOKUP}; {REFUSED}", database="asked")
    folder = tmp_path_factory.mktemp("store")
    yield cluster, take_capture(cluster.dsn("asked"), CaptureOptions(), Store(folder)), folder
    cluster.drop_database("asked")
    cluster.run("drop role somebody")


def of_rule(report: Report, rule: str) -> list[Finding]:
    """The findings of a rule about the table of the lookup."""
    return [
        finding for finding in report.findings if finding.rule == rule and finding.subject.startswith("public.orders ")
    ]


@pytest.fixture(scope="module")
def report(taken: tuple[Cluster, Capture, Path]) -> Report:
    _, capture, folder = taken
    return audit_capture(capture, Settings(store=folder, in_lab=True))


def test_the_planner_proves_the_index(report: Report) -> None:
    (finding,) = of_rule(report, "statements-without-index")
    assert finding.subject.startswith("public.orders (customer_id")
    assert finding.proof == "planned"
    assert finding.evidence["cost_after"] * 20 < finding.evidence["cost_before"]
    assert finding.impact_ms_per_day is not None
    assert finding.impact_ms_per_day > 0
    assert "create index concurrently" in str(finding.fix)
    assert "drop index concurrently" in str(finding.undo)
    assert of_rule(report, "missing-index") == []  # its guess is silent where the planner was asked


def test_without_the_lab_it_is_inferred(taken: tuple[Cluster, Capture, Path]) -> None:
    _, capture, folder = taken
    plain = audit_capture(capture, Settings(store=folder))
    assert of_rule(plain, "statements-without-index") == []
    (finding,) = of_rule(plain, "missing-index")
    assert (finding.subject, finding.proof) == ("public.orders (customer_id)", "inferred")


def test_what_the_guard_refused_is_planned_in_the_lab(taken: tuple[Cluster, Capture, Path]) -> None:
    _, capture, folder = taken
    with open_session(capture) as session:
        refused = session.query("select subject, reason from unread where table_name = 'plan'").rows
    assert len(refused) == 1
    assert "not planned on the live server" in refused[0][1]
    addition, notes = found_in_lab(capture, folder)
    assert notes == []
    with open_session(capture, addition) as session:
        assert session.query("select subject from unread where table_name = 'plan'").rows == ()
        (row,) = session.query("select origin, plan_node.relation from plan join plan_node using (plan)"
                               " where origin = 'lab' and plan_node.relation is not null").rows  # fmt: skip
    assert row == ("lab", "public.visits")


def test_of_a_large_database_the_statements_that_count_are_planned(
    taken: tuple[Cluster, Capture, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, capture, folder = taken
    monkeypatch.setattr("queryfit.advise.evidence.MOST_WHOLE", 1)
    monkeypatch.setattr("queryfit.lab.part.MOST_WHOLE", 1)
    monkeypatch.setattr("queryfit.advise.evidence.MOST_STATEMENTS", 1)
    with open_session(capture) as session:
        ((top,),) = session.query("select fingerprint from workload order by execution_ms desc limit 1").rows
    addition, notes = found_in_lab(capture, folder)
    assert [note for note in notes if "the 1 that take the most time were planned in the lab" in note]
    assert {row["fingerprint"] for row in addition.rows["what_if"]} == {top}


def test_a_measurement_proves_the_next_audit(taken: tuple[Cluster, Capture, Path], report: Report) -> None:
    cluster, capture, folder = taken
    outcome = advise(Request(str(capture.folder), folder, measure_dsn=cluster.dsn("asked"), has_curve=False))
    assert outcome.measured is not None
    assert outcome.measured.outcomes
    assert remembered(capture, "asked")
    again = audit_capture(capture, Settings(store=folder, in_lab=True))
    (finding,) = of_rule(again, "statements-without-index")
    assert finding.proof == "measured"
    assert finding.evidence["measured_after_ms"] < finding.evidence["measured_before_ms"]
    assert finding.id == of_rule(report, "statements-without-index")[0].id
