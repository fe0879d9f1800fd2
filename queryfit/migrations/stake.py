"""What a statement costs the real table: how much it works through, and who waits how long meanwhile."""

from __future__ import annotations

from queryfit import words
from queryfit.migrations.steps import ACCESS_EXCLUSIVE, SHARE, Effect

_MB = 1024 * 1024
SCAN_BYTES_PER_MS = 200 * _MB / 1000
"""Reading a table once, sequentially, from network storage: 200 MB/s."""
REWRITE_BYTES_PER_MS = 100 * _MB / 1000
"""Reading and writing it, with the WAL that this makes: half of that. Its indexes are part of the size."""
BUILD_BYTES_PER_MS = 50 * _MB / 1000
"""Building an index reads and sorts: by the size of the table, a quarter."""


def wait_ms(effect: Effect) -> float | None:
    """How long the work takes, roughly, and with it the lock; null where no size is known or no work is done."""
    size = effect.size_bytes
    if size is None:
        return None
    rates = (
        (effect.is_rewrite, REWRITE_BYTES_PER_MS),
        (effect.is_index_build or effect.is_index_rebuild, BUILD_BYTES_PER_MS),
        (effect.is_scan, SCAN_BYTES_PER_MS),
    )
    return max((size / rate for does, rate in rates if does), default=None)


def stake(effect: Effect) -> str | None:
    """In words: `rewrites 41 GB; reads and writes wait for about 7 min at 120 writes/s`; None without size or work."""
    waits, size = wait_ms(effect), effect.size_bytes
    if waits is None or size is None:
        return None
    if effect.is_rewrite:
        work = "rewrites"
    elif effect.is_index_build or effect.is_index_rebuild:
        work = "builds an index over"
    else:
        work = "reads"
    text = f"{work} {words.size(size)}"
    if effect.lock_level < SHARE:
        return f"{text} in about {words.duration(waits)}"
    who = "reads and writes" if effect.lock_level == ACCESS_EXCLUSIVE else "writes"
    text += f"; {who} wait for about {words.duration(waits)}"
    rates = [
        f"{words.number(rate)} {what}/s"
        for rate, what in ((effect.reads_per_s, "scans"), (effect.writes_per_s, "writes"))
        if rate is not None and rate >= 0.1 and (what == "writes" or effect.lock_level == ACCESS_EXCLUSIVE)  # noqa: PLR2004
    ]
    return f"{text} at {' and '.join(rates)}" if rates else text
