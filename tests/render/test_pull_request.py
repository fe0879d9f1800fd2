"""The comment of a pull request; its pictures are with those of Markdown."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt
from msgspec.structs import replace

from queryfit.render import pull_request
from tests.render.samples import HOSTILE, LINT, LINT_CLEAN, LINT_HOSTILE

LIMIT = 65_536


def html(text: str) -> str:
    return str(MarkdownIt("commonmark", {"html": True}).render(text))


def test_the_first_line_is_the_verdict() -> None:
    assert "\n### queryfit lint: 3 errors, 2 warnings, 1 info in 3 of 4 files\n" in pull_request.render(LINT)
    assert "\n### queryfit lint: no finding in 4 files, 14 statements\n" in pull_request.render(LINT_CLEAN)
    unjudged = pull_request.render(replace(LINT_CLEAN, rules_run=0))
    assert "\n### queryfit lint: nothing was judged, no rule ran\n" in unjudged


def test_a_later_run_finds_its_comment() -> None:
    assert pull_request.render(LINT).startswith("<!-- queryfit lint -->\n")


def test_fixes_are_folded_away() -> None:
    text = html(pull_request.render(LINT))
    assert text.count("<details><summary>Fix</summary>") == 2
    assert text.count("<details>") == text.count("</details>") == 4


def test_every_finding_has_its_place_and_its_line() -> None:
    text = pull_request.render(LINT)
    for finding in LINT.findings:
        assert f"`{finding.file}#L{finding.line}`" in text
    assert "```sql\nupdate customers\n```" in text


def test_hostile_text_stays_text() -> None:
    text = html(pull_request.render(LINT_HOSTILE))
    assert "<script" not in text
    assert text.count("<h4>") == 1
    assert text.count("</details>") == 4


def test_nobody_is_mentioned() -> None:
    finding = replace(LINT.findings[0], message="@all @octo/team look, mail a@b.example")
    text = pull_request.render(replace(LINT, findings=[finding]))
    assert "@&#8203;all" in text
    assert "@all" not in text


@pytest.mark.parametrize("message", ["It waits.", "日本語" * 100, HOSTILE * 20])
def test_it_is_never_too_long_and_errors_stay(message: str) -> None:
    infos = [replace(LINT.findings[5], file=f"db/{n % 500:05}.sql", message=message) for n in range(3000)]
    errors = [replace(LINT.findings[0], file=f"db/{n:05}.sql", message=f"Error {n}.") for n in range(490, 500)]
    many = replace(
        LINT,
        files=[f"db/{n:05}.sql" for n in range(500)],
        findings=[*infos, *errors],
        suppressed=[LINT.suppressed[0]] * 1000,
        not_checked=[LINT.not_checked[0]] * 3,
        sources={},
    )
    text = pull_request.render(many)
    assert len(text.encode()) <= LIMIT
    assert all(f"Error {n}." in text for n in range(490, 500))
    shown = text.count("**info** ")
    assert 0 < shown < 3000
    assert f"**… and {3000 - shown:,} more**: {3000 - shown:,} info." in text
    assert html(text).count("<details>") == html(text).count("</details>")


def test_lists_of_long_names_are_cut_as_well() -> None:
    taken = [replace(LINT.suppressed[0], file=f"{'<' * 4000}{n}", suppressed_by="<" * 400) for n in range(50)]
    gaps = [replace(LINT.not_checked[0], file=f"{'<' * 4000}{n}", reason="<" * 400) for n in range(50)]
    text = pull_request.render(replace(LINT, suppressed=taken, not_checked=gaps, notes=["<" * 4000] * 50))
    assert len(text.encode()) <= LIMIT
    assert text.count("… and ") == 3
    assert "index-not-concurrent" in text


def test_a_fix_of_a_megabyte_does_not_get_in_the_way_of_the_others() -> None:
    huge = replace(LINT.findings[0], fix="select 1;\n" * 100_000)
    text = pull_request.render(replace(LINT, findings=[huge, *LINT.findings[1:]]))
    assert len(text.encode()) <= LIMIT
    assert "**… and 1 more**: 1 error." in text
    assert "table-dropped" in text
