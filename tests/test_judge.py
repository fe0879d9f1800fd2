"""A capture judged: gaps are told for exactly the rules that read them, and runs are compared and remembered."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from queryfit.audit import LastRun, Settings, audit_capture, choose, find_capture, last_run
from queryfit.config import Config, Suppression
from queryfit.errors import QueryfitError
from queryfit.evidence.dictionary import tables
from queryfit.evidence.store import Capture, Store
from queryfit.findings import Finding
from queryfit.judge import judge, sources
from queryfit.ruleset import Rule

SERVER = {
    "system_identifier": "7", "version_number": 180000, "version": "18", "provider": "self-hosted", "is_standby": False,
    "is_pooled": False, "captured_at": "2026-01-08 12:00:00", "role": "r", "is_superuser": False, "has_monitor": True,
    "has_read_all_data": True,
}  # fmt: skip


def take(
    folder: Path, settings: Mapping[str, float], *gaps: Mapping[str, str], day: int = 8, without: str | None = None
) -> Capture:
    """A capture of some settings and gaps; the other tables are there and empty, but for the one left out."""
    with Store(folder).write("full") as writer:
        writer.meta.update(system_identifier="7", captured_at=f"2026-01-{day:02}T12:00:00+00:00", scope="x")
        rows: dict[str, Iterable[Mapping[str, object]]] = {
            "server": [SERVER],
            "setting": [{"name": name, "value": str(value), "value_number": value} for name, value in settings.items()],
            "unread": gaps,
        }
        for table in tables().values():
            if table.derivation is None and table.name != without:
                writer.add(table.name, rows.get(table.name, []))
    assert writer.committed
    return writer.committed


def rule(name: str, reads: tuple[str, ...] = ("setting",), select: str | None = None) -> Rule:
    return Rule(
        name=name, group="settings", path=Path(f"{name}.sql"), title="t", severity="warning", proof="inferred",
        reads=reads, message="{subject}", fix=None, undo=None, since="0.1", parameters=(), sections={},
        select=select or "select name as subject from setting where value_number > 10", select_line=1, examples=(),
    )  # fmt: skip


def test_a_derived_table_stands_for_its_sources() -> None:
    assert sources("setting") == {"setting"}
    assert {"statement", "statement_text", "server"} <= sources("workload")
    assert "workload" not in sources("relation_use")
    assert {"statement", "reference"} <= sources("relation_use")


def test_a_table_that_the_capture_does_not_hold_is_not_clean(tmp_path: Path) -> None:
    rules = [rule("a"), rule("b", ("workload",), "select fingerprint as subject from workload")]
    report = judge(take(tmp_path, {"x": 11}, without="statement_text"), rules, Config(), today=date(2026, 1, 8))
    assert [finding.rule for finding in report.findings] == ["a"]
    assert [(entry.rule, entry.reason) for entry in report.not_checked] == [
        ("b", "the capture does not hold statement_text")
    ]


def test_gaps_are_told_for_the_rules_that_read_the_table(tmp_path: Path) -> None:
    gap = {"table_name": "statement", "reason": "no extension", "hint": "create it"}
    rules = [rule("a"), rule("b", ("workload",), "select fingerprint as subject from workload")]
    rules.append(rule("c", ("relation_use",), "select relation as subject from relation_use"))
    report = judge(take(tmp_path, {"x": 11}, gap), rules, Config(), today=date(2026, 1, 8))
    assert [finding.subject for finding in report.findings] == ["x"]
    told = [(entry.rule, entry.subject, entry.reason, entry.hint) for entry in report.not_checked]
    assert told == [("b", None, "no extension", "create it"), ("c", None, "no extension", "create it")]


def test_a_rule_that_fails_stops_no_other(tmp_path: Path) -> None:
    rules = [rule("bad", select="select nothing"), rule("good")]
    report = judge(take(tmp_path, {"x": 11}), rules, Config(), today=date(2026, 1, 8))
    assert [finding.rule for finding in report.findings] == ["good"]
    assert [(entry.rule, entry.subject) for entry in report.not_checked] == [("bad", None)]
    assert report.rules_run == 1


def test_a_setting_for_a_rule_that_is_not_there_is_told(tmp_path: Path) -> None:
    capture = take(tmp_path, {})
    for config, words in (
        (Config(rule_settings={"typo": {}}), "sets rule 'typo'"),
        (Config(rule_settings={"a": {"limt": 1}}), "no parameter 'limt'"),
    ):
        with pytest.raises(QueryfitError, match=words):
            judge(capture, [rule("a")], config, today=date(2026, 1, 8))


RULE_FILE = """\
-- rule: own-rule
-- title: t
-- severity: warning
-- reads: setting
-- message: {subject}
-- since: 0.1
-- ## Why it matters
-- x
-- ## What to do
-- x
-- ## When to leave it
-- x
select name as subject from setting where name like 'own%';
-- example: one
-- given: evidence
insert into setting (name) values ('own');
-- finds: own
-- example: none
-- given: evidence
-- finds: nothing
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "own-rule.sql").write_text(RULE_FILE)
    return Settings(store=tmp_path / "store", rule_folders=(tmp_path / "rules",))


def own(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(finding.subject, finding.state) for finding in findings if finding.rule == "own-rule"]


def test_two_runs_are_compared_and_the_last_is_remembered(tmp_path: Path, settings: Settings) -> None:
    store = tmp_path / "store"
    audit_capture(take(store, {"own_a": 1, "own_b": 1}, day=1), settings)
    second = take(store, {"own_b": 1, "own_c": 1}, day=2)
    report = audit_capture(second, settings)
    assert sorted(own(report.findings)) == [("own_b", "open"), ("own_c", "new")]
    assert [entry["subject"] for entry in report.fixed if entry["rule"] == "own-rule"] == ["own_a"]
    again = audit_capture(second, settings)
    assert [finding.id for finding in again.findings] == [finding.id for finding in report.findings]
    assert (own(again.findings), len(again.fixed)) == (own(report.findings), len(report.fixed)), "the same run"
    run = last_run(store)
    assert (run.capture, run.findings) == (second.folder, tuple(again.findings))


def test_what_could_not_be_read_this_time_is_not_fixed(tmp_path: Path, settings: Settings) -> None:
    store = tmp_path / "store"
    audit_capture(take(store, {"own_a": 1}, day=1), settings)
    report = audit_capture(take(store, {}, {"table_name": "setting", "reason": "no"}, day=2), settings)
    assert report.fixed == []


def test_a_baseline_takes_out_what_was_known(tmp_path: Path, settings: Settings) -> None:
    store, path = tmp_path / "store", tmp_path / "known.json"
    audit_capture(take(store, {"own_a": 1}, day=1), replace(settings, write_baseline=path))
    report = audit_capture(take(store, {"own_a": 1, "own_b": 1}, day=2), replace(settings, baseline=path))
    assert own(report.findings) == [("own_b", "new")]
    assert [(entry.subject, entry.suppressed_by) for entry in report.suppressed if entry.rule == "own-rule"] == [
        ("own_a", "baseline")
    ]


def test_a_suppression_takes_out_what_it_names(tmp_path: Path, settings: Settings) -> None:
    config = Config(suppressions=(Suppression("own-rule", "own_*", "ours", None),))
    report = audit_capture(take(tmp_path / "store", {"own_a": 1}), replace(settings, config=config))
    assert own(report.findings) == []
    assert [entry.suppressed_by for entry in report.suppressed] == ["ours"]


def test_a_run_that_cannot_be_remembered_is_still_a_run(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("queryfit.audit.write_atomically", full)
    report = audit_capture(take(tmp_path / "store", {"own_a": 1}), settings)
    assert own(report.findings) == [("own_a", "new")]
    assert "No space left on device" in report.notes[-1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"capture": "x", "findings": 3, "at": "2026-01-01"}',
        '{"capture": "x", "findings": [3], "at": "x"}',
    ],
)
def test_a_garbled_memory_is_no_memory(tmp_path: Path, settings: Settings, text: str) -> None:
    capture = take(tmp_path / "store", {"own_a": 1})
    audit_capture(capture, settings)
    (memory,) = (tmp_path / "store" / "7").glob("last-run-*.json")
    memory.write_text(text)
    with pytest.raises(QueryfitError, match="cannot be read"):
        last_run(tmp_path / "store")
    assert own(audit_capture(capture, settings).findings) == [("own_a", "new")]


def test_the_memory_of_another_version_asks_for_a_new_run(tmp_path: Path, settings: Settings) -> None:
    audit_capture(take(tmp_path / "store", {"own_a": 1}), settings)
    (memory,) = (tmp_path / "store" / "7").glob("last-run-*.json")
    remembered = json.loads(memory.read_text())
    remembered["findings"][0]["colour"] = "red"
    memory.write_text(json.dumps(remembered))
    with pytest.raises(QueryfitError, match="another version"):
        last_run(tmp_path / "store")


def test_no_run_yet(tmp_path: Path) -> None:
    with pytest.raises(QueryfitError, match="no audit is remembered"):
        last_run(tmp_path / "none")


def finding(name: str) -> Finding:
    return Finding(
        id=name, rule="r", group="g", title="t", database=None, subject=name, severity="info", proof="inferred",
        message="m", fix=None, undo=None, impact_ms_per_day=None, impact_low_ms_per_day=None, is_urgent=False,
        file=None, line=None, evidence={},
    )  # fmt: skip


def test_a_finding_is_chosen_by_number_or_beginning_of_its_id() -> None:
    run = LastRun(
        (finding("abcd11111111"), finding("abcd22222222"), finding("123456789012")), Path(), datetime.now(UTC)
    )
    assert choose(run, "1").id == "abcd11111111"
    assert choose(run, "3").id == "123456789012"
    assert choose(run, "ABCD2").id == "abcd22222222"
    assert choose(run, "1234").id == "123456789012"
    wrong = {
        "0": "no number 0",
        "4": "no number 4",
        "abcd": "several",
        "ffff": "no finding",
        "": "no finding",
    }
    for name, words in wrong.items():
        with pytest.raises(QueryfitError, match=words):
            choose(run, name)


def test_a_target_that_names_a_capture(tmp_path: Path) -> None:
    store, capture = Store(tmp_path), take(tmp_path, {})
    for target in (capture.name, str(capture.folder)):
        found = find_capture(target, store)
        assert found
        assert found.folder == capture.folder
    for nothing in (None, "", "postgres://x", "host=x", "shop"):
        assert find_capture(nothing, store) is None
    with pytest.raises(QueryfitError, match="not a capture"):
        find_capture(str(tmp_path), store)
