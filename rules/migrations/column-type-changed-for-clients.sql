-- rule: column-type-changed-for-clients
-- title: Column changes to a type of another kind under running clients
-- severity: warning
-- reads: migration_effect, migration_step
-- actions: alter column type
-- message: Running clients that bind, compare or decode {column_name} of {relation} as {type_before} fail or misread it
--     once it is {type_after}; add a column of the new type beside it.
-- since: 0.1
--
-- ## Why it matters
-- A parameter bound as text does not compare with an integer column ("operator does not exist"), a decoder made for one
-- type fails on the other, and prepared statements that return the column end with "cached plan must not change result
-- type". It happens to all processes of the old release at once.
--
-- ## What to do
-- Add a column of the new type, write both, fill the old rows in batches, read the new one, drop the old one in a later
-- release.
--
-- ## When to leave it
-- The application stands still while the migration runs, or never names the column.

select
    effect.effect,
    effect.relation || ' (' || effect.column_name || ')' as subject,
    effect.relation,
    effect.column_name,
    coalesce(effect.type_before, 'its old type') as type_before,
    effect.type_after
from migration_effect as effect
where effect.action = 'alter column type'
    and effect.is_breaking
    and effect.is_present
    and not effect.is_new
    and not effect.is_object_new
    and not exists (
        -- an enum is exchanged: for clients its name stays, and their values do
        select 1
        from migration_effect as renamed
        join migration_step as step on step.step = renamed.step
        join migration_step as changed on changed.step = effect.step
        where renamed.history = effect.history
            and renamed.action = 'rename type'
            and renamed.relation = replace(effect.type_after, '[]', '')
            and renamed.new_relation = replace(effect.type_before, '[]', '')
            and (renamed.effect < effect.effect or step.file = changed.file)
    );

-- example: text becomes a number
-- given: migration
create table orders (id bigint primary key, number text);
-- next file
alter table orders alter column number type bigint using number::bigint;
-- finds: public.orders (number)

-- example: an integer becomes a wider one
-- given: migration
create table orders (id bigint primary key, quantity int);
-- next file
alter table orders alter column quantity type bigint;
-- finds: nothing

-- example: a varchar becomes text
-- given: migration
create table orders (id bigint primary key, note varchar(20));
-- next file
alter table orders alter column note type text;
-- finds: nothing

-- example: the type before is not known
-- given: migration
alter table orders alter column note type text;
-- finds: nothing

-- example: the table is born in the same file
-- given: migration
create table orders (id bigint primary key, number text);
alter table orders alter column number type bigint using number::bigint;
-- finds: nothing

-- example: the column is born in the same file
-- given: migration
create table orders (id bigint primary key);
-- next file
alter table orders add column number text;
alter table orders alter column number type bigint using number::bigint;
-- finds: nothing

-- example: an enum is exchanged: clients see the type of the same name
-- given: migration, in a transaction
create type order_status as enum ('open', 'paid', 'lost');
create table orders (id bigint primary key, status order_status);
-- next file
alter type order_status rename to order_status_old;
create type order_status as enum ('open', 'paid');
alter table orders alter column status type order_status using status::text::order_status;
drop type order_status_old;
-- finds: nothing

-- example: an enum is exchanged by one that takes its name afterwards
-- given: migration, in a transaction
create type order_status as enum ('open', 'paid', 'lost');
create table orders (id bigint primary key, status order_status, earlier order_status[]);
-- next file
create type order_status_new as enum ('open', 'paid');
alter table orders alter column status type order_status_new using status::text::order_status_new;
alter table orders alter column earlier type order_status_new[] using earlier::text[]::order_status_new[];
alter type order_status rename to order_status_old;
alter type order_status_new rename to order_status;
drop type order_status_old;
-- finds: nothing

-- example: the new type keeps its own name to the end of the file
-- given: migration, in a transaction
create type order_status as enum ('open', 'paid', 'lost');
create table orders (id bigint primary key, status order_status);
-- next file
create type order_status_new as enum ('open', 'paid');
alter table orders alter column status type order_status_new using status::text::order_status_new;
-- finds: public.orders (status)
