-- rule: function-on-indexed-column
-- title: A function or cast around an indexed column keeps the index from being used
-- severity: warning
-- reads: reference, workload, shape, relation, relation_extent, relation_column, relation_index, index_column,
--     statement_filter, plan, plan_node
-- message: {calls} calls of {mean_ms} each compare {expression}, so they read {relation} ({table_rows} rows)
--     although {index} is on {column_name}; {cure}.
-- fix: {fix_sql}
-- undo: {undo_sql}
-- param: least_rows = 10000 -- a table below this is read whole in a few milliseconds
-- param: least_pages = 128 -- 1 MB
-- param: least_read_share = 0.3 -- blocks per call against the table's; a call that reads less does not scan it
-- param: scan_rows_per_ms = 100000 -- no server filters rows faster, so a shorter call compared fewer
-- param: most_share = 0.05 -- of the rows: an index for more is none the planner would use
-- param: least_calls = 10 -- a statement run by hand is no workload …
-- param: least_ms_per_day = 60000 -- … unless it takes a minute a day
-- param: saved = 0.5 -- share of the time that an index is expected to save
-- param: saved_low = 0.2 -- the same, cautiously
-- since: 0.1
--
-- ## Why it matters
-- An index is ordered by the column's values. The values of lower(email) or created_at::date are others, in an order
-- that the index does not know, so the planner computes them for every row of the table. It looks as if an index were
-- there.
--
-- ## What to do
-- Either index what is compared (`create index … (lower(email))`), or compare the bare column: `created_at >= $1 and
-- created_at < $1 + interval '1 day'` instead of `created_at::date = $1`. The second needs no further index.
--
-- ## When to leave it
-- When the statement runs rarely, or most rows would match anyhow.

with wrapped as (
    select distinct
        reference.database,
        reference.fingerprint,
        reference.relation,
        extent.root,
        extent.rows,
        extent.pages,
        extent.part_pages,
        reference.column_name,
        reference.role,
        reference.cast_type,
        reference.expression,
        replace(
            replace(translate(reference.expression, '()" ', ''), '::text', ''), '::charactervarying', ''
        ) as plain_key
    from reference
    join relation_extent as extent
        on extent.database = reference.database and extent.relation = reference.relation
    where reference.role in ('equality', 'range')
        and reference.expression is not null
        and not reference.is_disjunct
        and coalesce(reference.value_kind, 'parameter') <> 'column'
        and extent.rows >= $least_rows
        and extent.pages >= $least_pages
        -- arithmetic and functions over several columns are no mishap
        and (reference.cast_type is not null or contains(reference.expression, '('))
),
index_key as (
    select
        part.database,
        part.root,
        idx.index,
        col.column_name,
        replace(replace(translate(col.expression, '()" ', ''), '::text', ''), '::charactervarying', '') as plain_key
    from index_column as col
    join relation_index as idx on idx.database = col.database and idx.index = col.index
    join relation_extent as part on part.database = idx.database and part.relation = idx.relation
    where idx.is_valid
        and col.position = 1
),
plain_index as (
    select database, root, column_name, min(index) as index
    from index_key
    where column_name is not null
    group by database, root, column_name
),
-- the expression, or another one around the column, is indexed: the server writes them in words of its own
expression_index as (
    select distinct database, root, plain_key
    from index_key
    where plain_key is not null
),
narrowed as (
    select distinct database, fingerprint, root
    from statement_filter
    where index is not null and coalesce(index_share, 0) <= $most_share
),
scan as (
    select
        plan.database,
        plan.fingerprint,
        extent.root,
        bool_or(node.node_type = 'Seq Scan' and node.filter is not null) as has_filtered_scan
    from plan
    join plan_node as node on node.plan = plan.plan
    join relation_extent as extent on extent.database = plan.database and extent.relation = node.relation
    group by plan.database, plan.fingerprint, extent.root
),
candidate as (
    select
        wrapped.*,
        plain_index.index,
        relation.kind,
        relation.name,
        relation.schema,
        col.base_type,
        scan.has_filtered_scan,
        workload.calls,
        workload.calls_per_day,
        workload.mean_ms,
        workload.rows_per_call,
        workload.execution_ms_per_day,
        workload.text,
        (workload.blocks_hit + workload.blocks_read)::double / workload.calls as blocks_per_call,
        -- immutable for these types, so they may be indexed
        regexp_matches(wrapped.plain_key, '^(lower|upper|btrim|md5)[a-z_][a-z0-9_]*$')
            and col.base_type in ('text', 'varchar', 'bpchar') as is_indexable,
        row_number() over (
            partition by wrapped.database, wrapped.fingerprint, wrapped.root, wrapped.column_name
            order by wrapped.expression
        ) as place
    from wrapped
    join relation on relation.database = wrapped.database and relation.relation = wrapped.root
    join plain_index
        on plain_index.database = wrapped.database
        and plain_index.root = wrapped.root
        and plain_index.column_name = wrapped.column_name
    join relation_column as col
        on col.database = wrapped.database
        and col.relation = wrapped.relation
        and col.column_name = wrapped.column_name
    join workload on workload.database = wrapped.database and workload.fingerprint = wrapped.fingerprint
    join shape on shape.fingerprint = wrapped.fingerprint
    left join expression_index
        on expression_index.database = wrapped.database
        and expression_index.root = wrapped.root
        and expression_index.plain_key = wrapped.plain_key
    left join narrowed
        on narrowed.database = wrapped.database
        and narrowed.fingerprint = wrapped.fingerprint
        and narrowed.root = wrapped.root
    left join scan
        on scan.database = wrapped.database
        and scan.fingerprint = wrapped.fingerprint
        and scan.root = wrapped.root
    where workload.kind in ('select', 'update', 'delete')
        and expression_index.plain_key is null
        and narrowed.root is null
        and relation.extension is null
        -- a function around a partition key reads all partitions: partitions-not-pruned has it
        and not coalesce(
            contains(
                ' ' || translate(relation.partition_key, '(),"', '    ') || ' ', ' ' || wrapped.column_name || ' '
            ),
            false
        )
        and (workload.calls >= $least_calls or workload.execution_ms_per_day >= $least_ms_per_day)
        and coalesce(scan.has_filtered_scan, true)
        -- an aggregate hides how many rows matched; else the statement must want few
        and (
            shape.has_aggregate or shape.has_group_by or shape.has_limit
            or workload.rows_per_call <= $most_share * wrapped.rows
        )
        and workload.mean_ms >= wrapped.rows * wrapped.part_pages / wrapped.pages / $scan_rows_per_ms
)

select
    database,
    root || ' (' || column_name || ')' as subject,
    -- the index on the expression, where the lab proposes it, is the same finding
    case when is_indexable then spelled.root || ' (' || expression || ')' end as root,
    case when has_filtered_scan then 'planned' else 'inferred' end as proof,
    fingerprint,
    execution_ms_per_day * $saved as impact_ms_per_day,
    execution_ms_per_day * $saved_low as impact_low_ms_per_day,
    root as relation,
    kind,
    column_name,
    expression,
    index,
    case
        when is_indexable then 'index the expression'
        when base_type in ('timestamptz', 'timestamp', 'date') then 'compare the bare column with a range'
        else 'compare the bare column, or index the expression'
    end as cure,
    rows as table_rows,
    calls,
    calls_per_day,
    mean_ms,
    rows_per_call,
    blocks_per_call,
    case when is_indexable then pages * 8192 end as fix_read_bytes,
    text,
    case
        when is_indexable then
            'create index concurrently ' || index_name || ' on ' || root || ' (' || expression || ');'
        when base_type in ('timestamptz', 'timestamp', 'date') then
            '-- instead of ' || expression || ' = $1: ' || column_name || ' >= $1 and ' || column_name
            || ' < $1 + interval ''1 day'' (or the length of the period)'
        else '-- compare ' || column_name || ' itself, and put the inverse function on the other side'
    end as fix_sql,
    case when is_indexable then 'drop index concurrently ' || index_schema || '.' || index_name || ';' end as undo_sql
from (
    select
        candidate.*,
        case when regexp_matches(lower(name), '^[a-z]') then '' else 'ix_' end || rtrim(left(
            regexp_replace(lower(name || '_' || expression), '[^a-z0-9]+', '_', 'g'), 55
        ), '_') || '_idx' as index_name,
        case
            when regexp_matches(schema, '^[a-z_][a-z0-9_]*$') then schema
            else '"' || replace(schema, '"', '""') || '"'
        end as index_schema
    from candidate
    where place = 1
        -- 0 blocks: the source of the counters knows none
        and (blocks_per_call = 0 or blocks_per_call >= $least_read_share * part_pages)
) as spelled;

-- example: sign-in by lower(email), with an index on email
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.customers', 'public.customers', 'public', 'customers', 'table', 60000, 1000);
insert into relation_column (relation, column_name, base_type) values ('public.customers', 'email', 'text');
insert into relation_index (relation, index) values ('public.customers', 'public.customers_email_key');
insert into index_column (relation, index, position, column_name) values
    ('public.customers', 'public.customers_email_key', 1, 'email');
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations) values ('a1', 1);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator, expression) values
    ('a1', 'public.customers', 'c', 1, 'email', 'equality', '=', 'lower(email)');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 1000, 20000, 20, 1000000);
-- finds: public.customers (email)

-- example: the expression has an index of its own
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.customers', 'public.customers', 'public', 'customers', 'table', 60000, 1000);
insert into relation_column (relation, column_name, base_type) values ('public.customers', 'email', 'varchar');
insert into relation_index (relation, index) values
    ('public.customers', 'public.customers_email_key'), ('public.customers', 'public.customers_lower');
insert into index_column (relation, index, position, column_name, expression) values
    ('public.customers', 'public.customers_email_key', 1, 'email', null),
    ('public.customers', 'public.customers_lower', 1, null, 'lower((email)::text)');
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations) values ('a1', 1);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator, expression) values
    ('a1', 'public.customers', 'c', 1, 'email', 'equality', '=', 'lower(email)');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 1000, 20000, 20, 1000000);
-- finds: nothing

-- example: the day of a time stamp, in a table too small to matter and in a large one
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.note', 'public.note', 'public', 'note', 'table', 500, 10),
    ('public.event', 'public.event', 'public', 'event', 'table', 5000000, 60000);
insert into relation_column (relation, column_name, base_type) values
    ('public.note', 'at', 'timestamptz'), ('public.event', 'at', 'timestamptz');
insert into relation_index (relation, index) values ('public.note', 'public.n'), ('public.event', 'public.e');
insert into index_column (relation, index, position, column_name) values
    ('public.note', 'public.n', 1, 'at'), ('public.event', 'public.e', 1, 'at');
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('b2', 'select');
insert into shape (fingerprint, relations, has_aggregate) values ('a1', 1, true), ('b2', 1, true);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator, expression, cast_type) values
    ('a1', 'public.note', 'n', 1, 'at', 'equality', '=', 'at::date', 'date'),
    ('b2', 'public.event', 'e', 1, 'at', 'equality', '=', 'at::date', 'date');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 1000, 2000, 2, 10000), ('b2', 1000, 1000, 800000, 800, 60000000);
-- finds: public.event (at)

-- example: another condition with an index leaves few rows, whatever stands around the second column
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.event', 'public.event', 'public', 'event', 'table', 5000000, 60000);
insert into relation_column (relation, column_name, base_type) values
    ('public.event', 'at', 'timestamptz'), ('public.event', 'user_id', 'int8');
insert into column_statistics (relation, column_name, distinct_rows) values ('public.event', 'user_id', 100000);
insert into relation_index (relation, index) values ('public.event', 'public.e'), ('public.event', 'public.u');
insert into index_column (relation, index, position, column_name) values
    ('public.event', 'public.e', 1, 'at'), ('public.event', 'public.u', 1, 'user_id');
insert into statement_text (fingerprint, kind) values ('b2', 'select');
insert into shape (fingerprint, relations, has_aggregate) values ('b2', 1, true);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator, expression, cast_type) values
    ('b2', 'public.event', 'e', 1, 'at', 'equality', '=', 'at::date', 'date'),
    ('b2', 'public.event', 'e', 2, 'user_id', 'equality', '=', null, null);
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms) values ('b2', 1000, 1000, 80000, 80);
-- finds: nothing
