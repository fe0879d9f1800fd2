"""What really happened in the month: kept while it happens, written as JSON.

For every interval between two captures it says twice what each statement did: what happened, and what the counters at
its end could still show (`seen_…`): less where a reset, a crash or an eviction took some of it away. Times and blocks
are the server's own, read before each such loss.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

FILE = "truth.json"


@dataclass(slots=True)
class Done:
    """What a statement did in an interval, and how much of it the counters at the interval's end can show."""

    calls: int = 0
    rows: int = 0
    execution_ms: float = 0.0
    blocks: int = 0
    seen_calls: int = 0
    seen_rows: int = 0
    seen_ms: float = 0.0
    seen_blocks: int = 0
    is_lost: bool = False  # counters were lost in the interval, whether or not they had counted anything in it

    def add(self, *, calls: int, rows: int, execution_ms: float, blocks: int) -> None:
        self.calls += calls
        self.rows += rows
        self.execution_ms += execution_ms
        self.blocks += blocks
        self.seen_calls += calls
        self.seen_rows += rows
        self.seen_ms += execution_ms
        self.seen_blocks += blocks

    def lose(self) -> None:
        self.seen_calls = self.seen_rows = self.seen_blocks = 0
        self.seen_ms = 0.0
        self.is_lost = True


@dataclass(slots=True)
class Used:
    """What happened to a table or an index in an interval, and how much of it can be seen; by the counter's name."""

    done: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    is_lost: bool = False

    def add(self, counter: str, difference: int) -> None:
        for book in (self.done, self.seen):
            book[counter] = book.get(counter, 0) + difference

    def lose(self) -> None:
        self.seen.clear()
        self.is_lost = True


@dataclass(slots=True)
class Interval:
    """From one capture to the next. The first one, before any capture, has no `started_at`."""

    started_at: datetime | None
    ended_at: datetime  # the capture's own time
    capture: str
    kind: str
    statements: dict[str, Done]
    relations: dict[str, Used]
    indexes: dict[str, Used]
    sequence_value: int  # of orders_id_seq at its end
    connections: int  # to the database at its end, the capture's own not among them
    max_connections: int
    sizes: dict[str, int]  # bytes of the main fork of each table
    evictions_before: int  # pg_stat_statements_info.dealloc before the capture …
    evictions_after: int  # … and after it: a capture's own statements take entries too


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a moment, told as the evidence table `server_event` tells it."""

    happened_at: datetime
    kind: str
    subject: str | None = None
    value_before: str | None = None
    value_now: str | None = None
    detail: str | None = None


@dataclass(slots=True)
class Truth:
    """All of it. `texts` and `fingerprints` are by the statement's name."""

    system_identifier: str = ""
    server_version: str = ""
    database: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)
    intervals: list[Interval] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    evicted: list[str] = field(default_factory=list)  # names of statements whose entry was evicted
    audits: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)  # dates and steps of the story, by name

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1, default=_plain) + "\n", encoding="utf-8")


def read(path: Path) -> Truth:
    """The truth that `Truth.write` wrote."""
    words = json.loads(path.read_text(encoding="utf-8"))
    words["intervals"] = [
        Interval(
            **{
                **interval,
                "started_at": _moment(interval["started_at"]),
                "ended_at": _moment(interval["ended_at"]),
                "statements": {name: Done(**done) for name, done in interval["statements"].items()},
                "relations": {name: Used(**used) for name, used in interval["relations"].items()},
                "indexes": {name: Used(**used) for name, used in interval["indexes"].items()},
            }
        )
        for interval in words["intervals"]
    ]
    words["events"] = [Event(**{**event, "happened_at": _moment(event["happened_at"])}) for event in words["events"]]
    return Truth(**words)


def _moment(text: str | None) -> Any:
    return None if text is None else datetime.fromisoformat(text)


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else str(value)
