"""Statements as a planner can take them: one of them, its placeholders typed, its values nothing but constants."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from queryfit.capture.generic_text import MAX_TEXT, parameter_count, preparable
from queryfit.lab.guesses import Guess, guesses, without_modifiers
from queryfit.lab.planner import NotPlannedError
from queryfit.sql.grammar import Node, ast
from queryfit.sql.parse import parse
from queryfit.sql.safety import single_plannable

if TYPE_CHECKING:
    from queryfit.lab.planner import Query

MAX_PARAMETERS = 2_000
_SQUASHED = re.compile(r"\b(not\s+)?in\s*\(\s*(\$\d+)\s*/\*, \.\.\. \*/\s*\)", re.IGNORECASE)
_HIDDEN = "<insufficient privilege>"


@dataclass(frozen=True, slots=True)
class Plannable:
    """One SELECT, INSERT, UPDATE, DELETE or MERGE; `guesses` are types to try for its placeholders."""

    text: str
    parameters: int
    values: tuple[str, ...] | None
    guesses: tuple[Guess, ...]
    statement: Node


def plannable(query: Query, version_number: int) -> Plannable:
    """The query as a server of this version can prepare or explain it.

    Raises NotPlannedError for a text that is hidden, cut short, not one plannable statement, or whose values are not
    plain constants.
    """
    text = query.text.strip()
    if text == _HIDDEN:
        raise NotPlannedError(
            "its text is hidden from the role that captured it", hint="grant pg_read_all_stats to that role"
        )
    if "\0" in text:
        raise NotPlannedError("its text holds a NUL, which no statement can")
    if len(text) > MAX_TEXT:
        raise NotPlannedError(f"its text is longer than {MAX_TEXT:,} characters")
    if "$" in text:
        text = without_modifiers(preparable(unsquashed(text), version_number))
    statement, reason = single_plannable(text)
    if statement is None:
        raise NotPlannedError(reason or "it is no statement", hint=_hint(text))
    count = parameter_count(text)
    if count > MAX_PARAMETERS:
        raise NotPlannedError(f"it has {count:,} parameters")
    return with_values(Plannable(text, count, None, guesses(text, statement) if count else (), statement), query)


def with_values(text: Plannable, query: Query) -> Plannable:
    """A text that was made plannable before, with the values of another query of the same text.

    Raises NotPlannedError where they are not plain constants.
    """
    if query.values is None or not text.parameters:
        return replace(text, values=None)
    return replace(text, values=_constants(query.values, text.parameters))


def unsquashed(text: str) -> str:
    """The text with `in ($1 /*, ... */)` (18 and later: a list of any length) as `= any ($1)`.

    As it stands it would be planned as one value; of an array of unknown length the planner expects ten.
    """
    if "/*, ... */" not in text:
        return text
    return _SQUASHED.sub(lambda found: f"{'<> all' if found[1] else '= any'} ({found[2]})", text)


def _hint(text: str) -> str | None:
    if not parse(text).is_cut:
        return None
    size = len(text.encode("utf-8", "surrogatepass"))
    return f"the text ends after {size:,} bytes: track_activity_query_size may have cut it"


def _constants(values: tuple[str | None, ...], count: int) -> tuple[str, ...]:
    if len(values) != count:
        raise NotPlannedError(f"it has {count} parameters, but {len(values)} values are given")
    return tuple("null" if value is None else _constant(value) for value in values)


def _constant(value: str) -> str:
    """The value as it is, if it is a constant and nothing else: EXECUTE would run any expression."""
    parsed = parse(f"select {value}")
    if parsed.error is None and len(parsed.statements) == 1:
        select: Node = parsed.statements[0].stmt
        if isinstance(select, ast.SelectStmt) and _clauses(select) == {"targetList"}:
            first, *others = select.targetList
            if not others and first.name is None and _is_constant(first.val):
                return value
    raise NotPlannedError("a value given for its parameters is not a constant", hint="write values as SQL literals")


def _clauses(select: Node) -> set[str]:
    """What a SELECT consists of; its flags and enums only tell more of that."""
    return {name for name in select if isinstance(getattr(select, name), tuple | ast.Node)}


def _is_constant(node: Node) -> bool:
    match node:
        case ast.A_Const():
            return True
        case ast.TypeCast():
            return _is_constant(node.arg)
        case ast.A_ArrayExpr():
            return all(_is_constant(element) for element in node.elements or ())
        case ast.A_Expr():  # a negative number
            return node.lexpr is None and node.name[-1].sval in {"-", "+"} and _is_constant(node.rexpr)
    return False
