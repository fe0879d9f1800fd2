"""Representative values: what the real server makes of them, and which statements get none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from queryfit.capture.server import CaptureOptions, capture_server
from queryfit.evidence.session import open_session
from queryfit.evidence.store import Store
from queryfit.lab.parameters import Representatives
from queryfit.lab.planner import Query
from queryfit.lab.texts import unsquashed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers import Cluster

TABLES = """
    create table big (id int primary key, even int, skew int, name text, at timestamptz, day date, flag boolean, n int,
        tags text[], note text);
    insert into big select i, i % 100, case when i % 10 < 7 then 1 when i % 10 < 9 then 2 else i end,
        case when i % 2 = 0 then 'It''s "us"' else 'name ' || md5(i::text) end,
        now() - (20000 - i) * interval '1 hour', current_date - i, i % 50 = 0, i, array['a', 'b'], null
        from generate_series(1, 20000) as i;
    vacuum analyze big;
"""


@pytest.fixture(scope="module")
def server(cluster_of: Callable[[int], Cluster]) -> Iterator[tuple[Cluster, str]]:
    cluster = cluster_of(18)
    cluster.create_database("parameters")
    cluster.run("".join(TABLES.partition("vacuum")[:1]), database="parameters")
    cluster.run("vacuum analyze big", database="parameters")
    yield cluster, "parameters"
    cluster.drop_database("parameters")


@pytest.fixture(scope="module")
def representatives(server: tuple[Cluster, str], tmp_path_factory: pytest.TempPathFactory) -> Representatives:
    with Store(tmp_path_factory.mktemp("store")).write("full") as writer:
        capture_server(server[0].dsn(server[1]), CaptureOptions(), writer, lambda _: None)
    assert writer.committed is not None
    with open_session(writer.committed) as session:
        return Representatives.of(session, server[1])


def rows(server: tuple[Cluster, str], query: Query) -> float:
    """Rows that the server expects below any LIMIT."""
    assert query.values is not None
    with server[0].connect(server[1]) as connection:
        connection.execute("set plan_cache_mode = force_custom_plan")
        connection.execute(f"prepare it as {unsquashed(query.text)}".encode())
        values = ", ".join("null" if value is None else value for value in query.values)
        row = connection.execute(f"explain (format json) execute it({values})".encode()).fetchone()
        assert row is not None
        return float(row["QUERY PLAN"][0]["Plan"]["Plan Rows"])


# Statement, and the share of the rows that each level should come to.
TELLING = (
    ("select * from big where skew = $1", (0.7, 0.0, 0.0)),
    ("select * from big where name = $1", (0.5, 0.0, 0.0)),
    ("select * from big where flag = $1", (0.98, 0.02, 0.02)),
    ("select * from big where n between $1 and $2", (0.25, 0.05, 0.01)),
    ("select * from big where n > $1", (0.25, 0.05, 0.01)),
    ("select * from big where n <= $1", (0.25, 0.05, 0.01)),
    ("select * from big where at >= $1 and at < $2 and even = even", (0.25, 0.05, 0.01)),
    ("select * from big where at > now() - $1::interval", (0.25, 0.05, 0.01)),
    ("select * from big where day >= current_date - $1::int", (0.25, 0.05, 0.01)),
    ("select * from big where skew = any($1)", (0.9, 0.0, 0.0)),
    ("select * from big where skew in ($1 /*, ... */)", (0.9, 0.0, 0.0)),
    ("select * from big where skew in ($1, $2)", (0.9, 0.0, 0.0)),
)


@pytest.mark.parametrize(("text", "shares"), TELLING, ids=[text for text, _ in TELLING])
def test_values_stand_for_the_share_that_they_say(
    server: tuple[Cluster, str], representatives: Representatives, text: str, shares: tuple[float, ...]
) -> None:
    generic, *variants = representatives.variants(Query("q", text))
    assert generic == Query("q", text)
    assert [variant.key for variant in variants] == ["q/common", "q/median", "q/rare"][: len(variants)]
    assert len(variants) > 1
    found = [rows(server, variant) / 20_000 for variant in variants]
    for share, expected in zip(found, shares, strict=False):
        assert share == pytest.approx(expected, abs=0.015), (text, found)


def test_patterns_are_escaped_and_of_three_kinds(representatives: Representatives) -> None:
    _, *variants = representatives.variants(Query("q", "select * from big where name like $1"))
    patterns = [variant.values[0] for variant in variants if variant.values and variant.values[0]]
    assert len(patterns) == 3
    assert patterns[0].startswith("'%")
    assert not patterns[1].startswith("'%")
    assert len(patterns[2]) > len(patterns[1])


def test_a_limit_is_a_page(server: tuple[Cluster, str], representatives: Representatives) -> None:
    query = Query("q", "select * from big order by at desc limit $1 offset $2")
    generic, variant = representatives.variants(query)
    assert variant.values == ("20", "null")
    assert rows(server, variant) == 20
    assert generic is query


@pytest.mark.parametrize(
    "text",
    [
        "select * from big where id = 3",  # nothing to choose
        "select * from big where even = $1",  # all values alike: the generic plan is right
        "select * from big where id = $1",
        "select * from big where id = abs($1)",  # nothing is known of it
        "select * from big where skew = $1 and id % $2 = 0",
        "select * from big where $1 = any(tags)",
        "select * from nowhere where skew = $1",
        "insert into big (id, skew) values ($1, $2)",
        "select $1", "broken ( $1", "vacuum $1", "", "select 1; select $1", "'$1", "\0 $1",
    ],
)  # fmt: skip
def test_other_statements_stay_as_they_are(representatives: Representatives, text: str) -> None:
    query = Query("q", text)
    assert representatives.variants(query) == (query,)


def test_what_is_only_written_is_null(representatives: Representatives) -> None:
    _, *variants = representatives.variants(Query("q", "update big set note = $1 where skew = $2"))
    assert [variant.values[0] for variant in variants if variant.values] == ["null", "null", "null"]


def test_given_values_are_kept(representatives: Representatives) -> None:
    query = Query("q", "select * from big where skew = $1", values=("5",))
    assert representatives.variants(query) == (query,)


@pytest.mark.parametrize("text", ["select * from big where id = $1", "select * from big where at = $1 and n > 0"])
def test_what_a_generic_plan_serves_gets_values_to_be_run_with(
    server: tuple[Cluster, str], representatives: Representatives, text: str
) -> None:
    query = representatives.example(Query("q", text))
    assert query.values is not None
    with server[0].connect(server[1]) as connection:
        connection.execute(f"prepare it as {text}".encode())
        assert connection.execute(f"execute it({', '.join(map(str, query.values))})".encode()).fetchall()


@pytest.mark.parametrize("text", ["select * from big where id = $1 + $2", "select 1", "nonsense $1"])
def test_what_nothing_is_known_of_stays_as_it_is(representatives: Representatives, text: str) -> None:
    assert representatives.example(Query("q", text)).values is None
