"""What a store holds, and what was merged in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from rich.text import Text

from queryfit import words
from queryfit.evidence.store import Capture, Unusable
from queryfit.history.chain import label, scope_of
from queryfit.history.compaction import Compaction, Merged
from queryfit.history.overview import Happening, Overview, Reach
from queryfit.render.escape import line
from queryfit.render.look import Look
from queryfit.render.phrases import counted
from queryfit.render.table import Column, ansi, console, table
from queryfit.render.values import to_json

MOST_EVENTS = 8  # of a scope; JSON has all of them
_MARGIN = 11
_KINDS = {
    "statements_reset": "statements reset",
    "counters_reset": "counters reset",
    "failed_over": "failed over",
    "setting_changed": "setting changed",
    "index_added": "index added",
    "index_dropped": "index dropped",
    "column_changed": "column changed",
}


def overview(found: Overview, captures: Sequence[Capture], look: Look, *, is_all: bool) -> str:
    """Each scope in a few lines, and the captures given as a table below."""
    parts = [_reach(reach, look) for reach in found.reaches]
    if captures:
        rest = len(found.captures) - len(captures)
        heading = f"the newest {len(captures)} captures; --all lists {rest:,} more" if rest else "captures"
        parts.append(f"{heading}\n\n{_listing(captures, look)}" if not is_all else _listing(captures, look))
    return "\n\n".join(parts)


def _reach(reach: Reach, look: Look) -> str:
    title = Text(line(reach.scope.label), style="bold")
    version = f", PostgreSQL {line(reach.version)}" if reach.version else ""
    title.append(f"  server {line(reach.scope.system_identifier)}{version}", style="dim")
    every = f", a capture every {_stretch(reach.usual)}" if reach.usual else ""
    held = [
        counted(reach.captures, "single capture") + f" ({counted(reach.fulls, 'full one')})",
        *([f"{counted(reach.hourly_days, 'day')} in hours"] if reach.hourly_days else []),
        *([f"{counted(reach.daily_days, 'day')} as a whole"] if reach.daily_days else []),
    ]
    rows: list[tuple[str, str]] = [
        ("reaches", f"{_time(reach.since)} to {_time(reach.until)} UTC ({_stretch(reach.until - reach.since)}){every}"),
        ("holds", f"{', '.join(held)}; {words.size(reach.size_bytes)}"),
        ("gaps", _gaps(reach.gaps)),
    ]
    left_out = len(reach.events) - MOST_EVENTS
    events = _events(reach.events[-MOST_EVENTS:])
    if left_out > 0:
        events.append(f"and {left_out} before; --format json has all of them")
    rows += [("events" if number == 0 else "", event) for number, event in enumerate(events or ["none of note"])]
    by = console(look)
    lines = [ansi(title, by).rstrip()]
    for name, text in rows:
        for number, part in enumerate(Text(text).wrap(by, max(look.width - _MARGIN - 2, 20))):
            margin = Text(f"  {'' if number else name:<{_MARGIN - 2}}", style="dim")
            lines.append(ansi(margin, by).rstrip("\n") + part.plain.rstrip())
    return "\n".join(lines)


def _gaps(gaps: Sequence[Happening]) -> str:
    if not gaps:
        return "none"
    longest = max(gaps, key=_length)
    return f"{len(gaps)}, the longest {_stretch(_length(longest))} from {_time(longest.at)}"


def _length(gap: Happening) -> timedelta:
    try:
        return datetime.fromisoformat(str(gap.now)) - gap.at
    except (ValueError, TypeError):
        return timedelta()


def _events(events: Iterable[Happening]) -> list[str]:
    return [
        " ".join(
            part
            for part in (
                f"{_time(event.at)} ",
                _KINDS.get(event.kind, event.kind),
                line(event.subject, 60) if event.subject else "",
                _change(event),
            )
            if part
        )
        for event in events
    ]


def _change(event: Happening) -> str:
    if event.kind in {"index_added", "index_dropped"}:
        return ""
    if event.before is None and event.now is None:
        return ""
    return f"{line(event.before or 'none', 40)} → {line(event.now or 'none', 40)}"


def _listing(captures: Sequence[Capture], look: Look) -> str:
    """A table of captures."""
    columns = [
        Column("capture", weight=1),
        Column("taken (UTC)"),
        Column("kind"),
        Column("size", is_number=True),
        Column("of", weight=2),
    ]
    rows = [
        [
            line(capture.name),
            line(str(capture.meta["captured_at"])[:16].replace("T", " ")),
            line(capture.kind),
            words.size(_bytes(capture)),
            line(label(scope_of(capture)) if capture.meta.get("scope") else capture.system_identifier),
        ]
        for capture in captures
    ]
    return table(columns, rows, look)


def overview_json(found: Overview, captures: Sequence[Capture], unusable: Sequence[Unusable]) -> str:
    """Each scope, the captures given with what capture.json says, and the folders that are none."""
    return to_json(
        {
            "scopes": [
                {
                    "system_identifier": reach.scope.system_identifier,
                    "scope": reach.scope.scope,
                    "label": reach.scope.label,
                    "since": reach.since,
                    "until": reach.until,
                    "interval_s": reach.usual.total_seconds() if reach.usual else None,
                    "captures": reach.captures,
                    "full_captures": reach.fulls,
                    "days_in_hours": reach.hourly_days,
                    "days": reach.daily_days,
                    "size_bytes": reach.size_bytes,
                    "gaps": [asdict(gap) for gap in reach.gaps],
                    "events": [asdict(event) for event in reach.events],
                }
                for reach in found.reaches
            ],
            "captures": [
                {"capture": capture.name, "folder": str(capture.folder), **capture.meta} for capture in captures
            ],
            "unusable": [{"folder": str(entry.folder), "reason": entry.reason} for entry in unusable],
        }
    )


def compaction(done: Compaction) -> str:
    """What was merged and removed, a line each; one line where there was nothing to do."""
    lines = [text for merged in done.merged for text in _merged(merged, is_dry=done.is_dry)]
    if not lines:
        return f"nothing to merge; the store holds {words.size(done.bytes_before)}"
    if not done.is_dry:
        lines.append(f"the store went from {words.size(done.bytes_before)} to {words.size(done.bytes_after)}")
    return "\n".join(lines)


def _merged(merged: Merged, *, is_dry: bool) -> list[str]:
    would = "would be " if is_dry else ""
    name = line(merged.label)
    said = []
    if merged.days:
        captures = counted(merged.captures, "capture")
        said.append(f"{name}: {counted(merged.days, 'day')} of {captures} {would}merged by the hour")
    if merged.days_of_hours:
        said.append(f"{name}: {counted(merged.days_of_hours, 'day')} of hours {would}merged to whole days")
    if merged.dropped_days:
        said.append(f"{name}: {counted(merged.dropped_days, 'day')} {would}dropped")
    if merged.removed_captures:
        said.append(f"{name}: {counted(merged.removed_captures, 'merged capture')} {would}removed")
    return said


def compaction_json(done: Compaction) -> str:
    return to_json(
        {
            "is_dry": done.is_dry,
            "bytes_before": done.bytes_before,
            "bytes_after": done.bytes_after,
            "merged": [asdict(merged) for merged in done.merged],
            "notes": done.notes,
            "unusable": [{"folder": str(entry.folder), "reason": entry.reason} for entry in done.unusable],
        }
    )


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _stretch(length: timedelta) -> str:
    return words.duration(length.total_seconds() * 1000)


def _bytes(capture: Capture) -> int:
    return sum(int(facts["bytes"]) for facts in capture.meta["tables"].values())
