"""The JSON contract, held to its published schema."""

from __future__ import annotations

import json as stdlib
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
from msgspec.structs import replace

from queryfit.render import json
from tests.render.samples import FILES, FULL, INDEX, LINT, REPORTS, URGENT

CONTRACT = {"version", "tool_version", "server", "files", "window", "findings", "not_checked"}
FINDING = {
    "id", "rule", "subject", "severity", "impact_ms_per_day", "impact_low_ms_per_day", "proof", "message", "fix",
    "undo", "file", "line", "evidence",
}  # fmt: skip


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_keeps_to_the_schema(name: str, validator: Any) -> None:
    text = json.render(REPORTS[name])
    document = stdlib.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    validator.validate(document)
    assert document.keys() == json.schema()["properties"].keys()
    assert document.keys() >= CONTRACT
    for finding in [*document["findings"], *document["suppressed"]]:
        assert finding.keys() == json.schema()["$defs"]["finding"]["properties"].keys()
        assert finding.keys() >= FINDING
    gap = {"rule", "subject", "reason", "hint", "file", "line"}
    assert all(entry.keys() == gap for entry in document["not_checked"])


def test_the_schema_describes_every_key_that_it_names() -> None:
    def walk(schema: Any, path: str) -> list[str]:
        found = [f"{path}.{name}" for name, inner in schema.get("properties", {}).items() if not _is_told(inner)]
        for name, inner in schema.get("properties", {}).items():
            found += walk(inner, f"{path}.{name}")
        return found

    def _is_told(inner: Any) -> bool:
        return "description" in inner

    schema = json.schema()
    assert [path for path in walk(schema, "report") if path.count(".") == 1] == []
    assert walk(schema["$defs"]["finding"], "finding") == []


@pytest.mark.parametrize(
    "broken",
    [
        {"severity": "fatal"},
        {"id": "1"},
        {"proof": "guessed"},
        {"impact_ms_per_day": "12"},
        {"message": None},
    ],
)
def test_the_schema_refuses_what_is_wrong(broken: dict[str, Any], validator: Any) -> None:
    document = json.document(FULL)
    document["findings"][0] |= broken
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(document)


@pytest.mark.parametrize("key", sorted(CONTRACT))
def test_the_schema_misses_every_key(key: str, validator: Any) -> None:
    document = json.document(FULL)
    del document[key]
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(document)


def test_findings_are_in_rank_order_and_numbered() -> None:
    document = json.document(FULL)
    assert [(entry["rank"], entry["id"]) for entry in document["findings"]][:2] == [(1, URGENT.id), (2, INDEX.id)]
    assert document["suppressed"][0]["rank"] is None


def test_values_of_every_kind() -> None:
    numpy_like = type("Array", (), {"tolist": lambda _: [1.5, float("nan")]})()
    evidence = {"array": numpy_like, "decimal": Decimal("2.5"), "set": {1}, "bytes": b"\x01\xff", "other": object}
    (found,) = json.document(replace(FULL, findings=[replace(INDEX, evidence=evidence)]))["findings"]
    assert found["evidence"] == {
        "array": [1.5, None], "decimal": 2.5, "set": [1], "bytes": "01ff", "other": "<class 'object'>"
    }  # fmt: skip


def test_times_say_that_they_are_utc() -> None:
    document = json.document(FULL)
    assert document["window"] == {
        "since": "2026-01-01T12:00:00+00:00",
        "until": "2026-01-08T12:00:00+00:00",
        "seconds": 604_800.0,
        "is_extrapolated": False,
    }
    assert document["server"]["started_at"] == "2026-01-01T00:00:00+00:00"


def test_files_have_no_server() -> None:
    document = json.document(FILES)
    assert document["server"] is None
    assert document["files"] == ["migrations/1.sql"]
    assert document["findings"][0]["line"] == 7


def test_a_place_in_a_file_is_whole() -> None:
    document = json.document(LINT)
    assert [document["findings"][3][key] for key in ("line", "column", "end_line", "end_column")] == [4, 1, 5, 22]
    assert document["statements"] == 14
    assert [entry["is_suppressed_in_source"] for entry in document["suppressed"]] == [True, False]
    assert "sources" not in document


def test_the_text_is_that_of_the_standard_library() -> None:
    for report in REPORTS.values():
        text = json.render(report)
        assert stdlib.loads(text) == json.document(report)
        if text.isascii():
            assert text == stdlib.dumps(stdlib.loads(text), indent=2)


def test_the_text_steers_no_terminal() -> None:
    text = json.render(REPORTS["hostile"])
    assert text.replace("\n", "").isprintable()
    assert text.encode("utf-8")
