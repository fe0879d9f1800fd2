"""Writes the published JSON Schema of a report: `python -m tests.render.report_schema`."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from queryfit.render import report_json
from queryfit.report.model import Content


def schema() -> dict[str, Any]:
    """The JSON Schema of what `queryfit report --format json` prints."""
    made = msgspec.json.schema(Content)
    content = made["$defs"].pop("Content")
    own = {"version": {"const": report_json.VERSION}, "tool_version": {"type": "string"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **content,
        "title": "A report of queryfit",
        "properties": {**own, **content["properties"]},
        "required": [*own, *content["required"]],
        "$defs": made["$defs"],
    }


def text() -> str:
    return json.dumps(schema(), indent=1) + "\n"


if __name__ == "__main__":
    report_json.SCHEMA.write_text(text(), encoding="utf-8")
