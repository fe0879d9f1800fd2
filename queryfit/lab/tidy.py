"""What a lab looked like when it was built, so that the next run finds it so, whatever the last one left."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypedDict

import psycopg

from queryfit.lab.files import SCHEMA

# Rows of these say what a relation is: a newer one means that DDL was committed. pg_class and pg_index are written for
# sizes and to hide indexes.
_SHAPES = (("pg_attribute", "attrelid"), ("pg_constraint", "conrelid"), ("pg_attrdef", "adrelid"))
_FOREIGN = (
    f"c.oid >= 16384 and c.relnamespace not in"
    f" (select oid from pg_namespace where nspname = '{SCHEMA}' or nspname like 'pg\\_%%')"
)
_KINDS = {"r": "table", "p": "table", "v": "view", "m": "materialized view", "f": "foreign table", "S": "sequence"}


class Mark(TypedDict):
    """A moment in the life of a lab's database; it is kept as JSON."""

    oid: int  # greatest of pg_class
    transaction: int  # id of the last one
    relations: int  # how many there are, indexes too
    invalid: list[int]  # oids of indexes that the build itself left invalid


def mark(connection: psycopg.Connection[Any]) -> Mark:
    """The database as it is now."""
    (oid, transaction, relations) = connection.execute(
        f"select max(c.oid)::int8, pg_current_xact_id()::text::int8, count(*) filter (where {_FOREIGN})"
        " from pg_class as c where true or %s::boolean".encode(),
        [True],
    ).fetchone() or (0, 0, 0)
    return {"oid": oid, "transaction": transaction, "relations": relations, "invalid": _invalid(connection)}


def is_as_built(connection: psycopg.Connection[Any], built: Mark) -> bool:
    """Whether nothing was made, dropped or hidden since; sizes are not looked at."""
    return not _left(connection, built) and _is_whole(connection, built) and _invalid(connection) == built["invalid"]


def tidy(connection: psycopg.Connection[Any], built: Mark) -> bool:
    """Drop what was made since, and show what was hidden. False where the lab is not what it was all the same."""
    for kind, name in sorted(_left(connection, built), key=lambda item: item[0] != "index"):
        with suppress(psycopg.Error):  # one of a partition goes with that of its table
            connection.execute(f"drop {kind} if exists {name} cascade".encode())
    connection.execute(f"delete from {SCHEMA}.extent where to_regclass(relation) is null".encode())
    connection.execute(
        b"update pg_index set indisvalid = true where not indisvalid and indexrelid >= 16384"
        b" and indexrelid::int8 <> all (%s::int8[])",
        [built["invalid"]],
    )
    return not _left(connection, built) and _is_whole(connection, built)


def _left(connection: psycopg.Connection[Any], built: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Kind and name of the relations that are newer than the build."""
    rows = connection.execute(
        f"select c.relkind::text, c.oid::regclass::text from pg_class as c where {_FOREIGN} and c.oid > %s::int8"
        " and c.relkind <> 'c'".encode(),
        [built["oid"]],
    ).fetchall()
    return [(_KINDS.get(kind, "index"), name) for kind, name in rows]


def _is_whole(connection: psycopg.Connection[Any], built: Mark) -> bool:
    newer = " or ".join(
        f"exists (select from {table} as t join pg_class as c on c.oid = t.{key} where {_FOREIGN}"
        " and t.xmin::text::int8 > %(transaction)s and c.oid <= %(oid)s::int8)"
        for table, key in _SHAPES
    )
    (is_whole,) = connection.execute(
        f"select not ({newer}) and %(relations)s = ("
        f"select count(*) from pg_class as c where {_FOREIGN} and c.oid <= %(oid)s::int8)".encode(),
        built,
    ).fetchone() or (False,)
    return bool(is_whole)


def _invalid(connection: psycopg.Connection[Any]) -> list[int]:
    rows = connection.execute(
        b"select indexrelid::int8 from pg_index where not indisvalid and indexrelid >= 16384 order by 1"
    ).fetchall()
    return [oid for (oid,) in rows]
