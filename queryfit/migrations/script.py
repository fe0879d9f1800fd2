"""The statements of a script with their places in it, also of one that does not parse."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec import Raw, Struct

from queryfit.sql import ddl_parts, ddl_script
from queryfit.sql.pglast_parser import ParseError, split

_BEFORE_STATEMENT = re.compile(r"(?:[\s;]+|--[^\n]*(?:\n|$)|/\*(?:[^*/]|\*(?!/)|/(?!\*))*\*/)*")


class Entry(Struct, gc=False):
    """A statement of a file: `shift` leads from the locations in its tree to places in the file, in bytes."""

    kind: str
    raw: Raw
    shift: int
    start: int  # of its first word, in characters
    end: int
    message: str | None = None  # why it does not parse


class Places:
    """Lines and columns of places in a text, counted from 1. Asked for in order, the text is walked once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place, self._line = 0, 1

    def at(self, place: int) -> tuple[int, int]:
        """Line and column of a character."""
        if place < self._place:
            self._place, self._line = 0, 1
        text = self._text
        self._line = line = self._line + text.count("\n", self._place, place)
        self._place = place
        return line, place - text.rfind("\n", 0, place)


def entries_of(sql: str) -> list[Entry]:
    """The statements of a file. Where it does not parse as a whole, each statement is tried alone."""
    try:
        parsed = ddl_script.statements(sql)
    except ddl_script.Unparsed as error:
        return _one_by_one(sql, error)
    return _placed(sql, parsed)


def _placed(sql: str, parsed: Sequence[ddl_script.Statement]) -> list[Entry]:
    """Statements with their places in characters."""
    is_ascii = sql.isascii()
    data = b"" if is_ascii else sql.encode()
    entries = []
    byte = character = 0
    for statement in parsed:
        start, end = statement.start, statement.end
        if is_ascii:
            first, last = start, end if statement.end >= 0 else len(sql)
        else:
            character += len(data[byte:start].decode())
            first = character
            byte = end if statement.end >= 0 else len(data)
            character += len(data[start:byte].decode())
            last = character
        skipped = _BEFORE_STATEMENT.match(sql, first, last)
        entries.append(Entry(statement.kind, statement.raw, 0, skipped.end() if skipped else first, last))
    return entries


def _one_by_one(sql: str, whole: ddl_script.Unparsed) -> list[Entry]:
    """The statements of a file that does not parse: those that do, and one entry for each that does not."""
    end = sql.find("\0")
    if end >= 0:  # no server takes it; what stands before is sent
        return [*entries_of(sql[:end]), Entry("unparsed", ddl_parts.NOTHING, 0, end, len(sql), whole.message)]
    if whole.is_final:
        return [Entry("unparsed", ddl_parts.NOTHING, 0, 0, len(sql), whole.message)]
    try:
        pieces = split(sql, with_parser=False, only_slices=True)
    except (ParseError, ValueError):  # it does not even lex: a quote that nobody closes
        at = min(whole.location, len(sql))
        return [Entry("unparsed", ddl_parts.NOTHING, 0, at, len(sql), whole.message)]
    entries: list[Entry] = []
    is_ascii = sql.isascii()
    characters = offset = 0  # the same place twice: in characters, and in bytes
    for start, stop in _with_gaps(sql, pieces):
        text = sql[start:stop]
        offset += start - characters if is_ascii else len(sql[characters:start].encode())
        characters = start
        try:
            parsed = ddl_script.statements(text)
        except ddl_script.Unparsed as error:
            at = min(start + error.location, stop)
            entries.append(Entry("unparsed", ddl_parts.NOTHING, 0, at, stop, error.message))
            continue
        entries += [
            Entry(entry.kind, entry.raw, offset, entry.start + start, entry.end + start)
            for entry in _placed(text, parsed)
        ]
    return entries


def _with_gaps(sql: str, pieces: Sequence[slice]) -> Iterator[tuple[int, int]]:
    """The pieces that the scanner found, and what it left out between them: it drops statements of a single word."""
    at = 0
    for piece in (*pieces, slice(len(sql), len(sql))):
        while at < piece.start:
            skipped = _BEFORE_STATEMENT.match(sql, at, piece.start)
            at = skipped.end() if skipped else at
            if at < piece.start:
                stop = sql.find(";", at, piece.start)
                stop = stop if stop >= 0 else piece.start
                yield at, stop
                at = stop
        if sql[piece].strip():
            yield piece.start, piece.stop
        at = max(at, piece.stop)
