-- rule: not-null-dropped
-- title: Column may be null from here on
-- severity: info
-- reads: migration_effect
-- actions: drop not null
-- message: Readers of {column_name} in {relation} that have never met a null may fail on the first one; let them handle
--     it before anything writes one.
-- since: 0.1
--
-- ## Why it matters
-- The statement itself is instant and harms nothing. The first null does: typed clients fail to decode the row, sums
-- and comparisons turn to null, `not in (select …)` finds nothing. Putting the NOT NULL back needs a scan, and rows
-- without nulls.
--
-- ## What to do
-- Release readers that handle null first, writers of null after that.
--
-- ## When to leave it
-- It is the first step of dropping the column, so that inserts without it work.

select
    effect.effect,
    effect.relation || ' (' || effect.column_name || ')' as subject,
    effect.relation,
    effect.column_name
from migration_effect as effect
where effect.action = 'drop not null'
    and effect.is_present
    and not effect.is_new
    and not effect.is_object_new
    and not exists (
        -- the column goes, or is NOT NULL again, in what follows
        select 1
        from migration_effect as later
        where later.history = effect.history
            and later.relation = effect.relation
            and later.column_name = effect.column_name
            and later.action in ('drop column', 'set not null')
            and later.effect > effect.effect
    );

-- example: a column in use
-- given: migration
alter table orders alter column customer_id drop not null;
-- finds: public.orders (customer_id)

-- example: of an earlier migration
-- given: migration
create table orders (id bigint primary key, customer_id bigint not null);
-- next file
alter table orders alter customer_id drop not null;
-- finds: public.orders (customer_id)

-- example: the table is born in the same file
-- given: migration
create table orders (id bigint primary key, customer_id bigint not null);
alter table orders alter customer_id drop not null;
-- finds: nothing

-- example: the column is born in the same file
-- given: migration
alter table orders add column customer_id bigint not null default 0;
alter table orders alter customer_id drop not null;
-- finds: nothing

-- example: it is set again
-- given: migration, in a transaction
alter table orders alter customer_id drop not null;
update orders set customer_id = null where customer_id = 0 and id < 100;
alter table orders alter customer_id set not null;
-- finds: nothing
