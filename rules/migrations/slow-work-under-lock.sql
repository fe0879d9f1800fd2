-- rule: slow-work-under-lock
-- title: Slow work on one table while another is locked
-- severity: error
-- reads: migration_effect, migration_step
-- message: {locked} stays locked ({lock}, since line {line_locked}) while {worked} is {work}: {who} it wait for all of
--     that; commit in between, or do the slow work first.
-- since: 0.1
--
-- ## Why it matters
-- A lock is kept to the end of its transaction. A quick change of one table, followed in the same transaction by
-- minutes of work on another, stops the first table for those minutes as well.
--
-- ## What to do
-- Put the two in transactions of their own, or the slow statement before the quick one, so that the lock comes last.
--
-- ## When to leave it
-- When the table that is worked on is small, or the locked one is not in use.

with work as (
    select
        effect.effect,
        effect.step,
        effect.relation,
        effect.lock_level,
        effect.action,
        step.transaction,
        case
            when effect.is_rewrite then 'written anew'
            when effect.is_index_build or effect.is_index_rebuild then 'indexed'
            else 'read whole'
        end as work
    from migration_effect as effect
    join migration_step as step on step.step = effect.step
    where
        step.transaction is not null and effect.action <> 'also lock'
        and (effect.is_rewrite or effect.is_scan or effect.is_index_build or effect.is_index_rebuild)
        and not effect.is_new and not effect.is_small and effect.is_present
),

-- locks on tables in use, of transactions that do slow work at all
held as (
    select effect.effect, effect.step, effect.relation, effect.lock_level, step.transaction, step.line
    from migration_effect as effect
    join migration_step as step on step.step = effect.step
    where
        effect.lock_level >= 5 and effect.action <> 'also lock' and not effect.is_new and effect.is_present
        and effect.relation_kind in ('table', 'partitioned table', 'materialized view')
        and step.transaction in (select work.transaction from work)
),

-- a table that its own transaction locked before: that it waits is told by the rules about that table
own as (
    select distinct work.effect
    from work
    join held on held.transaction = work.transaction and held.relation = work.relation and held.step < work.step
    where work.lock_level < 5
),

pairs as (
    select
        work.effect,
        work.relation as worked,
        work.work,
        work.lock_level as level_of_work,
        held.relation as locked,
        held.lock_level,
        held.line as line_locked,
        row_number() over (
            partition by work.transaction order by work.step, held.lock_level desc, held.step, work.effect, held.effect
        ) as place
    from work
    join held
        on held.transaction = work.transaction and held.step < work.step and held.relation <> work.relation
    left join own on own.effect = work.effect
    -- work that stops its own table has a rule of its own: here it only counts where others cannot even read
    where own.effect is null and (held.lock_level = 8 or work.lock_level < 5)
)

select
    pairs.effect,
    pairs.locked as subject,
    pairs.locked,
    pairs.worked,
    pairs.work,
    pairs.line_locked,
    case pairs.lock_level
        when 8 then 'ACCESS EXCLUSIVE' when 7 then 'EXCLUSIVE' when 6 then 'SHARE ROW EXCLUSIVE' else 'SHARE'
    end as lock,
    case when pairs.lock_level = 8 then 'reads and writes of' else 'writes to' end as who,
    case when pairs.level_of_work < 5 then 'error' else 'warning' end as severity
from pairs
where pairs.place = 1;

-- example: a quick change, then a validation of another table
-- given: migration, in a transaction
alter table orders add column state text;
alter table lines validate constraint lines_order_fk;
-- finds: public.orders

-- example: then an index on another table
-- given: migration, in a transaction
alter table orders add column state text;
create index lines_order on lines (order_id);
-- finds: public.orders

-- example: each in a transaction of its own
-- given: migration
alter table orders add column state text;
alter table lines validate constraint lines_order_fk;
-- finds: nothing

-- example: the slow work first
-- given: migration, in a transaction
alter table lines validate constraint lines_order_fk;
alter table orders add column state text;
-- finds: nothing

-- example: the same table is told by the rules about it
-- given: migration, in a transaction
alter table orders add column state text;
create index orders_state on orders (state);
alter table orders validate constraint orders_total;
-- finds: nothing

-- example: an index only stops writes, and says so itself
-- given: migration, in a transaction
create index orders_state on orders (state);
create index lines_order on lines (order_id);
-- finds: nothing

-- example: the locked table is new
-- given: migration, in a transaction
create table archive (id bigint);
alter table archive add column state text;
alter table lines validate constraint lines_order_fk;
-- finds: nothing

-- example: the work is on a new table
-- given: migration, in a transaction
alter table orders add column state text;
create table archive (id bigint, state text);
create index on archive (state);
-- finds: nothing

-- example: a foreign key validated in the transaction that added it
-- given: migration, in a transaction
alter table lines add constraint lines_order_fk foreign key (order_id) references orders (id) not valid;
alter table lines validate constraint lines_order_fk;
-- finds: nothing

-- example: one finding for all that follows
-- given: migration, in a transaction
alter table orders add column state text;
create index lines_order on lines (order_id);
create index lines_item on lines (item_id);
-- finds: public.orders

-- example: a partitioned table and its own partitions
-- given: migration, in a transaction
create table events (day date, kind int) partition by range (day);
create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
-- next file
alter table events add column state text;
create index events_kind on events (kind);
-- finds: nothing

-- example: a commit in between
-- given: migration, in a transaction
alter table orders add column state text;
commit;
create index lines_order on lines (order_id);
-- finds: nothing
