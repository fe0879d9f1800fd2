-- Nodes of plans.
-- source: plan.document, read by queryfit.plans
-- capture: full
create table plan_node (
    plan varchar not null,                      -- plan.plan
    node integer not null,                      -- number in order of appearance, 0 is the top
    parent integer,                             -- node above; null for the top
    depth integer not null,                     -- 0 for the top
    node_type varchar not null,                 -- Seq Scan, Nested Loop …
    parent_relationship varchar,                -- Outer, Inner, SubPlan, InitPlan, Member …
    subplan_name varchar,                       -- SubPlan 1, CTE x
    relation varchar,                           -- schema.name of the scanned relation
    alias varchar,                              -- its alias
    index varchar,                              -- index used, unqualified as EXPLAIN prints it
    join_type varchar,                          -- Inner, Left, Semi, Anti …
    startup_cost double not null,               -- cost before the first row
    total_cost double not null,                 -- cost of one loop
    self_cost double not null,                  -- total_cost less what the children cost over their loops
    plan_rows double not null,                  -- rows expected per loop
    width_bytes integer not null,               -- average row width
    estimated_loops double not null,            -- how often the planner expects it to run: outer rows for the inner side of a nested loop, else 1
    condition varchar,                          -- index condition, or hash or merge condition
    filter varchar,                             -- Filter or Join Filter
    sort_key varchar,                           -- sort keys, as one text
    strategy varchar,                           -- of an aggregate or set operation: Plain, Sorted, Hashed
    planned_partitions integer,                 -- hash aggregate batches expected
    is_parallel_aware boolean not null,         -- the node shares its work among workers
    workers_planned integer,                    -- of a Gather
    subplans_removed integer,                   -- partitions pruned at executor start
    is_disabled boolean not null,               -- disabled by an enable_ setting yet used
    actual_rows double,                         -- per loop; null when not run
    actual_loops double,                        -- null when not run
    actual_total_ms double,                     -- per loop; null when not run
    self_ms double,                             -- own wall-clock time over all loops, parallel workers averaged: all nodes add up to the execution; null when not run
    rows_removed double,                        -- by filter, per loop; null when not run
    temp_blocks_written bigint                  -- 8 kB blocks, its own without its children's; null when not run or without BUFFERS
);
