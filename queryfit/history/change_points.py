"""Where a series jumps from one level to another: binary segmentation that asks for a clean step, not for a wobble."""

from __future__ import annotations

from typing import Any

import numpy as np

FEWEST = 3  # points on each side: two may be chance
MOST_CUTS = 4  # a series that jumps more often has no levels
_SEPARATION = 0.8  # share of the points on either side that have to lie on their own side of the middle
_LEAST_SCORE = 5.0  # steps in standard errors: with 2,000 series of 100 points, chance gives one in a year of reports
_LEAST_DEVIATION = 0.02  # a series without any noise must not make a step of nothing

Array = np.ndarray[Any, Any]


def cuts(values: Array, weights: Array, *, least_step: float) -> list[int]:
    """The indexes at which a new level begins, ascending; `least_step` is the smallest step that matters."""
    found: list[int] = []
    parts = [(0, len(values))]
    while parts and len(found) < MOST_CUTS:
        start, end = parts.pop(0)
        place = _best(values[start:end], weights[start:end])
        if place is None:
            continue
        before, after = slice(start, start + place), slice(start + place, end)
        if is_step(values[before], values[after], weights[before], weights[after], least_step=least_step):
            found.append(start + place)
        elif end - start < len(values) or end - start < 4 * FEWEST:
            continue
        # a rise and a fall may hide each other: the halves are looked at, too
        parts += [(start, start + place), (start + place, end)]
    return sorted(found)


def is_step(before: Array, after: Array, weights_before: Array, weights_after: Array, *, least_step: float) -> bool:
    """Whether two neighbouring levels differ by more than their own noise and than `least_step`."""
    low, high = np.average(before, weights=weights_before), np.average(after, weights=weights_after)
    step = abs(high - low)
    if step < least_step:
        return False
    middle = (low + high) / 2
    own_side = np.concatenate([(before - middle) * (low - high) > 0, (after - middle) * (high - low) > 0])
    if min(own_side[: len(before)].mean(), own_side[len(before) :].mean()) < _SEPARATION:
        return False
    residuals = np.concatenate([before - np.median(before), after - np.median(after)])
    deviation = max(1.4826 * float(np.median(np.abs(residuals))), _LEAST_DEVIATION)
    return bool(step >= _LEAST_SCORE * deviation * np.sqrt(1 / len(before) + 1 / len(after)))


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
