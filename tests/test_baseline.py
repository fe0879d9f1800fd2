"""New, open, fixed, suppressed, known: each said only where it is so."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from queryfit.baseline import compare, read_baseline, suppress, write_baseline
from queryfit.config import Suppression
from queryfit.errors import QueryfitError
from queryfit.findings import Finding, NotChecked, identity

TODAY = date(2026, 1, 8)


def finding(subject: str = "public.a (b)", rule: str = "r", **evidence: Any) -> Finding:
    return Finding(
        id=identity(rule, "7", "app", subject), rule=rule, group="g", title="t", database="app", subject=subject,
        severity="warning", proof="inferred", message="m", fix=None, undo=None, impact_ms_per_day=None,
        impact_low_ms_per_day=None, is_urgent=False, file=None, line=None, evidence={"also": [], **evidence},
    )  # fmt: skip


def before(*findings: Finding) -> list[dict[str, Any]]:
    return [
        {"id": entry.id, "rule": entry.rule, "subject": entry.subject, "evidence": entry.evidence} for entry in findings
    ]


def suppressed(subject: str, *given: Finding, until: date | None = None, rule: str = "r") -> list[str]:
    _, taken, _ = suppress(given, [Suppression(rule, subject, "known", until)], today=TODAY, rules=["r"])
    return [entry.subject for entry in taken]


@pytest.mark.parametrize(
    ("pattern", "subject", "matches"),
    [
        ("*", "anything (at, all)", True),
        ("public.a (b)", "public.a (b)", True),
        ("public.*", "public.a (b)", True),
        ("public.*", "other.a", False),
        ("public.?", "public.a", False),
        ("public.?", "public.?", True),
        ("public.[ab]", "public.a", False),
        ("public.[ab]", "public.[ab]", True),
        ("public.[!a]*", "public.b", False),
        ("*[x]", "public.a[x]", True),
        ("PUBLIC.A", "public.a", False),
        ("*", "line\nline", True),
        ("", "public.a", False),
    ],
)
def test_only_the_star_is_special(pattern: str, subject: str, *, matches: bool) -> None:
    assert suppressed(pattern, finding(subject)) == ([subject] if matches else [])


def test_a_suppression_holds_through_its_last_day() -> None:
    assert suppressed("*", finding(), until=TODAY) == ["public.a (b)"]
    assert suppressed("*", finding(), until=date(2026, 1, 7)) == []


def test_a_suppression_says_its_reason_and_is_for_its_rule() -> None:
    kept, taken, notes = suppress(
        [finding(), finding(rule="other")], [Suppression("r", "*", "we know", None)], today=TODAY, rules=["r", "other"]
    )
    assert [entry.rule for entry in kept] == ["other"]
    assert [entry.suppressed_by for entry in taken] == ["we know"]
    assert notes == []


@pytest.mark.parametrize(
    ("entry", "not_checked", "note"),
    [
        (Suppression("r", "gone", "x", None), [], "suppresses nothing"),
        (Suppression("*", "gone", "x", None), [], "suppresses nothing"),
        (Suppression("typo", "*", "x", None), [], "no such rule"),
        (Suppression("r", "*", "x", date(2026, 1, 1)), [], "ended on 2026-01-01"),
        (Suppression("r", "gone", "x", None), [NotChecked("r", "public.z", "locked", None)], None),
        (Suppression("*", "gone", "x", None), [NotChecked("r", "public.z", "locked", None)], None),
        (Suppression("r", "gone", "x", None), [NotChecked("other", None, "locked", None)], "suppresses nothing"),
    ],
)
def test_a_useless_suppression_is_told(entry: Suppression, not_checked: list[NotChecked], note: str | None) -> None:
    _, _, notes = suppress([finding()], [entry], today=TODAY, rules=["r"], not_checked=not_checked)
    assert len(notes) == (note is not None)
    assert note is None or note in notes[0]


def test_the_first_run_has_nothing_to_compare_with() -> None:
    assert compare([finding()], None, [], rules=["r"]) == ([finding()], [])


def test_new_open_and_fixed() -> None:
    old, stays, comes = finding("old"), finding("stays"), finding("comes")
    marked, fixed = compare([stays, comes], before(old, stays), [], rules=["r"])
    assert [(entry.subject, entry.state) for entry in marked] == [("stays", "open"), ("comes", "new")]
    assert [entry["subject"] for entry in fixed] == ["old"]


@pytest.mark.parametrize(
    "entry",
    [
        NotChecked("r", None, "no privilege", None),
        NotChecked("r", "public.a (b)", "locked", None),
        NotChecked("r", "public.a", "locked", None),
    ],
)
def test_what_could_not_be_checked_is_not_fixed(entry: NotChecked) -> None:
    assert compare([], before(finding()), [entry], rules=["r"])[1] == []


def test_an_index_of_a_locked_table_is_not_fixed() -> None:
    gone = finding("public.some_index", relation="public.a")
    assert compare([], before(gone), [NotChecked("r", "public.a", "locked", None)], rules=["r"])[1] == []
    assert len(compare([], before(gone), [NotChecked("r", "public.ab", "locked", None)], rules=["r"])[1]) == 1


def test_a_rule_that_did_not_run_fixed_nothing() -> None:
    assert compare([], before(finding()), [], rules=["other"])[1] == []


def test_a_fault_told_by_another_rule_of_its_root_is_not_fixed() -> None:
    now = finding("public.a (b)", rule="better", also=[{"rule": "r", "subject": "public.a (b)"}])
    assert compare([now], before(finding()), [], rules=["r", "better"])[1] == []


def test_a_baseline_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    write_baseline(path, [finding("b"), finding("a"), finding("ü\n\x1b")])
    assert read_baseline(path) == {finding(name).id for name in ("a", "b", "ü\n\x1b")}
    assert [entry["subject"] for entry in json.loads(path.read_text())["findings"]] == ["a", "b", "ü\n\x1b"]


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", '{"version": 1}', '{"version": 1, "findings": ["x"]}', "\x00"])
def test_what_is_no_baseline_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(text)
    with pytest.raises(QueryfitError, match="not a baseline") as caught:
        read_baseline(path)
    assert caught.value.hint


def test_a_missing_or_later_baseline_is_told(tmp_path: Path) -> None:
    with pytest.raises(QueryfitError, match="no baseline"):
        read_baseline(tmp_path / "none.json")
    (tmp_path / "later.json").write_text('{"version": 2, "findings": []}')
    with pytest.raises(QueryfitError, match="version 2"):
        read_baseline(tmp_path / "later.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(QueryfitError, match="cannot write the baseline"):
        write_baseline(tmp_path / "file" / "baseline.json", [])
