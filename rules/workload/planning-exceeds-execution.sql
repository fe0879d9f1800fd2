-- rule: planning-exceeds-execution
-- title: A statement takes longer to plan than to run
-- severity: warning
-- reads: workload
-- message: {calls} calls take {planning_per_plan_ms} to plan and {mean_ms} to run; prepare the statement once a
--     session, or cut what the planner has to look at.
-- param: least_plans = 100 -- fewer say nothing, and the first of a session fills its caches
-- param: least_planning_ms = 1 -- below this the round trip costs more
-- param: least_ratio = 1 -- planning over execution
-- param: saved = 0.8 -- share of the planning that a prepared statement saves after its first five calls
-- param: saved_low = 0.3 -- the same, cautiously
-- since: 0.1
--
-- ## Why it matters
-- Every call of an unprepared statement is planned anew. Where the plan takes longer than the rows, most of the time
-- goes into finding out how: many partitions, many joins (the search grows steeply up to join_collapse_limit), many
-- indexes on one table, or a large statistics target.
--
-- ## What to do
-- Use prepared statements (drivers do so after some calls; PgBouncer from 1.21 lets them through), let the condition
-- name the partition key so that partitions are pruned early, and drop indexes that nobody uses.
--
-- ## When to leave it
-- When a generic plan would be much slower than one made for the values at hand.

select
    database,
    'fingerprint:' || fingerprint as subject,
    'fingerprint:' || fingerprint as root,
    fingerprint,
    planning_ms / calls * calls_per_day * $saved as impact_ms_per_day,
    planning_ms / calls * calls_per_day * $saved_low as impact_low_ms_per_day,
    calls,
    calls_per_day,
    plans,
    planning_ms / plans as planning_per_plan_ms,
    mean_ms,
    planning_ms / nullif(execution_ms, 0) as planning_ratio,
    text
from workload
where kind in ('select', 'insert', 'update', 'delete', 'merge')
    and plans >= $least_plans
    and planning_ms >= $least_planning_ms * plans
    and planning_ms >= $least_ratio * execution_ms;

-- example: a lookup in a table of a thousand partitions
-- given: evidence
insert into statement_store (extension_version, tracks_planning) values ('1.12', true);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, plans, planning_ms, execution_ms, mean_ms) values
    ('a1', 100000, 100000, 900000, 50000, 0.5);
-- finds: fingerprint:a1

-- example: a quick plan for a quicker lookup, and a statement that is prepared
-- given: evidence
insert into statement_store (extension_version, tracks_planning) values ('1.12', true);
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('b2', 'select');
insert into statement (fingerprint, calls, plans, planning_ms, execution_ms, mean_ms) values
    ('a1', 100000, 100000, 5000, 3000, 0.03), ('b2', 100000, 40, 400, 50000, 0.5);
-- finds: nothing

-- example: planning is not tracked, so its zero means nothing
-- given: evidence
insert into statement_store (extension_version, tracks_planning) values ('1.12', false);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, plans, planning_ms, execution_ms, mean_ms) values
    ('a1', 100000, 0, 0, 50000, 0.5);
-- finds: nothing
