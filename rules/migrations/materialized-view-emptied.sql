-- rule: materialized-view-emptied
-- title: Materialized view emptied under running clients
-- severity: error
-- reads: migration_effect
-- actions: refresh materialized view
-- message: Queries of running clients that read {relation} fail until it is filled again; refresh it concurrently.
-- fix: refresh materialized view concurrently {relation};
-- since: 0.1
--
-- ## Why it matters
-- `refresh materialized view … with no data` throws the rows away and leaves the view unpopulated: every query that
-- names it fails with "materialized view has not been populated" until a refresh has run to its end.
--
-- ## What to do
-- `refresh materialized view concurrently`, which needs a unique index, or drop the view once no client reads it.
--
-- ## When to leave it
-- Nobody reads the view, and its space is needed now.

select effect.effect, effect.relation as subject, effect.relation
from migration_effect as effect
where
    effect.action = 'refresh materialized view'
    and effect.definition = 'with no data'
    and not effect.is_new and effect.is_present;

-- example: a view in use
-- given: migration
create materialized view totals as select count(*) from orders;
-- next file
refresh materialized view totals with no data;
-- finds: public.totals

-- example: a plain refresh keeps it filled
-- given: migration
refresh materialized view totals;
-- finds: nothing

-- example: a view that is new
-- given: migration
create materialized view totals as select count(*) from orders;
refresh materialized view totals with no data;
-- finds: nothing
