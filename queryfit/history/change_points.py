"""Where a series jumps from one level to another: binary segmentation that asks for a clean step, not for a wobble."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

FEWEST = 3  # points on each side: two may be chance
MOST_CUTS = 4  # a series that jumps more often has no levels
_DEPTH = 3  # of halving: up to fifteen places are looked at
_SEPARATION = 0.8  # share of the points on either side that have to lie on their own side of the middle
_LEAST_SCORE = 5.0  # steps in standard errors: with 2,000 series of 100 points, chance gives one in a year of reports
_LEAST_DEVIATION = 0.02  # a series without any noise must not make a step of nothing

Array = np.ndarray[Any, Any]


def cuts(values: Array, weights: Array, *, least_step: float) -> list[int]:
    """The indexes at which a new level begins, ascending; `least_step` is the smallest step that matters.

    All places where a level may begin are collected first and the least clean one is dropped until the rest are steps:
    a rise and a fall after it hide each other from a search that stops at the first doubt.
    """
    found = sorted(_candidates(values, weights, least_step))
    while found:
        edges = [0, *found, len(values)]
        scores = [
            _score(values[start:cut], values[cut:end], weights[start:cut], weights[cut:end], least_step)
            for start, cut, end in zip(edges, edges[1:], edges[2:], strict=False)
        ]
        worst = int(np.argmin(scores))
        if scores[worst] >= _LEAST_SCORE and len(found) <= MOST_CUTS:
            break
        del found[worst]
    return found


def _candidates(values: Array, weights: Array, least_step: float) -> Iterator[int]:
    parts = [(0, len(values), 0)]
    while parts:
        start, end, depth = parts.pop()
        place = _best(values[start:end], weights[start:end])
        if place is None:
            continue
        cut = start + place
        step = np.average(values[cut:end], weights=weights[cut:end]) - np.average(
            values[start:cut], weights=weights[start:cut]
        )
        if abs(step) >= least_step / 2:
            yield cut
        if depth < _DEPTH:
            parts += [(start, cut, depth + 1), (cut, end, depth + 1)]


def is_step(before: Array, after: Array, weights_before: Array, weights_after: Array, *, least_step: float) -> bool:
    """Whether two neighbouring levels differ by more than their own noise and than `least_step`."""
    return _score(before, after, weights_before, weights_after, least_step) >= _LEAST_SCORE


def _score(before: Array, after: Array, weights_before: Array, weights_after: Array, least_step: float) -> float:
    """The step in standard errors; 0 where it is small, or where too many points lie on the other side."""
    low, high = np.average(before, weights=weights_before), np.average(after, weights=weights_after)
    step = abs(high - low)
    if step < least_step:
        return 0.0
    middle = (low + high) / 2
    own_sides = (((before - middle) * (low - high) > 0).mean(), ((after - middle) * (high - low) > 0).mean())
    if min(own_sides) < _SEPARATION:
        return 0.0
    residuals = np.concatenate([before - np.median(before), after - np.median(after)])
    deviation = max(1.4826 * float(np.median(np.abs(residuals))), _LEAST_DEVIATION)
    return float(step / (deviation * np.sqrt(1 / len(before) + 1 / len(after))))


def _best(values: Array, weights: Array) -> int | None:
    """The index that parts the values best: where the sum of squares between the two sides is greatest."""
    n = len(values)
    if n < 2 * FEWEST:
        return None
    places = np.arange(FEWEST, n - FEWEST + 1)
    weight, total = np.cumsum(weights), np.cumsum(weights * values)
    left, right = weight[places - 1], weight[-1] - weight[places - 1]
    difference = total[places - 1] / left - (total[-1] - total[places - 1]) / right
    return int(places[int(np.argmax(difference**2 * left * right))])
