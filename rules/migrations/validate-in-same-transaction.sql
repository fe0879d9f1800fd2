-- rule: validate-in-same-transaction
-- title: Constraint validated while its table is still locked
-- severity: error
-- reads: migration_effect, migration_step
-- actions: validate constraint
-- message: The transaction holds {lock} on {relation} since line {line_locked}, so {who} while {constraint} is
--     validated against every row; validate it in a transaction of its own.
-- repair: validate-later
-- since: 0.1
--
-- ## Why it matters
-- VALIDATE CONSTRAINT alone stops nobody. But a lock is kept to the end of its transaction: where the same transaction
-- added the constraint NOT VALID, or altered the table in any other way, the stronger lock is still there while the
-- whole table is read, and NOT VALID has won nothing.
--
-- ## What to do
-- Commit between the two: put VALIDATE CONSTRAINT in a migration of its own, or tell the runner not to wrap the file in
-- a transaction.
--
-- ## When to leave it
-- When the table is new or small.

with validated as (
    select effect.effect, effect.step, effect.relation, effect.object_name, step.transaction
    from migration_effect as effect
    join migration_step as step on step.step = effect.step
    where
        effect.action = 'validate constraint' and effect.is_scan is not false
        and not effect.is_new and not effect.is_small and effect.is_present
),

-- the strongest lock on the table that the transaction, or an action of the same statement, took before
locked as (
    select
        validated.effect,
        max(earlier.lock_level) as lock_level,
        arg_max(step.line, earlier.lock_level * 1000000 - earlier.effect) as line_locked
    from validated
    join migration_effect as earlier
        on earlier.relation = validated.relation and earlier.effect <> validated.effect and earlier.lock_level >= 5
    join migration_step as step on step.step = earlier.step
    where
        earlier.step = validated.step
        or (step.transaction = validated.transaction and earlier.step < validated.step)
    group by validated.effect
)

select
    validated.effect,
    validated.relation || '.' || validated.object_name as subject,
    validated.relation,
    validated.object_name as constraint,
    locked.line_locked,
    case locked.lock_level
        when 8 then 'ACCESS EXCLUSIVE' when 7 then 'EXCLUSIVE' when 6 then 'SHARE ROW EXCLUSIVE' else 'SHARE'
    end as lock,
    case when locked.lock_level = 8 then 'reads and writes wait' else 'writes wait' end as who
from validated
join locked on locked.effect = validated.effect;

-- example: added and validated in one transaction
-- given: migration
begin;
alter table orders add constraint orders_total check (total >= 0) not valid;
alter table orders validate constraint orders_total;
commit;
-- finds: public.orders.orders_total

-- example: the runner's transaction does the same
-- given: migration, in a transaction
alter table orders add constraint orders_customer_fk foreign key (customer_id) references customers (id) not valid;
alter table orders validate constraint orders_customer_fk;
-- finds: public.orders.orders_customer_fk

-- example: a batch is a transaction
-- given: migration, as one batch
alter table orders add constraint orders_total check (total >= 0) not valid;
alter table orders validate constraint orders_total;
-- finds: public.orders.orders_total

-- example: each statement alone
-- given: migration
alter table orders add constraint orders_total check (total >= 0) not valid;
alter table orders validate constraint orders_total;
-- finds: nothing

-- example: a commit between them
-- given: migration, in a transaction
alter table orders add constraint orders_total check (total >= 0) not valid;
commit;
alter table orders validate constraint orders_total;
-- finds: nothing

-- example: both in one statement
-- given: migration
alter table orders add constraint orders_total check (total >= 0) not valid, validate constraint orders_total;
-- finds: public.orders.orders_total

-- example: another action holds the lock as well
-- given: migration, in a transaction
alter table orders add column state text;
alter table orders validate constraint orders_total;
-- finds: public.orders.orders_total

-- example: the lock is on another table
-- given: migration, in a transaction
alter table customers add column state text;
alter table orders validate constraint orders_total;
-- finds: nothing

-- example: two validations, nothing else
-- given: migration, in a transaction
alter table orders validate constraint orders_total;
alter table orders validate constraint orders_customer_fk;
-- finds: nothing

-- example: validated first, locked after
-- given: migration, in a transaction
alter table orders validate constraint orders_total;
alter table orders alter column total set not null;
-- finds: nothing

-- example: a new table
-- given: migration, in a transaction
create table orders (id bigint, total int);
alter table orders add constraint orders_total check (total >= 0) not valid;
alter table orders validate constraint orders_total;
-- finds: nothing

-- example: it is validated already
-- given: migration, in a transaction
create table orders (id bigint, total int, constraint orders_total check (total >= 0));
-- next file
alter table orders add column state text;
alter table orders validate constraint orders_total;
-- finds: nothing
