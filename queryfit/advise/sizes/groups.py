"""How the rows of a table fall into groups of equal keys: what deduplication makes of them depends on it.

A profile is a list of classes: `count` groups that each hold `share` of the rows. Of groups that are combinations of
columns some are possible and do not occur: one with a share f of the rows
has a number of them that is Poisson with mean f times all rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from queryfit.advise.sizes.mixtures import mixture
from queryfit.lab.table_facts import ColumnFacts, TableFacts

_BIN = math.log(1.25)  # classes whose shares differ by less are one
_SORTED = 0.98  # of two columns this much in the order of the rows, one goes with the other
_EVERY = 20.0  # a group of this many rows on average occurs
_FEW = 100  # values of a column that numbers the rows of a group
_BOUNDED = {"int2", "int4", "int8", "date", "oid"}


@dataclass(frozen=True, slots=True)
class Class:
    """`count` groups with `share` of the rows each."""

    share: float
    count: float


Profile = tuple[Class, ...]
ALL_APART: Profile = (Class(1e-18, 1e18),)  # no two rows are in one group, however many there are


def distinct_count(column: ColumnFacts, table: TableFacts) -> float | None:
    """Different values of a column, nulls not counted: what ANALYZE estimated, within what keys leave possible.

    In a table with a unique key (a, b), a value of b that a tenth of the rows have meets a tenth as many values of a.
    """
    rows = table.rows * (1.0 - (column.null_fraction or 0.0))
    if any(set(key) == {column.name} for key in table.unique):
        return max(1.0, rows)
    count = column.distinct_in(table.rows)
    if count is None:
        return None
    mixed = mixture(column, table.rows)
    if mixed is not None:
        count = max(count, mixed.count + (1.0 - mixed.share) * rows)
    for key in table.unique:
        others = [table.columns[name] for name in key if name != column.name]
        if column.name in key and len(others) == 1:
            count = max(count, _repeats_at_least(others[0], table) * rows)
    span = _span(column)
    return max(1.0, min(count, rows, span if span is not None else count))


def _repeats_at_least(column: ColumnFacts, table: TableFacts) -> float:
    """The share of the rows that its most common value has, at least."""
    count = column.distinct_in(table.rows)
    return max(max(column.common_frequencies, default=0.0), 1.0 / count if count else 0.0)


def _span(column: ColumnFacts) -> float | None:
    """How many whole numbers or days there are between the least and the greatest value of the statistics."""
    if column.type not in _BOUNDED:
        return None
    numbers = [number for value in _ends(column) if (number := ordinal(value, column.type)) is not None]
    # the ends of the histogram are those of a sample
    return (max(numbers) - min(numbers) + 1) * 1.1 if len(numbers) > 1 and len(column.histogram) > 1 else None


def _ends(column: ColumnFacts) -> list[str]:
    bounds = column.histogram
    return [*column.common_values, *((bounds[0], bounds[-1]) if bounds else ())]


def ordinal(value: str, type_name: str) -> float | None:
    """A number that orders values of the type: itself, days, or seconds; null where there is none."""
    from datetime import date, datetime  # noqa: PLC0415 -- two names that nobody else here needs

    try:
        if type_name == "date":
            return float(date.fromisoformat(value).toordinal())
        if type_name in {"timestamp", "timestamptz"}:
            return datetime.fromisoformat(value).replace(tzinfo=None).timestamp()
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def column_profile(column: ColumnFacts, table: TableFacts, *, has_nulls: bool = True) -> Profile | None:
    """Groups of equal values of one column, nulls being one group; null when nothing is known of it."""
    count = distinct_count(column, table)
    if count is None:
        return None
    nulls = (column.null_fraction or 0.0) if has_nulls else 0.0
    whole = 1.0 if has_nulls else max(1e-9, 1.0 - (column.null_fraction or 0.0))
    common = [frequency / whole for frequency in column.common_frequencies]
    classes = [Class(frequency, 1.0) for frequency in common]
    if nulls > 0:
        classes.append(Class(nulls, 1.0))
    rest, others = 1.0 - nulls - sum(common), max(0.0, count - len(common))
    if rest > 1e-6 and (others >= 1 or not classes):  # noqa: PLR2004 -- rounding of shares
        held = table.rows * (1.0 if has_nulls else whole)
        mixed = mixture(column, table.rows)
        if mixed is not None and count < table.rows:
            shared = rest * mixed.share
            classes.append(Class(shared / mixed.count, mixed.count))
            rest, others = rest - shared, others - mixed.count
        classes.append(_possible(rest, max(1.0, others), held))
    return binned(classes)


def _possible(share: float, count: float, rows: float) -> Class:
    """`count` groups that all occur, as so many more that are possible: with mean m of those, m / (1 - e^-m) occur."""
    mean = share * rows / count
    if mean > _EVERY:
        return Class(share / count, count)
    low, high = 1e-3, mean
    for _ in range(40):
        middle = (low + high) / 2
        if middle / -math.expm1(-middle) > mean:
            high = middle
        else:
            low = middle
    return Class(low / rows, share * rows / low) if rows > 0 else Class(share / count, count)


def binned(classes: Iterable[Class]) -> Profile:
    """Classes of about the same share as one."""
    bins: dict[int, tuple[float, float]] = {}
    for item in classes:
        if item.share <= 0 or item.count <= 0:
            continue
        number = math.floor(math.log(item.share) / _BIN)
        rows, count = bins.get(number, (0.0, 0.0))
        bins[number] = rows + item.share * item.count, count + item.count
    return tuple(Class(rows / count, count) for _, (rows, count) in sorted(bins.items()))


def combined(profiles: Sequence[Profile]) -> Profile:
    """Groups of equal combinations of columns that know nothing of each other."""
    result: Profile = (Class(1.0, 1.0),)
    for profile in profiles:
        result = binned(
            Class(left.share * right.share, left.count * right.count) for left in result for right in profile
        )
    return result


def occurring(profile: Profile, rows: float) -> float:
    """How many groups have any row."""
    return sum(item.count * -math.expm1(-item.share * rows) for item in profile)


def thinned(profile: Profile, rows: float, count: float) -> Profile:
    """The profile with so much fewer possible groups that `count` of them occur among the rows."""
    if occurring(profile, rows) <= count:
        return profile
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if occurring(_shrunk(profile, middle), rows) > count:
            high = middle
        else:
            low = middle
    return _shrunk(profile, (low + high) / 2)


def _shrunk(profile: Profile, ratio: float) -> Profile:
    # a group alone in its class stays, however few combinations there are
    counts = [max(min(1.0, item.count), item.count * ratio) for item in profile]
    return tuple(Class(item.share * item.count / count, count) for item, count in zip(profile, counts, strict=True))


def key_profile(
    columns: Sequence[ColumnFacts], table: TableFacts, *, without_nulls: frozenset[str] = frozenset()
) -> Profile | None:
    """Groups of rows of the table with equal keys; null when nothing is known of a column."""
    names = frozenset(column.name for column in columns)
    if any(names >= set(key) for key in table.unique):
        return ALL_APART
    if not columns:
        return (Class(1.0, 1.0),)
    profiles = []
    for column in columns:
        profile = column_profile(column, table, has_nulls=column.name not in without_nulls)
        if profile is None:
            return None
        profiles.append(profile)
    result = combined(profiles)
    limit = _most_combinations(columns, table)
    held = math.prod(1.0 - (column.null_fraction or 0.0) for column in columns if column.name in without_nulls)
    return result if limit is None else thinned(result, table.rows * held, limit)


def _most_combinations(columns: Sequence[ColumnFacts], table: TableFacts) -> float | None:
    """How many combinations of the columns there are, where something says so; null when only independence does."""
    left = {column.name: column for column in columns}
    for key in table.unique:
        others = [table.columns[name] for name in key if name not in left]
        if len(others) != 1 or len(left) < 2 or not set(left) < set(key):  # noqa: PLR2004 -- one column has statistics
            continue
        if (others[0].distinct_in(table.rows) or math.inf) <= _FEW:
            # keys are regular as a rule: about each combination has the most common value of the column that is left
            counts = [distinct_count(column, table) or 1.0 for column in columns]
            return max(_repeats_at_least(others[0], table) * table.rows, *counts)
    whole = 1.0
    is_known = False
    combined = sorted(table.distinct.items(), key=lambda item: (-len(item[0]), sorted(item[0])))
    for names, stored in combined:
        if len(names) > 1 and names <= left.keys():
            whole *= stored
            is_known = True
            for name in names:
                left.pop(name)
    ordered = [column for column in left.values() if abs(column.order) >= _SORTED]
    if len(ordered) > 1:  # they follow the order of the rows, so they change together
        whole *= sum(distinct_count(column, table) or 1.0 for column in ordered)
        is_known = True
        for column in ordered:
            left.pop(column.name)
    for column in left.values():
        whole *= (distinct_count(column, table) or 1.0) + (1.0 if column.null_fraction else 0.0)
    return min(whole, table.rows) if is_known else None
