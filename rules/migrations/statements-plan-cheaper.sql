-- rule: statements-plan-cheaper
-- title: Captured statements plan cheaper
-- severity: info
-- proof: planned
-- reads: migration_plan_change
-- message: This {change}: {statements}, {execution_ms_per_day} today, {get} {factor}× cheaper, which saves about
--     {saved_ms_per_day}.{gained}{caution}
-- param: min_factor = 1.5 -- the planner's cost is an estimate: less may not be felt
-- param: min_share = 0.01 -- of the captured time, as time saved: below it nobody notices
-- param: min_ms_per_day = 60000 -- a minute a day saved is worth saying on the busiest server, too
-- since: 0.1
--
-- ## Why it matters
-- It is no fault: the captured statements were planned in the lab before the migration and after it, and this is what
-- the migration is good for. It belongs into the review as much as what it costs.
--
-- ## What to do
-- Nothing. Compare the captures before and after the release (`queryfit diff`) to see that it came true.
--
-- ## When to leave it
-- Always.

select
    change.step,
    change.effect,
    change.object as subject,
    change.change,
    case when count(*) = 1 then '1 statement' else count(*) || ' statements' end as statements,
    case when count(*) = 1 then 'gets' else 'get' end as get,
    sum(change.execution_ms_per_day) as execution_ms_per_day,
    sum(change.time_share) as time_share,
    sum(change.time_share) / sum(change.time_share * change.cost_after / change.cost_before) as factor,
    sum(change.execution_ms_per_day * (1 - change.cost_after / change.cost_before)) as saved_ms_per_day,
    case when max(change.index) filter (change.is_index_new) is not null
        and max(change.index) filter (change.is_index_new) <> change.object
        then case when count(*) = 1 then ' Its plan uses ' else ' Their plans use ' end || max(change.index) filter (change.is_index_new) || '.' else '' end as gained,
    case when min(change.window_s) < 3600 then ' The counters cover less than an hour.' else '' end as caution,
    arg_max(change.text, change.time_share) as worst_statement,
    string_agg(change.fingerprint, ', ' order by change.time_share desc, change.fingerprint) as fingerprints
from migration_plan_change as change
where
    change.error is null and change.cost_after > 0 and change.time_share > 0
    and change.cost_before / change.cost_after >= $min_factor
group by change.step, change.effect, change.object, change.change
having
    sum(change.execution_ms_per_day * (1 - change.cost_after / change.cost_before)) >= $min_ms_per_day
    or sum(change.time_share * (1 - change.cost_after / change.cost_before)) >= $min_share;

-- example: a new index that a statement uses
-- given: evidence
insert into migration_plan_change (
    step, effect, object, change, fingerprint, text, index, is_index_new, cost_before, cost_after, execution_ms_per_day,
    time_share
)
values
(1, 1, 'public.orders_state', 'creates public.orders_state', 'a', 'select 1', 'public.orders_state', true, 320, 8, 3600000, 0.2);
-- finds: public.orders_state

-- example: a little cheaper
-- given: evidence
insert into migration_plan_change (
    step, effect, object, change, fingerprint, text, index, is_index_new, cost_before, cost_after, execution_ms_per_day,
    time_share
)
values
(1, 1, 'public.orders_state', 'creates public.orders_state', 'a', 'select 1', 'public.orders_state', true, 9, 8, 3600000, 0.2);
-- finds: nothing

-- example: much cheaper, but hardly ever run
-- given: evidence
insert into migration_plan_change (
    step, effect, object, change, fingerprint, text, index, is_index_new, cost_before, cost_after, execution_ms_per_day,
    time_share
)
values
(1, 1, 'public.orders_state', 'creates public.orders_state', 'a', 'select 1', 'public.orders_state', true, 320, 8, 100, 0.00001);
-- finds: nothing

-- example: dearer
-- given: evidence
insert into migration_plan_change (
    step, effect, object, change, fingerprint, text, index, cost_before, cost_after, execution_ms_per_day, time_share
)
values
(1, 1, 'public.orders_created', 'drops public.orders_created', 'a', 'select 1', 'public.orders_created', 8, 320, 36000, 0.2);
-- finds: nothing
