"""Other people's words, made harmless for the place where they are printed.

Statement texts, names, log lines and file names come from strangers: they must not steer a terminal, open an HTML
tag, close a table cell, or start a formula or a workflow command.
"""

from __future__ import annotations

import re
import unicodedata

# Cc control, Cf format (bidi marks, zero-width), Co private use, Cs lone surrogates, Cn unassigned, Zl/Zp line breaks
_UNSAFE = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
_MAYBE_UNSAFE = re.compile(r"[^ -~]")
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#~$!])")
_MENTION = re.compile(r"@(?=\w)")  # would write to whoever has that name
_COMMAND = re.compile(r"::(?=[\w-]+(?:\s[^\n]*)?::)")
_BEFORE_COMMAND = re.compile(r"(?:[ \t]|\x1b\[[0-9;]*m)*")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def printable(text: str, *, keep: str = "") -> str:
    r"""The text with everything that moves a cursor or hides itself written out: ESC becomes `\x1b`.

    `keep` are characters that may stay, such as the newlines of a statement.
    """
    if text.isprintable():
        return text
    return _MAYBE_UNSAFE.sub(lambda found: _if_safe(found[0], keep), text)


def _if_safe(character: str, keep: str) -> str:
    is_safe = character in keep or unicodedata.category(character) not in _UNSAFE
    return character if is_safe else _written_out(character)


def _written_out(character: str) -> str:
    if character in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[character]
    code = ord(character)
    if code <= 0xFF:  # noqa: PLR2004
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004


def block(text: str) -> str:
    """Text of several lines, such as a statement: line breaks stay, tabs become blanks, all else is written out."""
    lines = text.replace("\r\n", "\n").expandtabs(4)
    return printable(lines, keep="\n")


def line(text: str, most: int | None = None) -> str:
    """Text on one line: runs of blanks and line breaks become one blank, and `most` characters stay."""
    if most is not None:
        text = text[: most * 8]  # a megabyte of text is not worth walking for one line
    flat = printable(" ".join(text.split()))
    return shortened(flat, most) if most is not None else flat


def shortened(text: str, most: int) -> str:
    """At most `most` characters; an ellipsis marks the cut."""
    return text if len(text) <= most else f"{text[: max(most - 1, 0)].rstrip()}…"


def markdown(text: str) -> str:
    """Text that Markdown and the HTML within it take literally, on one line."""
    flat = line(text).replace("&", "&amp;")
    literal = _MARKDOWN.sub(lambda found: {"<": "&lt;", ">": "&gt;"}.get(found[1], f"\\{found[1]}"), flat)
    return _MENTION.sub("@&#8203;", literal)


def code_span(text: str) -> str:
    """Text as Markdown code inside a line or table cell."""
    flat = line(text).replace("|", "\\|")
    ticks = max((len(run) for run in re.findall(r"`+", flat)), default=0) + 1
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{'`' * ticks}{pad}{flat}{pad}{'`' * ticks}" if flat else ""


def code_block(text: str, language: str = "") -> str:
    """Text as a fenced Markdown block whose fence the text cannot close."""
    body = block(text)
    ticks = max(3, max((len(run) for run in re.findall(r"`+", body)), default=0) + 1)
    return f"{'`' * ticks}{language}\n{body}\n{'`' * ticks}"


def workflow(text: str) -> str:
    """The message of a GitHub workflow command: a line break would let the text begin a command of its own."""
    return printable(text, keep="\n\r").replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def workflow_property(text: str) -> str:
    """A property (`file=…`) of a GitHub workflow command."""
    return workflow(text).replace(":", "%3A").replace(",", "%2C")


def without_commands(text: str) -> str:
    """Lines that a CI runner would take for commands (`::error::…`, `##[group]`) made plain text.

    A runner reads every line of the output, indented ones too, and wrapping can put any word at the begin of a line.
    """
    parts, done = [], 0
    place = text.find("::")  # a pattern tried at the begin of each line would walk the whole text
    while place >= 0:
        begin = text.rfind("\n", 0, place) + 1
        if _BEFORE_COMMAND.fullmatch(text, begin, place) and _COMMAND.match(text, place):
            parts += [text[done:place], "\\x3a:"]
            done = place + 2
        end = text.find("\n", place)  # only the first of a line can begin a command
        place = text.find("::", end) if end >= 0 else -1
    return "".join([*parts, text[done:]]).replace("##[", "#\\x23[")


def csv_cell(value: object) -> object:
    """A value for CSV that a spreadsheet will not run as a formula; numbers stay numbers."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
