"""Webhooks on a real web server: escaped, bounded, patient, and with an URL that nobody sees."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from queryfit.config_delivery import SecretPlace, WebhookConfig
from queryfit.delivery import Delivered, Letter, Period, deliver, send_kept
from queryfit.delivery.retry import Patience
from queryfit.delivery.webhook import payload
from queryfit.errors import QueryfitError
from tests.delivery.servers import Certificates, hook_server

URL = "QUERYFIT_TEST_URL"
SLACK = WebhookConfig("team", "slack", SecretPlace("env", URL))
HOSTILE = "<!channel> & <https://evil.example|click> `x` *b* @here"


@pytest.fixture
def send(
    letter: Letter, period: Period, store: Path, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Delivered]:
    """Post the letter to a webhook at that URL."""

    def run(url: str, webhook: WebhookConfig = SLACK, **more: Any) -> Delivered:
        monkeypatch.setenv(URL, url)
        return deliver(
            more.pop("letter", letter), period, mail=None, webhooks=(webhook,), store=store, patience=patience, **more
        )

    return run


def refusal(call: Callable[[], object], store: Path) -> str:
    """What was said; the URL is in nothing of it, nor in what was written down."""
    with pytest.raises(QueryfitError) as caught:
        call()
    written = "".join(path.read_text() for path in (store / ".outbox").rglob("*.*") if path.is_file())
    assert "SECRET" not in caught.value.message + str(caught.value.hint) + written
    return caught.value.message


def test_slack_gets_plain_text_only(send: Callable[..., Delivered], letter: Letter) -> None:
    with hook_server() as hook:
        brief = [HOSTILE, "second\nline", "  "]
        assert send(hook.url, letter=replace(letter, subject=f"{HOSTILE}\n2", brief=brief)).sent == ("team",)
        assert "already" in send(hook.url).notes[0]
    (posted,) = hook.posts
    head, *sections = posted["blocks"]
    escaped = "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt; `x` *b* @here"
    assert head == {"type": "header", "text": {"type": "plain_text", "text": f"{escaped} 2", "emoji": False}}
    assert [section["text"]["text"] for section in sections] == [escaped, "second\nline"]
    assert {section["text"]["type"] for section in sections} == {"plain_text"}
    assert "<" not in posted["text"]
    assert posted["mrkdwn"] is False
    assert hook.headers[0]["Content-Type"].startswith("application/json")
    assert len(hook.headers[0]["Idempotency-Key"]) == 32


def test_lengths_stay_within_what_slack_takes_and_escapes_stay_whole(period: Period) -> None:
    long = Letter("<" * 500, "", "", brief=["&" * 9000, *["x"] * 80])
    made = json.loads(payload(long, period, SLACK))
    assert len(made["blocks"]) <= 50
    assert len(made["text"]) <= 4000
    texts = [block["text"]["text"] for block in made["blocks"]]
    assert len(texts[0]) <= 150
    assert all(len(text) <= 3000 for text in texts)
    assert set(texts[0].removesuffix("…").split("&lt;")) == {""}
    assert set(texts[1].removesuffix("…").split("&amp;")) == {""}


def test_json_says_what_it_is_about(send: Callable[..., Delivered], letter: Letter, period: Period) -> None:
    webhook = WebhookConfig("bus", "json", SecretPlace("env", URL))
    with hook_server() as hook:
        send(hook.url, webhook, letter=replace(letter, text="one\x1b[2J\n\ntwo"))
    (posted,) = hook.posts
    assert (posted["subject"], posted["brief"], posted["text"]) == (
        letter.subject,
        ["one\\x1b[2J", "two"],
        "one\\x1b[2J\n\ntwo",
    )
    assert (posted["since"], posted["until"]) == ("2026-11-16T07:00:00+00:00", "2026-11-23T07:00:00+00:00")
    assert (posted["system_identifier"], posted["scope"]) == (period.system_identifier, "all")
    assert posted["id"] == hook.headers[0]["Idempotency-Key"]


def test_it_waits_as_long_as_it_is_asked_to(send: Callable[..., Delivered], pauses: list[float]) -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    with hook_server() as hook:
        hook.answers = [(429, {"Retry-After": "17"}), (503, {"Retry-After": then}), (500, {"Retry-After": "soon"})]
        assert send(hook.url).sent == ("team",)
    assert pauses[0] == 17
    assert 30 <= pauses[1] <= 41
    assert pauses[2] == 32
    assert len(hook.paths) == 4


def test_it_does_not_wait_for_hours(send: Callable[..., Delivered], pauses: list[float], store: Path) -> None:
    with hook_server() as hook:
        hook.answers = [(429, {"Retry-After": "7200"})]
        assert "it answers 429" in refusal(lambda: send(hook.url), store)
    assert pauses == []


def test_what_is_kept_is_posted_later(
    send: Callable[..., Delivered], store: Path, pauses: list[float], patience: Patience
) -> None:
    with hook_server() as hook:
        hook.answers = [(500, {})] * 4
        hook.says = f"oops {hook.url} T0SECRET"
        assert "could not be sent to team: it answers 500 oops ****" in refusal(lambda: send(hook.url), store)
        assert pauses == [2.0, 8.0, 32.0]
        (file,) = (store / ".outbox" / "letters").iterdir()
        assert file.stat().st_mode & 0o777 == 0o600
        assert send_kept(mail=None, webhooks=(SLACK,), store=store, patience=patience).sent == ("team",)
    assert len(hook.posts) == 1


@pytest.mark.parametrize(("status", "words"), [(403, "it answers 403"), (404, "it answers 404"), (400, "answers 400")])
def test_a_refusal_that_lasts_is_not_tried_again(
    status: int, words: str, send: Callable[..., Delivered], store: Path, pauses: list[float]
) -> None:
    with hook_server() as hook:
        hook.answers = [(status, {})]
        assert words in refusal(lambda: send(hook.url), store)
    assert pauses == []
    assert len(hook.paths) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int, send: Callable[..., Delivered], store: Path) -> None:
    with hook_server() as elsewhere, hook_server() as hook:
        hook.answers = [(status, {"Location": elsewhere.url})]
        assert "redirects are not followed" in refusal(lambda: send(hook.url), store)
    assert elsewhere.paths == []


@pytest.mark.parametrize("status", [0, 504])
def test_no_answer_is_not_a_reason_to_post_again(
    status: int, send: Callable[..., Delivered], store: Path, pauses: list[float]
) -> None:
    with hook_server() as hook:
        hook.answers = [(status, {})]
        assert "may have been sent to team" in refusal(lambda: send(hook.url), store)
        assert "may have been sent to team" in refusal(lambda: send(hook.url), store)
        assert len(hook.paths) == 1
        assert send(hook.url, resend=True).sent == ("team",)
    assert pauses == []


def test_https_with_a_certificate_that_is_checked(
    send: Callable[..., Delivered], certificates: Certificates, store: Path, pauses: list[float]
) -> None:
    with hook_server(certificates) as hook:
        assert "certificate" in refusal(lambda: send(hook.url), store).lower()
        assert pauses == []
        assert send(hook.url, structs.replace(SLACK, cafile=certificates.cafile)).sent == ("team",)
    assert len(hook.posts) == 1


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://hooks.example.org/T0SECRET", "is not encrypted"),
        ("ftp://hooks.example.org/T0SECRET", "none that can be posted to"),
        ("file:///etc/SECRET", "none that can be posted to"),
        ("https:///SECRET", "none that can be posted to"),
        ("https://me:SECRET@hooks.example.org/", "none that can be posted to"),
        ("https://hooks.example.org:SECRET/", "none that can be posted to"),
        ("https://hooks.example.org/SECRET x", "none that can be posted to"),
        ("SECRET", "none that can be posted to"),
        ("https://hooks.example.org/\nSECRET", "control character"),
        ("", "QUERYFIT_TEST_URL is empty or missing"),
    ],
)
def test_an_url_that_is_not_used(url: str, words: str, send: Callable[..., Delivered], store: Path) -> None:
    assert words in refusal(lambda: send(url), store)


def test_nobody_listens(send: Callable[..., Delivered], store: Path, pauses: list[float]) -> None:
    with hook_server() as hook:
        url = hook.url
    assert "no connection" in refusal(lambda: send(url), store)
    assert len(pauses) == 3


def test_a_dry_run_needs_no_url(letter: Letter, period: Period, store: Path, tmp_path: Path) -> None:
    file = tmp_path / "hook.json"
    done = deliver(letter, period, mail=None, webhooks=(SLACK,), store=store, dry_run=file)
    assert done.sent == ()
    assert json.loads(file.read_text())["blocks"][0]["type"] == "header"
    two = (SLACK, WebhookConfig("bus", "json", SLACK.url))
    deliver(letter, period, mail=None, webhooks=two, store=store, dry_run=file)
    assert [next(iter(made)) for made in json.loads(file.read_text())] == ["text", "id"]
    assert not store.exists()


def test_one_way_that_fails_does_not_keep_the_other(
    letter: Letter, period: Period, store: Path, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hook_server() as good, hook_server() as bad:
        monkeypatch.setenv("GOOD", good.url)
        monkeypatch.setenv("BAD", bad.url)
        bad.answers = [(404, {})]
        hooks = [WebhookConfig(name.lower(), "slack", SecretPlace("env", name)) for name in ("BAD", "GOOD")]
        with pytest.raises(QueryfitError, match=r"^sent to good; the report could not be sent to bad: it answers 404"):
            deliver(letter, period, mail=None, webhooks=hooks, store=store, patience=patience)
    assert len(good.posts) == 1
