"""How numbers read: the unit stands in the column's name, so the name decides the form."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_KILO = 1000
_KIBI = 1024


def placeholders(template: str) -> set[str]:
    """Names of the columns that a template uses."""
    return set(_PLACEHOLDER.findall(template))


def fill(template: str, row: Mapping[str, Any]) -> str:
    """The template with every `{column}` replaced by its value in words; null reads as `unknown`.

    Only plain names are replaced: a template from a stranger cannot reach attributes.
    """
    parts = [*_split(template)]
    parts[1::2] = [in_words(name, row.get(name)) for name in parts[1::2]]
    return "".join(parts)


def substitute(template: str | None, row: Mapping[str, Any]) -> str | None:
    """SQL with every `{column}` replaced by its value as it is; None where there is no template or a value is null."""
    if template is None:
        return None
    parts = [*_split(template)]
    values = [row.get(name) for name in parts[1::2]]
    if None in values:
        return None
    parts[1::2] = map(str, values)
    return _kept_in_comments(template, parts) if "--" in template else "".join(parts)


def _kept_in_comments(template: str, parts: list[str]) -> str:
    """The parts together: behind `--` a line break in a name would end the comment and begin a statement."""
    before = ""
    for place, text in enumerate(_split(template)):
        if place % 2:
            if "--" in before.rpartition("\n")[2]:
                parts[place] = " ".join(re.split(r"[\x00-\x1f\x7f\x85\u2028\u2029]+", parts[place]))
            before += f"{{{text}}}"
        else:
            before += text
    return "".join(parts)


@lru_cache(maxsize=1 << 10)  # every finding of a rule has the same
def _split(template: str) -> tuple[str, ...]:
    """Texts and names of columns by turns."""
    return tuple(_PLACEHOLDER.split(template))


def in_words(name: str, value: object) -> str:  # noqa: PLR0911 -- one kind of value after the other
    """A value as a person reads it, by the unit at the end of its column's name."""
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if not isinstance(value, int | float):
        return str(value)
    for unit, form in _FORMS.items():
        if name.endswith(unit):
            return form(float(value))
    return number(float(value))


def duration(ms: float) -> str:
    """Milliseconds as `0.4 ms`, `12 s`, `3.5 min`, `2.1 h` or `12 days`."""
    sign, ms = ("-" if ms < 0 else ""), abs(ms)
    for limit, divisor, unit in (
        (1_000, 1, "ms"),
        (120_000, 1_000, "s"),
        (7_200_000, 60_000, "min"),
        (172_800_000, 3_600_000, "h"),
    ):
        if ms < limit:
            return f"{sign}{_short(ms / divisor)} {unit}"
    return f"{sign}{_short(ms / 86_400_000)} days"


def size(value: float) -> str:
    """Bytes with binary multiples: `512 B`, `48 MB`, `1.5 GB`; MB is 2^20 bytes."""
    sign, value = ("-" if value < 0 else ""), abs(value)
    for unit in ("B", "kB", "MB", "GB"):
        if value < _KIBI:
            return f"{sign}{_short(value)} {unit}"
        value /= _KIBI
    return f"{sign}{_short(value)} TB"


def number(value: float) -> str:
    """A count: exact up to 9,999, then `12 k`, `3.4 M`, `1.2 G`."""
    sign, value = ("-" if value < 0 else ""), abs(value)
    if value < 10 * _KILO:
        return f"{sign}{_short(value)}"
    for unit in ("k", "M", "G"):
        value /= _KILO
        if value < _KILO:
            return f"{sign}{_short(value)} {unit}"
    return f"{sign}{_short(value / _KILO)} T"


def percent(share: float) -> str:
    """A share from 0 to 1 as a percentage."""
    most = sys.float_info.max / 100  # a hundred times more is no number any longer
    return f"{_short(max(-most, min(share, most)) * 100)} %"


def _short(value: float) -> str:
    """Two significant digits below 10, none behind the point above."""
    if value >= 9.95 or value == int(value):  # noqa: PLR2004 -- 9.96 would print as 10.0
        return f"{value:,.0f}"
    if value >= 0.1:  # noqa: PLR2004
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:.2g}"


# longest suffix first where one ends with another
_FORMS: dict[str, Callable[[float], str]] = {
    "_ms_per_day": lambda value: f"{duration(value)}/day",
    "_bytes_per_day": lambda value: f"{size(value)}/day",
    "_per_day": lambda value: f"{number(value)}/day",
    "pid": lambda value: f"{value:.0f}",
    "_per_call": number,
    "_share": percent,
    "_fraction": percent,
    "_percent": lambda value: f"{_short(value)} %",
    "_bytes": size,
    "_ms": duration,
    "window_s": lambda value: duration(value * 1000),
    "_seconds": lambda value: duration(value * 1000),
    "_s": lambda value: duration(value * 1000),
    "days_left": lambda value: f"{_short(value)} days",
    "_blocks": lambda value: size(value * 8192),
}
