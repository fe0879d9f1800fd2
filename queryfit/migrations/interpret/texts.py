"""Parts of a statement as they are written, found from where the parser says that they begin."""

from __future__ import annotations

import re

from queryfit.migrations.context import Context

LONGEST = 2000
"""A definition is shown, not run: what is longer is cut."""

_PIECE = re.compile(
    r"""'(?:[^']|'')*'        # a string; one with escapes may end early, and then is shown too short
    |"(?:[^"]|"")*"
    |\$(\w*)\$.*?\$\1\$
    |--[^\n]*
    |/\*.*?\*/
    |\(|\)|\[|\]|,|;""",  # each with a literal at its begin: these are found at the speed of C
    re.DOTALL | re.VERBOSE,
)


def tail(context: Context, location: int) -> str:
    """The text from a location of the statement's tree on, at most LONGEST characters of it."""
    return context.source(location, location + LONGEST)


def item(context: Context, location: int) -> str:
    """The element of a list that begins there: up to its comma, to the bracket around it or to the statement's end."""
    text = tail(context, location)
    return one_line(text[: _end(text)])


def bracketed(context: Context, location: int) -> list[str]:
    """The elements of the first list in brackets behind that place."""
    text = tail(context, location)
    opening = next((piece.end() for piece in _PIECE.finditer(text) if piece[0] == "("), None)
    if opening is None:
        return []
    found = []
    while opening < len(text):
        end = opening + _end(text[opening:])
        found.append(one_line(text[opening:end]))
        if text[end : end + 1] != ",":
            break
        opening = end + 1
    return found


def one_line(text: str) -> str:
    return " ".join(text.split())


def _end(text: str) -> int:
    depth = 0
    for piece in _PIECE.finditer(text):
        mark = piece[0]
        if mark in "([":
            depth += 1
        elif mark in ")]":
            if depth == 0:
                return piece.start()
            depth -= 1
        elif mark == ";" or (mark == "," and depth == 0):
            return piece.start()
    return len(text)
