"""Which indexes may go, which must stay, and the words for it."""

from __future__ import annotations

from typing import Any

import pytest

from queryfit.advise.existing import existing_indexes
from queryfit.advise.model import Existing
from queryfit.evidence.session import example_session

TABLE = """
    insert into database (database, counters_since) values ('app', '2025-11-01');
    insert into relation (relation, root, kind) values ('public.orders', 'public.orders', 'table');
"""


def index(name: str, columns: str, *, scans: int | None = 0, oid: int = 1, included: str = "", **facts: object) -> str:
    """INSERTs of one index over plain columns."""
    names = [part.strip() for part in columns.split(",")]
    rows = [
        ("relation", "public.orders"),
        ("index", f"public.{name}"),
        ("index_oid", oid),
        ("key_columns", columns),
        ("key_signature", ", ".join(f"{part} 1978 0 al" for part in names)),
        ("size_bytes", 1000),
        *facts.items(),
    ]
    fields = ", ".join(field for field, _ in rows)
    values = ", ".join(repr(value) if isinstance(value, str) else str(value).lower() for _, value in rows)
    script = [f"insert into relation_index ({fields}) values ({values});"]
    for position, part in enumerate([*names, *included.split()], 1):
        script.append(
            "insert into index_column (relation, index, position, is_key, column_name) values"
            f" ('public.orders', 'public.{name}', {position}, {position <= len(names)}, '{part}');"
        )
    if scans is not None:
        script.append(
            f"insert into index_counter (relation, index, scans) values ('public.orders', 'public.{name}', {scans});"
        )
    return "\n".join(script)


def judged(*scripts: str, server: str = "standbys = 0", table: str = TABLE) -> dict[str, Existing]:
    fields, values = zip(*(part.split(" = ") for part in server.split(" and ")), strict=True)
    start = f"insert into server ({', '.join(fields)}) values ({', '.join(values)});"
    with example_session("\n".join([table, start, *scripts])) as session:
        return {one.name.removeprefix("public."): one for one in existing_indexes(session, "app")}


def test_never_scanned_may_go() -> None:
    (one,) = judged(index("a", "x")).values()
    assert (one.is_removable, one.is_replaceable) == (True, True)
    assert one.why == "not scanned once since 2025-11-01"
    assert one.size_bytes == 1000
    assert one.index.subject == "public.orders (x)"


def test_scanned_stays_until_replaced() -> None:
    (one,) = judged(index("a", "x", scans=1200)).values()
    assert (one.is_removable, one.is_replaceable) == (False, True)
    assert one.reason == "scanned 1,200 times since 2025-11-01"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"is_primary": True, "is_unique": True, "constraint_name": "pk"}, "the primary key pk rests on it"),
        ({"constraint_name": "uq", "is_unique": True}, "the constraint uq rests on it"),
        ({"is_referenced": True}, "a foreign key refers to it"),
        ({"is_replica_identity": True}, "it is the replica identity of its table"),
        ({"is_unique": True}, "it keeps values unique"),
        ({"is_clustered": True}, "CLUSTER orders its table by it"),
        ({"is_valid": False}, "it is invalid: a build goes on, or one has failed"),
        ({"extension": "postgis"}, "it belongs to the extension postgis"),
    ],
)
def test_what_keeps_an_index(facts: dict[str, Any], words: str) -> None:
    (one,) = judged(index("a", "x", **facts)).values()
    assert (one.is_removable, one.is_replaceable, one.reason) == (False, False, words)


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ("standbys = 2", "2 standby(s) count their own scans: capture them too"),
        ("standbys = null", "whether there are standbys, which count their own scans, is not readable"),
        ("is_standby = true", "this is a standby, which does not count the scans of its primary"),
    ],
)
def test_a_zero_that_proves_nothing(server: str, words: str) -> None:
    (one,) = judged(index("a", "x"), server=server).values()
    assert (one.is_removable, one.reason) == (False, words)


def test_young_counters_prove_nothing() -> None:
    (one,) = judged(index("a", "x"), table=TABLE.replace("2025-11-01", "2026-01-01")).values()
    assert (one.is_removable, one.reason) == (False, "scans are counted only since 2026-01-01 00:00")
    (one,) = judged(index("a", "x", scans=None)).values()
    assert (one.is_removable, one.reason) == (False, "its scans cannot be read")


def test_a_standby_that_scans_it_says_otherwise() -> None:
    with (
        example_session(TABLE + "insert into server (standbys) values (1);" + index("a", "x")) as primary,
        example_session(TABLE + "insert into server (is_standby) values (true);" + index("a", "x", scans=7)) as standby,
    ):
        (one,) = existing_indexes(primary, "app", standbys=[standby])
    assert (one.is_removable, one.reason) == (False, "scanned 7 times since 2025-11-01")
    with (
        example_session(TABLE + "insert into server (standbys) values (1);" + index("a", "x")) as primary,
        example_session(TABLE + "insert into server (is_standby) values (true);" + index("a", "x")) as standby,
    ):
        (one,) = existing_indexes(primary, "app", standbys=[standby])
    assert one.is_removable


def test_the_beginning_of_another_is_redundant() -> None:
    found = judged(index("a", "x", scans=500), index("b", "x, y", scans=3))
    assert found["a"].is_removable
    assert found["a"].redundant_beside == "public.b"
    assert found["a"].why == "public.b does all that it does"
    assert not found["b"].is_removable


def test_beside_one_that_goes_nothing_is_redundant() -> None:
    found = judged(index("a", "x", scans=500), index("b", "x, y"))
    assert (found["a"].is_removable, found["b"].is_removable) == (False, True)


@pytest.mark.parametrize(
    "other",
    [
        index("b", "y, x", scans=3),
        index("b", "x, y", scans=3, predicate="z > 1"),
        index("b", "x, y", scans=3, access_method="gist"),
        index("b", "x, y", scans=3, is_valid=False),
    ],
)
def test_near_misses_of_redundancy(other: str) -> None:
    assert not judged(index("a", "x", scans=500), other)["a"].is_removable


def test_what_it_includes_must_be_there_too() -> None:
    found = judged(index("a", "x", scans=500, included="z"), index("b", "x, y", scans=3))
    assert not found["a"].is_removable
    found = judged(index("a", "x", scans=500, included="y"), index("b", "x, y", scans=3))
    assert found["a"].is_removable


def test_of_twins_the_one_that_something_rests_on_stays_then_the_older() -> None:
    found = judged(index("a", "x", scans=500, oid=1), index("b", "x", scans=9, oid=2, is_unique=True))
    assert (found["a"].is_removable, found["b"].is_removable) == (True, False)
    found = judged(index("a", "x", scans=500, oid=2), index("b", "x", scans=9, oid=1))
    assert (found["a"].is_removable, found["b"].is_removable) == (True, False)


FOREIGN_KEY = """
    insert into relation_constraint (relation, constraint_name, kind) values ('public.orders', 'fk', 'foreign_key');
    insert into constraint_column (relation, constraint_name, position, column_name) values
        ('public.orders', 'fk', 1, 'x');
"""


def test_the_only_index_behind_a_foreign_key_stays() -> None:
    (one,) = judged(index("a", "x"), FOREIGN_KEY).values()
    assert (one.is_removable, one.is_replaceable) == (False, True)
    assert one.reason == "the foreign key fk looks its rows up by it"
    found = judged(index("a", "x", scans=5), index("b", "x, y", scans=5), FOREIGN_KEY)
    assert found["a"].is_removable


def test_two_unused_ones_behind_a_foreign_key_do_not_go_together() -> None:
    found = judged(index("a", "x"), index("b", "x, y"), FOREIGN_KEY)
    assert sum(one.is_removable for one in found.values()) == 1


def test_an_index_of_a_partitioned_table_counts_with_its_parts() -> None:
    found = judged(
        "insert into relation (relation, root, kind) values ('public.log', 'public.log', 'partitioned_table'),"
        " ('public.log_1', 'public.log', 'table');"
        "insert into relation_index (relation, index, parent_index, size_bytes) values"
        " ('public.log', 'public.log_a', null, null), ('public.log_1', 'public.log_1_a', 'public.log_a', 700);"
        "insert into index_column (relation, index, position, is_key, column_name) values"
        " ('public.log', 'public.log_a', 1, true, 'a'), ('public.log_1', 'public.log_1_a', 1, true, 'a');"
        "insert into index_counter (relation, index, scans) values ('public.log_1', 'public.log_1_a', 4);"
    )
    assert list(found) == ["log_a"]
    assert (found["log_a"].size_bytes, found["log_a"].is_removable) == (700, False)
