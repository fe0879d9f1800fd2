"""A message to an SMTP server: TLS that is checked, login, each recipient on its own account.

The dialogue is led step by step, since what matters is one moment of it: before the end of the data is sent the server
has certainly not taken the mail, after that only its answer says so.
"""

from __future__ import annotations

import base64
import smtplib
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

from queryfit.config_delivery import MailConfig
from queryfit.delivery.retry import NotSentError, UnclearError
from queryfit.delivery.secret import Secret, hidden
from queryfit.errors import QueryfitError

_TEMPORARY = range(400, 500)
_OK = 250
_RECIPIENT_OK = (250, 251)
_GO_ON = 354
_LOGGED_IN = (235, 503)
_NO_LOGIN = 530  # what a server says that wants one
_END = b".\r\n"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the server said of one recipient."""

    reason: str
    is_lasting: bool


def send_mail(
    message: bytes,
    sender: str,
    recipients: Sequence[str],
    mail: MailConfig,
    password: Secret | None,
    *,
    timeout_s: float,
    before_end: Callable[[Sequence[str]], None],
) -> Mapping[str, Refusal]:
    """Hand one message over, and give the recipients that the server refused; it has taken it for all others.

    `before_end` is called with those others right before the end of the data is sent.
    Raises NotSentError where the server has not taken it at all, UnclearError where it did not answer after the end,
    QueryfitError for what no server could help with.
    """
    secrets = [password] if password else []
    # the context is made first: a file of certificates that cannot be read is no fault of the server's
    context = _context(mail)
    try:
        with closing(_connected(mail, context, timeout_s)) as server:
            _begin(server, mail, context, password)
            taken, refused = _offer(server, sender, recipients, secrets)
            if taken:
                _hand_over(server, message, secrets, lambda: before_end(taken))
                with suppress(OSError, smtplib.SMTPException):
                    server.quit()
            return refused
    except smtplib.SMTPResponseException as error:
        raise _not_sent(error.smtp_code, error.smtp_error, secrets) from None
    except ssl.SSLCertVerificationError as error:
        raise NotSentError(
            f"the certificate of {mail.host} is not trusted: {hidden(error.verify_message, secrets)}", is_lasting=True
        ) from None
    except (OSError, smtplib.SMTPException) as error:
        raise NotSentError(f"{mail.host}:{mail.port}: {hidden(_words(error), secrets)}", is_lasting=False) from None


def _context(mail: MailConfig) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(mail.cafile) if mail.cafile else None)
    except (OSError, ssl.SSLError) as error:
        raise QueryfitError(
            f"the certificates in {mail.cafile} cannot be read: {error.strerror or error}",
            hint="cafile in [mail] names a PEM file of the authorities to trust",
        ) from None


def _connected(mail: MailConfig, context: ssl.SSLContext, timeout_s: float) -> smtplib.SMTP:
    if mail.tls == "tls":
        return smtplib.SMTP_SSL(mail.host, mail.port, timeout=timeout_s, context=context)
    return smtplib.SMTP(mail.host, mail.port, timeout=timeout_s)


def _begin(server: smtplib.SMTP, mail: MailConfig, context: ssl.SSLContext, password: Secret | None) -> None:
    server.ehlo_or_helo_if_needed()
    if mail.tls == "starttls":
        if not server.has_extn("starttls"):
            raise NotSentError(f"{mail.host}:{mail.port} does not offer STARTTLS", is_lasting=True)
        server.starttls(context=context)
        server.ehlo()
    if password is not None and mail.user is not None:
        _log_in(server, mail.user, password)


def _log_in(server: smtplib.SMTP, user: str, password: Secret) -> None:
    offered = server.esmtp_features.get("auth", "").upper().split()
    secrets = [password]
    try:
        if "PLAIN" in offered and not (user + password.reveal()).isascii():
            # smtplib's own login knows ASCII only; RFC 4616 says UTF-8
            both = base64.b64encode(f"\0{user}\0{password.reveal()}".encode()).decode()
            code, answer = server.docmd("AUTH", f"PLAIN {both}")
            if code not in _LOGGED_IN:
                raise smtplib.SMTPAuthenticationError(code, answer)  # noqa: TRY301 -- as smtplib's own login does
        else:
            server.login(user, password.reveal())
    except smtplib.SMTPAuthenticationError as error:
        said = hidden(_text(error.smtp_error), secrets)
        raise NotSentError(
            f"the server refuses the login of {user}: {error.smtp_code} {said}",
            is_lasting=error.smtp_code not in _TEMPORARY,
        ) from None
    except smtplib.SMTPNotSupportedError:
        raise NotSentError("the server offers no login", is_lasting=True) from None
    except UnicodeEncodeError:
        raise NotSentError("the server takes no password with letters beyond ASCII", is_lasting=True) from None
    except smtplib.SMTPException as error:
        if type(error) is smtplib.SMTPException:  # "No suitable authentication method found."
            raise NotSentError("the server offers no login that queryfit knows", is_lasting=True) from None
        raise


def _offer(
    server: smtplib.SMTP, sender: str, recipients: Sequence[str], secrets: Sequence[Secret]
) -> tuple[list[str], dict[str, Refusal]]:
    options = []
    if not all(address.isascii() for address in (sender, *recipients)):
        if not server.has_extn("smtputf8"):
            raise NotSentError("the server takes no addresses with letters beyond ASCII (SMTPUTF8)", is_lasting=True)
        server.command_encoding = "utf-8"
        options.append("SMTPUTF8")
    code, answer = server.mail(sender, options)
    if code != _OK:
        raise _not_sent(code, answer, secrets)
    taken: list[str] = []
    refused: dict[str, Refusal] = {}
    for address in recipients:
        code, answer = server.rcpt(address)
        if code in _RECIPIENT_OK:
            taken.append(address)
        else:
            refused[address] = Refusal(f"{code} {hidden(_text(answer), secrets)}", code not in _TEMPORARY)
    return taken, refused


def _hand_over(server: smtplib.SMTP, message: bytes, secrets: Sequence[Secret], before_end: Callable[[], None]) -> None:
    code, answer = server.docmd("DATA")
    if code != _GO_ON:
        raise _not_sent(code, answer, secrets)
    server.send(smtplib.quotedata(message.decode("utf-8")).encode("utf-8").removesuffix(b"\r\n") + b"\r\n")
    before_end()
    try:
        server.send(_END)
        code, answer = server.getreply()
    except (OSError, smtplib.SMTPException) as error:
        raise UnclearError(
            f"the server did not answer after the end of the mail: {hidden(_words(error), secrets)}"
        ) from None
    if code != _OK:
        raise _not_sent(code, answer, secrets)


def _not_sent(code: int, answer: bytes | str, secrets: Sequence[Secret]) -> NotSentError:
    login = "; it wants a login: user and password-env in [mail]" if code == _NO_LOGIN else ""
    return NotSentError(
        f"the server says {code} {hidden(_text(answer), secrets)}{login}", is_lasting=code not in _TEMPORARY
    )


def _text(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer


def _words(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)) or type(error).__name__
