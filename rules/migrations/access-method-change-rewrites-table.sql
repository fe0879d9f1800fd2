-- rule: access-method-change-rewrites-table
-- title: SET ACCESS METHOD writes the table anew
-- severity: error
-- reads: migration_effect
-- actions: set access method
-- message: Another access method writes all of {relation} and its indexes anew while reads and writes wait.
-- since: 0.1
--
-- ## Why it matters
-- `set access method` (15 and later) copies every row into the storage of the new method under ACCESS EXCLUSIVE, and
-- builds all indexes again.
--
-- ## What to do
-- Make a new table with the method, copy the rows in batches while a trigger keeps it equal, and swap the names.
--
-- ## When to leave it
-- When the table is new or small. On a partitioned table (17 and later) it only holds for partitions to come, and is
-- not reported.

select
    effect.effect,
    effect.relation as subject,
    effect.relation
from migration_effect as effect
where
    effect.action = 'set access method' and effect.is_rewrite is not false
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: on a table in use
-- given: migration
alter table events set access method columnar;
-- finds: public.events

-- example: a partitioned table has no rows
-- given: migration
create table events (day date) partition by range (day);
-- next file
alter table events set access method columnar;
-- finds: nothing

-- example: a new table
-- given: migration
create table events (id bigint);
alter table events set access method columnar;
-- finds: nothing
