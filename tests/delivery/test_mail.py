"""Mail through a real server: what arrives is what was written, and what does not is tried again, kept, or said."""

# ruff: noqa: PLR0917 -- fixtures are named, never placed

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from queryfit.config_delivery import MailConfig, SecretPlace, WebhookConfig
from queryfit.delivery import Delivered, Letter, Period, deliver, send_kept
from queryfit.delivery.outbox import MOST_RUNS, Outbox
from queryfit.delivery.retry import Patience
from queryfit.errors import QueryfitError
from tests.delivery.conftest import PNG
from tests.delivery.servers import PASSWORD, Certificates, MailServer, hook_server, mail_server

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
ToServer = Callable[..., MailConfig]
ASCII_PASSWORD = "plain-s3cret"
GREYLISTED = "451 4.7.1 try again later"


@pytest.fixture
def send(letter: Letter, period: Period, store: Path, patience: Patience) -> Callable[..., Delivered]:
    """Deliver the letter of the period, both of which may be named anew."""

    def run(mail: MailConfig, **more: Any) -> Delivered:
        given = {"letter": letter, "period": period, "webhooks": (), "store": store, "patience": patience, **more}
        return deliver(given.pop("letter"), given.pop("period"), mail=mail, **given)

    return run


def refusal(call: Callable[[], object]) -> QueryfitError:
    with pytest.raises(QueryfitError) as caught:
        call()
    assert PASSWORD not in caught.value.message + str(caught.value.hint)
    return caught.value


def kept(store: Path) -> list[Path]:
    return sorted((store / ".outbox" / "letters").glob("*.eml"))


@pytest.mark.parametrize("tls", ["starttls", "tls", "none"])
def test_a_letter_arrives_whole(
    tls: str, certificates: Certificates, to_server: ToServer, send: Callable[..., Delivered], letter: Letter
) -> None:
    with mail_server(None if tls == "none" else certificates, tls=tls, login=True) as server:
        to = ("Ana García <ana@example.org>", "bob@example.org")
        mail = to_server(server, tls=tls, login=True, to=to, cc=("Cy <cy@example.org>",), reply_to="dba@example.org")
        assert send(mail) == Delivered(("ana@example.org", "bob@example.org", "cy@example.org"), ())
    assert [recipients for recipients, _ in server.mails] == [["ana@example.org", "bob@example.org", "cy@example.org"]]
    assert server.logins == ["reporter by PLAIN"]
    raw = server.mails[0][1]
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    mail_ = server.parsed()
    assert mail_["Subject"] == letter.subject
    assert str(make_header(decode_header(mail_["From"].addresses[0].display_name))) == "Qüeryfit, weekly"
    assert [str(address) for address in mail_["Cc"].addresses] == ["Cy <cy@example.org>"]
    assert mail_["Reply-To"] == "dba@example.org"
    assert mail_["Message-ID"].startswith("<queryfit.")
    plain, html = mail_.get_body(("plain",)), mail_.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().replace("\r\n", "\n") == letter.text
    assert html.get_content().replace("\r\n", "\n") == letter.html
    (image,) = [part for part in mail_.walk() if part.get_content_type() == "image/png"]
    assert (image["Content-ID"], image.get_content(), image.get_content_disposition()) == ("<load>", PNG, "inline")
    (attachment,) = mail_.iter_attachments()
    assert isinstance(attachment, type(mail_))
    assert (attachment.get_filename(), attachment.get_content().strip()) == ("report.html", "<h1>Größe</h1>")


def test_a_certificate_that_nobody_vouches_for_is_refused(
    certificates: Certificates, to_server: ToServer, send: Callable[..., Delivered], store: Path, pauses: list[float]
) -> None:
    for tls in ("starttls", "tls"):
        with mail_server(certificates, tls=tls) as server:
            error = refusal(lambda: send(structs.replace(to_server(server, tls=tls), cafile=None)))  # noqa: B023
        assert "certificate of localhost is not trusted" in error.message
        assert not server.mails
    assert pauses == []
    assert len(kept(store)) == 1


def test_a_server_without_starttls_gets_nothing(to_server: ToServer, send: Callable[..., Delivered]) -> None:
    with mail_server(login=True) as server:
        error = refusal(lambda: send(to_server(server, tls="starttls", login=True)))
    assert "does not offer STARTTLS" in error.message
    assert not server.logins


def test_a_wrong_password_is_not_tried_again_and_never_shown(
    certificates: Certificates, to_server: ToServer, send: Callable[..., Delivered], store: Path, pauses: list[float],
    tmp_path: Path,
) -> None:  # fmt: skip
    wrong = "wrong-wrong-wrong"
    secret = tmp_path / "password"
    secret.write_text(wrong + "\n")
    secret.chmod(0o600)
    said: list[str] = []
    with mail_server(certificates, login=True) as server:
        mail = structs.replace(to_server(server, tls="starttls", login=True), password=SecretPlace("file", str(secret)))
        error = refusal(lambda: send(mail, progress=said.append))
        assert "refuses the login of reporter: 535" in error.message
        assert wrong not in repr(error) + str(error.__cause__) + str(said) + kept(store)[0].read_text()
        assert len(server.logins) == len(set(server.logins))  # each way to log in once
        assert pauses == []
        secret.write_text(PASSWORD)
        assert send(mail).sent == ("ana@example.org",)
    assert kept(store) == []


def test_a_server_that_repeats_the_password_is_not_quoted(
    to_server: ToServer, send: Callable[..., Delivered], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_server(login=True) as server:
        monkeypatch.setattr("tests.delivery.servers.PASSWORD", ASCII_PASSWORD)
        mail = to_server(server, login=True)
        monkeypatch.setenv("QUERYFIT_TEST_PASSWORD", ASCII_PASSWORD)
        server.rcpt["ana@example.org"] = [f"550 5.1.1 who is {ASCII_PASSWORD}, base64 AHJlcG9ydGVy"]
        error = refusal(lambda: send(mail))
    assert "refused: 550 5.1.1 who is ****" in error.message
    assert ASCII_PASSWORD not in next((store / ".outbox").glob("*.json")).read_text()


def test_one_of_several_is_refused_and_named(
    to_server: ToServer, send: Callable[..., Delivered], pauses: list[float]
) -> None:
    with mail_server() as server:
        server.rcpt["bob@example.org"] = ["550 5.1.1 no such user", "550 5.1.1 no such user"]
        mail = to_server(server, to=("ana@example.org", "bob@example.org", "cy@example.org"))
        error = refusal(lambda: send(mail))
        assert (
            error.message == "sent to ana@example.org, cy@example.org; bob@example.org refused: 550 5.1.1 no such user"
        )
        assert pauses == []
        again = refusal(lambda: send(mail))
        assert again.message == "bob@example.org refused: 550 5.1.1 no such user"
        assert send(mail).sent == ("bob@example.org",)  # the server has changed its mind
    assert [recipients for recipients, _ in server.mails] == [
        ["ana@example.org", "cy@example.org"],
        ["bob@example.org"],
    ]


def test_what_passes_is_tried_again_for_those_who_do_not_have_it(
    to_server: ToServer, send: Callable[..., Delivered], pauses: list[float], store: Path
) -> None:
    with mail_server() as server:
        server.rcpt["bob@example.org"] = [GREYLISTED, GREYLISTED]
        server.answers_to_data = ["452 4.3.1 disk full"]
        assert set(send(to_server(server, to=("ana@example.org", "bob@example.org"))).sent) == {
            "ana@example.org",
            "bob@example.org",
        }
    assert [recipients for recipients, _ in server.mails] == [["ana@example.org"], ["bob@example.org"]]
    assert pauses == [2.0, 8.0]
    assert kept(store) == []


def test_what_cannot_be_sent_is_kept_and_goes_first_next_time(
    to_server: ToServer,
    send: Callable[..., Delivered],
    period: Period,
    letter: Letter,
    store: Path,
    pauses: list[float],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with mail_server() as server:
        mail = to_server(server)
        error = refusal(lambda: send(structs.replace(mail, port=port)))
        assert "could not be sent to ana@example.org" in error.message
        assert "kept in" in error.message
        assert "--send-kept" in str(error.hint)
        assert pauses == [2.0, 8.0, 32.0]
        (file,) = kept(store)
        assert file.stat().st_mode & 0o777 == 0o600
        assert str(file) in error.message
        later = Period(period.system_identifier, period.scope, period.until, period.until + timedelta(days=7))
        assert (
            send(mail, period=later, letter=replace(letter, subject="the week after")).sent == ("ana@example.org",) * 2
        )
    subjects = [server.parsed(number)["Subject"] for number in range(2)]
    assert subjects == [letter.subject, "the week after"]
    assert kept(store) == []


def test_kept_ones_can_be_sent_alone_and_are_not_tried_for_ever(
    to_server: ToServer, send: Callable[..., Delivered], period: Period, store: Path, patience: Patience
) -> None:
    once = replace(patience, attempts=1)
    with mail_server() as server:
        mail = to_server(server)
        server.answers_to_data = ["554 5.7.1 no"] * (MOST_RUNS + 1)
        for _ in range(MOST_RUNS):
            refusal(lambda: send(mail, patience=once))
        later = Period(period.system_identifier, period.scope, period.until, period.until + timedelta(days=7))
        refusal(lambda: send(mail, period=later))
        done = send(mail, period=later)
        assert done.sent == ("ana@example.org",)
        assert "2026-11-23 could not be sent in 10 runs and is not tried any more" in done.notes[0]
        assert len(kept(store)) == 1
        arguments: dict[str, Any] = {"mail": mail, "webhooks": (), "store": store, "patience": patience}
        assert send_kept(**arguments).sent == ("ana@example.org",)
        assert send_kept(**arguments).notes == ("nothing was kept that could be sent",)
    assert len(server.mails) == 2


def test_a_report_is_sent_once_for_a_period(
    to_server: ToServer, send: Callable[..., Delivered], period: Period, letter: Letter
) -> None:
    def ending(later: timedelta, days: float = 7) -> Period:
        until = period.until + later
        return Period(period.system_identifier, period.scope, until - timedelta(days=days), until)

    with mail_server() as server:
        mail = to_server(server)
        send(mail)
        for same in (timedelta(0), timedelta(minutes=5), timedelta(hours=-1), timedelta(hours=30)):
            again = send(mail, period=ending(same))
            assert again.sent == ()
            assert "has been sent to ana@example.org already" in again.notes[0]
        assert send(mail, period=ending(timedelta(days=3))).sent
        assert send(mail, period=ending(timedelta(0), days=1)).sent
        assert send(mail, period=replace(period, scope="shop")).sent
        assert send(structs.replace(mail, to=("ana@example.org", "new@example.org"))).sent == ("new@example.org",)
        assert len(server.mails) == 5
        assert send(mail, period=ending(timedelta(hours=1)), resend=True).sent == ("ana@example.org",)
    assert server.parsed(0)["Message-ID"] == server.parsed(5)["Message-ID"]
    assert server.parsed(5)["Subject"] == letter.subject


def test_the_next_report_without_a_new_capture_is_no_second_start(
    to_server: ToServer, send: Callable[..., Delivered]
) -> None:
    with mail_server() as server:
        mail = to_server(server)
        send(mail)
        next_week = datetime.now(UTC) + timedelta(days=7)
        error = refusal(lambda: send(mail, now=next_week))
        assert "nothing new to report: the newest capture is of 2026-11-23 07:00 UTC" in error.message
        assert "queryfit history" in str(error.hint)
    assert len(server.mails) == 1


def test_reports_of_several_lengths_that_end_at_once_are_kept_apart(
    to_server: ToServer, send: Callable[..., Delivered], period: Period, store: Path, patience: Patience
) -> None:
    day = Period(period.system_identifier, period.scope, period.until - timedelta(days=1), period.until)
    with mail_server() as server:
        server.answers_to_data = ["554 no"] * 3
        for one in (period, day):
            refusal(lambda: send(to_server(server), period=one))  # noqa: B023
        assert len(kept(store)) == 2
        send_kept(mail=to_server(server), webhooks=(), store=store, patience=patience)
    assert len({server.parsed(number)["Message-ID"] for number in range(2)}) == 2


def test_a_mail_that_cannot_be_addressed_does_not_keep_the_chat_waiting(
    to_server: ToServer, send: Callable[..., Delivered], monkeypatch: pytest.MonkeyPatch
) -> None:
    with hook_server() as hook:
        monkeypatch.setenv("QUERYFIT_TEST_URL", hook.url)
        webhook = WebhookConfig("team", "slack", SecretPlace("env", "QUERYFIT_TEST_URL"))
        error = refusal(lambda: send(to_server(MailServer(port=1), to=("x",)), webhooks=(webhook,)))
    assert error.message == "sent to team; 'x' is not an address of mail"
    assert len(hook.posts) == 1


def test_no_answer_after_the_end_is_not_sent_again(
    to_server: ToServer, send: Callable[..., Delivered], pauses: list[float], period: Period
) -> None:
    with mail_server() as server:
        server.is_mute = True
        mail = to_server(server)
        first = refusal(lambda: send(mail))
        assert "may have been sent to ana@example.org" in first.message
        assert "--resend" in str(first.hint)
        server.is_mute = False
        assert "may have been sent" in refusal(lambda: send(mail)).message
        assert pauses == []
        assert len(server.mails) == 1
        later = Period(period.system_identifier, period.scope, period.until, period.until + timedelta(days=7))
        assert "may have been sent" in refusal(lambda: send(mail, period=later)).message
        assert len(server.mails) == 2  # the new one, and it is said once that the old one is unclear
        assert "already" in send(mail, period=later).notes[0]
        assert send(mail, resend=True).sent == ("ana@example.org",)


def test_a_dry_run_writes_a_mail_and_needs_no_password(
    to_server: ToServer, send: Callable[..., Delivered], tmp_path: Path, store: Path, letter: Letter
) -> None:
    mail = structs.replace(to_server(MailServer(port=1)), user="x", password=SecretPlace("file", "/nowhere"))
    file = tmp_path / "report.eml"
    assert send(mail, dry_run=file) == Delivered((), (f"nothing is sent: the mail is in {file}",))
    server = MailServer(mails=[([], file.read_bytes())])
    assert server.parsed()["Subject"] == letter.subject
    assert not store.exists()
    with pytest.raises(QueryfitError, match="cannot write"):
        send(mail, dry_run=tmp_path / "report.eml" / "x")


def test_addresses_beyond_ascii(
    certificates: Certificates, to_server: ToServer, send: Callable[..., Delivered]
) -> None:
    with mail_server(certificates) as server:
        to = ("Jürgen <jürgen@bücher.example>", "ana@example.org")
        assert send(to_server(server, tls="starttls", to=to)).sent == (
            "jürgen@xn--bcher-kva.example",
            "ana@example.org",
        )
    assert "SMTPUTF8" in server.mail_options[0]
    assert "jürgen@xn--bcher-kva.example" in server.mails[0][1].decode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sender": "queryfit\r\nBcc: eve@example.org <q@example.org>"}, "control character"),
        ({"to": ("ana@example.org\nBcc: eve@example.org",)}, "control character"),
        ({"cc": ("ana@example.org>\r\nDATA",)}, "control character"),
        ({"reply_to": "x"}, "is not an address"),
        ({"to": ()}, "somebody to go to"),
    ],
)
def test_what_cannot_be_addressed_is_not_begun(
    change: dict[str, Any], words: str, to_server: ToServer, send: Callable[..., Delivered], store: Path
) -> None:
    with mail_server() as server:
        error = refusal(lambda: send(structs.replace(to_server(server), **change)))
    assert words in error.message
    assert not server.mails
    assert not store.exists()


def test_a_subject_that_would_end_its_header_is_not_sent(
    to_server: ToServer, send: Callable[..., Delivered], letter: Letter
) -> None:
    with mail_server() as server:
        error = refusal(lambda: send(to_server(server), letter=replace(letter, subject="x\r\nBcc: eve@example.org")))
    assert "control character" in error.message
    assert not server.mails


def test_records_that_cannot_be_read_stop_everything(
    to_server: ToServer, send: Callable[..., Delivered], store: Path
) -> None:
    with mail_server() as server:
        mail = to_server(server)
        send(mail)
        (path,) = (store / ".outbox").glob("*.json")
        before = path.read_text()
        for text in ("{", "[]", "{}", before.replace('"sent"', '"lost"'), before.replace('"format": 1', '"format": 2')):
            path.write_text(text)
            assert "record of what was sent cannot be read" in refusal(lambda: send(mail)).message
    assert len(server.mails) == 1
    assert Outbox(store).channels() in ([], Outbox(store).channels())
