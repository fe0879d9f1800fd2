-- rule: reindex-not-concurrent
-- title: REINDEX without CONCURRENTLY
-- severity: error
-- reads: migration_effect
-- message: REINDEX of {subject} stops writes to its table, and every read that would plan with the index, until it is
--     done; reindex concurrently, outside a transaction.
-- repair: concurrently
-- since: 0.1
--
-- ## Why it matters
-- A plain REINDEX holds a SHARE lock on the table, so writes wait, and ACCESS EXCLUSIVE on the index being built. The
-- planner looks at every index of a table, so even reads that would not use it wait.
--
-- ## What to do
-- `reindex index concurrently …` (12 and later), outside a transaction and without timeouts; it needs the room for a
-- second copy of the index. If it fails, drop what it leaves behind, an INVALID index named `…_ccnew`. Partitioned tables
-- and indexes can be reindexed from 14 on, concurrently too.
--
-- ## When to leave it
-- In a maintenance window, or when the index is corrupt and must not be read meanwhile anyway. System catalogs
-- (`reindex system`) have no concurrent form.

select
    effect.effect,
    coalesce(effect.object_name, effect.relation, 'the whole database') as subject
from migration_effect as effect
where
    effect.action = 'reindex' and effect.is_concurrent is not true
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: an index
-- given: migration
create table orders (id bigint, customer_id bigint);
create index orders_customer on orders (customer_id);
-- next file
reindex index orders_customer;
-- finds: public.orders_customer

-- example: all indexes of a table
-- given: migration
reindex table orders;
-- finds: public.orders

-- example: concurrently, in both spellings
-- given: migration
reindex index concurrently orders_customer;
reindex (concurrently, verbose) table orders;
-- finds: nothing

-- example: an option that switches it off
-- given: migration
reindex (concurrently false) table orders;
-- finds: public.orders

-- example: a table that is new
-- given: migration
create table orders (id bigint primary key);
reindex table orders;
-- finds: nothing
