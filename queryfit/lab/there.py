"""The indexes that are there already: whose they are among partitions, and which must stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryfit.lab.planner import NotPlannedError
from queryfit.sql.names import qualified

if TYPE_CHECKING:
    from collections.abc import Collection

    from queryfit.lab.session import Session

INDEXES = """
select i.indexrelid, n.nspname, c.relname, parent.inhparent, i.indisvalid, exists (
        select from pg_catalog.pg_constraint as k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
from pg_catalog.pg_index as i
join pg_catalog.pg_class as c on c.oid = i.indexrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join pg_catalog.pg_inherits as parent on parent.inhrelid = i.indexrelid
where n.nspname !~ '^pg_(toast|temp|catalog)' and n.nspname <> 'information_schema'
"""


class There:
    """The indexes of one database, as they were when this was made."""

    def __init__(self, session: Session, *, is_part: bool = False) -> None:
        self._is_part = is_part
        rows = [
            (int(row[0] or 0), str(row[1] or b"", "utf-8"), str(row[2] or b"", "utf-8"), row[3], row[4], row[5])
            for row in session.run(INDEXES)
        ]
        names = {oid: qualified(schema, name) for oid, schema, name, *_ in rows}
        parents = {oid: int(parent) for oid, _, _, parent, *_ in rows if parent is not None}
        family: dict[int, list[int]] = {oid: [oid] for oid in names}
        self._tops: dict[tuple[str, str], str] = {}
        for oid, schema, name, *_ in rows:
            top = oid
            while (above := parents.get(top)) is not None and above in names:
                top = above
                family[top].append(oid)
            self._tops[schema, name] = names[top]
        valid = {oid for oid, *_, is_valid, _ in rows if is_valid == b"t"}
        self._families = {names[oid]: [one for one in oids if one in valid] for oid, oids in family.items()}
        self._kept = {names[oid] for oid, *_, is_kept in rows if is_kept == b"t"}

    def name(self, index: tuple[str, str]) -> str:
        """schema.name of an index (schema and name); of a partition's the one of the partitioned table."""
        return self._tops.get(index) or qualified(*index)

    def hideable(self, names: Collection[str]) -> list[int]:
        """The oids of indexes and of those below them on partitions.

        Those that are not valid are left out: nobody sees them, and showing them again would change that. Raises
        NotPlannedError for one that is not there, or is behind a constraint: ON CONFLICT must find it.
        """
        oids: list[int] = []
        for name in sorted(names):
            if name not in self._families:
                if self._is_part:
                    continue  # on a table that no statement reaches: no plan changes with it
                raise NotPlannedError(f"there is no index {name}")
            if name in self._kept:
                raise NotPlannedError(f"the index {name} is behind a constraint and cannot be hidden")
            oids += self._families[name]
        return oids
