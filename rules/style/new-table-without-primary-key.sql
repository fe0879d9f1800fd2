-- rule: new-table-without-primary-key
-- title: New table without a primary key
-- severity: info
-- reads: migration_effect
-- actions: create table, create table as
-- message: {relation} gets no primary key: its rows cannot be told apart, and logical replication refuses to update or
--     delete them; give it one.
-- since: 0.1
--
-- ## Why it matters
-- Without a key a duplicate row cannot be deleted alone, a backfill cannot walk along the table in batches, and updates
-- and deletes on a published table fail for want of a replica identity. A key added later needs an index build and NOT
-- NULL.
--
-- ## What to do
-- `id bigint generated always as identity primary key`, or the columns that identify a row anyway.
--
-- ## When to leave it
-- A log that is only appended to and dropped by partition, or a staging table.

select effect.effect, effect.relation as subject, effect.relation
from migration_effect as effect
where effect.action in ('create table', 'create table as')
    and effect.is_present
    and effect.has_primary_key = false
    and effect.relation_kind in ('table', 'partitioned table')
    and effect.relation not like 'pg\_temp.%' escape '\'
    -- a partition is like its parent
    and not exists (
        select 1
        from migration_effect as part
        where part.action = 'create partition'
            and part.step = effect.step
    );

-- example: no key
-- given: migration
create table events (at timestamptz, what text);
-- finds: public.events

-- example: only a unique constraint
-- given: migration
create table events (id bigint unique, what text);
-- finds: public.events

-- example: a key of its own, or behind the columns
-- given: migration
create table a (id bigint primary key);
create table b (order_id bigint, line int, primary key (order_id, line));
-- finds: nothing

-- example: the key follows
-- given: migration
create table events (id bigint not null, what text);
alter table events add primary key (id);
-- finds: nothing

-- example: a partition has its parent's key
-- given: migration
create table events (day date, id bigint, primary key (day, id)) partition by range (day);
create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
-- finds: nothing

-- example: temporary, there already, or dropped again
-- given: migration
create table orders (id bigint primary key);
-- next file
create temporary table batch (what text);
create table if not exists orders (what text);
create table scratch (what text);
drop table scratch;
-- finds: nothing
