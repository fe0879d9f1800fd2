"""GitLab Code Quality, held to the format that GitLab documents."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from msgspec.structs import replace

from queryfit.render import gitlab
from tests.render.samples import LINT, LINT_CLEAN, REPORTS

# as documented at https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 8},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": r"^(?!\./).+"},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}, "end": {"type": "integer"}},
                    },
                },
            },
        },
    },
}
FILES = [name for name, report in REPORTS.items() if report.server is None]


def read(text: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(text)
    jsonschema.validate(entries, SCHEMA)
    fingerprints = [entry["fingerprint"] for entry in entries]
    assert len(set(fingerprints)) == len(fingerprints)
    return entries


@pytest.mark.parametrize("name", FILES)
def test_every_report_keeps_to_the_format(name: str) -> None:
    text = gitlab.render(REPORTS[name])
    read(text)
    assert text.replace("\n", "").isprintable()


def test_a_finding() -> None:
    assert read(gitlab.render(LINT))[0] == {
        "description": "Writes to public.orders wait while orders_customer_id_idx is built; build it concurrently.",
        "check_name": "index-not-concurrent",
        "fingerprint": "000000000001",
        "severity": "critical",
        "location": {"path": "db/20260105_indexes.sql", "lines": {"begin": 2}},
    }


def test_severities() -> None:
    entries = read(gitlab.render(LINT))
    assert [entry["severity"] for entry in entries] == ["critical"] * 3 + ["major", "info", "major", "info", "info"]


def test_what_was_not_checked_does_not_read_as_clean() -> None:
    entry = read(gitlab.render(LINT))[-2]
    assert entry["check_name"] == "not-checked"
    assert entry["description"].startswith("Not checked: it is put together at run time")
    assert entry["location"] == {"path": "db/20260107_wider_keys_and_states.sql", "lines": {"begin": 9}}


def test_several_lines_have_an_end() -> None:
    assert read(gitlab.render(LINT))[3]["location"]["lines"] == {"begin": 4, "end": 5}


def test_the_same_finding_twice_has_two_fingerprints() -> None:
    entries = read(gitlab.render(replace(LINT, findings=[LINT.findings[0]] * 3, not_checked=())))
    assert [entry["fingerprint"] for entry in entries] == ["000000000001", "000000000001-2", "000000000001-3"]


def test_fingerprints_do_not_depend_on_lines() -> None:
    moved = replace(LINT, findings=[replace(entry, line=(entry.line or 0) + 5) for entry in LINT.findings])
    assert [entry["fingerprint"] for entry in read(gitlab.render(moved))] == [
        entry["fingerprint"] for entry in read(gitlab.render(LINT))
    ]


def test_nothing_found_is_an_empty_list() -> None:
    assert read(gitlab.render(LINT_CLEAN)) == []
