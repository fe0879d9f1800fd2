"""Reads what can be seen of the relations and locks of a session, before and after a statement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from queryfit.migrations.steps import LOCK_MODES
from queryfit.migrations.trace.wire import Session

if TYPE_CHECKING:
    from queryfit.migrations.trace.observed import LocksSeen

FIRST_USER_OID = 16384
LEVELS: Mapping[str, int] = {
    mode.title().replace(" ", "") + "Lock": level for level, mode in enumerate(LOCK_MODES, start=1)
}
"""From the words of pg_locks (`AccessExclusiveLock`) to 1..8."""

# Counters of the transaction are seen inside it at once; those of a statement in its own transaction only when they
# have been sent to the shared statistics. Relations of the statement's own making are left out by their number.
_RELATIONS = """
select c.oid::int8,
       pg_catalog.quote_ident(case when n.nspname like 'pg\\_temp%%' then 'pg_temp' else n.nspname end)
           || '.' || pg_catalog.quote_ident(c.relname),
       c.relkind::text,
       c.relfilenode::int8,
       pg_catalog.pg_stat_get_{scope}numscans(c.oid),
       pg_catalog.pg_stat_get_{scope}blocks_fetched(c.oid),
       coalesce(i.indrelid, d.refobjid)::int8,
       case when c.relkind in ('r', 'm') then pg_catalog.pg_relation_size(c.oid) end
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join pg_catalog.pg_index as i on i.indexrelid = c.oid
left join pg_catalog.pg_depend as d
    on c.relkind = 'S' and d.objid = c.oid and d.classid = 1259 and d.refclassid = 1259 and d.deptype in ('a', 'i')
where c.oid >= {first} and c.relkind <> 't' and n.nspname not like 'pg\\_toast%%'
"""
_LOCKS = """
select l.relation::int8, l.mode
from pg_catalog.pg_locks as l
where l.pid = {process_id} and l.locktype = 'relation' and l.relation >= {first}
"""
# Waits of every kind: CREATE INDEX CONCURRENTLY waits for transactions (virtualxid). Of locks only those on relations.
WAITS = """
select case l.locktype when 'relation' then l.relation::int8 end, l.mode, l.granted
from pg_catalog.pg_locks as l where l.pid = {process_id}
"""


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation at one moment."""

    oid: int
    name: str
    kind: str
    file: int  # 0 where it has none
    scans: int
    pages: int
    table: int | None  # of an index or an owned sequence
    size_bytes: int | None  # of tables and materialized views


@dataclass(frozen=True, slots=True)
class View:
    """All relations and the locks that the session holds at one moment."""

    relations: Mapping[int, Relation]
    locks: Mapping[int, int]  # set of levels, one bit each


def look(session: Session, first_oid: int, *, is_shared: bool = False) -> View:
    """Look from inside the session; `is_shared` reads the shared statistics instead of the transaction's own."""
    scope = "" if is_shared else "xact_"
    relations = session.rows(_RELATIONS.format(scope=scope, first=first_oid).replace("%%", "%"))
    locks = session.rows(_LOCKS.format(process_id=session.process_id, first=first_oid))
    return View({row[0]: Relation(*row) for row in relations}, levels(locks))


def levels(rows: Iterable[tuple[Any, ...]]) -> dict[int, int]:
    """From rows (relation, mode …) of pg_locks to a set of levels by relation."""
    found: dict[int, int] = {}
    for row in rows:
        if row[0] is not None and row[1] in LEVELS:
            found[row[0]] = found.get(row[0], 0) | 1 << LEVELS[row[1]]
    return found


def strongest(bits: int) -> int:
    return bits.bit_length() - 1 if bits else 0


def difference(before: View, after: View, taken: Mapping[int, int] | None = None) -> dict[str, Any]:
    """What happened between two views, as the fields of Observed; `taken` overrides the locks of `after`."""
    names = {oid: relation.name for oid, relation in before.relations.items()}
    locks: dict[str, int] = {}
    held: dict[str, int] = {}
    for oid, bits in (after.locks if taken is None else taken).items():
        was = before.locks.get(oid, 0)
        if oid not in names:
            continue
        if bits & ~was:
            locks[names[oid]] = strongest(bits & ~was)
        if was:
            held[names[oid]] = strongest(was)
    rewritten: set[str] = set()
    emptied: set[str] = set()
    scanned: set[str] = set()
    pages = 0
    for oid, old in before.relations.items():
        new = after.relations.get(oid)
        if new is None:
            continue
        read = new.pages - old.pages
        pages += max(read, 0)
        if old.kind in "rm":
            if new.file != old.file:
                (rewritten if new.size_bytes else emptied).add(old.name)
            if new.scans > old.scans and read > 0 and new.size_bytes:  # what is empty now was not read
                scanned.add(old.name)
    rebuilt, built = _indexes(before, after, emptied)
    named = {*locks, *rewritten, *scanned, *held}
    return {
        "locks": locks,
        "held": held,
        "rewritten": frozenset(rewritten),
        "emptied": frozenset(emptied),
        "scanned": frozenset(scanned),
        "rebuilt": rebuilt,
        "built": built,
        "there": frozenset(names.values()),
        "empty": frozenset(r.name for r in before.relations.values() if r.size_bytes == 0),
        "parts": {
            relation.name: names[relation.table]
            for relation in before.relations.values()
            if relation.table in names and relation.name in locks
        },
        "kinds": {relation.name: relation.kind for relation in before.relations.values() if relation.name in named},
        "new": frozenset(r.name for r in after.relations.values()) - frozenset(names.values()),
        "pages": pages,
    }


def _indexes(before: View, after: View, emptied: set[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Indexes rebuilt and built. ALTER TABLE drops and makes anew under the old name, so names tell, not numbers."""
    old_files = {r.name: r.file for r in before.relations.values() if r.kind == "i"}
    old_numbers = {r.oid: r for r in before.relations.values() if r.kind == "i"}
    all_old_files = {r.file for r in before.relations.values() if r.kind == "i"}
    rebuilt: dict[str, str] = {}
    built: dict[str, str] = {}
    for oid, index in after.relations.items():
        if index.kind != "i" or index.table is None or index.table not in before.relations:
            continue
        table = before.relations[index.table]
        if table.name in emptied or index.file in all_old_files:
            continue
        if oid in old_numbers:
            rebuilt[old_numbers[oid].name] = table.name
        elif index.name in old_files:
            rebuilt[index.name] = table.name
        else:
            built[index.name] = table.name
    return rebuilt, built


def locks_seen(is_alone: bool, is_watched: bool) -> LocksSeen:
    """How far locks could be seen of a statement that ran alone, in a transaction of its own, or not."""
    if not is_alone:
        return "all"
    return "sampled" if is_watched else "none"
