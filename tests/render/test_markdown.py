"""Markdown for issues and pull requests."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt
from syrupy.assertion import SnapshotAssertion

from queryfit.render import markdown
from tests.render.samples import FULL, REPORTS


@pytest.mark.parametrize("name", REPORTS)
def test_picture(name: str, snapshot: SnapshotAssertion) -> None:
    assert markdown.render(REPORTS[name]) == snapshot


@pytest.mark.parametrize("name", REPORTS)
def test_html_in_it_is_text(name: str) -> None:
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown.render(REPORTS[name]))
    assert "<script" not in html


def test_the_table_has_a_row_a_finding_and_no_cell_too_many() -> None:
    html = MarkdownIt("commonmark").enable("table").render(markdown.render(REPORTS["hostile"]))
    assert html.count("<tr>") == 5, "of findings: a head and a row; of outcomes: a head and two rows"
    assert html.count("<td") == 7 + 2 * 4
    assert html.count("<h1>") == 1


def test_all_findings_have_their_sql() -> None:
    text = markdown.render(FULL)
    assert [text.count(f"## {number}. ") for number in (1, 2, 3, 4, 5)] == [1, 1, 1, 1, 0]
    assert text.count("```sql") == 5  # three fixes, two undos
