-- rule: column-type-scans-table
-- title: Type change that reads the whole table
-- severity: error
-- reads: migration_effect
-- actions: alter column type
-- message: Changing {column} to {type} does not rewrite {relation}, but it reads every row while reads and writes
--     wait{because}.
-- since: 0.1
--
-- ## Why it matters
-- Even where the stored values fit the new type as they are, PostgreSQL sometimes has to look at each of them: for a
-- CHECK over the column, which is tested anew. It does so under ACCESS EXCLUSIVE.
--
-- ## What to do
-- Drop the constraint first, change the type, add the constraint again NOT VALID and validate it in a transaction of
-- its own.
--
-- ## When to leave it
-- When the table is new or small.

select
    effect.effect,
    effect.relation || ' (' || effect.column_name || ')' as subject,
    effect.relation,
    effect.column_name as column,
    effect.type_after as type,
    coalesce(' (' || effect.reason || ')', '') as because
from migration_effect as effect
where
    effect.action = 'alter column type' and effect.is_rewrite is false and effect.is_scan
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: a CHECK over the column is tested anew
-- given: migration
create table orders (code varchar(20) check (code <> ''));
-- next file
alter table orders alter column code type varchar(50);
-- finds: public.orders (code)

-- example: the CHECK is NOT VALID, so nothing has tested the rows, and nothing does now
-- given: migration
create table orders (code varchar(20));
alter table orders add constraint given check (code <> '') not valid;
-- next file
alter table orders alter column code type varchar(50);
-- finds: nothing

-- example: nothing depends on the column
-- given: migration
create table orders (code varchar(20), total int check (total > 0));
-- next file
alter table orders alter column code type varchar(50);
-- finds: nothing

-- example: a rewrite is another rule's
-- given: migration
create table orders (total int check (total > 0));
-- next file
alter table orders alter column total type bigint;
-- finds: nothing

-- example: a new table
-- given: migration
create table orders (code varchar(20) check (code <> ''));
alter table orders alter column code type varchar(50);
-- finds: nothing
