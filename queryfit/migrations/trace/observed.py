"""What a server really did with one statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

LocksSeen = Literal["all", "sampled", "none"]
"""`all`: read from pg_locks before the transaction ended; `sampled`: from a second connection while the statement ran
(a lock held for an instant may be missed, what is there is true); `none`: nobody could look."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of the server."""

    sqlstate: str  # empty when the connection was lost
    message: str
    detail: str | None = None
    constraint: str | None = None
    statement: str | None = None  # of a history: the statement that was refused


@dataclass(frozen=True, slots=True)
class Observed:
    """One statement as it ran. Relations are those that were there before it, by the names they had then."""

    file: int  # place of the file among those traced, from 0
    position: int  # of the statement in its file, from 0
    start: int  # in the file's text, in characters
    end: int
    line: int  # from 1
    text: str
    is_run: bool = True  # False: an earlier statement of the file had failed
    is_in_block: bool = False  # a transaction block was open before it
    error: Failure | None = None
    note: str | None = None  # what was done for it, such as an extension put in place
    locks_seen: LocksSeen = "all"
    locks: Mapping[str, int] = field(default_factory=dict)  # level 1..8 newly taken by this statement, the strongest
    held: Mapping[str, int] = field(default_factory=dict)  # level held before it by the same transaction
    kinds: Mapping[str, str] = field(default_factory=dict)  # pg_class.relkind of the relations named here
    rewritten: frozenset[str] = frozenset()  # tables and materialized views with a new file that is not empty
    emptied: frozenset[str] = frozenset()  # with a new file that is empty
    scanned: frozenset[str] = frozenset()  # read from the first page on
    rebuilt: Mapping[str, str] = field(default_factory=dict)  # index that was there and has a new file -> its table
    built: Mapping[str, str] = field(default_factory=dict)  # new index -> its table, where that was there and has pages
    parts: Mapping[str, str] = field(default_factory=dict)  # index or owned sequence named in `locks` -> its table
    empty: frozenset[str] = frozenset()  # tables without a page before it: work on them does not show
    there: frozenset[str] = frozenset()  # all relations before it
    new: frozenset[str] = frozenset()  # relations that were not there before
    pages: int = 0  # of the relations above, read from the buffer cache or below
    duration_ms: float = 0.0
