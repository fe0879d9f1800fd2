"""A script as PostgreSQL's parser splits it, behind a door that no text can break."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw, Struct

from queryfit.sql.ddl import decode
from queryfit.sql.pglast_parser import ParseError, parse_sql_json, scan, split


class _Statement(Struct, frozen=True):
    stmt: dict[str, Raw] = {}
    stmt_location: int = 0
    stmt_len: int = 0


class _Script(Struct, frozen=True):
    stmts: list[_Statement] = []


_SCRIPT = msgspec.json.Decoder(_Script)


class Statement(Struct, gc=False):
    """One statement of a script: the parser's name of its kind, its place in the script in bytes of UTF-8."""

    kind: str
    raw: Raw
    start: int
    end: int

    @property
    def node(self) -> Any:
        """The typed tree: an instance of the struct of that kind, `Whole` for kinds without one."""
        return decode(self.kind, self.raw)


class Unparsed(Exception):  # noqa: N818 -- what it says of a text, caught where it is read
    """A text that PostgreSQL's parser refuses: its message, and the place in characters where it gave up.

    `is_final`: not even a part of the text may reach the scanner.
    """

    def __init__(self, message: str, location: int, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.location = location
        self.is_final = is_final


MAX_CHAIN = 5_000
"""Left-deep operators, joins and set operations nest one C stack frame each; the parser itself has no limit for them
and an 8 MB stack overflows at some 16,000."""

_SHORT_TEXT = 2 * MAX_CHAIN  # each level of a chain takes at least two characters, so shorter texts need no look
_SIGNS = b"+-*/%^<>=|~!@#&?`:"
_SHORTEST_WORD = 6  # characters that a link which is written as a word takes at least, as in `join t `
_LONGEST_SCAN = 16_000_000  # a token takes some 30 times its length
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")
_MOST_COMMENTS = 500  # the scanner takes time by the square of it
_COMMENTS_NEST = "comments nest"
_COMMENT = re.compile(r"/\*|\*/")
_LONGEST_MESSAGE = 200
_WORDS = ("is", "null", "at", "collate", "operator", "union", "except", "intersect", "join")


def refusal(sql: str) -> str | None:
    """Why a text must not reach the parser: it would crash on it. Costs common texts next to nothing."""
    if "\0" in sql:
        return "the text holds a NUL byte"
    if not sql.isascii():
        try:
            sql.encode()
        except UnicodeEncodeError:
            return "the text is not valid Unicode"
    return None if len(sql) < _SHORT_TEXT else _refusal_of_long(sql)


def _refusal_of_long(sql: str) -> str | None:
    if sql.count("/*") > _MOST_COMMENTS and _comment_depth(sql) > _MOST_COMMENTS:
        return f"{_COMMENTS_NEST} more than {_MOST_COMMENTS} levels deep"
    if _links(sql) <= MAX_CHAIN:
        return None
    try:
        pieces = split(sql, with_parser=False, only_slices=True)
    except ParseError:
        return None  # it does not even lex
    long = (sql[piece] for piece in pieces if piece.stop - piece.start >= _SHORT_TEXT)
    return next((reason for reason in map(_too_deep, long) if reason is not None), None)


def _comment_depth(sql: str) -> int:
    """How deep comments nest at most; strings are taken for comments where they look like some."""
    depth = deepest = 0
    for mark in _COMMENT.findall(sql):
        depth = depth + 1 if mark == "/*" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest


def _too_deep(statement: str) -> str | None:
    if _links(statement) <= MAX_CHAIN:
        return None
    is_plain = not any(mark in statement for mark in ("\\", "$", "--", "/*"))
    if is_plain and _links(_QUOTED.sub("", statement)) <= MAX_CHAIN:  # most of a bulk load is in its strings
        return None
    if len(statement) > _LONGEST_SCAN:
        return f"the statement has {len(statement)} characters and more operators than can be followed"
    from queryfit.sql.parse import chain  # noqa: PLC0415 -- it loads pglast's classes, which nothing else here needs

    if chain(scan(statement)) > MAX_CHAIN:
        return f"the statement chains more than {MAX_CHAIN} operators"
    return None


def _links(sql: str) -> int:
    """At least as many as a text has operators that may chain."""
    data = sql.encode()
    found = len(data) - len(data.translate(None, _SIGNS))
    if found <= MAX_CHAIN < found + len(sql) // _SHORTEST_WORD:
        lowered = sql.lower()
        found += sum(map(lowered.count, _WORDS))
    return found


def statements(sql: str) -> list[Statement]:
    """The statements of a script. Raises Unparsed."""
    reason = refusal(sql)
    if reason is not None:
        raise Unparsed(reason, 0, is_final=reason.startswith(_COMMENTS_NEST))
    try:
        parsed = parse_sql_json(sql)
    except ParseError as error:
        message, location = (*error.args, 0)[:2]
        text = str(message)
        raise Unparsed(
            text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + " …", location or 0
        ) from None
    except (MemoryError, UnicodeError, ValueError) as error:
        raise Unparsed(f"the parser gave up: {type(error).__name__}", 0) from None
    found = []
    try:
        script = _SCRIPT.decode(parsed)
    except (RecursionError, msgspec.DecodeError):
        raise Unparsed("it nests too deeply", 0) from None
    for entry in script.stmts:
        for kind, raw in entry.stmt.items():
            end = entry.stmt_location + entry.stmt_len if entry.stmt_len else -1
            found.append(Statement(kind, raw, entry.stmt_location, end))
    return found
