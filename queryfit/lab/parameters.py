"""Representative values for `$n`, from the statistics of the columns that they are compared with.

A generic plan knows nothing of a value: it takes the average of an equality, a third of a range, and a tenth of what
LIMIT cuts. Where that hides something (a column with frequent values, a range, a pattern, a LIMIT), a statement is also
planned with values that are common, of the middle, and rare.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from queryfit.capture.generic_text import MAX_TEXT, parameter_count, preparable
from queryfit.lab.column_values import LEVELS, Level, equal, pattern, quantile, seconds_before_now, several, window
from queryfit.lab.table_facts import ColumnFacts, TableFacts, tables_of
from queryfit.lab.texts import unsquashed
from queryfit.sql.catalog import Catalog
from queryfit.sql.grammar import Node, ast
from queryfit.sql.names import quote_literal
from queryfit.sql.safety import single_plannable
from queryfit.sql.statement import Reference, analyse
from queryfit.sql.tree import walk

if TYPE_CHECKING:
    from queryfit.evidence.session import Session
    from queryfit.lab.planner import Query

NEWEST = 180000
LIMIT = "20"  # nearly every LIMIT that is a parameter asks for a page of rows
SKEWED = 1.5  # the most frequent value has so many times the rows of the average one
_LOWER = frozenset({">", ">="})
_UPPER = frozenset({"<", "<="})
_EQUAL = frozenset({"=", "<>", "in", "= any", "is not distinct from", "is distinct from"})
_LIKE = frozenset({"~~", "~~*"})
_MOMENTS = frozenset({"now", "statement_timestamp", "transaction_timestamp", "clock_timestamp"})
_MEANINGLESS = "null"  # for a value that no estimate depends on


@dataclass(slots=True)
class _Use:
    """What a parameter is compared with, and how: a lower bound, an upper bound, equal, any, like, age, days, limit."""

    kind: str
    column: ColumnFacts | None = None
    transform: str | None = None  # lower or upper, around the column
    place: tuple[str, str, str] | None = None  # relation, alias, column: two bounds of one place are a window
    order: int = 0  # of several values in one list
    rows: float = 0.0


@dataclass(slots=True)
class _Uses:
    by_number: dict[int, _Use] = field(default_factory=dict)

    def partner(self, use: _Use) -> bool:
        """Whether the place has a bound on its other side."""
        return any(
            other.place == use.place and {other.kind, use.kind} == {"lower", "upper"}
            for other in self.by_number.values()
        )


class Representatives:
    """Makes the variants of a statement. Statistics are those of one captured database."""

    def __init__(self, catalog: Catalog, tables: Mapping[str, TableFacts]) -> None:
        self._catalog = catalog
        self._tables = tables

    @classmethod
    def of(cls, session: Session, database: str, relations: Collection[str] | None = None) -> Representatives:
        """From the evidence of one database; with `relations` from what is known of those alone."""
        rows = {
            table: list(session.query(f"select * from {table} where database = $database", {"database": database})
                        .mappings())
            for table in ("relation", "relation_column")
        }  # fmt: skip
        return cls(
            Catalog.from_rows(rows["relation"], rows["relation_column"]), tables_of(session, database, relations)
        )

    def variants(self, query: Query) -> tuple[Query, ...]:
        """The query itself (generic where it has parameters), then those with values, as far as they would differ.

        A query that has values, or no parameters, or one parameter of which nothing is known, comes back alone.
        Never raises, whatever the text.
        """
        uses = self._known(query)
        if uses is None or not any(map(_tells, uses.by_number.values())):
            return (query,)
        found: dict[tuple[str | None, ...], Query] = {}
        for level in LEVELS:
            made = _with_values(query, uses, level)
            if made.values is not None:
                found.setdefault(made.values, made)
        return (query, *found.values())

    def example(self, query: Query) -> Query:
        """The query with values that rows have, to run it; as it is where some of them cannot be told."""
        uses = self._known(query)
        made = (_with_values(query, uses, level) for level in (Level.MEDIAN, *LEVELS)) if uses is not None else iter(())
        return next((one for one in made if one.values is not None), query)

    def _known(self, query: Query) -> _Uses | None:
        """What each parameter is compared with; None where there are none, or something is known of some only."""
        if query.values is not None or "$" not in query.text or len(query.text) > MAX_TEXT:
            return None
        text = preparable(unsquashed(query.text), NEWEST)
        statement, _ = single_plannable(text)
        count = parameter_count(text)
        if statement is None or not count:
            return None
        uses = self._uses(text, statement, query.search_path)
        return uses if set(range(1, count + 1)) <= uses.by_number.keys() else None

    def _uses(self, text: str, statement: Node, search_path: tuple[str, ...]) -> _Uses:
        uses = _Uses()
        references = analyse(text, self._catalog, search_path).references
        for reference in references:
            for order, number in enumerate(_numbers(reference)):
                use = self._use(reference)
                if use is not None:
                    uses.by_number.setdefault(number, replace(use, order=order))
        ranges = {
            reference.column_name: self._place(reference)
            for reference in references
            if reference.role == "range" and reference.expression is None
        }
        for node in walk(statement):
            for number, use in _of_node(node, ranges):
                uses.by_number.setdefault(number, use)
        return uses

    def _place(self, reference: Reference) -> tuple[tuple[str, str, str], ColumnFacts | None, float]:
        table = self._tables.get(reference.relation)
        column = table.columns.get(reference.column_name) if table is not None else None
        place = (reference.relation, reference.alias, reference.column_name)
        return place, column, table.rows if table is not None else 0.0

    def _use(self, reference: Reference) -> _Use | None:
        place, column, rows = self._place(reference)
        if column is None or reference.operator is None:
            return None
        transform = None
        if reference.expression is not None:
            transform = next((name for name in ("lower", "upper") if reference.expression.startswith(f"{name}(")), None)
            if transform is None and reference.cast_type not in {"date", "text", "varchar"}:
                return None
        operator = reference.operator
        if operator in _EQUAL:
            kind = "any" if operator == "= any" else "equal"
        elif operator in _LOWER | _UPPER:
            kind = "lower" if operator in _LOWER else "upper"
        elif operator in _LIKE:
            kind = "like"
        else:
            return None
        if kind == "any" and reference.value_kind == "parameter":
            return None  # $1 = any (column): a value of an array's elements
        return _Use(kind, column, transform, place, rows=rows)


def _with_values(query: Query, uses: _Uses, level: Level) -> Query:
    """The query with values of this level; as it is where one of them is not known."""
    count = max(uses.by_number)
    values = tuple(_value(uses.by_number[number], level, uses) for number in range(1, count + 1))
    return query if None in values else replace(query, key=f"{query.key}/{level}", values=values)


def _numbers(reference: Reference) -> list[int]:
    """The parameters that stand alone on the other side of a comparison."""
    if reference.value is None or reference.value_kind not in {"parameter", "list", "array"}:
        return []
    words = reference.value.replace(",", " ").split()
    return [int(word[1:]) for word in words if word.startswith("$") and word[1:].isdigit()]


_Ranges = Mapping[str, tuple[tuple[str, str, str], ColumnFacts | None, float]]


def _of_node(node: Node, ranges: _Ranges) -> list[tuple[int, _Use]]:
    """Parameters that are known by where they stand in the parse tree."""
    match node:
        case ast.SelectStmt():
            limits = [(node.limitCount, "limit"), (node.limitOffset, "nothing")]
            found = [(number, _Use(kind)) for one, kind in limits if (number := _parameter(one))]
            for row in node.valuesLists or ():
                found += [(number, _Use("nothing")) for value in row if (number := _parameter(value))]
            return found
        case ast.ResTarget():
            number = _parameter(node.val)
            return [(number, _Use("nothing"))] if number else []
        case ast.A_Expr() if node.name[-1].sval in _LOWER | _UPPER and isinstance(node.lexpr, ast.ColumnRef):
            place = ranges.get(getattr(node.lexpr.fields[-1], "sval", ""))
            if place is None or place[1] is None or not isinstance(node.rexpr, ast.A_Expr):
                return []
            return _shifted(node.rexpr, node.name[-1].sval, place)
    return []


def _shifted(
    node: Node, operator: str, place: tuple[tuple[str, str, str], ColumnFacts | None, float]
) -> list[tuple[int, _Use]]:
    """`now() - $1`, `current_date - $1`, `$1 + interval '1 day'`: what a column is compared with."""
    sign = node.name[-1].sval
    left, right = _parameter(node.lexpr), _parameter(node.rexpr)
    if sign == "-" and right:
        if isinstance(node.lexpr, ast.SQLValueFunction) and node.lexpr.op.name == "SVFOP_CURRENT_DATE":
            is_interval = isinstance(node.rexpr, ast.TypeCast) and node.rexpr.typeName.names[-1].sval == "interval"
            return [(right, _Use("age" if is_interval else "days", place[1], None, place[0], rows=place[2]))]
        if isinstance(node.lexpr, ast.SQLValueFunction) or (
            isinstance(node.lexpr, ast.FuncCall) and node.lexpr.funcname[-1].sval in _MOMENTS
        ):
            return [(right, _Use("age", place[1], None, place[0], rows=place[2]))]
    if sign in {"+", "-"} and left and isinstance(node.rexpr, ast.TypeCast):
        kind = "lower" if operator in _LOWER else "upper"
        return [(left, _Use(kind, place[1], None, place[0], rows=place[2]))]
    return []


def _parameter(node: Node) -> int:
    """The number of a parameter that stands alone or in a cast; 0 for anything else."""
    while isinstance(node, ast.TypeCast):
        node = node.arg
    return int(node.number) if isinstance(node, ast.ParamRef) else 0


def _tells(use: _Use) -> bool:
    """Whether a value says more than the generic estimate knows."""
    if use.kind == "limit":
        return True
    column = use.column
    if column is None or not (column.common_values or column.histogram):
        return False
    if use.kind not in {"equal", "any"}:
        return True
    distinct = column.distinct_in(use.rows)
    if not column.common_frequencies or not distinct:
        return False
    return column.common_frequencies[0] * distinct > SKEWED


def _value(use: _Use, level: Level, uses: _Uses) -> str | None:
    """An SQL literal; None where the statistics hold none."""
    if use.kind == "limit":
        return LIMIT
    column = use.column
    if use.kind == "nothing" or column is None:
        return _MEANINGLESS
    value: str | None
    match use.kind:
        case "equal":
            value = equal(column, level, use.order)
        case "any":
            value = several(column, level)
        case "like":
            value = pattern(column, level)
        case "age":
            seconds = seconds_before_now(column, level)
            value = None if seconds is None else f"{seconds} seconds"
        case "days":
            seconds = seconds_before_now(column, level)
            value = None if seconds is None else str(seconds // 86_400)
        case _ if uses.partner(use):
            value = window(column, level)[0 if use.kind == "lower" else 1]
        case _:
            share = level.share
            value = quantile(column, 1 - share if use.kind == "lower" else share)
    if value is not None and use.transform is not None:
        value = value.lower() if use.transform == "lower" else value.upper()
    return None if value is None else quote_literal(value)
