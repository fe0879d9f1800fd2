"""`queryfit report` over captures of a real server: as a file of each form, and as a mail that is not sent."""

from __future__ import annotations

import email
import email.policy
import io
import json
import shutil
from pathlib import Path

import psycopg
import pytest

from queryfit.cli import report
from queryfit.errors import UsageError
from tests.cli.conftest import CommandLine
from tests.servers import Cluster

SHOP = """
    create table public.orders (id bigint primary key, customer_id int, note text);
    insert into public.orders select n, n % 500, 'n' || n from generate_series(1, 20000) as n;
    create table "od<b>d" (a int);
    analyze;
"""
SLOW = "select count(*) from orders where customer_id = 7"
MAIL = """
[mail]
host = "127.0.0.1"
tls = "none"
from = "queryfit@example.org"
to = "ana@example.org"
attach = true

[report]
title = "Wöchentlich"
"""


def use(dsn: str, times: int) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for _ in range(times):
            connection.execute(SLOW)
            connection.execute('select * from "od<b>d"')


@pytest.fixture
def dsn(newest: Cluster, database: str, queryfit: CommandLine) -> str:
    """A server that was captured three times, used in between: 30 times, then 50 times."""
    newest.run(SHOP, database=database)
    dsn = newest.dsn(database)
    use(dsn, 5)
    for kind, times in (("full", 30), ("sample", 50), ("full", 0)):
        done = queryfit("capture", "--kind", kind, dsn)
        assert done.status == 0, done.err
        use(dsn, times)
    return dsn


def test_calls_between_captures_are_what_was_done(queryfit: CommandLine, dsn: str, database: str) -> None:
    done = queryfit("report", "--no-lab", "--format", "json")
    assert done.status == 0, done.err
    document = json.loads(done.out)
    assert document["server"]["databases"] == [database]
    calls = {entry["text"].lower(): entry["calls"] for entry in document["statements"]}
    assert calls["select count(*) from orders where customer_id = $1"] == 80
    assert calls['select * from "od<b>d"'] == 80
    assert document["before"] is None
    assert document["period"]["captures"] >= 2
    assert document["findings"]["judged_at"]
    again = json.loads(queryfit("report", dsn, "--no-lab", "--format", "json").out)
    assert again["statements"] == document["statements"]


def test_each_form_by_the_ending_of_the_file(queryfit: CommandLine, dsn: str, tmp_path: Path, database: str) -> None:
    assert dsn
    for name, begins in (("r.html", b"<!doctype html>"), ("r.md", b"# "), ("r.json", b"{")):
        done = queryfit("report", "--no-lab", "--output", name, "-q")
        assert (done.status, done.out, done.err) == (0, "", "")
        written = (tmp_path / name).read_bytes()
        assert written.startswith(begins)
        assert database.encode() in written.replace(b"\\_", b"_")
        assert b"od<b>d" not in written or name != "r.html"
    if shutil.which("chromium"):
        assert queryfit("report", "--no-lab", "--output", "r.pdf").status == 0
        assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF-")
        assert (tmp_path / "r.pdf").stat().st_mode & 0o777 == 0o600


def test_a_mail_that_is_not_sent(queryfit: CommandLine, dsn: str, tmp_path: Path) -> None:
    assert dsn
    (tmp_path / "queryfit.toml").write_text(MAIL, encoding="utf-8")
    done = queryfit("report", "--no-lab", "--mail", "--dry-run", "r.eml")
    assert done.status == 0, done.err
    assert done.out == ""
    message = email.message_from_bytes((tmp_path / "r.eml").read_bytes(), policy=email.policy.default)
    assert message["Subject"].startswith("Wöchentlich: ")
    kinds = [part.get_content_type() for part in message.walk() if not part.is_multipart()]
    assert kinds == ["text/plain", "text/html", "image/png", "text/html"]


def test_which_server(queryfit: CommandLine, dsn: str, database: str) -> None:
    assert dsn
    assert queryfit("report", database, "--no-lab", "--format", "markdown").status == 0
    done = queryfit("report", "nosuch", "--no-lab")
    assert done.status == 2
    assert "the store holds no server 'nosuch'" in done.err
    assert f"hint: it holds {database}" in done.err


def test_a_dsn_whose_server_is_down_is_known_by_its_database(queryfit: CommandLine, dsn: str, database: str) -> None:
    assert dsn
    gone = f"host=127.0.0.1 port=1 connect_timeout=1 dbname={database}"
    assert queryfit("report", gone, "--no-lab", "--format", "markdown").status == 0
    done = queryfit("report", "host=127.0.0.1 port=1 connect_timeout=1 dbname=other", "--no-lab")
    assert done.status == 3
    assert "holds no capture of database other" in done.err
    assert queryfit("report", "postgresql://[", "--no-lab").status == 2


def test_bad_input_is_told_before_the_work(queryfit: CommandLine, tmp_path: Path) -> None:
    done = queryfit("report")
    assert done.status == 3
    assert "there is no capture in" in done.err
    assert "hint: take one: `queryfit capture`" in done.err
    assert queryfit("report", "--output", tmp_path / "no" / "r.html").status == 3
    done = queryfit("report", "--dry-run", "r.eml")
    assert done.status == 2
    assert "add --mail or --webhook" in done.err


def test_a_time_without_captures_is_no_report(queryfit: CommandLine, dsn: str) -> None:
    assert dsn
    done = queryfit("report", "--no-lab", "--since", "2020-01-01", "--until", "2020-02-01")
    assert done.status == 3
    assert "begin at 20" in done.err
    assert "after what is asked for" in done.err
    done = queryfit("report", "--no-lab", "--since", "2020-02-01", "--until", "2020-01-01")
    assert done.status == 2
    assert "does not lie before the end of the window, 2020-01-01 00:00 UTC" in done.err
    done = queryfit("report", "--since", "soon")
    assert done.status == 2
    assert "neither a stretch of time nor a date" in done.err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_markdown_and_no_pdf(monkeypatch: pytest.MonkeyPatch) -> None:
    assert report._form(None, None) == "html"
    assert report._form(None, Path("r.PDF")) == "pdf"
    monkeypatch.setattr("sys.stdout", Terminal())
    assert report._form(None, None) == "markdown"
    assert report._form("html", None) == "html"
    assert report._form(None, Path("r.json")) == "json"
    assert report._form("html", Path("r.docx")) == "html"
    with pytest.raises(UsageError, match=r"r\.docx says no form"):
        report._form(None, Path("r.docx"))
    with pytest.raises(UsageError, match="nothing for a terminal"):
        report._form("pdf", None)
