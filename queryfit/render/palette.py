"""Colours of charts, one set for light pages and one for dark ones.

After Okabe and Ito's palette, which people with any colour vision tell apart; each colour is made darker or lighter
until it stands out from its page (contrast 3:1, WCAG 1.4.11), which the tests measure.
"""

from __future__ import annotations

from collections.abc import Mapping

# the ninth is for all that has no colour of its own
SERIES = tuple(f"series-{number}" for number in range(1, 10))
OTHERS = SERIES[8]

LIGHT: Mapping[str, str] = {
    "page": "#ffffff",
    "card": "#f5f6f8",
    "ink": "#1c2127",
    "soft": "#5a6470",
    "line": "#dde1e6",
    "accent": "#0b62a8",
    "good": "#1a7440",
    "warn": "#8a5a00",
    "bad": "#b3261e",
    "series-1": "#0072b2",
    "series-2": "#b87400",
    "series-3": "#008f68",
    "series-4": "#b45a8e",
    "series-5": "#2a8cbd",
    "series-6": "#cf5a00",
    "series-7": "#8a7f00",
    "series-8": "#4f5a66",
    "series-9": "#89929c",
}
DARK: Mapping[str, str] = {
    "page": "#10141a",
    "card": "#181e26",
    "ink": "#e8ecf1",
    "soft": "#9aa5b1",
    "line": "#2e3742",
    "accent": "#63b3f5",
    "good": "#4cc27d",
    "warn": "#e0a83a",
    "bad": "#ff8a80",
    "series-1": "#3f9fdc",
    "series-2": "#e9a820",
    "series-3": "#23bd90",
    "series-4": "#dd95bd",
    "series-5": "#86cdf4",
    "series-6": "#f0803c",
    "series-7": "#e6da52",
    "series-8": "#b8c2cc",
    "series-9": "#727d89",
}


def contrast(one: str, other: str) -> float:
    """Contrast of two colours (`#rrggbb`), 1 to 21, as WCAG 2.2 defines it."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)  # noqa: PLR2004 -- sRGB
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
