-- rule: view-column-dropped
-- title: CREATE OR REPLACE VIEW loses or changes a column
-- severity: error
-- reads: migration_effect, migration_step
-- actions: replace view
-- message: PostgreSQL refuses to replace {relation} ({refusal}); drop and create it in one transaction once no client
--     uses what changes.
-- fix: begin;
--     drop view {relation};
--     create view {relation} as …;
--     commit;
-- since: 0.1
--
-- ## Why it matters
-- `create or replace view` may only add columns at the end: dropping, renaming, reordering or retyping a column is
-- refused and the migration stops there. Done by DROP and CREATE it works, but running clients that name the column
-- fail.
--
-- ## What to do
-- Keep the columns in their order and append new ones. To lose a column, first release clients without it, then drop
-- and create the view in one transaction, with its privileges granted again.
--
-- ## When to leave it
-- The view of the production database has other columns than these files say.

select
    effect.effect,
    effect.relation as subject,
    effect.relation,
    step.refusal
from migration_effect as effect
join migration_step as step on step.step = effect.step
where effect.action = 'replace view' and step.refusal is not null;

-- example: a column is left out
-- given: migration
create view totals as select 1 as id, 2 as total;
-- next file
create or replace view totals as select 1 as id;
-- finds: public.totals

-- example: a column has another name
-- given: migration
create view totals as select 1 as id, 2 as total;
-- next file
create or replace view totals as select 1 as id, 2 as amount;
-- finds: public.totals

-- example: a column is appended
-- given: migration
create view totals as select 1 as id, 2 as total;
-- next file
create or replace view totals as select 1 as id, 2 as total, 3 as tax;
-- finds: nothing

-- example: the view is not known
-- given: migration
create or replace view totals as select 1 as id;
-- finds: nothing

-- example: dropped and created
-- given: migration, in a transaction
create view totals as select 1 as id, 2 as total;
-- next file
drop view totals;
create view totals as select 1 as id;
-- finds: nothing
