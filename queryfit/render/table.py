"""Tables for a terminal: any format of tabulate, wrapped to a width, with colour, and wide characters that align.

tabulate measures text with len(). Cells are therefore handed to it as stand-ins of private-use characters, as many as
the cell takes columns on a terminal, and replaced afterwards: colours and CJK then cannot move a border.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import tabulate
from rich.console import Console
from rich.text import Text

from queryfit.render.look import Look

Cell = str | Text

_FIRST_STAND_IN = 0xF0000  # plane 15, private use: `escape.printable` lets none of them through
_FILLER = chr(0xE000)
_LEAST_COLUMN = 8
tabulate.MIN_PADDING = 0  # tabulate's own switch: no extra blanks in headings, there are none to spare at 80 columns
# formats of text on a terminal, in which a cell may have several lines
_MARKUP = frozenset({"html", "unsafehtml", "jira", "pipe", "github", "orgtbl", "rst"})


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading; numbers stand right; only flexible columns are wrapped, by their `weight`."""

    title: str
    is_number: bool = False
    weight: int = 0


def console(look: Look) -> Console:
    """A rich console that writes to nowhere, with the width and colours of the look."""
    return Console(
        file=io.StringIO(),
        width=look.width,
        force_terminal=look.has_colour,
        color_system="standard" if look.has_colour else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
        _environ={},
    )


def table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]], look: Look) -> str:
    """The rows laid out in `look.table_format`, no wider than `look.width` where the format can wrap."""
    body = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    name = look.table_format
    if has_own_width(name):
        bar = "\\|" if name in {"pipe", "github"} else "|"
        plain = [[cell.plain.replace("\n", " ").replace("|", bar) for cell in row] for row in body]
        return _laid_out(columns, plain, name)
    widths = _widths(columns, body, look)
    return _Stand_ins(console(look)).table(columns, body, widths, name)


def has_own_width(table_format: str) -> bool:
    """Whether the format is read by a program, which lays it out itself, rather than by a person at a terminal."""
    return table_format in _MARKUP or table_format not in tabulate.multiline_formats


def _laid_out(columns: Sequence[Column], rows: Sequence[Sequence[str]], name: str) -> str:
    return tabulate.tabulate(
        rows,
        headers=[column.title for column in columns],
        tablefmt=name,
        colalign=["right" if column.is_number else "left" for column in columns] if rows else None,
        disable_numparse=True,
    )


def _widths(columns: Sequence[Column], body: Sequence[Sequence[Text]], look: Look) -> list[int]:
    """The columns' widths: what they need, less what the flexible ones have to give up."""
    widths = [
        max([len(column.title), *(_needed(row[number]) for row in body)]) for number, column in enumerate(columns)
    ]
    # what borders and gaps take, told by the format itself
    sample = _laid_out(columns, [["x" * width for width in widths]], look.table_format)
    excess = max(map(len, sample.splitlines())) - look.width
    while excess > 0:
        flexible = [n for n, column in enumerate(columns) if column.weight and widths[n] > _LEAST_COLUMN]
        if not flexible:
            break
        # take from the one that has most for its weight, so that all end up alike
        widest = max(flexible, key=lambda n: widths[n] / columns[n].weight)
        widths[widest] -= 1
        excess -= 1
    return widths


def _needed(cell: Text) -> int:
    return max((line.cell_len for line in cell.split("\n", allow_blank=True)), default=0)


class _Stand_ins:  # noqa: N801 -- two words
    """Cells by the private-use characters that stand in for them."""

    def __init__(self, measure: Console) -> None:
        self._console = measure
        self._lines: list[str] = []

    def table(self, columns: Sequence[Column], body: Sequence[Sequence[Text]], widths: Sequence[int], name: str) -> str:
        heads = [Column(self._cell(Text(column.title, "bold"), 999), column.is_number) for column in columns]
        rows = [[self._cell(cell, width) for cell, width in zip(row, widths, strict=True)] for row in body]
        return self._filled(_laid_out(heads, rows, name))

    def _cell(self, cell: Text, width: int) -> str:
        return "\n".join(
            self._line(line) for part in cell.split("\n", allow_blank=True) for line in self._wrapped(part, width)
        )

    def _wrapped(self, line: Text, width: int) -> Iterator[Text]:
        """The line wrapped; where it begins with blanks, so do the lines that it is broken into."""
        indent = min(len(line.plain) - len(line.plain.lstrip(" ")), width - 1)
        for part in line[indent:].wrap(self._console, max(width - indent, 1), overflow="fold"):
            yield Text(" " * indent) + part

    def _line(self, line: Text) -> str:
        line.rstrip()
        if not line.cell_len:
            return ""
        self._lines.append(ansi(line, self._console))
        return chr(_FIRST_STAND_IN + len(self._lines) - 1) + _FILLER * (line.cell_len - 1)

    def _filled(self, text: str) -> str:
        parts = []
        for character in text:
            if character == _FILLER:
                continue
            code = ord(character) - _FIRST_STAND_IN
            parts.append(self._lines[code] if 0 <= code < len(self._lines) else character)
        return "\n".join(line.rstrip() for line in "".join(parts).splitlines())


def ansi(text: Text, by: Console) -> str:
    """The text with the escape sequences of the console's colours, on as many lines as it has."""
    with by.capture() as captured:
        by.print(text, end="", soft_wrap=True)
    return captured.get()
