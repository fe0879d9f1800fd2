"""Indexes that are there: which may go and why, which must stay and what keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from queryfit.advise.candidates.evidence import index_of
from queryfit.advise.candidates.merge import held
from queryfit.advise.model import Existing
from queryfit.evidence.session import Session
from queryfit.lab.planner import Index

MIN_AGE_DAYS = 14.0
"""Counters of two weeks see every regular use but month-end jobs."""


@dataclass(frozen=True, slots=True)
class Counters:
    """How far the scan counters of a server can be trusted."""

    since: datetime | None  # UTC
    days: float | None
    is_standby: bool
    standbys: int | None  # null: not readable

    def doubt(self, looked_at: int) -> str | None:
        """Why no scan counted is no proof that nobody reads; None where it is. `looked_at`: standbys captured too."""
        if self.is_standby:
            return "this is a standby, which does not count the scans of its primary"
        if self.days is None:
            return "it is not known since when scans are counted"
        if self.days < MIN_AGE_DAYS:
            return f"scans are counted only since {self.since:%Y-%m-%d %H:%M}"
        if self.standbys is None:
            return "whether there are standbys, which count their own scans, is not readable"
        if self.standbys > looked_at:
            return f"{self.standbys} standby(s) count their own scans: capture them too"
        return None


@dataclass(frozen=True, slots=True)
class _Known:
    """One index with all that is attached to it."""

    row: Mapping[str, Any]
    index: Index
    size_bytes: int
    scans: int | None  # over all parts and captured standbys; null where a counter is not readable
    anchor: str | None  # what but plans rests on it
    serves: tuple[str, ...] = ()  # foreign keys that it has to stay for


def existing_indexes(session: Session, database: str, *, standbys: Sequence[Session] = ()) -> list[Existing]:
    """The indexes of a captured database by name; one of a partitioned table stands for all of its parts.

    `standbys` are captures of the server's standbys, whose scans count as well.
    """
    keys: dict[str, list[dict[str, Any]]] = {}
    for row in session.query(_KEYS, {"database": database}).mappings():
        keys.setdefault(row["index"], []).append(row)
    counters = _counters(session, database)
    elsewhere: dict[str, int] = {}
    for standby in standbys:
        for name, scans in standby.query(_SCANS, {"database": database}).rows:
            elsewhere[name] = elsewhere.get(name, 0) + int(scans or 0)
    known = [
        _Known(
            row=row,
            index=index_of(row, keys[row["index"]]),
            size_bytes=int(row["family_bytes"] or 0),
            scans=None if row["scans"] is None else int(row["scans"]) + elsewhere.get(row["index"], 0),
            anchor=_anchor(row),
        )
        for row in session.query(_INDEXES, {"database": database}).mappings()
        if row["index"] in keys
    ]
    doubt = counters.doubt(len(standbys))
    kept = _kept_for_foreign_keys(session, database, known, doubt)
    return _judged([replace(one, serves=kept.get(one.row["index"], ())) for one in known], counters, doubt)


def _judged(known: Sequence[_Known], counters: Counters, doubt: str | None) -> list[Existing]:
    by_relation: dict[str, list[_Known]] = {}
    for one in known:
        by_relation.setdefault(one.index.relation, []).append(one)
    judged = []
    for one in known:
        others = [other for other in by_relation[one.index.relation] if other is not one]
        # beside one that goes as well nothing is redundant
        staying = [other for other in others if not _is_unused(other, doubt)]
        beside = _redundant(one, staying)
        is_loose = one.anchor is None
        reason = why = None
        if not is_loose:
            reason = one.anchor
        elif beside is not None:
            why = f"{beside.row['index']} does all that it does"
        elif one.serves:
            reason = f"the foreign key {', '.join(one.serves)} looks its rows up by it"
        elif _is_unused(one, doubt):
            why = f"not scanned once since {counters.since:%Y-%m-%d}"
        elif one.scans is None:
            reason = "its scans cannot be read"
        elif one.scans > 0:
            reason = f"scanned {one.scans:,} times" + (f" since {counters.since:%Y-%m-%d}" if counters.since else "")
        else:
            reason = doubt
        judged.append(
            Existing(
                name=one.row["index"],
                index=one.index,
                size_bytes=one.size_bytes,
                upkeep=0.0,
                is_removable=why is not None,
                reason=reason,
                is_replaceable=is_loose,
                redundant_beside=beside.row["index"] if beside is not None and is_loose else None,
                why=why,
                serves=one.serves,
            )
        )
    return judged


def _is_unused(one: _Known, doubt: str | None) -> bool:
    return one.anchor is None and not one.serves and one.scans == 0 and doubt is None


def _redundant(one: _Known, others: Sequence[_Known]) -> _Known | None:
    """An index that does all that this one does: the same, or with more behind the same keys."""
    for other in sorted(others, key=_standing):
        if not (other.row["is_valid"] and other.row["is_ready"]) or not _does_all_of(other, one):
            continue
        # of two that are the same the one that something rests on stays, then the older one
        if not _does_all_of(one, other) or _standing(other) < _standing(one):
            return other
    return None


def _does_all_of(one: _Known, other: _Known) -> bool:
    """By the signatures of their keys, which know operator classes and collations."""
    mine, its = one.row["key_signature"], other.row["key_signature"]
    if one.index.access_method != other.index.access_method or one.row["predicate"] != other.row["predicate"]:
        return False
    if one.index.access_method != "btree":
        return bool(mine == its)
    return (mine == its or mine.startswith(f"{its}, ")) and held(other.index) <= held(one.index)


def _standing(one: _Known) -> tuple[bool, bool, int, str]:
    return (one.anchor is None, not one.row["is_unique"], one.row["index_oid"], one.row["index"])


def _anchor(row: Mapping[str, Any]) -> str | None:  # noqa: PLR0911 -- one a reason
    """What but plans rests on an index; None where nothing does."""
    if row["extension"] is not None:
        return f"it belongs to the extension {row['extension']}"
    if not row["is_whole"]:
        return "it is invalid: a build goes on, or one has failed"
    if row["is_primary"]:
        return f"the primary key {row['constraint_name'] or ''} rests on it".replace("  ", " ")
    if row["constraint_name"] is not None:
        return f"the constraint {row['constraint_name']} rests on it"
    if row["is_referenced"]:
        return "a foreign key refers to it"
    if row["is_replica_identity"]:
        return "it is the replica identity of its table"
    if row["is_unique"]:
        return "it keeps values unique"
    if row["is_exclusion"]:
        return "it keeps rows apart"
    if row["is_clustered"]:
        return "CLUSTER orders its table by it"
    return None


def _counters(session: Session, database: str) -> Counters:
    found = session.query(_WINDOW, {"database": database}).rows
    if not found:
        return Counters(None, None, is_standby=False, standbys=None)
    since, days, is_standby, standbys = found[0]
    return Counters(since, days, is_standby=bool(is_standby), standbys=standbys)


def _kept_for_foreign_keys(
    session: Session, database: str, known: Sequence[_Known], doubt: str | None
) -> dict[str, tuple[str, ...]]:
    """Foreign keys by the index that has to stay for them: the only one behind them, or one of several unused ones."""
    by_name = {one.row["index"]: one for one in known}
    behind: dict[tuple[str, str], list[_Known]] = {}
    for relation, name, index in session.query(_BEHIND, {"database": database}).rows:
        if index in by_name:
            behind.setdefault((relation, name), []).append(by_name[index])
    kept: dict[str, list[str]] = {}
    for (_, name), indexes in behind.items():
        if len(indexes) == 1 or all(_is_unused(one, doubt) for one in indexes):
            least = min(indexes, key=lambda one: (len(one.index.keys), one.row["index_oid"], one.row["index"]))
            kept.setdefault(least.row["index"], []).append(name)
    return {index: tuple(names) for index, names in kept.items()}


_KEYS = """
    select relation, index, position, is_key, column_name, expression, operator_class, is_descending, is_nulls_first
    from index_column
    where database = $database
    order by index, position
"""
# an index of a partitioned table with all that is attached to it: what one part needs, the whole keeps
_INDEXES = """
    with family as (
        select
            index_family.top_index as index,
            sum(part.size_bytes) as family_bytes,
            case
                -- the index of a partitioned table itself is never scanned, and has no counter
                when bool_and(counter.scans is not null or part.size_bytes is null) then coalesce(sum(counter.scans), 0)
            end as scans,
            bool_and(part.is_valid and part.is_ready) as is_whole,
            bool_or(part.is_replica_identity) as is_replica_identity,
            bool_or(part.is_clustered) as is_clustered,
            bool_or(part.is_referenced) as is_referenced
        from index_family
        join relation_index as part on part.database = index_family.database and part.index = index_family.index
        left join index_counter as counter  -- LEFT JOIN: counters may not be readable
            on counter.database = part.database and counter.index = part.index
        where index_family.database = $database
        group by index_family.top_index
    )
    select
        relation_index.* exclude (is_replica_identity, is_clustered, is_referenced),
        family.* exclude (index)
    from family
    join relation_index on relation_index.database = $database and relation_index.index = family.index
    join relation on relation.database = $database and relation.relation = relation_index.relation
    where relation.extension is null
    order by relation_index.index
"""
_SCANS = """
    select index_family.top_index, sum(index_counter.scans)
    from index_counter
    join index_family on index_family.database = index_counter.database and index_family.index = index_counter.index
    where index_counter.database = $database
    group by index_family.top_index
"""
_WINDOW = """
    select counted_since, window_days, server.is_standby, server.standbys
    from counter_window
    cross join server
    where counter_window.database = $database
"""
_BEHIND = """
    select distinct support.relation, support.constraint_name, family.top_index
    from foreign_key_index as support
    join index_family as family on family.database = support.database and family.index = support.index
    where support.database = $database
    order by all
"""
