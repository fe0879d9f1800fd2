-- rule: truncate-cascades
-- title: TRUNCATE CASCADE empties tables that the migration does not name
-- severity: error
-- reads: migration_effect
-- actions: truncate
-- message: All rows of {subject} are gone for good, and with them those of every table whose foreign keys lead there,
--     at any depth{known}; name all tables that are to be emptied instead of CASCADE.
-- since: 0.1
--
-- ## Why it matters
-- `truncate … cascade` follows foreign keys whatever their ON DELETE says: a table with ON DELETE RESTRICT is emptied
-- too, and in turn all that point to it. What goes depends on the foreign keys of the day it runs; PostgreSQL tells it
-- by a NOTICE only.
--
-- ## What to do
-- List the tables in one `truncate a, b, c`: if another table still references one of them, it fails and nothing is
-- lost.
--
-- ## When to leave it
-- A test database that is emptied between runs.

with emptied as (
    select
        effect.step,
        string_agg(distinct effect.relation, ', ' order by effect.relation) as relations
    from migration_effect as effect
    where effect.action = 'truncate' and effect.reason is not null
    group by effect.step
)
select
    min(effect.effect) as effect,
    string_agg(effect.relation, ', ' order by effect.effect) as subject,
    coalesce(', here ' || min(emptied.relations), '') as known
from migration_effect as effect
left join emptied on emptied.step = effect.step
where effect.action = 'truncate'
    and effect.is_cascade
    and effect.reason is null -- one that is named
    and effect.is_present
    and not effect.is_new
group by effect.step;

-- example: a table in use
-- given: migration
truncate orders cascade;
-- finds: public.orders

-- example: a table that others are known to point to
-- given: migration, in a transaction
create table orders (id bigint primary key);
create table items (id bigint primary key, order_id bigint references orders);
-- next file
truncate orders restart identity cascade;
-- finds: public.orders

-- example: without CASCADE it is refused while others point to it
-- given: migration
truncate orders, items;
-- finds: nothing

-- example: the table is born in the same file
-- given: migration
create table scratch (id bigint primary key);
truncate scratch cascade;
-- finds: nothing

-- example: several tables, told once
-- given: migration
truncate orders, items cascade;
-- finds: public.orders, public.items
