-- rule: integer-key
-- title: Key of four bytes or less
-- severity: info
-- reads: migration_effect
-- actions: create column, add column
-- message: {column_name} of {relation} is {type} and ends at {largest}; make it bigint.
-- since: 0.1
--
-- ## Why it matters
-- An identity counts up with every insert, also with those that fail or roll back. When it reaches the end of its type,
-- inserts fail; widening the column then rewrites the table under an ACCESS EXCLUSIVE lock, and every foreign key to
-- it. Alignment often makes the four bytes saved none at all.
--
-- ## What to do
-- `id bigint generated always as identity primary key`, and bigint for columns that reference it.
--
-- ## When to leave it
-- A lookup table that people fill by hand.

with keyed as (
    -- a primary key of one column
    select effect.step, effect.relation, effect.columns
    from migration_effect as effect
    where effect.action = 'add primary key'
)
select
    effect.effect,
    effect.relation || ' (' || effect.column_name || ')' as subject,
    effect.relation,
    effect.column_name,
    effect.type_after as type,
    case effect.type_after when 'smallint' then '32,767' else '2,147,483,647' end as largest
from migration_effect as effect
left join keyed
    on keyed.step = effect.step
    and keyed.relation = effect.relation
    and keyed.columns = effect.column_name
where effect.action in ('create column', 'add column')
    and effect.is_present
    and effect.relation not like 'pg\_temp.%' escape '\'
    and effect.type_after in ('integer', 'smallint')
    and (effect.new_name in ('serial', 'identity') or keyed.step is not null);

-- example: serial, identity and a plain primary key
-- given: migration
create table a (id serial primary key);
create table b (id int generated always as identity);
create table c (id integer, primary key (id));
create table d (id smallserial);
-- finds: public.a (id)
-- finds: public.b (id)
-- finds: public.c (id)
-- finds: public.d (id)

-- example: a new column
-- given: migration
alter table orders add column number serial;
-- finds: public.orders (number)

-- example: eight bytes
-- given: migration
create table a (id bigserial primary key);
create table b (id bigint generated always as identity primary key);
create table c (id uuid primary key);
-- finds: nothing

-- example: an integer that is no key, or only part of one
-- given: migration
create table a (id bigint primary key, quantity int);
create table b (order_id bigint, line int, primary key (order_id, line));
-- finds: nothing

-- example: a temporary table
-- given: migration
create temporary table batch (id serial primary key);
-- finds: nothing
