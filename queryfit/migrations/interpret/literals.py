"""Constants against types: what PostgreSQL's input functions refuse for certain, in its own words.

A text is refused when the statement that holds it is parsed, whatever rows there are. What is not listed here, or
hangs on settings such as DateStyle, is let through.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_SPACE = " \t\n\v\f\r"
_INTEGERS = {"int2": ("smallint", 15), "int4": ("integer", 31), "int8": ("bigint", 63)}
_UNDERSCORES_SINCE = 16
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_INTEGER_OF_16 = re.compile(r"[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|[0-9](?:_?[0-9])*)")
_NUMBER = re.compile(r"[+-]?(?:[0-9.]|nan|inf)", re.IGNORECASE)
_PLAIN_NUMBER = re.compile(r"-?([0-9]*)(?:\.[0-9]*)?")
_UUID = re.compile(r"(\{?)(?:[0-9a-fA-F]{4}-?){7}[0-9a-fA-F]{4}(\}?)")
_FLAGS = frozenset(
    {word[:length] for word in ("true", "false", "yes", "no") for length in range(1, len(word) + 1)}
    | {"on", "of", "off", "1", "0"}
)
_HAS_DIGIT = re.compile("[0-9]")
_WORD_OF_TIME = re.compile("now|tod|tom|yes|epo|inf|all", re.IGNORECASE)
_DAY = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?=$|[ T])")
_NO_ADDRESS = re.compile(r"[^0-9a-fA-FxX:./%\s]")
_ARRAY = re.compile(r"\s*(?:\{|\[\s*[-+0-9])")
_TIMES = {
    "date": "date", "timestamp": "timestamp", "timestamptz": "timestamp with time zone", "time": "time",
    "timetz": "time with time zone", "interval": "interval",
}  # fmt: skip


def text_fault(name: str, text: str, version: int) -> str | None:
    """Why a text is no value of a built-in type, as the server says it; None where it may be one."""
    judge = _JUDGES.get(name)
    return judge(name, text, version) if judge is not None else None


def array_fault(text: str) -> str | None:
    """The same of an array of whatever type."""
    return None if _ARRAY.match(text) is not None else f'malformed array literal: "{text}"'


def length_fault(name: str, typmods: tuple[int | str, ...], text: str) -> str | None:
    """A text that is longer than its column; blanks at its end are cut off silently."""
    limit = typmods[0] if typmods else None
    if not isinstance(limit, int) or len(text) <= limit or not text[limit:].strip(" "):
        return None
    return f"value too long for type {_STRINGS[name]}({limit})"


def number_fault(name: str, typmods: tuple[int | str, ...], number: str) -> str | None:
    """A number that is beyond its column's type; those that only rounding carries over the limit are let through."""
    match = _PLAIN_NUMBER.fullmatch(number)
    if match is None:
        return None
    digits = match[1].lstrip("0")
    if name in _INTEGERS:
        word, bits = _INTEGERS[name]
        is_beyond = len(digits) > _LONGEST or int(digits or "0") > 2**bits
        return f"{word} out of range" if is_beyond else None
    if name == "numeric" and typmods and isinstance(typmods[0], int):
        scale = typmods[1] if len(typmods) > 1 else 0
        if isinstance(scale, int) and len(digits) > max(typmods[0] - scale, 0):
            return "numeric field overflow"
    return None


_LONGEST = 20  # digits: more are beyond every integer
_STRINGS = {"varchar": "character varying", "bpchar": "character"}
HAS_LENGTH = frozenset(_STRINGS)


def _integer(name: str, text: str, version: int) -> str | None:
    word, bits = _INTEGERS[name]
    number = text.strip(_SPACE)
    is_of_16 = version >= _UNDERSCORES_SINCE
    if (_INTEGER_OF_16 if is_of_16 else _INTEGER).fullmatch(number) is None:
        return f'invalid input syntax for type {word}: "{text}"'
    if not number.lstrip("+-").isdigit():
        return None
    digits = number.lstrip("+-").lstrip("0") or "0"
    limit = 2**bits if number[0] == "-" else 2**bits - 1
    if len(digits) > _LONGEST or int(digits) > limit:
        return f'value "{text}" is out of range for type {word}'
    return None


def _number(name: str, text: str, version: int) -> str | None:
    del version
    if _NUMBER.match(text.strip(_SPACE)) is not None and "," not in text:
        return None
    word = {"numeric": "numeric", "float4": "real", "float8": "double precision"}[name]
    return f'invalid input syntax for type {word}: "{text}"'


def _flag(name: str, text: str, version: int) -> str | None:
    del name, version
    return None if text.strip(_SPACE).lower() in _FLAGS else f'invalid input syntax for type boolean: "{text}"'


def _uuid(name: str, text: str, version: int) -> str | None:
    del name, version
    match = _UUID.fullmatch(text)
    if match is not None and len(match[1]) == len(match[2]):
        return None
    return f'invalid input syntax for type uuid: "{text}"'


def _time(name: str, text: str, version: int) -> str | None:
    del version
    if _HAS_DIGIT.search(text) is None:
        is_period = name == "interval" and (text[:1] in {"P", "p"} or "." in text)  # of no length
        if not is_period and _WORD_OF_TIME.search(text) is None:
            return f'invalid input syntax for type {_TIMES[name]}: "{text}"'
    elif name in _DAYS and "bc" not in text.lower() and (match := _DAY.match(text)) is not None:
        year, month, day = map(int, match.groups())
        if not 0 < month <= _MONTHS or not 0 < day <= _days(year, month):
            return f'date/time field value out of range: "{text}"'
    return None


_DAYS = frozenset({"date", "timestamp", "timestamptz"})
_MONTHS = 12
_FEBRUARY = 2
_SHORT = frozenset({4, 6, 9, 11})


def _days(year: int, month: int) -> int:
    """The most days that the month may have; of February in that year of our era."""
    if month == _FEBRUARY:
        return 29 if year % 4 == 0 and (year % 100 or year % 400 == 0) else 28
    return 30 if month in _SHORT else 31


def _json(name: str, text: str, version: int) -> str | None:
    del name, version
    import json  # noqa: PLC0415 -- few migrations hold a document

    try:
        json.loads(text, parse_int=str, parse_float=str)
    except RecursionError:
        return None
    except ValueError:
        return "invalid input syntax for type json"
    return None


def _address(name: str, text: str, version: int) -> str | None:
    del version
    return f'invalid input syntax for type {name}: "{text}"' if _NO_ADDRESS.search(text) is not None else None


_JUDGES: dict[str, Callable[[str, str, int], str | None]] = {
    **dict.fromkeys(_INTEGERS, _integer),
    **dict.fromkeys(("numeric", "float4", "float8"), _number),
    "bool": _flag,
    "uuid": _uuid,
    **dict.fromkeys(_TIMES, _time),
    "json": _json,
    "jsonb": _json,
    "inet": _address,
    "cidr": _address,
}
