"""Charts over time, drawn by matplotlib: SVG for a page, light or dark as its reader likes, and PNG for a mail.

In the SVG every colour is a CSS variable of the page, and nothing in it comes from a server: names and texts stand in
the page, escaped there. The same chart always gives the same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from queryfit.render import palette
from queryfit.report.model import Timeline

Size = Literal["wide", "half", "narrow", "mail"]
# width and height in CSS pixels, text in pixels
_SIZES: dict[Size, tuple[int, int, float]] = {
    "wide": (1040, 300, 13),
    "half": (504, 220, 13),
    "narrow": (358, 230, 12),
    "mail": (600, 240, 12),
}
_DPI = 72  # matplotlib's points are then the SVG's pixels
_PNG_SCALE = 2  # screens of today show two dots where a mail counts one
# stand-ins that matplotlib writes and nothing else does; each becomes a CSS variable
_STAND_INS = {name: f"#fe{number:04x}" for number, name in enumerate(palette.LIGHT, 1)}
_DURATIONS = ((7_200_000.0, 3_600_000.0, "h"), (120_000.0, 60_000.0, "min"), (2_000.0, 1_000.0, "s"), (0.0, 1.0, "ms"))
_NUMBER = re.compile(r"-?\d+\.\d+")
_POINT = re.compile(r"(?:([ML]) (-?[\d.]+) (-?[\d.]+)|z)")
_LETTER = 0.6  # width of a letter, of the size of the text
_FEW_DAYS = 10
_HOURS = 60


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart over time. `limit` is drawn as a line where it is near, `marks` are moments with a word of our own."""

    name: str  # unique on its page: letters, digits and hyphens
    kind: Literal["stacked", "line"]
    timeline: Timeline
    colours: Sequence[str]  # of palette.SERIES, one a series
    limit: float | None = None
    marks: Sequence[tuple[datetime, str]] = ()


def svg(chart: Chart, size: Size = "wide") -> str:
    """The chart as an SVG element for a page that defines the palette as variables, without a text alternative."""
    raw = io.StringIO()
    text = _SIZES[size][2]
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": f"{chart.name}-{size}", "font.size": text}):
        figure = _figure(chart, size, _STAND_INS)
        figure.savefig(raw, format="svg", transparent=True, metadata={"Date": None})
    return _tidied(raw.getvalue(), f"{chart.name}-{size}")


def png(chart: Chart) -> bytes:
    """The chart as a PNG on a white page, 600 pixels wide at two dots a pixel."""
    raw = io.BytesIO()
    with mpl.rc_context({"font.size": _SIZES["mail"][2], "font.family": "DejaVu Sans"}):
        figure = _figure(chart, "mail", palette.LIGHT)
        figure.savefig(
            raw, format="png", dpi=_DPI * _PNG_SCALE, facecolor=palette.LIGHT["page"], metadata={"Software": None}
        )
    return raw.getvalue()


def unit(timeline: Timeline) -> tuple[float, str]:
    """By what its values are divided, and what they are then."""
    if timeline.unit != "ms_per_hour":
        return 1.0, timeline.unit
    most = _most(timeline)
    return next((divisor, name) for least, divisor, name in _DURATIONS if most >= least)


def _most(timeline: Timeline) -> float:
    return max((sum(value or 0 for value in step) for step in _by_step(timeline)), default=0.0)


def _by_step(timeline: Timeline) -> list[tuple[float | None, ...]]:
    return list(zip(*(series.values for series in timeline.series), strict=True))


def _figure(chart: Chart, size: Size, colours: Any) -> Figure:
    width, height, _ = _SIZES[size]
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    left, right, top, bottom = 46 / width, 1 - 6 / width, 1 - 24 / height, 26 / height
    axes = figure.add_axes((left, bottom, right - left, top - bottom))
    timeline = chart.timeline
    divisor, _ = unit(timeline)
    values = np.array([[np.nan if value is None else value for value in series.values] for series in timeline.series])
    values = values / divisor
    # a value is the mean of its step; drawn as steps, each is as wide as what it says
    edges = np.arange(timeline.steps + 1) * timeline.step_s / 3_600
    if chart.kind == "stacked":
        _stack(axes, edges, values, [colours[name] for name in chart.colours], colours["page"])
    else:
        for row, name in zip(values, chart.colours, strict=True):
            axes.stairs(row, edges, baseline=None, color=colours[name], linewidth=2)
            axes.stairs(row, edges, fill=True, color=colours[name], alpha=0.14)
    highest = float(np.nanmax(np.nansum(values, axis=0), initial=0.0)) or 1.0
    if chart.limit is not None and chart.limit / divisor < highest * 2:
        highest = max(highest, chart.limit / divisor)
        axes.axhline(chart.limit / divisor, color=colours["bad"], linewidth=1.5, linestyle=(0, (5, 3)))
    axes.set_ylim(0, highest * 1.06)
    axes.set_xlim(edges[0], edges[-1])
    _dress(axes, chart, size, colours)
    return figure


def _stack(axes: Any, edges: Any, values: Any, colours: Sequence[str], between: str) -> None:
    tops = np.cumsum(np.nan_to_num(values), axis=0)
    is_known = ~np.isnan(values).all(axis=0)
    below = np.zeros(values.shape[1])
    for top, colour in zip(tops, colours, strict=True):
        axes.fill_between(
            edges, _closed(below), _closed(top), where=_closed(is_known), step="post", color=colour, linewidth=0
        )
        below = top
    for top in tops[:-1]:  # a hair of the page's colour keeps neighbours apart for who cannot tell their colours
        axes.stairs(np.where(is_known, top, np.nan), edges, baseline=None, color=between, linewidth=0.5)


def _closed(values: Any) -> Any:
    """The values with the last one again: steps need an end."""
    return np.append(values, values[-1])


def _dress(axes: Any, chart: Chart, size: Size, colours: Any) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(colours["soft"])
    axes.spines["bottom"].set_linewidth(0.8)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=colours["line"], linewidth=1)
    axes.tick_params(axis="both", length=0, colors=colours["soft"], pad=5)
    axes.tick_params(axis="x", length=4, color=colours["soft"])
    _, name = unit(chart.timeline)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=chart.timeline.unit == "connections", min_n_ticks=2))
    suffix = f" {name}" if chart.timeline.unit == "ms_per_hour" else ""
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.3g}{suffix}" if value else "0"))
    places, labels = _days(chart.timeline, size)
    axes.set_xticks(places, labels, ha="left" if len(places) > 1 else "center")
    _mark(axes, chart, size, colours)


def _days(timeline: Timeline, size: Size) -> tuple[list[float], list[str]]:
    """Where a day, a week or some hours begin, as hours from the begin, with what to call them."""
    hours = timeline.steps * timeline.step_s / 3_600
    is_small = size != "wide"
    first = timeline.begins.replace(hour=0, minute=0, second=0)
    if hours <= _HOURS:
        every, form = timedelta(hours=12 if is_small else 6), "%a %H:%M"
    elif hours <= _FEW_DAYS * 24:
        every, form = timedelta(days=2 if size == "narrow" else 1), "%a %d"
    else:
        weeks = max(round(hours / 168 / (4 if is_small else 8)), 1)
        every, form = timedelta(weeks=weeks), "%d %b"
        first -= timedelta(days=first.weekday())
    places, labels = [], []
    at = first
    end = timeline.begins + timedelta(hours=hours)
    while at < end:
        place = (at - timeline.begins).total_seconds() / 3_600
        if 0 <= place < hours * (0.93 if is_small else 0.97):  # a label at the very end would be cut
            places.append(place)
            labels.append(at.strftime(form))
        at += every
    return places, labels


def _mark(axes: Any, chart: Chart, size: Size, colours: Any) -> None:
    """Lines at the moments, each with its word where the word before it leaves room."""
    hours = chart.timeline.steps * chart.timeline.step_s / 3_600
    width, _, text = _SIZES[size]
    free_from = 0.0  # of the width
    for at, word in sorted(chart.marks):
        place = (at - chart.timeline.begins).total_seconds() / 3_600
        if not 0 <= place <= hours:
            continue
        axes.axvline(place, color=colours["ink"], linewidth=1, linestyle=(0, (2, 2)))
        needed = (len(word) + 2) * text * _LETTER / width
        begins = place / hours if place / hours + needed <= 1 else place / hours - needed
        if begins >= free_from:
            axes.annotate(
                f" {word}" if begins == place / hours else f"{word} ", (place, 1), xycoords=("data", "axes fraction"),
                ha="left" if begins == place / hours else "right", va="bottom", color=colours["ink"],
            )  # fmt: skip
            free_from = begins + needed


def _tidied(text: str, prefix: str) -> str:
    """Only the element: no prologue, no metadata, no rule for other elements, ids that are unique on a page."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    width, height = (re.search(rf'{name}="([\d.]+)pt"', text) for name in ("width", "height"))
    assert width
    assert height
    text = re.sub(
        r"<svg[^>]*>", f'<svg viewBox="0 0 {float(width[1]):g} {float(height[1]):g}" aria-hidden="true">', text, count=1
    )
    used = set(re.findall(r'(?:url\(#|xlink:href="#)([^)"]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda found: f' id="{prefix}-{found[1]}"' if found[1] in used else "", text)
    text = re.sub(r"url\(#", f"url(#{prefix}-", text)
    text = re.sub(r'xlink:href="#', f'href="#{prefix}-', text)
    text = re.sub(r"font(?:-\w+)?: [^;\"]*;?\s*", "", text)  # the page has its own
    for name, stand_in in _STAND_INS.items():
        text = text.replace(stand_in, f"var(--{name})")
    text = _NUMBER.sub(lambda found: f"{round(float(found[0]), 1):g}", text)
    text = re.sub(r"\s*\n\s*", " ", text).strip()
    return re.sub(r' d="([^"]*)"', lambda found: f' d="{_short(found[1])}"', text)


def _short(path: str) -> str:
    """A path with its level and upright lines written as such, and without points on the way."""
    if set(path) & set("CcQqSsTtAa"):
        return path
    done: list[str] = []
    before: tuple[str, str] | None = None
    for command, x, y in _POINT.findall(path):
        if command == "L" and before == (x, y):
            continue
        if command == "L" and before is not None and before[1] == y:
            _go(done, "H", x)
        elif command == "L" and before is not None and before[0] == x:
            _go(done, "V", y)
        else:
            done.append(f"{command}{x} {y}" if command else "z")
        before = (x, y) if command else None
    return "".join(done)


def _go(done: list[str], command: str, to: str) -> None:
    if done[-1].startswith(command):
        done.pop()  # both go the same way
    done.append(f"{command}{to}")
