-- rule: sort-spills-to-disk
-- title: A sort outgrows work_mem and goes to disk
-- severity: warning
-- proof: planned
-- reads: plan, plan_node, setting, workload
-- message: The plan sorts {sorted_rows} rows, {sort_bytes}, with {work_mem_bytes} of work_mem, and the calls wrote
--     {temp_per_call_bytes} each to temporary files; sort less, or give this statement more memory.
-- fix: {fix_sql}
-- param: least_temp_blocks = 128 -- 1 MB a call: a small spill costs next to nothing
-- param: most_advised_bytes = 1073741824 -- beyond 1 GB memory is no answer
-- param: least_calls = 2 -- once is no workload
-- since: 0.1
--
-- ## Why it matters
-- A sort that does not fit writes its runs to temporary files and merges them from there. Each row is written and read
-- at least once more, on the disk that everybody shares.
--
-- ## What to do
-- Best, sort less: an index that has the order, a condition or an aggregate before the sort, no wide columns through
-- it. Else raise work_mem for this statement alone (`set local` in its transaction) or for the role that runs it.
--
-- ## When to leave it
-- For a rare report that nobody waits for. Raising work_mem for the whole server multiplies by sessions and by sorts.

with memory as (
    select max(value_bytes) as work_mem_bytes
    from setting
    where name = 'work_mem'
),
sort as (
    select
        plan.database,
        plan.fingerprint,
        node.sort_key,
        -- as the planner counts: the row and its header, both aligned to 8 bytes
        node.plan_rows * (ceil(node.width_bytes / 8.0) * 8 + 24) as sort_bytes,
        node.plan_rows as sorted_rows,
        row_number() over (
            partition by plan.database, plan.fingerprint
            order by node.plan_rows * node.width_bytes desc, node.node
        ) as rank
    from plan
    join plan_node as node on node.plan = plan.plan
    left join plan_node as above on above.plan = node.plan and above.node = node.parent
    left join plan_node as top on top.plan = above.plan and top.node = above.parent
    where node.node_type = 'Sort'
        -- below a LIMIT only the first rows are kept
        and coalesce(above.node_type, '') <> 'Limit'
        and not (coalesce(above.node_type, '') in ('Gather Merge', 'Unique') and coalesce(top.node_type, '') = 'Limit')
)

select
    sort.database,
    'fingerprint:' || sort.fingerprint as subject,
    'fingerprint:' || sort.fingerprint as root,
    sort.fingerprint,
    workload.execution_ms_per_day as exposure_ms_per_day,
    sort.sorted_rows,
    sort.sort_bytes,
    sort.sort_key,
    memory.work_mem_bytes,
    round(workload.temp_blocks_written * 8192.0 / workload.calls) as temp_per_call_bytes,
    workload.calls,
    workload.calls_per_day,
    workload.mean_ms,
    workload.text,
    case
        when sort.sort_bytes * 1.5 <= $most_advised_bytes then
            'set local work_mem = ''' || ceil(sort.sort_bytes * 1.5 / 1048576)::bigint
            || 'MB'';  -- in the transaction of this statement only'
        else '-- sort less: an index in the order of ' || coalesce(sort.sort_key, 'the sort') || ', or fewer rows'
    end as fix_sql
from sort
cross join memory
join workload on workload.database = sort.database and workload.fingerprint = sort.fingerprint
where sort.rank = 1
    and sort.sort_bytes > memory.work_mem_bytes
    and workload.calls >= $least_calls
    -- what the calls did, not only what the plan fears
    and workload.temp_blocks_written >= $least_temp_blocks * workload.calls;

-- example: a report sorts 720,000 rows in 4 MB
-- given: evidence
insert into setting (name, value_bytes) values ('work_mem', 4194304);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms, temp_blocks_written) values
    ('a1', 100, 60000, 600, 200000);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 100);
insert into plan_node (plan, node, parent, node_type, plan_rows, width_bytes, sort_key) values
    ('a1 1', 0, null, 'WindowAgg', 720000, 24, null), ('a1 1', 1, 0, 'Sort', 720000, 16, 'order_id, unit_price DESC');
-- finds: fingerprint:a1

-- example: below a LIMIT only the first rows are kept in memory
-- given: evidence
insert into setting (name, value_bytes) values ('work_mem', 4194304);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms, temp_blocks_written) values
    ('a1', 100, 60000, 600, 200000);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 100);
insert into plan_node (plan, node, parent, node_type, plan_rows, width_bytes) values
    ('a1 1', 0, null, 'Limit', 20, 24), ('a1 1', 1, 0, 'Sort', 720000, 16);
-- finds: nothing

-- example: the planner expects more rows than came: nothing was written
-- given: evidence
insert into setting (name, value_bytes) values ('work_mem', 4194304);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms, temp_blocks_written) values
    ('a1', 100, 60000, 600, 0);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 100);
insert into plan_node (plan, node, node_type, plan_rows, width_bytes) values ('a1 1', 0, 'Sort', 720000, 16);
-- finds: nothing

-- example: it fits
-- given: evidence
insert into setting (name, value_bytes) values ('work_mem', 4194304);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms, temp_blocks_written) values
    ('a1', 100, 60000, 600, 200000);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 100);
insert into plan_node (plan, node, node_type, plan_rows, width_bytes) values ('a1 1', 0, 'Sort', 50000, 16);
-- finds: nothing
