-- rule: missing-index
-- title: A statement reads a large table because no index leads with its conditions
-- severity: warning
-- reads: statement_filter, workload, shape, reference, plan, plan_node, relation, relation_extent, relation_index,
--     index_column, relation_total, counter_window, what_if
-- message: {calls} calls of {mean_ms} each read {table_rows} rows of {relation} to find {expected_rows}: no index
--     leads with {leading_key}; create one on ({keys}).
-- fix: {fix_sql}
-- undo: {undo_sql}
-- param: least_rows = 10000 -- a table below this is read whole in a few milliseconds
-- param: least_pages = 128 -- 1 MB: fewer pages are a handful of reads, with or without an index
-- param: most_share = 0.05 -- above one row in twenty a scan of the table is about as cheap as the index
-- param: most_page_share = 1 -- rows wanted per page; beyond it most pages are fetched anyhow, unless rows lie in order
-- param: most_listed_partitions = 24 -- the SQL spells out the index of each; more are left to a loop
-- param: least_correlation = 0.9 -- from here on equal values lie together and few pages are fetched
-- param: enough_rows = 20 -- keys that leave so few rows need no further column
-- param: most_trailing_share = 0.3 -- a further column that keeps more than this is not worth its bytes
-- param: most_outer_rows = 1000 -- more rows on the other side of a join make a hash join over the whole table right
-- param: least_read_share = 0.3 -- of the table's blocks, per call: a call that reads less has not scanned it
-- param: scan_rows_per_ms = 100000 -- no server filters rows faster in one call, so a shorter call scanned fewer
-- param: least_calls = 10 -- an index for a statement run by hand costs more than it saves …
-- param: least_ms_per_day = 60000 -- … unless it takes a minute a day
-- param: saved = 0.5 -- share of the time spent on rows thrown away that an index is expected to save
-- param: saved_low = 0.2 -- the same, cautiously
-- param: write_ms = 0.01 -- of one more B-tree for an insert or update: 5 to 20 µs while its pages are cached
-- since: 0.1
--
-- ## Why it matters
-- Without an index that leads with a column of the condition every call reads the whole table and throws nearly all of
-- it away. That costs time in step with the table's size, pushes other tables out of shared buffers, and gets worse as
-- the table grows. An index that has the column only in second place does not help: it is ordered by the first.
--
-- ## What to do
-- Create the index: columns compared for equality first, the most selective in front, then one range. Statements that
-- share a leading column share one index here. `create index concurrently` locks out neither reads nor writes. The
-- evidence says whether the planner was seen to scan the table; that it would use the index is inferred.
--
-- ## When to leave it
-- When the statement runs rarely and nobody waits for it, or the table takes far more writes than reads: each further
-- index makes every insert and every non-HOT update dearer.

with observed as (
    -- a call returns or changes the rows that its conditions keep, where nothing else makes them fewer or more
    select
        workload.*,
        (workload.blocks_hit + workload.blocks_read)::double / workload.calls as blocks_per_call,
        case
            when workload.kind in ('select', 'update', 'delete')
                and shape.relations = 1
                and shape.subqueries = 0
                and shape.common_tables = 0
                and not (
                    shape.has_limit or shape.has_offset or shape.has_group_by or shape.has_distinct
                    or shape.has_aggregate or shape.has_set_operation
                )
                then workload.rows_per_call
        end as matched_rows
    from workload
    join shape on shape.fingerprint = workload.fingerprint
    -- where the lab has asked the planner, its answer counts: statements-without-index
    left join (select distinct database, fingerprint from what_if) as judged
        on judged.database = workload.database and judged.fingerprint = workload.fingerprint
    where judged.fingerprint is null
        and workload.kind in ('select', 'insert', 'update', 'delete', 'merge')
        and (workload.calls >= $least_calls or workload.execution_ms_per_day >= $least_ms_per_day)
),
other_condition as (
    -- conditions that no B-tree answers: the few rows of the statement may be their doing
    select distinct database, fingerprint
    from reference
    where is_disjunct
        or role in ('pattern', 'null_test', 'in_subquery', 'not_in_subquery')
        or (role = 'other' and clause > 0)
),
-- a function on a column that has an index is a fault of its own: function-on-indexed-column
indexed_column as (
    select distinct database, relation, column_name
    from index_column
    where position = 1 and column_name is not null
),
planned as (
    select distinct plan.database, plan.fingerprint
    from plan
),
scan as (
    select
        plan.database,
        plan.fingerprint,
        extent.root,
        bool_or(node.node_type = 'Seq Scan') as has_scan,
        bool_or(node.node_type = 'Seq Scan' and node.filter is not null) as has_filtered_scan,
        max(
            case when node.node_type = 'Seq Scan' then node.self_cost * node.estimated_loops end
        ) / nullif(max(plan.total_cost), 0) as cost_share,
        max(case when node.node_type = 'Seq Scan' and node.filter is not null then node.plan_rows end) as kept_rows
    from plan
    join plan_node as node on node.plan = plan.plan
    join relation_extent as extent on extent.database = plan.database and extent.relation = node.relation
    group by plan.database, plan.fingerprint, extent.root
),
-- conditions of statements that surely read the table whole
scanned as (
    select
        filter.*,
        observed.calls,
        observed.mean_ms,
        observed.execution_ms,
        observed.calls_per_day,
        observed.execution_ms_per_day,
        observed.matched_rows,
        planned.fingerprint is not null as is_planned,
        coalesce(scan.has_filtered_scan, false) as has_filtered_scan,
        coalesce(scan.has_scan, false) as has_scan,
        case
            when scan.cost_share is not null then least(1, scan.cost_share)
            when observed.blocks_per_call > 0 then least(1, filter.pages / observed.blocks_per_call)
            else 1
        end as table_share,
        coalesce(
            case
                when other_condition.fingerprint is null then observed.matched_rows / nullif(filter.rows, 0)
            end,
            filter.own_share,
            scan.kept_rows / nullif(filter.rows, 0)
        ) as kept_share
    from statement_filter as filter
    join observed on observed.database = filter.database and observed.fingerprint = filter.fingerprint
    left join other_condition
        on other_condition.database = filter.database and other_condition.fingerprint = filter.fingerprint
    left join planned on planned.database = filter.database and planned.fingerprint = filter.fingerprint
    left join scan
        on scan.database = filter.database
        and scan.fingerprint = filter.fingerprint
        and scan.root = filter.root
    left join indexed_column
        on filter.is_expression
        and indexed_column.database = filter.database
        and indexed_column.relation = filter.relation
        and indexed_column.column_name = filter.column_name
    where filter.pages >= $least_pages
        and indexed_column.relation is null
        -- 0 blocks: the source of the counters knows none
        and (
            observed.blocks_per_call = 0
            or observed.blocks_per_call >= $least_read_share * filter.part_pages
        )
        and (
            filter.rows is null
            or observed.mean_ms >= filter.rows * filter.part_pages / filter.pages / $scan_rows_per_ms
        )
),
ordered as (
    select
        scanned.*,
        row_number() over (
            partition by database, fingerprint, block, alias, root
            order by case when kind = 'range' then 1 else 0 end, share nulls last, key
        ) as position,
        coalesce(
            exp(sum(ln(greatest(share, 1e-12))) over (
                partition by database, fingerprint, block, alias, root
                order by case when kind = 'range' then 1 else 0 end, share nulls last, key
                rows between unbounded preceding and 1 preceding
            )),
            1
        ) as share_before,
        row_number() over (
            partition by database, fingerprint, block, alias, root, kind
            order by share nulls last, key
        ) as place_in_kind
    from scanned
    where kind <> 'join'
        and rows >= $least_rows
        -- an index that is there and keeps little, or nobody knows how much, is not missing
        and (index is null or index_share > $most_share)
        and kept_share <= $most_share
        and coalesce(matched_rows / rows, 0) <= $most_share
        and (
            kept_share * rows <= $most_page_share * pages
            or abs(correlation) >= $least_correlation
        )
        and (not is_planned or has_filtered_scan)
),
own_candidate as (
    select
        database,
        fingerprint,
        block,
        alias,
        root,
        max(case when position = 1 then key end) as leading_key,
        string_agg(key, ', ' order by position) as keys,
        max(rows) as table_rows,
        max(pages) as pages,
        max(kept_share) as kept_share,
        max(table_share) as table_share,
        bool_or(is_planned) as is_planned
    from ordered
    where position = 1
        or (
            rows * share_before > $enough_rows
            and (kind = 'range' or share <= $most_trailing_share)
            and (kind = 'equality' or place_in_kind = 1)
        )
    group by database, fingerprint, block, alias, root
),
join_candidate as (
    select
        scanned.database,
        scanned.fingerprint,
        scanned.block,
        scanned.alias,
        scanned.root,
        scanned.key as leading_key,
        scanned.key as keys,
        scanned.rows as table_rows,
        scanned.pages,
        scanned.other_rows * scanned.share as kept_share,
        scanned.table_share,
        scanned.is_planned
    from scanned
    left join own_candidate
        on own_candidate.database = scanned.database
        and own_candidate.fingerprint = scanned.fingerprint
        and own_candidate.root = scanned.root
    where scanned.kind = 'join'
        and own_candidate.fingerprint is null
        and scanned.rows >= $least_rows
        and scanned.join_index is null
        and (scanned.index is null or scanned.index_share > $most_share)
        and coalesce(scanned.own_share, 1) > $most_share
        -- only the side that is looked up: a few rows on the other one
        and scanned.other_rows <= least($most_outer_rows, scanned.rows * $most_share)
        and scanned.other_rows * scanned.share <= $most_share
        and scanned.other_rows * scanned.share * scanned.rows <= $most_page_share * scanned.pages
        and (not scanned.is_planned or scanned.has_scan)
),
candidate as (
    select * from own_candidate
    union all
    select * from join_candidate
),
-- one index serves all statements that share its leading key: the longest-running statement says what follows
chosen as (
    select
        candidate.*,
        first_value(candidate.keys) over (
            partition by candidate.database, candidate.root, candidate.leading_key
            order by
                observed.execution_ms desc,
                candidate.keys
        ) as chosen_keys,
        row_number() over (
            partition by candidate.database, candidate.root, candidate.leading_key, candidate.fingerprint
            order by candidate.kept_share, candidate.keys
        ) as place,
        observed.text,
        observed.calls,
        observed.calls_per_day,
        observed.mean_ms,
        observed.rows_per_call,
        observed.blocks_per_call,
        observed.execution_ms_per_day
    from candidate
    join observed on observed.database = candidate.database and observed.fingerprint = candidate.fingerprint
),
named as (
    select
        chosen.*,
        relation.kind as relation_kind,
        relation.schema,
        left(
            regexp_replace(lower(relation.name || '_' || chosen.chosen_keys), '[^a-z0-9]+', '_', 'g'), 55
        ) as stem
    from chosen
    join relation on relation.database = chosen.database and relation.relation = chosen.root
    where chosen.place = 1
        and relation.extension is null
),
spelled as (
    select
        named.*,
        -- a name that is free, and needs no quotes
        case when regexp_matches(rtrim(stem, '_'), '^[a-z]') then '' else 'ix_' end
            || rtrim(stem, '_')
            || case when taken.index is null then '_idx' else '_idx2' end as index_name,
        case
            when regexp_matches(schema, '^[a-z_][a-z0-9_]*$') then schema
            else '"' || replace(schema, '"', '""') || '"'
        end as index_schema
    from named
    left join relation_index as taken
        on taken.database = named.database
        and taken.index = named.schema || '.' || rtrim(named.stem, '_') || '_idx'
),
-- a partitioned table's index is built a partition at a time
part_index as (
    select
        spelled.database,
        spelled.fingerprint,
        spelled.root,
        spelled.leading_key,
        count(*) as parts,
        string_agg(
            'create index concurrently ' || part.part_index || ' on ' || part.relation || ' (' || chosen_keys || ');'
            || chr(10) || 'alter index ' || index_schema || '.' || index_name || ' attach partition '
            || index_schema || '.' || part.part_index || ';',
            chr(10) order by part.relation
        ) as statements
    from spelled
    join (
        select
            relation.database,
            relation.root,
            relation.relation,
            relation.schema,
            rtrim(left(regexp_replace(lower(relation.name), '[^a-z0-9]+', '_', 'g'), 50), '_')
                || '_' || left(md5(relation.relation), 4) || '_idx' as part_index
        from relation
        where relation.is_partition and relation.kind = 'table' and relation.parent = relation.root
    ) as part
        on part.database = spelled.database and part.root = spelled.root and part.schema = spelled.schema
    where spelled.relation_kind = 'partitioned_table'
    group by spelled.database, spelled.fingerprint, spelled.root, spelled.leading_key
),
saving as (
    select
        spelled.*,
        execution_ms_per_day * table_share * (1 - kept_share) as scan_ms_per_day,
        sum(execution_ms_per_day * table_share * (1 - kept_share)) over (
            partition by spelled.database, spelled.root, spelled.leading_key
        ) as all_scans_ms_per_day,
        -- null where the counters run for less than a day: the first load of a table is no rate
        case
            when counter_window.window_days >= 1 then
                (total.inserted_rows + total.updated_rows) / counter_window.window_days
        end as writes_per_day
    from spelled
    left join relation_total as total on total.database = spelled.database and total.relation = spelled.root
    left join counter_window on counter_window.database = spelled.database
),
found as (
    select
        database,
        root || ' (' || chosen_keys || ')' as subject,
        root || ' (' || leading_key || ')' as root_subject,
        is_planned as is_scan_planned,
        fingerprint,
        -- each statement bears its part of what the writes will cost
        scan_ms_per_day * ($saved - coalesce(writes_per_day * $write_ms / all_scans_ms_per_day, 0))
            as impact_ms_per_day,
        scan_ms_per_day * ($saved_low - coalesce(writes_per_day * $write_ms / all_scans_ms_per_day, 0))
            as impact_low_ms_per_day,
        writes_per_day,
        writes_per_day * $write_ms as maintenance_ms_per_day,
        root as relation,
        relation_kind as kind,
        chosen_keys as keys,
        leading_key,
        table_rows,
        greatest(round(kept_share * table_rows), 1) as expected_rows,
        pages * 8192 as fix_read_bytes,
        -- a B-tree entry of one short key takes about 24 bytes with its share of the page; each further key about 8
        table_rows * (24 + 8 * (length(chosen_keys) - length(replace(chosen_keys, ',', '')))) as fix_disk_bytes,
        calls,
        calls_per_day,
        mean_ms,
        rows_per_call,
        blocks_per_call,
        text,
        case
            when relation_kind = 'partitioned_table' then
                '-- CONCURRENTLY does not work on a partitioned table: build the index of each partition concurrently,'
                || ' attach it to this one, and it becomes valid with the last.' || chr(10)
                || 'create index ' || index_name || ' on only ' || root || ' (' || chosen_keys || ');'
                || case
                    when part_index.parts <= $most_listed_partitions then chr(10) || part_index.statements
                    else ''
                end
            else 'create index concurrently ' || index_name || ' on ' || root || ' (' || chosen_keys || ');'
        end as fix_sql,
        case
            when relation_kind = 'partitioned_table' then 'drop index ' || index_schema || '.' || index_name || ';'
            else 'drop index concurrently ' || index_schema || '.' || index_name || ';'
        end as undo_sql
    from saving
    left join part_index using (database, fingerprint, root, leading_key)
    -- an index that the writes pay more for than the reads save is none to miss
    where all_scans_ms_per_day is null
        or coalesce(writes_per_day * $write_ms, 0) <= all_scans_ms_per_day * $saved_low
),
-- a large table that was never analyzed, or whose statistics are out of reach, cannot be judged
unknown as (
    select
        database,
        root,
        bool_or(rows is null) as is_never_analyzed,
        max(pages) as pages
    from scanned
    where kind <> 'join'
        and index is null
        and (rows is null or rows >= $least_rows)
        and kept_share is null
    group by database, root
)

select
    database,
    subject,
    root_subject as root,
    is_scan_planned,
    fingerprint,
    impact_ms_per_day,
    impact_low_ms_per_day,
    relation,
    kind,
    keys,
    leading_key,
    table_rows,
    expected_rows,
    fix_read_bytes,
    fix_disk_bytes,
    calls,
    calls_per_day,
    mean_ms,
    rows_per_call,
    blocks_per_call,
    writes_per_day,
    maintenance_ms_per_day,
    text,
    fix_sql,
    undo_sql,
    null as not_checked_reason,
    null as hint
from found
union all
select
    database,
    root,
    null, null, null, null, null,
    root,
    null, null, null, null, null,
    null, null, null, null, null, null, null, null, null, null, null, null,
    case
        when is_never_analyzed then 'the table was never analyzed, so nobody knows how selective its columns are'
        else 'the statistics of its columns cannot be read'
    end,
    case
        when is_never_analyzed then 'analyze ' || root || ';'
        else 'grant pg_read_all_data to the role that looks, or look as the owner of the table'
    end
from unknown;

-- example: an equality on a selective column of a large table
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'public', 'orders', 'table', 1000000, 10000);
insert into relation_column (relation, column_name, base_type) values ('public.orders', 'customer_id', 'int8');
insert into column_statistics (relation, column_name, distinct_rows) values ('public.orders', 'customer_id', 50000);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations) values ('a1', 1);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator) values
    ('a1', 'public.orders', 'orders', 1, 'customer_id', 'equality', '=');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 20000, 60000, 60, 10000000);
-- finds: public.orders (customer_id)

-- example: the same with an index that leads with the column, alone or before others
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'public', 'orders', 'table', 1000000, 10000);
insert into relation_column (relation, column_name, base_type) values ('public.orders', 'customer_id', 'int8');
insert into column_statistics (relation, column_name, distinct_rows) values ('public.orders', 'customer_id', 50000);
insert into relation_index (relation, index) values ('public.orders', 'public.i');
insert into index_column (relation, index, position, column_name) values
    ('public.orders', 'public.i', 1, 'customer_id'), ('public.orders', 'public.i', 2, 'created_at');
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations) values ('a1', 1);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator) values
    ('a1', 'public.orders', 'orders', 1, 'customer_id', 'equality', '=');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 20000, 60000, 60, 10000000);
-- finds: nothing

-- example: an index that has the column only in second place, an invalid one, and a partial one for other rows
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'public', 'orders', 'table', 1000000, 10000);
insert into relation_column (relation, column_name, base_type) values ('public.orders', 'customer_id', 'int8');
insert into column_statistics (relation, column_name, distinct_rows) values ('public.orders', 'customer_id', 50000);
insert into relation_index (relation, index, is_valid, predicate) values
    ('public.orders', 'public.second', true, null),
    ('public.orders', 'public.invalid', false, null),
    ('public.orders', 'public.partial', true, '(archived = true)');
insert into index_column (relation, index, position, column_name) values
    ('public.orders', 'public.second', 1, 'created_at'), ('public.orders', 'public.second', 2, 'customer_id'),
    ('public.orders', 'public.invalid', 1, 'customer_id'),
    ('public.orders', 'public.partial', 1, 'customer_id');
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations) values ('a1', 1);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator) values
    ('a1', 'public.orders', 'orders', 1, 'customer_id', 'equality', '=');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 20000, 60000, 60, 10000000);
-- finds: public.orders (customer_id)

-- example: a partial index whose predicate the statement's condition implies
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'public', 'orders', 'table', 1000000, 10000);
insert into relation_column (relation, column_name, base_type) values ('public.orders', 'customer_id', 'int8');
insert into column_statistics (relation, column_name, distinct_rows) values ('public.orders', 'customer_id', 50000);
insert into relation_index (relation, index, predicate) values
    ('public.orders', 'public.partial', '(customer_id IS NOT NULL)');
insert into index_column (relation, index, position, column_name) values
    ('public.orders', 'public.partial', 1, 'customer_id');
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations) values ('a1', 1);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator) values
    ('a1', 'public.orders', 'orders', 1, 'customer_id', 'equality', '=');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 20000, 60000, 60, 10000000);
-- finds: nothing

-- example: equalities first, the most selective in front, then the range; two statements share the index
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.event', 'public.event', 'public', 'event', 'table', 5000000, 80000);
insert into relation_column (relation, column_name) values
    ('public.event', 'at'), ('public.event', 'tenant'), ('public.event', 'user_id'), ('public.event', 'is_new');
insert into column_statistics (relation, column_name, distinct_rows) values
    ('public.event', 'at', 5000000), ('public.event', 'tenant', 100), ('public.event', 'user_id', 1000),
    ('public.event', 'is_new', 2);
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('a2', 'select');
insert into shape (fingerprint, relations, has_aggregate) values ('a1', 1, true), ('a2', 1, true);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator) values
    ('a1', 'public.event', 'e', 1, 'tenant', 'equality', '='),
    ('a1', 'public.event', 'e', 2, 'at', 'range', '>'),
    ('a1', 'public.event', 'e', 3, 'user_id', 'equality', '='),
    ('a1', 'public.event', 'e', 4, 'is_new', 'equality', '='),
    ('a2', 'public.event', 'e', 1, 'user_id', 'equality', '=');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 1000, 600000, 600, 80000000),
    ('a2', 10, 10, 6000, 600, 800000);
-- finds: public.event (user_id, tenant, at)

-- example: a status with three values is no candidate, alone or with a flag
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'public', 'orders', 'table', 1000000, 10000);
insert into relation_column (relation, column_name) values ('public.orders', 'status'), ('public.orders', 'is_gift');
insert into column_statistics (relation, column_name, distinct_rows) values
    ('public.orders', 'status', 3), ('public.orders', 'is_gift', 2);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations, has_aggregate) values ('a1', 1, true);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator) values
    ('a1', 'public.orders', 'orders', 1, 'status', 'equality', '='),
    ('a1', 'public.orders', 'orders', 2, 'is_gift', 'equality', '=');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 1000, 60000, 60, 10000000);
-- finds: nothing

-- example: a small table is read whole for less than an index lookup costs
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.country', 'public.country', 'public', 'country', 'table', 9000, 120);
insert into relation_column (relation, column_name) values ('public.country', 'code');
insert into column_statistics (relation, column_name, distinct_rows) values ('public.country', 'code', 9000);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations) values ('a1', 1);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator) values
    ('a1', 'public.country', 'country', 1, 'code', 'equality', '=');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 100000, 100000, 60000, 0.6, 12000000);
-- finds: nothing

-- example: calls that touch a few blocks do not scan, whatever the catalog says
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'public', 'orders', 'table', 1000000, 10000);
insert into relation_column (relation, column_name) values ('public.orders', 'customer_id');
insert into column_statistics (relation, column_name, distinct_rows) values ('public.orders', 'customer_id', 50000);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations) values ('a1', 1);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator) values
    ('a1', 'public.orders', 'orders', 1, 'customer_id', 'equality', '=');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 20000, 20000, 20, 6000);
-- finds: nothing

-- example: the planner found a way by an index
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'public', 'orders', 'table', 1000000, 10000);
insert into relation_column (relation, column_name) values ('public.orders', 'customer_id');
insert into column_statistics (relation, column_name, distinct_rows) values ('public.orders', 'customer_id', 50000);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations) values ('a1', 1);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator) values
    ('a1', 'public.orders', 'orders', 1, 'customer_id', 'equality', '=');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 20000, 60000, 60, 10000000);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 100);
insert into plan_node (plan, node_type, relation, index, condition) values
    ('a1 1', 'Index Scan', 'public.orders', 'i', '(customer_id = $1)');
-- finds: nothing

-- example: statements on the parent and on a partition of it are reported once, at the parent
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.log', 'public.log', 'public', 'log', 'partitioned_table', null, 0),
    ('public.log_1', 'public.log', 'public', 'log_1', 'table', 1000000, 10000),
    ('public.log_2', 'public.log', 'public', 'log_2', 'table', 1000000, 10000);
insert into relation_column (relation, column_name) values ('public.log', 'user_id'), ('public.log_1', 'user_id');
insert into column_statistics (relation, column_name, distinct_rows) values
    ('public.log_1', 'user_id', 40000), ('public.log_2', 'user_id', 50000);
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('a2', 'select');
insert into shape (fingerprint, relations) values ('a1', 1), ('a2', 1);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator) values
    ('a1', 'public.log', 'log', 1, 'user_id', 'equality', '='),
    ('a2', 'public.log_1', 'log_1', 1, 'user_id', 'equality', '=');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 100, 2000, 12000, 120, 2000000),
    ('a2', 100, 2000, 6000, 60, 1000000);
-- finds: public.log (user_id)

-- example: a join looks up a few rows of the larger table
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'public', 'orders', 'table', 1000000, 10000),
    ('public.item', 'public.item', 'public', 'item', 'table', 3000000, 30000);
insert into relation_column (relation, column_name) values
    ('public.orders', 'id'), ('public.orders', 'customer_id'), ('public.item', 'order_id');
insert into column_statistics (relation, column_name, distinct_rows) values
    ('public.orders', 'id', 1000000), ('public.orders', 'customer_id', 50000), ('public.item', 'order_id', 1000000);
insert into relation_index (relation, index) values
    ('public.orders', 'public.orders_pkey'), ('public.orders', 'public.orders_customer');
insert into index_column (relation, index, position, column_name) values
    ('public.orders', 'public.orders_pkey', 1, 'id'), ('public.orders', 'public.orders_customer', 1, 'customer_id');
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations, joins) values ('a1', 2, 1);
insert into reference
    (fingerprint, relation, alias, clause, column_name, role, operator, other_relation, other_column)
values
    ('a1', 'public.orders', 'o', 1, 'customer_id', 'equality', '=', null, null),
    ('a1', 'public.orders', 'o', 2, 'id', 'join', '=', 'public.item', 'order_id'),
    ('a1', 'public.item', 'i', 2, 'order_id', 'join', '=', 'public.orders', 'id');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 60000, 200000, 200, 30100000);
-- finds: public.item (order_id)

-- example: a report that joins two tables whole is right to read them whole
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'public', 'orders', 'table', 1000000, 10000),
    ('public.item', 'public.item', 'public', 'item', 'table', 3000000, 30000);
insert into relation_column (relation, column_name) values ('public.orders', 'id'), ('public.item', 'order_id');
insert into column_statistics (relation, column_name, distinct_rows) values
    ('public.orders', 'id', 1000000), ('public.item', 'order_id', 1000000);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations, joins) values ('a1', 2, 1);
insert into reference
    (fingerprint, relation, alias, clause, column_name, role, operator, other_relation, other_column)
values
    ('a1', 'public.orders', 'o', 2, 'id', 'join', '=', 'public.item', 'order_id'),
    ('a1', 'public.item', 'i', 2, 'order_id', 'join', '=', 'public.orders', 'id');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 60000, 2000000, 2000, 40000000);
-- finds: nothing

-- example: a lookup by an expression wants an index on the expression
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.users', 'public.users', 'public', 'users', 'table', 1000000, 20000);
insert into relation_column (relation, column_name, base_type) values ('public.users', 'email', 'text');
insert into column_statistics (relation, column_name, distinct_rows) values ('public.users', 'email', 1000000);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations) values ('a1', 1);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator, expression) values
    ('a1', 'public.users', 'u', 1, 'email', 'equality', '=', 'lower(email)');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 1000, 200000, 200, 20000000);
-- finds: public.users (lower(email))

-- example: the expression has its index, which the server prints with casts
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.users', 'public.users', 'public', 'users', 'table', 1000000, 20000);
insert into relation_column (relation, column_name, base_type) values ('public.users', 'email', 'varchar');
insert into column_statistics (relation, column_name, distinct_rows) values ('public.users', 'email', 1000000);
insert into relation_index (relation, index) values ('public.users', 'public.users_email_lower');
insert into index_column (relation, index, position, expression) values
    ('public.users', 'public.users_email_lower', 1, 'lower((email)::text)');
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations) values ('a1', 1);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator, expression) values
    ('a1', 'public.users', 'u', 1, 'email', 'equality', '=', 'lower(email)');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 1000, 200000, 200, 20000000);
-- finds: nothing

-- example: a range that keeps few rows, as its calls show, and one that keeps half of them
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.payment', 'public.payment', 'public', 'payment', 'table', 1000000, 10000),
    ('public.invoice', 'public.invoice', 'public', 'invoice', 'table', 1000000, 10000);
insert into relation_column (relation, column_name) values ('public.payment', 'at'), ('public.invoice', 'at');
insert into column_statistics (relation, column_name, distinct_rows) values
    ('public.payment', 'at', 1000000), ('public.invoice', 'at', 1000000);
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('a2', 'select');
insert into shape (fingerprint, relations) values ('a1', 1), ('a2', 1);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator) values
    ('a1', 'public.payment', 'p', 1, 'at', 'range', '>='), ('a2', 'public.invoice', 'i', 1, 'at', 'range', '>=');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 1000000, 60000, 60, 10000000),
    ('a2', 1000, 500000000, 160000, 160, 10000000);
-- finds: public.payment (at)

-- example: a large table that was never analyzed, and one whose statistics the role may not read
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages, size_bytes) values
    ('public.returns', 'public.returns', 'public', 'returns', 'table', null, 0, 81920000),
    ('public.orders', 'public.orders', 'public', 'orders', 'table', 1000000, 10000, 81920000);
insert into relation_column (relation, column_name) values
    ('public.returns', 'order_id'), ('public.orders', 'customer_id');
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('a2', 'select');
insert into shape (fingerprint, relations, has_aggregate) values ('a1', 1, true), ('a2', 1, true);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator) values
    ('a1', 'public.returns', 'r', 1, 'order_id', 'equality', '='),
    ('a2', 'public.orders', 'o', 1, 'customer_id', 'equality', '=');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 1000, 60000, 60, 10000000),
    ('a2', 1000, 1000, 60000, 60, 10000000);
-- finds: not checked: public.orders
-- finds: not checked: public.returns

-- example: the few rows are the work of another condition, which no B-tree answers
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'public', 'orders', 'table', 1000000, 10000);
insert into relation_column (relation, column_name) values ('public.orders', 'status'), ('public.orders', 'note');
insert into column_statistics (relation, column_name, distinct_rows) values ('public.orders', 'status', 3);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations) values ('a1', 1);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator) values
    ('a1', 'public.orders', 'o', 1, 'status', 'equality', '='),
    ('a1', 'public.orders', 'o', 2, 'note', 'pattern', '~~*');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 2000, 160000, 160, 10000000);
-- finds: nothing

-- example: the few rows are those that IS NOT NULL keeps; four kinds tell little
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.event', 'public.event', 'public', 'event', 'table', 1000000, 10000);
insert into relation_column (relation, column_name) values ('public.event', 'kind'), ('public.event', 'deleted_at');
insert into column_statistics (relation, column_name, distinct_rows) values ('public.event', 'kind', 4);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations) values ('a1', 1);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator) values
    ('a1', 'public.event', 'e', 1, 'kind', 'equality', '='),
    ('a1', 'public.event', 'e', 2, 'deleted_at', 'null_test', 'is not null');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 2000, 160000, 160, 10000000);
-- finds: nothing

-- example: the planner was asked in the lab, and an index does not help
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'public', 'orders', 'table', 1000000, 10000);
insert into relation_column (relation, column_name) values ('public.orders', 'customer_id');
insert into column_statistics (relation, column_name, distinct_rows) values ('public.orders', 'customer_id', 50000);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations) values ('a1', 1);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator) values
    ('a1', 'public.orders', 'orders', 1, 'customer_id', 'equality', '=');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 700, 1400, 70000, 100, 7000000);
insert into what_if (fingerprint, cost_before, cost_after) values ('a1', 25000, 25000);
-- finds: nothing

-- example: a log that takes fifty million rows a day and is searched a few times
-- given: evidence
insert into database (database) values ('app');
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.log', 'public.log', 'public', 'log', 'table', 10000000, 100000);
insert into relation_counter (relation, inserted_rows, updated_rows) values ('public.log', 350000000, 0);
insert into relation_column (relation, column_name) values ('public.log', 'request_id');
insert into column_statistics (relation, column_name, distinct_rows) values ('public.log', 'request_id', 5000000);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations) values ('a1', 1);
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator) values
    ('a1', 'public.log', 'log', 1, 'request_id', 'equality', '=');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 70, 140, 70000, 1000, 7000000);
-- finds: nothing
