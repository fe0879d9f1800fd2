-- rule: hash-spills-to-disk
-- title: A hash table outgrows its memory and goes to disk
-- severity: warning
-- proof: planned
-- reads: plan, plan_node, setting, workload
-- message: The plan's {what} of {hashed_rows} rows does not fit into {memory_bytes}, and the calls wrote
--     {temp_per_call_bytes} each to temporary files; hash less, or give this statement more memory.
-- fix: {fix_sql}
-- param: least_temp_blocks = 128 -- 1 MB a call: a small spill costs next to nothing
-- param: most_advised_bytes = 1073741824 -- beyond 1 GB memory is no answer
-- param: least_calls = 2 -- once is no workload
-- since: 0.1
--
-- ## Why it matters
-- A hash join whose table does not fit into work_mem × hash_mem_multiplier splits both sides into batches and writes
-- all but the first to temporary files. A hash aggregate does the same with its groups.
--
-- ## What to do
-- Filter before the join, leave out columns that nobody needs (the row's width counts), or give an index to the join
-- so that no hash is needed. Else raise work_mem for this statement alone.
--
-- ## When to leave it
-- For a rare report that nobody waits for.

with memory as (
    select
        max(case when name = 'work_mem' then value_bytes end)
            * coalesce(max(case when name = 'hash_mem_multiplier' then value_number end), 1) as memory_bytes,
        coalesce(max(case when name = 'hash_mem_multiplier' then value_number end), 1) as multiplier
    from setting
),
hash as (
    select
        plan.database,
        plan.fingerprint,
        node.node_type,
        node.plan_rows as hashed_rows,
        coalesce(node.planned_partitions, 0) as planned_partitions,
        -- as the planner counts: the row, its minimal header and the hash table's own; an aggregate's states are
        -- unknown, and its batches fit one by one
        case
            when node.node_type = 'Hash' then node.plan_rows * (ceil(node.width_bytes / 8.0) * 8 + 32)
            else memory.memory_bytes * node.planned_partitions
        end as hash_bytes,
        row_number() over (
            partition by plan.database, plan.fingerprint
            order by node.plan_rows * node.width_bytes desc, node.node
        ) as rank
    from plan
    join plan_node as node on node.plan = plan.plan
    cross join memory
    where node.node_type = 'Hash'
        or (node.node_type = 'Aggregate' and node.strategy in ('Hashed', 'Mixed') and node.planned_partitions > 1)
)

select
    hash.database,
    'fingerprint:' || hash.fingerprint as subject,
    'fingerprint:' || hash.fingerprint as root,
    hash.fingerprint,
    workload.execution_ms_per_day as exposure_ms_per_day,
    hash.node_type,
    case when hash.node_type = 'Hash' then 'hash table' else 'hash aggregate' end as what,
    hash.hashed_rows,
    hash.hash_bytes,
    hash.planned_partitions,
    memory.memory_bytes,
    round(workload.temp_blocks_written * 8192.0 / workload.calls) as temp_per_call_bytes,
    workload.calls,
    workload.calls_per_day,
    workload.mean_ms,
    workload.text,
    case
        when hash.hash_bytes * 1.5 / memory.multiplier <= $most_advised_bytes then
            'set local work_mem = '''
            || ceil(hash.hash_bytes * 1.5 / memory.multiplier / 1048576)::bigint
            || 'MB'';  -- in the transaction of this statement only'
        else '-- hash less: filter before the join, and leave out wide columns'
    end as fix_sql
from hash
cross join memory
join workload on workload.database = hash.database and workload.fingerprint = hash.fingerprint
where hash.rank = 1
    and (hash.hash_bytes > memory.memory_bytes or hash.planned_partitions > 1)
    and workload.calls >= $least_calls
    -- what the calls did, not only what the plan fears
    and workload.temp_blocks_written >= $least_temp_blocks * workload.calls;

-- example: a hash of a million rows in 8 MB
-- given: evidence
insert into setting (name, value_bytes, value_number) values
    ('work_mem', 4194304, null), ('hash_mem_multiplier', null, 2);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms, temp_blocks_written) values
    ('a1', 100, 60000, 600, 900000);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 100);
insert into plan_node (plan, node, node_type, plan_rows, width_bytes) values
    ('a1 1', 0, 'Hash Join', 1000000, 40), ('a1 1', 1, 'Hash', 1000000, 24);
-- finds: fingerprint:a1

-- example: it fits thanks to the multiplier; an aggregate in one batch fits too
-- given: evidence
insert into setting (name, value_bytes, value_number) values
    ('work_mem', 4194304, null), ('hash_mem_multiplier', null, 2);
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('b2', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms, temp_blocks_written) values
    ('a1', 100, 60000, 600, 900000), ('b2', 100, 60000, 600, 900000);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 100), ('b2 1', 'b2', 100);
insert into plan_node (plan, node, node_type, plan_rows, width_bytes, strategy, planned_partitions) values
    ('a1 1', 1, 'Hash', 100000, 24, null, null), ('b2 1', 1, 'Aggregate', 1000000, 24, 'Hashed', 0);
-- finds: nothing

-- example: an aggregate that the planner expects in batches, and one that never wrote a file
-- given: evidence
insert into setting (name, value_bytes, value_number) values
    ('work_mem', 4194304, null), ('hash_mem_multiplier', null, 2);
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('b2', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms, temp_blocks_written) values
    ('a1', 100, 60000, 600, 900000), ('b2', 100, 60000, 600, 0);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 100), ('b2 1', 'b2', 100);
insert into plan_node (plan, node, node_type, plan_rows, width_bytes, strategy, planned_partitions) values
    ('a1 1', 1, 'Aggregate', 1000000, 24, 'Hashed', 8), ('b2 1', 1, 'Aggregate', 1000000, 24, 'Hashed', 8);
-- finds: fingerprint:a1
