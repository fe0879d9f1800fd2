"""A file that is no good rule is refused with its line; a rule from a stranger runs within its limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from queryfit.errors import QueryfitError
from queryfit.evidence.session import example_session
from queryfit.ruleset import RuleError, check_rule, load_rules, read_rule, run_rule

GOOD = """\
-- rule: setting-is-odd
-- title: A setting is odd
-- severity: warning
-- reads: setting
-- message: {subject} is {value}
-- fix: alter system set work_mem = '{value}';
-- param: limit = 10 -- a reason
-- since: 0.1
--
-- ## Why it matters
-- Because.
--
-- ## What to do
-- Something.
--
-- ## When to leave it
-- Never.

select name as subject, value from setting where value_number > $limit;

-- example: above
-- given: evidence
insert into setting (name, value, value_number) values ('work_mem', '11', 11);
-- finds: work_mem

-- example: at the limit
-- given: evidence
insert into setting (name, value, value_number) values ('work_mem', '10', 10);
-- finds: nothing
"""


def write(tmp_path: Path, text: str, name: str = "setting-is-odd.sql") -> Path:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def problems(tmp_path: Path, old: str, new: str) -> list[tuple[int, str]]:
    assert old in GOOD
    return [(found.line, found.what) for found in check_rule(write(tmp_path, GOOD.replace(old, new, 1)))]


def test_a_good_rule(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    assert check_rule(path) == []
    rule = read_rule(path)
    assert (rule.name, rule.group, rule.reads, rule.proof) == (
        "setting-is-odd",
        tmp_path.name,
        ("setting",),
        "inferred",
    )
    assert rule.select_line == 19
    assert GOOD.splitlines()[rule.examples[0].line - 1] == "-- example: above"


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("-- title: A setting is odd\n", "", 1, "lacks title:"),
        ("-- severity: warning\n", "", 1, "lacks severity:"),
        ("-- reads: setting\n", "", 1, "lacks reads:"),
        ("-- message: {subject} is {value}\n", "", 1, "lacks message:"),
        ("-- since: 0.1\n", "", 1, "lacks since:"),
        ("rule: setting-is-odd", "rule: setting-is-even", 1, "they have to agree"),
        ("severity: warning", "severity: fatal", 3, "severity is one of"),
        ("-- since: 0.1", "-- since: 0.1\n-- proof: sworn", 9, "proof is one of"),
        ("-- since: 0.1", "-- since: 0.1\n-- since: 0.2", 9, "since is given twice"),
        ("-- since: 0.1", "-- since: 0.1\n-- colour: red", 9, "not understood"),
        ("-- ## What to do\n", "-- ## What I did\n", 1, "'## What to do' is missing"),
        ("limit = 10 -- a reason", "limit = 10", 7, "a param reads"),
        ("limit = 10", "limit = ten", 7, "neither a number nor"),
        ("limit = 10", "limit = [1]", 7, "neither a number nor"),
        ("-- since", "-- param: limit = 11 -- again\n-- since", 8, "given twice"),
        ("reads: setting", "reads: settings", 1, "no evidence table"),
        ("reads: setting", "reads: role", 19, "setting does not exist"),
        ("select name", "select nme", 19, "nme"),
        ("name as subject", "name", 19, "no column subject"),
        ("value from", "value, value from", 19, "returns value twice"),
        ("is {value}", "is {worth}", 1, "message uses worth"),
        ("'{value}'", "'{worth}'", 1, "fix uses worth"),
        ("> $limit", "> 10", 19, "$limit is not used"),
        ("> $limit", "> $limit_rows", 19, "limit_rows"),
        ("> $limit", "> 10 and '$limited' <> ''", 19, "$limit is not used"),
        ("-- finds: work_mem", "-- finds: other", 21, "finds work_mem, expected other"),
        ("-- finds: nothing", "-- finds: work_mem", 1, "no example that finds nothing"),
        ("-- finds: work_mem", "-- finds: nothing", 1, "no example that finds something"),
        ("-- finds: nothing", "", 26, "says what it finds"),
        ("-- given: evidence", "-- given: oracle", 21, "not 'oracle'"),
        ("insert into setting (name", "insert into setting (nme", 21, "nme"),
        ("insert into setting", "copy setting to '/tmp/x'; insert into setting", 21, "INSERT statements only"),
        ("select name as subject, value from setting where value_number > $limit;", "", 21, "no SELECT"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, old: str, new: str, line: int, words: str) -> None:
    found = problems(tmp_path, old, new)
    assert any(words in what for _, what in found), found
    if line > 1:
        assert line in {at for at, _ in found}


@pytest.mark.parametrize(
    "select",
    [
        "copy setting to '{out}'",
        "attach '{out}' as x",
        "set threads = 1",
        "pragma database_list",
        "select 1 as subject; select 2",
        "select 1 as subject; copy setting to '{out}'",
        "delete from setting",
        "select content as subject from read_text('{file}')",
        "select * from '{file}'",
        "select file as subject from glob('/*')",
    ],
)
def test_a_rule_that_wants_more_than_evidence_is_refused(tmp_path: Path, select: str) -> None:
    out = tmp_path / "out"
    text = GOOD.replace("select name as subject, value from setting where value_number > $limit;", select)
    path = write(tmp_path, text.format(out=out, file=__file__, subject="{subject}", value="{value}"))
    (problem,) = check_rule(path)
    assert str(problem).startswith(f"{path}:19: ")
    assert not out.exists()
    with example_session("") as session, pytest.raises(QueryfitError, match=r"rule setting-is-odd \("):
        run_rule(session, read_rule(path), {})


def test_an_example_reads_no_file_when_a_rule_is_checked(tmp_path: Path) -> None:
    found = problems(
        tmp_path, "values ('work_mem', '11', 11)", "select content, content, 11 from read_text('/etc/hosts')"
    )
    assert ("disabled" in found[0][1], found[0][0]) == (True, 21)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "x.sql"
    path.write_bytes(b"\xff\xfe")
    for bad in (path, tmp_path / "none.sql", tmp_path):
        with pytest.raises(RuleError, match="cannot be read"):
            read_rule(bad)


def test_parameters_come_from_the_configuration(tmp_path: Path) -> None:
    rule = read_rule(write(tmp_path, GOOD))
    assert rule.values({}) == {"limit": 10}
    assert rule.values({"limit": 2.5}) == {"limit": 2.5}
    with pytest.raises(QueryfitError, match="no parameter 'limt'") as caught:
        rule.values({"limt": 1})
    assert "limit" in str(caught.value.hint)
    for wrong in ("10", True, [1], {"a": 1}):
        with pytest.raises(QueryfitError, match="has to be like 10"):
            rule.values({"limit": wrong})
    inserts = "insert into setting (name, value, value_number) values ('work_mem', '5', 5)"
    with example_session(inserts) as session:
        assert run_rule(session, rule, {}) == []
        assert run_rule(session, rule, {"limit": 4}) == [{"subject": "work_mem", "value": "5"}]


def test_a_persons_own_folder_adds_rules(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD, "ours/deep/setting-is-odd.sql")
    rules = {rule.name: rule for rule in load_rules([tmp_path / "ours"])}
    assert rules["setting-is-odd"].path == path
    assert list(rules) == sorted(rules)
    assert len(rules) == len(load_rules()) + 1
    assert "setting-is-odd" in {rule.name for rule in load_rules([path])}


def test_two_rules_of_one_name_and_folders_that_are_not_there(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "a/setting-is-odd.sql")
    write(tmp_path, GOOD, "b/setting-is-odd.sql")
    with pytest.raises(QueryfitError, match="already defined"):
        load_rules([tmp_path])
    with pytest.raises(QueryfitError, match="no such folder"):
        load_rules([tmp_path / "none"])


def test_every_rule_that_comes_along_has_a_name_of_its_own() -> None:
    names = [rule.name for rule in load_rules()]
    assert len(names) > 20
    assert len(set(names)) == len(names)
