"""The way of a report from a letter to the people: what was kept goes first, nobody gets one twice, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from queryfit.config_delivery import MailConfig, WebhookConfig
from queryfit.delivery.message import Envelope, Letter, Period, as_text, build_message, letter_id, party
from queryfit.delivery.outbox import MOST_RUNS, Channel, Entry, Outbox, Records, State, nearness_s
from queryfit.delivery.retry import NotSentError, Patience, UnclearError
from queryfit.delivery.secret import Secret, read_secret
from queryfit.delivery.smtp import Refusal, send_mail
from queryfit.delivery.webhook import payload, post
from queryfit.errors import QueryfitError
from queryfit.evidence.store import write_atomically

_MOST_KEPT = 20  # kept letters that one run tries
_AGAIN = "`queryfit report --send-kept` tries again, and so does the next report"
_STALE = "`queryfit history` shows when captures stopped; --resend sends the report again"
_RESEND = "ask whether it came; --resend sends it again"

# hands a letter over to recipients; calls the last argument with those that will have it, right before it is theirs
_Carrier = Callable[[str, Entry, Sequence[str], Callable[[Sequence[str]], None]], Mapping[str, Refusal]]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What has been sent to whom, and what is to be said besides."""

    sent: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Account:
    """What a run has done so far; `problems` are messages with their hints."""

    sent: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)

    @contextmanager
    def goes_on(self) -> Iterator[None]:
        """One way that fails does not keep the others from being tried."""
        try:
            yield
        except QueryfitError as error:
            self.problems.append((error.message, error.hint or ""))

    def settled(self) -> Delivered:
        """The account, or a QueryfitError where something could not be done."""
        if not self.problems:
            return Delivered(tuple(self.sent), tuple(self.notes))
        sent = [f"sent to {', '.join(dict.fromkeys(self.sent))}"] if self.sent else []
        hints = list(dict.fromkeys(hint for _, hint in self.problems if hint))
        raise QueryfitError(
            "; ".join([*sent, *(message for message, _ in self.problems)]), hint="; ".join(hints) or None
        )


@dataclass(frozen=True, slots=True)
class _Way:
    """How letters go: the same for those that were kept and for the new one."""

    carrier: _Carrier
    patience: Patience
    progress: Callable[[str], None]
    account: _Account
    now: datetime


def deliver(
    letter: Letter,
    period: Period,
    *,
    mail: MailConfig | None,
    webhooks: Sequence[WebhookConfig],
    store: Path,
    dry_run: Path | None = None,
    resend: bool = False,
    progress: Callable[[str], None] = lambda _: None,
    patience: Patience | None = None,
    now: datetime | None = None,
) -> Delivered:
    """Send a report by mail, where `mail` is given, and to webhooks; each recipient gets it at most once for a period.

    With `dry_run` the mail (as .eml), or what is posted (as JSON), is written to that file, nothing is sent, and no
    secret is read. `resend` sends it again to those who have it, or may have it. What cannot be sent is kept in the
    store's outbox; what was kept before is sent first.

    Raises QueryfitError for what could not be sent, after everything has been tried, with all that has been done.
    """
    if dry_run is not None:
        return _written(letter, period, mail, webhooks, file=dry_run, now=now or datetime.now(UTC))
    outbox, account = Outbox(store), _Account()
    patience, moment = patience or Patience(), now or datetime.now(UTC)
    if mail is not None:
        with account.goes_on():
            envelope = envelope_of(mail)
            channel = Channel("mail", "mail", period.system_identifier, period.scope)
            new = _new(period, letter, envelope.sender.address, envelope.recipients)
            way = _Way(_mailman(mail, patience), patience, progress, account, moment)
            make_mail = partial(_mail_text, letter, envelope, moment)
            make_mail(period)  # what cannot be written is said before anything is kept
            _through(outbox, channel, way, (new, make_mail), resend=resend)
    for webhook in webhooks:
        with account.goes_on():
            channel = Channel("webhook", webhook.name, period.system_identifier, period.scope)
            new = _new(period, letter, "", (webhook.name,))
            way = _Way(_messenger(webhook, channel, patience), patience, progress, account, moment)
            _through(outbox, channel, way, (new, partial(payload, letter, webhook=webhook)), resend=resend)
    return account.settled()


def send_kept(
    *,
    mail: MailConfig | None,
    webhooks: Sequence[WebhookConfig],
    store: Path,
    resend: bool = False,
    progress: Callable[[str], None] = lambda _: None,
    patience: Patience | None = None,
) -> Delivered:
    """Send what earlier runs could not; with `resend` also what may have been sent.

    Raises QueryfitError for what could not be sent, after everything has been tried.
    """
    outbox, account = Outbox(store), _Account()
    patience = patience or Patience()
    by_name = {webhook.name: webhook for webhook in webhooks}
    for channel in outbox.channels():
        if channel.kind == "mail" and mail is not None:
            carrier = _mailman(mail, patience)
        elif channel.kind == "webhook" and channel.name in by_name:
            carrier = _messenger(by_name[channel.name], channel, patience)
        else:
            continue
        with account.goes_on(), outbox.open(channel, waits=progress) as records:
            _flush(
                records, _Way(carrier, patience, progress, account, datetime.now(UTC)), None, asked=True, resend=resend
            )
    if not account.sent and not account.problems:
        account.notes.append("nothing was kept that could be sent")
    return account.settled()


def envelope_of(mail: MailConfig) -> Envelope:
    """Who writes to whom. Raises QueryfitError for what is no address, or where nobody is named."""
    envelope = Envelope(
        sender=party(mail.sender),
        to=tuple(party(text) for text in mail.to),
        cc=tuple(party(text) for text in mail.cc),
        reply_to=party(mail.reply_to) if mail.reply_to else None,
    )
    if not envelope.to:
        raise QueryfitError(
            "a mail needs somebody to go to", hint='add to = ["ana@example.org"] to [mail], or give --to'
        )
    return envelope


def _written(
    letter: Letter,
    period: Period,
    mail: MailConfig | None,
    webhooks: Sequence[WebhookConfig],
    *,
    file: Path,
    now: datetime,
) -> Delivered:
    if mail is not None:
        text = as_text(build_message(letter, envelope_of(mail), period, now=now))
        notes = [f"nothing is sent: the mail is in {file}"]
        notes += ["webhooks are left out: --dry-run writes one file"] if webhooks else []
    else:
        made = [payload(letter, period, webhook) for webhook in webhooks]
        text = (made[0] if len(made) == 1 else f"[{', '.join(made)}]") + "\n"
        notes = [f"nothing is sent: what would be posted is in {file}"]
    try:
        write_atomically(file, text)
    except OSError as error:
        raise QueryfitError(
            f"cannot write {file}: {error.strerror or error}", hint="name another file with --dry-run"
        ) from None
    return Delivered((), tuple(notes))


def _mail_text(letter: Letter, envelope: Envelope, now: datetime, period: Period) -> str:
    return as_text(build_message(letter, envelope, period, now=now))


def _new(period: Period, letter: Letter, sender: str, recipients: Sequence[str]) -> Entry:
    return Entry(
        since=period.since.astimezone(UTC),
        until=period.until.astimezone(UTC),
        subject=letter.subject,
        sender=sender,
        states=dict.fromkeys(recipients, "kept"),
        changed_at=datetime.now(UTC),
    )


def _mailman(mail: MailConfig, patience: Patience) -> _Carrier:
    known: list[Secret] = []

    def carry(
        content: str, entry: Entry, recipients: Sequence[str], before_end: Callable[[Sequence[str]], None]
    ) -> Mapping[str, Refusal]:
        if mail.password is not None and not known:  # when it is needed: a second start needs none
            known.append(read_secret(mail.password, "the password of [mail]"))
        return send_mail(
            content.encode("utf-8"), entry.sender, recipients, mail, known[0] if known else None,
            timeout_s=patience.timeout_s, before_end=before_end,
        )  # fmt: skip

    return carry


def _messenger(webhook: WebhookConfig, channel: Channel, patience: Patience) -> _Carrier:
    def carry(
        content: str, entry: Entry, recipients: Sequence[str], before_end: Callable[[Sequence[str]], None]
    ) -> Mapping[str, Refusal]:
        url = read_secret(webhook.url, f"the URL of the webhook {webhook.name}")
        period = Period(channel.system_identifier, channel.scope, entry.since, entry.until)
        before_end(recipients)
        post(content, webhook, url, identity=letter_id(period, recipients), timeout_s=patience.timeout_s)
        return {}

    return carry


def _through(
    outbox: Outbox, channel: Channel, way: _Way, new: tuple[Entry, Callable[[Period], str]], *, resend: bool
) -> None:
    """Send a new letter through its channel, after what was kept there."""
    entry, make = new
    with outbox.open(channel, waits=way.progress) as records:
        period = Period(channel.system_identifier, channel.scope, entry.since, entry.until)
        known = records.find(period)
        _flush(records, way, known, asked=False, resend=False)
        asked = list(entry.states)
        if known is not None:
            # an earlier start has the last word on the times: they are what the record goes by
            again = [who for who in asked if resend or known.states.get(who, "refused") == "refused"]
            entry = replace(known.with_states("kept", again), subject=entry.subject, sender=entry.sender)
        have = [who for who in asked if entry.states[who] == "sent"]
        if have and known is not None and (way.now - known.changed_at).total_seconds() > nearness_s(known.seconds):
            # no second start, but the next one: a scheduler that says nothing would hide that captures have stopped
            way.account.problems.append((_stale_words(known, have), _STALE))
        elif have and known is not None:
            way.account.notes.append(
                f"the report until {known.until:%Y-%m-%d %H:%M} UTC has been sent to {', '.join(have)} already, at"
                f" {known.changed_at:%Y-%m-%d %H:%M} UTC; --resend sends it again"
            )
        wanted = [who for who in asked if entry.states[who] == "kept"]
        if wanted:
            # the times of the record, not of this start: who gets it again can tell by its identity
            content = make(Period(channel.system_identifier, channel.scope, entry.since, entry.until))
            entry = records.put(records.keep_letter(entry, content))
            entry = _send(records, entry, content, wanted, way)
        _tell(records, entry, asked, way.account)


def _flush(records: Records, way: _Way, but: Entry | None, *, asked: bool, resend: bool) -> None:
    """Send what earlier runs kept, oldest first, and say what they may have sent."""
    account = way.account
    once = replace(way, patience=replace(way.patience, attempts=1))
    for entry in [entry for entry in records.entries if entry != but and not entry.is_done][-_MOST_KEPT:]:
        if left := entry.of_state("sending"):
            entry = records.put(entry.with_states("unclear", left, "the run ended while it was being sent"))  # noqa: PLW2901
            if not resend:
                account.problems.append((_unclear_words(entry, left), _RESEND))
        wanted = entry.of_state("kept", "unclear") if resend else entry.of_state("kept")
        if not wanted:
            continue
        if entry.runs >= MOST_RUNS and not asked:
            account.notes.append(
                f"the report until {entry.until:%Y-%m-%d} could not be sent in {entry.runs} runs and is not tried any"
                " more; --send-kept does"
            )
            continue
        content = records.letter(entry)
        if content is None:
            records.put(entry.with_states("refused", wanted, "its file is gone from the outbox"))
            account.problems.append(
                (f"the kept report {entry.subject!r} is gone from the outbox", "look at the backup")
            )
            continue
        way.progress(f"sending the report until {entry.until:%Y-%m-%d} that was kept")
        entry = _send(records, entry.with_states("kept", wanted), content, wanted, once)  # noqa: PLW2901
        if have := [who for who in wanted if entry.states[who] == "sent"]:
            account.notes.append(f"the report until {entry.until:%Y-%m-%d} that was kept is sent to {', '.join(have)}")
        _tell(records, entry, wanted, way.account)
        if entry.of_state("kept"):
            return  # the others would fare the same


def _send(records: Records, entry: Entry, content: str, wanted: Sequence[str], way: _Way) -> Entry:
    """Try until all of them have it, patience ends, or what is known forbids another try."""
    attempt = 0
    goes_on, wait_s = True, None
    while goes_on and (pending := [who for who in wanted if entry.states[who] == "kept"]):
        attempt += 1
        entry, goes_on, wait_s = _attempt(records, entry, content, pending, way)
        if goes_on and entry.of_state("kept"):
            reasons = "; ".join(sorted(set(entry.reasons.values())))
            way.progress(f"attempt {attempt} of {way.patience.attempts}: {reasons}")
            goes_on = way.patience.wait(attempt, wait_s)
    entry = replace(entry, runs=entry.runs + 1) if entry.of_state("kept") else entry
    if entry.is_done:
        records.drop_letter(entry)
        entry = replace(entry, letter="")
    return records.put(entry)


def _attempt(
    records: Records, entry: Entry, content: str, pending: Sequence[str], way: _Way
) -> tuple[Entry, bool, float | None]:
    """One try: the entry after it, whether another one may help, and the seconds that the other side asks for."""
    marked: list[Entry] = []
    try:
        refused = way.carrier(
            content, entry, pending, lambda taken: marked.append(records.put(entry.with_states("sending", taken)))
        )
    except NotSentError as error:
        return records.put(entry.with_states("kept", pending, error.reason)), not error.is_lasting, error.wait_s
    except UnclearError as error:
        last = marked[-1]
        return records.put(last.with_states("sending", last.of_state("sending"), error.reason)), False, None
    except QueryfitError as error:
        reason = error.message + (f" ({error.hint})" if error.hint else "")
        return records.put(entry.with_states("kept", pending, reason)), False, None
    way.account.sent += [who for who in pending if who not in refused]
    return _taken(records, entry, pending, refused), True, None


def _taken(records: Records, entry: Entry, pending: Sequence[str], refused: Mapping[str, Refusal]) -> Entry:
    entry = entry.with_states("sent", [who for who in pending if who not in refused])
    for who, refusal in refused.items():
        entry = entry.with_states("refused" if refusal.is_lasting else "kept", [who], refusal.reason)
    try:
        return records.put(entry)
    except QueryfitError as error:
        raise QueryfitError(
            f"the report is sent, and this could not be written down: {error.message.partition(': ')[2]}",
            hint="it will be said that it may have been sent",
        ) from None


def _tell(records: Records, entry: Entry, asked: Sequence[str], account: _Account) -> None:
    """Say what is left undone, each reason once, with the names that it holds for."""
    reasons: dict[tuple[State, str], list[str]] = {}
    for who in asked:
        state = entry.states[who]
        if state in {"kept", "refused"}:
            reasons.setdefault((state, entry.reasons.get(who, "")), []).append(who)
    for (state, reason), names in reasons.items():
        if state == "refused":
            account.problems.append((f"{', '.join(names)} refused: {reason}", "correct the address in [mail]"))
        else:
            where = f"; it is kept in {records.letter_path(entry)}"
            account.problems.append((f"the report could not be sent to {', '.join(names)}: {reason}{where}", _AGAIN))
    if left := [who for who in asked if entry.states[who] in {"sending", "unclear"}]:
        account.problems.append((_unclear_words(entry, left), _RESEND))


def _stale_words(entry: Entry, names: Sequence[str]) -> str:
    return (
        f"there is nothing new to report: the newest capture is of {entry.until:%Y-%m-%d %H:%M} UTC, and the report"
        f" until then was sent to {', '.join(names)} at {entry.changed_at:%Y-%m-%d %H:%M} UTC"
    )


def _unclear_words(entry: Entry, names: Sequence[str]) -> str:
    reason = next((entry.reasons[who] for who in names if who in entry.reasons), "a run ended while it was being sent")
    return (
        f"the report until {entry.until:%Y-%m-%d %H:%M} UTC may have been sent to {', '.join(names)}"
        f" at {entry.changed_at:%Y-%m-%d %H:%M} UTC: {reason}"
    )
