"""Stretches of time as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from queryfit.errors import UsageError

_LENGTH = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*(m|min|h|d|w)")
_UNITS = {"m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_HINT = "write 36h, 7d, 2w, a date as 2026-11-01, or a time as 2026-11-01T08:00"


def parse_length(text: str) -> timedelta:
    """A stretch of time: `30min`, `36h`, `7d`, `2w`. Raises UsageError."""
    found = _LENGTH.fullmatch(text.strip().lower())
    if found is None or not float(found[1]):
        raise UsageError(f"{text!r} is no stretch of time", hint="write 30min, 36h, 7d or 2w")
    return timedelta(**{_UNITS[found[2]]: float(found[1])})


def parse_since(text: str, now: datetime, *, is_past: bool = True) -> datetime:
    """The moment that a window begins, in UTC: a stretch of time before `now`, a date or a time.

    A date or time without an offset is UTC, as the captures say theirs. Raises UsageError, with a hint. `is_past`:
    `now` is the present, and not the end of a window that somebody named.
    """
    try:
        if _LENGTH.fullmatch(text.strip().lower()):
            moment = now - parse_length(text)
        else:
            moment = datetime.fromisoformat(text.strip())
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is neither a stretch of time nor a date", hint=_HINT) from None
    if moment >= now:
        where = "in the past" if is_past else f"before the end of the window, {now.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        raise UsageError(f"{text!r} does not lie {where}", hint=_HINT)
    return moment
