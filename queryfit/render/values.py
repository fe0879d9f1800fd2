"""Values of evidence as JSON, CSV and table cells take them."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from queryfit.render.escape import csv_cell, line

_JSON_UNSAFE = re.compile(r"[^ -~]")


def plain(value: Any) -> Any:  # noqa: C901, PLR0911 -- one line a type reads best
    """The value in JSON's own types: times as ISO 8601, lengths of time in seconds, NaN and infinities as null."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return plain(float(value))
    if isinstance(value, datetime):
        # evidence keeps times in UTC without saying so
        return value.isoformat() if value.tzinfo else f"{value.isoformat()}+00:00"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if hasattr(value, "tolist"):  # NumPy, which DuckDB may hand out, without importing it
        return plain(value.tolist())
    if isinstance(value, Sequence | AbstractSet):
        return [plain(inner) for inner in value]
    return str(value)


def to_json(value: Any) -> str:
    """Indented JSON; characters that steer a terminal are escaped as JSON does, lone surrogates included."""
    compact = _JSON_UNSAFE.sub(_escaped, _compact(value))
    try:
        # the standard library indents a value at a time, in Python: thousands of findings are found in less time
        return msgspec.json.format(compact, indent=2)
    except msgspec.DecodeError:  # a lone surrogate, which the standard library lets pass
        return json.dumps(json.loads(compact), indent=2)


def _compact(value: Any) -> str:
    try:
        return json.dumps(value, default=plain, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError):  # NaN, or a key that is no text
        return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def _escaped(found: re.Match[str]) -> str:
    return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1]


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """CSV with a heading, null as an empty field. Text that a spreadsheet would run as a formula begins with `'`."""
    text = io.StringIO()
    writer = csv.writer(text)  # RFC 4180: its line ends are what it quotes
    writer.writerow([csv_cell(column) for column in columns])
    for row in rows:
        writer.writerow([csv_cell(_field(value)) for value in row])
    return text.getvalue()


def _field(value: Any) -> Any:
    value = plain(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def cell(value: Any, most: int = 400) -> str:
    """A value as one printable line for a table; null is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    value = _field(value)
    return line(str(value), most)
