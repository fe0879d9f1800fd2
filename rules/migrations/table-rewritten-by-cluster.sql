-- rule: table-rewritten-by-cluster
-- title: CLUSTER writes the table anew
-- severity: error
-- reads: migration_effect
-- actions: cluster
-- message: CLUSTER writes {subject} and its indexes anew, in order, while reads and writes wait.
-- since: 0.1
--
-- ## Why it matters
-- The table is sorted into a new file under ACCESS EXCLUSIVE and all indexes are built again; it needs the room of both
-- on disk. The order is lost again with the next updates.
--
-- ## What to do
-- Leave it out of migrations. Where the order matters, pg_repack sorts beside the traffic; a BRIN index or partitions
-- by the same key may do without it.
--
-- ## When to leave it
-- When the table is new or small, or in a maintenance window. `alter table … cluster on` only marks the index.

select
    effect.effect,
    coalesce(effect.relation, 'every clustered table') as subject
from migration_effect as effect
where
    effect.action = 'cluster' and effect.is_rewrite is not false
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: a table in use
-- given: migration
cluster orders using orders_day;
-- finds: public.orders

-- example: only the mark
-- given: migration
alter table orders cluster on orders_day;
-- finds: nothing

-- example: all of them
-- given: migration
cluster;
-- finds: every clustered table

-- example: a new table
-- given: migration
create table orders (id bigint primary key);
cluster orders using orders_pkey;
-- finds: nothing
