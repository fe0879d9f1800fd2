"""The options of what is sent: which need which, and what a person is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Unpack

import click
import pytest

from queryfit.cli import delivery_options, main, options
from queryfit.cli.delivery_options import Sending
from queryfit.delivery import Letter, Period
from tests.delivery.servers import PASSWORD, USER, Certificates, hook_server, mail_server

UNTIL = datetime(2026, 11, 23, 7, tzinfo=UTC)
PERIOD = Period("7300000000000000001", "all", UNTIL - timedelta(days=7), UNTIL)


@click.command("send")
@options.with_options(
    delivery_options.sending_options, options.store_option, options.config_option, options.quiet_and_verbose
)
@click.pass_context
def sender(
    context: click.Context, *, store_folder: Path | None, config_file: Path | None, **sending: Unpack[Sending]
) -> None:
    """Do what a report does with its letter."""
    if not delivery_options.is_sending(sending):
        click.echo("nothing to send")
        return
    config = options.configuration(config_file, store_folder=store_folder)
    if sending["send_kept"]:
        delivery_options.send_kept(context, config, sending)
    else:
        delivery_options.send(context, Letter("the week", "text", "<p>text</p>"), PERIOD, config, sending)


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run the command as the program runs all of its own: status, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    whole = main.cli.get_command
    monkeypatch.setattr(
        main.cli, "get_command", lambda context, name: sender if name == "send" else whole(context, name)
    )

    def run(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        status = main.status_of(["send", *arguments])
        said = capfd.readouterr()
        return status, said.out, said.err

    return run


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "a@example.org"], "add --mail"),
        (["--dry-run", "x"], "add --mail or --webhook"),
        (["--resend"], "add --mail or --webhook"),
        (["--send-kept", "--mail"], "leave the others away"),
        (["--send-kept", "--to", "a@example.org"], "leave the others away"),
    ],
)
def test_options_that_need_others(arguments: list[str], words: str, call: Call) -> None:
    status, out, said = call(*arguments)
    assert (status, out) == (2, "")
    assert words in said


def test_nothing_is_asked_for(call: Call) -> None:
    assert call() == (0, "nothing to send\n", "")


def test_no_section_in_the_configuration(call: Call) -> None:
    for flag, section in (("--mail", "[mail]"), ("--webhook", "[[webhook]]")):
        status, _, said = call(flag)
        assert status == 3
        assert f"no {section} in the configuration" in said
        assert "hint:" in said


def configured(tmp_path: Path, **more: Any) -> None:
    """A configuration of mail with these keys."""
    facts = {"host": "127.0.0.1", "tls": "none", "from": "q@example.org", "to": ["ana@example.org"], **more}
    lines = [f"{key} = {value if isinstance(value, int | list) else repr(value)}" for key, value in facts.items()]
    (tmp_path / "queryfit.toml").write_text("\n".join(['store = "store"', "[mail]", *lines]) + "\n")


def test_sent_kept_and_sent_again(call: Call, tmp_path: Path) -> None:
    with mail_server() as server:
        configured(tmp_path, port=server.port)
        server.answers_to_data = ["554 5.7.1 no"]
        status, out, said = call("--mail")
        assert (status, out) == (3, "")
        assert "could not be sent to ana@example.org: the server says 554 5.7.1 no; it is kept in" in said
        assert "`queryfit report --send-kept` tries again" in said
        assert call("--send-kept", "-q") == (0, "", "")
        status, _, said = call("--mail")
        assert (status, "has been sent to ana@example.org already" in said) == (0, True)
        assert call("--mail", "--resend") == (0, "", "queryfit: sent to ana@example.org\n")
        assert call("--mail", "--to", "Bob <bob@example.org>")[2] == "queryfit: sent to bob@example.org\n"
        assert call("--send-kept")[2] == "queryfit: nothing was kept that could be sent\n"
    assert [recipients for recipients, _ in server.mails] == [
        ["ana@example.org"],
        ["ana@example.org"],
        ["bob@example.org"],
    ]


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_a_password_is_in_nothing_that_is_printed(
    call: Call, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = Certificates.make(tmp_path_factory.mktemp("certificates"))
    right, wrong = PASSWORD, "Xy-wrong-zY"
    printed = ""
    with mail_server(certificates, login=True) as server:
        login = {"user": USER, "password-env": "QF_PASSWORD", "cafile": str(certificates.cafile), "tls": "starttls"}
        configured(tmp_path, port=server.port, **{**login, "host": "localhost"})
        for password in (wrong, "", right):
            monkeypatch.setenv("QF_PASSWORD", password)
            status, out, said = call("--mail", "-v")
            printed += out + said
        assert status == 0
    assert len(server.mails) == 1
    assert "refuses the login" in printed
    assert "Traceback" in printed  # -v was heard
    written = "".join(path.read_text() for path in (tmp_path / "store").rglob("*") if path.is_file())
    for password in (right, wrong):
        assert password not in printed + written + server.mails[0][1].decode()


def test_a_dry_run_of_each(call: Call, tmp_path: Path) -> None:
    configured(tmp_path, port=1, user="x", **{"password-file": "none"})
    with (tmp_path / "queryfit.toml").open("a") as file:
        file.write('[[webhook]]\nurl-env = "NOT_SET"\n')
    status, _, said = call("--mail", "--webhook", "--dry-run", "report.eml")
    assert (status, "webhooks are left out" in said) == (0, True)
    assert (tmp_path / "report.eml").read_text().startswith("Date: ")
    assert call("--webhook", "--dry-run", "hook.json")[0] == 0
    assert (tmp_path / "hook.json").read_text().startswith('{"text": ')
    assert not (tmp_path / "store").exists()


def test_a_webhook(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hook_server() as hook:
        monkeypatch.setenv("QF_URL", hook.url)
        (tmp_path / "queryfit.toml").write_text('store = "store"\n[[webhook]]\nurl-env = "QF_URL"\nname = "team"\n')
        assert call("--webhook", "-v")[2] == "queryfit: sent to team\n"
    assert hook.posts[0]["blocks"][0]["text"]["text"] == "the week"
