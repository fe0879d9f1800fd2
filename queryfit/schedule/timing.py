"""Times at which a job runs, and their forms: cron's five fields and systemd's calendar."""

from __future__ import annotations

import re
from dataclasses import dataclass

from queryfit.errors import UsageError

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_EVERY = re.compile(r"([0-9]{1,4})\s*(m|min|h)")
_AT = re.compile(r"(?:(?P<day>[A-Za-z]+)\s+)?(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})")
_HOUR = 60  # minutes
_DAY = 24 * _HOUR
_LAST_HOUR, _LAST_MINUTE = 23, 59


@dataclass(frozen=True, slots=True)
class Every:
    """Again and again, `minutes` apart: a divisor of an hour, or whole hours that divide a day."""

    minutes: int

    def cron(self) -> str:
        if self.minutes < _HOUR:
            return f"{'*' if self.minutes == 1 else f'*/{self.minutes}'} * * * *"
        hours = self.minutes // _HOUR
        return f"0 {'*' if hours == 1 else f'*/{hours}'} * * *"

    def calendar(self) -> str:
        return f"*:0/{self.minutes}" if self.minutes < _HOUR else f"0/{self.minutes // _HOUR}:00"


@dataclass(frozen=True, slots=True)
class At:
    """Once a day, a week or a month. `weekday` is 0 for Monday; a month's job runs on its first day."""

    hour: int
    minute: int
    weekday: int | None = None
    is_monthly: bool = False

    def cron(self) -> str:
        day = "*" if self.weekday is None else str((self.weekday + 1) % 7)  # Sunday is 0
        return f"{self.minute} {self.hour} {'1' if self.is_monthly else '*'} * {day}"

    def calendar(self) -> str:
        day = "" if self.weekday is None else f"{_DAYS[self.weekday]} "
        return f"{day}*-*-{'01' if self.is_monthly else '*'} {self.hour:02}:{self.minute:02}:00"

    @property
    def since(self) -> str:
        """How far back a report goes that is made at these times."""
        if self.is_monthly:
            return "31d"
        return "1d" if self.weekday is None else "7d"


def parse_every(text: str) -> Every:
    """`5m`, `1h`. Raises UsageError for what a scheduler cannot say."""
    found = _EVERY.fullmatch(text.strip())
    minutes = int(found[1]) * (_HOUR if found[2] == "h" else 1) if found else 0
    fits = minutes and (_HOUR % minutes == 0 if minutes < _HOUR else minutes % _HOUR == 0 and _DAY % minutes == 0)
    if not fits or minutes >= _DAY:
        raise UsageError(
            f"--every {text!r} is no interval that divides an hour or a day", hint="1m, 5m, 10m, 15m, 30m, 1h, 6h …"
        )
    return Every(minutes)


def parse_at(text: str) -> At | None:
    """`Mon 07:00`, `daily 07:00`, `monthly 07:00`, `07:00`; None for `never`. Raises UsageError."""
    if text.strip().lower() == "never":
        return None
    found = _AT.fullmatch(text.strip())
    day = (found["day"] or "daily").lower() if found else ""
    names = [name.lower() for name in _DAYS]
    weekday = names.index(day[:3]) if day[:3] in names and day != "monthly" else None
    is_day = day in {"daily", "monthly"} or (weekday is not None and _long(weekday).startswith(day))
    if not found or not is_day or int(found["hour"]) > _LAST_HOUR or int(found["minute"]) > _LAST_MINUTE:
        raise UsageError(f"{text!r} is no time", hint='write "Mon 07:00", "daily 07:00", "monthly 07:00" or "never"')
    return At(int(found["hour"]), int(found["minute"]), weekday, is_monthly=day == "monthly")


def _long(weekday: int) -> str:
    return ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")[weekday]
