-- rule: enum-value-used-in-transaction
-- title: Enum value used in the transaction that adds it
-- severity: error
-- reads: migration_effect, migration_step
-- actions: add enum value
-- message: PostgreSQL refuses to use '{value}' of {relation} before the transaction that adds it has ended; add it in
--     an earlier file, or outside a transaction.
-- since: 0.1
--
-- ## Why it matters
-- A value added to an enum that was there before cannot be used until its transaction commits ("unsafe use of new value
-- of enum type"): the whole migration fails and rolls back. In a type created by the same transaction it is allowed.
--
-- ## What to do
-- Put `alter type … add value` into a migration of its own before this one, or commit in between.
--
-- ## When to leave it
-- Never: it does not run.

with used as (
    select step.step, step.file, step.transaction
    from migration_step as step
    where step.refusal like 'unsafe use of new value%'
),
added as (
    select effect.relation, effect.object_name as value, effect.effect, step.transaction
    from migration_effect as effect
    join migration_step as step on step.step = effect.step
    where effect.action = 'add enum value' and step.transaction is not null
)
select
    used.step,
    added.relation || '.' || added.value as subject,
    added.relation,
    added.value
from used
join migration_step as step on step.step = used.step
join added on added.transaction = used.transaction
where contains(step.refusal, added.value);

-- example: added and stored in one transaction
-- given: migration, in a transaction
create type order_status as enum ('open', 'paid');
create table orders (id bigint primary key, status order_status);
-- next file
alter type order_status add value 'shipped';
update orders set status = 'shipped' where id = 7;
-- finds: public.order_status.shipped

-- example: as a default, in one batch
-- given: migration, as one batch
create type order_status as enum ('open', 'paid');
create table orders (id bigint primary key, status order_status);
-- next file
alter type order_status add value 'draft';
alter table orders alter column status set default 'draft';
-- finds: public.order_status.draft

-- example: each statement in a transaction of its own
-- given: migration
create type order_status as enum ('open', 'paid');
create table orders (id bigint primary key, status order_status);
-- next file
alter type order_status add value 'shipped';
update orders set status = 'shipped' where id = 7;
-- finds: nothing

-- example: the type is made in the same transaction
-- given: migration, in a transaction
create type order_status as enum ('open', 'paid');
alter type order_status add value 'shipped';
create table orders (id bigint primary key, status order_status default 'shipped');
-- finds: nothing

-- example: added only
-- given: migration, in a transaction
alter type order_status add value 'shipped';
-- finds: nothing
