"""A report for a chat or another program: a few lines as JSON to a URL that is a secret."""

from __future__ import annotations

import email.utils
import json
import re
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, build_opener

from queryfit import __version__
from queryfit.config_delivery import WebhookConfig, is_loopback
from queryfit.delivery.message import Letter, Period, letter_id
from queryfit.delivery.retry import NotSentError, UnclearError
from queryfit.delivery.secret import Secret, hidden
from queryfit.errors import QueryfitError
from queryfit.render.escape import line, printable

# Slack's limits, with some room: it does not say what it counts
_HEADER = 140
_SECTION = 2900
_SECTIONS = 40
_NOTICE = 3900
_LONGEST_ANSWER = 2000  # bytes of an answer that are read
_TOO_MANY = 429
_TOO_LATE = (408, 425)
_SERVER_ERRORS = range(500, 600)
_GATEWAY_TIMEOUT = 504  # the one behind may have taken it
_REDIRECTS = range(300, 400)
_URL = re.compile(r"[!-~]+")


def payload(letter: Letter, period: Period, webhook: WebhookConfig) -> str:
    """What is posted, as JSON text in the form that the webhook takes."""
    brief = list(letter.brief) or _beginning(letter.text)
    made = _slack(letter, brief) if webhook.kind == "slack" else _plain(letter, brief, period, webhook)
    return json.dumps(made, ensure_ascii=True)


def _slack(letter: Letter, brief: Sequence[str]) -> Mapping[str, Any]:
    """Blocks of plain text only: a name from a server must not become a link, a mention or a format."""
    sections = [_escaped(paragraph, _SECTION) for paragraph in brief if paragraph.strip()][:_SECTIONS]
    head = {"type": "header", "text": _text_object(_escaped(line(letter.subject), _HEADER))}
    blocks = [head, *({"type": "section", "text": _text_object(section)} for section in sections)]
    notice = _escaped("\n".join([line(letter.subject), *brief]), _NOTICE)
    return {"text": notice, "mrkdwn": False, "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def _text_object(text: str) -> Mapping[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _plain(letter: Letter, brief: Sequence[str], period: Period, webhook: WebhookConfig) -> Mapping[str, Any]:
    return {
        "id": letter_id(period, [webhook.name]),
        "subject": line(letter.subject),
        "brief": [printable(paragraph, keep="\n") for paragraph in brief],
        "text": printable(letter.text, keep="\n"),
        "system_identifier": period.system_identifier,
        "scope": period.scope,
        "since": period.since.astimezone(UTC).isoformat(timespec="seconds"),
        "until": period.until.astimezone(UTC).isoformat(timespec="seconds"),
    }


def _beginning(text: str) -> list[str]:
    return [paragraph.strip() for paragraph in text.split("\n\n") if paragraph.strip()][:3]


def _escaped(text: str, most: int) -> str:
    """Text with Slack's three characters escaped, in at most that many characters; no escape is cut in two."""
    parts: list[str] = []
    length = 0
    for character in printable(text.strip(), keep="\n"):
        part = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(character, character)
        length += len(part)
        if length > most - 1:
            return "".join([*parts, "…"])
        parts.append(part)
    return "".join(parts)


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would send the report where nobody has asked for, or turn it into a GET."""

    def redirect_request(self, *_: object) -> None:
        return None


def post(content: str, webhook: WebhookConfig, url: Secret, *, identity: str, timeout_s: float) -> None:
    """Post JSON text once.

    Raises NotSentError where it has certainly not been taken, UnclearError where no answer came, QueryfitError for an
    URL that will not be used.
    """
    _check_url(url.reveal(), webhook)
    request = Request(  # noqa: S310 -- the scheme is checked above
        url.reveal(),
        data=content.encode("utf-8"),
        headers={
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": f"queryfit/{__version__}",
            "Idempotency-Key": identity,
        },
        method="POST",
    )
    try:
        with _opener(webhook, url).open(request, timeout=timeout_s) as answer:
            answer.read(_LONGEST_ANSWER)
    except HTTPError as error:
        with error:
            raise _refusal(error, webhook, url) from None
    except URLError as error:  # before the request was out
        is_untrusted = isinstance(error.reason, ssl.SSLCertVerificationError)
        raise NotSentError(hidden(f"no connection: {_reason(error.reason)}", [url]), is_lasting=is_untrusted) from None
    except (OSError, HTTPException) as error:
        raise UnclearError(hidden(f"it did not answer after all was sent: {_reason(error)}", [url])) from None


def _opener(webhook: WebhookConfig, url: Secret) -> OpenerDirector:
    try:
        context = ssl.create_default_context(cafile=str(webhook.cafile) if webhook.cafile else None)
    except (OSError, ssl.SSLError) as error:
        raise QueryfitError(
            f"the certificates in {webhook.cafile} cannot be read: {error.strerror or error}",
            hint="cafile in [webhook] names a PEM file of the authorities to trust",
        ) from None
    is_here = is_loopback(urlsplit(url.reveal()).hostname or "")
    around = [ProxyHandler({})] if is_here else []  # a proxy would take what is not to leave the machine
    return build_opener(*around, _NoRedirect, HTTPSHandler(context=context))


def _check_url(url: str, webhook: WebhookConfig) -> None:
    """Refuse what is no URL to post to; it is a secret, so no message repeats it."""
    try:
        parts = urlsplit(url)
        host, is_whole = parts.hostname or "", bool(_URL.fullmatch(url)) and parts.port != 0
    except ValueError:
        host, is_whole = "", False
    if not is_whole or not host or parts.scheme not in {"https", "http"} or "@" in parts.netloc:
        raise QueryfitError(
            f"the URL of the webhook {webhook.name} is none that can be posted to", hint="it begins with https://"
        )
    if parts.scheme == "http" and not webhook.allows_http and not is_loopback(host):
        raise QueryfitError(
            f"the URL of the webhook {webhook.name} is not encrypted",
            hint="use https, or set allow-http = true in [webhook] where the network may read it",
        )


def _refusal(error: HTTPError, webhook: WebhookConfig, url: Secret) -> Exception:
    try:
        said = error.read(_LONGEST_ANSWER).decode("utf-8", "replace")
    except (OSError, HTTPException):
        said = ""
    if error.code in _REDIRECTS:
        return NotSentError(
            f"it answers {error.code} with another address, and redirects are not followed: change the URL of"
            f" {webhook.name}",
            is_lasting=True,
        )
    words = hidden(f"it answers {error.code} {said}", [url])
    if error.code == _GATEWAY_TIMEOUT:
        return UnclearError(words)
    is_passing = error.code == _TOO_MANY or error.code in _TOO_LATE or error.code in _SERVER_ERRORS
    return NotSentError(words, is_lasting=not is_passing, wait_s=_asked_wait(error.headers.get("Retry-After")))


def _asked_wait(value: str | None) -> float | None:
    """Seconds from a Retry-After, which is a number or a date; None where it is neither."""
    if not value:
        return None
    if re.fullmatch(r"\d{1,9}", value.strip()):
        return float(value)
    try:
        then = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max((then - datetime.now(UTC)).total_seconds(), 0.0)


def _reason(error: object) -> str:
    return (getattr(error, "strerror", None) or str(error)) or type(error).__name__
