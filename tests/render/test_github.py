"""Workflow commands of GitHub Actions."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from queryfit.render import github
from tests.render.samples import LINT, LINT_CLEAN, REPORTS

COMMAND = re.compile(r"^::(error|warning|notice) ([^:]*)::(.*)$")
FILES = [name for name, report in REPORTS.items() if report.server is None]


def unescaped(text: str) -> str:
    for code, character in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, character)
    return text


def commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    """The commands as the runner reads them: every line has to be one."""
    read = []
    for line in text.split("\n"):
        found = COMMAND.match(line)
        assert found, line
        pairs = (part.split("=", 1) for part in found[2].split(","))
        read.append((found[1], {key: unescaped(value) for key, value in pairs}, unescaped(found[3])))
    return read


def test_an_annotation_stands_on_its_lines() -> None:
    assert commands(github.render(LINT))[0] == (
        "error",
        {
            "file": "db/20260105_indexes.sql", "line": "2", "endLine": "2", "col": "1", "endColumn": "61",
            "title": "queryfit: index-not-concurrent",
        },
        f"{LINT.findings[0].message}\n\n{LINT.findings[0].fix}",
    )  # fmt: skip


def test_columns_are_told_on_one_line_only() -> None:
    told = [properties for _, properties, _ in commands(github.render(LINT))]
    several = next(properties for properties in told if properties["title"].endswith("update-without-where"))
    assert (several["line"], several["endLine"]) == ("4", "5")
    assert not several.keys() & {"col", "endColumn"}


def test_severities_are_levels_and_what_was_not_checked_is_a_notice() -> None:
    read = commands(github.render(LINT))
    assert [level for level, _, _ in read] == ["error"] * 3 + ["warning", "notice", "warning", "notice", "notice"]
    assert read[-2] == (
        "notice",
        {"file": "db/20260107_wider_keys_and_states.sql", "line": "9", "title": "queryfit: not checked"},
        "Not checked: it is put together at run time (by index-not-concurrent, table-dropped); hint: write it out",
    )
    assert "file" not in read[-1][1]


def test_nothing_found_is_nothing_said() -> None:
    assert github.render(LINT_CLEAN) == ""


@pytest.mark.parametrize("name", FILES)
def test_hostile_text_begins_no_command_of_its_own(name: str) -> None:
    text = github.render(REPORTS[name])
    report = REPORTS[name]
    if text:
        assert len(commands(text)) == len(report.findings) + len(
            {(entry.file, entry.line, entry.reason) for entry in report.not_checked}
        )
    assert text.replace("\n", "").isprintable()


def test_a_percent_sign_stays_one() -> None:
    finding = replace(LINT.findings[0], message="100%0A::error::x, 50 %", fix=None)
    (command,) = commands(github.render(replace(LINT, findings=[finding], not_checked=())))
    assert command[2] == "100%0A::error::x, 50 %"


def test_paths_are_as_the_repository_has_them() -> None:
    finding = replace(LINT.findings[0], file=".\\db\\a,b:c.sql")
    (command,) = commands(github.render(replace(LINT, findings=[finding], not_checked=())))
    assert command[1]["file"] == "db/a,b:c.sql"
