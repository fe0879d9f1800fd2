"""`queryfit sql` and `queryfit history`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from queryfit.cli import options
from queryfit.cli.main import COMMANDS
from queryfit.evidence.store import Store
from tests.cli.conftest import CommandLine, written

NAMES = ("shop", "=cmd()", "a\x1b[31m|b\nc", "日本語")


def test_a_table(queryfit: CommandLine, store: Store) -> None:
    capture = written(store, databases=NAMES)
    done = queryfit("sql", "select database, 1.5 as n from database order by database", "--table-format", "psql")
    assert done.status == 0
    assert done.err == f"queryfit: capture {capture.name}\n"
    assert "(4 rows)" in done.out
    assert "a\\x1b[31m|b c" in done.out
    assert "\x1b" not in done.out


def test_csv_runs_no_formula(queryfit: CommandLine, store: Store) -> None:
    written(store, databases=NAMES)
    done = queryfit("sql", "-q", "--format", "csv", "select database, -1 as n from database order by database")
    rows = list(csv.reader(io.StringIO(done.out, newline="")))
    assert rows[0] == ["database", "n"]
    assert rows[1] == ["'=cmd()", "-1"]
    assert len(rows) == 5


def test_json(queryfit: CommandLine, store: Store) -> None:
    written(store)
    done = queryfit(
        "sql", "-q", "--format", "json", "select database, null as x, [1.0, 'nan'::double] as y from database"
    )
    assert json.loads(done.out) == [{"database": "shop", "x": None, "y": [1.0, None]}]


def test_more_columns_than_fit_are_shown_one_below_the_other(queryfit: CommandLine, store: Store) -> None:
    written(store)
    out = queryfit("sql", "-q", "select * from server", "--width", "80").out
    assert out.startswith("row 1\n")
    assert "provider           self-hosted" in out


def test_the_latest_capture_or_a_named_one(queryfit: CommandLine, store: Store) -> None:
    old = written(store, at="2026-01-07T00:00:00", databases=("old",))
    written(store, at="2026-01-08T00:00:00", databases=("new",))
    assert "new" in queryfit("sql", "select database from database").out
    assert "old" in queryfit("sql", "--capture", old.name, "select database from database").out
    assert "old" in queryfit("sql", "--capture", old.folder, "select database from database").out


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ("copy server to 'x'", "expected one SELECT, found COPY"),
        ("attach 'x.db'", "expected one SELECT, found ATTACH"),
        ("select 1; select 2", "expected one SELECT, found 2 statements"),
        ("select * from read_csv('/etc/passwd')", "disabled"),
        ("select * from nowhere", "nowhere"),
        ("select * from range(300000)", "returned more than 200,000 rows"),
        ("", "expected one SELECT, found 0 statements"),
        ("\x1b[2J", ""),
    ],
)
def test_refused(queryfit: CommandLine, store: Store, select: str, message: str) -> None:
    written(store)
    done = queryfit("sql", "-q", select)
    assert (done.status, done.out) == (3, "")
    assert message in done.err
    assert "\nhint: " in done.err
    assert "\x1b" not in done.err
    assert not Path("x").exists()
    assert not Path("x.db").exists()


def test_the_dictionary(queryfit: CommandLine) -> None:
    assert "relation_index" in queryfit("sql", "--tables").out
    done = queryfit("sql", "--describe", "workload", "--format", "json")
    columns = {entry["column"]: entry for entry in json.loads(done.out)}
    assert columns["calls"]["meaning"]
    near = queryfit("sql", "--describe", "work_load")
    assert (near.status, near.err.splitlines()[1]) == (2, "hint: did you mean workload?")


@pytest.mark.parametrize("arguments", [[], ["select 1", "--tables"], ["--tables", "--describe", "server"]])
def test_one_thing_at_a_time(queryfit: CommandLine, arguments: list[str]) -> None:
    assert queryfit("sql", *arguments).status == 2


def test_no_capture(queryfit: CommandLine) -> None:
    for done in (queryfit("sql", "select 1"), queryfit("history")):
        assert done.status == 3
        assert "hint: take one: `queryfit capture`" in done.err


def test_output_is_whole_or_not_there(queryfit: CommandLine, store: Store, tmp_path: Path) -> None:
    written(store)
    target = tmp_path / "out.json"
    target.write_text("before")
    assert queryfit("sql", "-q", "select * from nowhere", "--output", target).status == 3
    assert target.read_text() == "before"
    done = queryfit("sql", "-q", "select 1 as a", "--format", "json", "--output", target)
    assert (done.status, done.out) == (0, "")
    assert json.loads(target.read_text()) == [{"a": 1}]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_output_where_none_can_be_written(queryfit: CommandLine, store: Store) -> None:
    written(store)
    done = queryfit("sql", "-q", "select 1", "--output", "/proc/nope/x")
    assert done.status == 3
    assert done.err.startswith("queryfit: cannot write /proc/nope/x: ")


def test_history(queryfit: CommandLine, store: Store) -> None:
    captures = [written(store, at=f"2026-01-0{day}T00:00:00") for day in (1, 2)]
    broken = store.folder / "7123" / "broken"
    broken.mkdir()
    done = queryfit("history")
    assert done.status == 0
    assert [line.split()[0] for line in done.out.splitlines()[-2:]] == [capture.name for capture in captures]
    assert "2026-01-01 00:00 to 2026-01-02 00:00 UTC" in done.out
    assert "not readable" in done.err
    listed = json.loads(queryfit("history", "--format", "json").out)
    assert [entry["capture"] for entry in listed["captures"]] == [capture.name for capture in captures]
    assert listed["unusable"][0]["folder"] == str(broken)


def test_a_capture_cut_short(queryfit: CommandLine, store: Store) -> None:
    capture = written(store)
    path = capture.folder / "server.parquet"
    path.write_bytes(path.read_bytes()[:100])
    done = queryfit("sql", "select * from server")
    assert done.status == 3
    assert "is damaged" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("environment", "colour"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "0"}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": ""}, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, False),
    ],
)
def test_colour(
    queryfit: CommandLine, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], colour: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in queryfit("rules", "show", "duplicate-index").out) is colour


def test_a_file_has_no_colour(queryfit: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    queryfit("rules", "show", "duplicate-index", "--output", tmp_path / "x")
    assert "\x1b" not in (tmp_path / "x").read_text()


def test_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "93")
    assert options.look().width == 93
    assert options.look(width=61).width == 61
    monkeypatch.delenv("COLUMNS")
    assert options.look().width == options.WIDTH_OF_A_FILE


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("1m", 60), ("1.5h", 5400), ("250ms", 0.25), ("12", 12), (" 2 min ", 120)]
)
def test_duration(text: str, seconds: float) -> None:
    assert options.Duration().convert(text, None, None) == seconds


def test_commands_are_told_apart_from_other_modules() -> None:
    assert len(set(COMMANDS)) == len(COMMANDS)
