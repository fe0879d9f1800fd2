-- rule: trigger-added
-- title: Trigger added to a table in use
-- severity: info
-- reads: migration_effect, migration_step
-- message: Adding {trigger} asks for SHARE ROW EXCLUSIVE on {relation}: it waits for running writes, and all later ones wait
--     behind it; set a short lock_timeout and try again where it fails.
-- repair: lock-timeout
-- since: 0.1
--
-- ## Why it matters
-- `create trigger` is quick, but it waits until every transaction that has written to the table has ended, and meanwhile
-- all new writes queue behind it. In a transaction the lock is then kept to the end. From its commit on, the trigger runs
-- for every write.
--
-- ## What to do
-- Run it with a short `lock_timeout` and a second try, alone or as the last statement of its transaction.
--
-- ## When to leave it
-- When the table is new. With a `lock_timeout` in force it is not reported.

select
    effect.effect,
    effect.relation || '.' || effect.object_name as subject,
    effect.relation,
    effect.object_name as trigger
from migration_effect as effect
join migration_step as step on step.step = effect.step
where
    effect.action = 'create trigger' and effect.relation_kind <> 'view'
    and not effect.is_new and effect.is_present
    and coalesce(step.lock_timeout_ms, 0) = 0;

-- example: on a table in use
-- given: migration
create trigger orders_touch before update on orders for each row execute function touch();
-- finds: public.orders.orders_touch

-- example: with a short lock_timeout
-- given: migration
set lock_timeout = '2s';
create trigger orders_touch before update on orders for each row execute function touch();
-- finds: nothing

-- example: a new table
-- given: migration
create table orders (id bigint);
create trigger orders_touch before update on orders for each row execute function touch();
-- finds: nothing

-- example: on a view there is nothing to wait for
-- given: migration
create view open_orders as select 1 as id;
-- next file
create trigger open_orders_insert instead of insert on open_orders for each row execute function touch();
-- finds: nothing
