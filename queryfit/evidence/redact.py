"""Takes values out of evidence before it is written, so that a capture may leave the house.

Statistics hold sample values, and texts, plans and expressions hold literals. Names of relations, columns and roles
stay: without them no rule could say anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_DROPPED = {
    "column_statistics": (
        "common_values",
        "histogram_bounds",
        "common_elements",
        "range_length_histogram",
        "range_bounds_histogram",
        "least_value",
        "greatest_value",
    ),
    "extended_statistics": ("common_values",),
    "extended_expression_statistics": ("common_values", "histogram_bounds", "common_elements"),
    "column_extreme": ("least_value", "greatest_value"),
    "routine": ("definition",),  # a body is code, which may hold a key or an address
    "reference": ("value",),
}
_SQL = {
    "activity": ("text",),
    "statement_text": ("text", "parse_error"),
    "plan_node": ("condition", "filter", "sort_key"),
    "reference": ("expression",),
}
HIDDEN = "'…'"
_NAMES = ("Name", "Alias", "Schema", "Type", "Relationship")  # keys of a plan that hold names, which may hold quotes


def redact(table: str, row: Mapping[str, object]) -> dict[str, object]:
    """The row without literals and sample values; where a text cannot be read as SQL, without the text."""
    clean = dict(row)
    for column in _DROPPED.get(table, ()):
        if column in clean and not (table == "reference" and str(clean[column]).startswith("$")):
            clean[column] = None
    for column in _SQL.get(table, ()):
        if isinstance(text := clean.get(column), str):
            clean[column] = without_literals(text)
    if table == "plan" and isinstance(document := clean.get("document"), str):
        clean["document"] = json.dumps(_without_literals_below(json.loads(document)))
    return clean


def without_literals(text: str) -> str:
    """SQL with every string, number and bit constant replaced by `'…'`.

    Lexed by PostgreSQL's own scanner; a text that it cannot lex is dropped whole, since a literal may hide in it.
    """
    from pglast.parser import ParseError, scan  # noqa: PLC0415 -- only captures that are redacted need it

    if "\0" in text:
        return "<redacted>"  # the scanner would end there and leave the rest as it is
    try:
        tokens = scan(text)
    except (ParseError, ValueError):
        return "<redacted>"
    parts, end = [], 0
    for token in tokens:
        is_literal = token.name in {"SCONST", "USCONST", "FCONST", "ICONST", "BCONST", "XCONST"}
        if is_literal or token.name.endswith("COMMENT"):
            parts += [text[end : token.start], HIDDEN if is_literal else ""]
            end = token.end + 1
    return "".join([*parts, text[end:]])


def _without_literals_below(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _without_literals_below(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_literals_below(inner, key) for inner in value]
    if isinstance(value, str) and not key.endswith(_NAMES):
        return without_literals(value)
    return value
