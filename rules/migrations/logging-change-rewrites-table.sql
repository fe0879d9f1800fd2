-- rule: logging-change-rewrites-table
-- title: SET LOGGED or UNLOGGED writes the table anew
-- severity: error
-- reads: migration_effect
-- actions: set logged, set unlogged
-- message: {action} writes all of {relation} and its indexes anew while reads and writes wait.
-- since: 0.1
--
-- ## Why it matters
-- The table and its indexes are copied under ACCESS EXCLUSIVE; SET LOGGED sends all of it through the WAL as well, and
-- so to every standby. An unlogged table is empty after a crash, and on a standby it cannot be read at all.
--
-- ## What to do
-- Make a new table of the wanted kind, copy the rows in batches while a trigger keeps it equal, and swap the names.
--
-- ## When to leave it
-- When the table is new or small: load first, SET LOGGED then, in the same migration, is fine.

select
    effect.effect,
    effect.relation as subject,
    effect.relation,
    upper(effect.action) as action
from migration_effect as effect
where
    effect.action in ('set logged', 'set unlogged') and effect.is_rewrite is not false
    and effect.relation_kind <> 'sequence'
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: an unlogged table becomes logged
-- given: migration
create unlogged table events (id bigint);
-- next file
alter table events set logged;
-- finds: public.events

-- example: it is logged already
-- given: migration
create table events (id bigint);
-- next file
alter table events set logged;
-- finds: nothing

-- example: a table of which nothing is known
-- given: migration
alter table events set unlogged;
-- finds: public.events

-- example: a new table, loaded first
-- given: migration
create unlogged table events (id bigint);
insert into events select generate_series(1, 1000000);
alter table events set logged;
-- finds: nothing
