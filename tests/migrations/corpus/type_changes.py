# ruff: noqa: E501 - tables of statements, one a cell
"""ALTER COLUMN … TYPE: pairs of types, by what stands on the column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tests.migrations.corpus.case import Case, rows

TYPES = (
    "create type mood as enum ('a', 'b', 'c')",
    "create type feeling as enum ('a', 'b', 'c')",
    "create domain free_text as text",
    "create domain checked_text as text check (value <> '')",
    "create domain short_text as varchar(20)",
    "create domain checked_short as varchar(20) check (value <> '')",
    "create domain free_int as int",
    "create domain checked_int as int check (value > 0)",
    "create domain required_int as int not null",
    "create domain defaulted_int as int default 3",
    "create domain nested_int as checked_int",
    "create domain long_int as bigint",
    "create type pair as (x int, y text)",
)
# type before -> how to make its values over g; the second says if it has a B-tree order
VALUES: Mapping[str, tuple[str, bool]] = {
    "varchar(10)": ("'v' || g", True),
    "varchar(20)": ("'v' || g", True),
    "varchar": ("'v' || g", True),
    "text": ("'v' || g", True),
    "char(5)": ("g::text", True),
    "char(10)": ("g::text", True),
    '"char"': ("chr(33 + g % 90)", True),
    "name": ("'v' || g", True),
    "numeric": ("g", True),
    "numeric(8,2)": ("g", True),
    "numeric(10,2)": ("g", True),
    "numeric(10,4)": ("g", True),
    "smallint": ("g", True),
    "int": ("g", True),
    "bigint": ("g", True),
    "real": ("g", True),
    "double precision": ("g", True),
    "oid": ("g", True),
    "regclass": ("g::oid::regclass", True),
    "money": ("g::int::money", True),
    "boolean": ("g % 2 = 0", True),
    "timestamp": ("timestamp '2024-01-01' + g * interval '1 hour'", True),
    "timestamp(3)": ("timestamp '2024-01-01' + g * interval '1 hour'", True),
    "timestamp(6)": ("timestamp '2024-01-01' + g * interval '1 hour'", True),
    "timestamptz": ("timestamptz '2024-01-01' + g * interval '1 hour'", True),
    "timestamptz(3)": ("timestamptz '2024-01-01' + g * interval '1 hour'", True),
    "date": ("date '2024-01-01' + g", True),
    "time": ("time '00:00' + g * interval '1 min'", True),
    "time(3)": ("time '00:00' + g * interval '1 min'", True),
    "timetz": ("timetz '00:00+00' + g * interval '1 min'", True),
    "interval": ("g * interval '1 min'", True),
    "interval(3)": ("g * interval '1 min'", True),
    "interval(6)": ("g * interval '1 min'", True),
    "interval day to second": ("g * interval '1 min'", True),
    "interval day to second(3)": ("g * interval '1 min'", True),
    "interval year to month": ("g * interval '1 month'", True),
    "interval day": ("g * interval '1 day'", True),
    "interval hour to minute": ("g * interval '1 min'", True),
    "bit(8)": ("g::bit(8)", True),
    "varbit(8)": ("g::bit(8)", True),
    "varbit(16)": ("g::bit(8)", True),
    "varbit": ("g::bit(8)", True),
    "mood": ("(array['a', 'b', 'c'])[1 + g % 3]::mood", True),
    "free_text": ("'v' || g", True),
    "checked_text": ("'v' || g", True),
    "short_text": ("'v' || g", True),
    "free_int": ("g", True),
    "checked_int": ("g", True),
    "varchar(10)[]": ("array['v' || g]", True),
    "varchar(20)[]": ("array['v' || g]", True),
    "text[]": ("array['v' || g]", True),
    "int[]": ("array[g]", True),
    "numeric(8,2)[]": ("array[g]", True),
    "timestamp(3)[]": ("array[timestamp '2024-01-01' + g * interval '1 hour']", True),
    "json": ("'{}'", False),
    "jsonb": ("jsonb_build_object('n', g)", True),
    "cidr": ("set_masklen((inet '10.0.0.0' + g)::cidr, 32)", True),
    "inet": ("inet '10.0.0.0' + g", True),
    "uuid": ("md5(g::text)::uuid", True),
    "bytea": ("decode(lpad(to_hex(g), 8, '0'), 'hex')", True),
    "citext": ("'v' || g", True),
    "int4range": ("int4range(g, g + 1)", True),
    "point": ("point(g, g)", False),
    "tsvector": ("array_to_tsvector(array['v' || g])", True),
    "pair": ("row(g, 'v')::pair", True),
    'text collate "C"': ("'v' || g", True),
    'varchar(10) collate "C"': ("'v' || g", True),
}
# type before -> types after, each with what follows the type (USING, COLLATE)
PAIRS: Mapping[str, tuple[str, ...]] = {
    "varchar(10)": (
        "varchar(20)", "varchar(10)", "varchar", "text", "char(10)", "short_text", "checked_short", "free_text", "checked_text", "citext",
        "name", 'varchar(20) collate "C"', 'varchar(10) collate "C"', 'text collate "C"', "varchar(20) using c::varchar(20)",
        "varchar(20) using c", "text using c::text", "text using c", "text using (c)", "varchar(20) using c::text",
        "varchar(20) using c::varchar(20)::varchar(20)", "text using lower(c)", "character varying(11)", "varchar(9)",
        "varchar(20) using c::varchar(15)", "text using c::varchar(10)", "text using c::varchar(20)::text",
    ),
    "varchar(20)": ("varchar(10)", "short_text", "checked_short", "text"),
    "varchar": ("varchar(10)", "text", "varchar(255)", "free_text", "varchar using c"),
    "text": (
        "text", "varchar", "varchar(10)", "char(5)", "citext", "free_text", "checked_text", "short_text", "checked_short", "name",
        'text collate "C"', 'text collate "POSIX"', 'text collate "default"', "text using c", "text using lower(c)", "text using c || ''",
        "varchar(10) using c::varchar(10)", "varchar(10) using substr(c, 1, 10)", "int using length(c)", "int using id",
        "text[] using array[c]", "json using to_json(c)", "jsonb using to_jsonb(c)", "bytea using c::bytea", "mood using 'a'::mood",
        "uuid using md5(c)::uuid", '"char"', "text using 'x'", "text using c::text",
        "text using c::varchar", "text using trim(c)", "text using coalesce(c, '')", 'text using c collate "C"', "varchar using c",
        "varchar using c::varchar", "tsvector using to_tsvector('simple', c)", "boolean using c = 'v1'", "timestamptz using now()",
    ),
    "char(5)": ("char(10)", "char(5)", "char(4)", "varchar(5)", "text", "varchar(10)", "varchar", "varchar(3)"),
    "char(10)": ("char(5)", "varchar(20)"),
    '"char"': ("text", "varchar(5)"),
    "name": ("text", "varchar", "varchar(64)", "varchar(10)"),
    "numeric": ("numeric(10,2)", "numeric", "int", "double precision", "text", "numeric(1000,0)"),
    "numeric(8,2)": ("numeric(10,2)", "numeric(8,2)", "numeric(10,4)", "numeric(8,4)", "numeric(10,3)", "numeric", "numeric(8,1)", "numeric(9,2)",
                     "numeric(7,2)", "int", "money", "numeric(12,2) using c::numeric(12,2)", "numeric(12,2) using c", "decimal(12,2)"),
    "numeric(10,2)": ("numeric(8,2)", "numeric(12,0)", "bigint", "real", "numeric(10)", "numeric(11,2)"),
    "numeric(10,4)": ("numeric(10,2)", "numeric(14,4)"),
    "smallint": ("int", "bigint", "numeric", "text", "boolean using c > 1"),
    "int": ("bigint", "smallint", "int", "numeric", "numeric(10,2)", "text", "varchar(20)", "double precision", "oid", "regclass", "free_int", "checked_int",
            "required_int", "defaulted_int", "nested_int", "long_int", "money", "int using c", "int using c + 0", "int using id", "bigint using c",
            "bigint using c::bigint", "boolean using c = 1", "timestamptz using to_timestamp(c)", "text using c::text", "int using 1",
            "int using c::int", "uuid using gen_random_uuid()", "int[] using array[c]", "oid using c::oid", "checked_int using c", "bigint using c * 2"),
    "bigint": ("int", "bigint", "numeric", "oid", "text", "int using c::int", "long_int", "numeric(20,0)"),
    "real": ("double precision", "numeric"),
    "double precision": ("real", "numeric", "numeric(10,2)", "int"),
    "oid": ("int", "bigint", "regclass", "text", "oid"),
    "regclass": ("oid", "int", "bigint", "text"),
    "money": ("numeric", "numeric(10,2)"),
    "boolean": ("text", "int using c::int", "varchar(5)", "boolean"),
    "timestamp": ("timestamptz", "timestamp(3)", "timestamp(6)", "timestamp", "date", "time", "text", "timestamptz using c at time zone 'UTC'",
                  "timestamptz(3)", "timestamp without time zone", "timestamptz using c::timestamptz", "timestamptz using c"),
    "timestamp(3)": ("timestamp", "timestamp(6)", "timestamp(3)", "timestamp(0)", "timestamptz", "timestamptz(3)", "timestamptz(6)", "timestamp(4)"),
    "timestamp(6)": ("timestamp", "timestamp(3)", "timestamptz"),
    "timestamptz": ("timestamp", "timestamptz(3)", "timestamptz(6)", "timestamptz", "date", "timetz", "timestamp using c at time zone 'UTC'", "timestamp(3)",
                    "timestamp using c"),
    "timestamptz(3)": ("timestamptz", "timestamptz(6)", "timestamptz(0)", "timestamp(3)", "timestamp"),
    "date": ("timestamp", "timestamptz", "text", "date"),
    "time": ("time(3)", "time(6)", "timetz", "interval", "text"),
    "time(3)": ("time", "time(6)", "time(0)"),
    "timetz": ("time", "timetz(3)", "timetz(6)"),
    "interval": ("interval(3)", "interval(6)", "interval", "interval day to second", "interval year to month", "interval day", "time", "text",
                 "interval hour to second(6)", "interval second"),
    "interval(3)": ("interval", "interval(6)", "interval(0)", "interval day to second"),
    "interval(6)": ("interval", "interval(3)"),
    "interval day to second": ("interval", "interval(6)", "interval hour to minute", "interval day to second(3)", "interval year to month", "interval day to second(6)",
                               "interval second"),
    "interval day to second(3)": ("interval", "interval day to second", "interval day to second(6)", "interval second(3)"),
    "interval year to month": ("interval", "interval day", "interval year", "interval day to second"),
    "interval day": ("interval day to hour", "interval day to second", "interval", "interval hour", "interval month"),
    "interval hour to minute": ("interval day to minute", "interval minute", "interval hour to second", "interval"),
    "bit(8)": ("bit(16)", "bit(8)", "varbit(8)", "varbit(16)", "varbit", "bit(4)"),
    "varbit(8)": ("varbit(16)", "varbit", "bit(8)", "varbit(4)", "varbit(8)"),
    "varbit(16)": ("varbit(8)",),
    "varbit": ("varbit(8)", "varbit"),
    "mood": ("text", "varchar(20)", "feeling using c::text::feeling", "text using c::text", "mood", "mood[] using array[c]"),
    "free_text": ("text", "checked_text", "varchar(10)", "short_text", "varchar"),
    "checked_text": ("text", "free_text", "varchar"),
    "short_text": ("varchar(20)", "varchar(30)", "text", "varchar(10)", "checked_short"),
    "free_int": ("int", "checked_int", "bigint", "nested_int"),
    "checked_int": ("int", "free_int", "nested_int", "bigint", "required_int"),
    "varchar(10)[]": ("varchar(20)[]", "varchar(5)[]", "text[]", "varchar[]", "text", "varchar(10)[]"),
    "varchar(20)[]": ("varchar(10)[]",),
    "text[]": ("varchar[]", "varchar(10)[]", "text[]", "text using c[1]", "text", 'text[] collate "C"', "jsonb using to_jsonb(c)"),
    "int[]": ("bigint[]", "text[]", "int[]", "oid[]", "int[] using c"),
    "numeric(8,2)[]": ("numeric(10,2)[]", "numeric[]", "numeric(10,4)[]"),
    "timestamp(3)[]": ("timestamp[]", "timestamp(6)[]", "timestamptz[]"),
    "json": ("jsonb", "text", "json", "jsonb using c::jsonb"),
    "jsonb": ("json", "text", "jsonb", "jsonb using c"),
    "cidr": ("inet", "text"),
    "inet": ("cidr using c::cidr", "text", "inet"),
    "uuid": ("text", "uuid", "varchar(36)"),
    "bytea": ("text using encode(c, 'hex')", "bytea"),
    "citext": ("text", "varchar", "citext", "varchar(20)"),
    "int4range": ("text", "numrange using numrange(lower(c), upper(c))"),
    "point": ("text",),
    "tsvector": ("text",),
    "pair": ("text", "pair"),
    'text collate "C"': ("text", 'text collate "C"', 'text collate "POSIX"', 'varchar collate "C"', "varchar(10)", "citext"),
    'varchar(10) collate "C"': ('varchar(20) collate "C"', "varchar(20)", "text", 'text collate "C"'),
}  # fmt: skip
# what stands on the column: name -> (definition of the column after its type, statements after the table, needs order)
PLACES: Mapping[str, tuple[str, tuple[str, ...], bool]] = {
    "plain": ("", (), False),
    "not null": ("not null", (), False),
    "indexed": ("", ("create index t_c on t (c)",), True),
    "indexed twice": ("", ("create index t_c on t (c)", "create index t_oc on t (o, c desc)"), True),
    "expression index": ("", ("create index t_c on t (coalesce(c, c))",), True),
    "partial index over it": ("", ("create index t_o on t (o) where c is not null",), False),
    "partial index on it": ("", ("create index t_c on t (c) where o is not null",), True),
    "included": ("", ("create index t_o on t (o) include (c)",), False),
    "other column indexed": ("", ("create index t_o on t (o)",), False),
    "check": ("", ("alter table t add constraint t_check check (c is not null)",), False),
    "check not valid": ("", ("alter table t add constraint t_check check (c is not null) not valid",), False),
    "check on another column": ("", ("alter table t add constraint t_check check (o <> 'x')",), False),
    "statistics": ("", ("create statistics t_stat on c, o from t",), True),
}
# the same for fewer pairs, since each asks its own question only once
RARE_PLACES: Mapping[str, tuple[str, tuple[str, ...], bool]] = {
    "primary key": ("", ("alter table t drop constraint t_pkey", "alter table t add primary key (c)"), True),
    "part of the primary key": (
        "",
        ("alter table t drop constraint t_pkey", "alter table t add primary key (id, c)"),
        True,
    ),
    "unique": ("", ("alter table t add constraint t_c_key unique (c)",), True),
    "unique index": ("", ("create unique index t_c on t (c)",), True),
    "hash index": ("", ("create index t_c on t using hash (c)",), True),
    "exclusion": ("", ("alter table t add constraint t_excl exclude using btree (c with =)",), True),
    "default": ("default null", (), False),
    "unlogged": ("", ("alter table t set unlogged",), False),
    "inherited": ("", ("create table kid () inherits (t)", "insert into kid select * from t"), False),
    "inherited with index": (
        "",
        ("create table kid () inherits (t)", "insert into kid select * from t", "create index kid_c on kid (c)"),
        True,
    ),
    "empty": ("", ("truncate t",), False),
    "trigger": (
        "",
        (
            "create trigger t_trigger before update on t for each row execute function suppress_redundant_updates_trigger()",
        ),
        False,
    ),
    "trigger of the column": (
        "",
        (
            "create trigger t_trigger before update of c on t for each row execute function suppress_redundant_updates_trigger()",
        ),
        False,
    ),
    "view": ("", ("create view w as select c from t",), False),
    "view of another column": ("", ("create view w as select o from t",), False),
    "generated from it": ("", ("alter table t add column gen boolean generated always as (c is null) stored",), False),
    "policy": ("", ("create policy t_policy on t using (c is not null)",), False),
}
RARE = frozenset({"varchar(10)", "text", "int", "bigint", "numeric(8,2)", "timestamp(3)", "bit(8)", "free_text"})
RARE_AFTER = frozenset({
    "varchar(20)", "text", "bigint", "int", "numeric(10,2)", "varchar(5)", "checked_text", "varbit(16)", "timestamp", "text using lower(c)",
    "varchar", "varchar(10)", 'text collate "C"', "numeric", "timestamptz", "numeric(10,4)", "checked_int", "free_text",
})  # fmt: skip
LESS_COMMON = frozenset(PLACES) - {"plain", "indexed", "check", "partial index over it"}


def cases() -> Iterator[Case]:
    for before, after_types in PAIRS.items():
        for place in PLACES:
            if place not in LESS_COMMON:
                yield from _place(before, after_types, place, PLACES[place])
            elif before in RARE:
                some = [after for number, after in enumerate(after_types) if after in RARE_AFTER or number % 3 == 0]
                yield from _place(before, some, place, PLACES[place])
        if before in RARE:
            for place, what in RARE_PLACES.items():
                yield from _place(before, [after for after in after_types if after in RARE_AFTER], place, what)
    yield from _zones()
    yield from _keys()
    yield from _families()
    yield from _several()


def _table(before: str, place: tuple[str, tuple[str, ...], bool], type_after: str = "") -> tuple[str, ...]:
    suffix, after, _ = place
    return (
        *(("create extension if not exists citext",) if "citext" in before + type_after else ()),
        *TYPES,
        f"create table t (id int primary key, c {before} {suffix}, o text)",
        rows("t", "id, c, o", "g", VALUES[before][0], "'o' || g"),
        *after,
    )


def _place(
    before: str, after_types: Iterable[str], name: str, place: tuple[str, tuple[str, ...], bool]
) -> Iterator[Case]:
    if place[2] and not VALUES[before][1]:
        return
    if name in {"primary key", "unique", "unique index", "hash index"} and before in {
        "mood",
        "boolean",
        '"char"',
        "bit(8)",
    }:
        return
    for after in after_types:
        setup = _table(before, place, after)
        yield Case(
            f"alter type, {name}", f"{before} to {after}", setup, (f"alter table t alter column c type {after}",)
        )


def _zones() -> Iterator[Case]:
    """The session's time zone decides if timestamps have to be written anew."""
    for before, after in (
        ("timestamp", "timestamptz"), ("timestamptz", "timestamp"), ("timestamp(3)", "timestamptz(3)"),
        ("timestamptz(3)", "timestamp(6)"), ("timestamp(3)", "timestamptz"), ("timestamptz", "timestamp(3)"),
        ("timestamp", "timestamptz using c::timestamptz"), ("timestamp", "timestamptz using c at time zone 'UTC'"),
        ("timestamptz", "timestamp using c at time zone 'UTC'"), ("timestamp(3)[]", "timestamptz(3)[]"),
        ("date", "timestamptz"), ("timestamptz", "date"),
    ):  # fmt: skip
        for zone in ("'UTC'", "'Europe/Berlin'", "'GMT'", "'Etc/UTC'", "0", "'Africa/Abidjan'", "default", "local"):
            for place in ("plain", "indexed"):
                for word in ("set", "set local", "set session"):
                    if word != "set" and (zone not in {"'UTC'", "'Europe/Berlin'"} or place != "plain"):
                        continue
                    yield Case(
                        "alter type in a time zone",
                        f"{word} {zone}, {place}, {before} to {after}",
                        _table(before, PLACES[place]),
                        (f"{word} time zone {zone}", f"alter table t alter column c type {after}"),
                        "file" if word == "set local" else "each",
                    )


def _keys() -> Iterator[Case]:
    """Columns of foreign keys, on either side."""
    for before, afters in {
        "int": ("bigint", "int", "numeric", "int using c + 0", "free_int", "smallint"),
        "bigint": ("int", "numeric", "bigint"),
        "varchar(10)": ("varchar(20)", "text", "varchar(5)", "varchar"),
        "text": ("varchar", "varchar(10)", 'text collate "C"'),
        "numeric(8,2)": ("numeric(10,2)", "numeric", "numeric(10,4)"),
        "uuid": ("uuid",),
    }.items():
        value = VALUES[before][0]
        parent = f"create table parent (c {before} primary key, o text)"
        child = f"create table t (id int primary key, c {before} references parent, o text)"
        setup = (*TYPES, parent, rows("parent", "c", value), child, rows("t", "id, c", "g", value))
        for after in afters:
            yield Case(
                "alter type of a key",
                f"referencing {before} to {after}",
                setup,
                (f"alter table t alter c type {after}",),
            )
            yield Case(
                "alter type of a key",
                f"referenced {before} to {after}",
                setup,
                (f"alter table parent alter c type {after}",),
            )
            indexed = (*setup, "create index t_c on t (c)")
            yield Case(
                "alter type of a key",
                f"referencing, indexed {before} to {after}",
                indexed,
                (f"alter table t alter c type {after}",),
            )
            open_key = (
                *setup[:-2],
                child.replace(" references parent", ""),
                setup[-1],
                "alter table t add constraint t_fk foreign key (c) references parent not valid",
            )
            yield Case(
                "alter type of a key",
                f"referencing, not valid {before} to {after}",
                open_key,
                (f"alter table t alter c type {after}",),
            )
            yield Case(
                "alter type of a key",
                f"referenced, not valid {before} to {after}",
                open_key,
                (f"alter table parent alter c type {after}",),
            )
            own = (
                *TYPES,
                f"create table t (id int, c {before} primary key, p {before} references t)",
                rows("t", "id, c, p", "g", value, value),
            )
            yield Case(
                "alter type of a key", f"self {before} to {after}", own, (f"alter table t alter p type {after}",)
            )
            yield Case(
                "alter type of a key", f"self, key {before} to {after}", own, (f"alter table t alter c type {after}",)
            )


def _families() -> Iterator[Case]:
    """Partitioned tables, partitions, temporary tables, and ONLY."""
    for before, afters in {
        "int": ("bigint", "int", "text"),
        "varchar(10)": ("varchar(20)", "text", "varchar(5)"),
        "text": ("varchar(10)", "varchar"),
        "numeric(8,2)": ("numeric(10,2)", "numeric(10,4)"),
        "timestamp(3)": ("timestamp", "timestamp(0)"),
    }.items():
        value = VALUES[before][0]
        for place, after_table in {
            "partitioned": (),
            "partitioned, indexed": ("create index root_c on root (c)",),
            "partitioned, check": ("alter table root add constraint root_check check (c is not null)",),
            "partitioned, partition indexed": ("create index low_c on low (c)",),
            "partitioned, unique": ("alter table root add unique (k, c)",),
        }.items():
            setup = (
                *TYPES,
                f"create table root (k int, c {before}, o text) partition by range (k)",
                "create table low partition of root for values from (0) to (100)",
                "create table high partition of root for values from (100) to (1000) partition by range (k)",
                "create table high_one partition of high for values from (100) to (1000)",
                "create table rest partition of root default",
                rows("root", "k, c, o", "g * 10", value, "'o' || g"),
                *after_table,
            )
            for after in afters:
                for target in ("root", "only root", "low", "high"):
                    if target != "root" and place != "partitioned":
                        continue
                    statement = f"alter table {target} alter c type {after}"
                    yield Case(f"alter type, {place}", f"{target}: {before} to {after}", setup, (statement,))
        plain = (*TYPES, f"create table t (id int primary key, c {before}, o text)", rows("t", "id, c", "g", value),
                 "create table kid (extra int) inherits (t)", rows("kid", "id, c", "g", value))  # fmt: skip
        temporary = f"create temp table tmp (id int primary key, c {before})"
        for after in afters:
            for target in ("only t", "kid", "only kid", "t"):
                yield Case(
                    "alter type, inheritance",
                    f"{target}: {before} to {after}",
                    plain,
                    (f"alter table {target} alter c type {after}",),
                )
            yield Case(
                "alter type, temporary",
                f"{before} to {after}",
                TYPES,
                (temporary, rows("tmp", "id, c", "g", value), f"alter table tmp alter c type {after}"),
            )
            yield Case(
                "alter type, new table",
                f"{before} to {after}",
                TYPES,
                (f"create table fresh (id int primary key, c {before})", f"alter table fresh alter c type {after}"),
            )
            yield Case(
                "alter type, new in the transaction",
                f"{before} to {after}",
                TYPES,
                (
                    f"create table fresh (id int primary key, c {before})",
                    rows("fresh", "id, c", "g", value),
                    f"alter table fresh alter c type {after}",
                ),
                "file",
            )
            yield Case(
                "alter type, if exists",
                f"{before} to {after}",
                plain,
                (f"alter table if exists t alter c type {after}",),
            )
            yield Case(
                "alter type, foreign",
                f"absent {before} to {after}",
                plain,
                (f"alter table if exists absent alter c type {after}",),
            )


def _several() -> Iterator[Case]:
    """More than one action in a statement."""
    setup = (
        *TYPES,
        "create table t (id int primary key, a varchar(10), b varchar(10) not null, c int, d numeric(8,2) default 1, e timestamptz default now())",
        rows("t", "id, a, b, c, d", "g", "'v' || g", "'v' || g", "g", "g"),
        "create index t_a on t (a)", "create index t_bc on t (b, c)",
    )  # fmt: skip
    for actions in (
        "alter a type varchar(20), alter b type text", "alter a type varchar(20), alter c type bigint", "alter a type text, alter c set not null",
        "alter a type text, add column z int", "alter a type text, add column z float default random()", "alter d type numeric(10,2), alter d set default 2",
        "alter d drop default, alter d type numeric(10,4)", "alter c type bigint, alter c set default 1", "alter a type text, drop column c",
        "drop column a, alter c type bigint", "alter b type varchar(30), add constraint t_ck check (b <> '')", "alter c type bigint, add constraint t_u unique (c)",
        "alter b type varchar(30), add constraint t_u unique (b)", "alter a type varchar(30) using a::varchar(30), alter a set not null",
        "alter a type varchar(5), alter b type varchar(20)", "alter a set data type varchar(20), alter a set statistics 100", "alter e type timestamptz(3)",
        "alter e type timestamptz(6)", "alter d type bigint", "alter a type varchar(20), set (fillfactor = 80)", "alter b type text, alter b drop not null",
        "alter id type bigint", "alter id type bigint, alter c type bigint", "alter id type int", "alter a type text, disable trigger all",
        "alter a type text, owner to current_user", "alter a type text, add foreign key (c) references t (id)", "alter c type bigint, add foreign key (c) references t (id)",
        "alter c type bigint, add column z int references t (id)", "alter c type bigint, alter c type bigint",
    ):  # fmt: skip
        yield Case("several actions", actions, setup, (f"alter table t {actions}",))
