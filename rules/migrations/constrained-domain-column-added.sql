-- rule: constrained-domain-column-added
-- title: Column of a domain with constraints added
-- severity: error
-- reads: migration_effect
-- actions: add column
-- message: {type} has constraints that every row is held against, so {relation} {written} anew while reads and writes
--     wait; add {column} with the base type and a CHECK that is NOT VALID at first.
-- since: 0.1
--
-- ## Why it matters
-- For a domain with a CHECK or NOT NULL, PostgreSQL does not store one value for all old rows, as it does for other
-- types: it writes the whole table and its indexes anew under ACCESS EXCLUSIVE, even where the new column has no
-- default.
--
-- ## What to do
-- Add the column with the domain's base type, and its conditions as a CHECK on the table, NOT VALID at first and
-- validated in a transaction of its own. Changing the column to the domain later would read or rewrite the table again.
--
-- ## When to leave it
-- When the table is new or small.

select
    effect.effect,
    effect.relation || ' (' || effect.column_name || ')' as subject,
    effect.relation,
    effect.column_name as column,
    effect.type_after as type,
    case when effect.is_rewrite then 'is written' else 'may be written' end as written,
    case when effect.is_rewrite then 'error' else 'warning' end as severity
from migration_effect as effect
where
    effect.action = 'add column' and effect.is_rewrite is not false
    and effect.new_name is null and effect.reason like '%domain%'
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: a domain with a CHECK
-- given: migration
create domain percent as int check (value between 0 and 100);
-- next file
alter table orders add column discount percent;
-- finds: public.orders (discount)

-- example: with a constant default
-- given: migration
create domain percent as int check (value between 0 and 100);
-- next file
alter table orders add column discount percent default 0;
-- finds: public.orders (discount)

-- example: a domain without constraints
-- given: migration
create domain note as text;
-- next file
alter table orders add column remark note default '';
-- finds: nothing

-- example: the constraint is gone
-- given: migration
create domain percent as int constraint in_range check (value between 0 and 100);
alter domain percent drop constraint in_range;
-- next file
alter table orders add column discount percent;
-- finds: nothing

-- example: a new table
-- given: migration
create domain percent as int check (value between 0 and 100);
create table orders (id bigint);
alter table orders add column discount percent;
-- finds: nothing
