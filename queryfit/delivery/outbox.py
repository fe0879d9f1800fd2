"""What was sent, what may have been, and what is still to be sent: one record a report, channel and recipient.

**At most once.** Between the moment in which a server has taken a letter and the moment in which that is written down,
a process can be killed, and no order of the two makes this go away. queryfit errs on the side of not sending twice:
right before the end of a letter is sent the record says `sending`, synced to the disk, and what is found as `sending`
later is not sent again but said ("may have been sent"). The reason: a report is a summary that is still there in the
store, a person can have it sent again in a minute (`--resend`), while people who get the same letter with each start
of a faulty scheduler cease to read it. Everything before that moment (no connection, a refusal, a busy server) is
certainly not sent, so the letter is `kept` and tried again.

Two reports are of the same period when they are as long and end at nearly the same time: at most a quarter of their
length, and two days, apart. The second start of a scheduler sees a capture that is some minutes newer, a calendar's
weeks would part Sunday night from Monday morning, and a start that is made up for would use up the next week's.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from queryfit.delivery.message import Period
from queryfit.errors import QueryfitError
from queryfit.evidence.store import write_atomically

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# unclear: was found as `sending`, and has been said
State = Literal["kept", "sending", "unclear", "sent", "refused"]
_NEAR = 0.25  # of the length of a period
_MOST_NEAR_S = 2 * 86_400  # a second start is not later than that, whatever the period
_FORMAT = 1
_MOST_RECORDS = 200  # of a channel and server: years of weekly reports
_LONGEST_WAIT_S = 600.0
_LOOK_EVERY_S = 0.25
MOST_RUNS = 10  # after as many runs a kept letter is tried only when asked
FOLDER = ".outbox"


@dataclass(frozen=True, slots=True)
class Channel:
    """One way of one server's reports: mail, or a webhook by its name."""

    kind: Literal["mail", "webhook"]
    name: str
    system_identifier: str
    scope: str

    @property
    def key(self) -> str:
        """Fit for a file name."""
        parts = [self.kind, self.name, self.system_identifier, self.scope]
        return f"{self.kind}-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]}"


@dataclass(frozen=True, slots=True)
class Entry:
    """A report on its way: the state of each recipient, and for mail who sends it.

    `runs` counts the runs that could not send it, `letter` is the file that holds it until all have it, and `reasons`
    say why somebody has not.
    """

    since: datetime
    until: datetime
    subject: str
    sender: str
    states: Mapping[str, State]
    changed_at: datetime
    runs: int = 0
    reasons: Mapping[str, str] = field(default_factory=dict)
    letter: str = ""

    def of_state(self, *states: State) -> tuple[str, ...]:
        return tuple(recipient for recipient, state in self.states.items() if state in states)

    @property
    def seconds(self) -> float:
        return (self.until - self.since).total_seconds()

    @property
    def is_done(self) -> bool:
        """Whether everybody has it."""
        return set(self.states.values()) == {"sent"}

    def with_states(self, state: State, recipients: Iterable[str], reason: str = "") -> Entry:
        """The entry with these recipients in that state, and why; an empty reason clears an older one."""
        named = dict.fromkeys(recipients, state)
        reasons = {**self.reasons, **dict.fromkeys(named, reason)}
        return replace(self, states={**self.states, **named}, reasons={who: why for who, why in reasons.items() if why})

    def is_about(self, period: Period) -> bool:
        """Whether it is the report of this period."""
        mine, yours = self.seconds, period.seconds
        near = nearness_s(max(mine, yours))
        return abs(mine - yours) <= near and abs((self.until - period.until).total_seconds()) <= near


def nearness_s(length_s: float) -> float:
    """Seconds that two starts for the same report may lie apart, for a report of that length."""
    return min(length_s * _NEAR, _MOST_NEAR_S)


@dataclass(slots=True)
class Records:
    """The records of one channel, oldest first; held under its lock, and on the disk after each `put`."""

    folder: Path
    channel: Channel
    entries: list[Entry] = field(default_factory=list)

    def find(self, period: Period) -> Entry | None:
        """The record of a period; None where there is none."""
        return next((entry for entry in reversed(self.entries) if entry.is_about(period)), None)

    def put(self, entry: Entry) -> Entry:
        """Write a record down, in place of the one with the same times. Raises QueryfitError."""
        entry = replace(entry, changed_at=datetime.now(UTC))
        others = [old for old in self.entries if (old.since, old.until) != (entry.since, entry.until)]
        kept = sorted([*others, entry], key=lambda one: one.until)
        self.entries = kept[-_MOST_RECORDS:]
        for old in kept[:-_MOST_RECORDS]:
            self.drop_letter(old)
        channel = {"kind": self.channel.kind, "name": self.channel.name}
        server = {"system_identifier": self.channel.system_identifier, "scope": self.channel.scope}
        data = {"format": _FORMAT, **channel, **server, "entries": [_as_json(one) for one in self.entries]}
        _write(self.folder / f"{self.channel.key}.json", json.dumps(data, indent=1) + "\n")
        return entry

    def keep_letter(self, entry: Entry, content: str) -> Entry:
        """Write the whole letter beside the records, for its owner only. Raises QueryfitError."""
        kind = "eml" if self.channel.kind == "mail" else "json"
        times = "-".join(f"{time.astimezone(UTC):%Y%m%dT%H%M%SZ}" for time in (entry.since, entry.until))
        name = f"{self.channel.key}-{times}.{kind}"
        _write(self.folder / "letters" / name, content)
        return replace(entry, letter=name)

    def letter(self, entry: Entry) -> str | None:
        """The letter of an entry; None where it is not there any more."""
        try:
            return self.letter_path(entry).read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def letter_path(self, entry: Entry) -> Path:
        return self.folder / "letters" / Path(entry.letter).name

    def drop_letter(self, entry: Entry) -> None:
        if entry.letter:
            with suppress(OSError):
                self.letter_path(entry).unlink()


class Outbox:
    """The records below a store's folder."""

    def __init__(self, store: Path) -> None:
        self.folder = store / FOLDER

    def channels(self) -> list[Channel]:
        """Channels that have records, whatever the configuration says today."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            with suppress(OSError, ValueError, KeyError, TypeError):
                data = json.loads(path.read_text(encoding="utf-8"))
                channel = Channel(data["kind"], data["name"], data["system_identifier"], data["scope"])
                if channel.key == path.stem:
                    found.append(channel)
        return found

    @contextmanager
    def open(self, channel: Channel, *, waits: Callable[[str], None]) -> Iterator[Records]:
        """The records of a channel, for nobody else meanwhile; whoever comes second waits for the first.

        `waits` is told once when that happens. Raises QueryfitError where it takes too long, where the folder cannot be
        written to, or where the records cannot be read: without them a letter could be sent twice.
        """
        if fcntl is None:
            raise QueryfitError(
                "sending at most once needs file locks, which this system does not have", hint="use --dry-run, or WSL"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            (self.folder / "letters").mkdir(exist_ok=True, mode=0o700)
            descriptor = os.open(self.folder / f"{channel.key}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise _unwritable(self.folder, error) from None
        try:
            _take(descriptor, waits)
            yield Records(self.folder, channel, self._read(channel))
        finally:
            os.close(descriptor)

    def _read(self, channel: Channel) -> list[Entry]:
        path = self.folder / f"{channel.key}.json"
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data["format"] > _FORMAT:
                raise ValueError(f"it has format {data['format']}, this version reads up to {_FORMAT}")  # noqa: TRY301
            return [_from_json(entry) for entry in data["entries"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise QueryfitError(
                f"the record of what was sent cannot be read: {path}: {error}",
                hint="move it away once you have made sure that nothing would be sent twice",
            ) from None


def _take(descriptor: int, waits: Callable[[str], None]) -> None:
    end = time.monotonic() + _LONGEST_WAIT_S
    has_said = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not has_said:
                waits("another queryfit is sending; waiting for it")
                has_said = True
        if time.monotonic() > end:
            raise QueryfitError("another queryfit has been sending for ten minutes", hint="look at what it waits for")
        time.sleep(_LOOK_EVERY_S)


def _write(path: Path, text: str) -> None:
    try:
        write_atomically(path, text)
    except OSError as error:
        raise _unwritable(path.parent, error) from None


def _unwritable(folder: Path, error: OSError) -> QueryfitError:
    return QueryfitError(
        f"nothing is sent, since it could not be written down: {folder}: {error.strerror or error}",
        hint="name another store with --store",
    )


def _as_json(entry: Entry) -> dict[str, Any]:
    return {
        "since": entry.since.astimezone(UTC).isoformat(),
        "until": entry.until.astimezone(UTC).isoformat(),
        "subject": entry.subject,
        "sender": entry.sender,
        "states": dict(entry.states),
        "changed_at": entry.changed_at.isoformat(timespec="seconds"),
        "runs": entry.runs,
        "reasons": dict(entry.reasons),
        "letter": entry.letter,
    }


def _from_json(data: Mapping[str, Any]) -> Entry:
    states = {str(recipient): state for recipient, state in data["states"].items()}
    if not set(states.values()) <= set(get_args(State)):
        raise ValueError(f"it holds a state that is not known: {sorted(set(states.values()))}")
    return Entry(
        since=datetime.fromisoformat(data["since"]),
        until=datetime.fromisoformat(data["until"]),
        subject=str(data["subject"]),
        sender=str(data["sender"]),
        states=states,
        changed_at=datetime.fromisoformat(data["changed_at"]),
        runs=int(data["runs"]),
        reasons={str(who): str(why) for who, why in data["reasons"].items()},
        letter=str(data["letter"]),
    )
