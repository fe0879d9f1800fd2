"""Indexes that are no plain B-trees: patterns, documents, arrays, full text, ranges, places, huge tables, wide keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from queryfit.advise.candidates.btree import Draft
from queryfit.advise.candidates.facts import Column, Options, Schema, looks_too_wide
from queryfit.advise.candidates.uses import Reader, Term, Use, column_term
from queryfit.lab.planner import Index, Key
from queryfit.sql.model import Reference

_TEXTS = frozenset({"text", "varchar", "bpchar", "name", "citext"})
_PATTERN_CLASSES = {"text": "text_pattern_ops", "varchar": "varchar_pattern_ops", "bpchar": "bpchar_pattern_ops"}
_CONTAINMENT = frozenset({"@>", "<@", "&&", "@@", "@?", "?", "?|", "?&", "-|-", "<<", ">>", "&<", "&>", "~=", ">>=",
    "<<=", "|>>", "<<|"})  # fmt: skip
_GEOMETRIES = frozenset({"point", "box", "polygon", "circle"})
_POSTGIS = frozenset({"geometry", "geography"})
_PLACE_FUNCTIONS = (
    "st_intersects(", "st_dwithin(", "st_contains(", "st_within(", "st_covers(", "st_coveredby(", "st_overlaps(",
    "st_touches(", "st_crosses(", "st_equals(", "st_dfullywithin(", "st_containsproperly(",
)  # fmt: skip
_SPATIAL_OPERATORS = {
    "point": frozenset({"<@", "<<", ">>", "|>>", "<<|", "~="}),
    "box": frozenset({"&&", "@>", "<@", "<<", ">>", "&<", "&>", "~=", "|>>", "<<|"}),
    "polygon": frozenset({"&&", "@>", "<@", "<<", ">>", "&<", "&>", "~=", "|>>", "<<|"}),
    "circle": frozenset({"&&", "@>", "<@", "<<", ">>", "&<", "&>", "~=", "|>>", "<<|"}),
}
_RANGE_OPERATORS = frozenset({"&&", "@>", "<@", "<<", ">>", "&<", "&>", "-|-", "="})
_NETWORK_OPERATORS = frozenset({"&&", ">>", "<<", ">>=", "<<="})
_BLOCK_TYPES = frozenset({
    "int2", "int4", "int8", "float4", "float8", "numeric", "date", "timestamp", "timestamptz", "uuid", "text",
})  # fmt: skip
_IN_GIN = frozenset({
    "int2", "int4", "int8", "numeric", "text", "varchar", "bpchar", "date", "timestamp", "timestamptz", "uuid",
})  # fmt: skip
_BLOCK_CORRELATION = 0.9  # below that a block range holds values from everywhere
_MANY_VALUES = 100
_WIDE_KEY = 48  # bytes: a hash of 4 is much less
_MOST_HASHED_ROWS = 1000  # of one value: a hash index has no order to make up for long chains
_CASELESS = frozenset({"~~*", "~*"})


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the special drafts of uses."""

    schema: Schema
    reader: Reader
    options: Options

    def drafts(self, use: Use) -> Iterator[Draft]:
        """Drafts of one use, without repeats."""
        seen: set[Index] = set()
        for draft in self._all(use):
            if draft.index not in seen:
                seen.add(draft.index)
                yield draft

    def _all(self, use: Use) -> Iterator[Draft]:
        for reference in use.references:
            target = self._target(use, reference)
            if target is None:
                continue
            if reference.role == "pattern":
                yield from self._patterns(use, reference, target)
            elif reference.role == "order" and reference.position == 1:
                yield from self._nearest(use, reference)
            elif reference.role in ("other", "equality", "range", "join"):
                yield from self._containing(use, reference, target)
        yield from self._blocks(use)
        yield from self._hashes(use)

    def _target(self, use: Use, reference: Reference) -> Term | None:  # noqa: PLR0911 -- one kind of condition each
        """Column or expression of a condition, of whatever type."""
        if reference.role in ("select", "group", "distinct", "set", "insert"):
            return None
        column = use.table.columns.get(reference.column_name)
        if column is None or column.is_virtual:
            return None
        expression = reference.expression
        if expression is None or reference.role == "order" or expression.lower().startswith(_PLACE_FUNCTIONS):
            return column_term(column, "")
        known = self.reader.understood(expression, use.table)
        if isinstance(known, str):
            if reference.role in ("pattern", "other") and reference.operator is not None:
                self.reader.refuse(use.fingerprint, use.table, expression, known)
            return None
        if known.column is not None:
            return column_term(known.column, "")
        if reference.column_name not in known.columns:
            return None
        return Term(Key(known.sql, is_column=False), known.columns, known.sql, known.type, known.is_ordered, 8)

    # -- patterns

    def _patterns(self, use: Use, reference: Reference, target: Term) -> Iterator[Draft]:
        if target.type not in _TEXTS:
            return
        operator = reference.operator or ""
        why = f"pattern on {target.key.expression}"
        start = _visible_start(reference)
        is_like = operator in ("~~", "^@", "~", "similar to")
        has_start = start is None or (bool(start) and (operator != "~" or start.startswith("^")))
        column = use.table.columns.get(next(iter(target.columns)))
        if is_like and has_start and not (column is not None and looks_too_wide(column, self.schema)):
            is_c = self._is_c(target, column)
            operator_class = None if is_c else _PATTERN_CLASSES.get(target.type, "text_pattern_ops")
            if target.type != "citext":
                key = Key(target.key.expression, target.key.is_column, operator_class)
                equal = tuple(term.key for term in use.equalities[: self.options.max_width - 1] if term.is_ordered)
                equal = tuple(other for other in equal if other.expression != key.expression)
                if equal and not reference.is_disjunct:
                    yield Draft(Index(use.table.name, (*equal, key)), why)
                yield Draft(Index(use.table.name, (key,)), why)
        if is_like and operator != "~" and start:
            return
        if operator == "^@" and start is not None:
            return
        yield from self._trigrams(use, target, why)

    def _trigrams(self, use: Use, target: Term, why: str) -> Iterator[Draft]:
        operator_class = self.schema.operator_class("pg_trgm", "gin_trgm_ops")
        if operator_class is None:
            reason = "an index for patterns without a fixed start needs the extension pg_trgm, which is not installed"
            self.reader.refuse(use.fingerprint, use.table, target.key.expression, reason)
            return
        key = Key(target.key.expression, target.key.is_column, operator_class)
        yield from self._inverted(use, key, f"{why} by trigrams")

    def _is_c(self, target: Term, column: Column | None) -> bool:
        if column is not None and target.key.is_column and column.collation is not None:
            return column.collation.strip('"') in ("C", "POSIX", "ucs_basic")
        return self.schema.is_c_collation

    # -- what holds several values

    def _containing(  # noqa: C901 -- one branch a type
        self, use: Use, reference: Reference, target: Term
    ) -> Iterator[Draft]:
        operator = reference.operator or ""
        column = use.table.columns[reference.column_name]
        why = f"{operator} on {target.key.expression}"
        category = column.category if target.key.is_column else ""
        if operator == "= any" and reference.role == "other" and category == "A":
            reason = f"PostgreSQL has no index for it; written as {column.sql} @> array[$1] it has one"
            self.reader.refuse(use.fingerprint, use.table, f"$1 = any({column.sql})", reason)
            return
        is_place = target.type in _POSTGIS and (
            operator in ("&&", "@", "~") or (reference.expression or "").lower().startswith(_PLACE_FUNCTIONS)
        )
        if is_place:
            yield Draft(Index(use.table.name, (target.key,), access_method="gist"), f"place of {target.key.expression}")
        if operator not in _CONTAINMENT and not (category == "R" and operator == "="):
            return
        if target.type == "jsonb":
            if operator in ("@>", "@@", "@?"):
                key = Key(target.key.expression, target.key.is_column, "jsonb_path_ops")
                yield from self._inverted(use, key, why)
            if operator in ("?", "?|", "?&", "@>"):
                yield from self._inverted(use, target.key, why)
        elif target.type == "tsvector" and operator == "@@":
            yield from self._inverted(use, target.key, f"full text of {target.key.expression}")
        elif category == "A" and operator in ("@>", "<@", "&&") and _has_order_of_elements(column):
            yield from self._inverted(use, target.key, why)
        elif category == "R" and operator in _RANGE_OPERATORS:
            yield from self._spatial(use, target.key, why, has_quadrants=not column.base_type.endswith("multirange"))
        elif column.base_type in ("inet", "cidr") and operator in _NETWORK_OPERATORS and target.key.is_column:
            key = Key(target.key.expression, operator_class="inet_ops")
            yield from self._spatial(use, key, why, has_quadrants=True)
        elif operator in _SPATIAL_OPERATORS.get(target.type, ()) and target.key.is_column:
            yield from self._spatial(use, target.key, why, has_quadrants=target.type != "circle")

    def _inverted(self, use: Use, key: Key, why: str) -> Iterator[Draft]:
        if self.schema.operator_class("btree_gin", "int4_ops") is not None:
            equal = [term for term in use.equalities if term.key.is_column and term.type in _IN_GIN]
            for term in equal[:1]:
                index = Index(use.table.name, (term.key, key), access_method="gin")
                yield Draft(index, f"{term.label}, {why}")
        yield Draft(Index(use.table.name, (key,), access_method="gin"), why)

    @staticmethod
    def _spatial(use: Use, key: Key, why: str, *, has_quadrants: bool) -> Iterator[Draft]:
        yield Draft(Index(use.table.name, (key,), access_method="gist"), why)
        if has_quadrants:
            yield Draft(Index(use.table.name, (key,), access_method="spgist"), why)

    def _nearest(self, use: Use, reference: Reference) -> Iterator[Draft]:
        expression = reference.expression or ""
        column = use.table.columns[reference.column_name]
        if " <-> " not in expression or column.sql not in expression.split(" <-> "):
            return
        why = f"nearest by {column.sql}"
        operator_class = None
        if column.base_type in _TEXTS:
            operator_class = self.schema.operator_class("pg_trgm", "gist_trgm_ops")
            if operator_class is None:
                return
        elif column.base_type not in _GEOMETRIES | _POSTGIS:
            return
        key = Key(column.sql, operator_class=operator_class)
        yield Draft(Index(use.table.name, (key,), access_method="gist"), why)
        if column.base_type == "point":
            yield Draft(Index(use.table.name, (key,), access_method="spgist"), why)

    # -- large and wide

    def _blocks(self, use: Use) -> Iterator[Draft]:
        if use.table.part_pages < self.options.brin_pages:
            return
        for term in (*use.ranges, *use.equalities):
            column = use.table.columns.get(next(iter(term.columns))) if term.key.is_column else None
            if column is None or column.base_type not in _BLOCK_TYPES or column.correlation is None:
                continue
            # of few values one that nearly all rows have makes for order everywhere
            has_many = (column.distinct_rows or 0) >= _MANY_VALUES
            if has_many and abs(column.correlation) >= _BLOCK_CORRELATION:
                index = Index(use.table.name, (Key(column.sql),), access_method="brin")
                yield Draft(index, f"{term.label}, whose order is the table's")

    def _hashes(self, use: Use) -> Iterator[Draft]:
        for term in (*use.equalities, *use.joins):
            column = use.table.columns.get(next(iter(term.columns))) if term.key.is_column else None
            if column is None or not (column.is_text or column.category == "S"):
                continue
            is_wide = column.width >= _WIDE_KEY or looks_too_wide(column, self.schema)
            same = (column.mean_share or 0) * (use.table.rows or 0)
            if is_wide and same <= _MOST_HASHED_ROWS:
                index = Index(use.table.name, (Key(column.sql),), access_method="hash")
                yield Draft(index, f"{term.label}, wide values")


def _visible_start(reference: Reference) -> str | None:
    """The fixed start of a pattern: empty where it begins with a wildcard, None where it is not in the text."""
    value = reference.value
    if value is None or not value.startswith("'"):
        return None
    text = value[1:]
    if reference.operator in _CASELESS:
        return ""
    wild = "%_" if reference.operator in ("~~", "similar to") else ""
    for place, character in enumerate(text):
        if character in wild or character == "'":
            return text[:place]
    return text


def _has_order_of_elements(column: Column) -> bool:
    element = column.base_type.removeprefix("_")
    return element not in ("json", "point", "line", "lseg", "box", "path", "polygon", "circle", "xml")
