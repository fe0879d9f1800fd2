"""The evidence tables as `tables/*.sql` describe them; the only place that knows their columns."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from msgspec import Struct

_FOLDER = Path(__file__).parent / "tables"
_HEADER = re.compile(r"^-- (?:(source|capture): )?(.*)$")
_COLUMN = re.compile(r"^    (\w+) ([^-]*?),?\s+-- (.*)$")


class Column(Struct, frozen=True):
    """One column: its DuckDB type and what it means, with unit and source."""

    name: str
    type: str
    is_required: bool
    meaning: str


class Table(Struct, frozen=True):
    """One evidence table.

    `capture` is `full` (catalog and statistics), `sample` (counters, in every capture), `migration` (of migration
    files, never of a server), `lab` (found out from a capture, never part of one), `history` (found out from many
    captures) or `derived` (made from the others by `derivation` when a session opens).
    """

    name: str
    meaning: str
    source: str
    capture: str
    columns: tuple[Column, ...]
    create: str
    derivation: str | None

    @property
    def column_types(self) -> dict[str, str]:
        return {column.name: column.type for column in self.columns}


@cache
def table(name: str) -> Table:
    """One evidence table, which has to be there: whoever needs few reads only these."""
    return _read(_FOLDER / f"{name}.sql")


@cache
def tables() -> dict[str, Table]:
    """Every evidence table by name, each derived one after those that it is made from."""
    read = {path.stem: table(path.stem) for path in sorted(_FOLDER.glob("*.sql"))}

    def steps(table: Table) -> int:
        """How many derivations lie behind a table; 0 for one that is captured."""
        if table.derivation is None:
            return 0
        return 1 + max(steps(read[name]) for name in table.source.split(", "))

    return {table.name: table for table in sorted(read.values(), key=steps)}


def _read(path: Path) -> Table:
    text = path.read_text(encoding="utf-8")
    create, end, derivation = text.partition("\n);\n")
    header: dict[str, str] = {}
    columns = []
    for line in create.splitlines():
        if found := _HEADER.match(line):
            key = found[1] or "meaning"
            header[key] = f"{header[key]} {found[2]}" if key in header else found[2]
        elif found := _COLUMN.match(line):
            kind = found[2].strip()
            columns.append(Column(found[1], kind.removesuffix(" not null"), kind.endswith(" not null"), found[3]))
    return Table(
        name=path.stem,
        meaning=header["meaning"],
        source=header["source"],
        capture=header["capture"],
        columns=tuple(columns),
        create=create + end,
        derivation=derivation.strip() or None,
    )
