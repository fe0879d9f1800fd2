"""Column statistics for servers before 18, which have no function that restores them: rows of pg_statistic.

Only a superuser may write them, and the values are read by input functions. Those of the server, of enums and of
extensions are none of the capture's; a domain's checks are, so a domain is stored as what it is over, and values of
types that hold a checked domain are not carried. Kinds, operators and collations are those of
src/backend/commands/analyze.c and utils/adt/*_typanalyze.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from queryfit.lab.batches import Statement, as_text

if TYPE_CHECKING:
    import psycopg

    from queryfit.lab.facts import Row

SCRATCH = "queryfit_scratch"  # a table in public that holds nothing for longer than one step
_MOST_SLOTS = 5
_FLOAT = 701
_FLOAT_LESS = 672  # <(float8, float8)
_DEFAULT_COLLATION = 100
_TSVECTOR = 3614
_COMMON, _HISTOGRAM, _CORRELATION, _ELEMENTS, _ELEMENT_COUNTS, _LENGTHS, _BOUNDS = 1, 2, 3, 4, 5, 6, 7

# Of the default B-tree operator class of a type (that of a type it is binary coercible to, where it has none), the
# operators = and <; where there is none, = of the hash class.
_OPERATORS = b"""
    with recursive base as (
        select oid, typtype, typbasetype, typelem, typlen, typcategory from pg_type where oid = %(type)s::oid
        union all
        select t.oid, t.typtype, t.typbasetype, t.typelem, t.typlen, t.typcategory
        from pg_type as t join base on base.typtype = 'd' and t.oid = base.typbasetype
    ),
    bottom as (select * from base where typtype <> 'd'),
    class as (
        select c.opcfamily, c.opcintype, c.opcmethod, bottom.oid as type
        from bottom join pg_opclass as c on c.opcdefault and c.opcmethod in (403, 405) and (
            c.opcintype = bottom.oid
            or c.opcintype = case
                when bottom.typtype = 'e' then 'anyenum'::regtype
                when bottom.typtype = 'r' then 'anyrange'::regtype
                when bottom.typtype = 'c' then 'record'::regtype
                when bottom.typtype = 'm' then to_regtype('anymultirange')
                when bottom.typcategory = 'A' then 'anyarray'::regtype
            end
            or exists (
                select from pg_cast as k where k.castsource = bottom.oid and k.casttarget = c.opcintype
                    and k.castmethod = 'b' and k.castcontext = 'i'))
        join pg_type as t on t.oid = c.opcintype
        order by c.opcmethod, c.opcintype = bottom.oid desc, t.typispreferred desc
        limit 1
    )
    select
        coalesce(max(a.amopopr::oid::int8)
            filter (where a.amopstrategy = case class.opcmethod when 403 then 3 else 1 end), 0),
        coalesce(max(a.amopopr::oid::int8) filter (where a.amopstrategy = 1 and class.opcmethod = 403), 0),
        (select max(case when bottom.oid = 3614 then 25 when bottom.typcategory = 'A' then bottom.typelem::int8 end)
            from bottom),
        (select max(oid::int8) from bottom)
    from class join pg_amop as a on a.amopfamily = class.opcfamily and a.amoplefttype = class.opcintype
        and a.amoprighttype = class.opcintype
"""
_ATTRIBUTES = b"""
    select a.attname::text, a.attrelid::int8, a.attnum::int4, a.atttypid::int8, a.attcollation::int8
    from pg_attribute as a join pg_class as c on c.oid = a.attrelid join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = %s and c.relname = %s and a.attnum > 0 and not a.attisdropped
"""


# Whether reading a value of a type runs a check of a domain, which may be the capture's own function.
_IS_CHECKED = b"""
    with recursive reached (type) as (
        select %(type)s::oid
        union
        select next.type from reached join pg_type as t on t.oid = reached.type, lateral (
            select t.typelem union all select t.typbasetype
            union all select rngsubtype from pg_range where rngtypid = t.oid
            union all select atttypid from pg_attribute where attrelid = t.typrelid and attnum > 0 and not attisdropped
        ) as next (type) where next.type <> 0
    )
    select exists (select from reached join pg_constraint as k on k.contypid = reached.type)
"""


_Column = tuple[int, int, int, int]  # relation, number, type, collation


@dataclass(frozen=True, slots=True)
class _Operators:
    equal: int
    less: int
    element: int | None  # type of the elements of an array or a tsvector
    base: int  # the type below all domains


@dataclass(frozen=True, slots=True)
class _Slot:
    kind: int
    operator: int
    collation: int
    numbers: list[float] | None
    values: str | None = None
    type: int = 0  # of one value


@dataclass(slots=True)
class OldWriter:
    """Says what writes single rows, as a superuser; it asks the catalog over that one's autocommit connection."""

    superuser: psycopg.Connection[Any]
    _operators: dict[int, _Operators] = field(default_factory=dict)
    _checked: dict[int, bool] = field(default_factory=dict)
    _columns: dict[tuple[str, str], dict[str, _Column]] = field(default_factory=dict)  # of the last relation

    def statements(self, row: Row, name: tuple[str, str]) -> tuple[list[Statement], str | None]:
        """What writes a row for the relation of that schema and name, and what it leaves out. Raises psycopg.Error."""
        there = self._columns_of(name).get(row["column_name"])
        if there is None:
            return [], "the lab has no such column"
        relation, number, type_, collation = there
        operators = self._operators_of(type_)
        is_checked = self._is_checked(operators.base)
        slots = [
            slot
            for slot in self._slots(row, operators, type_, collation)
            if not (is_checked and slot.values is not None and slot.kind != _LENGTHS)
        ][:_MOST_SLOTS]
        lost = "its values are of a type that a check of the schema reads" if is_checked else None
        return _stored((relation, number, row["is_inherited"]), row, slots), lost

    def _columns_of(self, name: tuple[str, str]) -> dict[str, _Column]:
        if name not in self._columns or name[1] == SCRATCH:  # which is another table every time
            rows = self.superuser.execute(_ATTRIBUTES, name).fetchall()
            self._columns = {name: {column: (relation, *more) for column, relation, *more in rows}}
        return self._columns[name]

    def _is_checked(self, type_: int) -> bool:
        if type_ not in self._checked:
            (self._checked[type_],) = self.superuser.execute(_IS_CHECKED, {"type": type_}).fetchone() or (True,)
        return self._checked[type_]

    def _operators_of(self, type_: int) -> _Operators:
        if type_ not in self._operators:
            found = self.superuser.execute(_OPERATORS, {"type": type_}).fetchone()
            self._operators[type_] = _Operators(*found) if found and found[3] else _Operators(0, 0, None, type_)
        return self._operators[type_]

    def _slots(self, row: Row, operators: _Operators, type_: int, collation: int) -> Iterator[_Slot]:
        base = operators.base
        if row["common_values"] is not None and operators.equal:
            yield _Slot(_COMMON, operators.equal, collation, row["common_frequencies"], row["common_values"], base)
        if row["histogram_bounds"] is not None and operators.less:
            yield _Slot(_HISTOGRAM, operators.less, collation, None, row["histogram_bounds"], base)
        if row["correlation"] is not None and operators.less:
            yield _Slot(_CORRELATION, operators.less, collation, [row["correlation"]])
        if operators.element is not None:
            yield from self._element_slots(row, operators.element, type_, collation)
        if row.get("range_length_histogram") is not None:
            empty = [row["range_empty_fraction"] or 0]
            yield _Slot(_LENGTHS, _FLOAT_LESS, 0, empty, row["range_length_histogram"], _FLOAT)
        if row.get("range_bounds_histogram") is not None:
            yield _Slot(_BOUNDS, 0, 0, None, row["range_bounds_histogram"], base)

    def _element_slots(self, row: Row, element: int, type_: int, collation: int) -> Iterator[_Slot]:
        equal = self._operators_of(element).equal
        if not equal:
            return
        place = _DEFAULT_COLLATION if type_ == _TSVECTOR else collation
        if row.get("common_elements") is not None:
            frequencies, values = row["common_element_frequencies"], row["common_elements"]
            yield _Slot(_ELEMENTS, equal, place, frequencies, values, element)
        if row.get("element_count_histogram") is not None:
            yield _Slot(_ELEMENT_COUNTS, equal, place, row["element_count_histogram"])


def _stored(own: tuple[object, ...], row: Row, slots: list[_Slot]) -> list[Statement]:
    names = ["starelid", "staattnum", "stainherit", "stanullfrac", "stawidth", "stadistinct"]
    casts = ["oid", "int2", "boolean", "real", "integer", "real"]
    holes = [f"${place}::{kind}" for place, kind in enumerate(casts, 1)]
    values: list[object] = [
        *own, row["null_fraction"] or 0, row["average_width_bytes"] or 0, row["distinct_values"] or 0
    ]  # fmt: skip

    def add(name: str, value: object, kind: str) -> str:
        names.append(name)
        values.append(value)
        return f"${len(values)}::{kind}"

    for place in range(1, _MOST_SLOTS + 1):
        slot = slots[place - 1] if place <= len(slots) else _Slot(0, 0, 0, None)
        holes.append(add(f"stakind{place}", slot.kind, "int2"))
        holes.append(add(f"staop{place}", slot.operator, "oid"))
        holes.append(add(f"stacoll{place}", slot.collation, "oid"))
        holes.append(add(f"stanumbers{place}", slot.numbers, "real[]"))
        if slot.values is not None:
            hole = add(f"stavalues{place}", slot.values, "cstring")
            holes.append(f"array_in({hole}, {slot.type}::oid, -1)")
    remove = b"delete from pg_statistic where (starelid, staattnum, stainherit) = ($1::oid, $2::int2, $3::boolean)"
    insert = f"insert into pg_statistic ({', '.join(names)}) values ({', '.join(holes)})".encode()
    return [(remove, [as_text(value) for value in own]), (insert, [as_text(value) for value in values])]
