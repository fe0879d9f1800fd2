"""Times read the same in every scheduler."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from queryfit.errors import UsageError
from queryfit.schedule.timing import At, Every, parse_at, parse_every


@pytest.mark.parametrize(
    ("text", "minutes", "cron", "calendar"),
    [
        ("1m", 1, "* * * * *", "*:0/1"),
        ("5m", 5, "*/5 * * * *", "*:0/5"),
        ("30min", 30, "*/30 * * * *", "*:0/30"),
        ("1h", 60, "0 * * * *", "0/1:00"),
        ("6h", 360, "0 */6 * * *", "0/6:00"),
        ("120m", 120, "0 */2 * * *", "0/2:00"),
    ],
)
def test_intervals(text: str, minutes: int, cron: str, calendar: str) -> None:
    every = parse_every(text)
    assert (every, every.cron(), every.calendar()) == (Every(minutes), cron, calendar)


@pytest.mark.parametrize(
    "text", ["7m", "0m", "90m", "5h", "24h", "1d", "5", "-5m", "5m; reboot", "", "99999m", "\u0665m"]
)
def test_an_interval_that_no_clock_shows(text: str) -> None:
    with pytest.raises(UsageError):
        parse_every(text)


@pytest.mark.parametrize(
    ("text", "at", "cron", "calendar", "since"),
    [
        ("Mon 07:00", At(7, 0, 0), "0 7 * * 1", "Mon *-*-* 07:00:00", "7d"),
        ("sunday 23:59", At(23, 59, 6), "59 23 * * 0", "Sun *-*-* 23:59:00", "7d"),
        ("Thurs 7:05", At(7, 5, 3), "5 7 * * 4", "Thu *-*-* 07:05:00", "7d"),
        ("daily 00:00", At(0, 0), "0 0 * * *", "*-*-* 00:00:00", "1d"),
        ("6:30", At(6, 30), "30 6 * * *", "*-*-* 06:30:00", "1d"),
        ("monthly 07:00", At(7, 0, is_monthly=True), "0 7 1 * *", "*-*-01 07:00:00", "31d"),
    ],
)
def test_times(text: str, at: At, cron: str, calendar: str, since: str) -> None:
    assert parse_at(text) == at
    assert (at.cron(), at.calendar(), at.since) == (cron, calendar, since)
    if shutil.which("systemd-analyze"):
        subprocess.run(["systemd-analyze", "calendar", calendar], check=True, capture_output=True)


def test_never() -> None:
    assert parse_at("never") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Mon",
        "24:00",
        "07:60",
        "Moon 07:00",
        "Mo 07:00",
        "m 07:00",
        "Mon 7",
        "Mon 07:00\n* * * * * reboot",
        "x 07:00",
    ],
)
def test_a_time_that_is_none(text: str) -> None:
    with pytest.raises(UsageError):
        parse_at(text)
