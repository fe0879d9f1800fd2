-- rule: primary-key-builds-index
-- title: Primary key builds its index under an exclusive lock
-- severity: error
-- reads: migration_effect
-- actions: add primary key
-- message: Reads and writes of {relation} wait while the index of its primary key is built; {cure}.
-- repair: using-index
-- since: 0.1
--
-- ## Why it matters
-- `add primary key` builds a unique index under ACCESS EXCLUSIVE: nobody reads or writes the table for as long as the
-- build takes. Where a column may still hold nulls, the table is read whole for that as well.
--
-- ## What to do
-- Make the columns NOT NULL first (see not-null-scans-table), build the unique index concurrently, outside a
-- transaction, and hand it to the key, which is done at once:
--
--     create unique index concurrently orders_pkey on orders (id);
--     alter table orders add constraint orders_pkey primary key using index orders_pkey;
--
-- A partitioned table takes neither form: add the key to only the parent (`alter table only …`), to each partition as
-- above, and attach the indexes (`alter index … attach partition …`).
--
-- ## When to leave it
-- When the table is new or small.

select
    effect.effect,
    coalesce(effect.relation || ' (' || effect.columns || ')', effect.relation || '.' || effect.object_name) as subject,
    effect.relation,
    case
        when effect.is_partitioned
            then 'add it to only the parent, build it concurrently on each partition, and attach those indexes'
        else 'build a unique index concurrently and add the key USING INDEX'
    end as cure
from migration_effect as effect
where
    effect.action = 'add primary key' and effect.is_index_build
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: on a table in use
-- given: migration
alter table orders add primary key (id);
-- finds: public.orders (id)

-- example: with an index that is there
-- given: migration
create unique index concurrently orders_pkey on orders (id);
alter table orders add constraint orders_pkey primary key using index orders_pkey;
-- finds: nothing

-- example: a new table
-- given: migration
create table orders (id bigint);
alter table orders add primary key (id);
-- finds: nothing

-- example: a new column that is the key
-- given: migration
alter table orders add column id bigint generated always as identity primary key;
-- finds: public.orders (id)

-- example: another key in the place of the old one
-- given: migration
create table lines (order_id bigint not null, place int not null, id bigint primary key);
-- next file
alter table lines drop constraint lines_pkey, add primary key (order_id, place);
-- finds: public.lines (order_id, place)

-- example: a temporary table
-- given: migration
create temporary table picked (id bigint);
alter table picked add primary key (id);
-- finds: nothing
