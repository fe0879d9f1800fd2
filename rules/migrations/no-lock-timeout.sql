-- rule: no-lock-timeout
-- title: Lock asked for without a lock_timeout
-- severity: warning
-- reads: migration_effect, migration_step
-- message: {relation} is locked ({lock}) without a lock_timeout: behind one long transaction this waits for as long,
--     and all later {who} of it wait too; set lock_timeout first.
-- repair: lock-timeout
-- since: 0.1
--
-- ## Why it matters
-- Locks are granted in the order in which they are asked for. Even a change that is done at once waits behind the
-- longest transaction that has touched the table, and everyone who comes after it waits behind the change: a quick
-- ALTER TABLE and one forgotten session are an outage.
--
-- ## What to do
-- `set lock_timeout = '2s';` at the top of the migration, and let the runner, or a person, try again where it fails.
-- Statements with CONCURRENTLY are the other way around: they stop nobody while they wait, and want none.
--
-- ## When to leave it
-- When the role that migrates has one already (`alter role … set lock_timeout`), or the runner sets one: switch the
-- rule off in the configuration. The first such statement of a file is reported for all.

with asked as (
    select
        step.file,
        min(effect.effect) as effect
    from migration_effect as effect
    join migration_step as step on step.step = effect.step
    where
        effect.lock_level >= 5 and coalesce(step.lock_timeout_ms, 0) = 0
        and effect.is_concurrent is not true and not effect.is_new and effect.is_present
        and effect.relation_kind in ('table', 'partitioned table', 'view', 'materialized view', 'foreign table')
        and step.refusal is null
        -- these have a form that needs none, and a rule that says so
        and not (
            effect.action in ('create index', 'drop index', 'reindex', 'refresh materialized view')
            and effect.is_partitioned is not true
        )
        and not case
            when effect.action = 'lock table' then regexp_matches(step.statement, '\bnowait\b', 'i') else false
        end
    group by step.file
)

select
    effect.effect,
    coalesce(effect.relation, 'every table') as subject,
    coalesce(effect.relation, 'Every table') as relation,
    case effect.lock_level
        when 8 then 'ACCESS EXCLUSIVE' when 7 then 'EXCLUSIVE' when 6 then 'SHARE ROW EXCLUSIVE' else 'SHARE'
    end as lock,
    case when effect.lock_level = 8 then 'reads and writes' else 'writes' end as who
from asked
join migration_effect as effect on effect.effect = asked.effect;

-- example: a quick change
-- given: migration
alter table orders add column state text;
-- finds: public.orders

-- example: set at the top
-- given: migration
set lock_timeout = '2s';
alter table orders add column state text;
-- finds: nothing

-- example: set for the transaction
-- given: migration, in a transaction
set local lock_timeout = '2s';
alter table orders add column state text;
-- finds: nothing

-- example: by a function
-- given: migration
select set_config('lock_timeout', '2s', false);
alter table orders add column state text;
-- finds: nothing

-- example: set too late, and then switched off
-- given: migration
alter table orders add column state text;
set lock_timeout = '2s';
alter table customers add column state text;
set lock_timeout = 0;
alter table lines add column state text;
-- finds: public.orders

-- example: set for one transaction, not for the next
-- given: migration
begin;
set local lock_timeout = '2s';
alter table orders add column state text;
commit;
alter table customers add column state text;
-- finds: public.customers

-- example: one finding a file
-- given: migration
alter table orders add column state text;
alter table customers add column state text;
-- finds: public.orders

-- example: new tables only
-- given: migration
create table orders (id bigint);
alter table orders add column state text;
-- finds: nothing

-- example: a new table that refers to one in use locks that
-- given: migration
create table refunds (id bigint primary key, order_id bigint references orders (id));
-- finds: public.orders

-- example: CONCURRENTLY wants none
-- given: migration
create index concurrently on orders (state);
alter table orders validate constraint orders_total;
-- finds: nothing

-- example: a plain index has a better cure
-- given: migration
create index on orders (state);
drop index orders_old;
-- finds: nothing

-- example: rows only
-- given: migration
update orders set state = 'new' where state is null;
insert into kinds values (1);
-- finds: nothing

-- example: a server that has one set, as --against tells
-- given: evidence
insert into migration_step (step, file, line, kind, statement, lock_timeout_ms, runner, transactions, server_version)
values (1, '1.sql', 1, 'AlterTableStmt', 'alter table orders add column state text', 5000, 'psql', 'each', 18);
insert into migration_effect (effect, step, action, relation, relation_kind, lock_level, is_known, is_present)
values (1, 1, 'add column', 'public.orders', 'table', 8, true, true);
-- finds: nothing
