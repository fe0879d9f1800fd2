-- rule: view-dropped
-- title: View dropped under running clients
-- severity: error
-- reads: migration_effect, migration_step
-- actions: drop view
-- message: Statements of running clients that name {relation} fail {how_long}; {what_to_do}.
-- since: 0.1
--
-- ## Why it matters
-- Clients use a view as they use a table. Its privileges and comments go with it, and a materialized view loses its
-- rows and indexes: building them again may take long.
--
-- ## What to do
-- Drop it in a release after the last one that uses it. To change a view, prefer `create or replace view` (columns may
-- be added at the end); where that is refused, drop and create it in one transaction and grant its privileges again.
--
-- ## When to leave it
-- No running code uses it.

select
    effect.effect,
    effect.relation as subject,
    effect.relation,
    case effect.name_returns when 'file' then 'warning' else 'error' end as severity,
    case effect.name_returns
        when 'transaction' then 'where they name a column that the new one lacks'
        when 'file' then 'until it is made again further down'
        else 'from here on'
    end as how_long,
    case effect.name_returns
        when 'transaction' then 'keep the column until no client names it'
        when 'file' then 'put both statements into one transaction'
        else 'drop it in a release after the last one that uses it'
    end as what_to_do
from migration_effect as effect
join migration_step as dropped_in on dropped_in.step = effect.step
where effect.action = 'drop view'
    and effect.is_present
    and not effect.is_new
    and not effect.is_name_new
    and (
        coalesce(effect.name_returns, 'file') = 'file'
        or exists (
            select 1
            from migration_effect as made
            join migration_step as made_in on made_in.step = made.step
            where made.action = 'create view' and made.relation = effect.relation and made.effect > effect.effect
                and made_in.file = dropped_in.file
                and len(
                    list_filter(
                        string_split(effect.columns, ', '),
                        lambda name: not list_contains(string_split(made.columns, ', '), name)
                    )
                ) > 0
        )
    );

-- example: a view in use
-- given: migration
drop view open_orders;
-- finds: public.open_orders

-- example: a materialized view of an earlier migration
-- given: migration
create materialized view daily as select 1 as day;
-- next file
drop materialized view daily;
-- finds: public.daily

-- example: made anew in the same transaction
-- given: migration, in a transaction
drop view if exists open_orders;
create view open_orders as select 1 as id;
-- finds: nothing

-- example: made anew in a transaction of its own: clients fail in between
-- given: migration
drop view open_orders;
create view open_orders as select 1 as id;
-- finds: public.open_orders

-- example: sent as one batch it is one transaction
-- given: migration, as one batch
drop view open_orders;
create view open_orders as select 1 as id;
-- finds: nothing

-- example: replaced
-- given: migration
create or replace view open_orders as select 1 as id;
-- finds: nothing

-- example: born in the same file
-- given: migration
create view open_orders as select 1 as id;
drop view open_orders;
-- finds: nothing

-- example: it is gone already
-- given: migration
create view open_orders as select 1 as id;
-- next file
drop view open_orders;
-- next file
drop view if exists open_orders;
-- finds: nothing

-- example: made anew in the same transaction, and a column is gone
-- given: migration, in a transaction
create view names as select 1 as id, 'x' as name;
-- next file
drop view names;
create view names as select 1 as id;
-- finds: public.names

-- example: made anew in the same transaction, with one more
-- given: migration, in a transaction
create view names as select 1 as id;
-- next file
drop view names;
create view names as select 'x' as name, 1 as id;
-- finds: nothing
