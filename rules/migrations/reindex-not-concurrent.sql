-- rule: reindex-not-concurrent
-- title: REINDEX without CONCURRENTLY
-- severity: error
-- reads: migration_effect
-- message: REINDEX of {object} stops writes to its table, and every read that would plan with the index, until it is
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

-- one finding a statement: a schema or a partitioned table is many relations
select
    min(effect.effect) as effect,
    coalesce(arg_min(effect.object_name, effect.effect), arg_min(effect.relation, effect.effect), 'the database') as subject,
    coalesce(arg_min(effect.object_name, effect.effect), arg_min(effect.relation, effect.effect), 'the database')
    || case when count(*) > 1 then ' and others' else '' end as object
from migration_effect as effect
where
    effect.action = 'reindex' and effect.is_concurrent is not true
    and not effect.is_new and not effect.is_small and effect.is_present
group by effect.step;

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

-- example: a schema
-- given: migration
create table orders (id bigint primary key);
create table lines (id bigint primary key);
-- next file
reindex schema public;
-- finds: public.orders

-- example: a partitioned table
-- given: migration
create table events (day date, kind int) partition by range (day);
create index events_kind on events (kind);
create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
-- next file
reindex table events;
-- finds: public.events

-- example: an option that switches it off
-- given: migration
reindex (concurrently false) table orders;
-- finds: public.orders

-- example: a table that is new
-- given: migration
create table orders (id bigint primary key);
reindex table orders;
-- finds: nothing
