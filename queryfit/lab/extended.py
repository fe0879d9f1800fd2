"""What CREATE STATISTICS objects hold, written into the lab.

pg_stats_ext shows it as text; the planner reads values of types that take no input. Counts of distinct groups and
functional dependencies are serialised here as PostgreSQL does (src/backend/statistics: mvdistinct.c, dependencies.c,
the same from 13 to 18). A list of common values is built by the server itself: ANALYZE over a scratch table that holds
each of them once, then the captured frequencies are put in the place of those.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from queryfit.lab.carried import NotCarried
from queryfit.lab.facts import Row
from queryfit.lab.old_statistics import SCRATCH
from queryfit.sql.names import quote_identifier

if TYPE_CHECKING:
    from collections.abc import Callable

_DISTINCT_MAGIC = 0xA352BFA4
_DEPENDENCIES_MAGIC = 0xB4549A2C
_TYPE_BASIC = 1
_INHERITED_SINCE = 15  # before, an object has one set of data
CASTS = tuple(f"(bytea as {name})" for name in ("pg_ndistinct", "pg_dependencies", "pg_mcv_list"))


@dataclass(frozen=True, slots=True)
class _Object:
    """A statistics object in the lab."""

    oid: int
    numbers: Mapping[int, int]  # captured attribute number to the lab's
    types: Sequence[str]  # of its columns by number, then of its expressions


def distinct_counts(text: str, numbers: Mapping[int, int]) -> bytes:
    """The pg_ndistinct of what prints as `{"2, 3": 1000}`. Raises ValueError or KeyError where it is none."""
    items = [(_numbers(key, numbers), float(value)) for key, value in json.loads(text).items()]
    return struct.pack("=III", _DISTINCT_MAGIC, _TYPE_BASIC, len(items)) + b"".join(
        struct.pack(f"=di{len(places)}h", value, len(places), *places) for places, value in items
    )


def dependencies(text: str, numbers: Mapping[int, int]) -> bytes:
    """The pg_dependencies of what prints as `{"2 => 3": 0.98}`. Raises ValueError or KeyError where it is none."""
    items = [(_numbers(key.replace("=>", ","), numbers), float(value)) for key, value in json.loads(text).items()]
    return struct.pack("=III", _DEPENDENCIES_MAGIC, _TYPE_BASIC, len(items)) + b"".join(
        struct.pack(f"=d{len(places) + 1}h", value, len(places), *places) for places, value in items
    )


def with_frequencies(
    serialised: bytes, dimensions: int, given: Sequence[float], wanted: Sequence[tuple[float, float]]
) -> bytes:
    """A serialised pg_mcv_list with other frequencies.

    `given` are those that it has, in order; `wanted` frequency and base frequency of each item. Raises ValueError
    where the bytes are not laid out as expected.
    """
    size = dimensions * 3 + 16  # null flags, two frequencies, places of the values
    begin = len(serialised) - size * len(given)
    changed = bytearray(serialised)
    for number, (before, after) in enumerate(zip(given, wanted, strict=True)):
        at = begin + number * size + dimensions
        if abs(struct.unpack_from("=d", changed, at)[0] - before) > 1e-9:  # noqa: PLR2004 -- it is printed rounded
            raise ValueError("a list of common values is laid out otherwise on this server")
        struct.pack_into("=dd", changed, at, *after)
    return bytes(changed)


def _numbers(words: str, numbers: Mapping[int, int]) -> list[int]:
    return [number if (number := int(word)) < 0 else numbers[number] for word in words.split(",")]


@dataclass(slots=True)
class Extended:
    """Writes them over autocommit connections.

    `restore` writes one row of column statistics for a scratch table (schema and name), and answers with a problem in
    words.
    """

    superuser: psycopg.Connection[Any]
    owner: psycopg.Connection[Any]
    version: int
    restore: Callable[[Row, tuple[str, str]], str | None]

    def write(
        self, rows: Iterable[Row], expressions: Iterable[Row], columns: Mapping[str, list[Row]]
    ) -> list[NotCarried]:
        """Write rows of `extended_statistics` and `extended_expression_statistics`; returns what could not be."""
        by_object: dict[tuple[str, bool], list[Row]] = {}
        for row in expressions:
            by_object.setdefault((row["statistics_name"], row["is_inherited"]), []).append(row)
        missing: list[NotCarried] = []
        for cast in CASTS:
            self.superuser.execute(f"create cast {cast} without function".encode())
        try:
            for row in rows:
                found = self._find(row, columns.get(row["relation"], []))
                if found is None:
                    continue  # the object itself is not there, which is told already
                if row["is_inherited"] is None:
                    continue  # nothing was found for it on the server either, or that is told as a gap
                try:
                    self._write(row, found, by_object.get((row["statistics_name"], row["is_inherited"]), []))
                except (psycopg.Error, ValueError, KeyError, struct.error) as error:
                    reason = (str(error) or type(error).__name__).partition("\n")[0]
                    missing.append(NotCarried("statistics", row["statistics_name"], reason, (row["relation"],)))
        finally:
            for cast in CASTS:
                self.superuser.execute(f"drop cast {cast}".encode())
        return missing

    def _find(self, row: Row, columns: Sequence[Row]) -> _Object | None:
        there = self.superuser.execute(
            b"""select s.oid::int8, s.stxrelid::int8, s.stxkeys::int2[], n.nspname, s.stxname
            from pg_statistic_ext as s join pg_namespace as n on n.oid = s.stxnamespace
            where quote_ident(n.nspname) || '.' || quote_ident(s.stxname) = %s""",
            [row["statistics_name"]],
        ).fetchone()
        if there is None:
            return None
        here = dict(
            self.superuser.execute(
                b"select attname::text, attnum::int4 from pg_attribute where attrelid = %s::oid and attnum > 0",
                [there[1]],
            ).fetchall()
        )
        numbers = {
            column["position"]: here[column["column_name"]] for column in columns if column["column_name"] in here
        }
        types = [
            name
            for (name,) in self.superuser.execute(
                b"select format_type(atttypid, atttypmod) from pg_attribute"
                b" where attrelid = %s::oid and attnum = any (%s) order by attnum",
                [there[1], list(there[2])],
            ).fetchall()
        ]
        return _Object(there[0], numbers, types)

    def _write(self, row: Row, found: _Object, expressions: Sequence[Row]) -> None:
        values: dict[str, object] = {}
        if row["distinct_counts"] is not None:
            values["stxdndistinct"] = distinct_counts(row["distinct_counts"], found.numbers)
        if row["dependencies"] is not None:
            values["stxddependencies"] = dependencies(row["dependencies"], found.numbers)
        types = [*found.types, *self._expression_types(row)]
        if row["common_values"] is not None:
            values["stxdmcv"] = self._common_values(row, types)
        inherited = self.version >= _INHERITED_SINCE
        keys = "stxoid, stxdinherit" if inherited else "stxoid"
        given: list[object] = [found.oid, *([row["is_inherited"]] if inherited else [])]
        casts = {"stxdndistinct": "pg_ndistinct", "stxddependencies": "pg_dependencies", "stxdmcv": "pg_mcv_list"}
        self.superuser.execute(
            f"delete from pg_statistic_ext_data where ({keys}) = ({', '.join(['%s'] * len(given))})".encode(), given
        )
        names = "".join(f", {name}" for name in values)
        holes = ", ".join(["%s"] * len(given) + [f"%s::bytea::{casts[name]}" for name in values])
        self.superuser.execute(
            f"insert into pg_statistic_ext_data ({keys}{names}) values ({holes})".encode(),
            [*given, *values.values()],
        )
        if expressions:
            self._expressions(types[len(found.types) :], expressions, keys, given)

    def _expression_types(self, row: Row) -> list[str]:
        """Types of the expressions of an object, asked of a view over its table."""
        if not row["expressions"]:
            return []
        texts = [
            text for (text,) in self.superuser.execute(b"select unnest(%s::text[])", [row["expressions"]]).fetchall()
        ]
        found = []
        for text in texts:
            # the expression is the capture's own, so its owner asks; one SELECT, by the extended protocol
            with self.owner.cursor(binary=True) as cursor:
                cursor.execute(f"select ({text.replace('%', '%%')}) from {row['relation']} limit %s".encode(), [0])
                kind, modifier = (cursor.description or [])[0].type_code, cursor.pgresult.fmod(0)  # type: ignore[union-attr]
            (name,) = self.superuser.execute(b"select format_type(%s::oid, %s)", [kind, modifier]).fetchone() or (
                "text",
            )
            found.append(name)
        return found

    def _scratch(self, types: Sequence[str]) -> str:
        name = f"public.{SCRATCH}"
        self.owner.execute(f"drop table if exists {name}".encode())
        columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(types, 1))
        self.owner.execute(f"create table {name} ({columns})".encode())
        return name

    def _common_values(self, row: Row, types: Sequence[str]) -> bytes:
        name = self._scratch(types)
        columns = ", ".join(f"c{number}" for number in range(1, len(types) + 1))
        try:
            self.owner.execute(f"create statistics public.{SCRATCH}_s (mcv) on {columns} from {name}".encode())
            self.owner.execute(f"alter statistics public.{SCRATCH}_s set statistics 10000".encode())
            items = _items(self.superuser, row)
            holes = ", ".join(f"%s::text::{kind}" for kind in types)
            with self.owner.cursor() as cursor:
                cursor.executemany(f"insert into {name} values ({holes})".encode(), [values for values, _ in items])
            self.owner.execute(f"analyze {name}".encode())
            # as this session prints them: what was captured may print otherwise
            texts = ", ".join(f"c{number}::text" for number in range(1, len(types) + 1))
            printed = self.superuser.execute(f"select {texts} from {name} order by ctid".encode()).fetchall()
            wanted = dict(zip(printed, (frequencies for _, frequencies in items), strict=True))
            there = self.superuser.execute(
                b"select d.stxdmcv::text, m.index, m.values, m.frequency from pg_statistic_ext as s"
                b" join pg_statistic_ext_data as d on d.stxoid = s.oid, pg_mcv_list_items(d.stxdmcv) as m"
                b" where s.stxname = %s order by m.index",
                [f"{SCRATCH}_s"],
            ).fetchall()
            if len(there) != len(items):
                raise ValueError(f"of {len(items)} common values {len(there)} were taken")
            frequencies = [wanted[tuple(values)] for _, _, values, _ in there]
            serialised = bytes.fromhex(there[0][0].removeprefix("\\x"))
            return with_frequencies(serialised, len(types), [line[3] for line in there], frequencies)
        finally:
            self.owner.execute(f"drop table if exists {name}".encode())

    def _expressions(
        self, types: Sequence[str], expressions: Sequence[Row], keys: str, given: Sequence[object]
    ) -> None:
        """As rows of pg_statistic, which is how the server keeps them: made for columns of a scratch table."""
        name = self._scratch(types)
        try:
            for one in expressions:
                column = {**one, "column_name": f"c{one['position']}", "is_inherited": False}
                problem = self.restore(column, ("public", SCRATCH))
                if problem is not None:
                    raise ValueError(problem)
            own = [
                quote_identifier(column)
                for (column,) in self.superuser.execute(
                    b"select attname::text from pg_attribute where attrelid = 'pg_statistic'::regclass and attnum > 3"
                    b" and not attisdropped order by attnum"
                ).fetchall()
            ]
            self.superuser.execute(
                f"""update pg_statistic_ext_data set stxdexpr = (
                    select array_agg(
                        case when s.starelid is not null then
                            row(0::oid, 0::int2, false, {", ".join(f"s.{column}" for column in own)})::pg_statistic
                        end order by n)
                    from generate_series(1, {len(types)}) as n
                    left join pg_statistic as s
                        on s.starelid = to_regclass('{name}') and s.staattnum = n and not s.stainherit)
                where ({keys}) = ({", ".join(["%s"] * len(given))})""".encode(),
                list(given),
            )
        finally:
            self.owner.execute(f"drop table if exists {name}".encode())


def _items(connection: psycopg.Connection[Any], row: Row) -> list[tuple[tuple[str | None, ...], tuple[float, float]]]:
    """Values (null where they are null), and their frequency and base frequency."""
    (values, nulls) = connection.execute(
        b"select %s::text[], %s::boolean[]", [row["common_values"], row["common_nulls"]]
    ).fetchone() or ([], [])
    return [
        (
            tuple(None if is_null else value for value, is_null in zip(line, flags, strict=True)),
            (frequency, base),
        )
        for line, flags, frequency, base in zip(
            values, nulls, row["common_frequencies"], row["common_base_frequencies"], strict=True
        )
    ]
