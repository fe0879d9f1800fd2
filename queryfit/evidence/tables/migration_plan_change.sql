-- A captured statement whose plan costs something else once the migrations have run, or that cannot be planned any more;
-- one row a statement, at the migration's statement that made the largest difference. Only with --against and a lab.
-- source: the lab of the capture, before and after the migrations
-- capture: migration
create table migration_plan_change (
    step integer not null,                      -- migration_step.step that made the difference
    effect integer,                             -- migration_effect.effect of it; null: the statement as a whole
    object varchar not null,                    -- what that changes: an index, a column, a relation, as SQL needs it
    change varchar not null,                    -- what it does to it, in words: drops public.orders_created_idx
    fingerprint varchar not null,               -- statement_text.fingerprint
    text varchar not null,                      -- beginning of the statement
    index varchar,                              -- index that the plan lost, or else the one that it gained
    is_index_new boolean not null,              -- the plan gained it
    cost_before double not null,                -- planner cost of a call, mean over generic and representative values
    cost_after double,                          -- likewise; null: the statement fails
    error varchar,                              -- why it fails, as PostgreSQL says; null: it does not
    calls_per_day double,                       -- null when the window of the counters is unknown
    execution_ms_per_day double,                -- today; null when the window is unknown
    window_s double,                            -- seconds that the counters of the statement cover; null when unknown
    time_share double not null                  -- share of the execution time of all captured statements, 0 to 1
);
