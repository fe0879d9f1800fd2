-- rule: table-dropped
-- title: Table dropped
-- severity: error
-- reads: migration_effect
-- actions: drop table
-- message: {what_happens}, and statements of running clients that name it fail; drop it in a release after the last one
--     that uses it.
-- since: 0.1
--
-- ## Why it matters
-- `drop table` cannot be undone without a restore, and old processes, reports and replicas of the data still read the
-- table. It takes ACCESS EXCLUSIVE locks on the table and on every table that one of its foreign keys points to.
--
-- ## What to do
-- Stop using it in a release of its own; rename it out of the way (a view of the old name shows who still asks) or
-- revoke the privileges on it; take a dump; drop it later.
--
-- ## When to leave it
-- Nobody has used the table for long (`pg_stat_user_tables`: no scans), and its rows are saved or worthless. A
-- partition that is dropped on purpose when its time is over belongs here too.

select
    effect.effect,
    effect.relation as subject,
    effect.relation,
    case
        when effect.relation_kind = 'foreign table'
            then 'The rows of ' || effect.relation || ' cannot be read here any more'
        else 'All rows of ' || effect.relation || ' are gone for good'
    end as what_happens
from migration_effect as effect
where effect.action = 'drop table' and effect.is_present and not effect.is_new and not effect.is_object_new;

-- example: a table in use
-- given: migration
drop table orders;
-- finds: public.orders

-- example: IF EXISTS of what may be there
-- given: migration
drop table if exists orders;
-- finds: public.orders

-- example: two tables of earlier migrations
-- given: migration, in a transaction
create table orders (id bigint primary key);
create table items (id bigint primary key);
-- next file
drop table orders, items;
-- finds: public.items
-- finds: public.orders

-- example: it is made anew, and its rows are gone all the same
-- given: migration, in a transaction
drop table orders;
create table orders (id bigint primary key);
-- finds: public.orders

-- example: made and dropped in one file
-- given: migration
create table scratch (id bigint primary key);
drop table scratch;
-- finds: nothing

-- example: a temporary table
-- given: migration
create temporary table batch as select 1 as id;
drop table batch;
-- finds: nothing

-- example: an earlier migration dropped it already
-- given: migration
create table orders (id bigint primary key);
-- next file
drop table orders;
-- next file
drop table if exists orders;
-- finds: nothing

-- example: the guard of a script that may run again
-- given: migration
create table orders (id bigint primary key);
drop table if exists orders;
-- finds: nothing
