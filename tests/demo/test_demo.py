"""`queryfit demo` finds every planted fault of the sick shop, and nothing to worry about in the healthy one."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from queryfit.render.json import schema
from queryfit.sql.parse import fingerprint
from tests.demo.conftest import FAULTS

SEVERITIES = ("error", "warning", "info")


def subject_of(fault: dict[str, Any]) -> str:
    return fault["subject"] if "subject" in fault else f"fingerprint:{fingerprint(fault['statement'])}"


def found(report: dict[str, Any]) -> set[tuple[str, str]]:
    """Return rule and subject of all findings, those included that became evidence of another with the same root."""
    return {
        (part["rule"], part["subject"])
        for finding in report["findings"]
        for part in (finding, *finding["evidence"].get("also", ()))
    }


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault["id"]))
def test_planted_fault_is_found(sick_report: dict[str, Any], fault: dict[str, Any]) -> None:
    of_rule = {subject for rule, subject in found(sick_report) if rule == fault["rule"]}
    assert subject_of(fault) in of_rule


def test_findings_are_ranked_urgent_first_then_timed_then_by_severity(sick_report: dict[str, Any]) -> None:
    findings = sick_report["findings"]
    assert [finding["rank"] for finding in findings] == list(range(1, len(findings) + 1))
    places = [
        (0 if finding["is_urgent"] else 1 if finding["impact_ms_per_day"] is not None else 2) for finding in findings
    ]
    assert places == sorted(places)
    untimed = [
        SEVERITIES.index(finding["severity"]) for finding, place in zip(findings, places, strict=True) if place == 2
    ]
    assert untimed == sorted(untimed)


def test_the_order_items_come_first_of_all_that_takes_time(sick_report: dict[str, Any]) -> None:
    timed = [finding for finding in sick_report["findings"] if finding["impact_ms_per_day"] is not None]
    items = {subject_of(fault) for fault in FAULTS if fault["id"] in {"items-of-an-order", "loop-over-items"}}
    assert timed[0]["subject"] in items


def test_the_loops_are_proven_over_intervals(sick_report: dict[str, Any]) -> None:
    loops = [finding for finding in sick_report["findings"] if finding["rule"] == "n-plus-one"]
    assert len(loops) == 2
    assert all("intervals" in loop["evidence"]["seen"] for loop in loops)
    # none where a slow machine made the load too even to tell
    assert all((loop["evidence"]["correlation"] or 1) > 0.7 for loop in loops)


def test_benign_hot_statements_are_no_loops(sick_report: dict[str, Any]) -> None:
    benign = {
        f"fingerprint:{fingerprint(text)}"
        for text in (
            "select customer_id from sessions where token = $1",
            "select id, name, locale from customers where id = $1",
            "select id, payload from jobs where state = $1 order by id limit $2 for update skip locked",
            "select $1",
        )
    }
    assert not benign & {finding["subject"] for finding in sick_report["findings"] if finding["rule"] == "n-plus-one"}


def test_nothing_in_the_healthy_shop_is_a_warning(healthy_run: dict[str, Any]) -> None:
    worrying = [
        (finding["rule"], finding["subject"], finding["message"])
        for finding in healthy_run["report"]["findings"]
        if finding["severity"] != "info"
    ]
    assert worrying == []


def test_every_rule_could_judge_both_shops(sick_report: dict[str, Any], healthy_run: dict[str, Any]) -> None:
    assert [entry for entry in sick_report["not_checked"] if entry["subject"] is None] == []
    assert [entry for entry in healthy_run["report"]["not_checked"] if entry["subject"] is None] == []


def test_json_is_what_the_schema_says(sick_report: dict[str, Any], healthy_run: dict[str, Any]) -> None:
    for report in (sick_report, healthy_run["report"]):
        jsonschema.validate(report, schema())


def test_a_kept_shop_can_be_looked_at_until_it_is_stopped(healthy_run: dict[str, Any]) -> None:
    assert healthy_run["audit_status"] == 0, healthy_run["audit"]
    assert "PostgreSQL 18" in healthy_run["audit"]
    assert "stopped 1 server" in healthy_run["stop"]
    assert "no server" in healthy_run["stop_again"]
    assert healthy_run["left"] == []
