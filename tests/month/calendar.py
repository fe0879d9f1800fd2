"""When what happens in the month: October 2026, its captures, and the events between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

YEAR, MONTH = 2026, 10
DAYS = 31
FIRST_HOUR = 3  # of a day's first capture, the full one
DAY_WITHOUT_CAPTURES = 27
SUNDAY_WEIGHT = 0.5
NIGHT_WEIGHT, DAY_WEIGHT = 0.25, 1.375  # of an hour; together 24 a day
NIGHT_ENDS = 8

Kind = Literal["sample", "full"]


def day(number: float, hour: float = 0) -> datetime:
    """The beginning of a day of the month (1 is the first), or an hour of it; UTC."""
    return datetime(YEAR, MONTH, 1, tzinfo=UTC) + timedelta(days=number - 1, hours=hour)


START = day(1)
END = day(DAYS + 1, FIRST_HOUR)


@dataclass(frozen=True, slots=True)
class Planned:
    """An event of the story: `name` is a method of the month that makes it happen."""

    at: datetime
    name: str


EVENTS = (
    Planned(day(4, 5), "analyze"),  # a Sunday
    Planned(day(5, 10.5), "reset_counters"),
    Planned(day(8, 9.25), "reset_statements"),
    Planned(day(9, 13), "close_books"),
    Planned(day(10, 13.75), "close_books"),  # no capture sees it
    Planned(day(10, 14), "burst_of_odd_statements"),
    Planned(day(12, 10), "drop_index"),
    Planned(day(13, 16), "change_setting"),
    Planned(day(15, 4.5), "restart"),
    Planned(day(16, 13), "close_books"),
    Planned(day(17, 12.25), "crash"),
    Planned(day(18, 5), "analyze"),
    Planned(day(20, 9), "follow_advice"),
    Planned(day(22, 8), "release"),
    Planned(day(23, 13), "close_books"),
)


@dataclass(frozen=True, slots=True)
class Slot:
    """The time from one capture to the next, and the kind of the one that ends it."""

    started_at: datetime
    ended_at: datetime
    kind: Kind


def slots(captures_a_day: int) -> list[Slot]:
    """The month's captures, oldest first: the day's first is full, one day has none."""
    ends: list[tuple[datetime, Kind]] = []
    for number in range(1, DAYS + 1):
        if number != DAY_WITHOUT_CAPTURES:
            ends += [
                (day(number, FIRST_HOUR + 24 / captures_a_day * place), "sample" if place else "full")
                for place in range(captures_a_day)
            ]
    ends.append((END, "full"))
    starts = [START, *(end for end, _ in ends)]
    return [Slot(start, end, kind) for start, (end, kind) in zip(starts, ends, strict=False)]


def visits(per_day: int, started_at: datetime, ended_at: datetime, *, is_even: bool) -> int:
    """How often a page is visited between two moments; sums over the parts of a time are those of the whole."""
    return _visits_until(per_day, ended_at, is_even=is_even) - _visits_until(per_day, started_at, is_even=is_even)


def _visits_until(per_day: int, moment: datetime, *, is_even: bool) -> int:
    hours = (moment - START).total_seconds() / 3600
    if is_even:
        return int(per_day * hours / 24)
    days, weight = int(hours // 24), 0.0
    for number in range(days):
        weight += 24 * _weight_of_day(number)
    rest = hours - 24 * days
    night = min(rest, NIGHT_ENDS) * NIGHT_WEIGHT + max(rest - NIGHT_ENDS, 0) * DAY_WEIGHT
    return int(per_day * (weight + night * _weight_of_day(days)) / 24)


def _weight_of_day(number: int) -> float:
    return SUNDAY_WEIGHT if (START + timedelta(days=number)).weekday() >= 5 else 1.0
