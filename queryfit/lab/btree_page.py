"""Pages of a B-tree that has height and no rows.

The planner reads one thing from a B-tree: its height, from the metapage. An index made on an empty table has none, so
each look-up would be too cheap by what the descent costs. Written here: a metapage that says the height, a root, inner
pages with the one pointer downwards that a page needs, and an empty leaf: a valid tree, in which a scan finds nothing.

Layout: PostgreSQL's src/include/access/nbtree.h and storage/bufpage.h, unchanged from 12 to 18.
"""

from __future__ import annotations

import struct

PAGE_BYTES = 8192
_HEADER_BYTES = 24
_SPECIAL_BYTES = 16
_VERSION_AND_SIZE = PAGE_BYTES | 4
_LEAF, _ROOT = 1, 2
_LEVELS = struct.Struct("=IIII")  # root, level, fast root, fast level of the metapage
_LEVELS_AT = _HEADER_BYTES + 8  # behind magic number and version
_MAGIC = 0x053162
_POINTER_ONLY = 0x2000  # INDEX_ALT_TID_MASK: the tuple is a pivot
_TUPLE_BYTES = 8
_INNER_FILL = 0.7  # BTREE_NONLEAF_FILLFACTOR
_MOST_HEIGHT = 12


def height(pages: float, pivot_bytes: float, *, is_built: bool = True) -> int:
    """Levels above the leaves of a B-tree with so many pages, with keys of so many bytes in its inner pages.

    One built at once leaves room on every inner page; one grown by inserts fills its root before that is split.
    """
    entry = -(-(_TUPLE_BYTES + pivot_bytes) // 8) * 8 + 4
    full = max(2.0, (PAGE_BYTES - _HEADER_BYTES - _SPECIAL_BYTES) / entry)
    level, remaining = 0, max(1.0, pages - 1)  # all but the metapage
    while remaining > 1 and level < _MOST_HEIGHT:
        fits_root = not is_built and remaining <= full
        remaining = 1 if fits_root else -(-remaining // max(2.0, full * _INNER_FILL))
        level += 1
    return level


def rows_per_page(key_bytes: float) -> float:
    """Rows on a leaf that has just been built, none of them duplicates: 90 % full."""
    return (PAGE_BYTES - _HEADER_BYTES - _SPECIAL_BYTES) * 0.9 / (-(-(_TUPLE_BYTES + key_bytes) // 8) * 8 + 4)


def is_empty(metapage: bytes) -> bool:
    """Whether a metapage is that of a B-tree without root. Raises ValueError where it is none."""
    if len(metapage) != PAGE_BYTES or struct.unpack_from("=I", metapage, _HEADER_BYTES)[0] != _MAGIC:
        raise ValueError("the first page of the file is no metapage of a B-tree")
    root: int = _LEVELS.unpack_from(metapage, _LEVELS_AT)[0]
    return root == 0


def read_height(metapage: bytes) -> int:
    """The height that a metapage says."""
    level: int = _LEVELS.unpack_from(metapage, _LEVELS_AT)[3]
    return level


def tree(metapage: bytes, levels: int) -> bytes:
    """The first `levels` + 2 pages of an index.

    They are the metapage of an empty one with its height written in, and the path from the root (block 1) to the leaf.
    """
    first = bytearray(metapage)
    _LEVELS.pack_into(first, _LEVELS_AT, 1, levels, 1, levels)
    return bytes(first) + b"".join(_page(block, levels) for block in range(1, levels + 2))


def _page(block: int, levels: int) -> bytes:
    page = bytearray(PAGE_BYTES)
    level = levels + 1 - block
    special = PAGE_BYTES - _SPECIAL_BYTES
    upper = special - (_TUPLE_BYTES if level else 0)
    lower = _HEADER_BYTES + (4 if level else 0)
    # log position, checksum, flags, lower, upper, special, size and version, oldest prunable transaction
    struct.pack_into("=QHHHHHHI", page, 0, 0, 0, 0, lower, upper, special, _VERSION_AND_SIZE, 0)
    if level:
        struct.pack_into("=I", page, _HEADER_BYTES, upper | 1 << 15 | _TUPLE_BYTES << 17)  # a normal line pointer
        below = block + 1
        struct.pack_into("=HHHH", page, upper, below >> 16, below & 0xFFFF, 0, _TUPLE_BYTES | _POINTER_ONLY)
    flags = (_ROOT if block == 1 else 0) | (_LEAF if level == 0 else 0)
    struct.pack_into("=IIIHH", page, special, 0, 0, level, flags, 0)
    return bytes(page)
