-- rule: unique-constraint-builds-index
-- title: UNIQUE constraint builds its index under an exclusive lock
-- severity: error
-- reads: migration_effect
-- actions: add unique
-- message: Reads and writes of {relation} wait while the index behind {constraint} is built; {cure}.
-- repair: using-index
-- since: 0.1
--
-- ## Why it matters
-- `add constraint … unique` builds its index under ACCESS EXCLUSIVE: worse than a plain `create index`, it stops reads
-- too, for as long as the build takes.
--
-- ## What to do
-- Build the unique index concurrently, outside a transaction, and hand it to the constraint, which is done at once:
--
--     create unique index concurrently orders_code_key on orders (code);
--     alter table orders add constraint orders_code_key unique using index orders_code_key;
--
-- A partitioned table takes neither form. Add the constraint to only the parent (`alter table only …`), build a unique
-- index concurrently on each partition, make it that partition's constraint, and attach it (`alter index … attach
-- partition …`).
--
-- ## When to leave it
-- When the table is new or small.

select
    effect.effect,
    coalesce(effect.relation || ' (' || effect.columns || ')', effect.relation || '.' || effect.object_name) as subject,
    effect.relation,
    coalesce(effect.object_name, 'the constraint') as constraint,
    case
        when effect.is_partitioned
            then 'add it to only the parent, build it concurrently on each partition, and attach those indexes'
        else 'build a unique index concurrently and add the constraint USING INDEX'
    end as cure
from migration_effect as effect
where
    effect.action = 'add unique' and effect.is_index_build
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: on a table in use
-- given: migration
alter table orders add constraint orders_code_key unique (code);
-- finds: public.orders (code)

-- example: with an index that is there
-- given: migration
create unique index concurrently orders_code_key on orders (code);
alter table orders add constraint orders_code_key unique using index orders_code_key;
-- finds: nothing

-- example: written with a new column
-- given: migration
alter table orders add column code text unique;
-- finds: public.orders (code)

-- example: a new table
-- given: migration
create table orders (id bigint, code text unique);
alter table orders add unique (id, code);
-- finds: nothing

-- example: of several columns, deferrable
-- given: migration
alter table orders add unique (shop_id, code) deferrable;
-- finds: public.orders (shop_id, code)

-- example: a partitioned table
-- given: migration
create table events (day date, kind int) partition by range (day);
create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
-- next file
alter table events add constraint events_key unique (day, kind);
-- finds: public.events (day, kind)

-- example: several in one statement
-- given: migration
alter table orders add unique (code), add unique (number);
-- finds: public.orders (code)
-- finds: public.orders (number)
