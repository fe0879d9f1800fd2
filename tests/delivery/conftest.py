"""A letter, the period that it is about, and certificates for the servers that take it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from queryfit.config_delivery import MailConfig, SecretPlace
from queryfit.delivery import Attachment, Image, Letter, Period
from queryfit.delivery.retry import Patience
from tests.delivery.servers import PASSWORD, USER, Certificates, MailServer

UNTIL = datetime(2026, 11, 23, 7, tzinfo=UTC)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(autouse=True)
def proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are proxies that nobody answers at: what is for this machine goes around them."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


@pytest.fixture
def letter() -> Letter:
    return Letter(
        subject="orders.id erreicht int4 in 63 Tagen … 55 bis 74 (größte Tabelle)",
        text="Größer als je: ½ Stunde.\n.a line that begins with a dot\n\n" + "long " * 500 + "\n",
        html="<p>Größer ½ &lt;b&gt;</p><img src='cid:load' alt='load'>\n<pre>" + "x" * 3000 + "</pre>\n.\n",
        images=(Image("load", PNG, "load by statement"),),
        attachments=(Attachment("report.html", "<h1>Größe</h1>".encode()),),
    )


@pytest.fixture
def period() -> Period:
    return Period("7300000000000000001", "all", UNTIL - timedelta(days=7), UNTIL)


@pytest.fixture
def to_server(monkeypatch: pytest.MonkeyPatch, certificates: Certificates) -> Callable[..., MailConfig]:
    """The configuration of mail to a server of ours, with login where `login` is true."""

    def make(server: MailServer, *, tls: str = "none", login: bool = False, to: tuple[str, ...] = ("ana@example.org",),
             **more: object) -> MailConfig:  # fmt: skip
        if login:
            monkeypatch.setenv("QUERYFIT_TEST_PASSWORD", PASSWORD)
        return MailConfig(
            host="localhost" if tls != "none" else "127.0.0.1", port=server.port, tls=tls,  # type: ignore[arg-type]
            sender="Qüeryfit, weekly <queryfit@example.org>", to=to,
            user=USER if login else None,
            password=SecretPlace("env", "QUERYFIT_TEST_PASSWORD") if login else None,
            cafile=certificates.cafile, **more,  # type: ignore[arg-type]
        )  # fmt: skip

    return make


@pytest.fixture
def pauses() -> list[float]:
    """The pauses that `patience` has made, in seconds."""
    return []


@pytest.fixture
def patience(pauses: list[float]) -> Patience:
    """Four attempts whose pauses take no time."""
    return Patience(sleep=pauses.append, chance=lambda: 0.0, timeout_s=10)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"
