"""Tables keep to their width, and wide characters and colours move no border."""

from __future__ import annotations

import re

import pytest
import tabulate
from rich.cells import cell_len
from rich.text import Text

from queryfit.render.look import Look
from queryfit.render.table import Cell, Column, has_own_width, table

COLUMNS = [Column("#", is_number=True), Column("name", weight=1), Column("text", weight=2)]
ROWS: list[list[Cell]] = [
    ["1", Text("日本語のデータベース", "bold"), "select * from a where b = 1 and c = 2 order by d"],
    ["10", "a" * 60, "x"],
    ["100", "", "  indented, and long enough to be wrapped to a second line and a third one"],
]
TEXT_FORMATS = [name for name in tabulate.tabulate_formats if not has_own_width(name)]
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("width", [50, 80, 140])
@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_no_line_is_wider_than_asked(name: str, width: int) -> None:
    text = table(COLUMNS, ROWS, Look(width, has_colour=False, table_format=name))
    assert max(map(cell_len, text.splitlines())) <= width


@pytest.mark.parametrize("name", ["psql", "rounded_grid", "grid", "heavy_outline"])
def test_borders_are_straight(name: str) -> None:
    text = table(COLUMNS, ROWS, Look(70, has_colour=False, table_format=name))
    assert len({cell_len(line) for line in text.splitlines()}) == 1


def test_nothing_is_lost_by_wrapping() -> None:
    text = table(COLUMNS, ROWS, Look(60, has_colour=False))
    assert sorted(re.sub(r"\W", "", text)) == sorted(
        re.sub(r"\W", "", "#nametext" + "".join(str(c) for r in ROWS for c in r))
    )


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_colour_changes_nothing_but_the_colour(name: str) -> None:
    plain = table(COLUMNS, ROWS, Look(70, has_colour=False, table_format=name))
    coloured = table(COLUMNS, ROWS, Look(70, has_colour=True, table_format=name))
    assert "\x1b[" in coloured
    assert "\x1b" not in plain
    assert ANSI.sub("", coloured) == plain


def test_a_line_that_begins_with_blanks_keeps_them_when_it_is_wrapped() -> None:
    text = table(
        [Column("text", weight=1)], [["  one two three four"]], Look(12, has_colour=False, table_format="plain")
    )
    assert text.splitlines()[1:] == ["  one two", "  three four"]


@pytest.mark.parametrize("name", [name for name in tabulate.tabulate_formats if has_own_width(name)])
def test_formats_that_programs_read_get_whole_cells(name: str) -> None:
    text = table(COLUMNS, ROWS, Look(50, has_colour=True, table_format=name))
    assert "a" * 60 in text
    assert "\x1b" not in text


def test_a_bar_does_not_end_a_markdown_cell() -> None:
    text = table([Column("x")], [["a|b\nc"]], Look(50, has_colour=False, table_format="github"))
    assert "a\\|b c" in text


def test_html_is_escaped() -> None:
    assert "&lt;b&gt;" in table([Column("x")], [["<b>"]], Look(50, has_colour=False, table_format="html"))


def test_no_rows() -> None:
    assert table(COLUMNS, [], Look(50, has_colour=False)).split() == ["#", "name", "text", "-", "----", "----"]
