-- rule: varchar-with-limit
-- title: varchar with a length limit
-- severity: info
-- reads: migration_effect
-- actions: create column, add column
-- message: {column_name} of {relation} is {type}; text with a CHECK on its length is as fast, and its limit can be
--     changed without a lock that readers wait for.
-- since: 0.1
--
-- ## Why it matters
-- `varchar(n)` and `text` are stored alike and are equally fast. A limit that turns out too small is raised in an
-- instant, but views on the column have to be dropped for it; lowering it reads the whole table under an ACCESS
-- EXCLUSIVE lock.
--
-- ## What to do
-- `text`, and `check (length(name) <= 100)` where a limit means something: it can be exchanged with NOT VALID and
-- VALIDATE.
--
-- ## When to leave it
-- The length is part of a standard that never changes, or another system's column sets it.

select
    effect.effect,
    effect.relation || ' (' || effect.column_name || ')' as subject,
    effect.relation,
    effect.column_name,
    effect.type_after as type
from migration_effect as effect
where effect.action in ('create column', 'add column')
    and effect.is_present
    and effect.relation not like 'pg\_temp.%' escape '\'
    and effect.type_after like 'character varying(%';

-- example: in a new table
-- given: migration
create table users (id bigint primary key, name varchar(50), code character varying(8)[] not null);
-- finds: public.users (name)
-- finds: public.users (code)

-- example: a new column
-- given: migration
alter table users add column name varchar(50);
-- finds: public.users (name)

-- example: text, and varchar without a limit
-- given: migration
create table users (id bigint primary key, name text check (length(name) <= 50), note varchar);
-- finds: nothing

-- example: a temporary table
-- given: migration
create temporary table batch (name varchar(50));
-- finds: nothing

-- example: it is there already
-- given: migration
create table users (id bigint primary key, name varchar(50));
-- next file
alter table users add column if not exists name varchar(50);
-- finds: nothing
