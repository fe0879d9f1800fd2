-- rule: jit-on-short-queries
-- title: JIT compiles statements that are over before it pays
-- severity: warning
-- reads: workload, setting
-- message: JIT takes {jit_share} of a statement of {mean_ms} ({jit_per_call_ms} a call); raise jit_above_cost
--     ({jit_above_cost}) or switch JIT off for short queries.
-- fix: alter system set jit_above_cost = {better_cost};
--     select pg_reload_conf();
-- undo: alter system reset jit_above_cost;
--     select pg_reload_conf();
-- param: least_calls = 20 -- fewer say nothing
-- param: least_share = 0.25 -- of the execution: below it JIT may win back what it costs
-- param: most_mean_ms = 2000 -- longer statements are what JIT is for
-- param: least_jit_ms = 5 -- a call
-- param: low_share = 0.5 -- of the saving: code that was compiled ran a little faster
-- since: 0.1
--
-- ## Why it matters
-- JIT compiles expressions to machine code once a plan costs more than jit_above_cost. The planner's costs say little
-- about the number of rows that really come, and the code is compiled anew for each call and each partition, so short
-- statements spend more on the compiler than on their rows.
--
-- ## What to do
-- Raise jit_above_cost tenfold, or set `jit = off` and switch it on for the roles that run reports. Both take effect
-- without a restart.
--
-- ## When to leave it
-- On a warehouse whose long queries gain more than the short ones lose.

with cost as (
    select
        max(case when name = 'jit_above_cost' then value_number end) as jit_above_cost,
        bool_or(name = 'jit' and value = 'off') as is_off
    from setting
)

select
    workload.database,
    'jit_above_cost' as subject,
    workload.fingerprint,
    workload.execution_ms_per_day * workload.jit_ms / workload.execution_ms as impact_ms_per_day,
    workload.execution_ms_per_day * workload.jit_ms / workload.execution_ms * $low_share as impact_low_ms_per_day,
    workload.jit_ms / workload.execution_ms as jit_share,
    workload.jit_ms / workload.calls as jit_per_call_ms,
    cost.jit_above_cost,
    greatest(coalesce(cost.jit_above_cost, 100000) * 10, 1000000)::bigint::varchar as better_cost,
    workload.calls,
    workload.calls_per_day,
    workload.mean_ms,
    workload.rows_per_call,
    workload.text
from workload
cross join cost
where workload.kind in ('select', 'insert', 'update', 'delete', 'merge')
    and not coalesce(cost.is_off, false)
    and workload.calls >= $least_calls
    and workload.mean_ms <= $most_mean_ms
    and workload.jit_ms >= $least_share * workload.execution_ms
    and workload.jit_ms >= $least_jit_ms * workload.calls;

-- example: a hundred milliseconds of compiler for thirty of rows
-- given: evidence
insert into setting (name, value, value_number) values ('jit_above_cost', '100000', 100000), ('jit', 'on', null);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms, jit_ms) values ('a1', 1000, 130000, 130, 100000);
-- finds: jit_above_cost

-- example: a long report of which JIT takes little
-- given: evidence
insert into setting (name, value, value_number) values ('jit_above_cost', '100000', 100000);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms, jit_ms) values ('a1', 1000, 30000000, 30000, 300000);
-- finds: nothing

-- example: JIT was switched off meanwhile
-- given: evidence
insert into setting (name, value) values ('jit', 'off');
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms, jit_ms) values ('a1', 1000, 130000, 130, 100000);
-- finds: nothing
