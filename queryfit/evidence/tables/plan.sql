-- Plans as the planner made them, one row a plan.
-- source: EXPLAIN (GENERIC_PLAN) or EXPLAIN EXECUTE with a forced generic plan
-- capture: full
create table plan (
    plan varchar not null,                      -- key: fingerprint, database and a number
    database varchar not null,                  -- database it was planned in
    fingerprint varchar not null,               -- statement_text.fingerprint
    origin varchar not null,                    -- generic_plan, forced_generic, custom, file, auto_explain
    total_cost double not null,                 -- planner's cost units
    plan_rows double not null,                  -- rows expected from the top node
    execution_ms double,                        -- measured, null for a plan that was not run
    document varchar not null                   -- the plan as JSON
);
