"""Statements as they are met in production, written without a look at the model, and what servers did with them.

The text files hold a case after each `@@`: flags, its name, and its SQL, with sections for earlier migrations
(`--- history`) and for rows that are there (`--- fill`). All stand on `base.sql`, with 20,000 rows a table
(`fill.sql`). Flags: `f` unsafe by its form (a drop, a privilege, every row changed), `g` not judged, `s` and `u` what
its author expected; `tx` in one transaction; `v15`, `v18` for that version alone. `truth.json` says what went wrong
when PostgreSQL 15 and 18 ran them: an error, names that are gone, or work on a table under a lock that stops writes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

FOLDER = Path(__file__).parent
VERSIONS = (15, 18)


@dataclass(frozen=True, slots=True)
class Met:
    """One case; `versions` are those of PostgreSQL that it is meant for."""

    name: str
    sql: str
    history: str
    fill: str
    is_in_transaction: bool
    is_unsafe_by_form: bool
    is_judged: bool
    versions: tuple[int, ...]


@cache
def base() -> str:
    return (FOLDER / "base.sql").read_text(encoding="utf-8")


@cache
def cases() -> tuple[Met, ...]:
    """All cases, in the order of the files."""
    return tuple(
        _case(block)
        for path in sorted(FOLDER.glob("*.txt"))
        for block in re.split(r"(?m)^@@ ", path.read_text(encoding="utf-8"))[1:]
    )


def _case(block: str) -> Met:
    head, _, body = block.partition("\n")
    expected, *flags, name = head.split()
    first, *rest = re.split(r"(?m)^--- (history|fill|sql)\s*$", body)
    sections = {"sql": first, **dict(zip(rest[::2], rest[1::2], strict=True))}
    versions = tuple(version for version in VERSIONS if f"v{version}" in flags) or VERSIONS
    return Met(
        name,
        sections["sql"],
        sections.get("history", ""),
        sections.get("fill", ""),
        "tx" in flags,
        expected == "f",
        expected != "g",
        versions,
    )


@cache
def truth(version: int) -> dict[str, list[str]]:
    """What went wrong on that version, by the case's name; cases that ran well are not there."""
    found: dict[str, list[str]] = json.loads((FOLDER / "truth.json").read_text(encoding="utf-8"))[str(version)]
    return found


def label(case: Met, version: int) -> Literal["safe", "unsafe"] | None:
    if not case.is_judged:
        return None
    return "unsafe" if case.is_unsafe_by_form or truth(version).get(case.name) else "safe"
