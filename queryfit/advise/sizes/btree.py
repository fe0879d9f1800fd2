"""Pages of a freshly built B-tree, as src/backend/access/nbtree/nbtsort.c fills them.

Leaves are filled to the fill factor (90), pages above to 70 %. Where equal keys may share a tuple, each takes a list of
up to a tenth of a page of row addresses, six bytes each (_bt_dedup_save_htid).
"""

from __future__ import annotations

import bisect
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from queryfit.advise.sizes.groups import Profile
from queryfit.advise.sizes.layout import aligned

PAGE_BYTES = 8192
LINE_BYTES = 4  # ItemIdData
ADDRESS_BYTES = 6  # ItemPointerData
FREE_BYTES = PAGE_BYTES - 24 - 16 - LINE_BYTES - LINE_BYTES  # headers, the high key's line pointer, the next one's
POSTING_MOST_BYTES = PAGE_BYTES * 10 // 100 // 8 * 8 - LINE_BYTES
INNER_SLACK_BYTES = PAGE_BYTES * 30 // 100
DEFAULT_FILL_FACTOR = 90
_MANY = 60.0  # rows of a group from which their spread does not matter
_PAGES_TRIED = 24
_RARE = 0.25  # rows of a group below which few have two
_LARGE = 1e5  # and above which nothing changes
_STEP = math.log(1.2)


@dataclass(frozen=True, slots=True)
class Tree:
    """Pages with the metapage, and levels above the leaves."""

    pages: int
    height: int


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one kind: `sizes` are shares of them by bytes of a tuple.

    `profile` says how equal keys are grouped; without it every row has a tuple of its own.
    """

    rows: float
    sizes: Mapping[int, float]
    profile: Profile | None = None


def tree(parts: Sequence[Part], *, pivot_bytes: float, fill_factor: int = DEFAULT_FILL_FACTOR) -> Tree:
    """The tree of all these rows. `pivot_bytes` is the mean size of a tuple above the leaves."""
    if sum(part.rows for part in parts) < 1:
        return Tree(1, 0)
    slack = PAGE_BYTES * (100 - fill_factor) // 100
    leaves = max(1, math.ceil(sum(_leaf_pages(part.sizes, part.rows, part.profile, slack) for part in parts) - 1e-6))
    pages, level, height = leaves, leaves, 0
    fanout = max(2, math.floor((FREE_BYTES - INNER_SLACK_BYTES) / (pivot_bytes + LINE_BYTES)) + 1)
    while level > 1:
        level = math.ceil(level / fanout)
        pages += level
        height += 1
    return Tree(pages + 1, height)


def _leaf_pages(sizes: Mapping[int, float], rows: float, profile: Profile | None, slack: int) -> float:
    if profile is None:
        return rows / _mixed_per_page(sizes, slack)
    pages = 0.0
    for item in profile:
        mean = item.share * rows
        for size, share in sizes.items():
            pages += share * item.count * mean / _rows_per_page(size, mean, slack)
    return pages


def _mixed_per_page(sizes: Mapping[int, float], slack: int) -> float:
    """Tuples on a leaf that are filled until one more would pass the limit; sizes in no order."""
    room = FREE_BYTES - slack
    mean = sum((size + LINE_BYTES) * share for size, share in sizes.items())
    if len(sizes) == 1:
        return max(1.0, float(room // mean))
    square = sum((size + LINE_BYTES) ** 2 * share for size, share in sizes.items())
    # what a renewal process leaves of its last interval, on a lattice of eight bytes
    return max(1.0, (room - square / mean / 2 + 4) / mean)


def _rows_per_page(size: int, mean: float, slack: int) -> float:
    """Rows on a leaf of groups with `mean` rows each (Poisson, groups without rows left out)."""
    if mean < _RARE:
        return _singles_and_pairs(size, mean, slack)
    # between two of a ladder of means that are kept
    step = math.log(min(mean, _LARGE)) / _STEP
    low, part = math.floor(step), step - math.floor(step)
    below = _filled(size, low, slack)
    return below if part < 0.01 else below * (1 - part) + _filled(size, low + 1, slack) * part  # noqa: PLR2004


def _singles_and_pairs(size: int, mean: float, slack: int) -> float:
    """The same where hardly a group has more than a few rows."""
    counts = [mean**count / math.factorial(count) for count in range(1, 7)]  # as Poisson has them, but for a factor
    most = max(1, (POSTING_MOST_BYTES // 8 * 8 - size) // ADDRESS_BYTES)
    sizes = [size if count == 1 or most < count else aligned(size + ADDRESS_BYTES * count) for count in range(1, 7)]
    weight = sum(counts)
    shares = dict.fromkeys(sizes, 0.0)
    for item, share in zip(sizes, counts, strict=True):
        shares[item] += share / weight
    shares = {item: share for item, share in shares.items() if share > 1e-3}  # noqa: PLR2004
    whole = sum(shares.values())
    rows = sum(count * share for count, share in enumerate(counts, 1)) / weight
    return _mixed_per_page({item: share / whole for item, share in shares.items()}, slack) * rows


@lru_cache(maxsize=16384)
def _filled(size: int, step: int, slack: int) -> float:
    """Rows on a leaf for the mean of a step of the ladder, by filling some."""
    draw = _group_rows(math.exp(step * _STEP), random.Random(7))  # noqa: S311 -- the same answer every time
    most = max(1, (POSTING_MOST_BYTES // 8 * 8 - size) // ADDRESS_BYTES)
    pages = rows_done = 0
    used = last = last_rows = rows_on_page = 0
    is_done = False
    while not is_done:
        left = draw()
        while left:
            count = min(left, most)
            left -= count
            bytes_ = (aligned(size + ADDRESS_BYTES * count) if count > 1 else size) + LINE_BYTES
            free, spare = FREE_BYTES - used, last - LINE_BYTES - size if last_rows > 1 else 0
            if used and (free < bytes_ - LINE_BYTES + 8 or (free + spare < slack and used > last)):
                pages += 1  # its last tuple goes to the next page, a high key is left
                rows_done += rows_on_page - last_rows
                used, rows_on_page = last, last_rows
                if pages >= _PAGES_TRIED:
                    is_done = True
                    break
            used, last, last_rows = used + bytes_, bytes_, count
            rows_on_page += count
    return max(1.0, rows_done / pages)


def _group_rows(mean: float, numbers: random.Random) -> Callable[[], int]:
    """Draws the rows of a group that has any."""
    if mean > _MANY:
        deviation = math.sqrt(mean)
        return lambda: max(1, round(numbers.gauss(mean, deviation)))
    below, term, whole = [], math.exp(-mean), 0.0
    for count in range(1, int(_MANY * 3)):
        term *= mean / count
        whole += term
        below.append(whole)
        if term < 1e-9 * whole:
            break
    return lambda: 1 + min(bisect.bisect_left(below, numbers.random() * whole), len(below) - 1)
