-- rule: delete-without-where
-- title: DELETE of every row
-- severity: error
-- reads: migration_effect
-- actions: delete
-- message: All rows of {relation} are gone for good, and stay locked until the transaction ends; say which rows have to
--     go, and delete them in batches.
-- since: 0.1
--
-- ## Why it matters
-- A DELETE without WHERE is mostly a WHERE that was forgotten. Where it is meant, it fires triggers and cascades row by
-- row, leaves the whole table to VACUUM, and holds every row locked until it commits.
--
-- ## What to do
-- Name the rows. To empty a large table on purpose, rename it away and put an empty one in its place, so that the rows
-- are there until the release has proved itself.
--
-- ## When to leave it
-- The table is a small one whose rows the next statement writes anew.

select
    effect.effect,
    effect.relation as subject,
    effect.relation
from migration_effect as effect
where effect.action = 'delete'
    and not effect.has_where
    and not effect.is_new
    and effect.relation_kind not in ('view', 'foreign table');

-- example: a table in use
-- given: migration
delete from orders;
-- finds: public.orders

-- example: of an earlier migration
-- given: migration, in a transaction
create table orders (id bigint primary key);
-- next file
with gone as (delete from orders returning *) select count(*) from gone;
-- finds: public.orders

-- example: with a WHERE
-- given: migration
delete from orders where created_at < '2020-01-01';
-- finds: nothing

-- example: the table is born in the same file
-- given: migration
create table scratch (id bigint primary key);
delete from scratch;
-- finds: nothing

-- example: a temporary table
-- given: migration
create temporary table batch as select 1 as id;
delete from batch;
-- finds: nothing

-- example: with a WHERE that holds for every row
-- given: migration
delete from orders where 1 = 1;
-- finds: public.orders
