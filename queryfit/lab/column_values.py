"""Values of a column that its statistics name: common ones, those of the middle, rare ones; bounds of ranges."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queryfit.lab.table_facts import ColumnFacts

SEVERAL = 5  # values of a list whose length is not known
_SHARES = {"common": 0.25, "median": 0.05, "rare": 0.01}
_TIMES = frozenset({"date", "timestamp", "timestamptz"})
_NUMBERS = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8", "oid", "money"})


class Level(StrEnum):
    """How many rows a value stands for."""

    COMMON = "common"
    MEDIAN = "median"
    RARE = "rare"

    @property
    def share(self) -> float:
        """Share of the rows that a range of this level holds."""
        return _SHARES[self.value]


LEVELS = tuple(Level)


def equal(column: ColumnFacts, level: Level, order: int = 0) -> str | None:
    """A value to be equal to; `order` tells the values of one list apart."""
    common, histogram = column.common_values, column.histogram
    if not common and not histogram:
        return None
    if level == Level.COMMON and common:
        return common[order % len(common)]
    if level == Level.MEDIAN or not common:
        values: Sequence[str] = histogram or common
        return values[(len(values) // 2 + order) % len(values)]
    # what is no common value is as rare as the column has it
    values = histogram[1:-1] or histogram or common
    return values[(len(values) // 3 - order) % len(values)] if histogram else values[-1 - order % len(values)]


def several(column: ColumnFacts, level: Level) -> str | None:
    """An array of values, as text."""
    values = [equal(column, level, order) for order in range(SEVERAL)]
    known = dict.fromkeys(value for value in values if value is not None)
    if not known:
        return None
    return "{" + ",".join('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in known) + "}"


def quantile(column: ColumnFacts, share: float) -> str | None:
    """The value below which this share of the rows lies, but for common values."""
    bounds = column.histogram or _sorted(column)
    if not bounds:
        return None
    return bounds[round(share * (len(bounds) - 1))]


def window(column: ColumnFacts, level: Level) -> tuple[str | None, str | None]:
    """Two bounds with this level's share of the rows between: the newest of a date, the middle of others."""
    end = 1.0 if column.type in _TIMES else 0.5 + level.share / 2
    return quantile(column, end - level.share), quantile(column, end)


def pattern(column: ColumnFacts, level: Level) -> str | None:
    """A pattern for LIKE: a part in the middle, a short beginning, a long one."""
    value = equal(column, Level.MEDIAN)
    if not value:
        return None
    middle = len(value) // 3
    parts = {
        Level.COMMON: ("%", value[middle : middle + 3], "%"),
        Level.MEDIAN: ("", value[:3], "%"),
        Level.RARE: ("", value[: max(3, len(value) * 2 // 3)], "%"),
    }
    before, part, after = parts[level]
    escaped = part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"{before}{escaped}{after}"


def seconds_before_now(column: ColumnFacts, level: Level) -> int | None:
    """How long ago the newest rows of this level's share begin; None for what is no time."""
    value = quantile(column, 1 - level.share) if column.type in _TIMES else None
    moment = _moment(value) if value is not None else None
    if moment is None:
        return None
    return max(1, int((datetime.now(UTC) - moment).total_seconds()))


def _moment(value: str) -> datetime | None:
    try:
        if len(value) == len("2020-01-01"):
            day = date.fromisoformat(value)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _sorted(column: ColumnFacts) -> list[str]:
    """Common values in order, for a column that has no others."""
    try:
        return sorted(column.common_values, key=float if column.type in _NUMBERS else str)
    except ValueError:
        return []
