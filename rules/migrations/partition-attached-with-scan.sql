-- rule: partition-attached-with-scan
-- title: Partition attached without a constraint that proves its bounds
-- severity: warning
-- reads: migration_effect
-- actions: attach partition
-- message: Attaching {partition} {reads} all its rows under ACCESS EXCLUSIVE on it, to see that they belong there; add
--     a CHECK with the bounds first, NOT VALID, and validate it.
-- since: 0.1
--
-- ## Why it matters
-- ATTACH PARTITION reads the whole new partition unless a validated CHECK proves that every row lies in its bounds. The
-- parent goes on working meanwhile (12 and later), but nobody reads or writes the partition itself, and a DEFAULT
-- partition is locked as well until the end.
--
-- ## What to do
-- Before attaching, add a CHECK on the partition that says its bounds, `is not null` of the key included, NOT VALID;
-- validate it, attach, and drop it again:
--
--     alter table orders_2026 add constraint bounds
--         check (day is not null and day >= '2026-01-01' and day < '2027-01-01') not valid;
--     alter table orders_2026 validate constraint bounds;
--     alter table orders attach partition orders_2026 for values from ('2026-01-01') to ('2027-01-01');
--     alter table orders_2026 drop constraint bounds;
--
-- ## When to leave it
-- When the partition is new or small. Where its constraints are not known to queryfit it is told as info.

select
    attached.effect,
    attached.other_relation as subject,
    attached.other_relation as partition,
    case when bool_or(scanned.is_scan) then 'reads' else 'may read' end as reads,
    case when bool_or(scanned.is_scan and scanned.is_known) then 'warning' else 'info' end as severity
from migration_effect as attached
join migration_effect as scanned
    on
        scanned.step = attached.step and scanned.action = 'also lock'
        -- a DEFAULT partition has a rule of its own; a partition's own partitions are read in its place
        and not coalesce(scanned.is_default, false)
where
    attached.action = 'attach partition' and scanned.is_scan is not false
    and not scanned.is_new and not scanned.is_small
group by attached.effect, attached.other_relation;

-- example: no constraint proves the bounds
-- given: migration
create table orders (id bigint, day date not null) partition by range (day);
create table orders_2026 (id bigint, day date not null);
-- next file
alter table orders attach partition orders_2026 for values from ('2026-01-01') to ('2027-01-01');
-- finds: public.orders_2026

-- example: a validated CHECK does
-- given: migration
create table orders (id bigint, day date not null) partition by range (day);
create table orders_2026 (id bigint, day date not null);
-- next file
alter table orders_2026 add constraint bounds
    check (day is not null and day >= '2026-01-01' and day < '2027-01-01') not valid;
alter table orders_2026 validate constraint bounds;
alter table orders attach partition orders_2026 for values from ('2026-01-01') to ('2027-01-01');
-- finds: nothing

-- example: not validated, it proves nothing
-- given: migration
create table orders (id bigint, day date not null) partition by range (day);
create table orders_2026 (id bigint, day date not null);
-- next file
alter table orders_2026 add constraint bounds
    check (day is not null and day >= '2026-01-01' and day < '2027-01-01') not valid;
alter table orders attach partition orders_2026 for values from ('2026-01-01') to ('2027-01-01');
-- finds: public.orders_2026

-- example: a partition that is new
-- given: migration
create table orders (id bigint, day date not null) partition by range (day);
-- next file
create table orders_2026 (like orders);
alter table orders attach partition orders_2026 for values from ('2026-01-01') to ('2027-01-01');
-- finds: nothing

-- example: made as a partition
-- given: migration
create table orders (id bigint, day date not null) partition by range (day);
-- next file
create table orders_2026 partition of orders for values from ('2026-01-01') to ('2027-01-01');
-- finds: nothing

-- example: its own partitions are read
-- given: migration
create table orders (id bigint, day date not null) partition by range (day);
create table orders_2026 (id bigint, day date not null) partition by range (id);
create table orders_2026_low partition of orders_2026 for values from (0) to (1000);
-- next file
alter table orders attach partition orders_2026 for values from ('2026-01-01') to ('2027-01-01');
-- finds: public.orders_2026
