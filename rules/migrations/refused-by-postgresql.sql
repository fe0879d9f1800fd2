-- rule: refused-by-postgresql
-- title: PostgreSQL refuses the statement
-- severity: error
-- reads: migration_step, migration_effect
-- message: The migration stops here: {reason}.
-- since: 0.1
--
-- ## Why it matters
-- By what the migrations before it did, this statement cannot succeed: what it names is not there or is there already, a
-- value does not fit its column, or its form is not allowed here. On production it fails with the files before it applied.
--
-- ## What to do
-- Mend the statement. `queryfit lint --trace` runs it on an embedded server and shows the server's own words.
--
-- ## When to leave it
-- The schema of the production database is not what these files make; then lint with `--against` it.

with told as (
    -- rules of their own say it better
    select effect.step
    from migration_effect as effect
    join migration_step as step on step.step = effect.step
    where
        effect.action = 'replace view'
        or (effect.is_partitioned and effect.is_concurrent and effect.action in ('create index', 'drop index'))
        or (
            effect.is_partitioned and effect.is_validated is false and effect.action = 'add foreign key'
            and step.server_version < 18
        )
)
select step.step, step.statement as subject, step.refusal as reason
from migration_step as step
left join told on told.step = step.step
where step.refusal is not null
    and step.kind <> 'unparsed'
    and step.refusal not like 'unsafe use of new value%'
    and not (step.refused_in_transaction is not null and step.transaction is not null)
    and told.step is null;

-- example: a column that no earlier migration made
-- given: migration
create table orders (id bigint primary key);
-- next file
alter table orders drop column total;
-- finds: alter table orders drop column total

-- example: a table that is there already
-- given: migration
create table orders (id bigint primary key);
-- next file
create table orders (id bigint primary key);
-- finds: create table orders (id bigint primary key)

-- example: a table that nobody made here is taken to be there
-- given: migration
alter table orders drop column total;
-- finds: nothing

-- example: IF EXISTS
-- given: migration
create table orders (id bigint primary key);
-- next file
alter table orders drop column if exists total;
create table if not exists orders (id bigint);
-- finds: nothing

-- example: what does not parse is another fault
-- given: migration
create tabel orders (id bigint);
-- finds: nothing

-- example: something before it could not be seen
-- given: migration
create table orders (id bigint primary key);
-- next file
do $$ begin execute 'alter table orders add column ' || current_setting('app.column') || ' numeric'; end $$;
alter table orders drop column total;
-- finds: nothing

-- example: what follows from a refusal in the same file is told once
-- given: migration
create table orders (id bigint primary key);
-- next file
alter table orders rename column total to net;
alter table orders drop column net;
-- finds: alter table orders rename column total to net

-- example: ONLY for a foreign key of a partitioned table
-- given: migration, version 18
create table customers (id int primary key);
create table orders (day date, buyer int) partition by range (day);
-- next file
alter table only orders add foreign key (buyer) references customers not valid;
-- finds: alter table only orders add foreign key (buyer) references customers not valid

-- example: indexes of partitions that no migration made
-- given: migration
create index orders_customer on only orders (customer_id);
create index concurrently orders_2026_customer on orders_2026 (customer_id);
alter index orders_customer attach partition orders_2026_customer;
-- finds: nothing

-- example: a value that the enum does not have
-- given: migration
create type order_state as enum ('open', 'paid');
create table orders (id bigint primary key, state order_state);
-- next file
insert into orders values (1, 'shipped');
-- finds: insert into orders values (1, 'shipped')

-- example: a value that it has by then
-- given: migration
create type order_state as enum ('open', 'paid');
create table orders (id bigint primary key, state order_state);
-- next file
alter type order_state add value 'shipped';
-- next file
insert into orders values (1, 'shipped');
-- finds: nothing

-- example: no index serves ON CONFLICT
-- given: migration
create table products (id bigint primary key, title text);
-- next file
insert into products values (1, 'tea') on conflict (title) do nothing;
-- finds: insert into products values (1, 'tea') on conflict (title) do nothing

-- example: a storage parameter that does not exist
-- given: migration
alter table orders set (fill_factor = 80);
-- finds: alter table orders set (fill_factor = 80)

-- example: a setting that no server knows, and one of an extension
-- given: migration
set lock_time = '5s';
set auto_explain.log_min_duration = '1s';
-- finds: set lock_time = '5s'

-- example: a table that went with its transaction
-- given: migration
begin;
create table tags (name text);
rollback;
insert into tags values ('new');
-- finds: insert into tags values ('new')

-- example: a block that raises an exception, and one that may
-- given: migration
do $$ begin raise exception 'not here'; end $$;
-- next file
do $$ begin if current_database() = 'shop' then raise exception 'not here'; end if; end $$;
-- finds: nothing
