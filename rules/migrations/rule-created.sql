-- rule: rule-created
-- title: Rewrite rule on a table in use
-- severity: warning
-- reads: migration_effect
-- actions: create rule
-- message: From here on every statement on {relation} is rewritten by a rule before it is planned; use a trigger.
-- since: 0.1
--
-- ## Why it matters
-- A rule works on the text of statements, not on rows: volatile expressions run twice, RETURNING and row counts change,
-- COPY ignores it, and some statements with a data-modifying WITH are refused. Running clients meet this without a
-- change of their own.
--
-- ## What to do
-- A trigger (INSTEAD OF on a view) sees each row and its true values. Partitioning routes rows by itself.
--
-- ## When to leave it
-- On a view, `do instead nothing` or a simple redirection. Rules on views and on new tables are not reported.

select effect.effect, effect.relation || '.' || effect.object_name as subject, effect.relation
from migration_effect as effect
where effect.action = 'create rule'
    and effect.relation_kind in ('table', 'partitioned table')
    and effect.is_present
    and not effect.is_new;

-- example: a table in use
-- given: migration
create rule keep as on delete to orders do instead update orders set is_deleted = true where id = old.id;
-- finds: public.orders.keep

-- example: of an earlier migration
-- given: migration
create table orders (id bigint primary key);
-- next file
create or replace rule log as on insert to orders do also insert into orders_log values (new.id);
-- finds: public.orders.log

-- example: a view
-- given: migration
create view open_orders as select 1 as id;
-- next file
create rule keep as on delete to open_orders do instead nothing;
-- finds: nothing

-- example: a new table
-- given: migration
create table orders (id bigint primary key);
create rule keep as on delete to orders do instead nothing;
-- finds: nothing
