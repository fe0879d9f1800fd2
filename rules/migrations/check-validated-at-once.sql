-- rule: check-validated-at-once
-- title: CHECK constraint tested on all rows under an exclusive lock
-- severity: error
-- reads: migration_effect
-- actions: add check
-- message: Reads and writes of {relation} wait while every row is tested against {constraint}; add it NOT VALID and
--     validate it in a transaction of its own.
-- repair: not-valid
-- since: 0.1
--
-- ## Why it matters
-- `add constraint … check` takes ACCESS EXCLUSIVE and keeps it while the whole table is read: nobody reads or writes it
-- meanwhile.
--
-- ## What to do
-- Add it NOT VALID, which is done at once and holds for new rows, and validate it in a transaction of its own: that
-- takes SHARE UPDATE EXCLUSIVE, beside which reads and writes go on. This works on partitioned tables too.
--
--     alter table orders add constraint orders_total_check check (total >= 0) not valid;
--     alter table orders validate constraint orders_total_check;
--
-- A CHECK written with a new column (`add column … check (…)`) reads the whole table as well, though every row holds
-- the same value: add the column first and the constraint as above.
--
-- ## When to leave it
-- When the table is new or small.

select
    effect.effect,
    coalesce(effect.relation || '.' || effect.object_name, effect.relation || ' (' || effect.columns || ')') as subject,
    effect.relation,
    coalesce(effect.object_name, 'the constraint') as constraint
from migration_effect as effect
where
    effect.action = 'add check' and effect.is_scan
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: a check on a table in use
-- given: migration
alter table orders add constraint orders_total check (total >= 0);
-- finds: public.orders.orders_total

-- example: its name is made as PostgreSQL makes it
-- given: migration
alter table orders add check (total >= 0);
-- finds: public.orders.orders_total_check

-- example: NOT VALID, and validated in a transaction of its own
-- given: migration
alter table orders add constraint orders_total check (total >= 0) not valid;
alter table orders validate constraint orders_total;
-- finds: nothing

-- example: written with a new column
-- given: migration
alter table orders add column discount int constraint discount_low check (discount < 100);
-- finds: public.orders.discount_low

-- example: a new table
-- given: migration
create table orders (id bigint, total numeric check (total >= 0));
alter table orders add constraint orders_id check (id > 0);
-- finds: nothing

-- example: NOT ENFORCED tests nothing
-- given: migration, version 18
alter table orders add constraint orders_total check (total >= 0) not enforced;
-- finds: nothing

-- example: a partitioned table
-- given: migration
create table events (day date, kind int) partition by range (day);
create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
-- next file
alter table events add constraint events_kind check (kind > 0);
-- finds: public.events.events_kind

-- example: a small table
-- given: evidence
insert into migration_effect (
    effect, step, action, relation, relation_kind, lock_level, object_name, is_known, is_present, is_small, is_scan
)
values (1, 1, 'add check', 'public.country', 'table', 8, 'country_code_check', true, true, true, true);
-- finds: nothing
