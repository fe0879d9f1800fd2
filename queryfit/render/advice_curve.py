"""The curve of saving against size, as SVG of our own making, and as PNG made of that.

A chart of one line needs no drawing library. PNG comes from resvg (the extra `plot`), which draws the very same SVG.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from queryfit import words
from queryfit.advise import summary
from queryfit.advise.model import Advice, Point
from queryfit.errors import QueryfitError
from queryfit.render import advice_phrases as phrases
from queryfit.render.phrases import counted

WIDTH, HEIGHT = 680, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 24, 34, 58
_TICKS = 5
_TITLE_END = 300  # where the title of the axis has ended, on a telephone too
_PNG_SCALE = 2
_NEAR = 1.5  # times the largest set
_SEEN = 0.008  # of the whole: a gap below that could not be seen
_LIGHT = {
    "page": "#ffffff",
    "ink": "#1f2328",
    "soft": "#59636e",
    "line": "#d1d9e0",
    "good": "#1a7f37",
    "this": "#0969da",
}
_DARK = {
    "page": "#0d1117",
    "ink": "#e6edf3",
    "soft": "#9198a1",
    "line": "#30363d",
    "good": "#3fb950",
    "this": "#58a6ff",
}


def svg(advice: Advice, *, is_alone: bool = True) -> str:
    """The curve as an SVG element; alone it is a document with colours of its own, light and dark.

    Raises QueryfitError where there is no curve.
    """
    if not advice.curve:
        raise QueryfitError("there is no curve: nothing was chosen", hint="look at `queryfit advise -v`")
    body = "\n".join(_Chart.of(advice).parts())
    about = f"What indexes save against their size. {phrases.headline(advice)}"
    extent = f' width="{WIDTH}" height="{HEIGHT}"' if is_alone else ""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"{extent} role="img"'
        f" aria-label={quoteattr(about)}>"
    )
    if not is_alone:
        return f"{head}\n{body}\n</svg>\n"
    return (
        f"{head}\n<style>{colours(_LIGHT)}\n@media (prefers-color-scheme: dark) {{{colours(_DARK)}}}</style>\n"
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>\n{body}\n</svg>\n'
    )


def png(advice: Advice) -> bytes:
    """The same as a picture, light. Raises QueryfitError where resvg is not installed."""
    try:
        from resvg_py import svg_to_bytes  # noqa: PLC0415 -- an extra, loaded only where a PNG is asked for
    except ImportError:
        raise QueryfitError(
            "a PNG needs the package resvg-py", hint="pip install 'queryfit[plot]', or ask for an .svg or .html file"
        ) from None
    text = svg(advice)
    dark = text.index("@media")
    light = text[:dark] + text[text.index("</style>") :]
    # sans-serif of whatever machine; the font is not embedded
    return bytes(svg_to_bytes(svg_string=light, zoom=_PNG_SCALE))


def colours(of: dict[str, str]) -> str:
    """Style rules of the classes that the chart uses."""
    return (
        f"text{{font:13px system-ui,'Segoe UI',Helvetica,Arial,'DejaVu Sans',sans-serif;fill:{of['soft']}}}"
        f".page{{fill:{of['page']}}}.grid{{stroke:{of['line']};stroke-width:1}}"
        f".area{{fill:{of['good']};fill-opacity:.13}}"
        f".step{{fill:none;stroke:{of['good']};stroke-width:2.5;stroke-linejoin:round}}"
        f".bound{{fill:none;stroke:{of['soft']};stroke-width:2}}"
        f".dot{{fill:{of['good']}}}.this{{fill:{of['this']};stroke:{of['page']};stroke-width:2}}"
        f".guide{{stroke:{of['this']};stroke-width:1;stroke-dasharray:2 3}}"
        f".strong{{fill:{of['ink']};font-weight:600}}"
        f".halo{{stroke:{of['page']};stroke-width:4;stroke-linejoin:round;paint-order:stroke}}"
    )


@dataclass(frozen=True, slots=True)
class _Dot:
    """A point of the curve in what the axes show: bytes, and shares of the cost today."""

    point: Point
    saved: float
    possible: float


@dataclass(frozen=True, slots=True)
class _Chart:
    advice: Advice
    dots: Sequence[_Dot]
    x_step: float
    x_end: float
    y_step: float
    y_end: float

    @classmethod
    def of(cls, advice: Advice) -> _Chart:
        dots = sorted(
            (
                _Dot(point, _shown(advice.cost_before - point.cost_after, advice),
                     _shown(advice.cost_before - point.bound, advice))
                for point in advice.curve
            ),
            key=lambda dot: (dot.point.size_bytes, dot.saved),
        )  # fmt: skip
        # as wide as what is used, and as the budgets that are near to that
        used = max(dot.point.size_bytes for dot in dots)
        near = [dot.point.budget_bytes for dot in dots if dot.point.budget_bytes is not None]
        widest = max([used, *(budget for budget in near if budget <= used * _NEAR)])
        x_step = _nice_bytes(max(widest, 1) / _TICKS)
        y_step = _nice(max([dot.possible for dot in dots] + [dot.saved for dot in dots] + [0.01]) / _TICKS)
        x_end = math.ceil(max(widest, 1) / x_step) * x_step
        y_end = math.ceil(max(max(dot.saved, dot.possible) for dot in dots) / y_step) * y_step or y_step
        return cls(advice, dots, x_step, x_end, y_step, y_end)

    def x(self, size: float) -> float:
        return round(_LEFT + size / self.x_end * (WIDTH - _LEFT - _RIGHT), 1)

    def y(self, saved: float) -> float:
        return round(HEIGHT - _BOTTOM - max(saved, 0.0) / self.y_end * (HEIGHT - _TOP - _BOTTOM), 1)

    def parts(self) -> Iterator[str]:
        """The elements, what is behind first."""
        yield from self._axes()
        steps = self._steps()
        yield f'<path class="area" d="{steps} V{self.y(0)} H{self.x(0)} Z"/>'
        yield f'<path class="step" d="{steps}"/>'
        for dot in self.dots:
            told = escape(self._told(dot))
            at = f'cx="{self.x(dot.point.size_bytes)}" cy="{self.y(dot.saved)}"'
            yield f'<circle class="dot" {at} r="4"><title>{told}</title></circle>'
        yield from self._bounds()
        yield from self._this()

    def _axes(self) -> Iterator[str]:
        for number in range(round(self.y_end / self.y_step) + 1):
            value = number * self.y_step
            yield (
                f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{self.y(value)}" y2="{self.y(value)}"/>'
                + self._text(_LEFT - 8, self.y(value) + 4.5, words.percent(value), "end")
            )
        for number in range(round(self.x_end / self.x_step) + 1):
            value = number * self.x_step
            label = words.size(value) if number else "0"
            is_last = number == round(self.x_end / self.x_step)
            yield self._text(self.x(value), HEIGHT - _BOTTOM + 20, label, "end" if is_last else "middle")
        what = "saved of the statement time" if summary.is_timed(self.advice) else "saved of the planner cost"
        yield self._text(_LEFT - 48, _TOP - 14, what, "start", "strong")
        yield self._text((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 14, "size of the indexes", "middle", "strong")

    def _steps(self) -> str:
        """From nothing for nothing, up where the next set fits, level up to there."""
        path = [f"M{self.x(0)} {self.y(0)}"]
        path += [f"H{self.x(dot.point.size_bytes)} V{self.y(dot.saved)}" for dot in self.dots]
        return " ".join([*path, f"H{self.x(self.x_end)}"])

    def _bounds(self) -> Iterator[str]:
        """A dash above each point that is below the best possible for its budget."""
        below = [dot for dot in self.dots if dot.possible - dot.saved > _SEEN]
        for dot in below:
            x, y = self.x(dot.point.size_bytes), self.y(dot.possible)
            yield f'<line class="bound" x1="{x - 9:.1f}" x2="{x + 9:.1f}" y1="{y}" y2="{y}"/>'
        if below:
            yield self._text(
                WIDTH - _RIGHT, HEIGHT - _BOTTOM - 10, "— the best possible, where it is more", "end", "legend halo"
            )

    def _this(self) -> Iterator[str]:
        """The set that was chosen, and its budget."""
        saved = _shown(summary.saving(self.advice), self.advice)
        x, y = self.x(min(self.advice.size_bytes, self.x_end)), self.y(saved)
        if self.advice.budget_bytes is not None and self.advice.budget_bytes <= self.x_end:
            at = self.x(self.advice.budget_bytes)
            yield f'<line class="guide" x1="{at}" x2="{at}" y1="{self.y(0)}" y2="{_TOP}"/>'
            is_left = at > (_LEFT + WIDTH) / 2
            label = f"budget {words.size(self.advice.budget_bytes)}"
            beside = (at - 6, "end") if is_left else (at + 6, "start")
            yield self._text(beside[0], _TOP - 14 if at > _TITLE_END else _TOP + 16, label, beside[1], "halo")
        number = counted(len(self.advice.chosen), "index", "indexes")
        label = f"{number}, {words.size(self.advice.size_bytes)}: {phrases.signed_percent(-saved)}"
        yield f'<circle class="this" cx="{x}" cy="{y}" r="7"><title>{escape(label)}</title></circle>'
        is_left = x > (_LEFT + WIDTH) / 2
        yield self._text(x + (-12 if is_left else 12), y + (-12 if is_left else 20), label,
                         "end" if is_left else "start", "strong halo")  # fmt: skip

    def _told(self, dot: _Dot) -> str:
        number = counted(len(dot.point.indexes), "index", "indexes")
        size = words.size(dot.point.size_bytes)
        return f"budget {phrases.budget(dot.point)}: {number}, {size}, saves {summary.percent(dot.saved)}"

    @staticmethod
    def _text(x: float, y: float, text: str, anchor: str, name: str = "soft") -> str:
        return f'<text class="{name}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _shown(value: float, advice: Advice) -> float:
    share = summary.share(value, advice)
    return share if math.isfinite(share) else 0.0


def _nice(rough: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= rough * (1 - 1e-9))


def _nice_bytes(rough: float) -> float:
    """The same in the unit that the size will be shown in, whose multiples are 1024."""
    unit = 1024.0 ** min(math.floor(math.log(rough, 1024)), 4) if rough >= 1 else 1.0
    return _nice(rough / unit) * unit
