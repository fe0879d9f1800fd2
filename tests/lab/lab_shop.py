"""A small database with one of everything that a lab has to carry, and statements over it."""

from __future__ import annotations

SCHEMA = """
create extension citext;
create extension pg_trgm;
create schema "Odd Schema";
create schema app;
create type app.mood as enum ('sad', 'ok', 'it''s "x"');
create domain app.positive as int check (value > 0);
create type app.pair as (a int, b text);
create function app.plain(a int, b int default 7) returns int language sql immutable as 'select a + b';
create function app.slug(t text) returns text language plpgsql immutable strict parallel safe cost 33 as
    $$ begin return lower(t); end $$;
create table app.users (
    id bigint generated always as identity primary key, email citext not null, name text collate "C",
    mood app.mood default 'ok', age app.positive, tags text[], doc jsonb, p app.pair, created timestamptz default now(),
    low text generated always as (lower(name)) stored, constraint big check (id < 100000000)
);
create function app.count_of(a int) returns bigint language sql stable as 'select count(*) from app.users where id = a';
create function app.users_of(m app.mood) returns setof app.users language sql stable rows 55 as
    'select * from app.users where mood = m';
create aggregate app.mysum(int) (sfunc = int4pl, stype = int, initcond = '0');
create table "Odd Schema"."Users" ("Id" int primary key, "Group" text, "select" int, "a""b" int);
create table public.users (id int primary key, app_id bigint references app.users (id), unique (app_id, id));
create index on app.users (lower(email::text));
create index users_slug on app.users (app.slug(name));
create index on app.users using gin (doc jsonb_path_ops);
create index on app.users (mood, created desc nulls last) where age is not null;
create index on app.users using brin (created) with (pages_per_range = 16);
create index on app.users using hash (email);
create index on "Odd Schema"."Users" ("Group", "a""b") include ("select");
create table app.events (
    id bigint, at timestamptz not null, kind int, user_id bigint references app.users (id), primary key (id, at)
) partition by range (at);
create table app.events_1 partition of app.events for values from ('2026-01-01') to ('2026-07-01');
create table app.events_2 (at timestamptz not null, gone int, user_id bigint, kind int, id bigint not null);
alter table app.events_2 drop column gone;
alter table app.events attach partition app.events_2 for values from ('2026-07-01') to ('2027-01-01');
create table app.events_d partition of app.events default;
create index on app.events (kind, at);
create table app.animal (id int, name text check (name <> ''));
create table app.thing (weight int);
create table app.dog (bark int) inherits (app.animal, app.thing);
create view app.v as select u.id, u.name, e.kind from app.users as u join app.events as e on e.user_id = u.id;
create view app.v2 with (security_barrier = true) as select * from app.v where kind = 1;
create materialized view app.mv as select kind, count(*) as n from app.events group by kind;
create unique index on app.mv (kind);
create foreign data wrapper fw;
create server sv foreign data wrapper fw;
create foreign table app.remote (id int, t text) server sv;
create statistics app.st (ndistinct, dependencies, mcv) on kind, user_id from app.events_1;
create statistics app.st2 (ndistinct, dependencies, mcv) on mood, age, (age + 1) from app.users;
alter table app.users enable row level security;
create policy only_ok on app.users for select using (mood = 'ok');
insert into app.users (email, name, mood, age, tags, doc, p, created)
    select 'u' || i || '@x', case when i % 10 = 0 then null else 'Name ' || i % 300 end,
        (array['sad', 'ok'])[1 + (i % 7 = 0)::int]::app.mood, 1 + i % 90, array['t' || i % 50, 't' || i % 7],
        jsonb_build_object('k', i % 100), row(i, 'x')::app.pair, '2026-01-01'::timestamptz + i * interval '1 minute'
    from generate_series(1, 4000) as i;
insert into public.users select i, i from generate_series(1, 3000) as i;
insert into "Odd Schema"."Users" select i, 'g' || i % 30, i % 5, i % 1000 from generate_series(1, 3000) as i;
insert into app.events select i, '2026-01-01'::timestamptz + i * interval '70 minutes', i % 11,
    1 + (i % 11) * 100 + (i % 50) from generate_series(1, 8000) as i;
insert into app.animal select i, 'a' || i from generate_series(1, 300) as i;
insert into app.dog select i, 'd' || i, i % 9, i from generate_series(1, 600) as i;
refresh materialized view app.mv;
"""

STATEMENTS = {
    "point": "select * from app.users where id = 5",
    "beyond the histogram": "select * from public.users where id > 2995",
    "expression": "select * from app.users where lower(email::text) = 'u5@x'",
    "stub in an index": "select * from app.users where app.slug(name) = $q$x$q$",
    "gin": """select * from app.users where doc @> '{"k": 3}'""",
    "array": "select * from app.users where tags @> array['t3']",
    "partial": """select * from app.users where mood = 'ok' and age is not null
        order by created desc nulls last limit 10""",
    "brin": "select count(*) from app.users where created > '2026-01-03'",
    "hash": "select * from app.users where email = 'u7@x'",
    "quoted": """select "select" from "Odd Schema"."Users" where "Group" = 'g3' and "a""b" < 10""",
    "index-only": """select "Group", "a""b" from "Odd Schema"."Users" order by 1, 2 limit 50""",
    "join": "select * from public.users as u join app.users as a on a.id = u.app_id where u.id < 100",
    "partitions": "select count(*) from app.events where at > '2026-12-20' and kind = 3",
    "partitions joined": """select * from app.events as e join app.users as u on u.id = e.user_id
        where e.kind = 4 and u.mood = 'ok'""",
    "partitions grouped": "select kind, user_id, count(*) from app.events group by 1, 2",
    "dependent columns": "select count(*) from app.events_1 where kind = 3 and user_id = 305",
    "distinct groups": "select mood, age, count(*) from app.users group by 1, 2",
    "expression statistics": "select count(*) from app.users where age + 1 = 8 and mood = 'sad' and age = 7",
    "inheritance": "select * from app.animal where id < 70",
    "view": "select * from app.v2 where name = 'Name 3'",
    "materialized view": "select * from app.mv where kind = 2",
    "inlined function": "select * from app.users where age = app.plain(2, 3)",
    "set-returning function": "select * from app.users_of('sad') where age = 3",
    "aggregate": "select app.mysum(age) from app.users",
    "write": "update app.users set name = 'x' where id = 3",
    "parallel": "select count(*) from app.users as a join app.events as b on a.age = b.kind",
}

REFUSED = {
    "foreign table": ("select * from app.remote", "no handler"),
    "function that reads rows": ("select * from app.users where id = app.count_of(3)", "does not have the code"),
    "function without code": ("select * from app.users where name = app.slug('Abc')", "does not have the code"),
}
