"""SARIF for code scanning."""

from __future__ import annotations

import json
from typing import Any

import pytest

from queryfit.render import sarif
from queryfit.ruleset import Rule, load_rules
from tests.render.samples import FILES, FULL, HOSTILE, LINT, REPORTS


@pytest.fixture(scope="module")
def rules() -> tuple[Rule, ...]:
    return load_rules()


def run_of(text: str) -> dict[str, Any]:
    document = json.loads(text)
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    assert isinstance(run, dict)
    return run


def test_the_rules_metadata_come_from_their_files(rules: tuple[Rule, ...]) -> None:
    driver = run_of(sarif.render(FULL, rules))["tool"]["driver"]
    assert [entry["id"] for entry in driver["rules"]] == [rule.name for rule in rules]
    by_name = {entry["id"]: entry for entry in driver["rules"]}
    duplicate = by_name["duplicate-index"]
    assert duplicate["shortDescription"]["text"] == "Two indexes that are the same"
    assert "## What to do" in duplicate["help"]["markdown"]
    assert duplicate["defaultConfiguration"]["level"] == "warning"


def test_a_result_refers_to_its_rule(rules: tuple[Rule, ...]) -> None:
    run = run_of(sarif.render(FULL, rules))
    for result in run["results"]:
        if "ruleIndex" in result:
            assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert "ruleIndex" in next(result for result in run["results"] if result["ruleId"] == "duplicate-index")


def test_levels_fingerprints_and_suppressions(rules: tuple[Rule, ...]) -> None:
    results = run_of(sarif.render(FULL, rules))["results"]
    assert [result["level"] for result in results[:4]] == ["error", "warning", "warning", "warning"]
    assert [result["partialFingerprints"]["queryfit/v1"] for result in results[:4]] == [
        f"{n:012x}" for n in (1, 2, 3, 4)
    ]
    assert [bool(result.get("suppressions")) for result in results] == [False] * 4 + [True] * 2
    assert [result["baselineState"] for result in results] == ["new", "new", "unchanged", "new", "new", "unchanged"]


def test_objects_of_the_database_have_logical_places(rules: tuple[Rule, ...]) -> None:
    (location,) = run_of(sarif.render(FULL, rules))["results"][0]["locations"]
    assert location == {
        "logicalLocations": [
            {"fullyQualifiedName": "shop.public.order_item_id_seq", "name": "public.order_item_id_seq"}
        ]
    }


def test_files_have_physical_places(rules: tuple[Rule, ...]) -> None:
    (location,) = run_of(sarif.render(FILES, rules))["results"][0]["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "migrations/1%20%C3%A4.sql"},
        "region": {"startLine": 7},
    }


def test_a_place_in_a_file_is_whole(rules: tuple[Rule, ...]) -> None:
    results = run_of(sarif.render(LINT, rules))["results"]
    assert results[3]["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "db/20260107_wider_keys_and_states.sql"},
        "region": {"startLine": 4, "startColumn": 1, "endLine": 5, "endColumn": 22},
    }
    assert results[4]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "db/%E6%97%A5%E6%9C%AC.sql"


def test_a_suppression_says_where_it_is(rules: tuple[Rule, ...]) -> None:
    results = run_of(sarif.render(LINT, rules))["results"]
    assert [result["suppressions"] for result in results if "suppressions" in result] == [
        [{"kind": "inSource", "justification": "empty"}],
        [{"kind": "external", "justification": "baseline"}],
    ]


def test_what_was_not_checked_in_a_file_has_its_place(rules: tuple[Rule, ...]) -> None:
    (invocation,) = run_of(sarif.render(LINT, rules))["invocations"]
    places = [entry.get("locations") for entry in invocation["toolExecutionNotifications"]]
    assert places[0][0]["physicalLocation"]["region"] == {"startLine": 9}
    assert places[2] is None


def test_what_was_not_checked_is_told(rules: tuple[Rule, ...]) -> None:
    (invocation,) = run_of(sarif.render(FULL, rules))["invocations"]
    told = [entry["message"]["text"] for entry in invocation["toolExecutionNotifications"]]
    assert told[0] == (
        "missing-index on public.secret not checked: its statistics are not readable; "
        "hint: grant pg_read_all_data to me;"
    )
    assert len(told) == len(FULL.not_checked)


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_is_valid_and_printable(name: str, rules: tuple[Rule, ...]) -> None:
    text = sarif.render(REPORTS[name], rules)
    assert text.replace("\n", "").isprintable()
    assert run_of(text)["columnKind"] == "unicodeCodePoints"


def test_a_fix_is_kept_as_it_is(rules: tuple[Rule, ...]) -> None:
    result = run_of(sarif.render(REPORTS["hostile"], rules))["results"][0]
    assert result["properties"]["fix"] == f"drop table x; -- {HOSTILE}"
