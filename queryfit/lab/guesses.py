"""Types to try for parameters that the server cannot tell, each with the place where an error would point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pglast import parser

from queryfit.capture.generic_text import UNKNOWN, argument_types, operand_types
from queryfit.sql.grammar import Node, ast
from queryfit.sql.tree import walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SUMS = frozenset({"sum", "avg", "stddev", "variance", "stddev_samp", "stddev_pop", "var_samp", "var_pop"})
_COUNTED = frozenset({
    "round", "trunc", "substr", "substring", "left", "right", "lpad", "rpad", "repeat", "split_part", "make_interval",
    "lag", "lead", "ntile", "nth_value", "position", "overlay", "chr", "to_hex",
})  # fmt: skip
_ANYTHING = (UNKNOWN, "integer", "numeric", "text", "timestamptz", "interval", "float8", "date", "text[]")
_MODIFIED = frozenset({
    "DECIMAL_P", "NUMERIC", "DEC", "VARCHAR", "CHARACTER", "CHAR_P", "BIT", "FLOAT_P", "TIMESTAMP", "TIME",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Guess:
    """Parameters of one node of the parse tree; `location`: where it stands, in characters from 0."""

    location: int
    numbers: tuple[int, ...]
    choices: tuple[str, ...]


def guesses(text: str, statement: Node) -> tuple[Guess, ...]:
    """What the parameters below operators, calls and outputs may be, the likeliest first."""
    found: list[Guess] = []
    for node in walk(statement):
        location = _characters(text, getattr(node, "location", None))
        found += [Guess(location, numbers, choices) for numbers, choices in _of(node)]
    return tuple(found)


def parameters_at(text: str, statement: Node, position: int) -> frozenset[int]:
    """The parameters inside of the nodes that stand at a place."""
    return frozenset(
        inner.number
        for node in walk(statement)
        if _characters(text, getattr(node, "location", None)) == position
        for inner in walk(node)
        if isinstance(inner, ast.ParamRef) and inner.number
    )


def _of(node: Node) -> Iterator[tuple[tuple[int, ...], tuple[str, ...]]]:
    match node:
        case ast.A_Expr():
            direct = {number: tuple(types) for number, types in operand_types(node).items()}
            if node.lexpr is None and node.name[-1].sval in {"-", "+"} and isinstance(node.rexpr, ast.ParamRef):
                direct[node.rexpr.number] = ("numeric", "interval")
            yield from (((number,), _with_rest(types)) for number, types in direct.items())
            below = tuple(number for side in (node.lexpr, node.rexpr) for number in _results(side))
            if below:
                yield below, _with_rest((UNKNOWN, "numeric"))
        case ast.FuncCall():
            name = node.funcname[-1].sval
            first: tuple[str, ...] = (UNKNOWN,)
            if name in _SUMS:
                first = ("numeric",)
            elif name in _COUNTED:
                first = (UNKNOWN, "integer")
            for number, types in argument_types(node).items():
                yield (number,), _with_rest((*first, *types))
            below = tuple(number for argument in node.args or () for number in _results(argument))
            if below:
                yield below, _with_rest((*first, "numeric"))
        case ast.ParamRef() if node.number:
            yield (node.number,), _ANYTHING


def _with_rest(types: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*types, *_ANYTHING)))


def _results(node: Node) -> list[int]:
    """Parameters that a CASE or COALESCE may turn out to be."""
    match node:
        case ast.CaseExpr():
            values = [*(when.result for when in node.args or ()), node.defresult]
        case ast.CoalesceExpr() | ast.MinMaxExpr():
            values = list(node.args or ())
        case _:
            return []
    return [
        number
        for value in values
        for number in ([value.number] if isinstance(value, ast.ParamRef) and value.number else _results(value))
    ]


def _characters(text: str, location: int | None) -> int:
    """The parser counts bytes, the server's messages count characters."""
    if location is None or location < 0:
        return -1
    return location if text.isascii() else len(text.encode("utf-8", "surrogatepass")[:location].decode(errors="ignore"))


def without_modifiers(text: str) -> str:
    """The text without `($1, $2)` behind a type: some tools replace constants there too, and no server takes it."""
    try:
        tokens = [token for token in parser.scan(text) if token.name not in {"C_COMMENT", "SQL_COMMENT"}]
    except (parser.ParseError, UnicodeError, ValueError):
        return text
    cuts: list[tuple[int, int]] = []
    for at, token in enumerate(tokens):
        if token.name not in _MODIFIED:
            continue
        end = at + 1
        while end < len(tokens) and tokens[end].name == _inside(end - at):
            end += 1
        if end < len(tokens) and end > at + 2 and tokens[end].name == "ASCII_41":
            cuts.append((tokens[at + 1].start, tokens[end].end + 1))
    for start, stop in reversed(cuts):
        text = text[:start] + text[stop:]
    return text


def _inside(place: int) -> str:
    """The token expected at a place behind the type's name: an opening parenthesis, then parameters and commas."""
    if place == 1:
        return "ASCII_40"
    return "PARAM" if place % 2 == 0 else "ASCII_44"
