-- rule: column-renamed
-- title: Column renamed under running clients
-- severity: error
-- reads: migration_effect
-- actions: rename column, alter type attribute
-- message: Statements of running clients that name {column_name} of {relation} fail from here on; add {new_name} beside
--     it, write both, and drop the old column in a later release.
-- since: 0.1
--
-- ## Why it matters
-- A rename is instant, but no deployment is: until the last old process has ended, both versions of the application run
-- against the same table, and one of them names a column that is not there. Views, indexes and constraints follow a
-- rename by themselves; statements of clients and bodies of functions (text until they run) do not.
--
-- ## What to do
-- Expand and contract: add the new column; let the application (or a trigger) write both; fill the old rows in batches;
-- let it read the new one; drop the old column in a later release. Where only the name disturbs, rename the table's
-- column and put a view with the old names in the table's place, in one transaction.
--
-- ## When to leave it
-- No running code names the column, or the application stands still while the migration runs.

select
    effect.effect,
    effect.relation || ' (' || effect.column_name || ')' as subject,
    effect.relation,
    effect.column_name,
    effect.new_name
from migration_effect as effect
where (
        effect.action = 'rename column'
        or (effect.action = 'alter type attribute' and effect.definition = 'rename attribute')
    )
    and effect.is_present
    and not effect.is_new
    and not effect.is_name_new
    and effect.name_returns is null;

-- example: a table that nobody made here is in use
-- given: migration
alter table orders rename column total to amount;
-- finds: public.orders (total)

-- example: the table is of an earlier migration
-- given: migration
create table orders (id bigint primary key, total numeric);
-- next file
alter table orders rename total to amount;
-- finds: public.orders (total)

-- example: a column of a view
-- given: migration
alter view open_orders rename column total to amount;
-- finds: public.open_orders (total)

-- example: in a transaction it breaks clients as well
-- given: migration, in a transaction
alter table orders rename column total to amount;
-- finds: public.orders (total)

-- example: the table is born in the same file
-- given: migration
create table orders (id bigint primary key, total numeric);
alter table orders rename column total to amount;
-- finds: nothing

-- example: the column is born in the same file
-- given: migration
create table orders (id bigint primary key);
-- next file
alter table orders add column total numeric;
alter table orders rename column total to amount;
-- finds: nothing

-- example: two columns swap their names in one transaction: each name is there again
-- given: migration, in a transaction
alter table orders rename column total to spare;
alter table orders rename column net to total;
alter table orders rename column spare to net;
-- finds: nothing

-- example: a temporary table
-- given: migration
create temporary table batch (id bigint);
alter table batch rename column id to order_id;
-- finds: nothing

-- example: there is no such table
-- given: migration
create table orders (id bigint);
-- next file
drop table orders;
alter table if exists orders rename column id to order_id;
-- finds: nothing

-- example: an attribute of a composite type
-- given: migration
alter type address rename attribute zip to code cascade;
-- finds: public.address (zip)
