"""Findings: what is claimed never exceeds what is there, the order holds, and nothing is lost on the way."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryfit.findings import Finding, identity
from queryfit.ranking import find, not_checked_rows
from queryfit.ruleset import Rule

DAY = 86_400_000.0


def rule(
    name: str = "missing-index", *, severity: str = "warning", proof: str = "inferred", fix: str | None = None
) -> Rule:
    return Rule(
        name=name, group="workload", path=Path(f"{name}.sql"), title="A fault", severity=severity, proof=proof,
        reads=(), message="{subject}", fix=fix, undo=None, since="0.1", parameters=(),
        sections={}, select="", select_line=1, examples=(),
    )  # fmt: skip


def row(subject: str = "public.a (b)", **columns: Any) -> dict[str, Any]:
    return {"database": "app", "subject": subject, **columns}


def judged(
    *results: tuple[Rule, Sequence[Mapping[str, Any]]], times: Mapping[str, float] | None = None
) -> list[Finding]:
    return find(results, origin="7", statement_ms_per_day={("app", key): ms for key, ms in (times or {}).items()})


def saving(subject: str, fingerprint: str, ms: float | None, low: float | None = None, **more: Any) -> dict[str, Any]:
    columns = {"fingerprint": fingerprint, "impact_ms_per_day": ms, "impact_low_ms_per_day": low}
    return row(subject, **columns, **more)


def test_no_rows_are_no_findings() -> None:
    assert judged() == []
    assert judged((rule(), [])) == []


def test_the_id_hangs_on_rule_origin_database_and_subject_only() -> None:
    (one,) = judged((rule(), [saving("a", "f", 5, rows=1)]))
    (other,) = judged((rule(), [saving("a", "f", 900_000, rows=99, line=3)]), times={"f": DAY})
    assert one.id == other.id == identity("missing-index", "7", "app", "a")
    assert len(one.id) == 12
    assert (
        len({identity(*parts) for parts in [("r", "7", "d", "s"), ("r", "7", None, "ds"), ("r7", "", "d", "s")]}) == 3
    )


def test_two_claims_on_a_statement_share_its_time() -> None:
    found = judged((rule(), [saving("a", "f", 80), saving("b", "f", 70)]), times={"f": 100})
    assert [(finding.subject, finding.impact_ms_per_day) for finding in found] == [("a", 80), ("b", 20)]


def test_a_claim_above_the_statements_time_is_cut() -> None:
    (finding,) = judged((rule(), [saving("a", "f", 500, 300)]), times={"f": 100})
    assert (finding.impact_ms_per_day, finding.impact_low_ms_per_day) == (100, 100)


def test_what_gets_worse_counts_against_the_saving() -> None:
    (finding,) = judged((rule(), [saving("a", "f", 80), saving("a", "g", -30)]), times={"f": 100, "g": 100})
    assert finding.impact_ms_per_day == 50
    assert [entry["fingerprint"] for entry in finding.evidence["statements"]] == ["f", "g"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), None])
def test_an_impact_that_is_no_number_is_unknown(value: float | None) -> None:
    (finding,) = judged((rule(), [saving("a", "f", value, value)]), times={"f": 100})
    assert (finding.impact_ms_per_day, finding.impact_low_ms_per_day, finding.severity) == (None, None, "warning")


@pytest.mark.parametrize(
    ("ms", "captured", "expected"),
    [(59_999, DAY, "info"), (60_000, DAY, "info"), (863_999, DAY, "info"), (864_000, DAY, "warning"),
     (60_000, 60_000, "warning")],
)  # fmt: skip
def test_timed_severity_wants_a_minute_and_a_hundredth(ms: float, captured: float, expected: str) -> None:
    (finding,) = judged((rule(), [saving("a", "f", ms)]), times={"f": captured})
    assert finding.severity == expected


DAYS_LEFT = {"soon": 7, "sooner": 1, "later": 8}


def test_urgent_then_timed_by_the_low_estimate_then_untimed_then_what_saves_nothing() -> None:
    found = judged(
        (rule(), [saving("high", "f", 90, 10), saving("sure", "g", 50, 40), saving("none", "h", 0)]),
        (rule("wraparound", severity="error"), [row(name, days_left=days) for name, days in DAYS_LEFT.items()]),
        (rule("limit"), [row("full", headroom_fraction=0.09), row("roomy", headroom_fraction=0.1)]),
        (rule("key", severity="error"), [row("plain"), row("used", exposure_ms_per_day=5)]),
        times={"f": 100, "g": 100, "h": 100},
    )  # fmt: skip
    assert [finding.subject for finding in found] == [
        "sooner", "soon", "full", "sure", "high", "later", "used", "plain", "roomy", "none",
    ]  # fmt: skip


def test_an_urgent_fault_keeps_its_severity_whatever_time_it_saves() -> None:
    (finding,) = judged((rule("x", severity="error"), [saving("a", "f", 1, days_left=2)]), times={"f": 100})
    assert (finding.severity, finding.is_urgent) == ("error", True)


def test_one_root_is_one_finding_and_the_best_proof_wins() -> None:
    found = judged(
        (rule("inferred", fix="x"), [saving("a", "f", 90, root="r", note=1)]),
        (rule("planned", proof="planned", fix="x"), [saving("b", "g", 10, root="r", note=2)]),
        (rule("measured", proof="measured"), [row("c", root="r", note=3)]),
        times={"f": 100, "g": 100},
    )
    (finding,) = found
    assert (finding.rule, finding.subject, finding.proof) == ("planned", "b", "planned")
    assert finding.impact_ms_per_day == 100
    assert [(other["rule"], other["subject"], other["evidence"]["note"]) for other in finding.evidence["also"]] == [
        ("inferred", "a", 1), ("measured", "c", 3),
    ]  # fmt: skip
    assert finding.evidence["also"][0]["statements"][0]["fingerprint"] == "f"


def test_a_merged_fault_keeps_its_urgency_and_its_severity() -> None:
    found = judged(
        (rule("slow", fix="x"), [saving("a", "f", 5, root="r")]),
        (rule("ending", severity="error"), [row("b", root="r", days_left=3)]),
        times={"f": 1000},
    )
    assert [(finding.rule, finding.severity, finding.is_urgent) for finding in found] == [("slow", "error", True)]
    (finding,) = judged(
        (rule("slow", fix="x"), [saving("a", "f", 5, root="r")]),
        (rule("broken"), [row("b", root="r")]),
        times={"f": 1000},
    )
    assert finding.severity == "warning"


def test_roots_of_two_databases_are_two_findings() -> None:
    rows = [row("a", root="r"), {**row("a", root="r"), "database": "other"}]
    assert len({finding.id for finding in judged((rule(), rows))}) == 2


def test_a_severity_or_proof_that_is_none_falls_back() -> None:
    (finding,) = judged((rule(), [row("a", severity="fatal", proof="sworn")]))
    assert (finding.severity, finding.proof) == ("warning", "inferred")


def test_rows_that_could_not_be_judged_are_no_findings() -> None:
    rows = [row("a", not_checked_reason="locked", hint="wait"), row("b")]
    assert [finding.subject for finding in judged((rule(), rows))] == ["b"]
    (entry,) = not_checked_rows(rule(), rows)
    assert (entry.rule, entry.subject, entry.reason, entry.hint) == ("missing-index", "a", "locked", "wait")


RULES = [rule("one", fix="x"), rule("two", proof="planned", fix="x"), rule("three", severity="error")]
FINGERPRINTS = ["f", "g", "h"]
milliseconds = st.one_of(st.none(), st.floats(-1e9, 1e9), st.sampled_from([0.0, 100.0, 60_000.0]))
rows = st.builds(
    saving,
    st.sampled_from(["a", "b", "c", "d"]),
    st.sampled_from(FINGERPRINTS),
    milliseconds,
    milliseconds,
    root=st.sampled_from([None, "r", "s"]),
    days_left=st.sampled_from([None, 3, 30]),
    severity=st.sampled_from([None, "error", "info"]),
    number=st.integers(0, 3),
)
results = st.tuples(*(st.lists(rows, max_size=6) for _ in RULES))


@given(results, st.lists(st.floats(0, 1e9), min_size=3, max_size=3), st.randoms(use_true_random=False))
def test_whatever_rules_return(
    given_rows: tuple[list[dict[str, Any]], ...], amounts: list[float], chance: random.Random
) -> None:
    times = dict(zip(FINGERPRINTS, amounts, strict=True))
    by_rule = list(zip(RULES, given_rows, strict=True))
    found = judged(*by_rule, times=times)

    shuffled = [(one, chance.sample(rows, len(rows))) for one, rows in chance.sample(by_rule, len(by_rule))]
    assert judged(*shuffled, times=times) == found, "the order of rows and rules changes nothing"

    told = {(finding.rule, finding.subject) for finding in found}
    told |= {(other["rule"], other["subject"]) for finding in found for other in finding.evidence["also"]}
    assert told == {(one.name, row["subject"]) for one, rows in by_rule for row in rows}, "no fault is lost"
    assert len({finding.id for finding in found}) == len(found)

    assert sum(finding.impact_ms_per_day or 0 for finding in found) <= sum(amounts) * (1 + 1e-9) + 1e-6
    assert [finding.is_urgent for finding in found] == sorted((finding.is_urgent for finding in found), reverse=True)


def test_what_only_a_history_tells_neither_renames_a_fault_nor_takes_its_cure_away() -> None:
    over_time = msgspec.structs.replace(rule("statement-got-slower", proof="measured", fix="create index x"),
                                        reads=("statement_change",))  # fmt: skip
    plain = rule("filter-discards-most-rows", proof="planned")
    shared = {"root": "public.a (b)"}
    (alone,) = judged((plain, [row("fingerprint:f", **shared)]))
    (both,) = judged((over_time, [row(**shared)]), (plain, [row("fingerprint:f", **shared)]))
    assert (both.rule, both.id) == (plain.name, alone.id)
    assert alone.fix is None
    assert both.fix is not None
    assert "create index x" in both.fix
    assert [other["rule"] for other in both.evidence["also"]] == [over_time.name]
