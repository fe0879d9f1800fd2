"""Real servers on loopback that take mail and webhooks, with certificates made for them."""

# ruff: noqa: ARG002 -- the methods are called by aiosmtpd, with all that it has

from __future__ import annotations

import asyncio
import contextlib
import http.server
import json
import os
import signal
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER = "reporter"
PASSWORD = "s3cret-Päss w0rd"
OK = "250 OK"


@dataclass
class Certificates:
    """An authority of our own, as a PEM file to trust, and a certificate of it for localhost."""

    cafile: Path
    server: ssl.SSLContext

    @classmethod
    def make(cls, folder: Path) -> Certificates:
        authority = trustme.CA()
        cafile = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(cafile))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        return cls(cafile, context)


@dataclass
class MailServer:
    """What arrives is in `mails`, each with the recipients of its envelope.

    `answers_to_data` and `answers_to_rcpt` are used up in turn, then all is well.
    """

    port: int = 0
    mails: list[tuple[list[str], bytes]] = field(default_factory=list)
    rcpt: dict[str, list[str]] = field(default_factory=dict)
    answers_to_data: list[str] = field(default_factory=list)
    mail_options: list[list[str]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    slow_s: float = 0.0
    kills: int | None = None  # a process to end once its mail has been taken, before it hears of it
    is_mute: bool = False  # takes the mail and never says so

    def parsed(self, number: int = -1) -> EmailMessage:
        message = message_from_bytes(self.mails[number][1], policy=policy.default)
        assert isinstance(message, EmailMessage)
        return message

    async def handle_RCPT(  # noqa: N802 -- aiosmtpd's names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        answers = self.rcpt.get(address)
        if answers:
            return answers.pop(0)
        envelope.rcpt_tos.append(address)
        return OK

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answers_to_data:
            return self.answers_to_data.pop(0)
        self.mails.append((list(envelope.rcpt_tos), cast("bytes", envelope.original_content)))
        self.mail_options.append(list(envelope.mail_options))
        if self.kills is not None:
            os.kill(self.kills, signal.SIGKILL)
        if self.is_mute:
            cast("asyncio.Transport", server.transport).abort()
        await asyncio.sleep(self.slow_s)
        return OK

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(f"{data.login.decode()} by {mechanism}")
        is_right = (data.login.decode(), data.password.decode()) == (USER, PASSWORD)
        return AuthResult(
            success=is_right, handled=is_right, message=None if is_right else f"535 no {data.password.decode()}"
        )


@contextlib.contextmanager
def mail_server(
    certificates: Certificates | None = None, *, tls: str = "starttls", login: bool = False
) -> Iterator[MailServer]:
    """A running server; without certificates it speaks plain text."""
    taken = MailServer()
    options: dict[str, Any] = {"enable_SMTPUTF8": True, "hostname": "localhost"}
    if login:
        options |= {"auth_required": True, "authenticator": taken.authenticate, "auth_require_tls": False}
    if certificates is not None and tls == "tls":
        options["ssl_context"] = certificates.server
    elif certificates is not None:
        options |= {"tls_context": certificates.server, "require_starttls": True}
    controller = _Controller(taken, port=0, **options)
    controller.start()
    try:
        taken.port = controller.port
        yield taken
    finally:
        controller.stop()


class _Controller(Controller):
    """One that takes any free port."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.base_events.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@dataclass
class Hook:
    """A web server: what was posted is in `posts`; `answers` (status, headers) are used up in turn."""

    url: str = ""
    posts: list[Any] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    answers: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    says: str = "ok"
    kills: int | None = None  # a process to end once its post has been taken, before it hears of it


@contextlib.contextmanager
def hook_server(certificates: Certificates | None = None) -> Iterator[Hook]:
    """A running web server, with TLS where there are certificates."""
    hook = Hook()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.paths.append(self.path)
            hook.headers.append(dict(self.headers.items()))
            status, headers = hook.answers.pop(0) if hook.answers else (200, {})
            if status == 200:
                hook.posts.append(json.loads(body))
            if hook.kills is not None:
                os.kill(hook.kills, signal.SIGKILL)
            if status == 0:  # takes it and never says so
                hook.posts.append(json.loads(body))
                self.connection.close()
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(hook.says.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificates is not None:
        server.socket = certificates.server.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    hook.url = f"{scheme}://127.0.0.1:{server.server_address[1]}/services/T0SECRET/B0SECRET"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
