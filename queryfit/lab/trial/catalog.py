"""What a migration finds in the lab and leaves there, and the sizes and statistics that it needs to be planned with.

DDL on an empty table writes that it is empty, a rename takes a table away from what is remembered of it, and a change
of type drops the statistics of the column: on the real server ANALYZE brings these back, so here they are kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from queryfit.advise.sizes.estimate import size_of
from queryfit.advise.sizes.sample import sizes_of
from queryfit.capture.connect_errors import QueryError
from queryfit.lab.files import SCHEMA, Extent
from queryfit.lab.index_estimate import Estimator
from queryfit.lab.planner import Index, Key, Size
from queryfit.lab.session import text_array
from queryfit.lab.statistics import ARGUMENTS

if TYPE_CHECKING:
    import psycopg

    from queryfit.lab.build import Lab
    from queryfit.lab.session import Session
    from queryfit.lab.table_facts import TableFacts

_RESTORE_SINCE = 180000
_OBJECTS = """
select c.oid, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), c.relkind,
    pg_catalog.pg_partition_root(c.oid)::oid::text,
    pg_catalog.quote_ident(tn.nspname) || '.' || pg_catalog.quote_ident(t.relname), i.indisvalid, i.indisunique,
    exists (select from pg_catalog.pg_constraint as k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')),
    t.oid
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join pg_catalog.pg_index as i on i.indexrelid = c.oid
left join pg_catalog.pg_class as t on t.oid = i.indrelid
left join pg_catalog.pg_namespace as tn on tn.oid = t.relnamespace
where c.oid >= 16384 and c.relkind in ('r', 'p', 'v', 'm', 'f', 'i', 'I') and n.nspname !~ '^pg_'
    and n.nspname <> 'queryfit_lab'
"""
_FAMILY = """
with recursive family (oid) as (
    select pg_catalog.to_regclass(name)::oid from pg_catalog.unnest($1::text[]) as name
    union
    select inherits.inhrelid from pg_catalog.pg_inherits as inherits join family on family.oid = inherits.inhparent
)
select pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)
from family
join pg_catalog.pg_class as c on c.oid = family.oid and c.relkind in ('r', 'm', 'p')
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
"""
_EXTENTS = f"""
select pg_catalog.to_regclass(relation)::oid, relation, parent, file_pages, pages, tuples, visible, height
from {SCHEMA}.extent
where (relation = any ($1::text[]) or parent = any ($1::text[])) and pg_catalog.to_regclass(relation) is not null
"""
_REMEMBER = f"select {SCHEMA}.remember($1, $2, $3::int8, $4::int4, $5::float4, $6::int4, $7::int4)"
_INDEX = """
select am.amname, pg_catalog.pg_get_indexdef(i.indexrelid), i.indnkeyatts, i.indnatts, i.indkey::text,
    i.indoption::text, pg_catalog.pg_get_expr(i.indpred, i.indrelid), i.indisunique,
    array_to_string(c.reloptions, ' '), i.indpred is null and exists (
        select from pg_catalog.pg_constraint as k
        where k.conrelid = i.indrelid and k.contype = 'f' and k.conkey[1] = i.indkey[0])
from pg_catalog.pg_index as i
join pg_catalog.pg_class as c on c.oid = i.indexrelid
join pg_catalog.pg_am as am on am.oid = c.relam
where i.indexrelid = $1::oid
"""
_KEY = "select pg_catalog.pg_get_indexdef($1::oid, $2::int4, true)"
_CLASS = """
select o.opcname from pg_catalog.pg_index as i
join pg_catalog.pg_opclass as o on o.oid = i.indclass[$2::int4 - 1] and not o.opcdefault
where i.indexrelid = $1::oid
"""
_STATISTICS = f"""
select schemaname, tablename, attname, inherited, {", ".join(f"{name}::text" for _, name, _ in ARGUMENTS)}
from pg_catalog.pg_stats
where pg_catalog.quote_ident(schemaname) || '.' || pg_catalog.quote_ident(tablename) = any ($1::text[])
    and attname = any ($2::text[])
"""
_DESCENDING, _NULLS_FIRST = 1, 2


@dataclass(frozen=True, slots=True)
class Entry:
    """A relation or an index; of an index its table, and what PostgreSQL says of it."""

    oid: int
    name: str  # schema.name
    kind: str  # pg_class.relkind
    root: int  # oid of the partitioned table or index above all; its own without one
    table: str | None = None
    table_oid: int | None = None
    is_valid: bool = True
    is_unique: bool = False
    is_constraint: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """An index as it was made, and the size it was given."""

    entry: Entry
    definition: str
    size: Size | None
    has_foreign_key: bool


class Catalog:
    """The catalog of the lab as one transaction sees it. `tables` are facts of the captured tables."""

    def __init__(
        self, lab: Lab, connection: psycopg.Connection[Any], session: Session, tables: Mapping[str, TableFacts]
    ) -> None:
        self._lab = lab
        self._connection = connection
        self._session = session
        self._tables = tables
        self._estimator = Estimator(session)
        self._extents: dict[int, Extent] = {}

    def entries(self) -> dict[int, Entry]:
        """All relations and indexes that are there, by oid."""
        found = {}
        for oid, name, kind, root, table, is_valid, is_unique, is_constraint, table_oid in self._session.run(_OBJECTS):
            number = int(oid or 0)
            found[number] = Entry(
                number,
                _text(name),
                _text(kind),
                int(root) if root else number,
                _text(table) if table is not None else None,
                int(table_oid) if table_oid is not None else None,
                is_valid != b"f",
                is_unique == b"t",
                is_constraint == b"t",
            )
        return found

    def family(self, names: Collection[str]) -> list[str]:
        """These tables with all partitions and children, as far as they are there."""
        return sorted(_text(name) for (name,) in self._session.run(_FAMILY, [text_array(sorted(names))]))

    def note_extents(self, tables: Collection[str]) -> None:
        """Keep in mind how large these tables and their indexes are, whatever they will be called."""
        for row in self._session.run(_EXTENTS, [text_array(sorted(tables))]):
            oid, relation, parent, file_pages, pages, tuples, visible, height = row
            self._extents[int(oid or 0)] = Extent(
                _text(relation), _text(parent), int(file_pages or 0), int(pages or 0), float(tuples or 0),
                int(visible or 0), None if height is None else int(height),
            )  # fmt: skip

    def settle(self, entries: Mapping[int, Entry], tables: Collection[str]) -> None:
        """Give sizes back after DDL: to these tables, and under its new name to whatever was renamed."""
        names = set(tables)
        for oid, extent in self._extents.items():
            entry = entries.get(oid)
            if entry is None:
                continue
            parent = entry.table or entry.name
            if (entry.name, parent) != (extent.relation, extent.parent):
                moved = replace(extent, relation=entry.name, parent=parent)
                self._session.run(_REMEMBER, [None if value is None else str(value) for value in moved.values()])
                self._extents[oid] = moved
                names |= {entry.name, parent}
        self._lab.reapply(sorted(names), self._connection)

    # -- new indexes

    def size(self, new: Collection[Entry]) -> list[Made]:
        """Give new indexes the size that they will have, before any statement is planned with them."""
        # one that is planned with while it is empty would be remembered as it is
        hidden = [entry for entry in new if entry.kind == "i" and entry.is_valid and not entry.is_constraint]
        self._lab.show(self._connection, [entry.name for entry in hidden], is_visible=False)
        made = []
        for entry in new:
            index, definition, has_foreign_key = self._described(entry)
            size = self._size(entry, index) if entry.kind == "i" else None
            if size is not None and entry.table is not None:
                self._lab.set_index(self._connection, entry.name, entry.table, size)
            made.append(Made(entry, definition, size, has_foreign_key))
        self._lab.show(self._connection, [entry.name for entry in hidden], is_visible=True)
        return made

    def _size(self, entry: Entry, index: Index) -> Size | None:
        facts = self._tables.get(index.relation)
        if facts is None:
            return None  # of a table that the migration makes: nobody knows what will be in it
        if entry.is_constraint:
            return size_of(index, facts) or self._estimator.size(index, facts.rows)
        return sizes_of([index], {index.relation: facts}, self._connection)[index] or self._estimator.size(
            index, facts.rows
        )

    def _described(self, entry: Entry) -> tuple[Index, str, bool]:
        oid = str(entry.oid)
        row = self._session.run(_INDEX, [oid])[0]
        method, definition, key_count, count, numbers, options, predicate, unique, parameters, serves = row
        flags = [int(flag) for flag in _text(options).split()]
        columns = [int(number) for number in _text(numbers).split()]
        keys, included = [], []
        for place in range(1, int(count or 0) + 1):
            expression = _text(self._session.run(_KEY, [oid, str(place)])[0][0])
            if place > int(key_count or 0):
                included.append(expression)
                continue
            is_column = columns[place - 1] != 0
            if not is_column and expression.startswith("(") and expression.endswith(")"):
                expression = expression[1:-1]
            classes = self._session.run(_CLASS, [oid, str(place)])
            flag = flags[place - 1] if place <= len(flags) else 0
            keys.append(
                Key(
                    expression,
                    is_column,
                    _text(classes[0][0]) if classes else None,
                    None,
                    bool(flag & _DESCENDING),
                    bool(flag & _NULLS_FIRST),
                )
            )
        pairs = tuple(
            (name, value) for word in _text(parameters).split() for name, sign, value in [word.partition("=")] if sign
        )
        index = Index(
            entry.table or "",
            tuple(keys),
            tuple(included),
            _text(method),
            _text(predicate) if predicate is not None else None,
            unique == b"t",
            pairs,
        )
        return index, _text(definition), serves == b"t"

    # -- statistics of columns whose type changes

    def statistics(self, tables: Collection[str], columns: Collection[str]) -> list[tuple[str | None, ...]]:
        """The rows of pg_stats of these columns; none before PostgreSQL 18, which cannot take them back."""
        if self._session.version_number < _RESTORE_SINCE or not columns:
            return []
        rows = self._session.run(_STATISTICS, [text_array(sorted(tables)), text_array(sorted(columns))])
        return [tuple(None if value is None else _text(value) for value in row) for row in rows]

    def restore(self, rows: Collection[tuple[str | None, ...]]) -> bool:
        """Write them again; whether the server took all of them."""
        is_whole = True
        for row in rows:
            values: list[str | None] = list(row[:4])
            words = ["'schemaname', $1::text, 'relname', $2::text, 'attname', $3::text, 'inherited', $4::boolean"]
            for (_, argument, kind), value in zip(ARGUMENTS, row[4:], strict=True):
                if value is not None:
                    values.append(value)
                    words.append(f"'{argument}', ${len(values)}::{kind}")
            self._session.run("savepoint queryfit_statistics")
            try:
                taken = self._session.run(f"select pg_catalog.pg_restore_attribute_stats({', '.join(words)})", values)
                is_whole = is_whole and taken[0][0] == b"t"
            except QueryError:
                self._session.run("rollback to savepoint queryfit_statistics")
                is_whole = False
            with suppress(QueryError):
                self._session.run("release savepoint queryfit_statistics")
        return is_whole


def _text(value: bytes | None) -> str:
    return str(value or b"", "utf-8")
