-- rule: nested-loop-over-scan
-- title: A nested loop reads a large table whole, again and again
-- severity: warning
-- proof: planned
-- reads: plan, plan_node, relation_extent, statement_filter, workload
-- message: One call ({mean_ms}) reads the {table_rows} rows of {relation} {scans_per_call} times, once for each row
--     of a nested loop; give the inner side an index, or write a join that can be hashed.
-- param: least_rows = 10000 -- a smaller table is read again in no time
-- param: least_pages = 128 -- 1 MB
-- param: least_loops = 5 -- the planner's guess has to be clear
-- param: least_reads = 2 -- blocks per call over the table's: real calls read it more than once
-- param: least_calls = 2 -- once is no workload
-- param: saved = 0.5 -- share of the scans' time that is expected to be saved
-- param: saved_low = 0.2 -- the same, cautiously
-- since: 0.1
--
-- ## Why it matters
-- The inner side of a nested loop runs once for every row of the outer side, and a subquery that refers to the row
-- outside once for every row there. If that is a scan of a large table, the time is the product of both. No hash join
-- was possible: the condition is no equality, or the subquery hides it.
--
-- ## What to do
-- An index on the inner table's side of the condition turns each scan into a lookup. Or write the subquery as a join
-- or an aggregate, so that the table is read once and hashed.
--
-- ## When to leave it
-- When the outer side really has a row or two, and the planner only fears more.

with scan as (
    select
        plan.database,
        plan.fingerprint,
        extent.root,
        extent.rows as table_rows,
        extent.pages,
        extent.part_pages,
        node.filter,
        node.parent_relationship,
        node.estimated_loops as loops,
        node.self_cost * node.estimated_loops / nullif(plan.total_cost, 0) as cost_share,
        row_number() over (
            partition by plan.database, plan.fingerprint
            order by node.self_cost * node.estimated_loops desc, node.node
        ) as rank
    from plan
    join plan_node as node on node.plan = plan.plan
    join relation_extent as extent on extent.database = plan.database and extent.relation = node.relation
    where node.node_type = 'Seq Scan'
        and node.estimated_loops >= $least_loops
        and extent.rows >= $least_rows
        and extent.part_pages >= $least_pages
),
-- a join condition without index: the cure is an index, so the root is missing-index's
unindexed as (
    select database, fingerprint, root, min(key) as key
    from statement_filter
    where kind = 'join' and join_index is null
    group by database, fingerprint, root
)

select
    scan.database,
    'fingerprint:' || scan.fingerprint as subject,
    case
        when unindexed.key is not null then scan.root || ' (' || unindexed.key || ')'
        else 'fingerprint:' || scan.fingerprint
    end as root,
    scan.fingerprint,
    workload.execution_ms_per_day * least(1, scan.cost_share) * $saved as impact_ms_per_day,
    workload.execution_ms_per_day * least(1, scan.cost_share) * $saved_low as impact_low_ms_per_day,
    scan.root as relation,
    scan.table_rows,
    -- as the calls' blocks show; else as the planner expects
    case
        when workload.blocks_hit + workload.blocks_read > 0 then
            round((workload.blocks_hit + workload.blocks_read)::double / workload.calls / scan.part_pages, 1)
        else scan.loops
    end as scans_per_call,
    scan.loops as expected_loops,
    scan.cost_share,
    scan.filter,
    workload.calls,
    workload.calls_per_day,
    workload.mean_ms,
    workload.rows_per_call,
    (workload.blocks_hit + workload.blocks_read)::double / workload.calls as blocks_per_call,
    workload.text
from scan
join workload on workload.database = scan.database and workload.fingerprint = scan.fingerprint
left join unindexed
    on unindexed.database = scan.database
    and unindexed.fingerprint = scan.fingerprint
    and unindexed.root = scan.root
where scan.rank = 1
    and workload.calls >= $least_calls
    and workload.kind in ('select', 'insert', 'update', 'delete', 'merge')
    and (
        workload.blocks_hit + workload.blocks_read = 0
        or workload.blocks_hit + workload.blocks_read >= $least_reads * scan.part_pages * workload.calls
    );

-- example: a correlated subquery scans a large table for each of fifty rows
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.price', 'public.price', 'table', 500000, 4000);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 100, 200000, 2000, 20000000);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 500000);
insert into plan_node (plan, node, parent, node_type, parent_relationship, relation, self_cost, estimated_loops) values
    ('a1 1', 0, null, 'Seq Scan', null, 'public.few', 10, 1),
    ('a1 1', 1, 0, 'Seq Scan', 'SubPlan', 'public.price', 9000, 50);
-- finds: fingerprint:a1

-- example: a small inner table, and one that is read once
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.country', 'public.country', 'table', 250, 4), ('public.price', 'public.price', 'table', 500000, 4000);
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('b2', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 100, 200, 2, 20000), ('b2', 100, 20000, 200, 400000);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 5000), ('b2 1', 'b2', 9000);
insert into plan_node (plan, node, parent, node_type, parent_relationship, relation, self_cost, estimated_loops) values
    ('a1 1', 1, 0, 'Seq Scan', 'Inner', 'public.country', 9, 50),
    ('b2 1', 1, 0, 'Seq Scan', 'Inner', 'public.price', 9000, 1);
-- finds: nothing

-- example: the planner fears many rows outside, but the calls read the table at most once
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.price', 'public.price', 'table', 500000, 4000);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 100, 6000, 60, 400000);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 500000);
insert into plan_node (plan, node, parent, node_type, parent_relationship, relation, self_cost, estimated_loops) values
    ('a1 1', 1, 0, 'Seq Scan', 'Inner', 'public.price', 9000, 50);
-- finds: nothing
