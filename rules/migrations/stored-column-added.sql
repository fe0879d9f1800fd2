-- rule: stored-column-added
-- title: Stored generated column added to a table in use
-- severity: error
-- reads: migration_effect
-- actions: add column
-- message: {column} is computed and stored for every row, so {relation} is written anew while reads and writes wait;
--     use an ordinary column kept by a trigger, or (18 and later) a virtual one.
-- since: 0.1
--
-- ## Why it matters
-- `generated always as (…) stored` writes all rows and all indexes of the table anew under ACCESS EXCLUSIVE.
--
-- ## What to do
-- From 18 on, a virtual column is computed when it is read, and adding one writes nothing. Where the value has to be
-- stored, add an ordinary column, keep it by a trigger, and fill the old rows in batches. For a filter or an order
-- alone, an index on the expression does it, built concurrently, without any column.
--
-- ## When to leave it
-- When the table is new or small.

select
    effect.effect,
    effect.relation || ' (' || effect.column_name || ')' as subject,
    effect.relation,
    effect.column_name as column
from migration_effect as effect
where
    effect.action = 'add column' and effect.new_name = 'stored' and effect.is_rewrite is not false
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: on a table in use
-- given: migration
alter table orders add column gross numeric generated always as (net * 1.19) stored;
-- finds: public.orders (gross)

-- example: a virtual one
-- given: migration, version 18
alter table orders add column gross numeric generated always as (net * 1.19) virtual;
-- finds: nothing

-- example: a new table
-- given: migration
create table orders (id bigint, net numeric);
alter table orders add column gross numeric generated always as (net * 1.19) stored;
-- finds: nothing

-- example: an identity is told by another rule
-- given: migration
alter table orders add column number bigint generated always as identity;
-- finds: nothing
