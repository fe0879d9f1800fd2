"""Texts of pg_stat_statements made into texts that a server can prepare.

Its constants became `$n` wherever they stood, also where the grammar takes none (`interval $1`, `extract($1 from …)`),
and without the constant the type of some cannot be told (`now() - $1`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pglast import parser

from queryfit.sql.grammar import Node, ast
from queryfit.sql.parse import parse
from queryfit.sql.tree import walk

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_TEXT = 100_000
UNKNOWN = "unknown"  # PREPARE takes it for a type that it is to find out
_PLAIN_TYPES = frozenset({
    "IDENT", "INTERVAL", "TIMESTAMP", "TIME", "ZONE", "BIT", "CHARACTER", "CHAR_P", "VARCHAR", "INT_P", "INTEGER",
    "SMALLINT", "BIGINT", "REAL", "FLOAT_P", "DECIMAL_P", "NUMERIC", "BOOLEAN_P", "JSON", "XML_P", "DOMAIN_P",
})  # fmt: skip
_UNITS = frozenset({"YEAR_P", "MONTH_P", "DAY_P", "HOUR_P", "MINUTE_P", "SECOND_P", "TO"})
_FIRST_EXTRACT = 140000  # before it, EXTRACT was spelled date_part()
_MOMENTS = frozenset({
    "now", "clock_timestamp", "statement_timestamp", "transaction_timestamp", "date_trunc", "to_timestamp", "timezone",
    "age", "make_timestamp", "make_timestamptz", "date_bin",
})  # fmt: skip
_WITHOUT_TYPE = re.compile(r"data type of parameter \$(\d+)")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    start: int
    end: int  # the first character behind it


def preparable(text: str, version_number: int) -> str:
    """The text with `type $n` written as a cast and `extract($n from …)` as a call; unchanged where it has neither.

    Texts that are too long to be worth a plan, or that the scanner does not take, come back unchanged.
    """
    if "$" not in text or len(text) > MAX_TEXT:
        return text
    tokens = _tokens(text)
    changes: list[tuple[int, int, str]] = []
    for at, token in enumerate(tokens):
        if token.kind != "PARAM":
            continue
        if change := _extract(text, tokens, at, version_number) or _constant(text, tokens, at):
            changes.append(change)
    for start, end, words in reversed(changes):
        text = text[:start] + words + text[end:]
    return text


def parameter_count(text: str) -> int:
    """The highest `$n` of a text."""
    numbers = [text[token.start + 1 : token.end] for token in _tokens(text) if token.kind == "PARAM"]
    return max((int(number) for number in numbers if number.isdigit()), default=0)


def declarations(text: str) -> list[dict[int, str]]:
    """Types to try for parameters whose type the server may not tell, best guess first; each maps `$n` to a type."""
    guesses: dict[int, Sequence[str]] = {}
    for statement in parse(text).statements:
        for node in walk(statement.stmt):
            if isinstance(node, ast.A_Expr):
                guesses |= operand_types(node)
            elif isinstance(node, ast.FuncCall):
                guesses |= argument_types(node)
    if not guesses:
        return []
    rounds = max(len(choices) for choices in guesses.values())
    attempts = [
        {number: choices[min(attempt, len(choices) - 1)] for number, choices in guesses.items()}
        for attempt in range(rounds)
    ]
    return [types for types in attempts if set(types.values()) != {UNKNOWN}]


def untyped_parameter(message: str) -> int | None:
    """The n of `could not determine data type of parameter $n`; None for other messages."""
    found = _WITHOUT_TYPE.search(message)
    return int(found[1]) if found else None


def _tokens(text: str) -> list[_Token]:
    try:
        scanned = parser.scan(text)
    except (parser.ParseError, UnicodeError, ValueError):
        return []
    return [_Token(t.name, t.start, t.end + 1) for t in scanned if t.name not in {"C_COMMENT", "SQL_COMMENT"}]


def _kind(tokens: Sequence[_Token], at: int) -> str:
    return tokens[at].kind if 0 <= at < len(tokens) else ""


def _extract(text: str, tokens: Sequence[_Token], at: int, version_number: int) -> tuple[int, int, str] | None:
    around = (_kind(tokens, at - 2), _kind(tokens, at - 1), _kind(tokens, at + 1))
    if around != ("EXTRACT", "ASCII_40", "FROM"):
        return None
    name = '"extract"' if version_number >= _FIRST_EXTRACT else "date_part"
    parameter = text[tokens[at].start : tokens[at].end]
    return tokens[at - 2].start, tokens[at + 1].end, f"pg_catalog.{name}(cast({parameter} as text),"


def _constant(text: str, tokens: Sequence[_Token], at: int) -> tuple[int, int, str] | None:
    """`interval $1 day`, `timestamp with time zone $1`, `inet $1`: a type before a constant."""
    first = at - 1
    if _kind(tokens, first) == "ASCII_41" and _kind(tokens, first - 3) in {"INTERVAL", "TIMESTAMP", "TIME"}:
        first -= 3  # the precision in parentheses
    elif _kind(tokens, first) == "ZONE":
        if _kind(tokens, first - 2) not in {"WITH", "WITHOUT", "WITH_LA", "WITHOUT_LA"}:
            return None  # AT TIME ZONE $1
        first -= 3
        if _kind(tokens, first) == "ASCII_41":
            first -= 3
    if first < 0 or _kind(tokens, first) not in _PLAIN_TYPES:
        return None
    while _kind(tokens, first) == "IDENT" and _kind(tokens, first - 1) == "ASCII_46" and _kind(tokens, first - 2):
        first -= 2
    last = at
    if _kind(tokens, first) == "INTERVAL":
        while _kind(tokens, last + 1) in _UNITS:
            last += 1
    type_name = text[tokens[first].start : tokens[at - 1].end]
    units = text[tokens[at].end : tokens[last].end]
    parameter = text[tokens[at].start : tokens[at].end]
    return tokens[first].start, tokens[last].end, f"cast({parameter} as {type_name}{units})"


def operand_types(expression: Node) -> dict[int, Sequence[str]]:
    """Types to try for parameters that are operands.

    Of `x - $1` the server takes the type of x for the parameter; for a moment an interval is what was meant.
    """
    name = expression.name[-1].sval
    left, right = expression.lexpr, expression.rexpr
    if name not in {"+", "-", "*", "/", "%", "||"} or left is None or right is None:
        return {}
    found: dict[int, Sequence[str]] = {}
    for side, other in ((left, right), (right, left)):
        if not isinstance(side, ast.ParamRef) or not side.number:
            continue
        if name == "||":
            found[side.number] = ("text",)
        elif isinstance(other, ast.ParamRef) or name in {"*", "/", "%"}:
            found[side.number] = ("numeric", "integer")
        elif _is_cast_to(other, {"interval"}):
            found[side.number] = ("timestamptz", "interval")
        elif _is_date(other):
            found[side.number] = ("integer", "interval")
        elif _is_moment(other):
            found[side.number] = ("interval",)
        else:
            found[side.number] = ("interval", "integer", "numeric")
    return found


def _is_date(node: Node) -> bool:
    is_today = isinstance(node, ast.SQLValueFunction) and node.op.name == "SVFOP_CURRENT_DATE"
    return is_today or _is_cast_to(node, {"date"})


def _is_moment(node: Node) -> bool:
    if _is_cast_to(node, {"timestamp", "timestamptz", "time", "timetz"}):
        return True
    if isinstance(node, ast.FuncCall):
        return node.funcname[-1].sval in _MOMENTS
    return isinstance(node, ast.SQLValueFunction)


def _is_cast_to(node: Node, types: set[str]) -> bool:
    return isinstance(node, ast.TypeCast) and node.typeName.names[-1].sval in types


def argument_types(call: Node) -> dict[int, Sequence[str]]:
    """Types to try for parameters that are arguments of a function themselves."""
    name = call.funcname[-1].sval
    choices: Sequence[str] = ("integer", "timestamptz") if name == "generate_series" else (UNKNOWN, "numeric", "text")
    arguments = [node for node in call.args or () if isinstance(node, ast.ParamRef) and node.number]
    return {node.number: choices for node in arguments}
