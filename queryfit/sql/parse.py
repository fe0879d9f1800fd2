"""PostgreSQL's own parser behind a door that no text can break: what cannot be parsed comes back as a reason."""

import hashlib
import re
from dataclasses import dataclass

from pglast import ast, parser

MAX_CHAIN = 5_000
"""Left-deep operators, joins and set operations nest one C stack frame each; the parser itself has no limit for them
and an 8 MB stack overflows at some 16,000."""

MAX_TOKENS = 250_000
"""A token costs about 1 kB as a tree; a text beyond this is a bulk load written as one statement."""

_SHORT_TEXT = 2 * MAX_CHAIN  # each level of a chain takes at least two characters, so shorter texts need no scan

_CHAINING = frozenset({
    "Op", "TYPECAST", "LESS_EQUALS", "GREATER_EQUALS", "NOT_EQUALS", "UNION", "EXCEPT", "INTERSECT", "JOIN", "COLLATE",
    "IS", "ISNULL", "NOTNULL", "AT", "OPERATOR", *(f"ASCII_{ord(sign)}" for sign in "+-*/%^<>="),
})  # fmt: skip
_OPENING = frozenset({f"ASCII_{ord('(')}", f"ASCII_{ord('[')}"})
_CLOSING = frozenset({f"ASCII_{ord(')')}", f"ASCII_{ord(']')}"})
_SEPARATING = frozenset({f"ASCII_{ord(',')}", f"ASCII_{ord(';')}", "AND", "OR", "WHEN", "THEN", "ELSE"})

_DIGITS = re.compile(r"[0-9]")
_CUT_WORDS = ("end of input", "unterminated")


@dataclass(frozen=True, slots=True)
class Parsed:
    """The statements of a text, or why there are none (`error`, in words); `is_cut`: it seems to end too early."""

    statements: tuple[ast.RawStmt, ...]
    error: str | None = None
    is_cut: bool = False


def parse(text: str) -> Parsed:
    """Parse any text. Never raises: NUL bytes, lone surrogates, a depth that would overflow the stack are errors."""
    reason = _refusal(text)
    if reason is not None:
        return Parsed((), reason)
    try:
        statements = parser.parse_sql(text)
    except parser.ParseError as error:
        message = str(error.args[0])
        location = error.args[1] if len(error.args) > 1 else None
        return Parsed((), str(error), _is_cut(text, message, location))
    except (RecursionError, MemoryError, UnicodeError, ValueError, NotImplementedError) as error:
        return Parsed((), f"the parser gave up: {type(error).__name__}")
    return Parsed(tuple(statements))


def fingerprint(text: str) -> str:
    """16 hex digits, equal for texts that differ only in constants or white space.

    It is libpg_query's fingerprint; but that one drops the digits of table names, which would take orders_2025 and
    orders_2026 for one table, so names with digits are added to it. For a text that does not parse: the hash of it.
    Never raises.
    """
    if _refusal(text) is not None:
        return _hashed(text)
    try:
        mark = str(parser.fingerprint(text))
        numbered = _numbered_names(text) if _DIGITS.search(text) else ""
    except (parser.ParseError, RecursionError, MemoryError, UnicodeError, ValueError):
        return _hashed(text)
    return _hashed(f"{mark} {numbered}") if numbered else mark


def _numbered_names(text: str) -> str:
    """The identifiers that hold a digit, each once."""
    # the scanner counts characters: pglast translates PostgreSQL's bytes
    names = {text[token.start : token.end + 1] for token in parser.scan(text) if token.name in {"IDENT", "UIDENT"}}
    return " ".join(sorted(name for name in names if _DIGITS.search(name)))


def _hashed(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


def _refusal(text: str) -> str | None:
    if "\0" in text:
        return "the text holds a NUL byte"
    if not text.isascii() and max(text) >= "\ud800" and any("\ud800" <= character <= "\udfff" for character in text):
        return "the text is not valid Unicode"
    return _too_deep(text) if len(text) >= _SHORT_TEXT else None


def _too_deep(text: str) -> str | None:
    try:
        tokens = parser.scan(text)
    except parser.ParseError:
        return None  # the parser will say it in its own words
    if len(tokens) > MAX_TOKENS:
        return f"the text has {len(tokens)} tokens, more than {MAX_TOKENS}"
    if chain(tokens) > MAX_CHAIN:
        return f"the text chains more than {MAX_CHAIN} operators"
    return None


def chain(tokens: list[parser.Token]) -> int:
    """Upper bound of how deep the tree leans to the left, in levels."""
    open_levels = [0]
    depth = deepest = 0
    for token in tokens:
        name = token.name
        if name in _CHAINING:
            open_levels[-1] += 1
            depth += 1
            deepest = max(deepest, depth)
        elif name in _OPENING:
            open_levels.append(0)
        elif name in _CLOSING:
            if len(open_levels) > 1:
                depth -= open_levels.pop()
        elif name in _SEPARATING:
            depth -= open_levels[-1]
            open_levels[-1] = 0
    return deepest


def _is_cut(text: str, message: str, location: int | None) -> bool:
    if any(word in message for word in _CUT_WORDS):
        return True
    # A cut inside a token leaves an error at the last one: `where a = $`.
    at_last_token = location is not None and not any(character.isspace() for character in text.rstrip()[location:])
    return at_last_token and message.startswith("syntax error")
