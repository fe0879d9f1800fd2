"""Whether advice was followed: the index is there, the dropped one is gone, the setting has another value."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from queryfit.errors import QueryfitError
from queryfit.evidence.store import Capture
from queryfit.history.chain import Link
from queryfit.history.reading import engine, read_files

_INDEX = re.compile(r"^[ \t]*create\s+(?:unique\s+)?index\s[^;]*;", re.IGNORECASE | re.MULTILINE)
_DROP = re.compile(r"^[ \t]*drop\s+index\s[^;]*;", re.IGNORECASE | re.MULTILINE)
_SETTING = re.compile(r"^[ \t]*alter\s+system\s+set\s+([a-z_][a-z0-9_.]*)", re.IGNORECASE | re.MULTILINE)
_MOST_FIX = 20_000  # characters: what is longer is no index


@dataclass(frozen=True, slots=True)
class NewIndex:
    """An index that a fix makes. `keys` as the catalog prints them: customer_id, lower(email)."""

    relation: str
    name: str | None
    access_method: str
    keys: str
    is_partial: bool


@dataclass(frozen=True, slots=True)
class Remedy:
    """What a fix does that a capture shows; nothing of it for most fixes."""

    added: tuple[NewIndex, ...] = ()
    dropped: tuple[str, ...] = ()  # schema.name
    setting: str | None = None

    @property
    def is_visible(self) -> bool:
        return bool(self.added or self.dropped or self.setting)


def remedy_of(fix: str | None) -> Remedy:
    """What a fix does, as far as its SQL can be read."""
    if not fix or len(fix) > _MOST_FIX:
        return Remedy()
    added = tuple(index for text in _INDEX.findall(fix) if (index := _new_index(text)))
    if added:
        return Remedy(added=added)
    if dropped := tuple(name for text in _DROP.findall(fix) for name in _dropped(text)):
        return Remedy(dropped=dropped)
    setting = _SETTING.search(fix)
    return Remedy(setting=setting[1].lower() if setting else None)


def _new_index(text: str) -> NewIndex | None:
    from pglast import ast, parse_sql  # noqa: PLC0415 -- the parser loads only where a finding is gone
    from pglast.parser import ParseError  # noqa: PLC0415
    from pglast.stream import RawStream  # noqa: PLC0415

    try:
        statement = parse_sql(text)[0].stmt
    except (ParseError, ValueError, IndexError):
        return None
    if not isinstance(statement, ast.IndexStmt) or (place := statement.relation) is None or not place.relname:
        return None
    schema = place.schemaname or "public"
    keys = [key.name or RawStream()(key.expr) for key in statement.indexParams or ()]
    return NewIndex(
        relation=_qualified(schema, place.relname),
        name=_qualified(schema, statement.idxname) if statement.idxname else None,
        access_method=statement.accessMethod or "btree",
        keys=", ".join(keys),
        is_partial=statement.whereClause is not None,
    )


def _dropped(text: str) -> list[str]:
    from pglast import ast, parse_sql  # noqa: PLC0415 -- see above
    from pglast.parser import ParseError  # noqa: PLC0415

    try:
        statement = parse_sql(text)[0].stmt
    except (ParseError, ValueError, IndexError):
        return []
    if not isinstance(statement, ast.DropStmt):
        return []
    names = [[part.sval for part in name] for name in statement.objects or ()]
    return [_qualified(*(parts if len(parts) > 1 else ["public", *parts])) for parts in names if parts]


def _qualified(*parts: str) -> str:
    """A name as the evidence writes it: only what has to be quoted is."""
    from pglast.printers import dml  # noqa: F401, PLC0415 -- the printers register themselves
    from pglast.stream import maybe_double_quote_name  # noqa: PLC0415

    return ".".join(maybe_double_quote_name(part) for part in parts)


class Catalogs:
    """What captures say of their indexes and settings; each file is read once."""

    def __init__(self) -> None:
        self._rows: dict[Path, list[tuple[Any, ...]]] = {}

    def followed_at(self, remedy: Remedy, database: str | None, now: Link, between: Sequence[Link]) -> datetime | None:
        """When the first of the captures showed a new index or lacked a dropped one, naive UTC.

        `between` are captures in order, after the last one where it was not so. None where `now` does not show it.
        """
        if remedy.added:
            name = self._index_there(remedy.added, database, now.capture)
            return _first(now, between, lambda capture: self._has(capture, database, name)) if name else None
        present = self._names(now.capture, database)
        if present is None or present & set(remedy.dropped):
            return None
        return _first(now, between, lambda capture: self._has(capture, database, remedy.dropped[0]) is False)

    def changed_at(self, name: str, before: Capture, now: Link, between: Sequence[Link]) -> datetime | None:
        """Since when a setting has another value than in an earlier capture; None where it has not, or nobody knows."""
        was, value = self._setting(before, name), self._setting(now.capture, name)
        if was is None or value is None or was == value:
            return None
        return _first(now, [link for link in between if link.is_full], lambda one: self._setting(one, name) != was)

    def _index_there(self, wanted: Sequence[NewIndex], database: str | None, capture: Capture) -> str | None:
        """The name of a valid index of a capture that is one of those wanted, or leads with its keys."""
        columns = ("database", "relation", "index", "access_method", "key_columns", "is_valid", "predicate")
        rows = self._read("relation_index", columns, _file(capture, "relation_index"))
        for index in wanted:
            for _, of, relation, name, method, keys, is_valid, predicate in rows:
                if relation != index.relation or not is_valid or database not in (None, of):
                    continue
                has_keys = keys == index.keys or str(keys).startswith(f"{index.keys}, ")
                serves = method == index.access_method and (index.is_partial or predicate is None)
                if name == index.name or (has_keys and serves):
                    return str(name)
        return None

    def _names(self, capture: Capture, database: str | None) -> set[str] | None:
        """Names of the indexes that a capture itself counted, a sample too; None where it did not."""
        path = capture.file("index_counter")
        if path is None or not path.exists():
            return None
        rows = self._read("index_counter", ("database", "index"), path)
        return {str(index) for _, of, index in rows if database in (None, of)}

    def _has(self, capture: Capture, database: str | None, name: str | None) -> bool | None:
        names = self._names(capture, database)
        return None if names is None else name in names

    def _setting(self, capture: Capture, name: str) -> str | None:
        rows = self._read("setting", ("name", "value"), _file(capture, "setting"))
        return next((str(value) for _, known, value in rows if known == name and value is not None), None)

    def _read(self, table: str, columns: Sequence[str], path: Path | None) -> list[tuple[Any, ...]]:
        if path is None:
            return []
        if path not in self._rows:
            with engine() as raw:
                self._rows[path] = read_files(raw, table, columns, [str(path)])
        return self._rows[path]


def _first(now: Link, between: Sequence[Link], shows: Callable[[Capture], bool | None]) -> datetime:
    """The first capture that shows it: what is done stays done, so that halving finds it."""
    links = [link for link in between if link.at < now.at]
    place = bisect_left(links, True, key=lambda link: bool(shows(link.capture)))  # false sorts before true
    return links[place].at if place < len(links) else now.at


def _file(capture: Capture, table: str) -> Path | None:
    try:
        return capture.files().get(table)
    except QueryfitError:
        return None
