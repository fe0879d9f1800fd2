-- rule: trigger-added
-- title: Trigger added to a table in use
-- severity: info
-- reads: migration_effect
-- actions: create trigger
-- message: {trigger} will run inside the writes of {relation}, and adding it stops all of them (SHARE ROW EXCLUSIVE)
--     until the transaction ends; keep both the function and the transaction short.
-- since: 0.1
--
-- ## Why it matters
-- `create trigger` itself is quick, but it waits until every transaction that has written to the table has ended, all
-- new writes queue behind it, and the lock is kept to the end of the transaction. After that each row, or each
-- statement, pays for the function, also in bulk loads.
--
-- ## What to do
-- Make it the last statement of a short transaction, with a short `lock_timeout` and a second try. Use `when (…)` and
-- `update of …` so that it runs only for what it is about, and a statement trigger with transition tables where rows
-- come in bulk.
--
-- ## When to leave it
-- When the trigger is wanted and quick: this is information. New tables are not reported.

select
    effect.effect,
    effect.relation || '.' || effect.object_name as subject,
    effect.relation,
    effect.object_name as trigger
from migration_effect as effect
where
    effect.action = 'create trigger' and effect.relation_kind <> 'view'
    and not effect.is_new and effect.is_present;

-- example: on a table in use
-- given: migration
create trigger orders_touch before update on orders for each row execute function touch();
-- finds: public.orders.orders_touch

-- example: a function alone is no trigger
-- given: migration
create function touch() returns trigger language plpgsql as 'begin return new; end';
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
