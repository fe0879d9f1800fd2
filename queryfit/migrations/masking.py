r"""What of a migration file reaches the server: the rest becomes blanks, so that every place stays where it was.

psql's part follows the PostgreSQL documentation of psql: a backslash outside quotes begins a command up to the end of
the line, `:name`, `:'name'` and `:"name"` are variables (left alone within `[a:b]`), `COPY … FROM stdin` is followed by
rows up to a line `\.` or the end of the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Final

from msgspec import Struct

MAX_NOTES = 50
"""Notes kept of one file; a template with thousands of placeholders is said to be one well before that."""


class Note(Struct, frozen=True):
    """What of a file could not be seen, or was taken to be something else."""

    line: int  # from 1
    text: str


_CANDIDATE: Final = r"--|/\*|'|\"|\$|\\|:|\{|;"
"""Where something special may begin; alternatives that begin with a literal are found at the speed of C."""

_SPECIAL: Final = r"""(?xs)(?P<line>--[^\n]*+)
    |(?P<block>/\*)
    |(?P<escape>(?<=[eE])(?<![\w$][eE])'(?:[^'\\]|\\.|'')*+'?)
    |(?P<string>'[^']*+'?)
    |(?P<name>"[^"]*+"?)
    |(?P<dollar>(?<![\w$])\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*+)?\$)
    |(?P<command>\\)
    |(?P<variable>(?<!:):(?:'[^'\n]*+'|"[^"\n]*+"|\{\?\w++\}|[A-Za-z_]\w*+))
    |(?P<placeholder>\$\{[^{}\n]*+\}|\{\{|\{%|\{\#)
    |(?P<end>;)"""
_VARIABLE = re.compile(r""":(?<!::)(?=['"A-Za-z_{])""")
_BLANKS = re.compile(r"(?:\s++|--[^\n]*+)*+")
_END_OF_ROWS = r"(?m)^\\\.[ \t\r]*$"
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_NOT_WORD = re.compile(r"[^A-Za-z0-9_]")
_NEAR = 200  # characters looked at beside a placeholder or variable: a line can be the whole file
_COPY = r"(?i)copy\b"
_FROM_STDIN = r"(?i)\bfrom\s+stdin\b"
_NAME_OF_COMMAND = r"\\([A-Za-z_]+|.|$)"
_TEMPLATE_ENDS = {"{{": "}}", "{%": "%}", "{#": "#}"}
_ENVIRONMENT = r"\$\{[^{}\n]*\}|\$[A-Za-z_]\w*+(?!\$)"
_FLYWAY_PLACEHOLDER = r"\$\{[^{}\n]*\}"

_SENDS = {"g", "gx", "gset", "gexec", "gdesc", "crosstabview", "watch", "bind", "bind_named"}
_WHOLE_LINE = {"copy", "!", "ef", "ev", "h", "help", "sf", "sv"}  # take the line to its end; others end at `\\`
_UNSEEN = {
    "i": "the file that it includes is not read",
    "ir": "the file that it includes is not read",
    "include": "the file that it includes is not read",
    "include_relative": "the file that it includes is not read",
    "c": "what follows runs in another database or as another role",
    "connect": "what follows runs in another database or as another role",
    "gexec": "the statements that its result holds are not seen",
    "copy": "its rows are not seen",
    "if": "the branches are all read, one after the other",
    "o": "what follows is written elsewhere",
    "!": "the shell command is not seen",
}


def blank(text: str) -> str:
    """Blanks of the same length; line feeds stay."""
    if "\n" not in text:
        return " " * len(text)
    return "\n".join([" " * len(line) for line in text.split("\n")])


def mask(text: str, *, is_psql: bool, is_flyway: bool = False) -> tuple[str, tuple[Note, ...]]:
    """What the server gets of a text, at the same places, and what cannot be seen of it.

    Placeholders (`${name}`, `{{ name }}`) become identifiers, as do psql's variables where the runner is psql
    (`is_psql`); where a whole statement is one, blanks. Flyway puts values in quoted text too (`is_flyway`).
    Nothing is scanned where a few searches say that there is nothing to mask.
    """
    sql = text
    notes: list[Note] = []
    if sql.startswith("\ufeff"):
        sql = " " + sql[1:]
    if "\0" in sql:
        notes.append(
            Note(sql.count("\n", 0, sql.index("\0")) + 1, "a NUL byte, which PostgreSQL takes in no statement")
        )
        sql = sql.replace("\0", " ")
    has_template = "${" in sql or "{{" in sql or "{%" in sql
    if is_flyway and has_template:
        sql = _fill(sql, _FLYWAY_PLACEHOLDER, notes)
    has_variable = is_psql and ("\\" in sql or (":" in sql and _VARIABLE.search(sql) is not None))
    if has_template or has_variable or _has_stdin(sql):
        scanner = _Scanner(sql, is_psql=is_psql)
        sql = scanner.run()
        notes += scanner.notes
    return sql, tuple(notes)


def fill_environment(sql: str, start: int, end: int, notes: list[Note]) -> str:
    """The text with `$NAME` and `${NAME}` between two places turned into identifiers."""
    part = _fill(sql[start:end], _ENVIRONMENT, notes, line=sql.count("\n", 0, start) + 1)
    return sql[:start] + part + sql[end:]


def _fill(sql: str, pattern: str, notes: list[Note], line: int = 1) -> str:
    """Each match turned into an identifier, or into blanks where nothing else stands in the statement."""
    pieces: list[str] = []
    done = 0
    seen: set[str] = set()
    for match in re.finditer(pattern, sql):
        token = match.group()
        if token not in seen and len(notes) < MAX_NOTES:
            seen.add(token)
            notes.append(Note(line + sql.count("\n", 0, match.start()), f"{token}: its value is not seen"))
        pieces += (sql[done : match.start()], _stand_in(sql, match.start(), match.end()))
        done = match.end()
    pieces.append(sql[done:])
    return "".join(pieces)


def _stand_in(sql: str, start: int, end: int) -> str:
    """An identifier in the place of a placeholder; blanks where it is a whole statement, and so may be any SQL."""
    token = sql[start:end]
    before = sql[max(0, start - _NEAR) : start].rstrip()
    after = sql[end : end + _NEAR].lstrip(" \t\r")
    begins = not before or before.endswith((";", "*/")) or before.rpartition("\n")[2].lstrip().startswith("--")
    if (begins and after[:1] in {"", ";", "\n"}) or "\n" in token:
        return blank(token)
    return _NOT_WORD.sub("_", token)


def _has_stdin(sql: str) -> bool:
    return "stdin" in sql or "STDIN" in sql


@cache
def _finder() -> Callable[[str, int], re.Match[str] | None]:
    """A function that finds the next thing that is not plain SQL; few runs need its patterns, which take a while."""
    next_candidate, special = re.compile(_CANDIDATE).search, re.compile(_SPECIAL).match

    def find(sql: str, place: int) -> re.Match[str] | None:
        while (candidate := next_candidate(sql, place)) is not None:
            match = special(sql, candidate.start())
            if match is not None:
                return match
            place = candidate.end()
        return None

    return find


def statements(sql: str) -> list[int]:
    """Where the statements of a text begin, in characters."""
    starts = []
    find = _finder()
    begin = place = 0
    while begin < len(sql):
        begin = _first_word(sql, begin)
        if begin < len(sql):
            starts.append(begin)
        place = begin
        begin = len(sql)
        while (match := find(sql, place)) is not None:
            if match.lastgroup == "end":
                begin = match.end()
                break
            place = _end_of_quoted(sql, match) if match.lastgroup in {"block", "dollar"} else match.end()
    return starts


def _first_word(sql: str, place: int) -> int:
    """Where the next text stands that is neither blank nor comment; the end, where there is none."""
    while True:
        match = _BLANKS.match(sql, place)
        place = match.end() if match is not None else place
        if not sql.startswith("/*", place):
            return place
        place = _end_of_comment(sql, place + 2)


def _end_of_quoted(sql: str, match: re.Match[str]) -> int:
    """The end of a block comment or of a dollar-quoted text; the end of all, where it is left open."""
    place = match.end()
    if match.lastgroup == "dollar":
        found = sql.find(match.group(), place)
        return len(sql) if found < 0 else found + len(match.group())
    return _end_of_comment(sql, place)


def _end_of_comment(sql: str, place: int) -> int:
    """Block comments nest in PostgreSQL."""
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(sql, place)
        if edge is None:
            return len(sql)
        depth += 1 if edge.group() == "/*" else -1
        place = edge.end()
    return place


class _Scanner:
    """One pass over a text that holds something to mask, or may."""

    def __init__(self, sql: str, *, is_psql: bool) -> None:
        self._sql = sql
        self._is_psql = is_psql
        self._pieces: list[str] = []
        self._kept = 0  # up to here the text is in the pieces
        self._begin = 0  # of the statement that is read
        self._may_copy = _has_stdin(sql)
        self._has_if = False
        self._said: set[str] = set()
        self._unclosed: set[str] = set()  # templates that end nowhere
        self.notes: list[Note] = []

    def run(self) -> str:
        place = 0
        sql = self._sql
        find = _finder()
        while (match := find(sql, place)) is not None:
            kind = match.lastgroup
            place = match.end()
            if kind in {"block", "dollar"}:
                place = _end_of_quoted(sql, match)
            elif kind == "end":
                place = self._end_of_statement(place)
            elif kind == "placeholder":
                place = self._placeholder(match.start(), place)
            elif self._is_psql and kind == "variable":
                self._variable(match)
            elif self._is_psql and kind == "command":
                place = self._command(match.start())
        self._pieces.append(sql[self._kept :])
        return "".join(self._pieces)

    def _replace(self, start: int, end: int, by: str) -> None:
        self._pieces += (self._sql[self._kept : start], by)
        self._kept = end

    def _note(self, place: int, text: str) -> None:
        if text not in self._said and len(self.notes) < MAX_NOTES:
            self._said.add(text)
            self.notes.append(Note(self._sql.count("\n", 0, place) + 1, text))

    def _end_of_statement(self, place: int) -> int:
        if self._may_copy:
            first = _first_word(self._sql, self._begin)
            if re.compile(_COPY).match(self._sql, first) and re.compile(_FROM_STDIN).search(self._sql, first, place):
                place = self._rows(place)
        self._begin = place
        return place

    def _rows(self, place: int) -> int:
        """Mask the rows after COPY … FROM stdin; they begin on the next line."""
        start = self._sql.find("\n", place) + 1
        if start == 0:
            return place
        match = re.compile(_END_OF_ROWS).search(self._sql, start)
        end = len(self._sql) if match is None else match.end()
        self._replace(start, end, blank(self._sql[start:end]))
        return end

    def _placeholder(self, start: int, end: int) -> int:
        opening = self._sql[start:end]
        if opening in _TEMPLATE_ENDS:
            close = self._sql.find(_TEMPLATE_ENDS[opening], end) if opening not in self._unclosed else -1
            if close < 0:
                self._unclosed.add(opening)
                return end
            end = close + 2
        whole = self._sql[start:end]
        is_code = opening in {"{%", "{#"}
        if opening != "{#":
            meaning = "template code is not run" if is_code else "its value is not seen"
            self._note(start, f"{' '.join(whole.split())[:60]}: {meaning}")
        self._replace(start, end, blank(whole) if is_code else _stand_in(self._sql, start, end))
        return end

    def _variable(self, match: re.Match[str]) -> None:
        start, end = match.span()
        low = max(self._begin, start - _NEAR)
        if self._sql.rfind("[", low, start) > self._sql.rfind("]", low, start):
            return  # an array slice
        token = match.group()
        kind = token[1]
        if kind == "{":
            by = "TRUE" + " " * (len(token) - 4)
        elif kind in "'\"":
            by = f"{kind}_{token[2:]}"
        else:
            self._note(start, f"{token}: its value is not seen")
            by = _stand_in(self._sql, start, end)
        self._replace(start, end, by)

    def _command(self, start: int) -> int:
        """Mask a command of psql, which goes up to the end of the line; the place to go on from."""
        sql = self._sql
        if sql.startswith("\\;", start):
            self._replace(start, start + 1, " ")
            return start + 1
        end = sql.find("\n", start)
        end = len(sql) if end < 0 else end
        parsed = re.compile(_NAME_OF_COMMAND).match(sql, start)
        name = parsed.group(1) if parsed is not None else ""
        separator = sql.find("\\\\", start + 1, end) if name not in _WHOLE_LINE else -1
        if separator > 0 and sql.count("'", start, separator) % 2 == 0:
            end = separator + 2
        line = sql[start:end].strip()
        if name in _UNSEEN:
            self._note(start, f"{line[:100]}: {_UNSEEN[name]}")
        if name in _SENDS:
            self._replace(start, end, ";" + blank(sql[start + 1 : end]))
            self._begin = end
            return end
        self._has_if = self._has_if or name == "if"
        if name == "q" and not self._has_if:
            if _first_word(sql, end) < len(sql):
                self._note(start, r"\q: what follows is not run")
            end = len(sql)
        self._replace(start, end, blank(sql[start:end]))
        if name == "copy" and re.search(_FROM_STDIN, line):
            return self._rows(end)
        return end
