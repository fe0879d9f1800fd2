-- rule: drop-index-not-concurrent
-- title: Index dropped without CONCURRENTLY
-- severity: warning
-- reads: migration_effect, migration_step
-- actions: drop index
-- message: Dropping {index} asks for ACCESS EXCLUSIVE on {relation}: behind one long query, all reads and writes of it
--     queue; drop it concurrently, outside a transaction.
-- repair: concurrently
-- since: 0.1
--
-- ## Why it matters
-- The drop itself is quick, but its ACCESS EXCLUSIVE lock on the table waits until every running transaction that has
-- touched the table has ended, and whoever comes after it, readers too, waits behind it. In a transaction the lock is
-- then kept to the end.
--
-- ## What to do
-- `drop index concurrently`, outside a transaction: it waits for old transactions without stopping anyone. It takes one
-- index at a time and no CASCADE.
--
-- ## When to leave it
-- With a short `lock_timeout` and a runner that tries again, a plain drop does little harm (reported as info). The
-- index of a partitioned table can only be dropped plainly, and is not reported.

select
    effect.effect,
    effect.object_name as subject,
    coalesce(effect.relation, 'its table') as relation,
    effect.object_name as index,
    case when step.lock_timeout_ms > 0 then 'info' else 'warning' end as severity
from migration_effect as effect
join migration_step as step on step.step = effect.step
where
    effect.action = 'drop index' and effect.is_concurrent is not true
    and not effect.is_new and effect.is_present
    and effect.is_partitioned is not true and effect.relation_kind <> 'materialized view';

-- example: a plain drop
-- given: migration
create table orders (id bigint, customer_id bigint);
create index orders_customer on orders (customer_id);
-- next file
drop index orders_customer;
-- finds: public.orders_customer

-- example: an index that no migration made
-- given: migration
drop index if exists orders_customer;
-- finds: public.orders_customer

-- example: concurrently
-- given: migration
drop index concurrently orders_customer;
-- finds: nothing

-- example: two at once
-- given: migration
drop index orders_customer, orders_day;
-- finds: public.orders_customer
-- finds: public.orders_day

-- example: the index of a table that is new
-- given: migration
create table orders (id bigint, customer_id bigint);
create index orders_customer on orders (customer_id);
drop index orders_customer;
-- finds: nothing

-- example: IF EXISTS of an index that is known to be gone
-- given: migration
create table orders (id bigint, customer_id bigint);
create index orders_customer on orders (customer_id);
-- next file
drop index concurrently orders_customer;
-- next file
drop index if exists orders_customer;
-- finds: nothing

-- example: the index of a partitioned table cannot be dropped concurrently
-- given: migration
create table events (day date, kind int) partition by range (day);
create index events_kind on events (kind);
-- next file
drop index events_kind;
-- finds: nothing

-- example: in a transaction
-- given: migration, in a transaction
drop index orders_customer;
-- finds: public.orders_customer
