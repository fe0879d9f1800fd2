"""Every recommendation that an audit made, remembered beside the captures: its states, what it promised, what came.

One JSON file for each scope of a server, replaced whole or not at all, under a lock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from queryfit.findings import Promise
from queryfit.history.advice.outcomes import Calibration, Outcome, calibrate

if TYPE_CHECKING:
    from queryfit.evidence.store import Store

try:
    import fcntl
except ImportError:  # Windows: two audits at once may then forget what the other has seen
    fcntl = None  # type: ignore[assignment]

VERSION = 1
KEPT_DAYS = 365  # what is gone for a year says nothing of today's server
MOST_CHANGES = 20  # of the state of one finding
MOST_OUTCOMES = 5  # of one finding: it was fixed so often, and came back
MOST_ENTRIES = 5_000  # some 2 kB each
PRESENT = ("new", "open", "back")
DAMAGED = ".damaged"


@dataclass(frozen=True, slots=True)
class Change:
    """When a finding was first seen in a state: new, fixed, back, gone, open (again, and never fixed), told."""

    at: datetime
    state: str
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Remembered:
    """One finding over time; times are those of captures, naive UTC.

    `predicted_*` and `promises` are those of the last run that had it. `seen` of `runs` runs since the first had it.
    A finding that is `told` is told within another one of the same root, `gone` without having been fixed as far as
    anybody knows.
    """

    id: str
    rule: str
    database: str | None
    subject: str
    title: str
    severity: str
    proof: str
    relation: str | None
    fix: str | None
    first_seen: datetime
    last_seen: datetime
    capture: str  # name of the one in which it was seen last
    seen: int
    runs: int
    changes: tuple[Change, ...]
    predicted_ms_per_day: float | None = None
    predicted_low_ms_per_day: float | None = None
    promises: tuple[Promise, ...] = ()
    fingerprints: tuple[str, ...] = ()  # all statements that it is about
    outcomes: tuple[Outcome, ...] = ()  # oldest first, one each time that it was fixed

    @property
    def state(self) -> str:
        """`new` (the last run found it first), `open`, `back`, `fixed`, `gone` or `told`."""
        latest = self.changes[-1]
        return "open" if latest.state == "new" and self.last_seen > latest.at else latest.state

    @property
    def since(self) -> datetime:
        """Since when it is in this state."""
        return self.changes[-1].at

    @property
    def is_present(self) -> bool:
        return self.state in PRESENT

    @property
    def fixed_seconds(self) -> float | None:
        """How long it was fixed before it came back; None where it did not come back."""
        if self.state != "back" or len(self.changes) < 2:  # noqa: PLR2004
            return None
        return (self.changes[-1].at - self.changes[-2].at).total_seconds()


@dataclass(frozen=True, slots=True)
class Ledger:
    """All that is remembered of one scope of a server. `runs` counts the audits that it learned from."""

    version: int = VERSION
    scope: str = ""
    runs: int = 0
    last_run: datetime | None = None  # time of the newest capture that it learned from
    last_capture: str | None = None
    entries: tuple[Remembered, ...] = ()

    @property
    def outcomes(self) -> list[Outcome]:
        """All outcomes, the latest fix first."""
        found = [outcome for entry in self.entries for outcome in entry.outcomes]
        return sorted(found, key=lambda outcome: (outcome.fixed_at, outcome.finding), reverse=True)


@dataclass(frozen=True, slots=True)
class Promises:
    """What a report says of advice: every outcome, latest fix first; the calibration; every finding over time."""

    outcomes: Sequence[Outcome] = ()
    calibration: Calibration = field(default_factory=Calibration)
    states: Sequence[Remembered] = ()
    runs: int = 0
    notes: Sequence[str] = ()  # on a ledger that could not be read


def promises(store: Store, system_identifier: str, scope: str) -> Promises:
    """What is remembered of a server and scope; empty where nothing is.

    It changes nothing, and never raises for a damaged ledger: `notes` say so.
    """
    path = place(store.folder / system_identifier, scope)
    try:
        ledger = read(path)
    except Unreadable as error:
        return Promises(notes=[str(error)])
    outcomes = ledger.outcomes
    return Promises(outcomes, calibrate(outcomes), ledger.entries, ledger.runs)


def place(folder: Path, scope: str) -> Path:
    """The ledger of a scope in a server's folder of the store."""
    return folder / f"ledger-{hashlib.sha256(scope.encode()).hexdigest()[:8]}.json"


class Unreadable(Exception):  # noqa: N818 -- it is told, not raised to a person
    """A ledger that is damaged, or of a later version."""


def read(path: Path) -> Ledger:
    """The ledger; an empty one where there is none. Raises Unreadable."""
    try:
        data = path.read_bytes()
        version = json.loads(data)["version"]
        if isinstance(version, int) and version > VERSION:
            raise Unreadable(f"{path} has version {version}, this version of queryfit reads up to {VERSION}")
        ledger = msgspec.json.decode(data, type=Ledger)
    except FileNotFoundError:
        return Ledger()
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unreadable(f"{path} cannot be read: {str(error).splitlines()[0] if str(error) else error!r}") from None
    if not all(entry.changes for entry in ledger.entries):
        raise Unreadable(f"{path} cannot be read: a finding without a state")
    return ledger


def write(path: Path, ledger: Ledger, now: datetime) -> None:
    """Replace the ledger, without what is no longer worth keeping. Raises OSError."""
    from queryfit.evidence.store import write_atomically  # noqa: PLC0415 -- DuckDB loads with it

    bounded = replace(ledger, entries=_kept(ledger.entries, now))
    write_atomically(path, msgspec.json.encode(bounded).decode())


def put_aside(path: Path) -> Path | None:
    """Rename a ledger that cannot be read, so that a new one can begin and nothing is lost.

    None where another audit has done so just now. Raises OSError.
    """
    for number in range(100):
        aside = path.with_name(f"{path.name}{DAMAGED}{number or ''}")
        if not aside.exists():
            break
    try:
        return path.replace(aside)
    except FileNotFoundError:
        return None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a ledger for reading and writing it; the kernel frees the lock of a killed process. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # the lock is a file of its own: the ledger is replaced each time
    with path.with_suffix(".lock").open("ab") as file:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _kept(entries: Sequence[Remembered], now: datetime) -> tuple[Remembered, ...]:
    """Entries that may still matter; where they are very many, those seen last."""
    horizon = now - timedelta(days=KEPT_DAYS)
    kept = [
        entry
        for entry in entries
        if entry.is_present or max(entry.since, entry.last_seen) >= horizon or _is_being_measured(entry)
    ]
    if len(kept) > MOST_ENTRIES:
        kept = sorted(kept, key=lambda entry: (entry.is_present, entry.last_seen), reverse=True)[:MOST_ENTRIES]
    return tuple(sorted(kept, key=lambda entry: (entry.first_seen, entry.id)))


def _is_being_measured(entry: Remembered) -> bool:
    return any(outcome.status in ("early", "measured") for outcome in entry.outcomes[-1:])
