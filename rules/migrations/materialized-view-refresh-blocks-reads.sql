-- rule: materialized-view-refresh-blocks-reads
-- title: Materialized view refreshed without CONCURRENTLY
-- severity: warning
-- reads: migration_effect
-- actions: refresh materialized view
-- message: Reads of {relation} wait until its whole query has run; {cure}.
-- repair: concurrently
-- since: 0.1
--
-- ## Why it matters
-- A plain refresh holds ACCESS EXCLUSIVE on the materialized view while its query runs: whoever reads it waits for the
-- end, and in a transaction even longer.
--
-- ## What to do
-- `refresh materialized view concurrently`: it computes the new rows beside the old ones and then changes what differs.
-- It needs a unique index on plain columns without WHERE, and a view that was filled before. It may run in a
-- transaction.
--
-- ## When to leave it
-- When the view is new, or nobody reads it at that time. The plain form is faster where most rows change.

select
    effect.effect,
    effect.relation as subject,
    effect.relation,
    case
        when effect.is_unique is false
            then 'build a unique index over plain columns and all its rows, and refresh it concurrently'
        else 'refresh it concurrently'
    end as cure
from migration_effect as effect
where
    effect.action = 'refresh materialized view' and effect.is_concurrent is not true
    and coalesce(effect.definition, '') <> 'with no data'
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: a plain refresh
-- given: migration
refresh materialized view totals;
-- finds: public.totals

-- example: concurrently
-- given: migration
refresh materialized view concurrently totals;
-- finds: nothing

-- example: without its data nothing is computed
-- given: migration
refresh materialized view totals with no data;
-- finds: nothing

-- example: a view that is new
-- given: migration
create materialized view totals as select count(*) from orders with no data;
refresh materialized view totals;
-- finds: nothing

-- example: one of an earlier migration
-- given: migration
create materialized view totals as select count(*) from orders;
-- next file
refresh materialized view totals;
-- finds: public.totals
