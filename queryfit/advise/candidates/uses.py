"""How a statement uses each table: what it equates, bounds, joins, orders by and reads, from its references."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from queryfit.advise.candidates.expressions import NotIndexableError, Understood, understand
from queryfit.advise.candidates.facts import Column, Schema, Statement, Table, looks_too_wide
from queryfit.lab.planner import Key
from queryfit.lab.table_facts import array_values
from queryfit.sql.model import Reference

_WRITES = frozenset({"set", "insert"})
_TARGETS = frozenset({"update", "delete", "merge", "insert"})
_EXTREME = re.compile(r'(?:min|max)\(((?:[\w$]+)|"(?:[^"]|"")+")\)')
_RANGE_SHARE = 0.33  # PostgreSQL's own guess for one bound that it does not know
_BETWEEN_SHARE = 0.02  # between two
_LIST_LENGTH = 10  # values in a list that is a parameter


@dataclass(frozen=True, slots=True)
class Term:
    """One key that an index could have, and what it is good for."""

    key: Key
    columns: frozenset[str]  # unquoted
    label: str  # equality on status
    type: str  # typname of its value
    is_ordered: bool  # a B-tree can hold it
    width: float  # bytes of a mean value
    share: float | None = None  # of the rows that its condition leaves; null when not known
    partner: str | None = None  # relation that it is joined to
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class Use:
    """One appearance of a table in a statement."""

    fingerprint: str
    weight: float
    table: Table
    references: tuple[Reference, ...]
    equalities: tuple[Term, ...] = ()
    nulls: tuple[Term, ...] = ()  # x is null
    ranges: tuple[Term, ...] = ()
    joins: tuple[Term, ...] = ()
    order: tuple[Term, ...] = ()
    groups: tuple[Term, ...] = ()
    distincts: tuple[Term, ...] = ()
    windows: tuple[Term, ...] = ()
    extremes: tuple[Term, ...] = ()
    disjuncts: tuple[Term, ...] = ()  # arms of an OR
    read: frozenset[str] | None = None  # columns; None where an index alone can never answer
    wide: frozenset[str] = frozenset()  # columns whose values may not fit into an index


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that a statement would need and no index can give."""

    fingerprint: str
    relation: str
    expression: str
    reason: str


class Reader:
    """Reads uses from statements; remembers expressions, which return in many statements."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._expressions: dict[tuple[str, str], Understood | str] = {}
        self.refusals: dict[Refusal, None] = {}

    def uses(self, statement: Statement) -> list[Use]:
        """Uses of tables that can have indexes, in the order of appearance."""
        held: dict[tuple[int, str, str], list[Reference]] = {}
        for reference in statement.references:
            held.setdefault((reference.block, reference.alias, reference.relation), []).append(reference)
        found = []
        for (block, _, relation), references in held.items():
            table = self._schema.table(relation)
            if table is not None:
                found.append(self._use(statement, block, table, references))
        return found

    def understood(self, expression: str, table: Table) -> Understood | str:
        """What an expression is, or why no index can hold it: empty where that goes without saying."""
        place = (table.name, expression)
        if place not in self._expressions:
            try:
                self._expressions[place] = understand(expression, table, self._schema)
            except NotIndexableError as error:
                self._expressions[place] = "" if error.is_plain else str(error)
        return self._expressions[place]

    def refuse(self, statement: str, table: Table, expression: str, reason: str) -> None:
        """Remember what a statement would need and no index can give; nothing where the reason goes without saying."""
        if reason:
            self.refusals[Refusal(statement, table.name, expression, reason)] = None

    def _use(self, statement: Statement, block: int, table: Table, references: list[Reference]) -> Use:
        terms = {role: self._terms(statement, table, rows) for role, rows in _sorted_out(references).items()}
        is_target = block == 0 and statement.kind in _TARGETS
        is_written = is_target or any(reference.role in _WRITES for reference in references)
        columns = frozenset(reference.column_name for reference in references)
        is_whole = "*" in columns or not columns <= table.columns.keys()
        is_closed = (
            is_written or is_whole or statement.locks_rows or any(table.columns[name].is_virtual for name in columns)
        )
        return Use(
            fingerprint=statement.fingerprint,
            weight=statement.weight,
            table=table,
            references=tuple(references),
            equalities=_by_share(terms["equality"]),
            nulls=tuple(terms["null"]),
            ranges=_by_share(_bounded(terms["range"])),
            joins=tuple(terms["join"]),
            order=self._sorted(statement, table, references, "order"),
            groups=self._sorted(statement, table, references, "group"),
            distincts=self._sorted(statement, table, references, "distinct"),
            windows=tuple(terms["window"]),
            extremes=tuple(terms["extreme"]),
            disjuncts=tuple(terms["disjunct"]),
            read=None if is_closed else columns,
            wide=frozenset(
                name for name in columns & table.columns.keys() if looks_too_wide(table.columns[name], self._schema)
            ),
        )

    def _terms(self, statement: Statement, table: Table, references: Iterable[Reference]) -> list[Term]:
        found: dict[Key, Term] = {}
        for reference in references:
            term = self.term(statement, table, reference)
            if term is None:
                continue
            known = found.get(term.key)
            if known is not None:
                share = min((one.share for one in (known, term) if one.share is not None), default=None)
                term = replace(known, share=share, references=(*known.references, reference))
            found[term.key] = term
        return list(found.values())

    def term(self, statement: Statement, table: Table, reference: Reference) -> Term | None:
        """The key that serves a reference; None where there can be none."""
        column = table.columns.get(reference.column_name)
        if column is None:
            return None
        extreme = _EXTREME.fullmatch(reference.expression or "") if reference.role == "select" else None
        if reference.expression is None or extreme is not None:
            return self._column_term(column, reference)
        known = self.understood(reference.expression, table)
        if isinstance(known, str):
            # a distance is no news: no B-tree knows its order
            self.refuse(
                statement.fingerprint, table, reference.expression, "" if " <-> " in reference.expression else known
            )
            return None
        if known.column is not None:
            return self._column_term(known.column, reference)
        # otherwise the name stands for a column of a subquery around it
        return self._expression_term(known, table, reference) if reference.column_name in known.columns else None

    @staticmethod
    def _expression_term(known: Understood, table: Table, reference: Reference) -> Term:
        return Term(
            key=Key(known.sql, is_column=False),
            columns=known.columns,
            label=_label(reference, known.sql),
            type=known.type,
            is_ordered=known.is_ordered,
            width=max((table.columns[name].width for name in known.columns if name in table.columns), default=8),
            share=0.005 if reference.role == "equality" else _RANGE_SHARE,  # PostgreSQL's guesses
            partner=reference.other_relation,
            references=(reference,),
        )

    def _column_term(self, column: Column, reference: Reference) -> Term:
        return Term(
            key=Key(column.sql),
            columns=frozenset({column.name}),
            label=_label(reference, column.sql),
            type=column.base_type,
            is_ordered=column.is_ordered and not looks_too_wide(column, self._schema),
            width=column.width,
            share=condition_share(column, reference),
            partner=reference.other_relation,
            references=(reference,),
        )

    def _sorted(self, statement: Statement, table: Table, references: list[Reference], role: str) -> tuple[Term, ...]:
        """Keys of ORDER BY, GROUP BY or DISTINCT: those of this table up to the first that is another's."""
        placed: dict[int, Reference] = {}
        for reference in references:
            if reference.role == role and reference.position is not None:
                placed.setdefault(reference.position, reference)
        terms: list[Term] = []
        # GROUP BY and DISTINCT ask for no order of their own: those of one table may come first
        positions = sorted(placed)
        for place, position in enumerate(positions, 1):
            if role == "order" and place != position:
                break
            reference = placed[position]
            term = self.term(statement, table, reference)
            if term is None or not term.is_ordered:
                if role == "order":
                    break
                return ()
            if role == "order":
                key = replace(
                    term.key,
                    is_descending=bool(reference.is_descending),
                    is_nulls_first=bool(reference.is_nulls_first),
                )
                term = replace(term, key=key)
            if all(term.columns != known.columns for known in terms):
                terms.append(term)
        return _forward(terms) if role == "order" else tuple(terms)


def column_term(column: Column, words: str) -> Term:
    """A column as a key for something else than a condition."""
    label = f"{words} {column.sql}"
    return Term(Key(column.sql), frozenset({column.name}), label, column.base_type, column.is_ordered, column.width)


def _forward(terms: list[Term]) -> tuple[Term, ...]:
    """The same order read from the other end where the first key descends: an index is read both ways."""
    if not terms or not terms[0].key.is_descending:
        return tuple(terms)
    return tuple(
        replace(
            term,
            key=replace(
                term.key,
                is_descending=not term.key.is_descending,
                is_nulls_first=not term.key.is_nulls_first,
            ),
        )
        for term in terms
    )


def _sorted_out(references: list[Reference]) -> Mapping[str, list[Reference]]:
    found: dict[str, list[Reference]] = {
        role: [] for role in ("equality", "null", "range", "join", "window", "extreme", "disjunct")
    }
    for reference in references:
        role, operator = reference.role, reference.operator
        if role == "in_subquery":
            role = "join"
        if role in ("equality", "range", "join") and reference.is_disjunct:
            role = "disjunct"
        elif role == "join" and operator not in ("=", "in"):
            role = "range"
        elif role == "null_test" and operator == "is null" and not reference.is_disjunct:
            role = "null"
        elif role == "other" and operator in ("partition by", "window order by"):
            role = "window"
        elif role == "select" and _EXTREME.fullmatch(reference.expression or ""):
            role = "extreme"
        if role in found:
            found[role].append(reference)
    # a partition's keys come before the order in it
    found["window"].sort(key=lambda reference: (reference.operator != "partition by", reference.position or 0))
    return found


def _bounded(terms: list[Term]) -> list[Term]:
    """With both bounds a range is narrow."""
    bounded = []
    for term in terms:
        operators = {(reference.operator or "")[:1] for reference in term.references}
        is_between = {"<", ">"} <= operators
        bounded.append(replace(term, share=_BETWEEN_SHARE) if is_between else term)
    return bounded


def _by_share(terms: Iterable[Term]) -> tuple[Term, ...]:
    """The most selective first; those not known behind, in the order of their names."""
    return tuple(sorted(terms, key=lambda term: (term.share if term.share is not None else 0.1, term.key.expression)))


def condition_share(column: Column, reference: Reference) -> float | None:
    """Share of the rows that a condition leaves; null when that is not known or it is no condition."""
    if reference.role == "null_test":
        nulls = column.null_fraction
        return None if nulls is None else nulls if reference.operator == "is null" else 1 - nulls
    if reference.role == "range":
        return _RANGE_SHARE
    if reference.role not in ("equality", "other") or reference.operator is None:
        return None
    values = constants(reference, column)
    if values is None:
        mean = column.mean_share
        is_list = reference.value_kind in ("list", "array")
        return None if mean is None else min(1.0, mean * (_LIST_LENGTH if is_list else 1))
    shares = [column.share_of(value) for value in values]
    if None in shares:
        return None
    return min(1.0, sum(share for share in shares if share is not None))


_LITERAL = re.compile(r"'(?:[^']|'')*'|[^,\s]+")


def constants(reference: Reference, column: Column) -> tuple[str, ...] | None:
    """The constants that a condition compares with, as values print; None where a parameter is among them."""
    value = reference.value
    if value is None or reference.value_kind not in ("constant", "list", "array"):
        return None
    if reference.value_kind == "array" and value.startswith("'"):
        return array_values(value[1:-1].replace("''", "'"))  # = any('{a,b}')
    values = []
    for part in _LITERAL.findall(value):
        if part.startswith("$") or part in ("?", "null"):
            return None
        values.append(part[1:-1].replace("''", "'") if part.startswith("'") else part)
    if column.base_type == "bool":
        values = [{"true": "t", "false": "f"}.get(one, one) for one in values]
    return tuple(values)


def _label(reference: Reference, sql: str) -> str:
    words = {
        "order": "order by",
        "group": "group by",
        "join": "join on",
        "in_subquery": "join on",
        "null_test": "null test of",
        "select": "extreme of",
    }.get(reference.role, f"{reference.role} on")
    if reference.operator in ("partition by", "window order by"):
        words = "window over"
    return f"{words} {sql}"
