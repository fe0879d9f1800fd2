-- rule: default-partition-scanned
-- title: DEFAULT partition read to let a new partition in
-- severity: warning
-- reads: migration_effect
-- actions: create partition, attach partition
-- message: Every row of the DEFAULT partition {default_partition} is read under ACCESS EXCLUSIVE, to see that none
--     belongs in the new partition; give it a CHECK that excludes the new bounds first.
-- since: 0.1
--
-- ## Why it matters
-- Where a partitioned table has a DEFAULT partition, each new partition narrows what that one may hold, so PostgreSQL
-- reads all of it, and queries that reach it wait meanwhile. An empty one is read at once; a large one is what this
-- rule is about.
--
-- ## What to do
-- Add a CHECK to the DEFAULT partition that excludes the bounds of the new one, NOT VALID, and validate it in a
-- transaction of its own: the proof spares the reading. Drop it afterwards. Better, keep the DEFAULT partition empty.
--
-- ## When to leave it
-- When the DEFAULT partition is empty or small (`--against` tells).

select
    scanned.effect,
    scanned.relation as subject,
    scanned.relation as default_partition
from migration_effect as scanned
join migration_effect as made
    on made.step = scanned.step and made.action in ('create partition', 'attach partition')
where
    scanned.action = 'also lock' and scanned.is_default and scanned.is_scan
    and not scanned.is_new and not scanned.is_small and coalesce(scanned.row_count, 1) > 0;

-- example: a new partition beside a DEFAULT one
-- given: migration
create table orders (id bigint, day date not null) partition by range (day);
create table orders_other partition of orders default;
-- next file
create table orders_2026 partition of orders for values from ('2026-01-01') to ('2027-01-01');
-- finds: public.orders_other

-- example: one attached
-- given: migration
create table orders (id bigint, day date not null) partition by range (day);
create table orders_other partition of orders default;
create table orders_2026 (id bigint, day date not null);
-- next file
alter table orders attach partition orders_2026 for values from ('2026-01-01') to ('2027-01-01');
-- finds: public.orders_other

-- example: a CHECK proves that nothing in it belongs there
-- given: migration
create table orders (id bigint, day date not null) partition by range (day);
create table orders_other partition of orders default;
-- next file
alter table orders_other add constraint not_2026 check (not (day >= '2026-01-01' and day < '2027-01-01')) not valid;
alter table orders_other validate constraint not_2026;
create table orders_2026 partition of orders for values from ('2026-01-01') to ('2027-01-01');
-- finds: nothing

-- example: no DEFAULT partition
-- given: migration
create table orders (id bigint, day date not null) partition by range (day);
-- next file
create table orders_2026 partition of orders for values from ('2026-01-01') to ('2027-01-01');
-- finds: nothing

-- example: the DEFAULT partition is new as well
-- given: migration
create table orders (id bigint, day date not null) partition by range (day);
-- next file
create table orders_other partition of orders default;
create table orders_2026 partition of orders for values from ('2026-01-01') to ('2027-01-01');
-- finds: nothing

-- example: it was detached
-- given: migration
create table orders (id bigint, day date not null) partition by range (day);
create table orders_other partition of orders default;
alter table orders detach partition orders_other;
-- next file
create table orders_2026 partition of orders for values from ('2026-01-01') to ('2027-01-01');
-- finds: nothing
