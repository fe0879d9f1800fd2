-- rule: serial-column-added
-- title: serial column added to a table in use
-- severity: error
-- reads: migration_effect
-- actions: add column
-- message: Every row of {relation} gets its number when {column} is added, so the table is written anew while reads and
--     writes wait; add a plain column with a sequence as its default, and fill old rows in batches.
-- since: 0.1
--
-- ## Why it matters
-- A serial column has a volatile default, `nextval()`: under ACCESS EXCLUSIVE, all rows and all indexes of the table
-- are written anew, for as long as that takes.
--
-- ## What to do
-- Add the column as bigint, create a sequence owned by it, and set `default nextval(…)` in a statement of its own: that
-- holds for new rows. Fill the old rows in batches, then make the column NOT NULL behind a validated CHECK.
--
--     alter table orders add column number bigint;
--     create sequence orders_number_seq owned by orders.number;
--     alter table orders alter column number set default nextval('orders_number_seq');
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
    effect.action = 'add column' and effect.new_name = 'serial' and effect.is_rewrite is not false
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: on a table in use
-- given: migration
alter table orders add column number bigserial;
-- finds: public.orders (number)

-- example: a sequence of its own, for new rows
-- given: migration
alter table orders add column number bigint;
create sequence orders_number_seq owned by orders.number;
alter table orders alter column number set default nextval('orders_number_seq');
-- finds: nothing

-- example: a new table
-- given: migration
create table orders (id bigserial primary key);
alter table orders add column number serial;
-- finds: nothing

-- example: the column is there already
-- given: migration
create table orders (id bigint, number bigint);
-- next file
alter table orders add column if not exists number bigserial;
-- finds: nothing
