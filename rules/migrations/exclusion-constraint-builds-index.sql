-- rule: exclusion-constraint-builds-index
-- title: EXCLUDE constraint builds its index under an exclusive lock
-- severity: error
-- reads: migration_effect
-- actions: add exclusion
-- message: Reads and writes of {relation} wait while {constraint} is built and checked, and no concurrent form exists;
--     do it at a quiet time, with a short lock_timeout.
-- since: 0.1
--
-- ## Why it matters
-- An exclusion constraint builds its index under ACCESS EXCLUSIVE, and looks every row up in it: nobody reads or writes
-- the table meanwhile. There is no NOT VALID, no USING INDEX and no CONCURRENTLY for it.
--
-- ## What to do
-- Do it while the table is new or small, or at a quiet time with a `lock_timeout` of a few seconds and a second try.
-- For a large table, build a copy that has the constraint from the start, keep it in step by a trigger, and swap the
-- names. On a partitioned table (17 and later) add it to one partition after the other, each in a transaction of its
-- own.
--
-- ## When to leave it
-- In a maintenance window.

select
    effect.effect,
    coalesce(effect.relation || '.' || effect.object_name, effect.relation || ' (' || effect.columns || ')') as subject,
    effect.relation,
    coalesce(effect.object_name, 'the constraint') as constraint
from migration_effect as effect
where
    effect.action = 'add exclusion' and effect.is_index_build
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: on a table in use
-- given: migration
alter table bookings add constraint bookings_apart exclude using gist (room with =, during with &&);
-- finds: public.bookings.bookings_apart

-- example: a new table
-- given: migration
create table bookings (room int, during tsrange, exclude using gist (during with &&));
alter table bookings add constraint bookings_apart exclude using gist (room with =, during with &&);
-- finds: nothing

-- example: a table of an earlier migration
-- given: migration
create table bookings (room int, during tsrange);
-- next file
alter table bookings add constraint bookings_apart exclude using gist (during with &&);
-- finds: public.bookings.bookings_apart

-- example: a unique constraint has a rule of its own
-- given: migration
alter table bookings add unique (room, during);
-- finds: nothing
