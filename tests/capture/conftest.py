"""A small schema with something of everything, captured in many ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.capture.taking import READ_ALL_13, ROLES

if TYPE_CHECKING:
    from tests.servers import Cluster

SCHEMA = """
    create schema "We ird";
    create table customer (
        id bigint generated always as identity primary key,
        email varchar(40) collate "C" not null default 'nobody',
        score numeric,
        born date
    ) with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.01);
    create table "We ird"."T""q
nü" (
        id serial primary key,
        customer_id bigint constraint fk references customer (id) on delete cascade,
        amount int check (amount > 0)
    );
    create index customer_lower on customer (lower(email) desc, score) include (born) where score > 3;
    create unique index customer_email on customer (email);
    create view adult as select id, email from customer where born < '2000-01-01';
    create materialized view best as select * from customer where score > 900;
    create table event (id bigint not null, at timestamptz not null) partition by range (at);
    create table event_2020 partition of event for values from ('2020-01-01') to ('2021-01-01');
    create table event_2021 partition of event for values from ('2021-01-01') to ('2022-01-01')
        partition by hash (id);
    create table event_2021_0 partition of event_2021 for values with (modulus 2, remainder 0);
    create index event_id on event (id);
    create statistics customer_spread on email, score from customer;
    create domain positive as int check (value > 0);
    create table typed (a positive primary key, b int[], c text collate "C");
    alter table customer add constraint young check (born < '2100-01-01') not valid;
    insert into customer (email, score, born)
        select 'e' || g, g, date '1970-01-01' + g from generate_series(1, 1000) as g;
    insert into event select g, timestamptz '2020-01-02' + g * interval '1 hour' from generate_series(1, 100) as g;
    analyze;
"""


@pytest.fixture
def shop(cluster: Cluster, database: str) -> str:
    """A database with `SCHEMA` and the roles of `ROLES`, on every version; its name."""
    cluster.run(ROLES)
    cluster.run(SCHEMA, database=database)
    if cluster.version < 14:
        cluster.run(READ_ALL_13, database=database)
    return database


@pytest.fixture
def newest_shop(newest: Cluster, database: str) -> str:
    """The same on the newest version only."""
    newest.run(ROLES)
    newest.run(SCHEMA, database=database)
    return database
