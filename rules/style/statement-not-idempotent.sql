-- rule: statement-not-idempotent
-- title: Statement that fails when the file runs again
-- severity: info
-- reads: migration_effect, migration_step
-- message: Outside a transaction a failure further on leaves this applied, and the next run stops here; write {guard}.
-- since: 0.1
--
-- ## Why it matters
-- Where statements commit one by one, the runner starts a file that failed from its first line again, and meets what
-- the first run made.
--
-- ## What to do
-- `if not exists`, `if exists`, `or replace`; or run the file in one transaction where nothing in it forbids that.
-- Behind `create index concurrently if not exists` an INVALID index of the first run has to be dropped first.
--
-- ## When to leave it
-- The file holds this one statement only.

with counted as (
    select step.file, count(*) as statements
    from migration_step as step
    where not step.is_nested
        and step.kind not in ('TransactionStmt', 'VariableSetStmt')
    group by step.file
)
select
    min(effect.effect) as effect,
    case
        when effect.action in ('add column', 'drop column') then effect.relation || ' (' || effect.column_name || ')'
        else coalesce(effect.object_name, effect.relation)
    end as subject,
    case
        when min(effect.action) in ('create view', 'create function') then '`create or replace`'
        when min(effect.action) like 'drop %' then '`if exists`'
        else '`if not exists`'
    end as guard
from migration_effect as effect
join migration_step as step on step.step = effect.step
join counted on counted.file = step.file
where effect.action in (
        'create table', 'create table as', 'create index', 'create sequence', 'create schema', 'create extension',
        'create view', 'create materialized view', 'create function', 'add column', 'drop column', 'drop table',
        'drop index', 'drop sequence', 'drop schema', 'drop view', 'drop type', 'drop function', 'drop constraint',
        'drop extension'
    )
    and step.transaction is null
    and not step.is_nested
    and counted.statements > 1
    and effect.is_present
    and coalesce(effect.relation, '') not like 'pg\_temp.%' escape '\'
    and not regexp_matches(lower(step.statement), '(if not exists|if exists|or replace)')
group by 2;

-- example: a table and a column
-- given: migration
create table orders (id bigint primary key);
alter table items add column order_id bigint;
-- finds: public.orders
-- finds: public.items (order_id)

-- example: an index, concurrently
-- given: migration
create index concurrently orders_total on orders (total);
drop index concurrently orders_sum;
-- finds: public.orders_total
-- finds: public.orders_sum

-- example: guarded
-- given: migration
create table if not exists orders (id bigint primary key);
alter table items add column if not exists order_id bigint;
create or replace view open_orders as select 1 as id;
drop table if exists scratch;
-- finds: nothing

-- example: in a transaction all or nothing is done
-- given: migration, in a transaction
create table orders (id bigint primary key);
alter table items add column order_id bigint;
-- finds: nothing

-- example: between begin and commit
-- given: migration
begin;
create table orders (id bigint primary key);
alter table items add column order_id bigint;
commit;
-- finds: nothing

-- example: alone in its file
-- given: migration
set lock_timeout = '5s';
create table orders (id bigint primary key);
-- finds: nothing
