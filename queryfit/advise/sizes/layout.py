"""How PostgreSQL lays values out in an index tuple: lengths, alignments, and what varies from row to row.

After src/include/access/itup.h, src/backend/access/common/heaptuple.c and the built-in types of pg_type.dat.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache

from queryfit.lab.table_facts import ColumnFacts

HEADER_BYTES = 8  # IndexTupleData
HEADER_WITH_NULLS_BYTES = 16  # with its bitmap of 32 attributes, aligned
SHORT_MOST_BYTES = 127  # a varlena of one byte of header
COMPRESSED_FROM_BYTES = 508  # TOAST_INDEX_TARGET: longer values are compressed where their type allows
SAMPLES = 128  # rows whose widths are laid out
NUMERIC_DIGITS = 4  # decimal digits in one of numeric's
DEFAULT_TEXT_BYTES = 32
_SPREAD = 8  # bytes by which texts of which only an average is known are taken to differ
_NEAR = 0.4  # bytes by which the mean of samples may miss the average

FIXED: dict[str, tuple[int, int]] = {  # typname: length, alignment
    "bool": (1, 1), "char": (1, 1), "int2": (2, 2), "int4": (4, 4), "int8": (8, 8), "float4": (4, 4), "float8": (8, 8),
    "oid": (4, 4), "regclass": (4, 4), "regproc": (4, 4), "regtype": (4, 4), "xid": (4, 4), "cid": (4, 4),
    "xid8": (8, 8), "tid": (6, 2), "money": (8, 8), "date": (4, 4), "time": (8, 8), "timetz": (12, 8),
    "timestamp": (8, 8), "timestamptz": (8, 8), "interval": (16, 8), "uuid": (16, 1), "macaddr": (6, 4),
    "macaddr8": (8, 4), "pg_lsn": (8, 8), "point": (16, 8), "lseg": (32, 8), "box": (32, 8), "circle": (24, 8),
    "line": (24, 8),
}  # fmt: skip

# Types of which equal values may be stored differently, so that a B-tree may not keep one for all (no function 4 of
# their default operator class says otherwise): containers ask their elements and are not deduplicated at all.
UNEQUAL_IMAGES = frozenset({"numeric", "float4", "float8", "interval", "jsonb", "record", "tsvector", "tsquery"})
UNEQUAL_CATEGORIES = frozenset("AR")  # arrays, ranges


def aligned(size: int, to: int = 8) -> int:
    return (size + to - 1) // to * to


def fixed_length(column: ColumnFacts) -> tuple[int, int] | None:
    """Length and alignment of a type of fixed length; null for one that varies."""
    if column.category == "E":
        return 4, 4
    return FIXED.get(column.type)


def is_deduplicable(column: ColumnFacts) -> bool:
    """Equal keys of this type look alike, so that a B-tree may keep one for many rows.

    The captured server's word counts; the lists are for what it was not asked about.
    """
    if column.has_equal_images is not None:
        return column.has_equal_images and column.is_deterministic
    return (
        column.type not in UNEQUAL_IMAGES
        and column.category not in UNEQUAL_CATEGORIES
        and not column.type.endswith("multirange")
        and column.is_deterministic
    )


def stored_bytes(text: str, column: ColumnFacts) -> int | None:
    """How long a value is in a table, header included, from its text; null where the text does not tell."""
    if column.type == "numeric":
        return _numeric_bytes(text)
    if column.type in {"text", "varchar", "bpchar", "citext", "xml", "json"}:
        length = len(text.encode())
    elif column.type == "bytea" and text.startswith("\\x"):
        length = (len(text) - 2) // 2
    elif column.type in {"inet", "cidr"}:
        length = 18 if ":" in text else 6
    elif column.type in {"bit", "varbit"}:
        length = 4 + (len(text) + 7) // 8
    else:
        return None
    return length + 1 if length + 1 <= SHORT_MOST_BYTES else length + 4


def _numeric_bytes(text: str) -> int | None:
    """A byte of header, two of sign, weight and scale, two for each digit of base 10,000 but zeros at an end."""
    digits = text.lstrip("-")
    if not digits.replace(".", "", 1).isdigit():
        return 3 if digits in {"NaN", "Infinity"} else None
    whole, _, fraction = digits.partition(".")
    whole = whole.lstrip("0")
    left = -(-len(whole) // NUMERIC_DIGITS) if whole else 0
    padded = whole.rjust(left * NUMERIC_DIGITS, "0") + fraction.ljust(aligned(len(fraction), NUMERIC_DIGITS), "0")
    groups = [padded[start : start + NUMERIC_DIGITS] for start in range(0, len(padded), NUMERIC_DIGITS)]
    kept = [number for number, group in enumerate(groups) if group.strip("0")]
    return 3 + 2 * (kept[-1] - kept[0] + 1) if kept else 3


@lru_cache(maxsize=4096)
def widths(column: ColumnFacts, *, null_fraction: float | None = None) -> tuple[int | None, ...]:
    """Stored widths of `SAMPLES` rows of the column, null for a null; in no particular order."""
    nulls = round(SAMPLES * min(1.0, (column.null_fraction or 0.0) if null_fraction is None else null_fraction))
    if null_fraction is None and column.null_fraction and nulls == 0:
        nulls = 1 if column.null_fraction * SAMPLES > 0.25 else 0  # noqa: PLR2004 -- rare nulls matter to nobody
    fixed = fixed_length(column)
    if fixed is not None:
        return _shuffled([None] * nulls + [fixed[0]] * (SAMPLES - nulls), column.name)
    return _shuffled([None] * nulls + _varying(column, SAMPLES - nulls), column.name)


def _varying(column: ColumnFacts, count: int) -> list[int]:
    if column.type == "name":  # kept as a C string
        return [round(len(value) + 1) for value in _spread(column.common_values or ("x" * 12,), count)]
    average = column.average_width
    shares = _known_widths(column)
    if shares:
        return _fitted(_quantiles(shares, count), average)
    if average is None:
        average = float(_declared_bytes(column))
    if column.type in {"bpchar", "inet", "cidr"} or average <= _SPREAD:
        return [round(average)] * count
    return [max(1, round(average) + offset % _SPREAD - _SPREAD // 2) for offset in range(count)]


def _fitted(known: list[int], average: float | None) -> list[int]:
    """Widths of sample values, moved to the average: values over 1 kB are in that, but not among the samples."""
    mean = sum(known) / max(1, len(known))
    # PostgreSQL cuts its fraction off
    if average is None or not known or average - _NEAR <= mean <= average + 1 + _NEAR:
        return known
    wanted = average + 0.5
    if wanted > 1.5 * mean:
        return [max(1, round(width * wanted / mean)) for width in known]
    return [max(1, width + round(wanted - mean)) for width in known]


def _declared_bytes(column: ColumnFacts) -> int:
    """What a value without statistics may take, as the planner guesses: all of a char(n), part of a varchar(n)."""
    digits = "".join(character for character in column.declared.partition("(")[2] if character.isdigit())
    if column.type == "bpchar" and digits:
        return int(digits) + 1
    if column.type == "numeric":
        return 8
    return min(DEFAULT_TEXT_BYTES, int(digits)) if digits and column.type == "varchar" else DEFAULT_TEXT_BYTES


def _known_widths(column: ColumnFacts) -> list[tuple[int, float]]:
    """Widths with the share of rows that have them, least first: of common values, and of the histogram's bounds."""
    shares: list[tuple[int, float]] = []
    rest = 1.0 - (column.null_fraction or 0.0)
    for value, frequency in zip(column.common_values, column.common_frequencies, strict=False):
        width = stored_bytes(value, column)
        if width is None:
            return []
        shares.append((width, frequency))
        rest -= frequency
    bounds = [stored_bytes(value, column) for value in column.histogram]
    known = [width for width in bounds if width is not None]
    if len(known) < len(bounds):
        return []
    shares += [(width, max(rest, 1e-9) / len(known)) for width in known]
    return sorted(shares)


def _quantiles(shares: Sequence[tuple[int, float]], count: int) -> list[int]:
    whole = sum(share for _, share in shares)
    found: list[int] = []
    position, below = 0, shares[0][1]
    for number in range(count):
        while below < whole * (number + 0.5) / count and position < len(shares) - 1:
            position += 1
            below += shares[position][1]
        found.append(shares[position][0])
    return found


def _spread(values: Sequence[str], count: int) -> list[str]:
    return [values[number % len(values)] for number in range(count)]


def _shuffled(items: list[int | None], seed: str) -> tuple[int | None, ...]:
    random.Random(seed).shuffle(items)  # noqa: S311 -- columns vary independently, and the same way every time
    return tuple(items)


def tuple_sizes(columns: Sequence[tuple[ColumnFacts, tuple[int | None, ...]]]) -> list[int]:
    """Sizes of index tuples over the columns, aligned, without line pointers: one for each sampled row."""
    if all(fixed_length(column) and None not in row_widths for column, row_widths in columns):
        return [_tuple_size([(column, row_widths[0]) for column, row_widths in columns])]
    return [_tuple_size([(column, row_widths[row]) for column, row_widths in columns]) for row in range(SAMPLES)]


def _tuple_size(values: Sequence[tuple[ColumnFacts, int | None]]) -> int:
    has_null = any(width is None for _, width in values)
    return aligned((HEADER_WITH_NULLS_BYTES if has_null else HEADER_BYTES) + data_bytes(values))


def data_bytes(values: Sequence[tuple[ColumnFacts, int | None]]) -> int:
    """Bytes of the values of one tuple, laid out one after the other, without the header."""
    offset = 0
    for column, width in values:
        if width is None:
            continue
        fixed = fixed_length(column)
        if fixed is not None:
            offset = aligned(offset, fixed[1]) + fixed[0]
        elif width > COMPRESSED_FROM_BYTES and column.type not in {"numeric", "inet", "cidr"}:
            offset = aligned(offset, 4) + width  # already compressed in the table where it can be
        elif width > SHORT_MOST_BYTES:
            # a table keeps it with four bytes of header, as the index does
            offset = aligned(offset, 4) + width
        else:
            offset += width
    return offset
