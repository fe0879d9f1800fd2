"""Predicates of partial indexes: conditions without parameters that statements state, so that they imply them.

A parameter never implies a predicate: `status = $1` may ask for any status. What a strict condition does imply,
whatever its value, is that the column is not null.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from queryfit.advise.candidates.facts import Column
from queryfit.advise.candidates.uses import Term, Use, column_term, condition_share, constants
from queryfit.sql.model import Reference
from queryfit.sql.names import quote_literal

_MOST_SHARE = 0.8  # of the rows: a predicate that keeps more saves too little
_MOST_NULLS = 0.5  # from here on an index without them is worth the thought
_MOST_VALUES = 5
_MOST_DISTINCT = 64  # values of a column of states; one value of many is asked for once and never again
_SKEW = 10.0  # times the mean share: a value that stands out
# Types whose literals mean the same at any time and under any setting.
_TIMELESS = frozenset({
    "int2", "int4", "int8", "numeric", "text", "varchar", "bpchar", "citext", "bool", "uuid", "float4", "float8",
})  # fmt: skip
_STRICT = frozenset({"=", "in", "= any", "<", "<=", ">", ">=", "~~", "^@"})
_BOOLEAN = {("=", "t"): "{}", ("=", "f"): "not {}", ("is true", "t"): "{} is true", ("is false", "f"): "{} is false"}


@dataclass(frozen=True, slots=True)
class Condition:
    """A predicate, and what of the table the statement reads besides."""

    sql: str
    columns: frozenset[str]  # unquoted
    share: float | None  # of the rows that it keeps
    read: frozenset[str]  # columns that an index under it has to hold to answer alone
    is_strict: bool = False  # IS NOT NULL that follows from a condition on the column
    term: Term | None = None  # the predicate's own column as a key


def conditions(use: Use) -> list[Condition]:
    """Predicates that the use implies and that keep a part of the table, the smallest part first."""
    found = {condition.sql: condition for condition in _stated(use) if _is_small(condition)}
    singles = sorted(found.values(), key=lambda one: (one.share if one.share is not None else 0.1, one.sql))
    stated = [one for one in singles if not one.is_strict]
    if len(stated) > 1:
        first, second = stated[:2]
        singles.append(
            Condition(
                sql=f"{first.sql} and {second.sql}",
                columns=first.columns | second.columns,
                share=(first.share or 0.1) * (second.share or 0.1),
                read=first.read & second.read,
                term=first.term,
            )
        )
    return singles


def _is_small(condition: Condition) -> bool:
    return condition.share is None or condition.share <= _MOST_SHARE


def _stated(use: Use) -> Iterator[Condition]:
    for reference in use.references:
        column = use.table.columns.get(reference.column_name)
        if column is None or column.is_virtual or reference.is_disjunct or reference.expression is not None:
            continue
        sql = predicate(column, reference)
        if sql is not None:
            yield Condition(
                sql=sql,
                columns=frozenset({column.name}),
                share=_share(column, reference),
                read=_read_besides(use, reference),
                term=None if column.name in use.wide else column_term(column, "all rows with"),
            )
        elif _implies_not_null(column, reference):
            yield Condition(
                sql=f"{column.sql} is not null",
                columns=frozenset({column.name}),
                share=1 - (column.null_fraction or 0),
                read=use.read or frozenset(),
                is_strict=True,
            )


def predicate(column: Column, reference: Reference) -> str | None:  # noqa: PLR0911 -- one form of condition each
    """The condition as a predicate; None where it is none that an index may have."""
    operator = reference.operator
    if reference.role == "null_test":
        return None if column.is_not_null else f"{column.sql} {operator}"
    if reference.role not in ("equality", "other") or reference.cast_type is not None:
        return None
    if operator not in ("=", "in", "= any", "<>", "is true", "is false"):
        return None
    values = constants(reference, column)
    if not values or len(values) > _MOST_VALUES or (column.base_type not in _TIMELESS and column.category != "E"):
        return None
    if column.base_type == "bool":
        template = _BOOLEAN.get((operator, values[0]))
        return None if template is None else template.format(column.sql)
    if not _is_state(column, values):
        return None
    literals = [_literal(value, column) for value in values]
    if operator in ("=", "<>") and len(literals) == 1:
        return f"{column.sql} {operator} {literals[0]}"
    return f"{column.sql} in ({', '.join(literals)})" if operator in ("in", "= any") else None


def _is_state(column: Column, values: tuple[str, ...]) -> bool:
    """The column has few values, or these stand out: statements will ask for them again."""
    if column.category == "E":
        return True
    if column.distinct_rows is None or column.mean_share is None:
        return False
    if column.distinct_rows <= _MOST_DISTINCT:
        return True
    return all((column.share_of(value) or 0) >= _SKEW * column.mean_share for value in values)


def _literal(value: str, column: Column) -> str:
    return value if column.category == "N" and _is_number(value) else quote_literal(value)


def _is_number(value: str) -> bool:
    return value.lstrip("-").replace(".", "", 1).isdecimal() and value.isascii()


def _share(column: Column, reference: Reference) -> float | None:
    share = condition_share(column, reference)
    if reference.operator == "<>" and share is not None:
        return 1 - share - (column.null_fraction or 0)
    return share


def _implies_not_null(column: Column, reference: Reference) -> bool:
    is_condition = reference.role in ("equality", "range", "pattern", "join", "in_subquery")
    return (
        is_condition
        and not column.is_not_null
        and (column.null_fraction or 0) >= _MOST_NULLS
        and reference.operator in _STRICT
    )


def _read_besides(use: Use, condition: Reference) -> frozenset[str]:
    """What is read but for this condition: the predicate answers it."""
    return frozenset(reference.column_name for reference in use.references if reference != condition) & (
        use.read or frozenset()
    )
