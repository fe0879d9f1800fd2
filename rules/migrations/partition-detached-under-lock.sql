-- rule: partition-detached-under-lock
-- title: Partition detached without CONCURRENTLY
-- severity: warning
-- reads: migration_effect, migration_step
-- actions: detach partition
-- message: Detaching {partition} asks for ACCESS EXCLUSIVE on {relation}: behind one long query, all reads and writes
--     of every partition queue; detach it concurrently, outside a transaction.
-- repair: concurrently
-- since: 0.1
--
-- ## Why it matters
-- The detach is quick, but it locks the whole partitioned table: it waits for every running query of it, and whoever
-- comes after waits behind it.
--
-- ## What to do
-- `alter table … detach partition … concurrently` (14 and later), outside a transaction: it waits for old transactions
-- without stopping new ones. If it is cancelled, finish it with `detach partition … finalize`.
--
-- ## When to leave it
-- With a short `lock_timeout` and a runner that tries again it does little harm (reported as info). A table with a
-- DEFAULT partition, and versions before 14, have no concurrent form, and are not reported.

with defaults as (
    select effect.step
    from migration_effect as effect
    where effect.action = 'also lock' and effect.is_default
    group by effect.step
)

select
    effect.effect,
    coalesce(effect.other_relation, effect.relation) as subject,
    coalesce(effect.other_relation, 'the partition') as partition,
    effect.relation,
    case when step.lock_timeout_ms > 0 then 'info' else 'warning' end as severity
from migration_effect as effect
join migration_step as step on step.step = effect.step
left join defaults on defaults.step = effect.step
where
    effect.action = 'detach partition' and effect.lock_level = 8 and effect.is_concurrent is not true
    and not effect.is_new and effect.is_present
    and step.server_version >= 14 and defaults.step is null and effect.is_default is not true;

-- example: a plain detach
-- given: migration
alter table orders detach partition orders_2020;
-- finds: public.orders_2020

-- example: concurrently
-- given: migration
alter table orders detach partition orders_2020 concurrently;
-- finds: nothing

-- example: the end of one that was cancelled
-- given: migration
alter table orders detach partition orders_2020 finalize;
-- finds: nothing

-- example: before 14 there is no other way
-- given: migration, version 13
alter table orders detach partition orders_2020;
-- finds: nothing

-- example: nor with a DEFAULT partition
-- given: migration
create table orders (id bigint, day date not null) partition by range (day);
create table orders_2020 partition of orders for values from ('2020-01-01') to ('2021-01-01');
create table orders_other partition of orders default;
-- next file
alter table orders detach partition orders_2020;
-- finds: nothing

-- example: nor the DEFAULT partition itself
-- given: migration
create table orders (id bigint, day date not null) partition by range (day);
create table orders_other partition of orders default;
-- next file
alter table orders detach partition orders_other;
-- finds: nothing

-- example: a partitioned table that is new
-- given: migration
create table orders (id bigint, day date not null) partition by range (day);
create table orders_2020 partition of orders for values from ('2020-01-01') to ('2021-01-01');
alter table orders detach partition orders_2020;
-- finds: nothing

-- example: with a short lock_timeout
-- given: migration
set lock_timeout = '2s';
alter table orders detach partition orders_2020;
-- finds: public.orders_2020
