-- rule: table-truncated
-- title: Table truncated
-- severity: error
-- reads: migration_effect
-- actions: truncate
-- message: All rows of {relation} are gone for good, and every statement on it waits for its ACCESS EXCLUSIVE lock;
--     delete the rows that have to go in batches, or save them first.
-- since: 0.1
--
-- ## Why it matters
-- TRUNCATE empties the table whatever is in it by the day the migration runs. It fires no DELETE triggers, waits for
-- and then blocks even readers, and is not MVCC-safe: a transaction with an older snapshot sees the table empty.
--
-- ## What to do
-- Delete what has to go with a WHERE, in batches. Where really all of it has to go, rename the table away and put a new
-- one in its place, so that the rows are there until the release has proved itself.
--
-- ## When to leave it
-- The rows can be computed again (a cache, a staging table), and clients cope with an empty table.

select effect.effect, effect.relation as subject, effect.relation
from migration_effect as effect
where effect.action = 'truncate'
    and not coalesce(effect.is_cascade, false) -- what CASCADE means, truncate-cascades says
    and effect.is_present
    and not effect.is_new;

-- example: a table in use
-- given: migration
truncate orders;
-- finds: public.orders

-- example: two tables of earlier migrations
-- given: migration, in a transaction
create table orders (id bigint primary key);
create table items (id bigint primary key);
-- next file
truncate table only orders, items restart identity;
-- finds: public.items
-- finds: public.orders

-- example: inside a DO block
-- given: migration
do $$ begin truncate orders; end $$;
-- finds: public.orders

-- example: the table is born in the same file
-- given: migration
create table scratch (id bigint primary key);
insert into scratch values (1);
truncate scratch;
-- finds: nothing

-- example: a temporary table
-- given: migration
create temporary table batch (id bigint);
truncate batch;
-- finds: nothing

-- example: rows are deleted by a WHERE
-- given: migration
delete from orders where created_at < '2020-01-01';
-- finds: nothing

-- example: with CASCADE it is another fault
-- given: migration
truncate orders cascade;
-- finds: nothing
