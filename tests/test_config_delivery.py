"""[mail], [[webhook]] and [report]: what they may say, and that no secret is among it."""

from __future__ import annotations

from pathlib import Path

import pytest

from queryfit.config import Config, load_config
from queryfit.config_delivery import MailConfig, ReportConfig, SecretPlace, WebhookConfig
from queryfit.errors import QueryfitError

HOST = '[mail]\nhost = "smtp.example.org"\nfrom = "q@example.org"\n'


def read(tmp_path: Path, text: str) -> Config:
    (tmp_path / "queryfit.toml").write_text(text)
    return load_config(tmp_path / "queryfit.toml")


def test_everything_that_may_be_set(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """
        [mail]
        host = "smtp.example.org"
        port = 2525
        tls = "tls"
        cafile = "ca.pem"
        user = "me"
        password-file = "secret"
        from = "Queryfit <q@example.org>"
        to = ["ana@example.org", "bob@example.org"]
        cc = "cy@example.org"
        reply-to = "dba@example.org"
        attach = true
        [[webhook]]
        url-env = "SLACK_URL"
        [[webhook]]
        name = "bus"
        kind = "json"
        url-keyring = "bus"
        allow-http = true
        [report]
        since = "14d"
        title = "The shop"
        """,
    )
    assert config.mail == MailConfig(
        host="smtp.example.org", port=2525, tls="tls", sender="Queryfit <q@example.org>",
        to=("ana@example.org", "bob@example.org"), cc=("cy@example.org",), reply_to="dba@example.org", user="me",
        password=SecretPlace("file", str(tmp_path / "secret")), cafile=tmp_path / "ca.pem", attaches=True,
    )  # fmt: skip
    assert config.webhooks == (
        WebhookConfig("slack", "slack", SecretPlace("env", "SLACK_URL")),
        WebhookConfig("bus", "json", SecretPlace("keyring", "bus/queryfit"), allows_http=True),
    )
    assert config.report == ReportConfig("14d", "The shop")


def test_what_is_meant_where_nothing_is_said(tmp_path: Path) -> None:
    assert read(tmp_path, HOST).mail == MailConfig("smtp.example.org", 587, "starttls", "q@example.org")
    ports = {
        tls: (read(tmp_path, HOST + f'tls = "{tls}"').mail or MailConfig("", 0, "none", "")).port
        for tls in ("starttls", "tls")
    }
    assert ports == {"starttls": 587, "tls": 465}
    local = HOST.replace("smtp.example.org", "127.0.0.1") + 'tls = "none"'
    assert read(tmp_path, local).mail == MailConfig("127.0.0.1", 25, "none", "q@example.org")
    assert read(tmp_path, '[webhook]\nurl-env = "X"').webhooks == (
        WebhookConfig("slack", "slack", SecretPlace("env", "X")),
    )
    assert read(tmp_path, HOST + 'user = "me"\npassword-keyring = "mail"').mail == MailConfig(
        "smtp.example.org", 587, "starttls", "q@example.org", user="me", password=SecretPlace("keyring", "mail/me")
    )
    assert (read(tmp_path, "").mail, read(tmp_path, "").webhooks, read(tmp_path, "").report) == (
        None,
        (),
        ReportConfig(),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mail = 3", "mail has to be a dict"),
        ('[mail]\nhost = "x"', "has to say `host` and `from`"),
        (HOST + "colour = 1", "'colour', which is not known"),
        (HOST + 'tls = "ssl"', "tls is 'ssl'"),
        (HOST + 'tls = "none"', "for everybody to read"),
        (HOST + "port = 0", "port has to|port is 70000|port is 0"),
        (HOST + "port = 70000", "port is 70000"),
        (HOST + "to = [1]", "to has to be a list of strings"),
        (HOST + 'user = "me"', "a login needs one of password-env"),
        (HOST + 'password-env = "X"', "a login needs user"),
        (HOST + 'user = "me"\npassword-env = "X"\npassword-file = "y"', "says password-env and password-file"),
        ("webhook = 3", r"a webhook is a section"),
        ("[webhook]\n", "does not say where its URL is"),
        ('[webhook]\nurl-env = "X"\nkind = "discord"', "kind is 'discord'"),
        ('[[webhook]]\nurl-env = "X"\n[[webhook]]\nurl-env = "Y"', "two webhooks are called 'slack'"),
        ('[webhook]\nurl-env = "X"\nurls = "y"', "'urls', which is not known"),
        ('[report]\nsinces = "7d"', "'sinces', which is not known"),
        ("[report]\nsince = 7", "since has to be a str"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(QueryfitError, match=words):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        HOST + 'password = "geheim"',
        HOST + 'user = "me"\npassword-env = "geheim!"',
        HOST + 'user = "me"\npassword-file = ["geheim"]',
        '[webhook]\nurl = "https://hooks.example.org/geheim"',
        '[webhook]\nurl-env = "https://hooks.example.org/geheim"',
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(QueryfitError) as caught:
        read(tmp_path, text)
    assert "geheim" not in caught.value.message + str(caught.value.hint)
