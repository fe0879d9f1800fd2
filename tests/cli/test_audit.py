"""`audit`, `capture`, `show`, `fix` and `doctor` on a real server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from queryfit.capture.server import MAX_PLANS
from queryfit.cli import target
from queryfit.render.json import schema
from tests.cli.conftest import CommandLine
from tests.servers import Cluster

FAULTS = """
    create table public.customer (id bigint primary key, email text);
    create index customer_email_a on public.customer (email);
    create index customer_email_b on public.customer (email);
    create table "odd
::error::name" (a int);
    insert into public.customer select n, 'c' || n from generate_series(1, 20000) as n;
    analyze;
"""


@pytest.fixture
def dsn(newest: Cluster, database: str) -> str:
    """A database with a duplicate index in it, and a table of a hostile name."""
    newest.run(FAULTS, database=database)
    return newest.dsn(database)


def test_from_server_to_fix(queryfit: CommandLine, dsn: str) -> None:
    done = queryfit("audit", "--no-lab", dsn)
    assert done.status == 0, done.err
    assert "Do this first" in done.out
    document = json.loads(queryfit("audit", "--no-lab", dsn, "--format", "json").out)
    jsonschema.validate(document, schema())
    numbers = {entry["rule"]: entry["rank"] for entry in document["findings"]}
    number = numbers["duplicate-index"]
    shown = queryfit("show", number)
    assert shown.status == 0
    assert "customer_email_a" in shown.out
    assert "Why it matters" in shown.out
    assert "Tables" in shown.out
    fixed = queryfit("fix", number)
    assert "drop index concurrently public.customer_email_b;" in fixed.out
    ids = {entry["rule"]: entry["id"] for entry in document["findings"]}
    assert queryfit("fix", ids["duplicate-index"][:6]).out == fixed.out
    assert "create index" in queryfit("fix", number, "--undo").out.lower()
    # the hostile name begins no line of a terminal's text
    for out in (done.out, shown.out):
        assert not [line for line in out.splitlines() if line.strip().startswith("::error")]


def test_exit_statuses_and_states(queryfit: CommandLine, dsn: str, newest: Cluster, database: str) -> None:
    assert queryfit("audit", "--no-lab", dsn, "-q").status == 0
    assert queryfit("audit", "--no-lab", dsn, "-q", "--fail-on", "warning").status == 1
    assert queryfit("audit", "--no-lab", dsn, "-q", "--fail-on-new").status == 0
    assert queryfit("audit", "--no-lab", dsn, "-q", "--fail-on", "never", "--fail-on-new").status == 0
    newest.run("create index customer_email_c on customer (email)", database=database)
    assert queryfit("audit", "--no-lab", dsn, "-q", "--fail-on-new").status == 1
    newest.run("drop index customer_email_b", database=database)
    newest.run("drop index customer_email_c", database=database)
    done = queryfit("audit", "--no-lab", dsn)
    assert "fixed" in done.out


def test_a_baseline(queryfit: CommandLine, dsn: str, tmp_path: Path) -> None:
    known = tmp_path / "known.json"
    assert queryfit("audit", "--no-lab", dsn, "--write-baseline", known).status == 0
    done = queryfit("audit", "--no-lab", dsn, "--baseline", known, "--fail-on", "info", "--format", "json")
    assert done.status == 0
    document = json.loads(done.out)
    assert document["findings"] == []
    assert {entry["suppressed_by"] for entry in document["suppressed"]} == {"baseline"}


@pytest.mark.parametrize(("form", "begins"), [("markdown", "# queryfit"), ("sarif", "{"), ("json", "{")])
def test_forms_to_a_file(queryfit: CommandLine, dsn: str, tmp_path: Path, form: str, begins: str) -> None:
    done = queryfit("audit", "--no-lab", dsn, "--format", form, "--output", tmp_path / "out")
    assert (done.status, done.out) == (0, "")
    assert (tmp_path / "out").read_text().startswith(begins)


def test_a_folder_that_is_not_there_is_told_before_the_work(queryfit: CommandLine) -> None:
    done = queryfit("audit", "host=/nowhere", "--output", "nope/out.json")
    assert done.status == 3
    assert "there is no folder nope" in done.err


def test_a_capture_judged_later(queryfit: CommandLine, dsn: str) -> None:
    taken = queryfit("capture", dsn)
    assert taken.status == 0
    assert "rows of evidence" in taken.err
    folder = Path(taken.out.strip())
    assert (folder / "capture.json").exists()
    by_path = json.loads(queryfit("audit", "--no-lab", folder, "--format", "json").out)
    by_name = json.loads(queryfit("audit", "--no-lab", folder.name, "--format", "json").out)
    assert queryfit("audit", "--no-lab", folder, "--for", "1s").status == 2
    assert [entry["id"] for entry in by_path["findings"]] == [entry["id"] for entry in by_name["findings"]]
    assert "duplicate-index" in {entry["rule"] for entry in by_path["findings"]}


def test_show_without_its_capture_says_what_is_missing(queryfit: CommandLine, dsn: str) -> None:
    document = json.loads(queryfit("audit", "--no-lab", dsn, "--format", "json").out)
    (Path(document["capture"]) / "capture.json").unlink()
    done = queryfit("show", 1)
    assert done.status == 0
    assert "the capture cannot be read" in done.err


@pytest.mark.parametrize("command", ["show", "fix"])
def test_which_finding(queryfit: CommandLine, dsn: str, command: str) -> None:
    nothing = queryfit(command, 1)
    assert nothing.status == 3
    assert "hint: run `queryfit audit` first" in nothing.err
    queryfit("audit", "--no-lab", dsn)
    for name in ("99", "0", "ffffff", "zz"):
        done = queryfit(command, name)
        assert (done.status, done.out) == (3, "")
        assert "hint: " in done.err


def test_no_server(queryfit: CommandLine, tmp_path: Path) -> None:
    for command in ("audit", "capture", "doctor"):
        done = queryfit(command, f"host={tmp_path} dbname=x")
        assert (done.status, done.out) == (3, "")
        assert len(done.err.splitlines()) == 2
        assert "\nhint: " in done.err


@pytest.mark.parametrize("dsn", ["not a dsn", "postgresql://u:secret@[::1"])
def test_no_dsn(queryfit: CommandLine, dsn: str) -> None:
    done = queryfit("audit", "--no-lab", dsn)
    assert done.status == 2
    assert "secret" not in done.err


def test_neither_a_dsn_nor_a_capture(queryfit: CommandLine) -> None:
    done = queryfit("audit", "20260108T120000Z-nope")
    assert done.status == 2
    assert "is neither a DSN nor a capture" in done.err


def test_a_store_that_cannot_be_written_to(queryfit: CommandLine, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/proc/nope")
    done = queryfit("audit", "--no-lab", dsn)
    assert done.status == 0
    assert "this run is not remembered" in " ".join(done.out.split())
    assert queryfit("capture", dsn).status == 3


def test_options_that_exclude_each_other(queryfit: CommandLine, dsn: str) -> None:
    done = queryfit("audit", "--no-lab", dsn, "--all-databases", "--database", "x")
    assert done.status == 2


def test_a_wrong_severity_in_the_configuration(queryfit: CommandLine) -> None:
    Path("queryfit.toml").write_text('fail-on = "loud"')
    done = queryfit("audit", "host=/nowhere")
    assert done.status == 3
    assert "hint: it is one of error, warning, info, never" in done.err


def test_doctor(queryfit: CommandLine, dsn: str, newest: Cluster) -> None:
    newest.run("drop role if exists weak_doctor")
    newest.run("create role weak_doctor login")
    weak = dsn.replace("user=postgres", "user=weak_doctor")
    done = queryfit("doctor", weak)
    assert done.status == 0
    assert "grant pg_monitor to weak_doctor;" in done.out
    checks = {entry["name"]: entry for entry in json.loads(queryfit("doctor", weak, "--format", "json").out)["checks"]}
    assert checks["pg_monitor"]["status"] == "missing"
    assert {entry["status"] for entry in checks.values()} <= {"ok", "limited", "missing"}


def test_doctors_role_is_fit(queryfit: CommandLine, dsn: str, newest: Cluster) -> None:
    sql = queryfit("doctor", dsn, "--sql", "--role", 'Odd "role"').out
    newest.run("".join(line for line in sql.splitlines(keepends=True) if not line.startswith("\\")))
    try:
        document = json.loads(queryfit("doctor", f"{dsn} user='Odd \"role\"'", "--format", "json").out)
        assert {entry["status"] for entry in document["checks"] if entry["name"] == "pg_monitor"} == {"ok"}
    finally:
        newest.run('drop role "Odd ""role"""')


def test_verbose_tells_each_step_and_quiet_none(queryfit: CommandLine, dsn: str) -> None:
    assert "queryfit: server, settings and sessions" in queryfit("audit", "--no-lab", dsn, "-v").err
    assert queryfit("audit", "--no-lab", dsn, "-q").err == ""


def test_the_default_of_max_plans_is_the_captures() -> None:
    assert target._MOST_PLANS == MAX_PLANS


def test_rules_of_ones_own(queryfit: CommandLine, dsn: str) -> None:
    queryfit("rules", "new", "small-table")
    path = Path("rules/custom/small-table.sql")
    path.write_text(path.read_text().replace("= 1000000 --", "= 10000 --"))
    document = json.loads(queryfit("audit", "--no-lab", dsn, "--rules", "rules", "--format", "json").out)
    assert [entry["subject"] for entry in document["findings"] if entry["rule"] == "small-table"] == ["public.customer"]


def test_a_rule_that_does_not_work_stops_no_other(queryfit: CommandLine, dsn: str) -> None:
    queryfit("rules", "new", "broken-rule")
    path = Path("rules/custom/broken-rule.sql")
    path.write_text(path.read_text().replace("rel.tuple_rows >=", "rel.relation::integer >="))
    document = json.loads(queryfit("audit", "--no-lab", dsn, "--rules", "rules", "--format", "json").out)
    assert "broken-rule" in {entry["rule"] for entry in document["not_checked"]}
    assert "duplicate-index" in {entry["rule"] for entry in document["findings"]}


def test_all_databases(queryfit: CommandLine, dsn: str, newest: Cluster, cluster_of: Callable[[int], Cluster]) -> None:
    assert newest is cluster_of(newest.version)
    done = queryfit("audit", "--no-lab", dsn, "--all-databases", "--format", "json")
    assert "postgres" in json.loads(done.out)["server"]["databases"]
