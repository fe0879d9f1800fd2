"""A letter as a mail: what any client can parse, and nothing that a name or a subject could turn into a header."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_string, policy
from email.header import decode_header, make_header
from email.utils import getaddresses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queryfit.delivery.message import (
    Attachment,
    Envelope,
    Image,
    Letter,
    Party,
    Period,
    as_text,
    build_message,
    letter_id,
    party,
    subject_line,
)
from queryfit.errors import QueryfitError

NOW = datetime(2026, 11, 23, 7, 5, tzinfo=UTC)
PERIOD = Period("1", "all", datetime(2026, 11, 16, 7), datetime(2026, 11, 23, 7))  # noqa: DTZ001 -- as evidence has them
FROM = Party("queryfit", "queryfit@example.org")
HEADERS = {
    "Date", "Message-ID", "Subject", "From", "To", "Cc", "Reply-To", "Auto-Submitted", "MIME-Version", "Content-Type",
}  # fmt: skip


def sent(letter: Letter, envelope: Envelope) -> str:
    return as_text(build_message(letter, envelope, PERIOD, now=NOW))


def named(text: str, header: str) -> list[tuple[str, str]]:
    """Names and addresses of a header, as a client that knows nothing but RFC 2047 reads them."""
    value = message_from_string(text)[header]
    return [(str(make_header(decode_header(name))), address) for name, address in getaddresses([value])]


@settings(deadline=None)
@given(
    subject=st.text(st.characters(codec="utf-8"), max_size=120),
    name=st.text(st.characters(codec="utf-8", exclude_characters="<>"), max_size=60),
)
def test_any_subject_and_name_arrives_or_is_refused(subject: str, name: str) -> None:
    try:
        who = party(f"{name} <ana@example.org>")
        wanted = subject_line(subject)
    except QueryfitError:
        return
    text = sent(Letter(subject, "t", "<p>h</p>"), Envelope(FROM, (who, Party("", "b@example.org"))))
    back = message_from_string(text, policy=policy.default)
    assert set(back.keys()) <= HEADERS
    assert str(make_header(decode_header(message_from_string(text)["Subject"] or ""))) == wanted
    assert named(text, "To") == [(who.name, "ana@example.org"), ("", "b@example.org")]


@pytest.mark.parametrize(
    "hostile",
    ["=?utf-8?q?=0d=0aBcc:_e@example.org?=", "=?utf-8?b?DQpCY2M6IGV2ZUBleGFtcGxlLm9yZw==?=", "x =?us-ascii?q?=0Ay?= z"],
)
def test_an_encoded_word_in_a_name_of_a_table_stays_text(hostile: str) -> None:
    envelope = Envelope(replace(FROM, name=hostile), (Party(hostile, "a@b.org"),))
    text = sent(Letter(f"{hostile} grew", "t", "h"), envelope)
    back = message_from_string(text, policy=policy.default)
    assert back["Bcc"] is None
    assert back["Subject"] == f"{hostile} grew"
    assert named(text, "From") == [(hostile, "queryfit@example.org")]
    assert named(text, "To") == [(hostile, "a@b.org")]


@pytest.mark.parametrize("breaker", ["\r\nBcc: e@example.org", "\n", "\r", "\x00", "\x0b", "\x85", "\u2028", "\x1b[2J"])
def test_what_would_end_a_header_is_refused(breaker: str) -> None:
    with pytest.raises(QueryfitError, match="control character"):
        subject_line(f"fine{breaker}x")
    with pytest.raises(QueryfitError, match="control character"):
        party(f"Ana{breaker} <ana@example.org>")
    with pytest.raises(QueryfitError, match="control character"):
        party(f"ana@example.org{breaker}")


@pytest.mark.parametrize(
    "text",
    ["", "ana", "@example.org", "ana@", "a b@example.org", "ana@example.org, bob@example.org", "ana@exa mple.org",
     "<ana@example.org", '"a b"@example.org', "a@b@c.org", "ana@[127.0.0.1]", "ana@example..org", "Ana <>",
     "a(c)@b.org", "ana@-\udcff", "x" * 300 + "@example.org", "ana@" + "ü" * 80 + ".org"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(QueryfitError):
        party(text)


def test_addresses() -> None:
    assert party("ana@example.org") == Party("", "ana@example.org")
    assert party(' "García, Ana" <ana@example.org> ') == Party("García, Ana", "ana@example.org")
    assert party("Ana <a.b+c@bücher.example>") == Party("Ana", "a.b+c@xn--bcher-kva.example")
    assert not party("jürgen@example.org").is_ascii
    assert party("Eve \u202e <eve@example.org>").name == "Eve \\u202e"


def test_the_same_letter_has_the_same_bytes_and_another_period_another_identity() -> None:
    letter = Letter("s", "t", "<img src='cid:a'>", [Image("a", b"png", "x")])
    envelope = Envelope(FROM, (Party("", "b@example.org"), Party("", "a@example.org")))
    assert sent(letter, envelope) == sent(letter, envelope)
    identity = letter_id(PERIOD, ["a@example.org", "b@example.org"])
    assert f"<queryfit.{identity}@example.org>" in sent(letter, envelope)
    later = replace(PERIOD, until=PERIOD.until + timedelta(days=7))
    others = [
        letter_id(later, ["a@example.org", "b@example.org"]),
        letter_id(PERIOD, ["a@example.org"]),
        letter_id(replace(PERIOD, scope="shop"), ["a@example.org", "b@example.org"]),
        letter_id(replace(PERIOD, system_identifier="2"), ["a@example.org", "b@example.org"]),
    ]
    assert len({identity, *others}) == 5


def test_parts_are_as_clients_want_them() -> None:
    letter = Letter("s", "t", "h", [Image("a@queryfit", b"png", "x")], [Attachment("r.html", b"<p>")])
    message = build_message(letter, Envelope(FROM, (FROM,)), PERIOD, now=NOW)
    shape = [part.get_content_type() for part in message.walk()]
    assert shape == [
        "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png",
        "text/html",
    ]  # fmt: skip
    bare = build_message(Letter("s", "t", "h"), Envelope(FROM, (FROM,)), PERIOD, now=NOW)
    assert [part.get_content_type() for part in bare.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert bare["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize("name", ["../x", "a\nb", "", 'a"b', "a;b", "ä"])
def test_a_part_with_a_name_that_is_none_is_refused(name: str) -> None:
    for letter in (Letter("s", "t", "h", [Image(name, b"", "")]), Letter("s", "t", "h", (), [Attachment(name, b"")])):
        with pytest.raises(QueryfitError, match="cannot name a part"):
            build_message(letter, Envelope(FROM, (FROM,)), PERIOD, now=NOW)


def test_a_text_cannot_hold_the_boundary_of_its_own_mail() -> None:
    first = sent(Letter("s", "t", "h"), Envelope(FROM, (FROM,)))
    boundary = message_from_string(first).get_boundary()
    text = sent(Letter("s", f"t\n--{boundary}\nContent-Type: text/html\n\n<b>evil</b>\n", "h"), Envelope(FROM, (FROM,)))
    back = message_from_string(text, policy=policy.default)
    assert [part.get_content_type() for part in back.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert "evil" in back.get_payload()[0].get_content()  # type: ignore[index,union-attr]
