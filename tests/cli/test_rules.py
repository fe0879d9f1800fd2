"""`queryfit rules`: list, show, check, new."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from queryfit.evidence.session import Session
from tests.cli.conftest import CommandLine

GOOD = (Path(__file__).parents[2] / "queryfit" / "cli" / "rule_template.sql").read_text(encoding="utf-8")


def rule(
    folder: Path, name: str = "big-table", *, select: str | None = None, change: tuple[str, str] | None = None
) -> Path:
    """A rule file made from the template; `change` replaces a part of it."""
    text = GOOD.replace("NAME_OF_THE_RULE", name).replace("TITLE_OF_THE_RULE", "Title")
    if select is not None:
        start, end = text.index("\nselect\n"), text.index("\n-- example: a large")
        text = f"{text[:start]}\n{select}\n{text[end:]}"
    if change is not None:
        assert change[0] in text
        text = text.replace(*change)
    path = folder / "custom" / f"{name}.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_list(queryfit: CommandLine) -> None:
    done = queryfit("rules")
    assert done.status == 0
    assert "duplicate-index" in done.out
    assert done.out == queryfit("rules", "list").out
    assert "n-plus-one" not in queryfit("rules", "list", "--group", "schema").out


def test_list_as_json(queryfit: CommandLine) -> None:
    rules = {entry["rule"]: entry for entry in json.loads(queryfit("rules", "list", "--format", "json").out)}
    assert rules["duplicate-index"]["sections"].keys() >= {"Why it matters", "What to do", "When to leave it"}
    assert all(parameter["reason"] for entry in rules.values() for parameter in entry["parameters"])


def test_no_such_group(queryfit: CommandLine) -> None:
    done = queryfit("rules", "list", "--group", "nope")
    assert done.status == 2
    assert "hint: there are connections, " in done.err


def test_show(queryfit: CommandLine) -> None:
    done = queryfit("rules", "show", "duplicate-index")
    assert done.status == 0
    for words in (
        "Two indexes that are the same",
        "Why it matters",
        "The SELECT",
        "finds public.orders_b",
        "finds nothing",
    ):
        assert words in done.out


def test_show_suggests(queryfit: CommandLine) -> None:
    done = queryfit("rules", "show", "duplicate-indexes")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("queryfit: there is no rule 'duplicate-indexes'\nhint: did you mean duplicate-index")


def test_new_passes_the_check_as_it_is(queryfit: CommandLine) -> None:
    done = queryfit("rules", "new", "orders-without-owner", "--group", "schema")
    assert (done.status, done.out) == (0, "rules/schema/orders-without-owner.sql\n")
    assert queryfit("rules", "check", "rules").out == "1 rule, 3 examples checked: no problem\n"
    listed = queryfit("rules", "list", "--rules", "rules", "--group", "schema")
    assert "orders-without-owner" in listed.out


def test_new_writes_over_nothing(queryfit: CommandLine) -> None:
    queryfit("rules", "new", "a-rule")
    Path("rules/custom/a-rule.sql").write_text("mine")
    done = queryfit("rules", "new", "a-rule")
    assert done.status == 3
    assert "is there already" in done.err
    assert Path("rules/custom/a-rule.sql").read_text() == "mine"


@pytest.mark.parametrize(
    "arguments", [["Upper"], ["../x"], ["a_b"], ["duplicate-index"], ["x", "--group", "../y"], ["a\nb"], [""]]
)
def test_new_refuses(queryfit: CommandLine, arguments: list[str]) -> None:
    done = queryfit("rules", "new", *arguments)
    assert (done.status, done.out) == (2, "")
    assert not Path("rules").exists()


def test_check_all(queryfit: CommandLine, tmp_path: Path) -> None:
    done = queryfit("rules", "check", "--rules", tmp_path / "none")
    assert done.status == 3
    assert "no such folder" in done.err


@pytest.mark.parametrize(
    ("select", "problem"),
    [
        ("copy relation to '/tmp/queryfit-test-copy';", "expected one SELECT, found COPY"),
        ("attach '/tmp/queryfit-test.db' as other;", "expected one SELECT, found ATTACH"),
        ("set threads = 1;", "expected one SELECT, found SET"),
        ("pragma version;", "expected one SELECT, found"),
        ("select relation as subject from relation; select 1;", "expected one SELECT, found 2 statements"),
        ("select relation as subject from relation where false; drop table relation;", "found 2 statements"),
        ("select column0 as subject from read_csv('/etc/passwd', header = false)", "disabled"),
        ("select content as subject from read_text('/etc/passwd')", "disabled"),
        ("select 'x' as subject from glob('/etc/*')", "disabled"),
        ("install httpfs;", "expected one SELECT, found"),
        ("insert into relation (relation) values ('x');", "expected one SELECT, found INSERT"),
        ("select nothing as subject from relation", "nothing"),
        ("select * from relation_index", "relation_index"),
        ("select relation from relation where tuple_rows > $minimum_rows", "returns no column subject"),
        ("selec", "syntax error"),
    ],
    ids=lambda text: text[:24],
)
def test_check_refuses_with_file_and_line(queryfit: CommandLine, tmp_path: Path, select: str, problem: str) -> None:
    path = rule(tmp_path, select=select)
    done = queryfit("rules", "check", path)
    assert done.status == 1
    line = path.read_text().splitlines().index(select) + 1
    assert f"{path}:{line}: " in done.out
    assert problem in done.out
    assert "Traceback" not in done.err
    assert not Path("/tmp/queryfit-test-copy").exists()


def test_an_endless_recursion_is_stopped(
    queryfit: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = Session.query
    monkeypatch.setattr(
        Session, "query", lambda self, sql, parameters=None: limited(self, sql, parameters, time_limit_s=1)
    )
    endless = (
        "with recursive r as (select 1 as n union all select n + 1 from r) "
        "select max(n)::varchar as subject, $minimum_rows as x, 1 as relation, 1 as tuple_rows from r"
    )
    done = queryfit("rules", "check", rule(tmp_path, select=endless))
    assert done.status == 1
    assert "big-table.sql:" in done.out
    assert "stopped after 1 s" in done.out


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("-- rule: big-table", "-- rule: other", "they have to agree"),
        ("-- severity: info", "-- severity: fatal", "severity is one of"),
        ("-- title: Title", "-- titel: Title", "not understood in the header"),
        ("-- message: {relation}", "-- message: {relatoin}", "message uses relatoin, which the SELECT does not return"),
        ("-- reads: relation", "-- reads: relations", "reads relations, which is no evidence table"),
        ("-- ## What to do", "-- ## What not to do", "the section '## What to do' is missing"),
        ("-- finds: public.orders", "-- finds: public.order", "finds public.orders, expected public.order"),
        ("= 1000000 -- say", "= many -- say", "neither a number nor a quoted text"),
        (
            "insert into relation (relation, kind, tuple_rows) values ('public.country'",
            "copy relation to 'x'; --",
            "INSERT",
        ),
    ],
    ids=lambda text: text[:24],
)
def test_check_tells_what_is_wrong(queryfit: CommandLine, tmp_path: Path, old: str, new: str, problem: str) -> None:
    path = rule(tmp_path, change=(old, new))
    done = queryfit("rules", "check", tmp_path)
    assert done.status == 1
    assert problem in done.out
    assert all(entry.startswith(f"{path}:") for entry in done.out.splitlines())
    assert "1 rule, " in done.err


def test_two_rules_of_one_name(queryfit: CommandLine, tmp_path: Path) -> None:
    rule(tmp_path / "a")
    second = rule(tmp_path / "b")
    done = queryfit("rules", "check", tmp_path)
    assert done.status == 1
    assert f"{second}:1: rule big-table is already defined in" in done.out


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"-- rule: x\x1b[2J\n", b"select 1;" * 50_000])
def test_a_file_that_is_no_rule(queryfit: CommandLine, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.sql"
    path.write_bytes(content)
    done = queryfit("rules", "check", path)
    assert done.status == 1
    assert done.out.startswith(f"{path}:1: ")
    assert "\x1b" not in done.out


def test_nothing_to_check(queryfit: CommandLine, tmp_path: Path) -> None:
    assert queryfit("rules", "check", tmp_path / "nope").status == 3
    (tmp_path / "empty").mkdir()
    done = queryfit("rules", "check", tmp_path / "empty")
    assert done.status == 3
    assert "holds no rule" in done.err
