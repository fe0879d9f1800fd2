"""Forms of DDL, made by program: what stands before, what runs, in which transaction; truth comes from execution."""

from __future__ import annotations

from functools import cache

from tests.migrations.corpus import (
    columns,
    constraints,
    indexes,
    objects,
    partitions,
    relations,
    transactions,
    type_changes,
)
from tests.migrations.corpus.case import Case

__all__ = ["Case", "cases"]


@cache
def cases() -> tuple[Case, ...]:
    """All cases, always in the same order; names are unique."""
    found: dict[str, Case] = {}
    for module in (type_changes, columns, constraints, indexes, partitions, relations, objects, transactions):
        for case in module.cases():
            assert case.name not in found, case.name
            found[case.name] = case
    return tuple(found.values())
