-- rule: view-renamed
-- title: View renamed under running clients
-- severity: error
-- reads: migration_effect
-- actions: rename view, rename table
-- message: Statements of running clients that name {relation} fail {how_long}; {what_to_do}.
-- fix: begin;
--     alter view {relation} rename to {new_name};
--     create view {relation} as select * from {new_relation};
--     commit;
-- since: 0.1
--
-- ## Why it matters
-- Clients name a view as they name a table: from the rename on, every statement with the old name fails until the last
-- old process has ended.
--
-- ## What to do
-- Create a second view of the new name and drop the old one in a later release. A materialized view keeps its rows when
-- it is renamed and a plain view of the old name is put before it, in the same transaction.
--
-- ## When to leave it
-- No running code uses the view. Swapping a freshly built materialized view in, both renames in one transaction, is not
-- reported.

select
    effect.effect,
    effect.relation as subject,
    effect.relation,
    regexp_extract(effect.new_name, '([^."]+|"(?:[^"]|"")*")$', 1) as new_name,
    case
        when effect.name_returns is null and effect.relation_kind = 'view' then effect.new_relation
    end as new_relation,
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
where effect.action in ('rename view', 'rename table')
    and effect.relation_kind in ('view', 'materialized view')
    and effect.is_present
    and not effect.is_new
    and not effect.is_name_new
    and coalesce(effect.name_returns, 'file') = 'file';

-- example: a view in use
-- given: migration
alter view open_orders rename to pending_orders;
-- finds: public.open_orders

-- example: ALTER TABLE renames views as well
-- given: migration
create view open_orders as select 1 as id;
-- next file
alter table open_orders rename to pending_orders;
-- finds: public.open_orders

-- example: a materialized view
-- given: migration
alter materialized view daily rename to daily_sales;
-- finds: public.daily

-- example: a freshly built one is swapped in
-- given: migration, in a transaction
create materialized view daily_new as select 1 as day;
alter materialized view daily rename to daily_old;
alter materialized view daily_new rename to daily;
-- finds: nothing

-- example: the view is born in the same file
-- given: migration
create view open_orders as select 1 as id;
alter view open_orders rename to pending_orders;
-- finds: nothing

-- example: the old name stays
-- given: migration, in a transaction
alter view open_orders rename to pending_orders;
create view open_orders as select * from pending_orders;
-- finds: nothing
