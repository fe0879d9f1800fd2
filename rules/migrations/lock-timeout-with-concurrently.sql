-- rule: lock-timeout-with-concurrently
-- title: A timeout in force while an index is built concurrently
-- severity: warning
-- reads: migration_effect, migration_step
-- actions: create index, drop index, reindex, detach partition
-- message: A {timeout} of {timeout_ms} is in force: if {object} has to wait for one longer transaction, it fails and
--     leaves {left_behind}; set {timeout} = 0 before it.
-- fix: set {timeout} = 0;
-- repair: timeout-off
-- since: 0.1
--
-- ## Why it matters
-- CONCURRENTLY waits for all transactions that are older than its phases; it harms nobody while it waits. A timeout
-- ends the wait with an error, and since part of the work is already committed, an INVALID index stays behind that
-- every write keeps up and no query uses. A `statement_timeout` ends the build itself in the same way.
--
-- ## What to do
-- `set lock_timeout = 0` (and `set statement_timeout = 0`) before it, and set them again after it for what follows. A
-- session that cannot finish can be ended by hand.
--
-- ## When to leave it
-- Where a script of yours looks for INVALID indexes, drops them and tries again.

with timed as (
    select
        step.step,
        case when step.lock_timeout_ms > 0 then 'lock_timeout' else 'statement_timeout' end as timeout,
        case when step.lock_timeout_ms > 0 then step.lock_timeout_ms else step.statement_timeout_ms end as timeout_ms
    from migration_step as step
    where
        (step.lock_timeout_ms > 0 or step.statement_timeout_ms > 0)
        -- in a transaction it is refused, which another rule says
        and step.transaction is null and not step.is_nested
)

select
    effect.effect,
    coalesce(effect.object_name, effect.other_relation, effect.relation) as subject,
    timed.timeout,
    timed.timeout_ms,
    case effect.action
        when 'create index' then 'the build' else 'the ' || split_part(effect.action, ' ', 1)
    end as object,
    case
        when effect.action = 'detach partition' then 'a partition whose detach is pending'
        else 'an INVALID index'
    end as left_behind
from timed
join migration_effect as effect on effect.step = timed.step
where
    effect.is_concurrent and effect.is_present and not effect.is_new
    and effect.action in ('create index', 'drop index', 'reindex', 'detach partition');

-- example: a lock_timeout for the whole file
-- given: migration
set lock_timeout = '5s';
create index concurrently orders_customer on orders (customer_id);
-- finds: public.orders_customer

-- example: switched off before it
-- given: migration
set lock_timeout = '5s';
alter table orders add column state text;
set lock_timeout = 0;
create index concurrently orders_state on orders (state);
-- finds: nothing

-- example: reset before it
-- given: migration
set lock_timeout = '5s';
reset lock_timeout;
create index concurrently orders_state on orders (state);
-- finds: nothing

-- example: set locally in a transaction that is over
-- given: migration
begin;
set local lock_timeout = '5s';
alter table orders add column state text;
commit;
create index concurrently orders_state on orders (state);
-- finds: nothing

-- example: a statement_timeout
-- given: migration
set statement_timeout = '30s';
drop index concurrently orders_state;
reindex index concurrently orders_customer;
-- finds: public.orders_customer
-- finds: public.orders_state

-- example: a plain build should have one
-- given: migration
set lock_timeout = '5s';
create index orders_customer on orders (customer_id);
-- finds: nothing

-- example: a concurrent refresh leaves nothing behind
-- given: migration
set lock_timeout = '5s';
refresh materialized view concurrently totals;
-- finds: nothing

-- example: no timeout at all
-- given: migration
create index concurrently orders_customer on orders (customer_id);
-- finds: nothing
