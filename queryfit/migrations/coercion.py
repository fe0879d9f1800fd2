"""What a change of a column's type costs: whether PostgreSQL keeps the rows as they are or writes the table anew.

ALTER COLUMN TYPE leaves the rows alone when the conversion, once planned, is nothing but the column under other names:
binary coercible casts, lengths that only grow, domains without constraints, and `timestamptz` to `timestamp` and back
while the session's time zone is UTC (ATColumnChangeRequiresRewrite in tablecmds.c).
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Raw

from queryfit.migrations.builtin import CASTS, TYPES
from queryfit.migrations.context import Context
from queryfit.migrations.model import Database, Domain, Name, Type
from queryfit.migrations.type_names import type_text
from queryfit.sql.ddl_parts import NOTHING, TypeName, tree

Verdict = Literal["free", "rewrite", "unknown", "refused"]


class Change(NamedTuple):
    """What a conversion takes: `free`, a `rewrite`, `unknown`, or that PostgreSQL has no such conversion."""

    verdict: Verdict
    reason: str | None = None

    @property
    def is_rewrite(self) -> bool | None:
        return None if self.verdict == "unknown" else self.verdict == "rewrite"


FREE = Change("free")
UNKNOWN = Change("unknown", "a type is not known")
_STRINGS = frozenset({"text", "varchar", "bpchar", "name"})
_STRINGS_BEFORE_15 = _STRINGS | {"char"}
_CHAR_IS_NO_STRING_SINCE = 15
_BYTES_OF_INTEGERS_SINCE = 18
_NEW_IN_18 = frozenset({
    ("bytea", "int2"), ("bytea", "int4"), ("bytea", "int8"), ("int2", "bytea"), ("int4", "bytea"), ("int8", "bytea"),
})  # fmt: skip
_UTC = re.compile(
    r"(?:etc/)?(?:utc|gmt|uct|greenwich|universal|zulu|gmt[+-]?0)|[+-]?0+(?::?00(?::?00)?)?|(?:utc|gmt)[+-]?0+",
    re.IGNORECASE,
)
_TIME_PRECISION = 6
_TYPE_NAME = msgspec.json.Decoder(TypeName)


def is_utc(zone: str) -> bool:
    """The name of a time zone that is UTC and always was."""
    return _UTC.fullmatch(zone) is not None


def change(context: Context, column: str, before: Type | None, after: Type | None, using: Raw = NOTHING) -> Change:
    """What ALTER COLUMN TYPE takes: `using` is its USING expression, or nothing for the plain cast."""
    if using is NOTHING:
        return cast(context, before, after, is_explicit=False)
    changed, between = _through(context, tree(using), column, before)
    if changed.verdict == "rewrite":
        return changed
    last = cast(context, between, after, is_explicit=False)
    if last.verdict == "rewrite" or changed.verdict == "free":
        return last
    return changed


def _through(context: Context, node: Any, column: str, before: Type | None) -> tuple[Change, Type | None]:
    """The cost of an expression over a column, and its type: free only for the column itself under casts."""
    if isinstance(node, dict) and len(node) == 1:
        kind, value = next(iter(node.items()))
        if kind == "ColumnRef":
            fields = value.get("fields", [])
            if fields and fields[-1].get("String", {}).get("sval") == column:
                return FREE, before
        elif kind == "CollateClause":
            return _through(context, value.get("arg"), column, before)
        elif kind == "TypeCast":
            changed, inner = _through(context, value.get("arg"), column, before)
            if changed.verdict == "rewrite":
                return changed, None
            target = written_type(context, value.get("typeName", {}))
            step = cast(context, inner, target, is_explicit=True)
            return (changed if step.verdict == "free" else step), target
    return Change("rewrite", "USING computes every value"), None


def written_type(context: Context, node: Any) -> Type | None:
    """The type of a cast, from its plain tree."""
    return context.type_of(_TYPE_NAME.decode(msgspec.json.encode(node)))


def cast(context: Context, before: Type | None, after: Type | None, *, is_explicit: bool) -> Change:
    """What it takes to make a value of one type a value of another, as an assignment does or an explicit cast."""
    if before is None or after is None:
        return UNKNOWN
    database = context.database
    if _is_same(before, after):
        return _length(before, after)
    target = after
    domain = domain_of(database, after)
    is_constrained = False
    if domain is not None:
        base, is_constrained = base_of(database, after)
        if base is None:
            return UNKNOWN
        target = base
    if domain_of(database, before) is not None:
        inner, _ = base_of(database, before)
        if inner is None:
            return UNKNOWN
        before = inner._replace(typmods=())  # a domain's length does not show in what it is relabelled to
    found = _plain(context, before, target, is_explicit=is_explicit)
    if found.verdict == "free" and is_constrained:
        return Change("rewrite", f"values of domain {type_text(after)} have to be checked")
    return found


def _is_same(one: Type, other: Type) -> bool:
    """The same type but for its length; one that was not known when it was first named has no schema."""
    return (
        one.name == other.name
        and bool(one.dimensions) == bool(other.dimensions)
        and (one.schema == other.schema or "" in {one.schema, other.schema})
    )


def domain_of(database: Database, kind: Type) -> Domain | None:
    """The domain that a type is; None for any other, and for an array of a domain."""
    return (
        None if kind.dimensions or kind.schema == "pg_catalog" else database.domains.get(Name(kind.schema, kind.name))
    )


def base_of(database: Database, kind: Type) -> tuple[Type | None, bool]:
    """The type below a domain, and whether any domain on the way has a constraint."""
    is_constrained = False
    current: Type | None = kind
    for _ in range(len(database.domains) + 1):
        if current is None or (domain := domain_of(database, current)) is None:
            break
        is_constrained = is_constrained or domain.is_not_null or bool(domain.checks)
        current = domain.base
    return current, is_constrained


def _plain(  # noqa: C901, PLR0911 -- the cases of a cast, in PostgreSQL's order
    context: Context, before: Type, after: Type, *, is_explicit: bool
) -> Change:
    """Between two types that are no domains."""
    if _is_same(before, after):
        return _length(before, after)
    words = f"{type_text(before)} to {type_text(after)}"
    if before.dimensions or after.dimensions:
        return _array(context, before, after, words, is_explicit=is_explicit)
    if before.schema != "pg_catalog" or after.schema != "pg_catalog":
        return _user_defined(context.database, before, after, words, is_explicit=is_explicit)
    if before.name not in TYPES or after.name not in TYPES:
        return UNKNOWN
    how = CASTS.get(f"{before.name},{after.name}")
    if how is None or ((before.name, after.name) in _NEW_IN_18 and context.version < _BYTES_OF_INTEGERS_SINCE):
        strings = _STRINGS if context.version >= _CHAR_IS_NO_STRING_SINCE else _STRINGS_BEFORE_15
        if after.name in strings or (is_explicit and before.name in strings):
            return Change("rewrite", f"{words} converts every value")
        return Change("refused", words)
    if how[0] == "e" and not is_explicit:
        return Change("refused", words)
    if how[1] == "b":
        return _length(before._replace(typmods=()), after, words)
    if {before.name, after.name} == {"timestamp", "timestamptz"}:
        zone = context.settings.time_zone or context.database.time_zone
        if zone is None:
            return Change("unknown", f"{words} is free only where TimeZone is UTC")
        if is_utc(zone):
            return _length(before._replace(typmods=()), after, words)
        return Change("rewrite", f"{words} shifts every value, since TimeZone is not UTC")
    return Change("rewrite", f"{words} converts every value")


def _array(context: Context, before: Type, after: Type, words: str, *, is_explicit: bool) -> Change:
    """Arrays are converted element by element, even where the elements would stay as they are."""
    if before.dimensions and after.dimensions:
        element = cast(context, before._replace(dimensions=0), after._replace(dimensions=0), is_explicit=is_explicit)
        return (
            element if element.verdict in {"refused", "unknown"} else Change("rewrite", f"{words} converts every value")
        )
    other = after if before.dimensions else before
    if other.schema == "pg_catalog" and other.name in _STRINGS and (before.dimensions or is_explicit):
        return Change("rewrite", f"{words} converts every value")
    if other.schema == "pg_catalog" and other.name in {"int2vector", "oidvector"}:
        return Change("rewrite", f"{words} converts every value")
    if _kind(context.database, other) is None:
        return UNKNOWN
    return Change("unknown" if context.database.has_casts else "refused", words)


def _user_defined(database: Database, before: Type, after: Type, words: str, *, is_explicit: bool) -> Change:
    """With an enum, a composite or range type, or a type of an extension on one side."""
    name, other = (before, after) if before.schema != "pg_catalog" else (after, before)
    if name.name == "citext" and other.schema == "pg_catalog":
        if other.name in {"text", "varchar"}:
            return _length(before._replace(typmods=()), after, words)
        if other.name in _STRINGS:
            return Change("rewrite", f"{words} converts every value")
    kinds = [_kind(database, before), _kind(database, after)]
    if None in kinds:
        return UNKNOWN
    is_to_text = after.schema == "pg_catalog" and after.name in _STRINGS
    is_from_text = before.schema == "pg_catalog" and before.name in _STRINGS
    if is_to_text or (is_from_text and is_explicit):
        return Change("rewrite", f"{words} converts every value")
    return Change("unknown" if database.has_casts else "refused", words)


def _kind(database: Database, kind: Type) -> str | None:
    """What is known of a type; None where nothing is."""
    if kind.schema == "pg_catalog":
        return "base"
    name = Name(kind.schema, kind.name)
    if name in database.enums:
        return "enum"
    found = database.types.get(name)
    if found is not None:
        return found.kind if found.kind in {"composite", "range"} else None
    return "composite" if name in database.relations else None


def _length(  # noqa: PLR0911 -- one answer a type
    before: Type, after: Type, words: str | None = None
) -> Change:
    """From one length, precision or scale of a type to another: free where every old value fits unchanged."""
    old, new = before.typmods, after.typmods
    if not new or old == new:
        return FREE
    name = after.name
    change_ = Change("rewrite", f"{words or f'{type_text(before)} to {type_text(after)}'} has to check every row")
    if after.schema != "pg_catalog":
        return UNKNOWN
    if after.dimensions:
        return change_
    if name in {"varchar", "varbit"}:
        return FREE if _is_at_most(old, new) else change_
    if name == "numeric":
        return FREE if old and _scale(old) == _scale(new) and _is_at_most(old, new) else change_
    if name in {"timestamp", "timestamptz", "time", "timetz"}:
        return FREE if _is_at_most((_TIME_PRECISION,), new) or _is_at_most(old, new) else change_
    if name == "interval":
        return FREE if _interval_fits(old, new) else change_
    return change_


def _is_at_most(old: tuple[int | str, ...], new: tuple[int | str, ...]) -> bool:
    return bool(old and new) and isinstance(old[0], int) and isinstance(new[0], int) and old[0] <= new[0]


def _scale(typmods: tuple[int | str, ...]) -> int | str:
    return typmods[1] if len(typmods) > 1 else 0


_LEAST_FIELDS = ((4096, 0), (2048, 1), (1024, 2), (8, 3), (2, 4), (4, 5))  # second … year, as bits of the fields
_FULL_RANGE = 0x7FFF


def _interval_fits(old: tuple[int | str, ...], new: tuple[int | str, ...]) -> bool:
    """The smallest field that is kept does not grow, nor does the precision of the seconds shrink."""
    old_field, new_field = _least_field(old), _least_field(new)
    if new_field > old_field:
        return False
    old_precision, new_precision = _precision(old), _precision(new)
    return old_field > 0 or new_precision >= _TIME_PRECISION or new_precision >= old_precision


def _least_field(typmods: tuple[int | str, ...]) -> int:
    fields = typmods[0] if typmods else _FULL_RANGE
    if isinstance(fields, int):
        for bit, place in _LEAST_FIELDS:
            if fields & bit:
                return place
    return 0


def _precision(typmods: tuple[int | str, ...]) -> int:
    return typmods[1] if len(typmods) > 1 and isinstance(typmods[1], int) else 0xFFFF


_FAMILIES = {
    name: family
    for family, names in {
        "number": "int2 int4 int8 numeric float4 float8 money oid",
        "text": "text varchar bpchar name citext char",
        "time": "timestamp timestamptz date",
        "clock": "time timetz",
        "json": "json jsonb",
        "bits": "bit varbit",
        "network": "inet cidr",
        "hardware": "macaddr macaddr8",
    }.items()
    for name in names.split()
}
_COARSER = {
    ("timestamptz", "date"), ("timestamp", "date"), ("timestamptz", "time"), ("timestamp", "time"),
    ("timestamptz", "timetz"), ("timetz", "time"), ("float8", "float4"), ("numeric", "float4"), ("numeric", "float8"),
    ("numeric", "int2"), ("numeric", "int4"), ("numeric", "int8"), ("float4", "int2"), ("float4", "int4"),
    ("float4", "int8"), ("float8", "int2"), ("float8", "int4"), ("float8", "int8"), ("numeric", "money"),
    ("int8", "float8"), ("int8", "float4"), ("int4", "float4"), ("inet", "cidr"),
    ("interval", "time"), ("macaddr8", "macaddr"),
}  # fmt: skip


def is_lossy(database: Database, before: Type | None, after: Type | None) -> bool:
    """Values can lose a part of what they say without an error: a time of day, digits behind the point."""
    if before is None or after is None or before.dimensions or after.dimensions:
        return False
    before, after = base_of(database, before)[0] or before, base_of(database, after)[0] or after
    old, new = before.typmods, after.typmods
    if before[:2] != after[:2]:
        return (before.name, after.name) in _COARSER and before.schema == after.schema == "pg_catalog"
    if before.name == "numeric":
        return bool(new) and (not old or _below(_scale(new), _scale(old)))
    if before.name in {"timestamp", "timestamptz", "time", "timetz"}:
        return bool(new) and _below(new[0], old[0] if old else _TIME_PRECISION)
    return before.name == "interval" and bool(new) and not _interval_fits(old, new)


def _below(new: int | str, old: int | str) -> bool:
    return isinstance(new, int) and isinstance(old, int) and new < old


def is_breaking(database: Database, before: Type | None, after: Type | None) -> bool:
    """Clients that read or compare the column as it was fail: it holds another kind of value."""
    if before is None or after is None:
        return False
    before, after = base_of(database, before)[0] or before, base_of(database, after)[0] or after
    if bool(before.dimensions) != bool(after.dimensions):
        return True
    if before[:2] == after[:2]:
        return False
    return _FAMILIES.get(before.name, before.name) != _FAMILIES.get(after.name, after.name)
