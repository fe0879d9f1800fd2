-- rule: table-rewritten-by-vacuum-full
-- title: VACUUM FULL writes the table anew
-- severity: error
-- reads: migration_effect
-- actions: vacuum full
-- message: VACUUM FULL writes {subject} and its indexes anew while reads and writes wait; a plain VACUUM stops nobody.
-- since: 0.1
--
-- ## Why it matters
-- It copies the table into a new file under ACCESS EXCLUSIVE and builds all indexes again. A plain VACUUM frees the
-- space for new rows beside the traffic, and only does not give it back to the disk.
--
-- ## What to do
-- Plain `vacuum`. Where space has to go back to the disk, pg_repack does it beside the traffic; bloat of indexes alone
-- goes by `reindex … concurrently`.
--
-- ## When to leave it
-- When the table is small, or in a maintenance window.

select
    effect.effect,
    coalesce(effect.relation, 'the whole database') as subject
from migration_effect as effect
where
    effect.action = 'vacuum full' and effect.is_rewrite is not false
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: a table in use
-- given: migration
vacuum full orders;
-- finds: public.orders

-- example: as an option, of two tables
-- given: migration
vacuum (full, analyze) orders, customers;
-- finds: public.customers
-- finds: public.orders

-- example: the option switched off
-- given: migration
vacuum (full false) orders;
-- finds: nothing

-- example: plain
-- given: migration
vacuum (analyze, verbose) orders;
-- finds: nothing

-- example: all tables
-- given: migration
vacuum full;
-- finds: the whole database

-- example: a new table
-- given: migration
create table orders (id bigint);
vacuum full orders;
-- finds: nothing
