"""The lab of a real database: it plans as the server does, and says what it does not carry."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from queryfit.capture.server import CaptureOptions, capture_server
from queryfit.evidence.store import Capture, Store
from queryfit.lab.build import Lab, build
from queryfit.lab.files import SCHEMA as OWN_SCHEMA
from queryfit.lab.planner import Size
from queryfit.lab.server import remove_labs
from tests.bench.fidelity import compare
from tests.lab.lab_shop import REFUSED, SCHEMA, STATEMENTS
from tests.servers import Cluster

VERSIONS = (15, 18)  # the writer of pg_statistic, and that of pg_restore_attribute_stats
DATABASE = "lab shop"


@pytest.fixture(scope="module")
def cache() -> Iterator[Path]:
    """A cache folder for the labs of this module, which any user may pass through."""
    with tempfile.TemporaryDirectory(prefix="queryfit-test-") as folder, pytest.MonkeyPatch.context() as patch:
        Path(folder).chmod(0o711)
        patch.setenv("XDG_CACHE_HOME", folder)
        yield Path(folder)
        remove_labs()


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda version: f"pg{version}")
def shop(request: pytest.FixtureRequest, cluster_of: Callable[[int], Cluster]) -> Iterator[Cluster]:
    cluster = cluster_of(request.param)
    cluster.create_database(DATABASE)
    with cluster.connect(DATABASE) as connection:
        connection.execute(SCHEMA.encode())
        connection.execute("set allow_in_place_tablespaces = on")
        connection.execute("""create tablespace "Fast Disk" location '' with (random_page_cost = 1.5)""")
        connection.execute('alter table public.users set tablespace "Fast Disk"')
        connection.execute('alter index public.users_pkey set tablespace "Fast Disk"')
        connection.execute("vacuum analyze")
    yield cluster
    cluster.drop_database(DATABASE)
    cluster.run('drop tablespace "Fast Disk"')


@pytest.fixture(scope="module")
def capture(shop: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Capture:
    with Store(tmp_path_factory.mktemp("store")).write("full") as writer:
        capture_server(shop.dsn(DATABASE), CaptureOptions(max_plans=0), writer)
    assert writer.committed is not None
    return writer.committed


@pytest.fixture(scope="module")
def lab(capture: Capture, cache: Path) -> Iterator[Lab]:
    assert cache.exists()
    with build(capture, DATABASE) as lab:
        yield lab


@pytest.fixture
def own(lab: Lab) -> Iterator[psycopg.Connection[Any]]:
    with closing(lab.connect()) as connection:
        yield connection


def test_plans_cost_what_they_cost_on_the_server(lab: Lab, own: psycopg.Connection[Any], shop: Cluster) -> None:
    with psycopg.connect(shop.dsn(DATABASE)) as real:
        compared = compare(real, own, STATEMENTS)
    others = {one.name: one.refusal or one.difference for one in compared if not one.is_same_shape}
    dearer = {one.name: one.difference for one in compared if one.difference > 0.01}
    assert lab.version == shop.version
    assert not others
    assert not dearer


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_the_lab_cannot_plan_is_refused(own: psycopg.Connection[Any], text: str, reason: str) -> None:
    with pytest.raises(psycopg.Error, match=reason):
        own.execute(b"explain " + text.encode())


def test_all_objects_are_carried(lab: Lab) -> None:
    assert [item.sentence for item in lab.not_carried if item.changes_plans] == []
    assert lab.carried["partitioned tables"] == 1
    assert lab.carried["materialized views"] == 1
    assert lab.carried["foreign tables"] == 1


@pytest.mark.parametrize("view", ["pg_stats", "pg_stats_ext_exprs"])
def test_statistics_are_those_of_the_server(lab: Lab, shop: Cluster, view: str) -> None:
    query = (
        f"select to_jsonb(s) - 'tableoid' - 'statistics_owner' as row from {view} as s"
        f" where schemaname not in ('pg_catalog', 'information_schema', '{OWN_SCHEMA}')"
    ).encode()
    found = []
    for dsn in (shop.dsn(DATABASE), lab.dsn(is_superuser=True)):
        with psycopg.connect(dsn) as connection:
            connection.execute("set timezone to 'UTC'")
            found.append([str(row) for row in connection.execute(query)])
    assert found[0]
    assert sorted(found[0]) == sorted(found[1])


def test_extended_statistics_are_those_of_the_server(lab: Lab, shop: Cluster) -> None:
    found = []
    for dsn in (shop.dsn(DATABASE), lab.dsn(is_superuser=True)):
        with psycopg.connect(dsn) as connection:
            data = connection.execute(
                "select statistics_name, n_distinct::text, dependencies::text, most_common_vals, most_common_freqs,"
                " most_common_base_freqs from pg_stats_ext order by 1"
            ).fetchall()
        found.append(
            [
                (name, distinct, dependencies, sorted(zip(map(str, values), frequencies, bases, strict=True)))
                for name, distinct, dependencies, values, frequencies, bases in data
            ]
        )
    assert len(found[0]) == 2
    assert found[0] == found[1]


def test_captured_code_has_no_superuser(own: psycopg.Connection[Any]) -> None:
    assert own.execute(
        "select rolsuper or rolcreaterole or rolreplication from pg_roles where rolname = user"
    ).fetchone() == (False,)
    for text in (
        "copy app.users to '/tmp/queryfit-must-not-be'",
        "copy app.users to program 'true'",
        "update pg_class set relpages = 1",
        f"insert into {OWN_SCHEMA}.extent values ('x', 'x', 1, 1, 1, 1, 1)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            own.execute(text.encode())
        own.rollback()


def test_policies_bind_who_is_not_the_owner(lab: Lab, own: psycopg.Connection[Any]) -> None:
    text = b"explain (costs off) select * from app.users where id = 5"
    with closing(lab.connect(is_bound=True)) as bound:
        assert "mood" in str(bound.execute(text).fetchall())
    assert "mood" not in str(own.execute(text).fetchall())


def test_trees_with_a_height_are_valid_trees(lab: Lab) -> None:
    with closing(lab.connect_superuser()) as connection:
        connection.execute("create extension if not exists amcheck schema pg_catalog")
        for (index,) in connection.execute(
            "select c.oid::regclass::text from pg_class as c join pg_am as a on a.oid = c.relam"
            " where a.amname = 'btree' and c.oid >= 16384 and c.relkind = 'i' and c.relnamespace = 'app'::regnamespace"
        ).fetchall():
            connection.execute("select bt_index_check(%s::regclass)", [index])
        connection.execute("drop extension amcheck")
        connection.execute("set enable_seqscan = off")
        assert connection.execute("select id from app.users where id > 5 order by id desc").fetchall() == []


def test_an_index_made_in_an_open_transaction_has_its_size_at_once(lab: Lab, own: psycopg.Connection[Any]) -> None:
    query = b"explain (format json) select * from app.events_1 where user_id = 17"
    with lab.shrunk(["app.events_1"], own):
        own.execute("create index candidate on app.events_1 (user_id)")
    lab.set_index(own, "app.candidate", "app.events_1", Size(64 * 8192, 4000.0, height=1))
    (plans,) = own.execute(query).fetchone() or ([],)
    assert "candidate" in str(plans)
    lab.show(own, ["app.candidate"], is_visible=False)
    (hidden,) = own.execute(query).fetchone() or ([],)
    assert "candidate" not in str(hidden)
    own.rollback()
    lab.reapply(["app.events_1"])
    (after,) = own.execute(query).fetchone() or ([],)
    assert after[0]["Plan"]["Total Cost"] == hidden[0]["Plan"]["Total Cost"]


def test_indexes_behind_constraints_are_not_hidden(lab: Lab, own: psycopg.Connection[Any]) -> None:
    lab.show(own, ["app.users_pkey"], is_visible=False)
    assert own.execute("select indisvalid from pg_index where indexrelid = 'app.users_pkey'::regclass").fetchone() == (
        True,
    )
