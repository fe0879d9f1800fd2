-- rule: leading-wildcard
-- title: A pattern search that no B-tree can answer reads the whole table
-- severity: warning
-- reads: reference, shape, workload, relation, relation_extent, relation_column, index_column, relation_index,
--     statement_filter, plan, plan_node
-- message: {calls} calls of {mean_ms} each compare every row of {relation} ({table_rows} rows) with a pattern on
--     {key}: {why}; a trigram index answers it.
-- fix: create index concurrently {index_name} on {relation} using gin ({key} gin_trgm_ops);
-- undo: drop index concurrently {index_schema}.{index_name};
-- param: least_rows = 10000 -- a table below this is read whole in a few milliseconds
-- param: least_pages = 128 -- 1 MB
-- param: least_read_share = 0.3 -- blocks per call against the table's; LIMIT stops half-way
-- param: scan_rows_per_ms = 100000 -- no server filters rows faster, so a shorter call compared fewer
-- param: most_share = 0.05 -- another condition with an index that keeps less than this leaves few rows to compare
-- param: least_calls = 10 -- an index for a statement run by hand costs more than it saves …
-- param: least_ms_per_day = 60000 -- … unless it takes a minute a day
-- param: saved = 0.5 -- share of the time that an index is expected to save
-- param: saved_low = 0.2 -- the same, cautiously
-- since: 0.1
--
-- ## Why it matters
-- A B-tree is ordered by the beginning of a text. `like '%shoe%'` fixes no beginning, and ILIKE and regular
-- expressions fix none that the order knows, so every row is read and compared. An index on the column does not change
-- that.
--
-- ## What to do
-- `create extension pg_trgm` (it comes with PostgreSQL, and is trusted from 13 on) and a GIN index with gin_trgm_ops:
-- it finds patterns of three letters and more anywhere in the text. For words rather than parts of words, full-text
-- search.
--
-- ## When to leave it
-- When patterns have fewer than three letters, which a trigram index cannot narrow, or the table is written far more
-- than it is searched: GIN indexes are dear to update. A hidden pattern with a fixed beginning (`like $1` with 'abc%')
-- wants a B-tree with text_pattern_ops instead.

with pattern as (
    select
        reference.database,
        reference.fingerprint,
        reference.relation,
        reference.column_name,
        bool_or(reference.operator in ('~~*', '~*')) as is_insensitive,
        bool_or(reference.operator in ('~', '~*')) as is_regular,
        bool_or(reference.value like '''!%%' escape '!' or reference.value like '''!_%' escape '!') as is_visible
    from reference
    where reference.role = 'pattern'
        and reference.operator in ('~~', '~~*', '~', '~*')
        and reference.expression is null
        -- a visible pattern with a fixed beginning is one for a B-tree
        and (
            reference.operator <> '~~'
            or coalesce(reference.value_kind, 'parameter') <> 'constant'
            or reference.value like '''!%%' escape '!'
            or reference.value like '''!_%' escape '!'
        )
    group by reference.database, reference.fingerprint, reference.relation, reference.column_name
),
-- an index made for such searches, on the column or on an expression of it
served as (
    select distinct part.database, part.root, col.column_name, col.expression
    from index_column as col
    join relation_index as idx on idx.database = col.database and idx.index = col.index
    join relation_extent as part on part.database = idx.database and part.relation = idx.relation
    where idx.is_valid
        and (idx.access_method in ('gin', 'gist', 'spgist') or col.operator_class like '%pattern%')
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
        pattern.*,
        extent.root,
        extent.rows as table_rows,
        extent.pages,
        extent.part_pages,
        scan.has_filtered_scan,
        workload.calls,
        workload.calls_per_day,
        workload.mean_ms,
        workload.rows_per_call,
        workload.execution_ms_per_day,
        workload.text,
        (workload.blocks_hit + workload.blocks_read)::double / workload.calls as blocks_per_call
    from pattern
    join shape on shape.fingerprint = pattern.fingerprint
    join workload on workload.database = pattern.database and workload.fingerprint = pattern.fingerprint
    join relation_extent as extent on extent.database = pattern.database and extent.relation = pattern.relation
    join relation_column as col
        on col.database = pattern.database
        and col.relation = pattern.relation
        and col.column_name = pattern.column_name
        and col.base_type in ('text', 'varchar', 'bpchar', 'citext')
    left join served
        on served.database = pattern.database
        and served.root = extent.root
        and (
            served.column_name = pattern.column_name
            or contains(
                ' ' || translate(served.expression, '()":,=<>|', '          ') || ' ', ' ' || pattern.column_name || ' '
            )
        )
    left join narrowed
        on narrowed.database = pattern.database
        and narrowed.fingerprint = pattern.fingerprint
        and narrowed.root = extent.root
    left join scan
        on scan.database = pattern.database and scan.fingerprint = pattern.fingerprint and scan.root = extent.root
    where workload.kind in ('select', 'update', 'delete')
        and served.root is null
        and narrowed.root is null
        and extent.rows >= $least_rows
        and extent.pages >= $least_pages
        and (workload.calls >= $least_calls or workload.execution_ms_per_day >= $least_ms_per_day)
        and coalesce(scan.has_filtered_scan, true)
        and workload.mean_ms >= extent.rows * extent.part_pages / extent.pages / $scan_rows_per_ms
            * case when shape.has_limit then $least_read_share else 1 end
)

select distinct
    candidate.database,
    candidate.root || ' (' || candidate.column_name || ')' as subject,
    case when has_filtered_scan then 'planned' else 'inferred' end as proof,
    candidate.fingerprint,
    execution_ms_per_day * $saved as impact_ms_per_day,
    execution_ms_per_day * $saved_low as impact_low_ms_per_day,
    candidate.root as relation,
    relation.kind,
    case
        when regexp_matches(candidate.column_name, '^[a-z_][a-z0-9_]*$') then candidate.column_name
        else '"' || replace(candidate.column_name, '"', '""') || '"'
    end as key,
    case
        when is_visible then 'it begins with a wildcard'
        when is_regular then 'a regular expression fixes no beginning that an index knows'
        when is_insensitive then 'ILIKE fixes no beginning that an index knows'
        else 'its text is hidden, but each call reads as much as only a leading wildcard needs'
    end as why,
    table_rows,
    calls,
    calls_per_day,
    mean_ms,
    rows_per_call,
    blocks_per_call,
    candidate.pages * 8192 as fix_read_bytes,
    candidate.text,
    case when regexp_matches(lower(relation.name), '^[a-z]') then '' else 'ix_' end || rtrim(left(
        regexp_replace(lower(relation.name || '_' || candidate.column_name), '[^a-z0-9]+', '_', 'g'), 50
    ), '_') || '_trgm_idx' as index_name,
    case
        when regexp_matches(relation.schema, '^[a-z_][a-z0-9_]*$') then relation.schema
        else '"' || replace(relation.schema, '"', '""') || '"'
    end as index_schema
from candidate
join relation on relation.database = candidate.database and relation.relation = candidate.root
where relation.extension is null
    and (
        blocks_per_call >= $least_read_share * candidate.part_pages
        -- 0 blocks: the source of the counters knows none, and a hidden pattern then proves nothing
        or (blocks_per_call = 0 and (is_visible or is_insensitive or is_regular))
    );

-- example: a hidden pattern that reads the table whole, and a visible one
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.products', 'public.products', 'public', 'products', 'table', 120000, 5000);
insert into relation_column (relation, column_name, base_type) values
    ('public.products', 'name', 'text'), ('public.products', 'description', 'text');
insert into relation_index (relation, index) values ('public.products', 'public.products_name');
insert into index_column (relation, index, position, column_name, operator_class) values
    ('public.products', 'public.products_name', 1, 'name', 'text_ops');
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('b2', 'select');
insert into shape (fingerprint, relations) values ('a1', 1), ('b2', 1);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator, value, value_kind) values
    ('a1', 'public.products', 'p', 1, 'name', 'pattern', '~~', '$1', 'parameter'),
    ('b2', 'public.products', 'p', 1, 'description', 'pattern', '~~', '''%shoe%''', 'constant');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 2000, 40000, 40, 5000000), ('b2', 1000, 2000, 50000, 50, 5000000);
-- finds: public.products (description)
-- finds: public.products (name)

-- example: a hidden pattern with a fixed beginning finds its rows by the index
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.products', 'public.products', 'public', 'products', 'table', 120000, 5000);
insert into relation_column (relation, column_name, base_type) values ('public.products', 'name', 'text');
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations) values ('a1', 1);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator, value, value_kind) values
    ('a1', 'public.products', 'p', 1, 'name', 'pattern', '~~', '$1', 'parameter');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 2000, 200, 0.2, 6000);
-- finds: nothing

-- example: a trigram index is there
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.products', 'public.products', 'public', 'products', 'table', 120000, 5000);
insert into relation_column (relation, column_name, base_type) values ('public.products', 'name', 'text');
insert into relation_index (relation, index, access_method) values ('public.products', 'public.trgm', 'gin');
insert into index_column (relation, index, position, column_name, operator_class) values
    ('public.products', 'public.trgm', 1, 'name', 'gin_trgm_ops');
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations) values ('a1', 1);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator, value, value_kind) values
    ('a1', 'public.products', 'p', 1, 'name', 'pattern', '~~*', '$1', 'parameter');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 2000, 40000, 40, 5000000);
-- finds: nothing

-- example: another condition has left few rows to compare
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.products', 'public.products', 'public', 'products', 'table', 120000, 5000);
insert into relation_column (relation, column_name, base_type) values
    ('public.products', 'name', 'text'), ('public.products', 'shop_id', 'int8');
insert into column_statistics (relation, column_name, distinct_rows) values ('public.products', 'shop_id', 4000);
insert into relation_index (relation, index) values ('public.products', 'public.by_shop');
insert into index_column (relation, index, position, column_name) values
    ('public.products', 'public.by_shop', 1, 'shop_id');
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations) values ('a1', 1);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator, value, value_kind) values
    ('a1', 'public.products', 'p', 1, 'name', 'pattern', '~~*', '''%shoe%''', 'constant'),
    ('a1', 'public.products', 'p', 2, 'shop_id', 'equality', '=', '$1', 'parameter');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 2000, 2000, 2, 40000);
-- finds: nothing
