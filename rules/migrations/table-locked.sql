-- rule: table-locked
-- title: Table locked by hand
-- severity: warning
-- reads: migration_effect, migration_step
-- actions: lock table
-- message: LOCK TABLE holds {lock} on {relation} to the end of the transaction: {who} until then; leave it out, or keep
--     the transaction to a few quick statements.
-- since: 0.1
--
-- ## Why it matters
-- Without a mode, LOCK TABLE takes ACCESS EXCLUSIVE, the strongest there is; from SHARE on, all writes wait. While it
-- waits for its turn, everyone who comes later waits behind it.
--
-- ## What to do
-- Statements that change a table take the lock that they need themselves. Where a lock is taken beforehand on purpose
-- (to get all locks in one order, or to keep writers out of a copy), set a short `lock_timeout` and commit soon.
--
-- ## When to leave it
-- A lock that a later statement of the same transaction needs on the same table anyway is not reported.

with locked as (
    select effect.effect, effect.step, effect.relation, effect.lock_level, step.transaction
    from migration_effect as effect
    join migration_step as step on step.step = effect.step
    where
        effect.action = 'lock table' and effect.lock_level >= 5
        and not effect.is_new and effect.is_present and step.refusal is null
        -- outside of a transaction it is refused
        and (step.transaction is not null or step.is_nested)
),

needed as (
    select distinct locked.effect
    from locked
    join migration_effect as later
        on later.relation = locked.relation and later.step > locked.step and later.lock_level >= locked.lock_level
    join migration_step as step on step.step = later.step and step.transaction = locked.transaction
    where later.action <> 'lock table'
)

select
    locked.effect,
    locked.relation as subject,
    locked.relation,
    case locked.lock_level
        when 8 then 'ACCESS EXCLUSIVE' when 7 then 'EXCLUSIVE' when 6 then 'SHARE ROW EXCLUSIVE' else 'SHARE'
    end as lock,
    case when locked.lock_level = 8 then 'reads and writes wait' else 'writes wait' end as who
from locked
left join needed on needed.effect = locked.effect
where needed.effect is null;

-- example: the strongest lock
-- given: migration, in a transaction
lock table orders;
update orders set state = 'old' where state = 'new';
-- finds: public.orders

-- example: a weaker one that stops writes
-- given: migration, in a transaction
lock table orders, customers in share row exclusive mode;
-- finds: public.customers
-- finds: public.orders

-- example: one that stops nobody
-- given: migration, in a transaction
lock table orders in row exclusive mode;
lock table customers in access share mode;
lock table lines in share update exclusive mode;
-- finds: nothing

-- example: the lock that the next statement needs anyway
-- given: migration, in a transaction
lock table orders in access exclusive mode;
alter table orders add column state text;
-- finds: nothing

-- example: stronger than the next statement needs
-- given: migration, in a transaction
lock table orders in access exclusive mode;
create trigger orders_touch before update on orders for each row execute function touch();
-- finds: public.orders

-- example: a new table
-- given: migration, in a transaction
create table orders (id bigint);
lock table orders;
-- finds: nothing

-- example: outside of a transaction it is refused, which another rule says
-- given: migration
lock table orders;
-- finds: nothing
