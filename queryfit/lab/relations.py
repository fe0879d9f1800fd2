"""Which tables a statement can reach, so that a change of indexes elsewhere need not be planned again.

Through views, rules, policies, partitions and inheritance; where a function could read more, all tables count.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from queryfit.sql.grammar import Node, ast
from queryfit.sql.names import qualified
from queryfit.sql.tree import walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from queryfit.lab.session import Session

RELATIONS = """
select c.oid, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), c.relkind
from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname !~ '^pg_(toast|temp)'
"""
# What planning one relation leads to: bodies of views and rules, policies, children.
LINKS = """
select r.ev_class, d.refobjid from pg_catalog.pg_rewrite as r
join pg_catalog.pg_depend as d on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid = r.oid
where d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid <> r.ev_class
union
select p.polrelid, d.refobjid from pg_catalog.pg_policy as p
join pg_catalog.pg_depend as d on d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass and d.objid = p.oid
where d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid <> p.polrelid
union
select inhparent, inhrelid from pg_catalog.pg_inherits
"""
PARENTS = "select inhrelid, inhparent from pg_catalog.pg_inherits"
# The planner puts the body of an SQL function in place of its call in FROM.
INLINED = """
select p.proname from pg_catalog.pg_proc as p join pg_catalog.pg_language as l on l.oid = p.prolang
where l.lanname = 'sql' and p.proretset and p.oid >= 16384
"""
OPAQUE = """
select distinct r.ev_class from pg_catalog.pg_rewrite as r
join pg_catalog.pg_depend as d on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid = r.oid
join pg_catalog.pg_proc as p on d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.refobjid = p.oid
join pg_catalog.pg_language as l on l.oid = p.prolang
where l.lanname = 'sql' and p.proretset
"""


class Relations:
    """The tables of one database and what leads from one to others, as it was when this was made."""

    def __init__(self, session: Session) -> None:
        rows = session.run(RELATIONS)
        self._names = {row[0]: str(row[1] or b"", "utf-8") for row in rows}
        self._kinds = {row[0]: row[2] for row in rows}
        self._by_name = {name: oid for oid, name in self._names.items()}
        self._links: dict[bytes | None, set[bytes | None]] = defaultdict(set)
        for start, end in session.run(LINKS):
            self._links[start].add(end)
        self._parents: dict[bytes | None, set[bytes | None]] = defaultdict(set)
        self._children: dict[bytes | None, set[bytes | None]] = defaultdict(set)
        for child, parent in session.run(PARENTS):
            self._parents[child].add(parent)
            self._children[parent].add(child)
        self._inlined = {str(row[0] or b"", "utf-8") for row in session.run(INLINED)}
        self._opaque = {row[0] for row in session.run(OPAQUE)}

    def reached(self, statement: Node, search_path: Sequence[str]) -> frozenset[str] | None:
        """schema.name of every relation whose indexes may matter to the statement; None when it may be any.

        A name of a CTE counts for the relation of that name too: one too many is no harm.
        """
        named: set[bytes | None] = set()
        for node in walk(statement):
            if isinstance(node, ast.RangeVar):
                named.add(self._resolve(node.schemaname, node.relname, search_path))
            elif isinstance(node, ast.FuncCall) and node.funcname[-1].sval in self._inlined:
                return None
        found = _closure(named - {None}, self._links)
        if found & self._opaque:
            return None
        # an index of a partitioned table is one of each partition
        return frozenset(self._names[oid] for oid in _closure(found, self._parents) if oid in self._names)

    def _resolve(self, schema: str | None, name: str, search_path: Sequence[str]) -> bytes | None:
        """The relation that a name stands for; None for one that is not there, such as a CTE."""
        places = (schema,) if schema is not None else ("pg_catalog", *search_path)
        return next((oid for place in places if (oid := self._by_name.get(qualified(place, name))) is not None), None)

    def tables(self, relation: str) -> tuple[str, ...]:
        """The tables that an index of this one is built on: the partitions of a partitioned table, else itself."""
        oid = self._by_name.get(relation)
        if self._kinds.get(oid) != b"p":
            return (relation,)
        below = _closure(self._children[oid], self._children)
        return tuple(sorted(self._names[one] for one in below if self._kinds.get(one) in {b"r", b"m"}))


def _closure(start: Iterable[bytes | None], links: dict[bytes | None, set[bytes | None]]) -> set[bytes | None]:
    found: set[bytes | None] = set()
    waiting: list[bytes | None] = list(start)
    while waiting:
        oid = waiting.pop()
        if oid not in found:
            found.add(oid)
            waiting += links.get(oid, ())
    return found
