"""The charts of a report with what stands around them: title, unit, legend, words for who cannot see them, table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from queryfit import words
from queryfit.render import palette, report_tables
from queryfit.render import report_phrases as say
from queryfit.render.charts import Chart, unit
from queryfit.render.escape import line
from queryfit.report.model import Content, Timeline

MOST_LABEL = 110
_MARKS = {
    "statements_reset": "reset",
    "counters_reset": "reset",
    "restarted": "restart",
    "crashed": "crash",
    "failed_over": "failover",
    "upgraded": "upgrade",
    "index_dropped": "index dropped",
    "index_added": "index added",
    "setting_changed": "setting",
}
_WAITS = {"running": "series-3", "IO": "series-1", "Lock": "series-6", "LWLock": "series-2", "Client": "series-9"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a legend: colour by its name in the palette, words, share, and where more about it stands."""

    colour: str
    text: str
    note: str
    is_code: bool = False
    link: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart and what stands around it."""

    chart: Chart
    title: str
    unit: str
    description: str
    legend: Sequence[Entry]
    table: report_tables.Table


def drawings(content: Content) -> dict[str, Drawing]:
    """The charts by name: load, connections, waits; those without data are left out."""
    found = {"load": _load(content), "connections": _connections(content), "waits": _waits(content)}
    return {name: drawing for name, drawing in found.items() if drawing is not None}


def _load(content: Content) -> Drawing | None:
    timeline = content.load
    if timeline is None:
        return None
    sums = _sums(timeline)
    total = sum(sums) or 1.0
    ranks = {entry.key: entry.rank for entry in content.statements}
    colours = [
        palette.OTHERS if series.key is None else palette.SERIES[number]
        for number, series in enumerate(timeline.series)
    ]
    legend = [
        Entry(
            colour,
            say.statement(series.label, MOST_LABEL) if series.key else "all other statements",
            words.percent(amount / total),
            is_code=series.key is not None,
            link=f"s{ranks[series.key]}" if series.key else "",
        )
        for series, colour, amount in zip(timeline.series, colours, sums, strict=True)
    ]
    marks: dict[datetime, str] = {}
    for event in content.events:
        if event.kind in _MARKS:
            marks.setdefault(event.happened_at, _MARKS[event.kind])
    _, name = unit(timeline)
    at, most = _peak(timeline)
    largest = "; ".join(f"{entry.text}: {entry.note}" for entry in legend[:3])
    return Drawing(
        Chart("load", "stacked", timeline, colours, marks=sorted(marks.items())),
        "Load over time",
        f"statement time an hour, {name}",
        f"Areas stacked by statement, most time at the bottom. At most {words.duration(most)} an hour, on"
        f" {say.moment(at)}. {largest}.",
        legend,
        report_tables.by_day(timeline, [_name(entry) for entry in legend]),
    )


def _connections(content: Content) -> Drawing | None:
    found = content.sessions
    timeline = found.connections
    if timeline is None:
        return None
    of = f" of {found.limit:,}" if found.limit else ""
    legend = [Entry("series-1", "most connections", f"{found.most:,}{of}" if found.most is not None else "")]
    is_near = found.limit is not None and (found.most or 0) * 2 > found.limit
    if is_near:
        legend.append(Entry("bad", "max_connections", f"{found.limit:,}"))
    return Drawing(
        Chart("connections", "line", timeline, ["series-1"], limit=found.limit),
        "Connections",
        "most at once",
        f"At most {found.most:,}{of} connections at once, on {say.moment(found.most_at)}.",
        legend,
        report_tables.by_day(timeline, ["connections"]),
    )


def _waits(content: Content) -> Drawing | None:
    timeline = content.sessions.waits
    if timeline is None:
        return None
    spare = [name for name in ("series-4", "series-7", "series-5", "series-8") if name not in _WAITS.values()]
    colours = [_WAITS.get(series.label) or (spare.pop(0) if spare else palette.OTHERS) for series in timeline.series]
    sums = _sums(timeline)
    steps = sum(value is not None for value in timeline.series[0].values) or 1
    legend = [
        Entry(colour, _wait(series.label), words.number(amount / steps))
        for series, colour, amount in zip(timeline.series, colours, sums, strict=True)
    ]
    at, most = _peak(timeline)
    parts = ", ".join(f"{entry.text} {entry.note}" for entry in legend)
    return Drawing(
        Chart("waits", "stacked", timeline, colours),
        "Active sessions",
        "on average, by what they wait for",
        f"Active sessions stacked by what they wait for; on average {parts}. At most {words.number(most)}, on"
        f" {say.moment(at)}.",
        legend,
        report_tables.by_day(timeline, [entry.text for entry in legend]),
    )


def _wait(label: str) -> str:
    return "running, no wait" if label == "running" else f"wait: {line(label, 40)}"


def _name(entry: Entry) -> str:
    return line(entry.text, 40)


def _sums(timeline: Timeline) -> list[float]:
    return [sum(value or 0 for value in series.values) for series in timeline.series]


def _peak(timeline: Timeline) -> tuple[datetime, float]:
    """When all series together were highest, and how high."""
    steps = [sum(value or 0 for value in step) for step in zip(*(s.values for s in timeline.series), strict=True)]
    most = max(steps, default=0.0)
    return timeline.begins + timedelta(seconds=steps.index(most) * timeline.step_s if steps else 0), most


def spark(values: Sequence[float | None], width: int = 96, height: int = 24) -> str:
    """The path of a small line over a row of values, in an area of that size; a gap where nothing is known."""
    known = [value for value in values if value is not None]
    if len(known) < 2:  # noqa: PLR2004 -- a point is no line
        return ""
    least, most = min(0.0, *known), max(known)
    span = most - least or 1.0
    path, is_down = [], False
    for number, value in enumerate(values):
        if value is None:
            is_down = False
            continue
        x = 1 + number * (width - 2) / (len(values) - 1)
        y = height - 2 - (value - least) / span * (height - 4)
        path.append(f"{'L' if is_down else 'M'}{x:.1f} {y:.1f}")
        is_down = True
    return "".join(path)
