-- rule: statements-fail-after-migration
-- title: Captured statements fail after the migration
-- severity: error
-- proof: planned
-- reads: migration_plan_change
-- message: This {change}: {statements}, called {calls_per_day}, {execution_ms_per_day} today, {fail} after this
--     migration: {error}.{caution}
-- since: 0.1
--
-- ## Why it matters
-- The statements that the server runs today were planned in the lab before the migration and after it. After it
-- PostgreSQL refuses them: what they name is gone, or no longer fits. Clients that are still of the old release get
-- errors from the moment of the migration on.
--
-- ## What to do
-- Expand, then contract: add what is new, release clients that use it, see in a new capture that nobody runs the old
-- statements, and only then take away what they need. A rename can leave a view of the old name behind.
--
-- ## When to leave it
-- No client runs these statements any more: the capture counts them from before the release that left them out. Reset
-- the counters (`pg_stat_statements_reset()`) or take the capture of a window after it.

select
    change.step,
    change.effect,
    change.object as subject,
    change.change,
    case when count(*) = 1 then '1 statement' else count(*) || ' statements' end as statements,
    case when count(*) = 1 then 'fails' else 'fail' end as fail,
    sum(change.calls_per_day) as calls_per_day,
    sum(change.execution_ms_per_day) as execution_ms_per_day,
    sum(change.time_share) as time_share,
    arg_max(change.error, change.time_share) as error,
    case when min(change.window_s) < 3600 then ' The counters cover less than an hour.' else '' end as caution,
    arg_max(change.text, change.time_share) as worst_statement,
    string_agg(change.fingerprint, ', ' order by change.time_share desc, change.fingerprint) as fingerprints
from migration_plan_change as change
where change.error is not null
group by change.step, change.effect, change.object, change.change;

-- example: a column goes that statements read
-- given: evidence
insert into migration_plan_change (
    step, effect, object, change, fingerprint, text, cost_before, error, calls_per_day, execution_ms_per_day, time_share
)
values
(1, 1, 'public.orders.note', 'drops public.orders.note', 'a', 'select 1', 8, 'column "note" does not exist', 10, 36000, 0.2),
(1, 1, 'public.orders.note', 'drops public.orders.note', 'b', 'select 2', 8, 'column "note" does not exist', 10, 360, 0.1);
-- finds: public.orders.note

-- example: dearer is not refused
-- given: evidence
insert into migration_plan_change (
    step, effect, object, change, fingerprint, text, index, cost_before, cost_after, execution_ms_per_day, time_share
)
values
(1, 1, 'public.orders_created', 'drops public.orders_created', 'a', 'select 1', 'public.orders_created', 8, 320, 36000, 0.2);
-- finds: nothing
