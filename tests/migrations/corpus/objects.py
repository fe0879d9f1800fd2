# ruff: noqa: E501 - tables of statements, one a cell
"""Types, domains, enums, triggers, rules, policies, privileges, schemas, functions, comments, statistics."""

from __future__ import annotations

from collections.abc import Iterator

from tests.migrations.corpus.case import SHOP, Case, each, rows

STATE = (
    *SHOP,
    "create type mood as enum ('a', 'b')",
    "create type pair as (x int, y text)",
    "create domain positive as int check (value > 0)",
    "create domain loose as int",
    "create domain loose_text as text constraint loose_check check (value <> '') not null",
    "create domain over as loose",
    "create table uses (id int primary key, m mood, p pair, d positive, l loose, lt loose_text, o over, plain int)",
    rows("uses", "id, m, p, d, l, lt, o, plain", "g", "'a'", "row(g, 'x')::pair", "g", "g", "'x'", "g", "g"),
    "create table uses_too (id int primary key, l loose)",
    rows("uses_too", "id, l", "g", "g"),
    "create index uses_l on uses (l)",
    "create table parted (k int, l loose) partition by range (k)",
    "create table parted_low partition of parted for values from (0) to (1000)",
    rows("parted", "k, l", "g", "g"),
    "create materialized view uses_report as select l from uses_too",
    "create table typed of pair",
    "create function bump() returns trigger language plpgsql as 'begin return new; end'",
    "create function twice(int) returns int immutable language sql as 'select $1 * 2'",
    "create function shaped(pair) returns int immutable language sql as 'select 1'",
    "create procedure proc() language plpgsql as 'begin null; end'",
    "create trigger existing before insert on orders for each row execute function bump()",
    "create trigger stm after update on orders for each statement execute function bump()",
    "create rule old_rule as on delete to uses do also select 1",
    "create policy old_policy on orders using (n > 0)",
    "create schema other",
    "create view watched as select id, l from uses",
    "create statistics stat on n, opt from orders",
    "create table parent (id int)",
    rows("parent", "id", "g"),
    "create table kid () inherits (parent)",
    rows("kid", "id", "g"),
)


def cases() -> Iterator[Case]:
    yield from each("enum", STATE, (
        "alter type mood add value 'c'", "alter type mood add value if not exists 'c'", "alter type mood add value if not exists 'a'", "alter type mood add value 'c' before 'a'", "alter type mood add value 'c' after 'a'", "alter type mood rename value 'a' to 'z'", "alter type mood rename to humor", "alter type mood set schema other", "alter type mood owner to current_user",
        "drop type mood", "drop type mood cascade", "create type fresh as enum ('x')", "alter type mood add value 'a'", "alter type mood rename value 'q' to 'z'", "drop type if exists absent",
    ))  # fmt: skip
    added = "alter type mood add value 'c'"
    for use in (
        "insert into uses (id, m, lt) values (1000, 'c', 'x')",
        "update uses set m = 'c' where id = 1",
        "alter table uses alter m set default 'c'",
        "select 'c'::mood",
        "insert into uses (id, m, lt) values (1000, 'a', 'x')",
        "alter table uses add column extra mood default 'c'",
        "create index on uses (id) where m = 'c'",
        "alter table uses add check (m <> 'c')",
        "select 1",
    ):
        yield Case("enum, added and used", f"one transaction: {use}", STATE, (added, use), "file")
        yield Case("enum, added and used", f"apart: {use}", STATE, (added, use))
    yield Case(
        "enum, added and used",
        "created in the transaction",
        STATE,
        (
            "create type fresh as enum ('x')",
            "alter type fresh add value 'y'",
            "create table f (m fresh)",
            "insert into f values ('y')",
        ),
        "file",
    )
    yield from each("composite type", STATE, (
        "alter type pair add attribute z int", "alter type pair add attribute z int cascade", "alter type pair drop attribute y", "alter type pair drop attribute y cascade", "alter type pair alter attribute x type bigint", "alter type pair alter attribute x type bigint cascade", "alter type pair rename attribute x to w", "alter type pair rename attribute x to w cascade",
        "alter type pair rename to couple", "create type fresh as (a int)", "drop type pair", "drop type pair cascade", "create type fresh as range (subtype = int4)", "create type fresh",
    ))  # fmt: skip
    yield from each("domain", STATE, (
        "alter domain loose add constraint c check (value > 0)", "alter domain loose add check (value > 0)", "alter domain loose add constraint c check (value > 0) not valid", "alter domain loose set not null", "alter domain loose drop not null", "alter domain loose_text drop not null", "alter domain loose set default 1", "alter domain loose drop default",
        "alter domain positive drop constraint positive_check", "alter domain positive drop constraint if exists absent", "alter domain positive drop constraint absent", "alter domain positive rename constraint positive_check to pc", "alter domain loose rename to looser", "alter domain loose set schema other", "alter domain loose owner to current_user", "create domain fresh as int check (value > 0)",
        "drop domain loose", "drop domain loose cascade", "drop domain if exists absent", "alter domain over add constraint c check (value > 0)", "alter domain over set not null", "alter domain positive add constraint c check (value < 100000)", "alter domain positive set not null", "alter domain positive validate constraint positive_check", "alter domain loose_text add check (length(value) < 10)",
        "create domain positive as int", "alter domain absent set not null",
    ))  # fmt: skip
    open_one = (*STATE, "alter domain loose add constraint c check (value > 0) not valid")
    yield from each(
        "domain, not valid",
        open_one,
        (
            "alter domain loose validate constraint c",
            "alter domain loose drop constraint c",
            "alter domain loose rename constraint c to d",
            "alter domain loose add constraint d check (value > -1)",
        ),
    )
    array = (
        *STATE,
        "create table uses_array (id int primary key, la loose[])",
        rows("uses_array", "id, la", "g", "array[g]::loose[]"),
    )
    yield from each(
        "domain, in an array",
        array,
        (
            "alter domain loose add check (value > 0)",
            "alter domain loose set not null",
            "alter domain loose add check (value > 0) not valid",
        ),
    )
    yield from each("trigger", STATE, (
        "create trigger fresh before insert on uses for each row execute function bump()", "create trigger fresh after update of m on uses for each row execute function bump()", "create constraint trigger fresh after insert on uses deferrable initially deferred for each row execute function bump()", "create trigger fresh after insert on parted for each row execute function bump()",
        "create trigger fresh instead of insert on watched for each row execute function bump()", "drop trigger existing on orders", "drop trigger if exists existing on orders", "drop trigger if exists absent on orders", "drop trigger absent on orders", "alter trigger existing on orders rename to other_name", "alter table orders disable trigger existing", "alter table orders enable trigger existing",
        "alter table orders enable always trigger existing", "alter table orders enable replica trigger stm", "alter table orders disable trigger all", "alter table orders disable trigger user", "create trigger fresh before truncate on uses for each statement execute function bump()", "drop trigger existing on orders cascade", "create trigger existing before insert on orders for each row execute function bump()",
        "create trigger fresh before insert on parent for each row execute function bump()", "create trigger fresh after insert on uses referencing new table as n for each statement execute function bump()", "comment on trigger existing on orders is 'x'", "alter trigger existing on orders depends on extension plpgsql", "alter table parted disable trigger all",
    ))  # fmt: skip
    yield from each(
        "trigger",
        STATE,
        (
            "create or replace trigger existing before insert on orders for each row execute function bump()",
            "create or replace trigger fresh before insert on orders for each row execute function bump()",
        ),
        since=14,
    )
    yield from each("rule", STATE, (
        "create rule fresh as on insert to uses do also select 1", "create or replace rule old_rule as on delete to uses do also select 2", "drop rule old_rule on uses", "drop rule if exists absent on uses", "alter rule old_rule on uses rename to other_rule", "create rule fresh as on insert to uses do instead nothing", "alter table uses disable rule old_rule", "alter table uses enable rule old_rule",
        "create rule fresh as on update to uses do also update orders set n = 1 where id = new.id", "create rule fresh as on insert to watched do instead insert into uses (id, lt) values (new.id, 'x')", "alter table uses enable always rule old_rule",
    ))  # fmt: skip
    yield from each("policy", STATE, (
        "create policy fresh on orders using (n > 0)", "create policy fresh on orders for select to public using (true)", "create policy fresh on orders for insert with check (n > 0)", "alter policy old_policy on orders using (n > 1)", "alter policy old_policy on orders rename to newer", "alter policy old_policy on orders to current_user", "drop policy old_policy on orders",
        "drop policy if exists absent on orders", "create policy fresh on uses using (exists (select from orders where orders.id = uses.id))", "create policy old_policy on orders using (true)", "create policy fresh on parted using (true)", "comment on policy old_policy on orders is 'x'",
    ))  # fmt: skip
    yield from each("privileges", STATE, (
        "grant select on orders to public", "grant all on orders to public", "grant select (n) on orders to public", "revoke select on orders from public", "grant select on all tables in schema public to public", "grant usage on schema other to public", "alter default privileges in schema public grant select on tables to public", "grant execute on function twice(int) to public",
        "grant usage on type mood to public", "grant select on watched to public", "revoke all on orders from public", "grant usage on sequence orders_id to public",
    ))  # fmt: skip
    yield from each("comment", STATE, (
        "comment on table orders is 'x'", "comment on column orders.n is 'x'", "comment on column orders.n is null", "comment on type mood is 'x'", "comment on domain loose is 'x'", "comment on schema other is 'x'", "comment on constraint orders_pkey on orders is 'x'", "comment on constraint loose_check on domain loose_text is 'x'", "comment on function twice(int) is 'x'", "comment on column watched.id is 'x'",
        "comment on rule old_rule on uses is 'x'", "comment on statistics stat is 'x'", "comment on column pair.x is 'x'", "comment on index uses_l is 'x'", "comment on column uses_report.l is 'x'",
    ))  # fmt: skip
    yield from each("schema", STATE, (
        "create schema fresh", "create schema if not exists other", "create schema fresh create table inside (id int)", "drop schema other", "drop schema other cascade", "drop schema if exists absent", "alter schema other rename to another", "alter schema other owner to current_user", "drop schema public cascade", "drop schema public",
    ))  # fmt: skip
    yield from each("function", STATE, (
        "create function fresh() returns int language sql as 'select 1'", "create or replace function twice(int) returns int immutable language sql as 'select $1 + $1'", "create or replace function twice(int) returns bigint immutable language sql as 'select 1::bigint'", "drop function twice(int)", "drop function twice", "drop function if exists absent()", "drop function bump() cascade", "drop function bump()",
        "alter function twice(int) rename to double", "alter function twice(int) stable", "alter function twice(int) set schema other", "alter function twice(int) owner to current_user", "create procedure fresh() language sql as 'select 1'", "create or replace procedure proc() language plpgsql as 'begin null; end'", "drop procedure proc", "call proc()",
        "create or replace function bump() returns trigger language plpgsql as 'begin return null; end'", "create function fresh(o orders) returns int language sql as 'select ($1).n'", "create function fresh() returns setof orders language sql as 'select * from orders'", "create aggregate fresh (int) (sfunc = int4pl, stype = int)",
        "create function fresh() returns bigint language sql as 'select count(*) from orders'", "alter function shaped(pair) set search_path = public",
    ))  # fmt: skip
    yield from each(
        "function",
        STATE,
        (
            "create function fresh() returns bigint language sql return (select count(*) from orders)",
            "create function fresh() returns bigint language sql begin atomic select count(*) from orders; end",
        ),
        since=14,
    )
    yield from each("statistics", STATE, (
        "create statistics fresh on n, customer_id from orders", "create statistics fresh (dependencies) on n, opt from orders", "alter statistics stat set statistics 100", "drop statistics stat", "alter statistics stat rename to other_stat", "create statistics if not exists stat on n, opt from orders", "alter statistics stat set schema other", "alter statistics stat owner to current_user",
    ))  # fmt: skip
    yield from each(
        "extension",
        STATE,
        (
            "create extension citext",
            "create extension if not exists citext",
            "create extension if not exists pg_trgm with schema other",
            "drop extension if exists citext",
            "create extension hstore version '1.4'",
        ),
    )
    yield from each("other", STATE, (
        "set lock_timeout = '5s'", "set search_path = other, public", "reset all", "show work_mem", "set local work_mem = '8MB'", "set constraints all deferred", "notify channel", "listen channel", "unlisten *", "discard plans", "discard temp", "security label on table orders is 'x'", "select set_config('search_path', 'other', false)", "select pg_advisory_lock(1)", 'create collation fresh from "C"',
        "create cast (mood as int) with inout", "create operator === (leftarg = int, rightarg = int, function = int4eq)", "alter default privileges revoke execute on functions from public", "drop owned by public", "reassign owned by current_user to current_user", "create publication fresh for table orders", "create text search configuration fresh (copy = simple)", "import foreign schema x from server y into public",
        "create event trigger fresh on ddl_command_start execute function bump()", "create language plfresh", "create server fresh foreign data wrapper absent", "create subscription fresh connection 'x' publication y", "alter database current set work_mem = '1MB'", "create role fresh", "begin", "commit", "savepoint a", "rollback", "start transaction", "set transaction read only", "end",
    ))  # fmt: skip
