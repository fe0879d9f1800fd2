"""SQL expressions for made-up values: over the row's number `g`, unlike each other where the type allows it."""

from __future__ import annotations

from collections.abc import Mapping

# Expressions over g by the type's name; text and everything unknown goes through text.
BY_TYPE: Mapping[str, tuple[str, ...]] = {
    "bool": ("g % 2 = 0",),
    "int2": ("g % 32000", "g % 5 + 1"),
    "int4": ("g",),
    "int8": ("g",),
    "float4": ("g",),
    "float8": ("g",),
    "numeric": ("g", "g % 9 + 1", "g % 9 / 10.0"),
    "money": ("g::int",),
    "oid": ("g",),
    "date": ("date '2020-01-01' + g::int",),
    "timestamp": ("timestamp '2020-01-01' + g * interval '1 hour'",),
    "timestamptz": ("timestamptz '2020-01-01' + g * interval '1 hour'",),
    "time": ("time '00:00' + g * interval '1 minute'",),
    "timetz": ("timetz '00:00+00' + g * interval '1 minute'",),
    "interval": ("g * interval '1 minute'",),
    "uuid": ("md5(g::text)::uuid",),
    "json": ("'{}'", "'[]'"),
    "jsonb": ("jsonb_build_object('n', g)", "'[]'"),
    "jsonpath": ("'$'",),
    "bytea": ("decode(lpad(to_hex(g), 8, '0'), 'hex')",),
    "inet": ("inet '10.0.0.0' + g",),
    "cidr": ("set_masklen((inet '10.0.0.0' + g)::cidr, 32)",),
    "macaddr": ("lpad(to_hex(g), 12, '0')::macaddr",),
    "xml": ("'<a/>'",),
    "point": ("point(g, g)",),
    "line": ("line(point(0, 0), point(1, g))",),
    "lseg": ("lseg(point(0, 0), point(1, g))",),
    "box": ("box(point(g, g), point(g + 0.5, g + 0.5))",),
    "path": ("'((0,0),(1,1))'",),
    "polygon": ("'((0,0),(1,1),(1,0))'",),
    "circle": ("circle(point(g, g), 0.4)",),
    "int4range": ("int4range(g::int, g::int + 1)",),
    "int8range": ("int8range(g, g + 1)",),
    "numrange": ("numrange(g, g + 1)",),
    "daterange": ("daterange(date '2020-01-01' + g::int, date '2020-01-02' + g::int)",),
    "tsrange": (
        "tsrange(timestamp '2020-01-01' + g * interval '1 hour', timestamp '2020-01-01' + (g + 1) * interval '1 hour')",
    ),
    "tstzrange": (
        "tstzrange(timestamptz '2020-01-01' + g * interval '1 h', timestamptz '2020-01-01' + (g + 1) * interval '1 h')",
    ),
    "tsvector": ("array_to_tsvector(array['v' || g])",),
    "tsquery": ("('v' || g)::tsquery",),
    "hstore": ("'n=>1'",),
    "name": ("'v' || g",),
    "ltree": ("'v' || g",),
    "regclass": ("'pg_catalog.pg_class'",),
    "bit": ("g::int",),
}
TEXT = (
    "'v' || g",
    "g::text",
    "'v' || g || '@example.com'",
    "'https://example.com/' || g",
    "'V' || g",
    "lower(md5(g::text))",
)
