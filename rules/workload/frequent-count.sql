-- rule: frequent-count
-- title: A large table is counted again and again
-- severity: warning
-- reads: workload, shape, reference, relation_extent, plan, plan_node
-- message: {calls} calls of {mean_ms} each count rows of {relation} ({table_rows} rows) one by one; keep a count,
--     or show an estimate.
-- fix: -- {advice}
--     {estimate_sql}
-- param: least_rows = 100000 -- fewer are counted in a few milliseconds
-- param: least_calls = 20 -- a count now and then is worth its while
-- param: least_calls_per_day = 24 -- once an hour
-- param: least_ms = 5 -- a faster count has an index that keeps few rows
-- param: least_read_share = 0.05 -- blocks per call against the table's: an index-only scan reads a tenth of them
-- param: saved = 0.5 -- share of the time that a kept count or an estimate is expected to save
-- param: saved_low = 0.2 -- the same, cautiously
-- since: 0.1
--
-- ## Why it matters
-- PostgreSQL keeps no count of a table: which rows exist depends on who looks. So count(*) visits every row or every
-- entry of an index, and takes longer as the table grows, mostly for a number that nobody reads to the last digit.
--
-- ## What to do
-- Show the estimate of the catalog (`reltuples`), or how many pages there are "at least" (`limit 1001` in a subquery),
-- or keep the number in a summary table that is refreshed every minute.
--
-- ## When to leave it
-- Where the exact number matters each time, as in accounting, and the count is run rarely.

with named as (
    select database, fingerprint, relation
    from reference
    union
    -- count(*) uses no column, so the plan has to say which table it reads
    select plan.database, plan.fingerprint, node.relation
    from plan
    join plan_node as node on node.plan = plan.plan
),
counted as (
    select
        named.database,
        named.fingerprint,
        extent.root,
        max(extent.rows) as rows,
        max(extent.pages) as pages
    from named
    join relation_extent as extent
        on extent.database = named.database and extent.relation = named.relation
    group by named.database, named.fingerprint, extent.root
),
found as (
    select
        workload.*,
        counted.root,
        counted.rows as table_rows,
        shape.has_where,
        (workload.blocks_hit + workload.blocks_read)::double / workload.calls as blocks_per_call
    from workload
    join shape on shape.fingerprint = workload.fingerprint
    join counted on counted.database = workload.database and counted.fingerprint = workload.fingerprint
    where workload.kind = 'select'
        and shape.is_count_only
        and shape.relations = 1
        and counted.rows >= $least_rows
        and workload.calls >= $least_calls
        and coalesce(workload.calls_per_day, $least_calls_per_day) >= $least_calls_per_day
        and workload.mean_ms >= $least_ms
        and (
            workload.blocks_hit + workload.blocks_read = 0
            or workload.blocks_hit + workload.blocks_read >= $least_read_share * counted.pages * workload.calls
        )
        -- a count of a condition that reads the table for want of an index is that fault
        and not shape.has_where
)

select
    database,
    'fingerprint:' || fingerprint as subject,
    'fingerprint:' || fingerprint as root,
    fingerprint,
    execution_ms_per_day * $saved as impact_ms_per_day,
    execution_ms_per_day * $saved_low as impact_low_ms_per_day,
    root as relation,
    table_rows,
    calls,
    calls_per_day,
    mean_ms,
    blocks_per_call,
    text,
    'an estimate, as of the last ANALYZE or vacuum:' as advice,
    'select reltuples::bigint from pg_class where oid = ''' || replace(root, '''', '''''') || '''::regclass;'
        as estimate_sql
from found;

-- example: a dashboard counts a large table every minute
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.order_items', 'public.order_items', 'table', 720000, 5000);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations, is_count_only, has_aggregate) values ('a1', 1, true, true);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 100);
insert into plan_node (plan, node_type, relation) values ('a1 1', 'Index Only Scan', 'public.order_items');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 10080, 10080, 403200, 40, 50400000);
-- finds: fingerprint:a1

-- example: a small table, a nightly count, and a count of one customer's orders
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.category', 'public.category', 'table', 400, 4),
    ('public.orders', 'public.orders', 'table', 720000, 5000);
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('b2', 'select'), ('c3', 'select');
insert into shape (fingerprint, relations, is_count_only, has_where) values
    ('a1', 1, true, false), ('b2', 1, true, false), ('c3', 1, true, true);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 100), ('b2 1', 'b2', 100);
insert into plan_node (plan, node_type, relation) values
    ('a1 1', 'Seq Scan', 'public.category'), ('b2 1', 'Seq Scan', 'public.orders');
insert into reference (fingerprint, relation, alias, column_name, role) values
    ('c3', 'public.orders', 'orders', 'customer_id', 'equality');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 100800, 100800, 10080, 0.1, 403200),
    ('b2', 7, 7, 280, 40, 35000),
    ('c3', 100800, 100800, 10080, 0.1, 403200);
-- finds: nothing
