-- rule: statements-plan-dearer
-- title: Captured statements plan dearer
-- severity: warning
-- proof: planned
-- reads: migration_plan_change
-- message: This {change}: {statements}, {execution_ms_per_day} today ({time_share} of the captured time), {get}
--     {factor}× dearer.{lost}{caution}
-- param: min_factor = 1.5 -- the planner's cost is an estimate: less may not be felt
-- param: min_share = 0.01 -- of the captured time, as time that comes on top: below it nobody notices
-- param: min_ms_per_day = 60000 -- a minute a day on top is worth a look on the busiest server, too
-- since: 0.1
--
-- ## Why it matters
-- The statements that the server runs today were planned in the lab, with the server's own statistics and sizes, before
-- the migration and after it. They plan worse: an index that they use goes, a type no longer fits a condition. On the
-- server they get slower with the migration, all at once.
--
-- ## What to do
-- Keep the index, or make the one that replaces it before this one goes. `--format json` names the statements, their
-- costs and the index that their plans lost. `queryfit advise` finds the index that serves them best.
--
-- ## When to leave it
-- The statements go with the same release, or they are worth less than what the index costs every write. The lab plans
-- as a role that row security binds: where a policy changes, statements of roles that bypass it stay as they are.

select
    change.step,
    change.effect,
    change.object as subject,
    change.change,
    case when count(*) = 1 then '1 statement' else count(*) || ' statements' end as statements,
    case when count(*) = 1 then 'gets' else 'get' end as get,
    sum(change.execution_ms_per_day) as execution_ms_per_day,
    sum(change.time_share) as time_share,
    sum(change.time_share * change.cost_after / change.cost_before) / sum(change.time_share) as factor,
    sum(change.execution_ms_per_day * (change.cost_after / change.cost_before - 1)) as added_ms_per_day,
    case when max(change.index) filter (not change.is_index_new) is not null
        and max(change.index) filter (not change.is_index_new) <> change.object
        then case when count(*) = 1 then ' Its plan loses ' else ' Their plans lose ' end || max(change.index) filter (not change.is_index_new) || '.' else '' end as lost,
    case when min(change.window_s) < 3600 then ' The counters cover less than an hour.' else '' end as caution,
    arg_max(change.text, change.time_share * change.cost_after / change.cost_before) as worst_statement,
    string_agg(change.fingerprint, ', ' order by change.time_share desc, change.fingerprint) as fingerprints
from migration_plan_change as change
where
    change.error is null and change.cost_before > 0 and change.time_share > 0
    and change.cost_after / change.cost_before >= $min_factor
group by change.step, change.effect, change.object, change.change
having
    sum(change.execution_ms_per_day * (change.cost_after / change.cost_before - 1)) >= $min_ms_per_day
    or sum(change.time_share * (change.cost_after / change.cost_before - 1)) >= $min_share;

-- example: an index goes that three statements live on
-- given: evidence
insert into migration_plan_change (
    step, effect, object, change, fingerprint, text, index, cost_before, cost_after, execution_ms_per_day, time_share
)
values
(1, 1, 'public.orders_created', 'drops public.orders_created', 'a', 'select 1', 'public.orders_created', 8, 320, 3600000, 0.2),
(1, 1, 'public.orders_created', 'drops public.orders_created', 'b', 'select 2', 'public.orders_created', 8, 320, 3600000, 0.2),
(1, 1, 'public.orders_created', 'drops public.orders_created', 'c', 'select 3', 'public.orders_created', 8, 320, 360000, 0.02);
-- finds: public.orders_created

-- example: another index does nearly as well
-- given: evidence
insert into migration_plan_change (
    step, effect, object, change, fingerprint, text, index, cost_before, cost_after, execution_ms_per_day, time_share
)
values
(1, 1, 'public.orders_created', 'drops public.orders_created', 'a', 'select 1', 'public.orders_created', 8, 9.5, 3600000, 0.2);
-- finds: nothing

-- example: much dearer, but hardly ever run
-- given: evidence
insert into migration_plan_change (
    step, effect, object, change, fingerprint, text, index, cost_before, cost_after, execution_ms_per_day, time_share
)
values
(1, 1, 'public.orders_created', 'drops public.orders_created', 'a', 'select 1', 'public.orders_created', 8, 320, 100, 0.00001);
-- finds: nothing

-- example: hardly ever run, but a thousand times dearer
-- given: evidence
insert into migration_plan_change (
    step, effect, object, change, fingerprint, text, index, cost_before, cost_after, execution_ms_per_day, time_share
)
values
(1, 1, 'public.orders_created', 'drops public.orders_created', 'a', 'select 1', 'public.orders_created', 8, 8000, 100, 0.00001);
-- finds: public.orders_created

-- example: a window that is not known
-- given: evidence
insert into migration_plan_change (
    step, effect, object, change, fingerprint, text, index, cost_before, cost_after, time_share
)
values
(1, 1, 'public.orders_created', 'drops public.orders_created', 'a', 'select 1', 'public.orders_created', 8, 320, 0.2);
-- finds: public.orders_created

-- example: cheaper
-- given: evidence
insert into migration_plan_change (
    step, effect, object, change, fingerprint, text, index, is_index_new, cost_before, cost_after, execution_ms_per_day,
    time_share
)
values
(1, 1, 'public.orders_state', 'creates public.orders_state', 'a', 'select 1', 'public.orders_state', true, 320, 8, 3600000, 0.2);
-- finds: nothing

-- example: one that fails has a rule of its own
-- given: evidence
insert into migration_plan_change (
    step, effect, object, change, fingerprint, text, cost_before, error, execution_ms_per_day, time_share
)
values
(1, 1, 'public.orders.note', 'drops public.orders.note', 'a', 'select 1', 8, 'column "note" does not exist', 3600000, 0.2);
-- finds: nothing
