-- rule: timestamp-without-time-zone
-- title: timestamp without time zone
-- severity: info
-- reads: migration_effect
-- actions: create column, add column
-- message: {column_name} of {relation} holds a date and time but no moment: nobody knows in which zone; use
--     timestamptz.
-- since: 0.1
--
-- ## Why it matters
-- `timestamp` drops the zone that it is given without a word. Sessions with another TimeZone, and the hour that comes
-- twice in autumn, then mean other moments. `timestamptz` stores the moment (in UTC, the same eight bytes) and shows it
-- in the reader's zone.
--
-- ## What to do
-- `timestamptz`. Under `TimeZone = 'UTC'` changing an existing column does not rewrite it.
--
-- ## When to leave it
-- The time is meant to be local wherever it is read: opening hours, the calendar date of a shop.

select
    effect.effect,
    effect.relation || ' (' || effect.column_name || ')' as subject,
    effect.relation,
    effect.column_name
from migration_effect as effect
where effect.action in ('create column', 'add column')
    and effect.is_present
    and effect.relation not like 'pg\_temp.%' escape '\'
    and effect.type_after like 'timestamp%without time zone%';

-- example: in a new table
-- given: migration
create table orders (id bigint primary key, created_at timestamp not null default now(), paid_at timestamp(0));
-- finds: public.orders (created_at)
-- finds: public.orders (paid_at)

-- example: a new column
-- given: migration
alter table orders add column paid_at timestamp without time zone;
-- finds: public.orders (paid_at)

-- example: with a time zone, and a date
-- given: migration
create table orders (id bigint primary key, created_at timestamptz, paid_at timestamp with time zone, due date);
-- finds: nothing

-- example: a temporary table
-- given: migration
create temporary table batch (at timestamp);
-- finds: nothing
