"""What in a database could run its users' code when a statement is planned, found by the catalog's own dependencies.

The search starts from the functions whose owner is no superuser (and from foreign tables, whose planning contacts
another server) and follows pg_depend backwards: to the operators, types, indexes, constraints, policies, statistics
and views that use them, and from each of these to its relation. Predefined objects are pinned and leave no dependency,
so calls of the few catalog functions that execute a text are looked for in the stored expressions themselves.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from queryfit.capture.connect import Reader

Key = tuple[int, int]  # catalog and oid of an object

# Fixed by PostgreSQL's sources: src/include/catalog/pg_*.h
TYPE, PROC, CLASS = 1247, 1255, 1259
AMOP, AMPROC, ATTRDEF, CAST, CONSTRAINT, OPCLASS, OPERATOR, REWRITE = 2602, 2603, 2604, 2605, 2606, 2616, 2617, 2618
TRIGGER, OPFAMILY, EXTENSION, POLICY, STATISTIC, PUBLICATION_RELATION = 2620, 2753, 3079, 3256, 3381, 6106
FIRST_NORMAL_OID = 16384
NEVER_PLANNED = frozenset({TRIGGER, EXTENSION, PUBLICATION_RELATION, CAST})  # casts are judged by their function
# A relation's own parts depend on it; a foreign key, a child table or a default says nothing about what it refers to.
OWN_PARTS = frozenset({ATTRDEF, CONSTRAINT, STATISTIC, CLASS})
OPERATOR_CLASSES = frozenset({OPCLASS, OPFAMILY, AMOP, AMPROC})

DEPENDENTS = """
select d.classid::int8 as catalog, d.objid::int8 as object,
    d.refclassid::int8 as on_catalog, d.refobjid::int8 as on_object
from unnest($1::int8[], $2::int8[]) as f (catalog, object)
join pg_depend as d on d.refclassid = f.catalog::oid and d.refobjid = f.object::oid
where d.deptype not in ('e', 'x')
"""
PLACES: Mapping[int, str] = {  # part → catalog and oid of what it belongs to
    REWRITE: """
        select r.oid::int8 as part, 1259::int8 as catalog, r.ev_class::int8 as object, 'always' as mode
        from pg_rewrite as r join pg_class as c on c.oid = r.ev_class where r.oid = any($1::oid[]) and c.relkind <> 'm'
        """,
    POLICY: """
        select oid::int8 as part, 1259::int8 as catalog, polrelid::int8 as object, 'policy' as mode
        from pg_policy where oid = any($1::oid[])
        """,
    ATTRDEF: """
        select d.oid::int8 as part, 1259::int8 as catalog, d.adrelid::int8 as object,
            case a.attgenerated when 'v' then 'always' else 'write' end as mode
        from pg_attrdef as d join pg_attribute as a on a.attrelid = d.adrelid and a.attnum = d.adnum
        where d.oid = any($1::oid[])
        """,
    CONSTRAINT: """
        select oid::int8 as part, case when contypid <> 0 then 1247 else 1259 end::int8 as catalog,
            case when contypid <> 0 then contypid else conrelid end::int8 as object, 'always' as mode
        from pg_constraint where oid = any($1::oid[]) and (contypid <> 0 or conrelid <> 0)
        """,
    STATISTIC: """
        select oid::int8 as part, 1259::int8 as catalog, stxrelid::int8 as object, 'always' as mode
        from pg_statistic_ext where oid = any($1::oid[])
        """,
    CLASS: """
        select indexrelid::int8 as part, 1259::int8 as catalog, indrelid::int8 as object, 'always' as mode
        from pg_index where indexrelid = any($1::oid[])
        union all
        select inhrelid::int8, 1259, inhparent::int8, 'always' from pg_inherits where inhrelid = any($1::oid[])
        union all  -- a composite type's columns belong to a relation that depends on the type, not the type on it
        select oid::int8, 1247, reltype::int8, 'always' from pg_class where oid = any($1::oid[]) and reltype <> 0
        """,
}
VIEWS_OVER = """
select d.refobjid::int8 as part, r.ev_class::int8 as object
from pg_depend as d join pg_rewrite as r on r.oid = d.objid join pg_class as c on c.oid = r.ev_class
where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = any($1::oid[])
    and r.ev_class <> d.refobjid and c.relkind <> 'm'
"""
PARENTS = "select inhrelid::int8 as part, inhparent::int8 as object from pg_inherits where inhrelid = any($1::oid[])"


@dataclass(slots=True)
class Reach:
    """Objects by which planning reaches a user's code, each with the cause in words.

    `always`: of whatever kind; `write`: relations where only rows written reach it (defaults, stored generated
    columns); `policy`: relations where row-level security does, for roles that it binds; `blocked`: why nothing in the
    database can be planned.
    """

    always: dict[Key, str] = field(default_factory=dict)
    write: dict[int, str] = field(default_factory=dict)
    policy: dict[int, str] = field(default_factory=dict)
    blocked: str | None = None

    def follow(self, reader: Reader, seeds: Mapping[Key, str]) -> None:
        """Add `seeds` and everything that reaches them."""
        frontier = {key: cause for key, cause in seeds.items() if key not in self.always}
        while frontier:
            self.always |= frontier
            frontier = {
                key: cause
                for key, cause in [
                    *self._dependents(reader, frontier),
                    *self._wholes(reader, frontier),
                    *self._casts(reader, frontier),
                ]
                if key not in self.always
            }

    def follow_writes(self, reader: Reader) -> None:
        """Carry `write` on to the views over these relations and to their parents; call it once, at the end."""
        frontier = dict(self.write)
        while frontier:
            rows = [row for sql in (VIEWS_OVER, PARENTS) for row in reader.query(sql, [list(frontier)])]
            frontier = {row["object"]: frontier[row["part"]] for row in rows if row["object"] not in self.write}
            self.write |= frontier

    def _dependents(self, reader: Reader, frontier: Mapping[Key, str]) -> Iterable[tuple[Key, str]]:
        catalogs, objects = [key[0] for key in frontier], [key[1] for key in frontier]
        for row in reader.query(DEPENDENTS, [catalogs, objects]):
            key, on = (row["catalog"], row["object"]), (row["on_catalog"], row["on_object"])
            if key[0] in NEVER_PLANNED or (on[0] == CLASS and key[0] in OWN_PARTS):
                continue
            if key[0] in OPERATOR_CLASSES and on[0] in {PROC, OPERATOR}:
                self.blocked = f"an operator class or family uses {frontier[on]}"
            yield key, frontier[on]

    def _wholes(self, reader: Reader, frontier: Mapping[Key, str]) -> Iterable[tuple[Key, str]]:
        by_catalog: defaultdict[int, list[int]] = defaultdict(list)
        for catalog, object_ in frontier:
            by_catalog[catalog].append(object_)
        restricted: dict[int, str] = {}
        for catalog in by_catalog.keys() & PLACES.keys():
            for row in reader.query(PLACES[catalog], [by_catalog[catalog]]):
                cause = frontier[catalog, row["part"]]
                if row["mode"] == "write":
                    self.write.setdefault(row["object"], cause)
                elif row["mode"] == "policy":
                    restricted[row["object"]] = cause
                else:
                    yield (row["catalog"], row["object"]), cause
        self.policy |= restricted
        if restricted:  # in a view the policy binds the view's owner, whoever reads it
            for row in reader.query(VIEWS_OVER, [list(restricted)]):
                yield (CLASS, row["object"]), restricted[row["part"]]

    def _casts(self, reader: Reader, frontier: Mapping[Key, str]) -> Iterable[tuple[Key, str]]:
        functions = [object_ for catalog, object_ in frontier if catalog == PROC]
        if not functions:
            return
        sql = (
            "select castfunc::int8 as part, castsource::int8 as source, casttarget::int8 as target"
            " from pg_cast where castfunc = any($1::oid[])"
        )
        for row in reader.query(sql, [functions]):
            cause = f"a cast by {frontier[PROC, row['part']]}"
            own = [type_ for type_ in (row["source"], row["target"]) if type_ >= FIRST_NORMAL_OID]
            if not own:
                self.blocked = f"a cast between predefined types is done by {frontier[PROC, row['part']]}"
            for type_ in own:
                yield (TYPE, type_), cause
