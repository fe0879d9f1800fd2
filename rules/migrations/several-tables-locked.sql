-- rule: several-tables-locked
-- title: Several tables locked in one transaction
-- severity: warning
-- reads: migration_effect, migration_step
-- message: One transaction takes ACCESS EXCLUSIVE on {tables} tables ({names}): while it waits for one, all traffic of
--     the others stands still, and a client that uses them in another order deadlocks; change one table a transaction.
-- param: min_tables = 3 -- two tables that change together are common, and mostly quick
-- since: 0.1
--
-- ## Why it matters
-- Each lock has to wait for the running transactions of its table, and meanwhile the locks that were taken before are
-- held. One long query on the last table thus stops all tables. Two transactions that take the same tables in different
-- order end in a deadlock, and PostgreSQL cancels one of them.
--
-- ## What to do
-- One table a transaction: split the migration, or switch the runner's transaction off where each statement may stand
-- alone. With a short `lock_timeout` the wait is bounded (reported as info).
--
-- ## When to leave it
-- When the changes have to appear together.

with locked as (
    select
        step.transaction,
        effect.relation,
        min(effect.effect) as effect,
        arg_min(effect.action, effect.effect) as first_action,
        bool_or(step.lock_timeout_ms > 0) as has_timeout
    from migration_effect as effect
    join migration_step as step on step.step = effect.step
    where
        step.transaction is not null and effect.lock_level = 8 and effect.action <> 'drop table'
        and effect.relation_kind in ('table', 'partitioned table')
        and not effect.is_new and effect.is_present
    group by step.transaction, effect.relation
)

select
    max(locked.effect) as effect,
    arg_max(locked.relation, locked.effect) as subject,
    count(*) as tables,
    arg_min(locked.relation, locked.effect) || ' … ' || arg_max(locked.relation, locked.effect) as names,
    case when bool_and(coalesce(locked.has_timeout, false)) then 'info' else 'warning' end as severity
from locked
-- a partition is locked with its parent
where locked.first_action <> 'also lock'
group by locked.transaction
having count(*) >= $min_tables;

-- example: three tables
-- given: migration, in a transaction
alter table orders add column state text;
alter table lines add column state text;
alter table customers add column state text;
-- finds: public.customers

-- example: two tables
-- given: migration, in a transaction
alter table orders add column state text;
alter table lines add column state text;
alter table orders add column kind text;
-- finds: nothing

-- example: each statement alone
-- given: migration
alter table orders add column state text;
alter table lines add column state text;
alter table customers add column state text;
-- finds: nothing

-- example: new tables do not count
-- given: migration, in a transaction
create table archive (id bigint);
alter table archive add column state text;
alter table orders add column state text;
alter table lines add column state text;
-- finds: nothing

-- example: nor do weaker locks
-- given: migration, in a transaction
create index on orders (state);
create index on lines (state);
create index on customers (state);
-- finds: nothing

-- example: nor do the partitions of one table
-- given: migration, in a transaction
create table events (day date) partition by range (day);
create table events_2025 partition of events for values from ('2025-01-01') to ('2026-01-01');
create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
-- next file
alter table events add column kind text;
-- finds: nothing

-- example: a partition after its parent
-- given: migration, in a transaction
create table events (day date) partition by range (day);
create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
-- next file
alter table orders add column kind text;
alter table events add column kind text;
alter table events_2026 alter column kind set default 'x';
-- finds: nothing

-- example: tables that go need no waiting for
-- given: migration, in a transaction
drop table old_orders;
drop table old_lines;
drop table old_customers;
-- finds: nothing

-- example: with a lock_timeout it is only information
-- given: migration, in a transaction
set local lock_timeout = '2s';
alter table orders add column state text;
alter table lines add column state text;
alter table customers add column state text;
-- finds: public.customers
