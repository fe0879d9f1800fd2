-- rule: index-not-concurrent
-- title: Index built without CONCURRENTLY
-- severity: error
-- reads: migration_effect
-- message: Writes to {relation} wait while {index} is built; build it concurrently, outside a transaction.
-- repair: concurrently
-- since: 0.1
--
-- ## Why it matters
-- A plain `create index` holds a SHARE lock until the build ends: every insert, update and delete on the table waits
-- behind it, and on a table of some gigabytes that is minutes.
--
-- ## What to do
-- `create index concurrently`, outside a transaction and with `lock_timeout` off: a lock timeout there leaves an INVALID
-- index behind. In a runner that wraps files in a transaction, give the index a file of its own and switch that off.
--
-- ## When to leave it
-- The table is new in the same file, or so small that the build is over at once.

select
    effect.effect,
    effect.relation || ' (' || effect.columns || ')' as subject,
    effect.relation,
    effect.object_name as index
from migration_effect as effect
where effect.action = 'create index' and effect.is_index_build and not effect.is_new and not effect.is_small;

-- example: a plain build on a table already there
-- given: migration
create index orders_customer on orders (customer_id);
-- finds: public.orders (customer_id)

-- example: the table is born in the same file
-- given: migration
create table orders (id bigint, customer_id bigint);
create index on orders (customer_id);
-- finds: nothing

-- example: the table is of an earlier migration
-- given: migration
create table orders (id bigint, customer_id bigint);
-- next file
create index on orders (customer_id);
-- finds: public.orders (customer_id)

-- example: concurrently
-- given: migration
create index concurrently on orders (customer_id);
-- finds: nothing
