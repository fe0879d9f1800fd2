-- rule: index-not-concurrent
-- title: Index built without CONCURRENTLY
-- severity: error
-- reads: migration_effect
-- actions: create index
-- message: Writes to {relation} wait while {index} is built; {cure}.
-- repair: concurrently
-- since: 0.1
--
-- ## Why it matters
-- A plain `create index` holds a SHARE lock until its transaction ends: reads go on, but every insert, update and
-- delete on the table waits behind it, and on a table of some gigabytes the build takes minutes.
--
-- ## What to do
-- `create index concurrently`, outside a transaction and with `lock_timeout` and `statement_timeout` off: a timeout
-- there leaves an INVALID index behind, and so does a duplicate met by a unique build. In a runner that wraps files in
-- a transaction, give the index a file of its own and switch that off.
--
-- A partitioned table takes no CONCURRENTLY (up to and including 18). Create the index `on only` the parent, which is
-- done at once and leaves it invalid, then build one concurrently on each partition and attach them; with the last one
-- the parent's index becomes valid:
--
--     create index orders_day on only orders (day);
--     create index concurrently orders_2026_day on orders_2026 (day);
--     alter index orders_day attach partition orders_2026_day;
--
-- ## When to leave it
-- The table is new in the same file, or so small that the build is over at once. An index on a materialized view stops
-- only its refresh and is not reported.

select
    effect.effect,
    effect.relation || ' (' || effect.columns || ')' as subject,
    effect.relation,
    effect.object_name as index,
    case
        when effect.is_partitioned then 'create it on only the parent, concurrently on each partition, and attach those'
        else 'build it concurrently, outside a transaction'
    end as cure
from migration_effect as effect
where
    effect.action = 'create index' and effect.is_index_build
    and not effect.is_new and not effect.is_small and effect.is_present
    and effect.relation_kind <> 'materialized view';

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

-- example: a unique index
-- given: migration
create unique index on orders (code, region);
-- finds: public.orders (code, region)

-- example: a partitioned table: its partitions are locked while each gets its index
-- given: migration
create table events (day date, kind int) partition by range (day);
create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
-- next file
create index on events (kind);
-- finds: public.events (kind)

-- example: a partitioned table that has no partitions yet
-- given: migration
create table events (day date, kind int) partition by range (day);
-- next file
create index on events (kind);
-- finds: nothing

-- example: only the parent, which holds no rows
-- given: migration
create table events (day date, kind int) partition by range (day);
create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
-- next file
create index events_kind on only events (kind);
create index concurrently events_2026_kind on events_2026 (kind);
alter index events_kind attach partition events_2026_kind;
-- finds: nothing

-- example: a partition that is new itself
-- given: migration
create table events (day date, kind int) partition by range (day);
-- next file
create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
create index on events_2026 (kind);
-- finds: nothing

-- example: a temporary table
-- given: migration
create temporary table chosen (id bigint);
create index on chosen (id);
-- finds: nothing

-- example: the index is there already
-- given: migration
create table orders (id bigint, customer_id bigint);
create index orders_customer on orders (customer_id);
-- next file
create index if not exists orders_customer on orders (customer_id);
-- finds: nothing

-- example: a materialized view: only its refresh would wait
-- given: migration
create materialized view totals as select customer_id, count(*) as orders from orders group by customer_id;
-- next file
create unique index on totals (customer_id);
-- finds: nothing

-- example: inside a DO block
-- given: migration
do $$ begin
    if to_regclass('orders_customer') is null then
        create index orders_customer on orders (customer_id);
    end if;
end $$;
-- finds: public.orders (customer_id)

-- example: a table that --against knows to be small
-- given: evidence
insert into migration_effect (
    effect, step, action, relation, relation_kind, lock_level, columns, object_name, is_known, is_present, is_small,
    is_index_build, size_bytes
)
values (
    1, 1, 'create index', 'public.country', 'table', 5, 'code', 'public.country_code', true, true, true, true, 16384
);
-- finds: nothing

-- example: the table was emptied in the same transaction
-- given: migration, in a transaction
truncate orders;
create index orders_state on orders (state);
-- finds: nothing

-- example: the table was emptied and filled again
-- given: migration, in a transaction
truncate orders;
insert into orders select * from old_orders;
create index orders_state on orders (state);
-- finds: public.orders (state)

-- example: the table was emptied in a transaction before
-- given: migration
truncate orders;
create index orders_state on orders (state);
-- finds: public.orders (state)

-- example: the frame of an index on a partitioned table that no migration made
-- given: migration
create index orders_customer on only orders (customer_id);
create index concurrently orders_2026_customer on orders_2026 (customer_id);
alter index orders_customer attach partition orders_2026_customer;
-- finds: nothing
