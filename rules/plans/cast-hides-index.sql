-- rule: cast-hides-index
-- title: An implicit cast of an indexed column keeps its index from being used
-- severity: warning
-- proof: planned
-- reads: plan, plan_node, relation_extent, relation_column, relation_index, index_column, reference, workload
-- message: The plan compares {relation}.{column_name} ({column_type}) as {cast_type}, so {index} cannot be used and
--     {calls} calls of {mean_ms} read the table; pass the value as {column_type}.
-- fix: -- the value, not the column, has to change its type: … where {column_name} = $1::{column_type}
--     -- in the application: bind {column_type}, not {cast_type}
-- param: least_rows = 10000 -- a smaller table is read in a few milliseconds
-- param: least_pages = 128 -- 1 MB
-- param: least_read_share = 0.3 -- of the table's blocks, per call: real calls have to read what the plan says
-- param: least_calls = 10 -- a statement run by hand is no workload …
-- param: least_ms_per_day = 60000 -- … unless it takes a minute a day
-- param: saved = 0.5 -- share of the time that the index is expected to save
-- param: saved_low = 0.2 -- the same, cautiously
-- since: 0.1
--
-- ## Why it matters
-- If a value has another type than the column, one of the two is converted, and where the value's type is the wider
-- one (a decimal against a bigint) it is the column. The index holds bigints: it knows nothing of their decimals, so
-- every row is converted and compared. Nothing in the statement's text shows it.
--
-- ## What to do
-- Bind the parameter with the column's type, or cast it in the statement: `id = $1::bigint`. Typical sources are
-- BigDecimal keys in Java, Decimal in Python and numbers of JavaScript.
--
-- ## When to leave it
-- Never on a key; a rare report may not be worth the change.

with key as (
    -- plain columns that lead an index, spelled as EXPLAIN does
    select
        part.database,
        part.root,
        col.column_name,
        min(idx.index) as index,
        min(
            case
                when regexp_matches(col.column_name, '^[a-z_][a-z0-9_]*$') then col.column_name
                else '"' || replace(col.column_name, '"', '""') || '"'
            end
        ) as spelling
    from index_column as col
    join relation_index as idx on idx.database = col.database and idx.index = col.index
    join relation_extent as part on part.database = idx.database and part.relation = idx.relation
    where col.position = 1
        and col.column_name is not null
        and idx.is_valid
        and idx.predicate is null
    group by part.database, part.root, col.column_name
),
scan as (
    select
        plan.database,
        plan.fingerprint,
        extent.root,
        node.relation,
        extent.rows,
        extent.pages,
        extent.part_pages,
        -- without the alias, which is there in plans of several relations
        replace(
            replace(node.filter, '(' || coalesce(node.alias, '') || '.', '('),
            '("' || replace(coalesce(node.alias, ''), '"', '""') || '".', '('
        ) as filter,
        node.self_cost * node.estimated_loops / nullif(plan.total_cost, 0) as cost_share
    from plan
    join plan_node as node on node.plan = plan.plan
    join relation_extent as extent on extent.database = plan.database and extent.relation = node.relation
    where node.node_type in ('Seq Scan', 'Index Scan', 'Index Only Scan', 'Bitmap Heap Scan')
        and node.filter is not null
        and extent.rows >= $least_rows
        and extent.pages >= $least_pages
),
cast_to as (
    -- conversions that the server makes on its own and that leave the B-tree behind; varchar to text is none
    select
        col.database,
        col.relation,
        col.column_name,
        col.type,
        target.cast_type
    from relation_column as col
    join (
        values
            ('int2', 'numeric'), ('int4', 'numeric'), ('int8', 'numeric'),
            ('int2', 'double precision'), ('int4', 'double precision'), ('int8', 'double precision'),
            ('int2', 'real'), ('int4', 'real'), ('int8', 'real'),
            ('numeric', 'double precision'), ('numeric', 'real'),
            ('bpchar', 'text')
    ) as target (base_type, cast_type) on target.base_type = col.base_type
),
-- written by the author: function-on-indexed-column
explicit as (
    select distinct database, fingerprint, relation, column_name
    from reference
    where cast_type is not null
),
found as (
    select
        scan.database,
        scan.fingerprint,
        scan.root,
        key.column_name,
        key.index,
        cast_to.type as column_type,
        cast_to.cast_type,
        max(scan.filter) as filter,
        max(scan.rows) as rows,
        max(scan.part_pages) as part_pages,
        sum(scan.cost_share) as cost_share
    from scan
    join key on key.database = scan.database and key.root = scan.root
    join cast_to
        on cast_to.database = scan.database
        and cast_to.relation = scan.relation
        and cast_to.column_name = key.column_name
    left join explicit
        on explicit.database = scan.database
        and explicit.fingerprint = scan.fingerprint
        and explicit.column_name = key.column_name
    where explicit.column_name is null
        -- the whole side of a comparison, not a part of a calculation; no OR, which may have its own reasons
        and (
            contains(scan.filter, '((' || key.spelling || ')::' || cast_to.cast_type || ' = ')
            or contains(scan.filter, '((' || key.spelling || ')::' || cast_to.cast_type || ' > ')
            or contains(scan.filter, '((' || key.spelling || ')::' || cast_to.cast_type || ' < ')
            or contains(scan.filter, '((' || key.spelling || ')::' || cast_to.cast_type || ' >= ')
            or contains(scan.filter, '((' || key.spelling || ')::' || cast_to.cast_type || ' <= ')
            or contains(scan.filter, ' = (' || key.spelling || ')::' || cast_to.cast_type || ')')
        )
        and not contains(scan.filter, ' OR ')
    group by
        scan.database, scan.fingerprint, scan.root, key.column_name, key.index, cast_to.type, cast_to.cast_type
)

select
    found.database,
    'fingerprint:' || found.fingerprint as subject,
    'fingerprint:' || found.fingerprint as root,
    found.fingerprint,
    workload.execution_ms_per_day * least(1, coalesce(found.cost_share, 1)) * $saved as impact_ms_per_day,
    workload.execution_ms_per_day * least(1, coalesce(found.cost_share, 1)) * $saved_low as impact_low_ms_per_day,
    found.root as relation,
    found.column_name,
    found.column_type,
    found.cast_type,
    found.index,
    found.filter,
    found.rows as table_rows,
    workload.calls,
    workload.calls_per_day,
    workload.mean_ms,
    workload.rows_per_call,
    (workload.blocks_hit + workload.blocks_read)::double / workload.calls as blocks_per_call,
    workload.text
from found
join workload on workload.database = found.database and workload.fingerprint = found.fingerprint
where workload.kind in ('select', 'update', 'delete', 'insert', 'merge')
    and (workload.calls >= $least_calls or workload.execution_ms_per_day >= $least_ms_per_day)
    and (
        workload.blocks_hit + workload.blocks_read = 0
        or workload.blocks_hit + workload.blocks_read >= $least_read_share * found.part_pages * workload.calls
    );

-- example: a bigint key is compared with a decimal
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'table', 240000, 2600);
insert into relation_column (relation, column_name, type, base_type) values ('public.orders', 'id', 'bigint', 'int8');
insert into relation_index (relation, index) values ('public.orders', 'public.orders_pkey');
insert into index_column (relation, index, position, column_name) values
    ('public.orders', 'public.orders_pkey', 1, 'id');
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 1000, 20000, 20, 2600000);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 100);
insert into plan_node (plan, node_type, relation, alias, filter, self_cost, estimated_loops) values
    ('a1 1', 'Seq Scan', 'public.orders', 'orders', '((id)::numeric = $1)', 100, 1);
-- finds: fingerprint:a1

-- example: char(2) against text, in a statement that another index leads through the whole table
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.customer', 'public.customer', 'table', 240000, 2600);
insert into relation_column (relation, column_name, type, base_type) values
    ('public.customer', 'Country', 'character(2)', 'bpchar');
insert into relation_index (relation, index) values ('public.customer', 'public.by_country');
insert into index_column (relation, index, position, column_name) values
    ('public.customer', 'public.by_country', 1, 'Country');
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 1000, 20000, 20, 2600000);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 100);
insert into plan_node (plan, node_type, relation, alias, filter, self_cost, estimated_loops) values
    ('a1 1', 'Index Scan', 'public.customer', 'customer', '((customer."Country")::text = $1)', 100, 1);
-- finds: fingerprint:a1

-- example: varchar shown as text uses its index all the same; here the scan has another reason
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'table', 240000, 2600);
insert into relation_column (relation, column_name, type, base_type) values
    ('public.orders', 'code', 'character varying(20)', 'varchar');
insert into relation_index (relation, index) values ('public.orders', 'public.orders_code');
insert into index_column (relation, index, position, column_name) values
    ('public.orders', 'public.orders_code', 1, 'code');
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 1000, 20000, 20, 2600000);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 100);
insert into plan_node (plan, node_type, relation, alias, filter, self_cost, estimated_loops) values
    ('a1 1', 'Seq Scan', 'public.orders', 'orders', '((code)::text = $1)', 100, 1);
-- finds: nothing

-- example: the column has no index that a cast could hide, or the cast is part of a calculation
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'table', 240000, 2600);
insert into relation_column (relation, column_name, type, base_type) values
    ('public.orders', 'id', 'bigint', 'int8'), ('public.orders', 'weight', 'integer', 'int4');
insert into relation_index (relation, index) values ('public.orders', 'public.orders_pkey');
insert into index_column (relation, index, position, column_name) values
    ('public.orders', 'public.orders_pkey', 1, 'id');
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('b2', 'select');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 1000, 20000, 20, 2600000), ('b2', 1000, 1000, 20000, 20, 2600000);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 100), ('b2 1', 'b2', 100);
insert into plan_node (plan, node_type, relation, alias, filter, self_cost, estimated_loops) values
    ('a1 1', 'Seq Scan', 'public.orders', 'orders', '((weight)::numeric = $1)', 100, 1),
    ('b2 1', 'Seq Scan', 'public.orders', 'orders', '(((id)::numeric * 1.5) > $1)', 100, 1);
-- finds: nothing
