"""A report as JSON, for programs: its content under a version; every key is always there, null where unknown.

`schema/weekly-1.json` describes it: made from its classes by `python -m tests.render.report_schema`, and held by
the tests.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from msgspec import Struct

from queryfit import __version__
from queryfit.render.values import plain, to_json
from queryfit.report.model import Content

VERSION = 1
SCHEMA = Path(__file__).parent / "schema" / f"weekly-{VERSION}.json"


def render(content: Content) -> str:
    """The content of the report. Times are UTC, units are in the names."""
    return to_json({"version": VERSION, "tool_version": __version__, **_document(content)})


def _document(value: Any) -> Any:
    """Dataclasses and structs as objects, also those that a sequence or mapping holds."""
    if isinstance(value, Struct):
        return {name: _document(getattr(value, name)) for name in value.__struct_fields__}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _document(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): _document(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_document(inner) for inner in value]
    return plain(value)
