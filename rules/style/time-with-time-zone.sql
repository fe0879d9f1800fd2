-- rule: time-with-time-zone
-- title: time with time zone
-- severity: info
-- reads: migration_effect
-- actions: create column, add column
-- message: {column_name} of {relation} is timetz: without a date an offset means nothing when summer time changes; use
--     timestamptz, or time and the name of the zone.
-- since: 0.1
--
-- ## Why it matters
-- A zone is more than an offset: whether 9:00 in Berlin is 7:00 or 8:00 UTC depends on the date, which `timetz` does
-- not have. PostgreSQL has the type because the standard asks for it.
--
-- ## What to do
-- `timestamptz` for a moment; `time` and a text column with the zone's name (`Europe/Berlin`) for a time of every day.
--
-- ## When to leave it
-- Data from outside comes that way and is only kept.

select
    effect.effect,
    effect.relation || ' (' || effect.column_name || ')' as subject,
    effect.relation,
    effect.column_name
from migration_effect as effect
where effect.action in ('create column', 'add column')
    and effect.is_present
    and effect.relation not like 'pg\_temp.%' escape '\'
    and regexp_matches(effect.type_after, '^time(\(\d+\))? with time zone');

-- example: in a new table
-- given: migration
create table shops (id bigint primary key, opens timetz, closes time(0) with time zone);
-- finds: public.shops (opens)
-- finds: public.shops (closes)

-- example: a new column
-- given: migration
alter table shops add column opens time with time zone;
-- finds: public.shops (opens)

-- example: time, and a moment
-- given: migration
create table shops (id bigint primary key, opens time, opened_at timestamptz);
-- finds: nothing

-- example: a temporary table
-- given: migration
create temporary table batch (opens timetz);
-- finds: nothing
