"""A lab of what the statements reach: nothing that a plan rests on is left out, and what is left out is said."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from queryfit.capture.server import CaptureOptions, capture_server
from queryfit.evidence.session import Session, open_session
from queryfit.evidence.store import Capture, Store
from queryfit.lab import part as parts
from queryfit.lab.build import build
from queryfit.lab.part import part_of, words
from queryfit.lab.planner import Query
from queryfit.lab.server import remove_labs
from queryfit.lab.whatif import LabPlanner
from tests.servers import Cluster

DATABASE = "in part"
SCHEMA = """
    create table customers (id int primary key, name text);
    create table orders (id int primary key, customer_id int references customers, at date);
    create index on orders (customer_id);
    create view recent as select * from orders where at > '2026-01-01';
    create table "Odd ""Name" (id int primary key);
    create table visits (id int, day date) partition by range (day);
    create table visits_2026 partition of visits for values from ('2026-01-01') to ('2027-01-01');
    create table visits_rest partition of visits default;
    create table secrets (id int, owner int);
    create table members (id int);
    alter table secrets enable row level security;
    create policy own on secrets using (owner in (select id from members));
    create table logs (id int, line text);
    create function lines() returns setof text language sql stable as $$ select line from logs $$;
    create table base (id int);
    create table derived (more int) inherits (base);
    insert into orders select n, null, '2026-01-01'::date + n % 90 from generate_series(1, 5000) as n;
    analyze;
"""
REACHED = {
    "select * from orders where customer_id = $1": {"public.orders"},
    "select * from Public.ORDERS": {"public.orders"},
    "select * from recent": {"public.recent", "public.orders"},
    'select * from "Odd ""Name"': {'public."Odd ""Name"'},
    "select * from visits_2026": {"public.visits", "public.visits_2026", "public.visits_rest"},
    "select * from secrets": {"public.secrets", "public.members"},
    "select * from lines()": {"public.logs"},
    "select * from base": {"public.base", "public.derived"},
    "select * from derived": {"public.base", "public.derived"},
    "select 1": set(),
    "select * from orders where (((": {"public.orders"},
}


@pytest.fixture(scope="module")
def capture(cluster_of: Callable[[int], Cluster], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Capture]:
    cluster = cluster_of(18)
    cluster.create_database(DATABASE)
    cluster.run(SCHEMA, database=DATABASE)
    with Store(tmp_path_factory.mktemp("store")).write("full") as writer:
        capture_server(cluster.dsn(DATABASE), CaptureOptions(max_plans=0), writer)
    assert writer.committed is not None
    yield writer.committed
    cluster.drop_database(DATABASE)


@pytest.fixture(scope="module")
def session(capture: Capture) -> Iterator[Session]:
    with open_session(capture) as session:
        yield session


@pytest.mark.parametrize(("text", "relations"), REACHED.items(), ids=REACHED)
def test_what_a_statement_reaches(
    session: Session, monkeypatch: pytest.MonkeyPatch, text: str, relations: set[str]
) -> None:
    monkeypatch.setattr(parts, "MOST_WHOLE", 0)
    part = part_of(session, DATABASE, [text])
    assert part is not None
    assert part.relations == relations


def test_a_database_of_few_tables_is_carried_whole(session: Session) -> None:
    assert part_of(session, DATABASE, ["select * from orders"]) is None


def test_words_are_names_as_the_catalog_spells_them() -> None:
    assert words('select A."B c", 1x FROM d_1') == {"select", "a", "B c", "b", "c", "x", "from", "d_1"}


def test_a_lab_of_a_part_plans_what_reaches_it(
    capture: Capture, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MOST_WHOLE", 0)
    part = part_of(session, DATABASE, ["select * from recent"])
    query = Query("q", "select * from recent where customer_id = 5")
    with tempfile.TemporaryDirectory(prefix="queryfit-test-") as folder:
        Path(folder).chmod(0o711)
        monkeypatch.setenv("XDG_CACHE_HOME", folder)
        with build(capture, DATABASE, session=session, part=part) as lab, LabPlanner(lab) as planner:
            assert lab.carried["tables"] == 1
            (left_out,) = lab.not_carried
            assert left_out.sentence.startswith("relation 12 of 14: no statement of the workload reaches them")
            assert lab.doubts(["public.orders", "public.recent"]) == ()
            plan = planner.plan(query)
            assert plan.existing == {"public.orders_customer_id_idx"}
            # an index of a table that is not there changes no plan, and hiding it is no error
            assert planner.plan(query, hidden=["public.base_id_idx"]).cost == plan.cost
        with build(capture, DATABASE, session=session) as whole:
            assert whole.was_built
            assert whole.carried["tables"] > 1
        remove_labs()
