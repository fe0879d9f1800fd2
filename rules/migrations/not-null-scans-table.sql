-- rule: not-null-scans-table
-- title: NOT NULL tested on all rows under an exclusive lock
-- severity: error
-- reads: migration_effect
-- actions: set not null, add not null, add column
-- message: Reads and writes of {relation} {wait} while every row is tested for nulls in {column}; {cure}.
-- repair: not-null-by-check
-- since: 0.1
--
-- ## Why it matters
-- `set not null` takes ACCESS EXCLUSIVE and keeps it while the whole table is read, unless a constraint that is already
-- validated proves that there is no null.
--
-- ## What to do
-- Let a CHECK prove it first; the last statement then reads nothing (12 and later):
--
--     alter table orders add constraint orders_state_not_null check (state is not null) not valid;
--     alter table orders validate constraint orders_state_not_null;
--     alter table orders alter column state set not null;
--     alter table orders drop constraint orders_state_not_null;
--
-- The VALIDATE belongs in a transaction of its own. From 18 on, `add constraint … not null state not valid` and
-- `validate constraint` do the same in two steps.
--
-- A virtual generated column (18) that is NOT NULL is tested in the same way when it is added: add it without, then the
-- constraint.
--
-- ## When to leave it
-- When the table is new or small.

select
    effect.effect,
    effect.relation || ' (' || coalesce(effect.column_name, effect.columns) || ')' as subject,
    effect.relation,
    coalesce(effect.column_name, effect.columns) as column,
    case when effect.is_scan then 'wait' else 'may wait' end as wait,
    case
        when effect.action <> 'set not null'
            then 'add it as a constraint NOT VALID and validate that in a transaction of its own'
        else 'let a CHECK prove it first, added NOT VALID and validated in a transaction of its own'
    end as cure,
    case when effect.is_scan then 'error' else 'warning' end as severity
from migration_effect as effect
where
    (
        (effect.action in ('set not null', 'add not null') and effect.is_scan is not false)
        or (
            effect.action = 'add column' and effect.new_name = 'virtual' and effect.object_name = 'not null'
            and effect.is_scan
        )
    )
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: on a table in use
-- given: migration
alter table orders alter column state set not null;
-- finds: public.orders (state)

-- example: a validated CHECK proves it
-- given: migration
alter table orders add constraint orders_state_not_null check (state is not null) not valid;
alter table orders validate constraint orders_state_not_null;
alter table orders alter column state set not null;
alter table orders drop constraint orders_state_not_null;
-- finds: nothing

-- example: a CHECK that is not validated proves nothing
-- given: migration
alter table orders add constraint state_given check (state is not null) not valid;
alter table orders alter column state set not null;
-- finds: public.orders (state)

-- example: nor does one about another column
-- given: migration
alter table orders add constraint orders_region_not_null check (region is not null) not valid;
alter table orders validate constraint orders_region_not_null;
alter table orders alter column state set not null;
-- finds: public.orders (state)

-- example: the proof came with an earlier migration, beside another condition
-- given: migration
create table orders (id bigint, state text, constraint given check (state is not null and state <> ''));
-- next file
alter table orders alter column state set not null;
-- finds: nothing

-- example: one of two cases proves nothing
-- given: migration
create table orders (id bigint, state text, constraint given check (state is not null or id > 0));
-- next file
alter table orders alter column state set not null;
-- finds: public.orders (state)

-- example: it is NOT NULL already
-- given: migration
create table orders (id bigint primary key, state text not null);
-- next file
alter table orders alter column state set not null, alter column id set not null;
-- finds: nothing

-- example: a new table
-- given: migration
create table orders (id bigint, state text);
alter table orders alter column state set not null;
-- finds: nothing

-- example: as a constraint with a name
-- given: migration, version 18
alter table orders add constraint orders_state_not_null not null state;
-- finds: public.orders (state)

-- example: a virtual column is computed for the test
-- given: migration, version 18
alter table orders add column double int generated always as (id * 2) virtual not null;
alter table orders add column triple int generated always as (id * 3) virtual;
-- finds: public.orders (double)

-- example: NOT VALID, and validated later
-- given: migration, version 18
alter table orders add constraint orders_state_not_null not null state not valid;
alter table orders validate constraint orders_state_not_null;
-- finds: nothing
