-- rule: constraint-dropped
-- title: Unique key dropped under running clients
-- severity: warning
-- reads: migration_effect, migration_step
-- actions: drop constraint
-- message: Without {constraint_name} ({kind}) nothing keeps duplicates out of {relation}, ON CONFLICT on its columns
--     fails and its index is gone; add the new key first.
-- since: 0.1
--
-- ## Why it matters
-- `insert … on conflict (columns)` fails with "no unique or exclusion constraint matching the ON CONFLICT
-- specification", duplicates written from now on make it hard to add the key again, and queries that found their rows
-- by the key's index read the whole table. Without a primary key logical replication refuses updates and deletes.
--
-- ## What to do
-- Build the new key first (`create unique index concurrently`), then drop the old constraint and add the new one with
-- `using index` in one transaction.
--
-- ## When to leave it
-- The constraint is redundant: another unique key over the same columns stays.

with dropped as (
    select
        effect.effect,
        effect.relation,
        effect.object_name as constraint_name,
        step.file,
        case
            when effect.definition in ('primary key', 'unique', 'exclusion') then effect.definition
            -- of a table that no migration made, the name that PostgreSQL gives
            when effect.definition is null and effect.object_name like '%\_pkey' escape '\' then 'primary key'
            when effect.definition is null and effect.object_name like '%\_key' escape '\' then 'unique'
        end as kind
    from migration_effect as effect
    join migration_step as step on step.step = effect.step
    where effect.action = 'drop constraint'
        and effect.is_present
        and not effect.is_new
        and not effect.is_name_new
        and effect.name_returns is null
),
added as (
    select distinct effect.relation, step.file
    from migration_effect as effect
    join migration_step as step on step.step = effect.step
    where effect.action in ('add primary key', 'add unique', 'add exclusion')
        or (effect.action = 'create index' and effect.is_unique)
)
select
    dropped.effect,
    dropped.relation || '.' || dropped.constraint_name as subject,
    dropped.relation,
    dropped.constraint_name,
    dropped.kind
from dropped
left join added on added.relation = dropped.relation and added.file = dropped.file
where dropped.kind is not null and added.file is null;

-- example: a unique constraint of an earlier migration
-- given: migration
create table users (id bigint primary key, email text constraint users_email unique);
-- next file
alter table users drop constraint users_email;
-- finds: public.users.users_email

-- example: a primary key by the name that PostgreSQL gives
-- given: migration
alter table users drop constraint users_pkey;
-- finds: public.users.users_pkey

-- example: a foreign key or a check keeps no statement from working
-- given: migration
create table users (id bigint primary key, age int constraint grown check (age > 17));
-- next file
alter table users drop constraint grown;
-- finds: nothing

-- example: of a table that is not known nothing is said
-- given: migration
alter table users drop constraint grown;
-- finds: nothing

-- example: another key takes its place
-- given: migration, in a transaction
create table users (id int primary key, new_id bigint not null);
create unique index users_new_id on users (new_id);
-- next file
alter table users drop constraint users_pkey;
alter table users add constraint users_pkey primary key using index users_new_id;
-- finds: nothing

-- example: the table is born in the same file
-- given: migration
create table users (id bigint primary key, email text constraint users_email unique);
alter table users drop constraint users_email;
-- finds: nothing

-- example: there is no such constraint
-- given: migration
create table users (id bigint);
-- next file
alter table users drop constraint if exists users_pkey;
-- finds: nothing
