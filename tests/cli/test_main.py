"""Errors, exit statuses, and what a start costs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from queryfit import __version__
from queryfit.cli import main
from queryfit.cli.main import COMMANDS, cli, status_of
from queryfit.errors import QueryfitError, UsageError
from queryfit.evidence.store import Store
from tests.cli.conftest import CommandLine, written

HEAVY = ("duckdb", "_duckdb", "pglast", "sqlglot", "psycopg", "rich", "jinja2", "tabulate")
RUN = "from queryfit.cli.main import run; run()"


def python(code: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)], ids=" ".join
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from queryfit.cli.main import status_of; status = status_of(sys.argv[1:]);"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr); sys.exit(status)"
    )
    done = python(code, *arguments)
    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_the_entry_point_imports_only_click() -> None:
    done = python(f"import sys, queryfit.cli.main; print([name for name in {HEAVY} if name in sys.modules])")
    assert done.stdout == "[]\n"


def test_version(queryfit: CommandLine) -> None:
    assert queryfit("--version").out == f"queryfit {__version__}\n"


def test_without_arguments_it_helps(queryfit: CommandLine) -> None:
    done = queryfit()
    assert done.status == 0
    assert "queryfit audit" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bogus"], "queryfit: no such option '--bogus'"),
        (["nope"], "queryfit: no such command 'nope'"),
        (["audit", "--format", "xml"], "queryfit: invalid value for '--format': 'xml' is not one of"),
        (["audit", "--for", "soon"], "queryfit: invalid value for '--for': 'soon' is not a length of time"),
        (
            ["audit", "--table-format", "fancy"],
            "queryfit: invalid value for '--table-format': 'fancy' is not one of",
        ),
        (["show"], "queryfit: missing argument 'N|ID'"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_usage_errors(queryfit: CommandLine, arguments: list[str], message: str) -> None:
    done = queryfit(*arguments)
    assert (done.status, done.out) == (2, "")
    first, hint = done.err.splitlines()
    # click 8.2 and later differ in the quotes around an option
    assert message.replace("'", "") in first.replace("'", "").replace(": --", " --") or first.startswith(message)
    assert hint.startswith("hint: see `queryfit")


class _Boom:
    """A command that raises what it is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
        @click.command("history")
        def command() -> None:
            raise error

        monkeypatch.setattr(main.LazyGroup, "get_command", lambda *_: command)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (QueryfitError("it is gone", hint="look elsewhere"), 3, "queryfit: it is gone\nhint: look elsewhere\n"),
        (QueryfitError("it is gone"), 3, "queryfit: it is gone\n"),
        (UsageError("not so", hint="so"), 2, "queryfit: not so\nhint: so\n"),
        (KeyboardInterrupt(), 130, "queryfit: interrupted\n"),
        (QueryfitError("a\nb\x1b[2J\u202e"), 3, "queryfit: a b\\x1b[2J\\u202e\n"),
        (click.FileError("x.sql", "no room"), 3, "queryfit: Could not open file 'x.sql': no room\n"),
    ],
)
def test_one_line_and_a_hint(
    queryfit: CommandLine, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, said: str
) -> None:
    _Boom(monkeypatch, error)
    done = queryfit("history")
    assert (done.status, done.out, done.err) == (status, "", said)


def test_an_interrupt_while_duckdb_works() -> None:
    done = python("""
import click, os, signal, sys, threading
from queryfit.cli import main
from queryfit.evidence.session import empty_session

@click.command("history")
def command():
    with empty_session(["server"]) as session:
        threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT]).start()
        session.query("select count(*) from range(10000000) as a, range(1000000) as b where a.range % 7 = b.range % 5")

main.LazyGroup.get_command = lambda *_: command
sys.exit(main.status_of(["history"]))
""")
    assert (done.returncode, done.stderr) == (130, "queryfit: interrupted\n")


def test_a_fault_of_our_own_is_no_traceback(queryfit: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    _Boom(monkeypatch, ZeroDivisionError("x"))
    done = queryfit("history")
    assert done.status == 3
    assert done.err.startswith(
        "queryfit: unexpected ZeroDivisionError: x\nhint: this is a fault of queryfit: please report"
    )
    assert "Traceback" not in done.err


def test_verbose_shows_the_traceback(queryfit: CommandLine) -> None:
    done = queryfit("history", "-v")
    assert "Traceback" in done.err
    assert done.err.splitlines()[-1].startswith("hint: ")
    assert done.status == 3


def test_a_reader_that_has_seen_enough() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "rules", "show", "duplicate-index"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(30) == 141


def test_ctrl_c() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "sql", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdin
        assert process.stderr
        # there is no capture, or it waits for its SELECT: both end in one line
        process.send_signal(signal.SIGINT)
        process.stdin.close()
        err = process.stderr.read()
    assert process.returncode in {3, 130, -signal.SIGINT}
    assert process.returncode == -signal.SIGINT or "Traceback" not in err


def test_a_terminal_without_unicode_gets_escapes() -> None:
    done = python(RUN, "rules", "show", "duplicate-index", "--output", "/dev/stdout", PYTHONIOENCODING="ascii")
    assert "UnicodeEncodeError" not in done.stderr
    done = python(RUN, "rules", "show", "duplicate-index", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.isascii()


@pytest.mark.parametrize(
    "select", ["select * from nowhere", "selec", "select 1; select 2", "select error('x') from server"]
)
def test_duckdb_does_not_complain_at_the_end(tmp_path: Path, select: str) -> None:
    written(Store(tmp_path / "queryfit"))
    done = python(RUN, "sql", "-q", select, XDG_DATA_HOME=str(tmp_path))
    assert done.returncode == 3
    first, hint = done.stderr.splitlines()
    assert first.startswith("queryfit: ")
    assert hint.startswith("hint: ")


def test_a_full_disk(queryfit: CommandLine) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-c", RUN, "rules"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 3
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert queryfit("rules").status == 0


def test_every_command_is_a_module_and_says_what_it_does() -> None:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.get_short_help_str(80).endswith(".")
    assert status_of(["--help"]) == 0
