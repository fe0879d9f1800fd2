"""Sizes of relations that hold nothing: their files, and the numbers in pg_class.

The planner takes the pages of a relation from the length of its file, and the rows per page from pg_class. Files are
extended without being written (sparse: they take no disk), in segments of 1 GB as the server keeps them. What every
relation should have stands in the lab's own table `queryfit_lab.extent`, so it can be given again after DDL.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queryfit.lab import btree_page
from queryfit.lab.btree_page import PAGE_BYTES

if TYPE_CHECKING:
    import psycopg

SCHEMA = "queryfit_lab"
SEGMENT_PAGES = 131_072
_MOST_PAGES = 2**31 - 1  # relpages is an integer
_MOST_FILE_PAGES = 2**32 - 2  # 32 TB: the server's own limit
_MOST_TUPLES = 1e30  # reltuples is a real
_BRIN_MAGIC = 0xA8109CFA
_BRIN_RANGES_PER_PAGE = 1360  # REVMAP_PAGE_MAXITEMS of 8 kB pages

# A view of our own catalog for a role without superuser: it may say how large its relations are, and nothing else.
OBJECTS = (
    f"create schema {SCHEMA}",
    f"""create table {SCHEMA}.extent (
        relation text primary key,      -- schema.name
        parent text not null,           -- table of an index, else itself
        file_pages bigint not null,     -- 8 kB
        pages integer not null,         -- relpages
        tuples real not null,           -- reltuples, -1 for unknown
        visible integer not null,       -- relallvisible
        height integer                  -- levels of a B-tree above its leaves; null for others
    )""",
    f"create index on {SCHEMA}.extent (parent)",
    f"""create function {SCHEMA}.remember(
        relation text, parent text, file_pages bigint, pages integer, tuples real, visible integer, height integer)
        returns void language sql security definer set search_path = pg_catalog as $$
        insert into {SCHEMA}.extent values ($1, $2, $3, $4, $5, $6, $7) on conflict (relation) do update
        set parent = $2, file_pages = $3, pages = $4, tuples = $5, visible = $6, height = $7
    $$""",
    f"""create function {SCHEMA}.resize(names text[]) returns void
        language sql security definer set search_path = pg_catalog as $$
        update pg_class set relpages = extent.pages, reltuples = extent.tuples, relallvisible = extent.visible
        from {SCHEMA}.extent
        where pg_class.oid = to_regclass(extent.relation)
            and (names is null or extent.relation = any (names) or extent.parent = any (names))
    $$""",
    # any change to its row makes the other sessions forget how long the files were
    f"""create function {SCHEMA}.touch(names text[]) returns void
        language sql security definer set search_path = pg_catalog as $$
        update pg_class set relpages = 0, reltuples = -1, relallvisible = 0
        from unnest(names) as name where pg_class.oid = to_regclass(name) and pg_class.oid >= 16384
    $$""",
    f"""create function {SCHEMA}.show(names text[], is_visible boolean) returns bigint
        language sql security definer set search_path = pg_catalog as $$
        with changed as (
            update pg_index set indisvalid = is_visible from unnest(names) as name
            where indexrelid = to_regclass(name) and indexrelid >= 16384 and indisvalid <> is_visible
                and (is_visible or not exists (
                    select from pg_constraint where conindid = indexrelid and contype <> 'f'))
            returning 1
        )
        select count(*) from changed
    $$""",
)


@dataclass(frozen=True, slots=True)
class Extent:
    """What a relation is to look like."""

    relation: str  # schema.name
    parent: str  # table of an index, else the relation itself
    file_pages: int
    pages: int
    tuples: float
    visible: int = 0
    height: int | None = None

    def values(self) -> tuple[object, ...]:
        return (
            self.relation,
            self.parent,
            min(max(0, self.file_pages), _MOST_FILE_PAGES),
            min(max(0, self.pages), _MOST_PAGES),
            min(max(-1.0, self.tuples), _MOST_TUPLES),
            min(max(0, self.visible), _MOST_PAGES),
            self.height,
        )


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    access_method: str | None
    file_pages: int
    height: int | None
    heap_pages: int  # of the table of an index


def remember(connection: psycopg.Connection[Any], extents: Iterable[Extent]) -> None:
    """Write extents into the lab's table, as superuser."""
    with (
        connection.cursor() as cursor,
        cursor.copy(
            f"copy {SCHEMA}.extent (relation, parent, file_pages, pages, tuples, visible, height) from stdin".encode()
        ) as copy,
    ):
        for extent in extents:
            copy.write_row(extent.values())


def reapply(connection: psycopg.Connection[Any], data: Path, names: Collection[str] | None) -> None:
    """Give relations (tables with their indexes, or indexes; null: all) the sizes remembered for them.

    That is the length of files, and pg_class. `connection` may be the owner's, inside a transaction that made them.
    """
    wanted = None if names is None else list(names)
    for file in _files(connection, data, wanted):
        extend(file.path, file.file_pages, partial(_first_pages, file))
    connection.execute(f"select {SCHEMA}.resize(%s)".encode(), [wanted])


def shrink(connection: psycopg.Connection[Any], data: Path, tables: Collection[str]) -> None:
    """Let tables take no pages, so that DDL has nothing to read."""
    rows = connection.execute(
        b"select pg_catalog.pg_relation_filepath(c.oid) from unnest(%s::text[]) as name"
        b" join pg_catalog.pg_class as c on c.oid = pg_catalog.to_regclass(name) and c.relkind in ('r', 'm')",
        [list(tables)],
    ).fetchall()
    for (path,) in rows:
        extend(data / path, 0)
    connection.execute(f"select {SCHEMA}.touch(%s)".encode(), [list(tables)])


def _files(connection: psycopg.Connection[Any], data: Path, names: list[str] | None) -> list[_File]:
    rows = connection.execute(
        f"""select pg_catalog.pg_relation_filepath(c.oid), am.amname, e.file_pages, e.height,
            coalesce(h.file_pages, 0)
        from {SCHEMA}.extent as e
        join pg_catalog.pg_class as c on c.oid = pg_catalog.to_regclass(e.relation) and c.relkind in ('r', 'm', 'i')
        left join pg_catalog.pg_am as am on am.oid = c.relam
        left join {SCHEMA}.extent as h on h.relation = e.parent
        where %(names)s::text[] is null or e.relation = any (%(names)s) or e.parent = any (%(names)s)""".encode(),
        {"names": names},
    ).fetchall()
    return [_File(data / path, method, pages, height, heap) for path, method, pages, height, heap in rows if path]


def _first_pages(file: _File, handle: int) -> bytes | None:
    """What the first pages of an open file are to hold, where that is not what the server wrote."""
    if file.access_method == "btree" and file.height is not None:
        metapage = os.read(handle, PAGE_BYTES)
        return btree_page.tree(metapage, file.height) if btree_page.is_empty(metapage) else None
    if file.access_method == "brin":
        page = bytearray(os.read(handle, PAGE_BYTES))
        if len(page) == PAGE_BYTES and struct.unpack_from("=I", page, 24)[0] == _BRIN_MAGIC:
            # what the planner charges for: the pages of the map from ranges to summaries
            ranges = -(-max(1, file.heap_pages) // max(1, struct.unpack_from("=I", page, 32)[0]))
            struct.pack_into("=I", page, 36, -(-ranges // _BRIN_RANGES_PER_PAGE))
            return bytes(page)
    return None


def extend(path: Path, pages: int, first: Callable[[int], bytes | None] = lambda _: None) -> None:
    """Make a relation's main fork as long as so many pages, without writing them.

    `first` is asked with the open file what its first pages are to hold, so that it is never shorter than they are. Of
    a large database that is done tens of thousands of times: one open, and no call that changes nothing.
    """
    handle = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        if (held := first(handle)) is not None:
            pages = max(pages, len(held) // PAGE_BYTES)
            os.lseek(handle, 0, os.SEEK_SET)
            os.write(handle, held)
        os.ftruncate(handle, min(pages, SEGMENT_PAGES) * PAGE_BYTES)
        status = os.fstat(handle)
    finally:
        os.close(handle)
    for segment in count(1):
        part = path.with_name(f"{path.name}.{segment}")
        here = min(max(0, pages - segment * SEGMENT_PAGES), SEGMENT_PAGES)
        if here == 0 and not part.exists():
            return
        with part.open("r+b" if part.exists() else "w+b") as stream:
            stream.truncate(here * PAGE_BYTES)
        _like(part, status)


def _like(part: Path, status: os.stat_result) -> None:
    """Give a segment the owner and the mode of the first: the server may run as another user than we do."""
    if os.name != "nt":
        part.chmod(status.st_mode & 0o777)
        if part.stat().st_uid != status.st_uid:
            os.chown(part, status.st_uid, status.st_gid)
