"""Sizes foretold from a capture against those of indexes that a real server builds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queryfit.advise.sizes.btree import Part, tree
from queryfit.advise.sizes.estimate import size_of
from queryfit.advise.sizes.groups import Class, binned, occurring, thinned
from queryfit.advise.sizes.layout import is_deduplicable, stored_bytes
from queryfit.advise.sizes.predicate import restriction
from queryfit.advise.sizes.sample import columns_of, planned_share, sizes_of
from queryfit.capture.server import CaptureOptions, capture_server
from queryfit.evidence.session import open_session
from queryfit.evidence.store import Store
from queryfit.lab.planner import Index, Key
from queryfit.lab.table_facts import ColumnFacts, TableFacts, array_values, tables_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers import Cluster

NAME = "sizes"
SHOP = """
    create type mood as enum ('sad', 'ok', 'happy');
    select setseed(0.25);
    create table sale (
        id int primary key, customer int, "Kind" text not null, at timestamptz not null, amount numeric(10, 2),
        note text, deleted_at timestamptz, token uuid, mood mood, tags text[]
    );
    insert into sale
    select
        n, (power(random(), 3) * 4000)::int,
        (array['new', 'paid', 'sent', 'returned'])[1 + floor(power(random(), 2) * 4)],
        timestamptz '2024-01-01' + n * interval '1 minute', round((random() * 900)::numeric, 2),
        case when random() < 0.4 then repeat('x', (random() * 60)::int) || n end,
        case when random() < 0.05 then timestamptz '2024-06-01' end, gen_random_uuid(),
        (enum_range(null::mood))[1 + floor(random() * 3)], array['t' || n % 50, 'u' || (random() * 9)::int]
    from generate_series(1, 40000) as n;
    create table line (sale int, number int, product int, primary key (sale, number));
    insert into line
    select s, n, (random() * 500)::int from generate_series(1, 8000) as s, generate_series(1, 1 + s % 5) as n;
    create table part (day date not null, v int) partition by range (day);
    create table part_a partition of part for values from ('2024-01-01') to ('2024-07-01');
    create table part_b partition of part for values from ('2024-07-01') to ('2025-01-01');
    insert into part select date '2024-01-01' + n % 360, n from generate_series(1, 20000) as n;
    create table nothing (a int);
    analyze;
    create table unseen (a int, note text);
    insert into unseen select n, 'note number ' || n from generate_series(1, 20000) as n;
"""


def keys(*names: str, **options: Any) -> tuple[Key, ...]:
    return tuple(Key(name, **options) for name in names)


SALE, LINE = "public.sale", "public.line"
CANDIDATES = [
    Index(SALE, keys("customer")),
    Index(SALE, keys("id")),
    Index(SALE, keys("id"), is_unique=True),
    Index(SALE, keys('"Kind"', "customer")),
    Index(SALE, keys('"Kind"')),
    Index(SALE, keys("amount")),  # numeric: equal values are not kept once
    Index(SALE, keys("amount", "note", "mood", "customer")),
    Index(SALE, keys("note")),
    Index(SALE, keys("deleted_at")),
    Index(SALE, keys("token")),
    Index(SALE, keys("at", is_descending=True, is_nulls_first=True)),
    Index(SALE, keys("customer"), included=("amount",)),
    Index(SALE, keys("customer"), parameters=(("deduplicate_items", "off"), ("fillfactor", "60"))),
    Index(SALE, keys("customer"), predicate="\"Kind\" = 'new'"),
    Index(SALE, keys('"Kind"', "customer"), predicate="\"Kind\" = 'returned'"),
    Index(SALE, keys("customer"), predicate="deleted_at is not null"),
    Index(SALE, keys("at"), predicate="amount > 450 and \"Kind\" <> 'new'"),
    Index(SALE, keys("customer"), predicate="\"Kind\" in ('sent', 'returned') or deleted_at is not null"),
    Index(SALE, keys("customer"), access_method="hash"),
    Index(SALE, keys("token"), access_method="hash"),
    Index(SALE, keys("at", "id"), access_method="brin", parameters=(("pages_per_range", "2"),)),
    Index(LINE, keys("sale")),
    Index(LINE, keys("product", "sale")),
    Index("public.part", keys("v")),
    Index("public.nothing", keys("a")),
]
BUILT = [
    Index(SALE, (Key('upper("Kind")', is_column=False),)),
    Index(SALE, (Key("date_trunc('day'::text, at, 'UTC'::text)", is_column=False), Key("customer"))),
    Index(SALE, (Key("amount / 7", is_column=False),), predicate="lower(note) like 'xx%'"),
    Index(SALE, keys("tags"), access_method="gin"),
    Index(SALE, (Key("int4range(id, (id + 5))", is_column=False),), access_method="gist"),
]


@pytest.fixture(scope="module")
def shop(cluster_of: Callable[[int], Cluster]) -> Iterator[Cluster]:
    cluster = cluster_of(18)
    cluster.create_database(NAME)
    cluster.run(SHOP, database=NAME)
    yield cluster
    cluster.drop_database(NAME)


@pytest.fixture(scope="module")
def tables(shop: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, TableFacts]:
    options = CaptureOptions()
    with Store(tmp_path_factory.mktemp("store")).write(options.kind) as writer:
        capture_server(shop.dsn(NAME), options, writer, lambda _: None)
    assert writer.committed is not None
    with open_session(writer.committed) as session:
        return tables_of(session, NAME)


@pytest.fixture
def connection(shop: Cluster) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(shop.dsn(NAME), autocommit=True) as opened:
        yield opened


def real_bytes(connection: psycopg.Connection[Any], index: Index) -> int:
    """Its size, that of all partitions together, when it is built; nothing stays."""
    with connection.transaction(force_rollback=True):
        connection.execute(index.create("measured").encode())
        row = connection.execute(
            "select sum(pg_relation_size(c.oid)) from pg_class as c left join pg_inherits as i on i.inhrelid = c.oid"
            " where c.oid = 'measured'::regclass or i.inhparent = 'measured'::regclass"
        ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("index", CANDIDATES, ids=lambda index: index.create().partition(" on public.")[2])
def test_the_formula_is_within_a_tenth(
    tables: dict[str, TableFacts], connection: psycopg.Connection[Any], index: Index
) -> None:
    size, real = size_of(index, tables[index.relation]), real_bytes(connection, index)
    assert size is not None
    assert size.source == "formula"
    assert abs(size.size_bytes - real) <= max(0.1 * real, 8192)


def test_a_table_that_nobody_has_analyzed_has_the_rows_of_its_pages(
    tables: dict[str, TableFacts], connection: psycopg.Connection[Any]
) -> None:
    assert tables["public.unseen"].rows == pytest.approx(20_000, rel=0.4)
    index = Index("public.unseen", keys("a"))
    size = size_of(index, tables["public.unseen"])
    assert size is not None
    assert size.size_bytes == pytest.approx(real_bytes(connection, index), rel=0.5)


@pytest.mark.parametrize("index", BUILT, ids=lambda index: index.create().partition(" on public.")[2])
def test_what_no_formula_gives_is_built_on_generated_rows(
    tables: dict[str, TableFacts], connection: psycopg.Connection[Any], index: Index
) -> None:
    assert size_of(index, tables[index.relation]) is None
    size = sizes_of([index], tables, connection)[index]
    assert size is not None
    assert size.source == "built"
    real = real_bytes(connection, index)
    assert abs(size.size_bytes - real) <= max(0.2 * real, 8 * 8192)
    left = connection.execute("select count(*) from pg_class where relname like 'queryfit%'").fetchone()
    assert left == (0,)


def test_what_postgres_refuses_has_no_size(tables: dict[str, TableFacts], connection: psycopg.Connection[Any]) -> None:
    broken = [
        Index(SALE, (Key("no_such_function(id)", is_column=False),)),
        Index(SALE, keys("tags"), access_method="brin"),
        Index(SALE, keys("no_such_column")),
        Index("public.no_such_table", keys("a")),
    ]
    assert sizes_of(broken, tables, connection) == dict.fromkeys(broken)


def test_after_the_deadline_only_formulas_are_asked(
    tables: dict[str, TableFacts], connection: psycopg.Connection[Any]
) -> None:
    wanted = [BUILT[0], Index(SALE, keys("id"))]
    sizes = sizes_of(wanted, tables, connection, deadline=0.0)
    assert sizes[BUILT[0]] is None
    assert sizes[wanted[1]] is not None


def test_of_many_each_is_built_on_fewer_rows(
    tables: dict[str, TableFacts], connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queryfit.advise.sizes.sample._MANY", 1)
    wanted = [BUILT[0], BUILT[1]]
    told: list[tuple[int, int]] = []
    sizes = sizes_of(wanted, tables, connection, tell=lambda done, number: told.append((done, number)))
    assert told == [(0, 2)]
    for index in wanted:
        size = sizes[index]
        assert size is not None
        assert size.size_bytes == pytest.approx(real_bytes(connection, index), rel=0.3, abs=8 * 8192)


def test_heights_are_those_of_real_trees(tables: dict[str, TableFacts], connection: psycopg.Connection[Any]) -> None:
    connection.execute("create extension if not exists pageinspect")
    for index in CANDIDATES:
        if index.access_method != "btree" or index.relation == "public.part":
            continue
        with connection.transaction(force_rollback=True):
            connection.execute(index.create("measured").encode())
            row = connection.execute("select level::int, (select reltuples from pg_class where relname = 'measured')"
                                     " from bt_metap('measured')").fetchone()  # fmt: skip
        size = size_of(index, tables[index.relation])
        assert size is not None
        assert row is not None
        assert size.height == row[0]
        assert size.tuple_rows == pytest.approx(row[1], rel=0.1)


def test_the_planner_weighs_a_predicate(connection: psycopg.Connection[Any]) -> None:
    share = planned_share(connection, Index(SALE, keys("id"), predicate="\"Kind\" = 'new'"))
    assert share == pytest.approx(0.5, abs=0.05)
    assert planned_share(connection, Index(SALE, keys("id"), predicate="no_such_column = 1")) is None


def test_what_the_server_says_of_a_type_counts() -> None:
    """15.20 does not deduplicate char(n) any more, other releases do."""
    assert is_deduplicable(ColumnFacts("c", "bpchar"))
    assert not is_deduplicable(ColumnFacts("c", "bpchar", has_equal_images=False))
    assert not is_deduplicable(ColumnFacts("c", "text", has_equal_images=True, is_deterministic=False))
    assert is_deduplicable(ColumnFacts("c", "numeric", has_equal_images=True))


def test_types_that_may_share_a_tuple_are_those_of_the_server(connection: psycopg.Connection[Any]) -> None:
    rows = connection.execute(
        "select t.typname, t.typcategory::text, bool_or(p.amprocnum = 4) from pg_opclass as c"
        " join pg_am as a on a.oid = c.opcmethod and a.amname = 'btree' join pg_type as t on t.oid = c.opcintype"
        " left join pg_amproc as p on p.amprocfamily = c.opcfamily and p.amproclefttype = t.oid"
        " and p.amprocrighttype = t.oid where c.opcdefault and t.typtype = 'b' group by 1, 2"
    ).fetchall()
    assert len(rows) > 20
    for name, category, has_function in rows:
        if name == "oidvector":  # of catalogs alone
            continue
        assert is_deduplicable(ColumnFacts("c", name, category=category)) == bool(has_function), name


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=5))
@settings(max_examples=30)
def test_numerics_grow_with_their_digits(value: Any) -> None:
    size = stored_bytes(f"{value:f}", ColumnFacts("c", "numeric"))
    assert size is not None
    assert 3 <= size <= 3 + 2 * 8


def test_widths_of_values_are_those_of_the_server(connection: psycopg.Connection[Any]) -> None:
    connection.execute("create temporary table held (n numeric, t text, b bytea, i inet)")
    values = [
        "0",
        "1",
        "-1",
        "12345",
        "10000",
        "0.00001",
        "12345.6789",
        "100000000",
        "99999999.99",
        "1e5"[:1] + "00000",
    ]
    for value in values:
        connection.execute("insert into held values (%s, repeat('é', length(%s) * 9), md5(%s)::bytea, '10.0.0.1')",
                           (value, value, value))  # fmt: skip
    for row in connection.execute(
        "select n::text, pg_column_size(n), t, pg_column_size(t),"
        " b::text, pg_column_size(b), i::text, pg_column_size(i)"
        " from held"
    ).fetchall():
        for place, kind in enumerate(("numeric", "text", "bytea", "inet")):
            assert stored_bytes(row[2 * place], ColumnFacts("c", kind)) == row[2 * place + 1], row


@given(
    st.dictionaries(st.integers(2, 60).map(lambda n: n * 8), st.floats(0.1, 1), min_size=1, max_size=4),
    st.floats(0, 1e7),
    st.floats(1e-7, 1),
)
@settings(max_examples=40, deadline=None)
def test_equal_keys_never_make_a_tree_larger(sizes: dict[int, float], rows: float, share: float) -> None:
    whole = sum(sizes.values())
    shares = {size: part / whole for size, part in sizes.items()}
    apart = tree([Part(rows, shares)], pivot_bytes=16)
    shared = tree([Part(rows, shares, (Class(share, 1 / share),))], pivot_bytes=16)
    assert 1 <= shared.pages <= apart.pages * 1.05 + 2
    assert shared.height <= apart.height + 1


@given(st.floats(1, 1e6), st.floats(1e-6, 0.5), st.floats(0.01, 1))
@settings(max_examples=40)
def test_fewer_combinations_are_as_many_as_told(rows: float, share: float, part: float) -> None:
    profile = binned([Class(share, 0.5 / share), Class(share / 3, 1.5 / share)])
    wanted = max(2.0, occurring(profile, rows) * part)
    assert occurring(thinned(profile, rows, wanted), rows) <= max(wanted * 1.02, len(profile) + 0.01)


@given(st.lists(st.text('abc ,"{}\\é'), max_size=5))
def test_arrays_are_read_as_they_are_written(values: list[str]) -> None:
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    assert array_values("{" + ",".join(f'"{value}"' for value in quoted) + "}") == tuple(values)


def test_predicates_that_statistics_answer(tables: dict[str, TableFacts], connection: psycopg.Connection[Any]) -> None:
    for predicate in (
        "deleted_at is null", "not (\"Kind\" = 'new')", "amount between 100 and 200", "amount not between 100 and 200",
        "at >= '2024-01-10'", "customer = any (array[1, 2, 3])", "mood = 'sad'::mood", "id < 1000 or id > 39000",
        "customer > 10 and customer < 500", "\"Kind\"::text <> all (array['new', 'paid'])", "10 < amount",
    ):  # fmt: skip
        found = restriction(predicate, tables[SALE])
        assert found is not None, predicate
        row = connection.execute(f"select avg(({predicate})::int) from sale".encode()).fetchone()
        assert row is not None
        assert found.share == pytest.approx(float(row[0]), abs=0.03), predicate
    assert restriction("lower(note) = 'x'", tables[SALE]) is None
    assert restriction("); drop table sale", tables[SALE]) is None


def test_columns_that_an_index_reads(tables: dict[str, TableFacts]) -> None:
    index = Index(SALE, (Key('lower("Kind")', is_column=False), Key("at")), ("note",), predicate="amount > 1")
    assert columns_of(index, tables[SALE]) == ("Kind", "at", "amount", "note")
