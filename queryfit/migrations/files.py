"""Migration files: what runs of each, in which order, in which transaction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Transactions = Literal["each", "batch", "file"]
"""How a runner sends a file: `each` statement alone (psql), the whole text as one `batch` (an implicit transaction block
where it holds more than one statement), or the `file` between BEGIN and COMMIT."""


@dataclass(frozen=True, slots=True)
class MigrationFile:
    """One file in the order of its history.

    `sql` has the length of `text`, so that places in one are places in the other: whatever the runner does not send
    (down migrations, psql's own commands, rows of COPY) is blanks there, line breaks stay.
    """

    path: Path | None  # null for standard input
    name: str  # as it is shown, with forward slashes; `-` for standard input
    text: str
    sql: str
    runner: str
    transactions: Transactions
    group: int = 0  # files of different groups do not see each other's objects
    is_linted: bool = True  # False: only part of the history
    is_applied: bool = False  # a server has it already: it must not be rewritten
