# ruff: noqa: E501 - tables of statements, one a cell
"""Whole relations: tables, views, materialized views, sequences; renamed, dropped, moved, rewritten, maintained."""

from __future__ import annotations

from collections.abc import Iterator

from tests.migrations.corpus.case import SHOP, Case, each, rows

STATE = (
    *SHOP,
    "alter table orders add constraint orders_customer foreign key (customer_id) references customers",
    "create view plain_view as select id, note from orders",
    "create view join_view as select o.id, c.email from orders o join customers c on c.id = o.customer_id",
    "create view upper_view as select id from plain_view",
    "create materialized view report as select state, count(*) as n from orders group by state",
    "create materialized view detail as select id, note from orders",
    "create unique index detail_id on detail (id)",
    "create sequence counter",
    "create table log (id serial primary key, line text)",
    rows("log", "line", "'x'"),
    "create unlogged table scratch (id int primary key, v int)",
    rows("scratch", "id, v", "g", "g"),
    "create schema other",
    "create table parent (id int, v int)",
    rows("parent", "id, v", "g", "g"),
    "create table kid () inherits (parent)",
    rows("kid", "id, v", "g", "g"),
    "create table loner (id int, v int)",
    rows("loner", "id, v", "g", "g"),
    "create table empty (id int, v int)",
    "create type shape as (id int, v int)",
    "create table root (k int, v int) partition by range (k)",
    "create table low partition of root for values from (0) to (1000)",
    rows("root", "k, v", "g", "g"),
    "create function bump() returns trigger language plpgsql as 'begin return new; end'",
)


def cases() -> Iterator[Case]:
    yield from each("create table", STATE, (
        "create table fresh (id int)", "create table if not exists orders (id int)", "create table if not exists fresh (id int)", "create table orders (id int)", "create table fresh (like orders)", "create table fresh (like orders including all)", "create table fresh (like orders including indexes excluding comments)",
        "create table fresh as select * from orders", "create table fresh as table orders", "create table fresh as select * from orders with no data", "select * into fresh from orders", "create table fresh () inherits (parent)", "create table fresh of shape", "create temp table fresh (id int)", "create unlogged table fresh (id int primary key)",
        "create table fresh (id int primary key, o bigint references orders, c int references customers)", "create table fresh (id int references low (k))", "create table other.fresh (id int)", "create temp table fresh as select * from orders", "create table fresh (id int default nextval('counter'))", "create table fresh as execute absent",
        "create table fresh (v shape, check ((v).id > 0))", "create table fresh partition of root for values from (2000) to (3000)", "create table fresh (id int) inherits (parent, kid)",
    ))  # fmt: skip
    yield from each("drop table", STATE, (
        "drop table orders", "drop table orders cascade", "drop table if exists orders cascade", "drop table if exists absent", "drop table customers", "drop table customers cascade", "drop table log", "drop table scratch", "drop table loner, log", "drop table parent", "drop table parent cascade", "drop table kid", "drop table absent",
        "drop table plain_view", "drop table root", "drop table low", "drop table if exists loner, absent", "drop table loner restrict",
    ))  # fmt: skip
    yield from each("rename table", STATE, (
        "alter table orders rename to purchases", "alter table if exists orders rename to purchases", "alter table if exists absent rename to purchases", "alter table loner rename to customers", "alter table plain_view rename to pv", "alter view plain_view rename to pv", "alter materialized view report rename to rep", "alter sequence counter rename to c",
        "alter table counter rename to c", "alter table root rename to trunk", "alter table low rename to lower", "alter table parent rename to elder", "alter table customers rename to clients", "alter view orders rename to x", "alter table log_id_seq rename to x",
    ))  # fmt: skip
    yield from each("alter table", STATE, (
        "alter table orders set schema other", "alter table loner set schema other", "alter table log set schema other", "alter view plain_view set schema other", "alter sequence counter set schema other", "alter materialized view report set schema other", "alter table root set schema other", "alter table if exists absent set schema other",
        "alter table loner owner to current_user", "alter table orders owner to current_user", "alter view plain_view owner to current_user", "alter materialized view report owner to current_user", "alter sequence counter owner to current_user", "alter table root owner to current_user", "alter table parent owner to session_user",
        "alter table loner set unlogged", "alter table loner set logged", "alter table scratch set logged", "alter table scratch set unlogged", "alter table orders set unlogged", "alter table customers set unlogged", "alter table log set unlogged", "alter table loner set tablespace pg_default", "alter table orders set tablespace pg_default", "alter table loner set access method heap",
        "alter table loner set (fillfactor = 70)", "alter table loner set (autovacuum_enabled = off)", "alter table loner set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.1)", "alter table loner reset (fillfactor)", "alter table loner set (toast_tuple_target = 1024)", "alter table loner set (parallel_workers = 2)", "alter table loner set (user_catalog_table = false)",
        "alter table orders set (toast.autovacuum_enabled = off)", "alter table loner set without oids", "alter table loner cluster on loner_x", "alter table loner replica identity full", "alter table loner replica identity nothing", "alter table orders replica identity default", "alter table loner inherit parent", "alter table kid no inherit parent",
        "alter table parent inherit loner", "alter table loner of shape", "alter table empty of shape", "alter table loner not of", "alter table plain_view set (security_barrier = true)", "alter view plain_view set (security_barrier = true)", "alter view plain_view reset (security_barrier)", "alter materialized view report set (fillfactor = 70)",
        "alter materialized view detail cluster on detail_id", "alter materialized view report set without cluster", "alter materialized view report set tablespace pg_default", "alter table root set (fillfactor = 50)", "alter table orders enable row level security", "alter table orders disable row level security", "alter table orders force row level security",
        "alter table orders no force row level security", "alter table loner enable trigger all", "alter table orders disable trigger all", "alter table orders disable trigger user", "alter table all in tablespace pg_default owned by current_user set tablespace pg_default", "alter table root set tablespace pg_default", "alter table root set unlogged",
        "alter table loner set unlogged, alter v set not null", "alter table loner set (fillfactor = 70), alter v set statistics 10", "alter table loner enable row level security, force row level security", "alter table loner set (fillfactor = 70), enable row level security", "alter table loner cluster on absent", "alter table parent set (fillfactor = 70)",
        "alter table only parent set (fillfactor = 70)", "alter table loner alter v set statistics 10, validate constraint absent", "alter table loner set (vacuum_truncate = false)", "alter table loner set (log_autovacuum_min_duration = 0)", "alter table parent enable row level security", "alter table kid set (autovacuum_freeze_max_age = 100000)",
    ))  # fmt: skip
    yield from each("alter table", STATE, ("alter materialized view report set access method heap",), since=15)
    yield from each(
        "alter table",
        STATE,
        ("alter table root set access method heap", "alter table loner set access method default"),
        since=17,
    )
    yield from _views()
    yield from _maintenance()
    yield from _sequences()
    proven = (
        *STATE,
        "alter table parent add constraint c check (v > 0)",
        "alter table loner add constraint c check (v > 0)",
        "alter table empty add constraint c check (v > 0) not valid",
    )
    yield from each(
        "inherit, checks",
        proven,
        ("alter table loner inherit parent", "alter table empty inherit parent", "alter table kid no inherit parent"),
    )


def _views() -> Iterator[Case]:
    yield from each("view", STATE, (
        "create view fresh as select * from orders", "create or replace view fresh as select * from orders", "create or replace view plain_view as select id, note from orders where n > 0", "create or replace view plain_view as select id, note, n from orders", "create or replace view plain_view as select id from orders", "create or replace view plain_view as select note, id from orders",
        "create or replace view plain_view as select id, upper(note) as note from orders", "create or replace view plain_view as select id, 'x'::text as label from orders", "create view fresh as select * from plain_view", "create temp view fresh as select * from orders", "create recursive view fresh (n) as values (1) union all select n + 1 from fresh where n < 5",
        "create view fresh with (security_barrier) as select id from orders", "create view fresh as select id from orders with check option", "create view plain_view as select 1", "drop view plain_view", "drop view plain_view cascade", "drop view upper_view", "drop view if exists upper_view", "drop view if exists absent", "drop view upper_view, join_view",
        "drop view report", "drop materialized view report", "drop materialized view if exists report cascade", "drop materialized view plain_view", "create materialized view fresh as select * from orders", "create materialized view if not exists report as select 1", "create materialized view fresh as select * from orders with no data", "create materialized view fresh as select * from join_view",
        "refresh materialized view report", "refresh materialized view detail", "refresh materialized view concurrently detail", "refresh materialized view report with no data", "refresh materialized view plain_view", "comment on view plain_view is 'x'", "comment on materialized view report is 'x'", "create or replace view join_view as select o.id, c.email, o.n from orders o join customers c on c.id = o.customer_id",
        "create or replace view upper_view as select id from plain_view where id > 1", "create or replace view fresh as select c.id from customers c where exists (select from orders o where o.customer_id = c.id)",
    ))  # fmt: skip
    yield Case(
        "view, refused",
        "concurrently without a unique index",
        STATE,
        ("refresh materialized view concurrently report",),
        must_refuse=True,
    )
    yield Case(
        "view, in a transaction",
        "refresh concurrently",
        STATE,
        ("select 1", "refresh materialized view concurrently detail"),
        "file",
    )
    yield Case("view, in a transaction", "refresh", STATE, ("select 1", "refresh materialized view detail"), "file")


def _maintenance() -> Iterator[Case]:
    clustered = (
        *STATE,
        "create index orders_n on orders (n)",
        "alter table orders cluster on orders_n",
        "create index root_k on root (k)",
    )
    yield from each("maintenance", clustered, (
        "cluster orders using orders_n", "cluster orders", "cluster orders using orders_pkey", "cluster customers", "cluster verbose orders using orders_n", "vacuum orders", "vacuum full orders", "vacuum (full) orders", "vacuum (full, analyze) orders", "vacuum analyze orders", "vacuum (analyze) orders", "vacuum freeze orders", "vacuum (full false) orders",
        "analyze orders", "analyze", "analyze orders (n, opt)", "vacuum orders, customers", "vacuum full orders, customers", "vacuum full report", "analyze root", "vacuum root", "vacuum full root", "vacuum full scratch", "vacuum (disable_page_skipping) orders", "checkpoint", "cluster detail using detail_id", "vacuum (full true, verbose) loner",
        "truncate orders", "truncate table orders", "truncate orders restart identity", "truncate log restart identity", "truncate customers", "truncate customers cascade", "truncate orders, customers", "truncate only parent", "truncate parent", "truncate root", "truncate plain_view", "truncate absent", "truncate loner, scratch",
        "lock table orders", "lock orders in share mode", "lock table orders, customers in access share mode", "lock table only parent in exclusive mode", "lock table parent in exclusive mode", "lock table orders in row exclusive mode nowait", "lock table plain_view", "lock table root in share row exclusive mode",
    ))  # fmt: skip
    for mode in (
        "access share",
        "row share",
        "row exclusive",
        "share update exclusive",
        "share",
        "share row exclusive",
        "exclusive",
        "access exclusive",
    ):
        for table in ("orders", "parent", "only parent", "root", "plain_view", "orders, customers"):
            yield Case("lock table", f"{table} in {mode}", clustered, ("begin", f"lock table {table} in {mode} mode"))
    for statement in (
        "truncate orders",
        "truncate customers cascade",
        "cluster orders using orders_n",
        "analyze orders",
        "vacuum orders",
        "vacuum full orders",
        "lock table orders",
        "reindex table orders",
        "truncate root",
        "refresh materialized view report",
    ):
        yield Case(
            "maintenance, in a transaction",
            statement,
            clustered,
            ("select 1", statement),
            "file",
            must_refuse=statement.startswith("vacuum"),
        )
    yield from each("data", clustered, (
        "insert into orders (id, n) values (100000, 1)", "insert into orders (id, n) select g + 10000, g from generate_series(1, 10) g", "insert into orders (id, n, customer_id) values (100000, 1, 1)", "insert into loner select id, n from customers", "update orders set note = 'y'", "update orders set note = 'y' where id = 1", "update orders set customer_id = 2 where id = 1",
        "update customers set n = 1", "update customers set id = id where id = 1", "update orders set note = c.email from customers c where c.id = orders.customer_id", "delete from orders", "delete from orders where id = 1", "delete from customers where id = 100000", "delete from loner using customers c where c.id = loner.id", "update parent set v = 1", "update only parent set v = 1",
        "update root set v = 1", "update low set v = 1", "delete from root where k = 5", "insert into root values (5, 5)", "insert into low values (5, 5)", "select * from orders", "select * from orders for update", "select * from orders where id = 1 for share", "select count(*) from plain_view", "with moved as (delete from loner returning *) insert into empty select * from moved",
        "insert into orders (id, n) values (1, 1) on conflict (id) do update set n = 2", "insert into orders (id, n) values (1, 1) on conflict do nothing", "select nextval('counter')", "select setval('counter', 10)", "select 1", "values (1)", "table orders", "explain select * from orders", "explain analyze update loner set v = 1", "select pg_sleep(0)", "prepare p as select * from orders",
        "declare c cursor for select * from orders", "update plain_view set note = 'z' where id = 1", "delete from plain_view where id = 1", "select count(*) from orders where customer_id in (select id from customers)", "select setval('log_id_seq', (select max(id) from log))", "update orders o set n = 1 where exists (select from customers c where c.id = o.customer_id)",
    ))  # fmt: skip
    yield from each(
        "data",
        clustered,
        (
            "merge into loner l using customers c on c.id = l.id when matched then update set v = 1 when not matched then insert values (c.id, 1)",
        ),
        since=15,
    )
    held = ("lock table orders", "alter table orders alter n set default 1")
    for statement in (
        "alter table orders add check (n > 0)",
        "create index on orders (n)",
        "create index on customers (n)",
        "update customers set n = 2",
        "alter table orders alter note type text",
        "alter table customers add column extra int",
        "drop table orders",
        "truncate orders",
        "insert into orders (id, n) values (100000, 1)",
    ):
        yield Case("behind a lock", statement, clustered, ("begin", *held, statement))


def _sequences() -> Iterator[Case]:
    yield from each("sequence", STATE, (
        "create sequence fresh", "create sequence if not exists counter", "create sequence fresh owned by loner.id", "create temp sequence fresh", "alter sequence counter restart", "alter sequence counter restart with 100", "alter sequence counter increment by 10", "alter sequence counter maxvalue 1000", "alter sequence counter as bigint", "alter sequence counter owned by loner.id",
        "alter sequence counter owned by none", "alter sequence log_id_seq owned by none", "alter sequence if exists absent restart", "drop sequence counter", "drop sequence if exists counter cascade", "drop sequence log_id_seq", "drop sequence log_id_seq cascade", "alter sequence counter cache 10", "alter sequence counter cycle",
    ))  # fmt: skip
    yield from each(
        "sequence",
        STATE,
        ("alter sequence counter set unlogged", "alter sequence counter set logged", "create unlogged sequence fresh"),
        since=15,
    )
