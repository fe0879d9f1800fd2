-- rule: table-renamed
-- title: Table renamed under running clients
-- severity: error
-- reads: migration_effect
-- actions: rename table
-- message: Statements of running clients that name {relation} fail {how_long}; {what_to_do}.
-- fix: begin;
--     alter table {relation} rename to {new_name};
--     create view {relation} as select * from {new_relation};
--     commit;
-- since: 0.1
--
-- ## Why it matters
-- A rename is instant, but no deployment is: until the last old process has ended, its statements name a table that is
-- not there. Foreign keys, views and indexes follow the rename; statements, function bodies and grants by name in other
-- scripts do not.
--
-- ## What to do
-- In one transaction rename the table and create a view of the old name over it: a plain `select *` view takes inserts,
-- updates and deletes too. Drop the view when the last client uses the new name. Swapping in another table is safe in
-- the same way: both renames in one transaction.
--
-- ## When to leave it
-- No running code uses the table, or the application stands still while the migration runs.

select
    effect.effect,
    effect.relation as subject,
    effect.relation,
    regexp_extract(effect.new_name, '([^."]+|"(?:[^"]|"")*")$', 1) as new_name,
    case when effect.name_returns is null then effect.new_relation end as new_relation,
    case effect.name_returns when 'file' then 'warning' else 'error' end as severity,
    case effect.name_returns
        when 'file' then 'until the name is there again further down'
        else 'from here on'
    end as how_long,
    case effect.name_returns
        when 'file' then 'put both statements into one transaction'
        else 'leave a view of the old name in its place, in the same transaction'
    end as what_to_do
from migration_effect as effect
where effect.action = 'rename table'
    and effect.relation_kind in ('table', 'partitioned table', 'foreign table')
    and effect.is_present
    and not effect.is_new
    and not effect.is_name_new
    and coalesce(effect.name_returns, 'file') = 'file';

-- example: a table that nobody made here is in use
-- given: migration
alter table orders rename to purchases;
-- finds: public.orders

-- example: the table is of an earlier migration
-- given: migration, in a transaction
create table orders (id bigint primary key);
-- next file
alter table orders rename to purchases;
-- finds: public.orders

-- example: a view of the old name takes its place in the same transaction
-- given: migration, in a transaction
alter table orders rename to purchases;
create view orders as select * from purchases;
-- finds: nothing

-- example: the view comes in a transaction of its own: clients fail in between
-- given: migration
alter table orders rename to purchases;
create view orders as select * from purchases;
-- finds: public.orders

-- example: another table is swapped in, in one transaction
-- given: migration, in a transaction
alter table orders rename to orders_old;
alter table orders_new rename to orders;
-- finds: nothing

-- example: the same between begin and commit
-- given: migration
begin;
alter table orders rename to orders_old;
alter table orders_new rename to orders;
commit;
-- finds: nothing

-- example: the table is born in the same file
-- given: migration
create table orders (id bigint primary key);
alter table orders rename to purchases;
-- finds: nothing

-- example: there is no such table
-- given: migration
create table orders (id bigint);
-- next file
drop table orders;
alter table if exists orders rename to purchases;
-- finds: nothing

-- example: an index or a constraint has no name that clients use
-- given: migration
alter index orders_customer rename to orders_customer_idx;
alter table orders rename constraint orders_fk to orders_customer_fk;
-- finds: nothing
