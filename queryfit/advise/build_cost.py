"""What building an index concurrently takes: time, and disk at its peak.

CREATE INDEX CONCURRENTLY reads its table twice; how fast is the cautious rate of `queryfit.fixes`. What comes on top
was measured with PostgreSQL 18 on one core of a cloud machine, 1.5 million rows in 404 MB that were all cached, so
that the rest is the index's own: B-tree of integers 1.2 µs a row, of 32 characters 2.6 µs in the C collation (others
compare slower), of lower(text) 2.7 µs; hash 3.8 µs; GiST of ranges 1.1 µs and of integers 0.6 µs, both sorted; SP-GiST
2.2 µs; BRIN 0.2 µs; GIN 6.5 MB of index a second for jsonb and 7.0 for trigrams. The rates here are those, rounded to
the slower side: they are for planning a maintenance window, not a promise.
"""

from __future__ import annotations

from queryfit.fixes import READ_BYTES_PER_MS
from queryfit.lab.planner import Size

_ROW_MS = {"btree": 0.003, "hash": 0.004, "gist": 0.003, "spgist": 0.003, "brin": 0.0003}
_OTHER_ROW_MS = 0.004
_GIN_BYTES_PER_MS = 6 * 2**20 / 1000
_SORTING = frozenset({"btree", "hash"})
_SORTED_ROW_BYTES = 24  # a key of eight bytes, its tuple's header and its place on the tape


def build_ms(table_bytes: int, size: Size, access_method: str) -> float:
    """How long it may take to build an index of this size on a table with a main fork of `table_bytes`."""
    own = (
        size.size_bytes / _GIN_BYTES_PER_MS
        if access_method == "gin"
        else size.tuple_rows * _ROW_MS.get(access_method, _OTHER_ROW_MS)
    )
    return 2 * table_bytes / READ_BYTES_PER_MS + own + size.size_bytes / READ_BYTES_PER_MS


def disk_bytes(size: Size, access_method: str) -> int:
    """Disk that the build takes at its peak: the index, and the temporary files of its sort where it sorts.

    What is sorted has no deduplication yet, so it can be larger than the index. The WAL, as much as the index, is not
    counted: how long it is kept is for checkpoints and standbys to decide.
    """
    if access_method not in _SORTING:
        return size.size_bytes
    return size.size_bytes + max(size.size_bytes, int(size.tuple_rows * _SORTED_ROW_BYTES))
