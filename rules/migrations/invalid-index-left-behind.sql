-- rule: invalid-index-left-behind
-- title: IF NOT EXISTS keeps an INVALID index
-- severity: info
-- reads: migration_step, migration_effect
-- actions: create index
-- message: If an earlier try of this build failed, IF NOT EXISTS keeps the INVALID index {index} that it left and
--     reports success; drop it concurrently first.
-- fix: drop index concurrently if exists {index};
--     -- and then the statement as it is
-- since: 0.1
--
-- ## Why it matters
-- A concurrent build that fails (a duplicate, a timeout, a deadlock, a cancelled deployment) leaves an INVALID index:
-- no query uses it, every write keeps it up. When the migration is run again, IF NOT EXISTS finds an index of that name
-- and skips the build, so the migration passes and the index is missing.
--
-- ## What to do
-- Put `drop index concurrently if exists …` before the build: it does nothing where all is well. Or check
-- `pg_index.indisvalid` after the deployment (`queryfit audit` reports such indexes).
--
-- ## When to leave it
-- Where the index may already be there, built by hand beforehand, and be so large that it must not be dropped.

with dropped as (
    select earlier.file, effect.object_name, min(effect.step) as first_step
    from migration_effect as effect
    join migration_step as earlier on earlier.step = effect.step
    where effect.action = 'drop index'
    group by earlier.file, effect.object_name
)

select
    effect.effect,
    effect.object_name as subject,
    effect.object_name as index
from migration_effect as effect
join migration_step as step on step.step = effect.step
left join dropped on dropped.file = step.file and dropped.object_name = effect.object_name
where
    effect.action = 'create index' and effect.is_concurrent and effect.is_present and not effect.is_new
    -- on a partitioned table and in a transaction it is refused, which other rules say
    and effect.is_partitioned is not true and step.transaction is null and not step.is_nested
    and regexp_matches(step.statement, '\bconcurrently\s+if\s+not\s+exists\b', 'i')
    and (dropped.first_step is null or dropped.first_step > effect.step);

-- example: a second try would skip the build
-- given: migration
create index concurrently if not exists orders_customer on orders (customer_id);
-- finds: public.orders_customer

-- example: what may be left is dropped first
-- given: migration
drop index concurrently if exists orders_customer;
create index concurrently if not exists orders_customer on orders (customer_id);
-- finds: nothing

-- example: another index is dropped first
-- given: migration
drop index concurrently if exists orders_day;
create unique index concurrently if not exists orders_customer on orders (customer_id);
-- finds: public.orders_customer

-- example: without IF NOT EXISTS the second try fails, and says why
-- given: migration
create index concurrently orders_customer on orders (customer_id);
-- finds: nothing

-- example: a plain build leaves nothing behind
-- given: migration
create index if not exists orders_customer on orders (customer_id);
-- finds: nothing

-- example: in a transaction it is refused anyway
-- given: migration, in a transaction
create index concurrently if not exists orders_customer on orders (customer_id);
-- finds: nothing
