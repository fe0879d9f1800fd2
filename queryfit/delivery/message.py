"""A report as an e-mail that clients show: plain text, HTML with its pictures inside, attachments.

Subjects and names are encoded here, not by `email`: Python decodes an encoded word that stands in a value and writes
what was in it as it is, so that `=?utf-8?q?=0d=0aBcc:…?=` in the name of a table would begin a header of its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime, quote
from typing import Self

from queryfit.errors import QueryfitError
from queryfit.render.escape import printable, shortened

_LONGEST_SUBJECT = 200  # characters; clients show fewer
_LONGEST_NAME = 120
_LINE = 76  # characters of an encoded header line, RFC 2047
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,120}")  # fit for a file name and a Content-ID
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # ends a line, or cannot be encoded
# a comment or a quoted local part would be read differently by different servers
_LOCAL = re.compile(r"[^\s()<>,;:\"\[\]\\@.]+(\.[^\s()<>,;:\"\[\]\\@.]+)*")
_HOST = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_LONGEST_ADDRESS = 253  # with its @: RFC 5321's path, less its angle brackets
_ADDRESS = re.compile(r"\s*(?:(?P<name>[^<>]*?)\s*<\s*(?P<inside>[^<>\s]+)\s*>|(?P<bare>[^<>\s]+))\s*")
# with everything in ASCII a message passes any server, and no server changes it on the way
_POLICY = SMTP.clone(cte_type="7bit")


@dataclass(frozen=True, slots=True)
class Image:
    """A picture within the HTML, which shows it as `<img src="cid:…">`; `alt` is what it says to who cannot see it."""

    cid: str
    png: bytes
    alt: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file beside the letter; `type` is its media type, such as text/html, which then is UTF-8."""

    name: str
    content: bytes
    type: str = "text/html"


@dataclass(frozen=True, slots=True)
class Letter:
    """A report as it is delivered.

    `text` and `html` say the same; `brief` are the few lines that a chat shows, by default the first of the text.
    """

    subject: str
    text: str
    html: str
    images: Sequence[Image] = ()
    attachments: Sequence[Attachment] = ()
    brief: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Period:
    """What a report is about: a server, the scope of its captures, and a time; naive ones are UTC, as in evidence."""

    system_identifier: str
    scope: str
    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        for name in ("since", "until"):
            if (time := getattr(self, name)).tzinfo is None:
                object.__setattr__(self, name, time.replace(tzinfo=UTC))

    @property
    def seconds(self) -> float:
        return (self.until - self.since).total_seconds()


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody with an address that is fit for a header: `name` may be empty."""

    name: str
    address: str

    @property
    def is_ascii(self) -> bool:
        """Whether every server can carry the address; a name can be encoded, an address cannot."""
        return self.address.isascii()


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who writes to whom."""

    sender: Party
    to: tuple[Party, ...]
    cc: tuple[Party, ...] = ()
    reply_to: Party | None = None

    @property
    def recipients(self) -> tuple[str, ...]:
        """Addresses, each once, in the order given."""
        return tuple(dict.fromkeys(party.address for party in (*self.to, *self.cc)))


def party(text: str) -> Party:
    """`ana@example.org` or `Ana García <ana@example.org>`.

    Raises QueryfitError for what is no address, and for what would end the header that it stands in.
    """
    if _BREAKS.search(text):
        raise QueryfitError(
            f"the address {text!r} holds a control character", hint="write it on one line: Name <name@example.org>"
        )
    found = _ADDRESS.fullmatch(text)
    address = (found["inside"] or found["bare"] or "") if found else ""
    name = ((found["name"] or "") if found else "").strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    local, _, domain = address.rpartition("@")
    try:
        domain = domain if domain.isascii() else domain.encode("idna").decode("ascii")
    except UnicodeError:
        domain = ""
    is_address = _LOCAL.fullmatch(local) and local.isprintable() and _HOST.fullmatch(domain)
    if not is_address or len(local) + len(domain) > _LONGEST_ADDRESS:
        raise QueryfitError(
            f"{text!r} is not an address of mail", hint="write name@example.org, or Name <name@example.org>"
        )
    return Party(shortened(printable(name), _LONGEST_NAME), f"{local}@{domain}")


def subject_line(text: str) -> str:
    """A subject fit for a header. Raises QueryfitError where it would end the header."""
    if _BREAKS.search(text):
        raise QueryfitError(f"the subject {text[:80]!r} holds a control character", hint="this is a fault of queryfit")
    return shortened(printable(" ".join(text.split())), _LONGEST_SUBJECT)


def letter_id(period: Period, recipients: Sequence[str]) -> str:
    """The same for the same report to the same people, so that who gets one twice can tell."""
    times = [f"{time.astimezone(UTC):%Y%m%dT%H%M%SZ}" for time in (period.since, period.until)]
    parts = [period.system_identifier, period.scope, *times, *sorted(set(recipients))]
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def build_message(letter: Letter, envelope: Envelope, period: Period, *, now: datetime) -> EmailMessage:
    """The letter as a message whose bytes depend on nothing but the arguments.

    multipart/alternative of text and HTML; the HTML with its pictures is multipart/related; with attachments all of it
    is in a multipart/mixed. Raises QueryfitError for addresses, subjects and names that no header can hold.
    """
    domain = envelope.sender.address.rpartition("@")[2]
    identity = letter_id(period, envelope.recipients)
    parties = (envelope.sender, *envelope.to, *envelope.cc, *([envelope.reply_to] if envelope.reply_to else []))
    message = EmailMessage(policy=_POLICY.clone(utf8=not all(one.is_ascii for one in parties)))
    message["Date"] = format_datetime(now.astimezone(UTC))
    message["Message-ID"] = f"<queryfit.{identity}@{domain}>"
    message["Subject"] = _Encoded("Subject", _unstructured(subject_line(letter.subject)))
    message["From"] = _Encoded("From", _mailboxes([envelope.sender]))
    message["To"] = _Encoded("To", _mailboxes(envelope.to))
    if envelope.cc:
        message["Cc"] = _Encoded("Cc", _mailboxes(envelope.cc))
    if envelope.reply_to is not None:
        message["Reply-To"] = _Encoded("Reply-To", _mailboxes([envelope.reply_to]))
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_encodable(letter.text))
    message.add_alternative(_encodable(letter.html), subtype="html")
    page = message.get_payload()[1]  # type: ignore[index]
    assert isinstance(page, EmailMessage)
    for image in letter.images:
        name = _plain(image.cid)
        page.add_related(
            image.png, "image", "png", cid=f"<{name}>", disposition="inline", filename=f"{name.partition('@')[0]}.png"
        )
    for attachment in letter.attachments:
        main, _, sub = attachment.type.partition("/")
        charset = {"charset": "utf-8"} if main == "text" else None
        name = _plain(attachment.name)
        message.add_attachment(attachment.content, _plain(main), _plain(sub), filename=name, params=charset)
    _bound(message, hashlib.sha256(repr((letter, identity)).encode("utf-8", "backslashreplace")).hexdigest())
    return message


def as_text(message: EmailMessage) -> str:
    """The message as the text of an .eml file: ASCII, but for addresses that are not, with line feeds."""
    policy = message.policy
    assert isinstance(policy, EmailPolicy)
    return message.as_bytes(policy=policy.clone(linesep="\n")).decode("utf-8")


class _Encoded(str):
    """A header that is written as it is: its words are encoded already."""

    __slots__ = ("name",)
    name: str

    def __new__(cls, name: str, value: str) -> Self:
        assert not _BREAKS.search(value.replace("\n ", ""))
        made = super().__new__(cls, value)
        made.name = name
        return made

    def fold(self, *, policy: EmailPolicy) -> str:
        return f"{self.name}: {self.replace(chr(10), policy.linesep)}{policy.linesep}"


def _unstructured(text: str) -> str:
    return _words(text, len("Subject: "))


def _words(text: str, before: int) -> str:
    """Text as it is where it is plain ASCII, else as encoded words on as many lines as needed."""
    if text.isascii() and "=?" not in text:
        return text
    return Header(text, "utf-8", maxlinelen=_LINE, header_name="x" * max(before - 2, 0)).encode(linesep="\n")


def _mailboxes(parties: Sequence[Party]) -> str:
    return ",\n ".join(_mailbox(one) for one in parties)


def _mailbox(one: Party) -> str:
    if not one.name:
        return one.address
    if one.name.isascii() and "=?" not in one.name:
        return f'"{quote(one.name)}" <{one.address}>'
    return f"{_words(one.name, len('Reply-To: '))}\n <{one.address}>"


def _plain(name: str) -> str:
    if not _PLAIN.fullmatch(name):
        raise QueryfitError(f"{name[:80]!r} cannot name a part of a mail", hint="use letters, digits, '.', '-' and '_'")
    return name


def _encodable(text: str) -> str:
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def _bound(message: EmailMessage, seed: str) -> None:
    """Boundaries made of the content itself: the same for the same letter, and no content can hold its own."""
    for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
        part.set_boundary(f"={'_'}queryfit-{number}-{seed[:40]}")
