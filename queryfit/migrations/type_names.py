"""Types as they are written: from a statement to the model, and from the model to SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from queryfit.migrations.builtin import TYPE_NAMES, TYPES
from queryfit.migrations.model import Database, Name, Type, plain_type
from queryfit.sql.ddl_parts import TypeName
from queryfit.sql.names import qualified, quote_identifier

SERIALS = {
    "serial": "int4",
    "serial4": "int4",
    "bigserial": "int8",
    "serial8": "int8",
    "smallserial": "int2",
    "serial2": "int2",
}
"""What the grammar takes for a type in a column's definition, and the type that the column gets."""

_OF_EXTENSIONS = {
    "citext": "citext", "hstore": "hstore", "ltree": "ltree", "lquery": "ltree", "ltxtquery": "ltree", "cube": "cube",
    "seg": "seg", "lo": "lo", "query_int": "intarray", "gtrgm": "pg_trgm", "isbn": "isn", "isbn13": "isn",
    "ean13": "isn", "issn": "isn", "issn13": "isn", "ismn": "isn", "ismn13": "isn", "upc": "isn", "vector": "vector",
    "halfvec": "vector", "sparsevec": "vector", "geometry": "postgis", "geography": "postgis", "box2d": "postgis",
    "box3d": "postgis",
}  # fmt: skip
"""Types that extensions bring, and the extension: it says in which schema they are."""

_INTERVAL_FIELDS = {
    4: "year", 2: "month", 8: "day", 1024: "hour", 2048: "minute", 4096: "second", 6: "year to month",
    1032: "day to hour", 3080: "day to minute", 7176: "day to second", 3072: "hour to minute", 7168: "hour to second",
    6144: "minute to second",
}  # fmt: skip
_FULL_RANGE = 0x7FFF


def type_of(database: Database, search_path: Sequence[str], written: TypeName | None) -> Type | None:
    """A type as it is written, in canonical form; None for what only a running server knows (`%type`)."""
    if written is None or written.pct_type or not written.names:
        return None
    names = written.names
    typmods = tuple(_typmod(entry) for entry in written.typmods) if written.typmods else ()
    dimensions = len(written.arrayBounds)
    name = names[-1].text
    if len(names) > 1:
        schema = names[-2].text
        if schema == "pg_catalog" and name.startswith("_"):
            return _array("pg_catalog", name, typmods, dimensions)
    elif name in TYPES or name in SERIALS:
        schema = "pg_catalog"
    else:
        return _looked_up(database, search_path, name, typmods, dimensions)
    return Type(schema, name, typmods, dimensions) if typmods or dimensions else plain_type(schema, name)


def _looked_up(
    database: Database, search_path: Sequence[str], name: str, typmods: tuple[int | str, ...], dimensions: int
) -> Type:
    """The type that a name without a schema means, where it is no built-in one."""
    for place in search_path:
        at = Name(place, name)
        if at in database.domains or at in database.enums or at in database.types or at in database.relations:
            return Type(place, name, typmods, dimensions)
    if name in _OF_EXTENSIONS:
        return Type(database.extensions.get(_OF_EXTENSIONS[name], ""), name, typmods, dimensions)
    if name.startswith("_"):
        return _array("", name, typmods, dimensions)
    return Type("", name, typmods, dimensions)


def _array(schema: str, name: str, typmods: tuple[int | str, ...], dimensions: int) -> Type:
    """`_int4` is how the catalog calls `int4[]`."""
    if name.startswith("_") and name[1:] in TYPES:
        return Type("pg_catalog", name[1:], typmods, max(dimensions, 1))
    return Type(schema, name, typmods, dimensions)


def _typmod(node: Any) -> int | str:
    constant = node.A_Const
    value = constant.value if constant is not None else None
    return value if isinstance(value, int | str) else ""


def type_text(
    kind: Type | None,
) -> str | None:
    """A type as format_type() writes it, with its schema where it is not a built-in one; None where it is not known."""
    if kind is None:
        return None
    schema, name, typmods, dimensions = kind
    brackets = "[]" if dimensions else ""
    if schema == "pg_catalog":
        text = TYPE_NAMES.get(name, name)
        if typmods:
            if name == "interval":
                return _interval(typmods) + brackets
            inner = ",".join(map(str, _complete(name, typmods)))
            first, space, rest = text.partition(" ")  # the length stands after the first word of `timestamp with …`
            if name in {"varchar", "varbit"}:
                return f"{text}({inner}){brackets}"
            return f"{first}({inner}){space}{rest}{brackets}"
        return ("bpchar" if name == "bpchar" else text) + brackets
    text = qualified(schema, name) if schema else quote_identifier(name)
    return f"{text}({','.join(map(str, typmods))}){brackets}" if typmods else text + brackets


def _complete(name: str, typmods: tuple[int | str, ...]) -> tuple[int | str, ...]:
    return (*typmods, 0) if name == "numeric" and len(typmods) == 1 else typmods


def _interval(typmods: tuple[int | str, ...]) -> str:
    fields = _INTERVAL_FIELDS.get(typmods[0]) if isinstance(typmods[0], int) else None
    precision = f"({typmods[1]})" if len(typmods) > 1 else ""
    return f"interval {fields}{precision}" if fields else f"interval{precision}"
