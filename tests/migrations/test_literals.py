"""Texts against types: what is refused here, every server refuses, whatever its settings."""

from __future__ import annotations

import random
from collections.abc import Callable

import psycopg
import pytest

from queryfit.migrations.interpret.literals import array_fault, length_fault, number_fault, text_fault
from tests.servers import Cluster, available

TYPES = [
    "int2", "int4", "int8", "numeric", "float4", "float8", "bool", "uuid", "date", "timestamp", "timestamptz", "time",
    "timetz", "interval", "json", "jsonb", "inet", "cidr",
]  # fmt: skip
TEXTS = [
    "", "0", " 1 ", "-1", "+1", "32768", "-32768", "-32769", "2147483648", "9223372036854775808", "9" * 30, "0x1F",
    "0b101", "1_000", "1__0", "_1", "1e3", "1.5", ".5", "5.", "1e", "NaN", "inf", "-Infinity", "nan(1)", "abc", "t",
    "TRUE", " tr", "of", "off", "o", "on", "y", "no", "null", "none", "2", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "{a0eebc999c0b4ef8bb6d6bb9bd380a11}", "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
    "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "2024-01-01", "2024-13-01", "2024-02-30", "1900-02-29", "2000-02-29",
    "2024-1-1", "01/02/2024", "2024-01-32", "2024-02-30 10:00", "2024-01-01T10:00:00Z", "0005-02-29 BC", "now", "NOW()",
    "today", "epoch", "infinity", "allballs", "January", "PST", "noon", "10:00", "25:00", "24:00:00", "1 day", "day",
    "P1D", "PT", "P", "@ 1", "@", ".", "ago", "{}", "[]", "{", '{"a":1}', "{a:1}", "{'a':1}", "[1,2,]", '"x"', "01",
    "-", '"\\u00"', '"a\tb"', " {} ", '"\\ud800"', "1e400", "10.0.0.1", "10.0.0.1/8", "10", "::1", "fe80::1%eth0",
    "localhost", "\ufeff{}", "\uff12", "\u00a01", "J2451187", "Jan 8, 2024", "08-Jan-2024", "BC", "zulu",
]  # fmt: skip
SIGNS = " \t\n-+_.,:/{}[]\"'0123456789abcdefxnotTyYPZi"
LEAST_FOUND = 0.2  # of what a server refuses; by far the most of numbers, little of times
TRY = """
    create function pg_temp.refusal(value text, type text) returns text language plpgsql as $$
    begin execute format('select %L::%s', value, type); return null; exception when others then return sqlerrm; end $$
"""


def _changed(chance: random.Random, text: str) -> str:
    signs = list(text)
    for _ in range(chance.randint(1, 3)):
        place = chance.randint(0, len(signs))
        signs[place : place + chance.randint(0, 1)] = chance.choice(["", *SIGNS])
    return "".join(signs)


@pytest.mark.parametrize("style", ["ISO, MDY", "SQL, DMY", "German, YMD"])
@pytest.mark.parametrize("version", sorted(available()))
def test_no_text_is_refused_that_a_server_takes(version: int, style: str, cluster_of: Callable[[int], Cluster]) -> None:
    chance = random.Random(f"{version} {style}")
    texts = [*TEXTS, *(_changed(chance, chance.choice(TEXTS)) for _ in range(400))]
    with psycopg.connect(cluster_of(version).dsn("postgres")) as connection:
        connection.execute(TRY)
        connection.execute(f"set datestyle = '{style}'".encode())
        for kind in [*TYPES, "int4[]"]:
            rows = connection.execute(
                "select value, pg_temp.refusal(value, %s) from unnest(%s::text[]) as value", (kind, texts)
            ).fetchall()
            said = {text: array_fault(text) if kind[-1] == "]" else text_fault(kind, text, version) for text, _ in rows}
            assert [(kind, text, said[text]) for text, error in rows if error is None and said[text] is not None] == []
            refused = [text for text, error in rows if error is not None]
            found = [text for text in refused if said[text] is not None]
            assert len(found) / len(refused) >= LEAST_FOUND, kind
        connection.rollback()


@pytest.mark.parametrize(
    ("name", "typmods", "number", "expected"),
    [
        ("int2", (), "32767", None), ("int2", (), "32769", "smallint out of range"), ("int4", (), "2147483647.4", None),
        ("int4", (), "-3000000000", "integer out of range"), ("int8", (), "9" * 19, "bigint out of range"),
        ("int8", (), "9" * 400, "bigint out of range"), ("numeric", (5, 2), "999.99", None),
        ("numeric", (5, 2), "-1000", "numeric field overflow"), ("numeric", (3,), "1000.0", "numeric field overflow"),
        ("numeric", (2, 4), "0.001", None), ("numeric", (2, 4), "1", "numeric field overflow"),
        ("numeric", (5, -2), "1000000", None), ("numeric", (5, 2), "1e9", None), ("numeric", (), "9" * 400, None),
        ("float8", (), "9" * 400, None),
    ],
)  # fmt: skip
def test_numbers_beyond_their_type(name: str, typmods: tuple[int, ...], number: str, expected: str | None) -> None:
    assert number_fault(name, typmods, number) == expected


def test_blanks_at_the_end_do_not_count() -> None:
    assert length_fault("varchar", (3,), "abc  ") is None
    assert length_fault("varchar", (3,), "abcd") == "value too long for type character varying(3)"
    assert length_fault("bpchar", (1,), "ab") == "value too long for type character(1)"
    assert length_fault("varchar", (), "abcd") is None
