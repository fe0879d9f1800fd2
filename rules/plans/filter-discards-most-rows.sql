-- rule: filter-discards-most-rows
-- title: A plan reads a large table and its filter throws nearly all of it away
-- severity: warning
-- proof: planned
-- reads: plan, plan_node, relation_extent, relation_column, statement_filter, reference, workload
-- message: The plan reads {scanned_rows} rows of {relation} by {node_type} and its filter keeps {kept_rows}:
--     {filter}.
-- param: least_rows = 10000 -- fewer are filtered in a few milliseconds
-- param: least_pages = 128 -- 1 MB
-- param: most_share = 0.02 -- of the rows read; where more are kept a scan is about as good as an index
-- param: covered_share = 0.05 -- an index that keeps less than this is one that a statement uses
-- param: most_loops = 5 -- more are a fault of the loop, not of the filter
-- param: least_read_share = 0.3 -- of the table's blocks, per call: real calls have to read what the plan says
-- param: scan_rows_per_ms = 100000 -- no server filters rows faster, so a shorter call read fewer
-- param: least_calls = 10 -- a statement run by hand is no workload …
-- param: least_ms_per_day = 60000 -- … unless it takes a minute a day
-- param: saved = 0.5 -- share of the time spent on rows thrown away that an index is expected to save
-- param: saved_low = 0.2 -- the same, cautiously
-- since: 0.1
--
-- ## Why it matters
-- A row that the filter drops was still read from its page, made visible and compared. The planner expects to drop
-- nearly all of them, and does so because it has no index that leads to the few.
--
-- ## What to do
-- An index on the columns of the filter, those compared for equality first. For `a = $1 or b = $2` one index on each,
-- which a bitmap combines. For a condition that is always the same and keeps few rows (`where not done`), a partial
-- index.
--
-- ## When to leave it
-- When the statement is rare. A generic plan guesses selectivity from averages: for the values that matter it may be
-- wrong.

with scan as (
    select
        plan.database,
        plan.fingerprint,
        plan.plan,
        extent.root,
        min(node.node_type) as node_type,
        min(node.filter) as filter,
        max(extent.rows) as rows,
        max(extent.pages) as pages,
        max(extent.part_pages) as part_pages,
        count(*) as nodes,
        -- a parallel scan's rows are those of one of about three processes
        sum(node.plan_rows * case when node.is_parallel_aware then 3 else 1 end) as kept_rows,
        sum(node.self_cost * node.estimated_loops) / max(nullif(plan.total_cost, 0)) as cost_share
    from plan
    join plan_node as node on node.plan = plan.plan
    join relation_extent as extent on extent.database = plan.database and extent.relation = node.relation
    where node.node_type = 'Seq Scan'
        and node.filter is not null
        and not contains(node.filter, 'SubPlan')
        -- read again and again: nested-loop-over-scan
        and node.estimated_loops < $most_loops
    group by plan.database, plan.fingerprint, plan.plan, extent.root
),
-- what has a rule of its own: patterns, functions and casts around columns
explained as (
    select distinct reference.database, reference.fingerprint, extent.root
    from reference
    join relation_extent as extent
        on extent.database = reference.database and extent.relation = reference.relation
    where reference.role in ('pattern', 'not_in_subquery')
        or (reference.clause > 0 and (reference.expression is not null or reference.cast_type is not null))
),
-- an index there is or could be, if it keeps little: the root is shared with missing-index
lead as (
    select
        database,
        fingerprint,
        root,
        key,
        index,
        index_share,
        own_share,
        row_number() over (
            partition by database, fingerprint, root
            order by case when kind = 'range' then 1 else 0 end, share nulls last, key
        ) as place
    from statement_filter
    where kind <> 'join'
),
-- conditions that no B-tree answers: the few rows may be their doing
other_condition as (
    select distinct database, fingerprint
    from reference
    where is_disjunct
        or role in ('pattern', 'null_test', 'in_subquery', 'not_in_subquery')
        or (role = 'other' and clause > 0)
),
-- an implicit cast, which cast-hides-index explains
converted as (
    select distinct scan.plan, scan.root
    from scan
    join relation_column as col
        on col.database = scan.database
        and col.relation = scan.root
        and col.base_type in ('int2', 'int4', 'int8', 'numeric', 'bpchar')
        and (
            contains(scan.filter, '(' || col.column_name || ')::numeric')
            or contains(scan.filter, '.' || col.column_name || ')::numeric')
            or contains(scan.filter, '(' || col.column_name || ')::double')
            or contains(scan.filter, '.' || col.column_name || ')::double')
            or contains(scan.filter, '(' || col.column_name || ')::text')
        )
),
judged as (
    select
        scan.*,
        case
            when other_condition.fingerprint is null or lead.own_share <= $covered_share then lead.key
        end as leading_key,
        workload.calls,
        workload.calls_per_day,
        workload.mean_ms,
        workload.rows_per_call,
        workload.execution_ms_per_day,
        workload.text,
        (workload.blocks_hit + workload.blocks_read)::double / workload.calls as blocks_per_call,
        row_number() over (
            partition by scan.database, scan.fingerprint order by scan.cost_share desc nulls last, scan.root
        ) as rank
    from scan
    join workload on workload.database = scan.database and workload.fingerprint = scan.fingerprint
    left join lead
        on lead.database = scan.database
        and lead.fingerprint = scan.fingerprint
        and lead.root = scan.root
        and lead.place = 1
    left join other_condition
        on other_condition.database = scan.database and other_condition.fingerprint = scan.fingerprint
    left join explained
        on explained.database = scan.database
        and explained.fingerprint = scan.fingerprint
        and explained.root = scan.root
    left join converted on converted.plan = scan.plan and converted.root = scan.root
    where explained.root is null
        and converted.root is null
        and workload.kind in ('select', 'insert', 'update', 'delete', 'merge')
        and (workload.calls >= $least_calls or workload.execution_ms_per_day >= $least_ms_per_day)
        and scan.rows >= $least_rows
        and scan.pages >= $least_pages
        and scan.kept_rows <= $most_share * scan.rows
        -- where an index would do, the real calls have used it for the values they had
        and (lead.index is null or lead.index_share > $covered_share)
        and (
            workload.blocks_hit + workload.blocks_read = 0
            or workload.blocks_hit + workload.blocks_read >= $least_read_share * scan.part_pages * workload.calls
        )
        and workload.mean_ms >= scan.rows * scan.part_pages / scan.pages / $scan_rows_per_ms
)

select
    database,
    'fingerprint:' || fingerprint as subject,
    case
        when leading_key is not null then root || ' (' || leading_key || ')'
        else 'fingerprint:' || fingerprint
    end as root,
    fingerprint,
    execution_ms_per_day * least(1, cost_share) * (1 - kept_rows / rows) * $saved as impact_ms_per_day,
    execution_ms_per_day * least(1, cost_share) * (1 - kept_rows / rows) * $saved_low as impact_low_ms_per_day,
    root as relation,
    node_type,
    filter,
    rows as scanned_rows,
    kept_rows,
    cost_share,
    calls,
    calls_per_day,
    mean_ms,
    rows_per_call,
    blocks_per_call,
    text
from judged
where rank = 1;

-- example: either of two columns, of which none has an index
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'table', 1000000, 10000);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 20000, 60000, 60, 10000000);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 100);
insert into plan_node (plan, node_type, relation, filter, plan_rows, self_cost, estimated_loops) values
    ('a1 1', 'Seq Scan', 'public.orders', '((customer_id = $1) OR (coupon = $2))', 40, 100, 1);
-- finds: fingerprint:a1

-- example: a filter that keeps a third is no fault of the plan
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'table', 1000000, 10000);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 20000, 60000, 60, 10000000);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 100);
insert into plan_node (plan, node_type, relation, filter, plan_rows, self_cost, estimated_loops) values
    ('a1 1', 'Seq Scan', 'public.orders', '(created_at > $1)', 333333, 100, 1);
-- finds: nothing

-- example: the generic plan scans, but the calls read next to nothing: they had another plan
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'table', 1000000, 10000);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 20000, 60000, 60, 9000);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 100);
insert into plan_node (plan, node_type, relation, filter, plan_rows, self_cost, estimated_loops) values
    ('a1 1', 'Seq Scan', 'public.orders', '(state = $1)', 40, 100, 1);
-- finds: nothing

-- example: a small table, and a function around a column, which has its own rule
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.category', 'public.category', 'table', 400, 4),
    ('public.users', 'public.users', 'table', 1000000, 10000);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator, expression) values
    ('b2', 'public.users', 'u', 1, 'email', 'equality', '=', 'lower(email)');
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('b2', 'select');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 100000, 100000, 6000, 0.06, 400000), ('b2', 1000, 1000, 60000, 60, 10000000);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 100), ('b2 1', 'b2', 100);
insert into plan_node (plan, node_type, relation, filter, plan_rows, self_cost, estimated_loops) values
    ('a1 1', 'Seq Scan', 'public.category', '(name = $1)', 1, 100, 1),
    ('b2 1', 'Seq Scan', 'public.users', '(lower(email) = $1)', 5000, 100, 1);
-- finds: nothing
