-- rule: required-column-without-default
-- title: NOT NULL column added without a default
-- severity: error
-- reads: migration_effect, migration_step
-- actions: add column
-- message: Adding {column} NOT NULL without a default fails as soon as {relation} holds a row; give it a default, or
--     add it nullable, fill it, and set NOT NULL then.
-- fix: alter table {relation} add column {column_sql} {type};
--     -- fill it in batches, have every writer set it, and then:
--     alter table {relation} add constraint {check} check ({column_sql} is not null) not valid;
--     -- in a transaction of its own:
--     alter table {relation} validate constraint {check};
--     alter table {relation} alter column {column_sql} set not null;
--     alter table {relation} drop constraint {check};
-- since: 0.1
--
-- ## Why it matters
-- The rows that are there get a null in the new column, and PostgreSQL refuses it: "column contains null values". On an
-- empty table of a developer the migration passes, in production it fails.
--
-- ## What to do
-- A constant default makes it instant (11 and later), and can be dropped afterwards. Else add the column nullable, let
-- the application write it, fill the old rows in batches, and set NOT NULL behind a validated CHECK.
--
-- ## When to leave it
-- When the table is surely empty everywhere. Where the same file empties it first (TRUNCATE, DELETE without WHERE), it
-- is not reported.

with emptied as (
    select step.file, effect.relation, min(effect.step) as first_step
    from migration_effect as effect
    join migration_step as step on step.step = effect.step
    where effect.action = 'truncate' or (effect.action = 'delete' and effect.has_where is false)
    group by step.file, effect.relation
)

select
    effect.effect,
    effect.relation || ' (' || effect.column_name || ')' as subject,
    effect.relation,
    effect.column_name as column,
    effect.type_after as type,
    case
        when regexp_matches(effect.column_name, '^[a-z_][a-z0-9_]*$') then effect.column_name
        else '"' || replace(effect.column_name, '"', '""') || '"'
    end as column_sql,
    'filled_not_null' as "check"
from migration_effect as effect
join migration_step as step on step.step = effect.step
left join emptied
    on emptied.file = step.file and emptied.relation = effect.relation and emptied.first_step < effect.step
where
    emptied.first_step is null and effect.action = 'add column' and effect.object_name = 'not null'
    and effect.is_default is not true and effect.new_name is null
    and not effect.is_new and effect.is_present
    and coalesce(effect.row_count, 1) > 0;

-- example: on a table in use
-- given: migration
alter table orders add column state text not null;
-- finds: public.orders (state)

-- example: with a default
-- given: migration
alter table orders add column state text not null default 'new';
-- finds: nothing

-- example: a default that comes as an action of the same statement comes too late
-- given: migration
alter table orders add column state text not null, alter column state set default 'new';
-- finds: public.orders (state)

-- example: columns that fill themselves
-- given: migration
alter table orders add column a bigint not null generated always as identity;
alter table orders add column b bigserial not null;
alter table orders add column c bigint not null generated always as (total * 2) stored;
-- finds: nothing

-- example: a new table
-- given: migration
create table orders (id bigint);
alter table orders add column state text not null;
-- finds: nothing

-- example: the column is there already
-- given: migration
create table orders (id bigint, state text not null);
-- next file
alter table orders add column if not exists state text not null;
-- finds: nothing

-- example: the table is emptied first
-- given: migration
delete from sessions;
alter table sessions add column user_id bigint not null;
truncate tokens;
alter table tokens add column user_id bigint not null;
delete from orders where id < 0;
alter table orders add column user_id bigint not null;
-- finds: public.orders (user_id)

-- example: nullable
-- given: migration
alter table orders add column state text;
-- finds: nothing

-- example: a table that --against knows to be empty
-- given: evidence
insert into migration_effect (
    effect, step, action, relation, relation_kind, lock_level, column_name, object_name, is_known, is_present, row_count
)
values (1, 1, 'add column', 'public.orders', 'table', 8, 'state', 'not null', true, true, 0);
-- finds: nothing
