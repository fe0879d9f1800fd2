-- rule: drop-cascades
-- title: DROP CASCADE takes what the migration does not name
-- severity: warning
-- reads: migration_effect
-- actions: drop table, drop view, drop sequence, drop function, drop column, drop constraint, drop domain constraint,
--     drop object, drop index, drop trigger, drop rule, drop policy
-- message: CASCADE drops whatever depends on {subject} on the day it runs{known}; drop what depends on it by name.
-- since: 0.1
--
-- ## Why it matters
-- Views, foreign keys of other tables, defaults and functions that depend on the object go with a mere NOTICE, also
-- those that were made since by someone else, and each of their tables is locked (ACCESS EXCLUSIVE). A review of the
-- migration shows none of it.
--
-- ## What to do
-- Name what has to go, in its own statements, and drop without CASCADE (RESTRICT, the default): if anything else
-- depends on the object, the migration fails instead of losing it.
--
-- ## When to leave it
-- Everything that depends on it is meant to go and was looked up in the production database (`pg_depend`).

with also as (
    select effect.step, string_agg(distinct effect.relation, ', ' order by effect.relation) as relations
    from migration_effect as effect
    where effect.action = 'also lock' and effect.lock_level = 8
    group by effect.step
)
select
    effect.effect,
    case
        when effect.action = 'drop column' then effect.relation || ' (' || effect.column_name || ')'
        when effect.action in ('drop constraint', 'drop domain constraint')
            then effect.relation || '.' || effect.object_name
        else coalesce(effect.relation, effect.object_name)
    end as subject,
    coalesce(', such as something of ' || also.relations, '') as known
from migration_effect as effect
left join also on also.step = effect.step
where effect.is_cascade
    and effect.is_present
    and not effect.is_new
    and not effect.is_object_new
    -- what CASCADE means for these their own rules say
    and effect.action not in ('truncate', 'drop schema', 'drop type', 'drop extension')
    and effect.action like 'drop %';

-- example: a table
-- given: migration
drop table orders cascade;
-- finds: public.orders

-- example: a column, a constraint and a function
-- given: migration
alter table orders drop column total cascade;
alter table orders drop constraint orders_pkey cascade;
drop function order_total(bigint) cascade;
-- finds: public.orders (total)
-- finds: public.orders.orders_pkey
-- finds: public.order_total

-- example: a view of an earlier migration
-- given: migration
create view open_orders as select 1 as id;
-- next file
drop view if exists open_orders cascade;
-- finds: public.open_orders

-- example: without CASCADE it is refused while something depends on it
-- given: migration
drop table orders;
alter table orders drop column total restrict;
-- finds: nothing

-- example: made and dropped in one file
-- given: migration
create table scratch (id bigint primary key);
drop table scratch cascade;
-- finds: nothing

-- example: there is nothing to drop
-- given: migration
create table orders (id bigint primary key);
-- next file
drop table orders;
-- next file
drop table if exists orders cascade;
-- finds: nothing
