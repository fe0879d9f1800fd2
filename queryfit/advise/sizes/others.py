"""Pages of hash and BRIN indexes, as hashpage.c and brin_pageops.c lay them out."""

from __future__ import annotations

import math
from collections.abc import Sequence

from queryfit.advise.sizes.groups import Profile
from queryfit.advise.sizes.layout import aligned, fixed_length, widths
from queryfit.lab.table_facts import ColumnFacts

_HASH_ROW_BYTES = 20  # header, hash code, line pointer
_HASH_PAGE_ROWS = (8192 - 24 - 16) // _HASH_ROW_BYTES
_HASH_FILL = 75
_BITMAP_PAGES = 4096 * 8  # overflow pages that one bitmap page keeps
_WHOLE_GROUPS = 10  # splitpoints that double the buckets at once; later ones do it in four steps
_REVMAP_ROWS = (8192 - 24 - 8) // 6
_BRIN_ROOM = 8192 - 24 - 8
_BRIN_HEADER = 5


def hash_pages(table_rows: float, rows: float, profile: Profile | None, *, fill_factor: int = _HASH_FILL) -> int:
    """Pages of a hash index of `rows` entries: buckets are made for all rows of the table, whatever the predicate."""
    per_bucket = max(10, (8192 * fill_factor // 100) // _HASH_ROW_BYTES)
    buckets = _buckets(table_rows / per_bucket)
    while rows > per_bucket * buckets:  # it grows as it is filled
        buckets = _buckets(buckets + 1)
    overflow = _overflow_pages(rows, buckets, profile)
    return round(2 + buckets + overflow + overflow // _BITMAP_PAGES)


def _buckets(wanted: float) -> int:
    """The next number of buckets that a splitpoint has: powers of two, then quarters of the way to the next one."""
    if wanted <= 2:  # noqa: PLR2004
        return 2
    power = math.ceil(math.log2(math.ceil(wanted)))
    if power < _WHOLE_GROUPS:
        return int(2**power)
    below = 2 ** (power - 1)
    return int(below + math.ceil((wanted - below) / (below / 4)) * below // 4)


def _overflow_pages(rows: float, buckets: int, profile: Profile | None) -> float:
    """Pages beyond the first of each bucket: of large groups one by one, of all others as a normal distribution."""
    pages, rest, variance = 0.0, rows, 0.0
    for item in profile or ():
        mean = item.share * rows
        if mean >= _HASH_PAGE_ROWS / 4:
            background = rows / buckets
            pages += item.count * max(0.0, (mean + background) / _HASH_PAGE_ROWS - 0.5)
            rest -= mean * item.count
        else:
            variance += item.count * mean * (1 + mean)
    mean = max(0.0, rest) / buckets
    deviation = math.sqrt(max(mean, variance / buckets, 1e-9))
    for number in range(1, 50):
        beyond = 0.5 * math.erfc((number * _HASH_PAGE_ROWS + 0.5 - mean) / deviation / math.sqrt(2))
        if beyond * buckets < 0.01:  # noqa: PLR2004
            break
        pages += beyond * buckets
    return pages


def brin_pages(columns: Sequence[ColumnFacts], table_pages: float, pages_per_range: int) -> int:
    """Pages of a BRIN index with least and greatest values: the metapage, the map of the ranges, and their tuples."""
    ranges = max(1, math.ceil(table_pages / pages_per_range))
    has_nulls = any(column.null_fraction for column in columns)
    header = aligned(_BRIN_HEADER + (aligned(2 * len(columns)) // 8 if has_nulls else 0))
    offset = 0
    for column in columns:
        known = [width for width in widths(column, null_fraction=0.0) if width is not None]
        fixed = fixed_length(column)
        for _ in range(2):
            offset = aligned(offset, fixed[1]) + fixed[0] if fixed else offset + round(sum(known) / len(known))
    per_page = max(1, _BRIN_ROOM // (aligned(header + offset) + 4))
    return 1 + math.ceil(ranges / _REVMAP_ROWS) + math.ceil(ranges / per_page)
