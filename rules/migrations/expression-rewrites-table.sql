-- rule: expression-rewrites-table
-- title: SET EXPRESSION computes every row anew
-- severity: error
-- reads: migration_effect
-- actions: set expression
-- message: A new expression for {column} {works} while reads and writes wait.
-- since: 0.1
--
-- ## Why it matters
-- `alter column … set expression` (17 and later) of a stored generated column computes it again for every row: the
-- table and its indexes are written anew under ACCESS EXCLUSIVE.
--
-- ## What to do
-- `alter column … drop expression` leaves an ordinary column with the old values, at once. Keep it by a trigger with
-- the new expression, and update the old rows in batches. From 18 on, a virtual column changes its expression at once,
-- unless it is NOT NULL: then all rows are read to see that none becomes null.
--
-- ## When to leave it
-- When the table is new or small.

select
    effect.effect,
    effect.relation || ' (' || effect.column_name || ')' as subject,
    effect.relation,
    effect.column_name as column,
    case
        when effect.is_rewrite is false then 'reads all of ' || effect.relation
        else 'writes all of ' || effect.relation || ' and its indexes anew'
    end as works
from migration_effect as effect
where
    effect.action = 'set expression' and (effect.is_rewrite is not false or effect.is_scan)
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: a stored column
-- given: migration, version 17
create table orders (net numeric, gross numeric generated always as (net * 1.19) stored);
-- next file
alter table orders alter column gross set expression as (net * 1.20);
-- finds: public.orders (gross)

-- example: a virtual one
-- given: migration, version 18
create table orders (net numeric, gross numeric generated always as (net * 1.19) virtual);
-- next file
alter table orders alter column gross set expression as (net * 1.20);
-- finds: nothing

-- example: it becomes an ordinary column
-- given: migration, version 17
create table orders (net numeric, gross numeric generated always as (net * 1.19) stored);
-- next file
alter table orders alter column gross drop expression;
-- finds: nothing

-- example: a new table
-- given: migration, version 17
create table orders (net numeric, gross numeric generated always as (net * 1.19) stored);
alter table orders alter column gross set expression as (net * 1.20);
-- finds: nothing

-- example: a virtual one that is NOT NULL
-- given: migration, version 18
create table orders (net numeric not null, gross numeric not null generated always as (net * 1.19) virtual);
-- next file
alter table orders alter column gross set expression as (net * 1.20);
-- finds: public.orders (gross)
