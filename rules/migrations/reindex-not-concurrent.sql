-- rule: reindex-not-concurrent
-- title: REINDEX without CONCURRENTLY
-- severity: error
-- reads: migration_effect, migration_step
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
-- second copy of the index. If it fails, drop what it leaves behind, an INVALID index named `…_ccnew`. Partitioned
-- tables and indexes can be reindexed from 14 on, concurrently too.
--
-- ## When to leave it
-- In a maintenance window, or when the index is corrupt and must not be read meanwhile anyway. System catalogs
-- (`reindex system`) have no concurrent form.

-- one finding a statement: a schema or a partitioned table is many relations
with used as (
    select
        effect.step,
        count(*) as relations,
        count(*) filter (not effect.is_new and not effect.is_small and effect.is_present) as relations_in_use,
        min(effect.effect) filter (not effect.is_new and not effect.is_small and effect.is_present) as first_effect
    from migration_effect as effect
    where effect.action = 'reindex'
    group by effect.step
)

select
    step.step,
    effect.effect,
    coalesce(effect.object_name, effect.relation, lower(substr(step.refused_in_transaction, 9))) as subject,
    coalesce(effect.object_name, effect.relation, 'the ' || lower(substr(step.refused_in_transaction, 9)))
    || case when used.relations_in_use > 1 then ' and others' else '' end as object
from migration_step as step
left join used on used.step = step.step
left join migration_effect as effect on effect.effect = used.first_effect
where
    step.kind = 'ReindexStmt' and not step.is_concurrent
    -- of the system catalogs there is no concurrent form
    and step.refused_in_transaction is distinct from 'REINDEX SYSTEM'
    and (
        used.relations_in_use > 0
        -- of a schema or database that no migration made, nobody here knows the tables
        or (
            used.relations is null and step.refusal is null
            and step.refused_in_transaction in ('REINDEX SCHEMA', 'REINDEX DATABASE')
        )
    );

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

-- example: tables that no migration made
-- given: migration
reindex database;
-- finds: database

-- example: the system catalogs have no other form
-- given: migration
create table orders (id bigint primary key);
-- next file
reindex system;
-- finds: nothing

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
