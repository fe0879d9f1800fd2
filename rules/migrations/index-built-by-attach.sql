-- rule: index-built-by-attach
-- title: Index built while a partition is attached
-- severity: warning
-- reads: migration_effect
-- actions: attach partition
-- message: {partition} lacks an index that {relation} has; attaching it builds the index under ACCESS EXCLUSIVE on
--     {partition}. Build the same index concurrently before.
-- since: 0.1
--
-- ## Why it matters
-- A partition gets every index and key of its parent. One that is there already is taken; one that is not is built
-- while the partition is locked against reads and writes, and while the parent's schema is locked against change.
--
-- ## What to do
-- Build the indexes on the table before it is attached, with the same columns, operator classes, predicate and
-- uniqueness:
--
--     create index concurrently orders_2026_customer on orders_2026 (customer_id);
--     alter table orders attach partition orders_2026 for values from ('2026-01-01') to ('2027-01-01');
--
-- ## When to leave it
-- When the table is new or small, or nothing uses it before it is attached and the time does not matter.

select
    attached.effect,
    attached.other_relation as subject,
    attached.other_relation as partition,
    attached.relation
from migration_effect as attached
join migration_effect as built
    on built.step = attached.step and built.action = 'also lock'
where
    attached.action = 'attach partition' and built.is_index_build
    and not built.is_new and not built.is_small
group by attached.effect, attached.other_relation, attached.relation;

-- example: the parent has an index that the partition lacks
-- given: migration
create table orders (id bigint, day date not null, customer_id bigint) partition by range (day);
create index orders_customer on orders (customer_id);
create table orders_2026 (id bigint, day date not null, customer_id bigint);
-- next file
alter table orders attach partition orders_2026 for values from ('2026-01-01') to ('2027-01-01');
-- finds: public.orders_2026

-- example: the partition has it
-- given: migration
create table orders (id bigint, day date not null, customer_id bigint) partition by range (day);
create index orders_customer on orders (customer_id);
create table orders_2026 (id bigint, day date not null, customer_id bigint);
create index orders_2026_customer on orders_2026 (customer_id);
-- next file
alter table orders attach partition orders_2026 for values from ('2026-01-01') to ('2027-01-01');
-- finds: nothing

-- example: the partition is new
-- given: migration
create table orders (id bigint, day date not null, customer_id bigint) partition by range (day);
create index orders_customer on orders (customer_id);
-- next file
create table orders_2026 (like orders);
alter table orders attach partition orders_2026 for values from ('2026-01-01') to ('2027-01-01');
-- finds: nothing
