"""The configuration: every mistake in it is one clear line, and paths are relative to the file."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from queryfit.config import Config, LintConfig, Suppression, default_store, load_config
from queryfit.errors import QueryfitError


def read(tmp_path: Path, text: str, name: str = "queryfit.toml") -> Config:
    path = tmp_path / name
    path.write_text(text)
    return load_config(path)


def test_everything_that_may_be_set(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """
        dsn = "service=shop"
        store = "captures"
        rules = ["our-rules", "/srv/rules"]
        baseline = "known.json"
        fail-on = "error"
        [rule.unused-index]
        min_bytes = 5
        [[ignore]]
        rule = "unused-index"
        subject = "public.*"
        reason = "kept for the month's end"
        until = 2027-01-31
        [[ignore]]
        rule = "top-consumer"
        reason = "known"
        until = 2027-01-31T12:00:00
        """,
    )
    assert config == Config(
        path=tmp_path / "queryfit.toml", dsn="service=shop", store=tmp_path / "captures",
        rules=(tmp_path / "our-rules", Path("/srv/rules")), baseline=tmp_path / "known.json", fail_on="error",
        rule_settings={"unused-index": {"min_bytes": 5}},
        suppressions=(
            Suppression("unused-index", "public.*", "kept for the month's end", date(2027, 1, 31)),
            Suppression("top-consumer", "*", "known", date(2027, 1, 31)),
        ),
    )  # fmt: skip
    assert [type(entry.until) for entry in config.suppressions] == [date, date]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("= 3", "cannot be read"),
        ("colour = 'red'", "'colour', which is not known"),
        ("store = 3", "store has to be a str"),
        ("rules = 'x'", "rules has to be a list"),
        ("rule = 3", "rule has to be a dict"),
        ("[rule]\nx = 3", "x has to be a dict"),
        ("[[ignore]]\nrule = 'x'", "gives no reason"),
        ("[[ignore]]\nrule = 'x'\nreason = '  '", "gives no reason"),
        ("[[ignore]]\nreason = 'x'", "has the keys"),
        ("[[ignore]]\nrule = 'x'\nreason = 'y'\nsubjekt = 'z'", "has the keys"),
        ("ignore = ['x']", "has the keys"),
        ("[[ignore]]\nrule = 'x'\nreason = 'y'\nuntil = 'soon'", "until has to be a date"),
    ],
)
def test_a_mistake_is_one_clear_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(QueryfitError) as caught:
        read(tmp_path, text)
    assert words in caught.value.message
    assert str(tmp_path / "queryfit.toml") in caught.value.message


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(QueryfitError, match="no configuration"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(QueryfitError, match="cannot be read"):
        load_config(tmp_path / "bad.toml")


@pytest.mark.parametrize(
    ("pyproject", "expected"),
    [
        ("[tool.queryfit]\nfail-on = 'error'", "error"),
        ("[tool.other]\nfail-on = 'error'", None),
        ("[project]\nname = 'x'", None),
    ],
)
def test_the_project_file_is_read_where_nothing_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pyproject: str, expected: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config() == Config()
    (tmp_path / "pyproject.toml").write_text(pyproject)
    assert load_config().fail_on == expected
    assert load_config(tmp_path / "pyproject.toml").fail_on == expected
    (tmp_path / "queryfit.toml").write_text("fail-on = 'info'")
    assert load_config().fail_on == "info"


def test_a_project_file_with_another_kind_of_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for text in ("tool = 3", "[tool]\nqueryfit = 3"):
        (tmp_path / "pyproject.toml").write_text(text)
        with pytest.raises(QueryfitError, match="has to be a dict"):
            load_config()


def test_the_store_stands_where_the_desktop_standard_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_store() == Path("/data/queryfit")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/x")
    assert default_store() == Path("/home/x/.local/share/queryfit")


def test_what_lint_is_told(tmp_path: Path) -> None:
    text = '[lint]\npg-version = 15\nrunner = "goose"\nin-transaction = false\nhistory = "migrations"\nstyle = true\n'
    assert read(tmp_path, text).lint == LintConfig(15, "goose", False, tmp_path / "migrations", with_style=True)
    assert read(tmp_path, "").lint == LintConfig()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[lint]\nversion = 15", r"\[lint\] in .* holds 'version', which is not known"),
        ("[lint]\npg-version = 12", "pg-version is 12"),
        ('[lint]\npg-version = "15"', "pg-version has to be a int"),
        ("[lint]\npg-version = true", "pg-version has to be a int"),
        ("[lint]\nin-transaction = 1", "in-transaction has to be a bool"),
        ("lint = 1", "lint has to be a dict"),
    ],
)
def test_mistakes_about_lint(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(QueryfitError, match=words):
        read(tmp_path, text)
