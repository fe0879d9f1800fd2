-- rule: column-dropped
-- title: Column dropped under running clients
-- severity: error
-- reads: migration_effect
-- actions: drop column, alter type attribute
-- message: The values of {column_name} in {relation} are gone for good, and statements of running clients that name it
--     fail; drop it in a release after the last one that uses it.
-- since: 0.1
--
-- ## Why it matters
-- The drop is instant and cannot be taken back without a restore. Old processes still select, insert into or map the
-- column (an object mapper lists every column it knows in each statement), also those that a rollback of the release
-- would bring back. Indexes and constraints over the column go with it, without a word.
--
-- ## What to do
-- First release code that does not use the column (take it out of the mapper's list); if it is NOT NULL without a
-- default, drop the NOT NULL or give it a default so that inserts without it work. Drop it in a later release, behind
-- `-- queryfit: ignore column-dropped unused since …`.
--
-- ## When to leave it
-- No running code, view or report uses the column, and its values are not needed or saved elsewhere.

select
    effect.effect,
    effect.relation || ' (' || effect.column_name || ')' as subject,
    effect.relation,
    effect.column_name
from migration_effect as effect
where (
        effect.action = 'drop column'
        or (effect.action = 'alter type attribute' and effect.definition = 'drop attribute')
    )
    and effect.is_present
    and not effect.is_new
    and not effect.is_object_new;

-- example: a table in use
-- given: migration
alter table orders drop column total;
-- finds: public.orders (total)

-- example: two columns of a table of an earlier migration
-- given: migration, in a transaction
create table orders (id bigint primary key, total numeric, note text);
-- next file
alter table orders drop column total, drop column if exists note;
-- finds: public.orders (total)
-- finds: public.orders (note)

-- example: it comes back with another type, but empty
-- given: migration, in a transaction
alter table orders drop column total;
alter table orders add column total numeric(10, 2);
-- finds: public.orders (total)

-- example: inside a DO block
-- given: migration
do $$ begin alter table orders drop column total; end $$;
-- finds: public.orders (total)

-- example: there is no such column
-- given: migration
create table orders (id bigint primary key);
-- next file
alter table orders drop column if exists total;
-- finds: nothing

-- example: the table is born in the same file
-- given: migration
create table orders (id bigint primary key, total numeric);
alter table orders drop column total;
-- finds: nothing

-- example: a helper column that is born in the same file
-- given: migration
create table orders (id bigint primary key);
-- next file
alter table orders add column old_id bigint;
update orders set old_id = id where id < 1000;
alter table orders drop column old_id;
-- finds: nothing

-- example: a temporary table
-- given: migration
create temporary table batch (id bigint, note text);
alter table batch drop column note;
-- finds: nothing

-- example: an attribute of a composite type
-- given: migration
alter type address drop attribute zip cascade;
-- finds: public.address (zip)
