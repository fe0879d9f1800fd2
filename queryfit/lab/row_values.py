"""Values of a column made from its statistics, by number: the same number gives the same value.

`drawn` follows the distribution (common values, histogram), `nth` counts through different values in order. Where a
capture holds no values (redacted, never analyzed), types, widths and counts of distinct values have to do.
"""

from __future__ import annotations

import bisect
import json
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from math import log, log1p
from typing import Any

from queryfit.lab.table_facts import ColumnFacts

_MASK = (1 << 64) - 1
_WORDS = (
    "time",
    "order",
    "client",
    "state",
    "market",
    "report",
    "account",
    "value",
    "group",
    "water",
    "policy",
    "level",
)
_LETTERS = string.ascii_lowercase
_DIGITS = string.digits + _LETTERS
_RESOLUTION = {"date": 86400.0, "timestamp": 1e-6, "timestamptz": 1e-6}
_WHOLE = {"int2": 32767, "int4": 2**31 - 1, "int8": 2**63 - 1, "oid": 2**32 - 1}
_TEXTS = {"text", "varchar", "bpchar", "citext", "name"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = datetime(2020, 1, 1, tzinfo=UTC)


def mixed(seed: int, number: int) -> int:
    """64 bits that look random and depend on both alone (splitmix64)."""
    state = (seed + (number + 1) * 0x9E3779B97F4A7C15) & _MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    return state ^ (state >> 31)


def fraction(seed: int, number: int) -> float:
    """The same as a number from 0 up to 1."""
    return mixed(seed, number) / 2**64


@dataclass(frozen=True)
class Values:
    """Values of one column as PostgreSQL reads them, of a table of `rows` rows."""

    column: ColumnFacts
    rows: float
    seed: int = 0
    labels: tuple[str, ...] = ()  # of an enum
    json_keys: tuple[str, ...] = ()  # that statements ask for

    @cached_property
    def distinct(self) -> int:
        """How many different values there are."""
        known = self.column.distinct_in(self.rows)
        if known is not None:
            return max(1, round(known))
        return 2 if self.column.category == "B" else len(self.labels) or max(1, round(self.rows))

    @cached_property
    def _elements(self) -> tuple[tuple[str, float], ...]:
        """Common elements of arrays and words of texts, with the share of the rows that have them."""
        return tuple(zip(self.column.common_elements, self.column.element_frequencies, strict=False))

    @cached_property
    def _by_share(self) -> list[tuple[float, int]]:
        """Shares of the common elements with their places, the most common one first."""
        return sorted(((share, place) for place, (_, share) in enumerate(self._elements)), reverse=True)

    @cached_property
    def _rare_elements(self) -> int:
        """How many elements a row has beside the common ones."""
        return max(0, round((self.column.element_count or 0) - sum(share for share, _ in self._by_share)))

    @cached_property
    def others(self) -> int:
        """How many of them are not among the common ones."""
        return max(0, self.distinct - len(self.column.common_frequencies))

    @cached_property
    def _steps(self) -> tuple[list[float], list[str | None]]:
        """Upper ends of shares of the rows, in the order of values: a common value, or (null) a part of the others."""
        column = self.column
        common = list(zip(column.common_values, column.common_frequencies, strict=False))
        if not common and column.common_frequencies:  # redacted
            common = [
                (self.nth(number, self.distinct), share) for number, share in enumerate(column.common_frequencies)
            ]
        rest = max(0.0, 1.0 - (column.null_fraction or 0.0) - sum(share for _, share in common))
        parts: list[tuple[Any, str | None, float]] = [(self._order(value), value, share) for value, share in common]
        if self.others > 0 or not common:
            bounds = column.histogram if len(column.histogram) > 1 else ("",)
            ends = [self._order(bound) for bound in bounds[:-1]] or [self._order("")]
            parts += [(end, None, rest / len(ends)) for end in ends]
        parts.sort(key=lambda part: (part[0], part[1] is None))
        whole, below, ends_at = sum(part[2] for part in parts) or 1.0, 0.0, []
        for _, _, share in parts:
            below += share / whole
            ends_at.append(below)
        return ends_at, [value for _, value, _ in parts]

    @cached_property
    def _tail_before(self) -> list[float]:
        """How much of the others' share lies below each step."""
        ends, values = self._steps
        starts, before = [0.0, *ends[:-1]], 0.0
        found = []
        for start, end, value in zip(starts, ends, values, strict=True):
            found.append(before)
            before += end - start if value is None else 0.0
        return [share / before if before else 0.0 for share in [*found, before]]

    def _order(self, value: str) -> tuple[int, float, str]:
        number = _number(value, self.column.type)
        return (0, number, "") if number is not None else (1, 0.0, value)

    def drawn(self, point: float) -> str:
        """The value below which a share `point` (0 to 1) of the rows lies, nulls aside."""
        if self._elements:
            return self._collection(int(point * 2**52))
        ends, values = self._steps
        at = min(bisect.bisect_left(ends, point), len(ends) - 1)
        value = values[at]
        if value is not None:
            return value
        start = ends[at - 1] if at else 0.0
        inside = (point - start) / max(ends[at] - start, 1e-12)
        low, high = self._tail_before[at], self._tail_before[at + 1]
        count = max(1, self.others)
        return self.nth(min(count - 1, int((low + (high - low) * inside) * count)), count)

    def nth(self, number: int, count: int, *, is_unique: bool = False) -> str:
        """Value `number` of `count` different ones, in order where the type has one."""
        column = self.column
        if column.category == "E" or self.labels:
            return self.labels[number % len(self.labels)] if self.labels else ""
        if column.type == "bool":
            return "tf"[number % 2]
        if (
            column.type in _WHOLE
            or column.type in {"numeric", "float4", "float8", "money"}
            or column.type in _RESOLUTION
        ):
            return self._ordered(number, count, is_unique=is_unique)
        if column.type in _TEXTS:
            return self._text(number, count, is_unique=is_unique)
        return self._other(number)

    @cached_property
    def _bounds(self) -> list[float]:
        """The histogram's bounds as numbers."""
        return [value for bound in self.column.histogram if (value := _number(bound, self.column.type)) is not None]

    @cached_property
    def _common_in_order(self) -> list[str]:
        return sorted(self.column.common_values, key=self._order)

    def _ordered(self, number: int, count: int, *, is_unique: bool) -> str:
        type_name, bounds = self.column.type, self._bounds
        if len(bounds) < 2 and is_unique and self.column.common_values:  # noqa: PLR2004
            ordered = self._common_in_order
            if number < len(ordered):
                return ordered[number]
        if len(bounds) < 2:  # noqa: PLR2004
            return _printed(self._made_up(number), type_name, self._scale)
        place = (number + 0.5) / count * (len(bounds) - 1)
        at = min(int(place), len(bounds) - 2)
        value = bounds[at] + (bounds[at + 1] - bounds[at]) * (place - at)
        if is_unique:
            step = _RESOLUTION.get(type_name, 1.0 if type_name in _WHOLE else 10.0**-self._scale)
            span = bounds[-1] - bounds[0]
            if span < step * count:
                return _printed(bounds[0] + step * number, type_name, self._scale)
            # even steps do not meet, parts of a histogram might
            value = bounds[0] + span * number / count
        return _printed(value, type_name, self._scale)

    def _made_up(self, number: int) -> float:
        if self.column.type == "date":
            return (_FIRST - _EPOCH).total_seconds() + 86400.0 * number
        if self.column.type in _RESOLUTION:
            return (_FIRST - _EPOCH).total_seconds() + 3600.0 * number
        # widths say how long the numbers are, nothing says where they begin
        return float(number + 1) % _WHOLE.get(self.column.type, 10**15)

    @cached_property
    def _scale(self) -> int:
        """Digits behind the point."""
        declared = re.search(r",\s*(\d+)\)", self.column.declared)
        if declared:
            return int(declared[1])
        known = [*self.column.common_values[:20], *self.column.histogram[:20]]
        return max((len(value.partition(".")[2]) for value in known), default=2 if self.column.type == "numeric" else 6)

    @cached_property
    def _limit(self) -> int | None:
        """Characters that a varchar(n) or char(n) takes."""
        found = re.search(r"char(?:acter)?(?: varying)?\((\d+)\)", self.column.declared)
        return int(found[1]) if found else None

    @cached_property
    def _texts(self) -> tuple[str, ...]:
        return self.column.histogram

    @cached_property
    def _vocabulary(self) -> tuple[str, ...]:
        words = [word for value in (*self.column.histogram, *self.column.common_values) for word in value.split()]
        return tuple(words) or tuple(_WORDS)

    def _text(self, number: int, count: int, *, is_unique: bool) -> str:
        column, limit, bounds = self.column, self._limit, self._texts
        template = bounds[min(len(bounds) - 1, number * len(bounds) // max(1, count))] if bounds else ""
        if not template:
            width = max(1, round((column.average_width or 16.0) - (1 if (column.average_width or 0) < 128 else 4)))  # noqa: PLR2004
            template = self._sentence(number, width)
        elif " " in template.strip() and count > len(bounds):
            first = template.split(" ", 1)[0]
            template = f"{first} {self._sentence(number, len(template) - len(first) - 1)}"
        elif count > len(bounds):
            template = _varied(template, mixed(self.seed, number), keep=2 if len(template) > 4 else 0)  # noqa: PLR2004
        if is_unique:
            mark = _in_base_36(number, max(count, 2))
            template = template[: max(0, min(len(template), limit or len(template)) - len(mark))] + mark
        return template[:limit] if limit else template

    def _sentence(self, number: int, width: int) -> str:
        parts: list[str] = []
        length, turn = 0, 0
        while length < width and turn < width:
            word = self._vocabulary[mixed(self.seed ^ number, turn) % len(self._vocabulary)]
            parts.append(word)
            length += len(word) + 1
            turn += 1
        return " ".join(parts)[: max(width, 0)]

    def _collection(self, number: int) -> str:
        """An array, or a tsvector, with the common elements as often as they occur, and rare ones beside them."""
        column = self.column
        chosen = [self._elements[place][0] for place in sorted(self._common_places(number))]
        for turn in range(self._rare_elements):
            model = self._elements[mixed(number, turn) % len(self._elements)][0]
            chosen.append(_varied(model, mixed(self.seed ^ number, turn + 7919), keep=0))
        if column.type == "tsvector":
            return " ".join(f"{_quoted_lexeme(word)}:{place}" for place, word in enumerate(chosen, 1))
        return "{" + ",".join(_quoted_element(element) for element in chosen) + "}"

    def _common_places(self, number: int) -> Iterator[int]:
        """The common elements that a row has, each with its own probability and independent of the others.

        From the most common one on, and over those that it surely has not: a row has a few of the thousand words.
        """
        seed, turn, at, end = self.seed ^ number, 0, 0, len(self._by_share)
        while at < end and (most := self._by_share[at][0]) > 0.0:  # none that follows is more common
            if most < 1.0:
                at += int(min(end, log(max(1.0 - fraction(seed, turn), 2**-64)) / log1p(-most)))
            if at < end:
                share, place = self._by_share[at]
                if fraction(seed, turn + 1) * most < share:
                    yield place
            turn, at = turn + 2, at + 1

    def _other(self, number: int) -> str:  # noqa: PLR0911 -- one a type
        column, bits = self.column, mixed(self.seed, number)
        kind = column.type
        if kind == "uuid":
            digits = f"{bits:016x}{mixed(self.seed + 1, number):016x}"
            return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
        if kind in {"jsonb", "json"}:
            return self._document(number)
        if kind == "bytea":
            return "\\x" + self._hex(number, max(1, round((column.average_width or 17) - 1)))
        if kind in {"inet", "cidr"} and not column.histogram:
            return f"10.{bits >> 16 & 255}.{bits >> 8 & 255}.{bits & 255}"
        if column.category == "R":
            return self._range(number)
        known = column.histogram or column.common_values
        if kind in {"inet", "cidr"}:
            parts = known[number % len(known)].partition("/")[0].split(".")
            return ".".join([*parts[:2], str(bits >> 8 & 255), str(bits & 255)]) if len(parts) == 4 else known[0]  # noqa: PLR2004
        if known:
            return known[bits % len(known)]
        return _NEUTRAL.get(kind, "{}" if column.category == "A" else "")

    def _hex(self, number: int, width: int) -> str:
        return "".join(f"{mixed(self.seed ^ part, number):016x}" for part in range(-(-width // 8)))[: 2 * width]

    @cached_property
    def _documents(self) -> list[Any]:
        found = []
        for text in (*self.column.histogram, *self.column.common_values):
            try:
                found.append(json.loads(text))
            except ValueError:
                continue
        return found

    def _document(self, number: int) -> str:
        """A document like one of the statistics, its leaves from any of them; else one with the keys asked for."""
        bits = mixed(self.seed, number)
        if not self._documents:
            keys = self.json_keys or ("id", "name", "state")
            made: dict[str, Any] = {key: self._sentence(number ^ place, 8) for place, key in enumerate(keys)}
            made["id"] = number
            return json.dumps(made)
        model = self._documents[bits % len(self._documents)]
        other = self._documents[(bits >> 24) % len(self._documents)]
        if isinstance(model, dict) and isinstance(other, dict):
            return json.dumps(
                {
                    key: _leaf(other.get(key, value), mixed(bits, place))
                    for place, (key, value) in enumerate(model.items())
                }
            )
        return json.dumps(model)

    def _range(self, number: int) -> str:
        """A range of the statistics, or a short one of the subtype."""
        known = self.column.histogram or self.column.common_values
        if not known and self.column.range_bounds_text:
            known = tuple(re.findall(r"\"([\[(](?:[^\"\\]|\\.)*)\"", self.column.range_bounds_text))
            known = tuple(text.replace('\\"', '"').replace("\\", "") for text in known)
        if known:
            return known[mixed(self.seed, number) % len(known)]
        if self.column.type in {"int4range", "int8range", "numrange"}:
            return f"[{number},{number + 1 + mixed(self.seed, number) % 100})"
        day = _FIRST + timedelta(hours=number % 10**6)
        end = day + timedelta(days=1 + mixed(self.seed, number) % 30)
        layout = "%Y-%m-%d" if self.column.type == "daterange" else "%Y-%m-%d %H:%M:%S"
        return f"[{day:{layout}},{end:{layout}})" if self.column.type.endswith("range") else "empty"


_NEUTRAL = {
    "time": "12:00", "timetz": "12:00+00", "interval": "1 day", "point": "(0,0)", "box": "(1,1),(0,0)",
    "macaddr": "08:00:2b:01:02:03", "macaddr8": "08:00:2b:01:02:03:04:05", "bit": "0", "varbit": "1", "xml": "<a/>",
    "tsvector": "word", "pg_lsn": "0/1", "circle": "<(0,0),1>", "polygon": "((0,0),(1,1),(1,0))", "char": "x",
    "lseg": "[(0,0),(1,1)]", "path": "((0,0),(1,1))", "line": "{1,1,1}", "tid": "(0,1)", "xid": "1",
}  # fmt: skip


def _number(value: str, type_name: str) -> float | None:
    """A value as a number that can be interpolated: itself, or seconds since 1970."""
    try:
        if type_name == "date":
            return (date.fromisoformat(value) - _EPOCH.date()).total_seconds()
        if type_name in {"timestamp", "timestamptz"}:
            moment = datetime.fromisoformat(value)
            return (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH).total_seconds()
        if type_name in _WHOLE or type_name in {"numeric", "float4", "float8"}:
            number = float(value)
            return number if abs(number) < float("inf") else None
    except ValueError:
        pass
    return None


def _printed(number: float, type_name: str, scale: int) -> str:
    if type_name in _WHOLE:
        return str(min(round(number), _WHOLE[type_name]))
    if type_name == "date":
        return (_EPOCH + timedelta(seconds=number)).date().isoformat()
    if type_name in _RESOLUTION:
        moment = (_EPOCH + timedelta(seconds=number)).replace(tzinfo=None)
        return moment.isoformat(sep=" ") + ("+00" if type_name == "timestamptz" else "")
    return f"{number:.{scale}f}" if type_name in {"numeric", "money"} else repr(number)


def _varied(text: str, bits: int, *, keep: int) -> str:
    """The text with other digits, or other letters where it has none, beyond its first `keep` characters."""
    has_digits = any(character in string.digits for character in text[keep:])
    made = []
    for place, character in enumerate(text):
        if place < keep:
            made.append(character)
        elif character in string.digits:
            made.append(string.digits[mixed(bits, place) % 10])
        elif not has_digits and character.lower() in _LETTERS:
            letter = _LETTERS[mixed(bits, place) % 26]
            made.append(letter.upper() if character.isupper() else letter)
        else:
            made.append(character)
    return "".join(made)


def _leaf(value: Any, bits: int) -> Any:
    """Another value of the kind, about as large."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value + bits % max(2, abs(value) // 50 + 1) if abs(value) > 1000 else value  # noqa: PLR2004
    return value


def _in_base_36(number: int, count: int) -> str:
    """Digits and letters, as many as the greatest of `count` numbers takes."""
    digits, largest = "", count - 1
    while largest or not digits:
        digits = _DIGITS[number % 36] + digits
        number, largest = number // 36, largest // 36
    return digits


def _quoted_element(element: str) -> str:
    return '"' + element.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _quoted_lexeme(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"
