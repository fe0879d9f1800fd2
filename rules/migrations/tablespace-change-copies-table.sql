-- rule: tablespace-change-copies-table
-- title: SET TABLESPACE copies the table under an exclusive lock
-- severity: error
-- reads: migration_effect
-- actions: set tablespace
-- message: {object} is copied to another tablespace while reads and writes of {relation} wait.
-- since: 0.1
--
-- ## Why it matters
-- Its files are copied byte by byte under ACCESS EXCLUSIVE, and through the WAL: the time is its size by the speed of
-- the disk.
--
-- ## What to do
-- An index moves without stopping anyone: `reindex (tablespace …, concurrently) index …` (14 and later). For a table
-- there is no such form in the server; extensions such as pg_repack copy it beside the traffic and swap at the end.
--
-- ## When to leave it
-- In a maintenance window. A partitioned table has no files: the change only holds for partitions to come, and is not
-- reported.

select
    effect.effect,
    coalesce(effect.relation, 'everything in the tablespace') as subject,
    coalesce(effect.relation, 'everything in the tablespace') as object,
    case when effect.relation_kind = 'index' then coalesce(effect.other_relation, 'its table') else 'it' end as relation
from migration_effect as effect
where
    effect.action = 'set tablespace' and (effect.is_rewrite is not false or effect.is_index_rebuild)
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: a table
-- given: migration
alter table orders set tablespace slow;
-- finds: public.orders

-- example: an index
-- given: migration
create table orders (id bigint, customer_id bigint);
create index orders_customer on orders (customer_id);
-- next file
alter index orders_customer set tablespace slow;
-- finds: public.orders_customer

-- example: a partitioned table has no files
-- given: migration
create table events (day date) partition by range (day);
-- next file
alter table events set tablespace slow;
-- finds: nothing

-- example: a new table
-- given: migration
create table orders (id bigint);
alter table orders set tablespace slow;
-- finds: nothing
