-- rule: deep-offset
-- title: OFFSET reads and drops all rows before the page
-- severity: warning
-- reads: workload, shape, reference, index_column, relation_extent
-- message: {calls} calls read {blocks_per_call} blocks each to return {rows_per_call} rows of {relation}: OFFSET
--     reads all rows before the page and drops them; continue behind the last row seen instead.
-- fix: -- {advice}
-- param: least_rows = 10000 -- a table below this has no deep pages
-- param: least_offset = 1000 -- rows dropped, where the text shows the number
-- param: least_blocks = 100 -- a page of rows behind an index reads fewer …
-- param: blocks_per_row = 2 -- … than these and two for each row returned
-- param: least_spread = 5 -- slowest call over fastest: deep pages cost more than the first
-- param: least_calls = 10 -- a page turned by hand is no workload
-- param: low_share = 0.5 -- of the saving, cautiously
-- since: 0.1
--
-- ## Why it matters
-- The server cannot jump to row 100,000: it reads the 99,999 before it, in order, and throws them away. The further a
-- reader (mostly an export or a crawler) goes, the slower each page, and the whole run grows with the square of its
-- length.
--
-- ## What to do
-- Remember the last key of a page and ask for what comes behind it: `where (created_at, id) > ($1, $2) order by
-- created_at, id limit 50`. With an index on those columns every page costs the same. For exports use a cursor or
-- COPY.
--
-- ## When to leave it
-- When people only ever look at the first few pages.

with ordering as (
    -- the first column of the order, and the unique-looking rest, with an index that leads with it
    select
        reference.database,
        reference.fingerprint,
        reference.relation,
        extent.root,
        extent.rows,
        bool_or(reference.position = 1 and idx.column_name is not null) as has_index,
        string_agg(distinct reference.column_name, ', ') as columns
    from reference
    join relation_extent as extent
        on extent.database = reference.database and extent.relation = reference.relation
    left join index_column as idx
        on idx.database = reference.database
        and idx.relation = reference.relation
        and idx.column_name = reference.column_name
        and idx.is_key
    where reference.role = 'order'
        and reference.block = 0
    group by reference.database, reference.fingerprint, reference.relation, extent.root, extent.rows
),
paged as (
    select
        workload.*,
        shape.offset_rows,
        shape.has_where,
        ordering.root as relation,
        ordering.columns,
        ordering.has_index,
        ordering.rows as table_rows,
        (workload.blocks_hit + workload.blocks_read)::double / workload.calls as blocks_per_call
    from workload
    join shape on shape.fingerprint = workload.fingerprint
    join ordering on ordering.database = workload.database and ordering.fingerprint = workload.fingerprint
    where workload.kind = 'select'
        and shape.has_offset
        and shape.has_limit
        and shape.relations = 1
        and ordering.rows >= $least_rows
        and workload.calls >= $least_calls
)

select
    database,
    'fingerprint:' || fingerprint as subject,
    'fingerprint:' || fingerprint as root,
    fingerprint,
    -- the first page costs what every page could
    execution_ms_per_day * greatest(1 - coalesce(min_ms, mean_ms) / nullif(mean_ms, 0), 0) as impact_ms_per_day,
    execution_ms_per_day * greatest(1 - coalesce(min_ms, mean_ms) / nullif(mean_ms, 0), 0) * $low_share
        as impact_low_ms_per_day,
    relation,
    table_rows,
    offset_rows,
    calls,
    calls_per_day,
    min_ms,
    mean_ms,
    max_ms,
    rows_per_call,
    blocks_per_call,
    text,
    'order by ' || columns || ' with a unique last column, and instead of OFFSET: where (' || columns
        || ') > (the values of the last row of the page before)' as advice
from paged
where offset_rows >= $least_offset
    or (
        -- the number is a parameter: the blocks that it costs tell, where an index gives the order
        offset_rows is null
        and has_index
        and blocks_per_call >= $least_blocks + $blocks_per_row * rows_per_call
        and (max_ms >= $least_spread * min_ms or not has_where)
    );

-- example: an export turns pages of 200 through a large table
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'table', 240000, 2600);
insert into index_column (relation, index, position, column_name) values ('public.orders', 'public.o', 1, 'id');
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations, has_limit, has_offset, has_order_by) values ('a1', 1, true, true, true);
insert into reference (fingerprint, relation, alias, column_name, role, position) values
    ('a1', 'public.orders', 'orders', 'id', 'order', 1);
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, min_ms, max_ms, shared_blocks_hit) values
    ('a1', 1200, 240000, 18000, 15, 0.2, 40, 1800000);
-- finds: fingerprint:a1

-- example: readers look at the first pages only
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'table', 240000, 2600);
insert into index_column (relation, index, position, column_name) values ('public.orders', 'public.o', 1, 'id');
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations, has_limit, has_offset, has_order_by) values ('a1', 1, true, true, true);
insert into reference (fingerprint, relation, alias, column_name, role, position) values
    ('a1', 'public.orders', 'orders', 'id', 'order', 1);
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, min_ms, max_ms, shared_blocks_hit) values
    ('a1', 100000, 2000000, 20000, 0.2, 0.1, 1, 4000000);
-- finds: nothing

-- example: no index gives the order, so every page reads all: that is another fault
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'table', 240000, 2600);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations, has_limit, has_offset, has_order_by) values ('a1', 1, true, true, true);
insert into reference (fingerprint, relation, alias, column_name, role, position) values
    ('a1', 'public.orders', 'orders', 'created_at', 'order', 1);
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, min_ms, max_ms, shared_blocks_hit) values
    ('a1', 1200, 24000, 60000, 50, 45, 60, 3120000);
-- finds: nothing

-- example: a written-out OFFSET of 50,000, and one of 20
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'table', 240000, 2600);
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('b2', 'select');
insert into shape (fingerprint, relations, has_limit, has_offset, has_order_by, offset_rows) values
    ('a1', 1, true, true, true, 50000), ('b2', 1, true, true, true, 20);
insert into reference (fingerprint, relation, alias, column_name, role, position) values
    ('a1', 'public.orders', 'orders', 'id', 'order', 1), ('b2', 'public.orders', 'orders', 'id', 'order', 1);
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, min_ms, max_ms, shared_blocks_hit) values
    ('a1', 100, 2000, 2000, 20, 18, 30, 80000), ('b2', 100, 2000, 20, 0.2, 0.2, 1, 1000);
-- finds: fingerprint:a1
