# ruff: noqa: E501 - tables of statements, one a cell
"""Statements in company: blocks of the file's own, DO blocks, EXECUTE, several statements that lean on each other."""

from __future__ import annotations

from collections.abc import Iterator

from tests.migrations.corpus.case import SHOP, Case, rows

STATE = (
    *SHOP,
    "create index orders_n on orders (n)",
    "create table root (k int, v int) partition by range (k)",
    "create table low partition of root for values from (0) to (1000)",
    rows("root", "k, v", "g", "g"),
    "create view w as select id from orders",
)
BODIES = (
    "alter table orders add column extra int", "alter table orders add column extra float default random()", "create index on orders (opt)", "alter table orders alter opt set not null", "alter table orders alter note type text", "alter table orders alter n type bigint", "drop table customers", "drop index orders_n", "drop view w",
    "alter table orders add constraint c check (n > 0)", "alter table orders add constraint fk foreign key (customer_id) references customers", "update orders set n = 1", "truncate orders", "alter table root add column extra int", "create table fresh (id int)", "alter table orders rename to purchases", "drop table root", "lock table orders in share mode",
    "comment on table orders is 'x'", "create view z as select id from customers", "alter table orders add constraint c check (n > 0) not valid", "cluster orders using orders_n",
)  # fmt: skip


def cases() -> Iterator[Case]:
    for body in BODIES:
        quoted = body.replace("'", "''")
        yield Case("do block", f"plain: {body}", STATE, (f"do $$ begin {body}; end $$",))
        yield Case("do block", f"execute: {body}", STATE, (f"do $$ begin execute '{quoted}'; end $$",))
        yield Case(
            "do block",
            f"twice: {body}",
            STATE,
            (f"do $$ begin perform 1; {body}; alter table customers alter n set default 1; end $$",),
        )
        yield Case(
            "do block, conditional",
            f"if: {body}",
            STATE,
            (
                f"do $$ begin if not exists (select from pg_class where relname = 'nothing') then {body}; end if; end $$",
            ),
        )
        yield Case(
            "do block, conditional",
            f"exception: {body}",
            STATE,
            (f"do $$ begin {body}; exception when duplicate_object then null; end $$",),
        )
        yield Case(
            "do block, conditional",
            f"else: {body}",
            STATE,
            (f"do $$ begin if 1 > 2 then perform 1; else {body}; end if; end $$",),
        )
        yield Case("own block", body, STATE, ("begin", body))
        yield Case("own block, after a lock", body, STATE, ("begin", "alter table orders alter n set default 1", body))
        yield Case(
            "own block, committed before",
            body,
            STATE,
            ("begin", "alter table orders alter n set default 1", "commit", body),
        )
        yield Case(
            "own block, rolled back before",
            body,
            STATE,
            ("begin", "alter table orders alter n set default 1", "rollback", body),
        )
        yield Case("own block in a transaction", body, STATE, ("begin", "select 1", body), "file")
        yield Case(
            "after a savepoint",
            body,
            STATE,
            ("begin", "savepoint a", "alter table orders alter n set default 1", "rollback to savepoint a", body),
        )
    for first, second in (
        ("alter table orders add column extra int", "alter table orders alter extra set not null"), ("alter table orders add column extra int default 1", "alter table orders alter extra type bigint"), ("alter table orders rename to purchases", "alter table purchases add check (n > 0)"), ("alter table orders rename n to m", "alter table orders alter m type bigint"),
        ("alter table orders rename n to m", "create index on orders (m)"), ("drop index orders_n", "alter table orders alter n type bigint"), ("drop table customers", "create table customers (id int)"), ("create table fresh (id int primary key)", "alter table orders add foreign key (customer_id) references fresh not valid"),
        ("create table fresh (id int primary key)", "drop table fresh"), ("create unique index on orders (opt)", "alter table orders add unique using index orders_opt_idx"), ("create unique index u on orders (opt)", "alter table orders add constraint u unique using index u"), ("create unique index u on orders (n)", "alter table orders add constraint u unique using index u"),
        ("alter table orders add constraint c check (opt is not null) not valid", "alter table orders validate constraint c"), ("alter table orders drop column opt", "alter table orders add column opt int default 1"), ("alter table orders alter note type varchar(100)", "alter table orders alter note type text"), ("alter table orders alter note type text", "alter table orders alter note type varchar(50)"),
        ("create schema other", "alter table orders set schema other"), ("set search_path = pg_temp, public", "create table orders (id int)"), ("create temp table orders (id int, n int)", "alter table orders alter n type bigint"), ("set lock_timeout = '1s'", "alter table orders alter n type bigint"),
        ("alter table orders alter note type varchar(100)", "alter table orders alter note type varchar(50)"), ("create index i on orders (opt)", "drop index i"), ("create table fresh (id int, o bigint references orders)", "drop table fresh"), ("create table fresh as select * from orders", "create index on fresh (n)"),
        ("insert into orders (id, n) values (100000, 1)", "alter table orders add column extra float default random()"), ("insert into orders (id, n) values (100000, 1)", "alter table orders add foreign key (customer_id) references customers"), ("update orders set n = 2", "alter table orders alter n type bigint"),
        ("alter table orders alter opt set not null", "alter table orders add constraint k unique (opt)"), ("alter table orders drop constraint orders_pkey", "alter table orders add primary key (n)"), ("create domain d as int", "alter table orders add column extra d"), ("create domain d as int check (value > 0)", "alter table orders add column extra d"),
        ("create type e as enum ('a')", "alter table orders add column extra e default 'a'"), ("create function f() returns int language sql as 'select 1'", "alter table orders add column extra int default f()"), ("create function f() returns int immutable language sql as 'select 1'", "alter table orders add column extra int default f()"),
        ("create sequence s", "alter table orders add column extra int default nextval('s')"), ("alter table root add constraint c check (v > 0)", "create table high partition of root for values from (1000) to (2000)"), ("drop view w", "alter table orders alter id type numeric"), ("alter table root detach partition low", "alter table low alter v type bigint"),
        ("create table low2 (k int, v int)", "alter table root attach partition low2 for values from (1000) to (2000)"),
    ):  # fmt: skip
        yield Case("two statements", f"{first}; {second}", STATE, (first, second))
        yield Case("two statements, one transaction", f"{first}; {second}", STATE, (first, second), "file")
