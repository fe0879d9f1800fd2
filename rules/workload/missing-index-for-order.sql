-- rule: missing-index-for-order
-- title: ORDER BY … LIMIT sorts many rows to return a few
-- severity: warning
-- reads: reference, shape, workload, statement_filter, relation_extent, relation, relation_index, index_column,
--     plan, plan_node, what_if
-- message: {calls} calls of {mean_ms} each read and sort about {sorted_rows} rows of {relation} to return
--     {rows_per_call}: no index gives the order; create one on ({keys}).
-- fix: {fix_sql}
-- undo: {undo_sql}
-- param: least_sorted_rows = 1000 -- fewer are sorted in a millisecond
-- param: least_pages = 128 -- 1 MB: a table below this is read in no time
-- param: most_returned_share = 0.1 -- of the rows sorted; to return more, a sort is right
-- param: least_read_share = 0.3 -- of the blocks of the rows sorted, per call; one that reads less found an order
-- param: scan_rows_per_ms = 100000 -- no server reads and sorts rows faster, so a shorter call sorted fewer
-- param: least_calls = 10 -- an index for a statement run by hand costs more than it saves …
-- param: least_ms_per_day = 60000 -- … unless it takes a minute a day
-- param: saved = 0.5 -- share of the time spent on rows thrown away that an index is expected to save
-- param: saved_low = 0.2 -- the same, cautiously
-- since: 0.1
--
-- ## Why it matters
-- To know which rows come first the server has to read all that match and sort them, however small the LIMIT is. An
-- index that holds the columns compared for equality and behind them those of ORDER BY has the rows in that order: the
-- scan stops after the first few.
--
-- ## What to do
-- Create the index. A B-tree is read in both directions, so a single DESC needs no index of its own; only a mix of
-- directions does, or NULLS FIRST and LAST against the habit of the direction.
--
-- ## When to leave it
-- When the LIMIT is nearly as large as what matches, or the statement runs rarely. And where another condition throws
-- most rows away, an index by the order may be read almost whole before enough rows are found.

with ordering as (
    select
        reference.database,
        reference.fingerprint,
        reference.relation,
        reference.alias,
        string_agg(
            case
                when translate(column_name, 'abcdefghijklmnopqrstuvwxyz0123456789_', '') = ''
                    and translate(left(column_name, 1), '0123456789', '') <> ''
                    then column_name
                else '"' || replace(column_name, '"', '""') || '"'
            end
            || case when is_descending then ' desc' else '' end
            || case
                when is_descending and not is_nulls_first then ' nulls last'
                when not is_descending and is_nulls_first then ' nulls first'
                else ''
            end,
            ', ' order by position
        ) as keys,
        string_agg(
            case
                when translate(column_name, 'abcdefghijklmnopqrstuvwxyz0123456789_', '') = ''
                    and translate(left(column_name, 1), '0123456789', '') <> ''
                    then column_name
                else '"' || replace(column_name, '"', '""') || '"'
            end,
            ', ' order by position
        ) as plain_keys,
        min(case when position = 1 then column_name end) as first_column,
        bool_or(position = 1 and is_descending) as is_first_descending,
        bool_or(position = 1 and is_nulls_first) as is_first_nulls_first,
        -- one direction throughout, nulls where they go by habit: the plain index serves, backwards if need be
        (bool_and(is_descending) or not bool_or(is_descending))
            and bool_and(is_descending = coalesce(is_nulls_first, is_descending)) as is_plain
    from reference
    where role = 'order'
        and block = 0
    group by reference.database, reference.fingerprint, reference.relation, reference.alias
    having bool_and(expression is null and cast_type is null and column_name <> '*')
        and count(*) = max(position)
        and min(position) = 1
),
-- conditions other than equalities, and ranges over the first column of the order, decide how far an ordered scan goes
disturbed as (
    select distinct reference.database, reference.fingerprint
    from reference
    left join ordering using (database, fingerprint)
    where reference.is_disjunct
        or reference.role in ('pattern', 'in_subquery', 'not_in_subquery', 'join')
        or (reference.role in ('other', 'null_test') and reference.clause > 0)
        or (
            reference.role = 'equality'
            and (
                reference.operator in ('in', '= any')
                or reference.expression is not null
                or reference.cast_type is not null
            )
        )
        or (
            reference.role = 'range'
            and (reference.expression is not null or reference.column_name <> coalesce(ordering.first_column, ''))
        )
),
condition as (
    select
        database,
        fingerprint,
        alias,
        string_agg(key, ', ' order by share nulls last, key) filter (where kind = 'equality') as equality_keys,
        min(case when kind = 'equality' then share end) as least_share,
        exp(sum(ln(greatest(share, 1e-12)))) as own_share,
        bool_or(share is null) as is_unknown,
        bool_or(index is not null) as has_index
    from statement_filter
    where block = 0
    group by database, fingerprint, alias
),
-- how many leading columns of an index are compared for equality, and whether the order's first column comes next
index_walk as (
    select
        ordering.database,
        ordering.fingerprint,
        ordering.first_column,
        col.index,
        col.position,
        col.column_name,
        coalesce(bool_and(coalesce(equal.kind = 'equality', false)) over (
            partition by ordering.database, ordering.fingerprint, col.index
            order by col.position
            rows between unbounded preceding and 1 preceding
        ), true) as is_reached,
        -- read forwards or backwards
        (col.is_descending = ordering.is_first_descending)
            = (col.is_nulls_first = coalesce(ordering.is_first_nulls_first, ordering.is_first_descending))
            as gives_order
    from ordering
    join relation_extent as extent
        on extent.database = ordering.database and extent.relation = ordering.relation
    join relation_extent as part
        on part.database = extent.database and part.root = extent.root
    join relation_index as idx
        on idx.database = part.database
        and idx.relation = part.relation
        and idx.is_valid
        and idx.access_method = 'btree'
    join index_column as col
        on col.database = idx.database and col.index = idx.index and col.is_key
    left join statement_filter as equal
        on equal.database = ordering.database
        and equal.fingerprint = ordering.fingerprint
        and equal.block = 0
        and equal.alias = ordering.alias
        and equal.column_name = col.column_name
        and equal.kind = 'equality'
),
ordered_by_index as (
    select distinct database, fingerprint
    from index_walk
    where is_reached and column_name = first_column and gives_order
),
planned as (
    select
        plan.database,
        plan.fingerprint,
        bool_or(node.node_type = 'Sort') as has_sort
    from plan
    join plan_node as node on node.plan = plan.plan
    group by plan.database, plan.fingerprint
),
candidate as (
    select
        ordering.*,
        extent.root,
        extent.rows * coalesce(condition.own_share, 1) as sorted_rows,
        extent.rows,
        extent.pages,
        extent.part_pages,
        coalesce(condition.has_index, false) as has_index,
        coalesce(condition.equality_keys || ', ', '') || case when is_plain then plain_keys else keys end as index_keys,
        coalesce(
            split_part(condition.equality_keys, ', ', 1),
            split_part(case when is_plain then plain_keys else keys end, ', ', 1)
        ) as leading_key,
        planned.has_sort,
        workload.calls,
        workload.calls_per_day,
        workload.mean_ms,
        workload.rows_per_call,
        workload.execution_ms,
        workload.execution_ms_per_day,
        workload.text,
        (workload.blocks_hit + workload.blocks_read)::double / workload.calls as blocks_per_call
    from ordering
    join shape on shape.fingerprint = ordering.fingerprint
    join workload on workload.database = ordering.database and workload.fingerprint = ordering.fingerprint
    -- where the lab has asked the planner, its answer counts: statements-without-index
    left join (select distinct database, fingerprint from what_if) as judged
        on judged.database = workload.database and judged.fingerprint = workload.fingerprint
    join relation_extent as extent
        on extent.database = ordering.database and extent.relation = ordering.relation
    left join condition
        on condition.database = ordering.database
        and condition.fingerprint = ordering.fingerprint
        and condition.alias = ordering.alias
    left join planned
        on planned.database = ordering.database and planned.fingerprint = ordering.fingerprint
    left join disturbed
        on disturbed.database = ordering.database and disturbed.fingerprint = ordering.fingerprint
    left join ordered_by_index
        on ordered_by_index.database = ordering.database and ordered_by_index.fingerprint = ordering.fingerprint
    left join statement_filter as fixed
        -- a column that is compared for equality orders nothing
        on fixed.database = ordering.database
        and fixed.fingerprint = ordering.fingerprint
        and fixed.block = 0
        and fixed.column_name = ordering.first_column
        and fixed.kind = 'equality'
    where judged.fingerprint is null
        and workload.kind = 'select'
        and shape.has_limit
        and shape.relations = 1
        and shape.subqueries = 0
        and shape.common_tables = 0
        and not (
            shape.has_group_by or shape.has_distinct or shape.has_aggregate or shape.has_window
            or shape.has_set_operation or shape.has_offset
        )
        and disturbed.fingerprint is null
        and ordered_by_index.fingerprint is null
        and fixed.fingerprint is null
        and extent.rows is not null
        and extent.pages >= $least_pages
        and not coalesce(condition.is_unknown, false)
        and coalesce(planned.has_sort, true)
        and (workload.calls >= $least_calls or workload.execution_ms_per_day >= $least_ms_per_day)
),
chosen as (
    select
        candidate.*,
        first_value(index_keys) over (
            partition by database, root, leading_key order by execution_ms desc, index_keys
        ) as chosen_keys
    from candidate
    where sorted_rows >= $least_sorted_rows
        and rows_per_call <= $most_returned_share * sorted_rows
        and mean_ms >= sorted_rows * part_pages / pages / $scan_rows_per_ms
        -- 0 blocks: the source of the counters knows none
        and (
            blocks_per_call = 0
            or blocks_per_call >= $least_read_share * part_pages
                * case when has_index then sorted_rows / rows else 1 end
        )
),
named as (
    select
        chosen.*,
        relation.kind,
        relation.schema,
        case when regexp_matches(lower(relation.name), '^[a-z]') then '' else 'ix_' end || rtrim(left(
            regexp_replace(lower(relation.name || '_' || chosen_keys), '[^a-z0-9]+', '_', 'g'), 55
        ), '_') as stem
    from chosen
    join relation on relation.database = chosen.database and relation.relation = chosen.root
    where relation.extension is null
),
spelled as (
    select
        named.*,
        stem || case when taken.index is null then '_idx' else '_idx2' end as index_name,
        case
            when regexp_matches(schema, '^[a-z_][a-z0-9_]*$') then schema
            else '"' || replace(schema, '"', '""') || '"'
        end as index_schema
    from named
    left join relation_index as taken
        on taken.database = named.database and taken.index = named.schema || '.' || named.stem || '_idx'
)

select
    database,
    root || ' (' || chosen_keys || ')' as subject,
    root || ' (' || leading_key || ')' as root,
    has_sort is true as is_sort_planned,
    fingerprint,
    execution_ms_per_day * (1 - rows_per_call / sorted_rows) * $saved as impact_ms_per_day,
    execution_ms_per_day * (1 - rows_per_call / sorted_rows) * $saved_low as impact_low_ms_per_day,
    root as relation,
    kind,
    chosen_keys as keys,
    sorted_rows,
    rows as table_rows,
    calls,
    calls_per_day,
    mean_ms,
    rows_per_call,
    blocks_per_call,
    pages * 8192 as fix_read_bytes,
    rows * (24 + 8 * (length(chosen_keys) - length(replace(chosen_keys, ',', '')))) as fix_disk_bytes,
    text,
    case
        when kind = 'partitioned_table' then
            '-- CONCURRENTLY does not work on a partitioned table: build the index of each partition concurrently,'
            || ' attach it to this one, and it becomes valid with the last.' || chr(10)
            || 'create index ' || index_name || ' on only ' || root || ' (' || chosen_keys || ');'
        else 'create index concurrently ' || index_name || ' on ' || root || ' (' || chosen_keys || ');'
    end as fix_sql,
    case when kind = 'partitioned_table' then 'drop index ' else 'drop index concurrently ' end
        || index_schema || '.' || index_name || ';' as undo_sql
from spelled;

-- example: the latest of all rows
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.reviews', 'public.reviews', 'public', 'reviews', 'table', 90000, 2000);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations, has_limit, has_order_by) values ('a1', 1, true, true);
insert into reference (fingerprint, relation, alias, column_name, role, position, is_descending, is_nulls_first) values
    ('a1', 'public.reviews', 'reviews', 'created_at', 'order', 1, true, true);
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 20000, 30000, 30, 2000000);
-- finds: public.reviews (created_at)

-- example: the latest of a customer with many rows; the index on the customer alone leaves the sort
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.event', 'public.event', 'public', 'event', 'table', 5000000, 80000);
insert into relation_column (relation, column_name) values ('public.event', 'customer_id');
insert into column_statistics (relation, column_name, distinct_rows) values ('public.event', 'customer_id', 100);
insert into relation_index (relation, index) values ('public.event', 'public.event_customer');
insert into index_column (relation, index, position, column_name) values
    ('public.event', 'public.event_customer', 1, 'customer_id');
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations, has_limit, has_order_by) values ('a1', 1, true, true);
insert into reference
    (fingerprint, relation, alias, clause, column_name, role, operator, position, is_descending, is_nulls_first)
values
    ('a1', 'public.event', 'e', 1, 'customer_id', 'equality', '=', null, null, null),
    ('a1', 'public.event', 'e', 0, 'at', 'order', '', 1, true, true),
    ('a1', 'public.event', 'e', 0, 'id', 'order', '', 2, false, false);
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 10000, 100000, 100, 40000000);
-- finds: public.event (customer_id, at desc, id)

-- example: an index gives the order, forwards or backwards, behind the equality or alone
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.reviews', 'public.reviews', 'public', 'reviews', 'table', 90000, 2000),
    ('public.event', 'public.event', 'public', 'event', 'table', 5000000, 80000);
insert into relation_column (relation, column_name) values ('public.event', 'customer_id');
insert into column_statistics (relation, column_name, distinct_rows) values ('public.event', 'customer_id', 100);
insert into relation_index (relation, index) values ('public.reviews', 'public.r'), ('public.event', 'public.e');
insert into index_column (relation, index, position, column_name) values
    ('public.reviews', 'public.r', 1, 'created_at'),
    ('public.event', 'public.e', 1, 'customer_id'), ('public.event', 'public.e', 2, 'at');
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('a2', 'select');
insert into shape (fingerprint, relations, has_limit, has_order_by) values ('a1', 1, true, true), ('a2', 1, true, true);
insert into reference
    (fingerprint, relation, alias, clause, column_name, role, operator, position, is_descending, is_nulls_first)
values
    ('a1', 'public.reviews', 'reviews', 0, 'created_at', 'order', '', 1, true, true),
    ('a2', 'public.event', 'e', 1, 'customer_id', 'equality', '=', null, null, null),
    ('a2', 'public.event', 'e', 0, 'at', 'order', '', 1, false, false);
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 20000, 30000, 30, 2000000),
    ('a2', 1000, 20000, 100000, 100, 40000000);
-- finds: nothing

-- example: an index on a nullable column gives no NULLS LAST to a descending order
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.reviews', 'public.reviews', 'public', 'reviews', 'table', 90000, 2000);
insert into relation_index (relation, index) values ('public.reviews', 'public.r');
insert into index_column (relation, index, position, column_name) values ('public.reviews', 'public.r', 1, 'rated_at');
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations, has_limit, has_order_by) values ('a1', 1, true, true);
insert into reference (fingerprint, relation, alias, column_name, role, position, is_descending, is_nulls_first) values
    ('a1', 'public.reviews', 'reviews', 'rated_at', 'order', 1, true, false);
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 20000, 30000, 30, 2000000);
-- finds: public.reviews (rated_at desc nulls last)

-- example: ten orders of one customer are sorted in no time
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'public', 'orders', 'table', 1000000, 10000);
insert into relation_column (relation, column_name) values ('public.orders', 'customer_id');
insert into column_statistics (relation, column_name, distinct_rows) values ('public.orders', 'customer_id', 100000);
insert into relation_index (relation, index) values ('public.orders', 'public.o');
insert into index_column (relation, index, position, column_name) values
    ('public.orders', 'public.o', 1, 'customer_id');
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations, has_limit, has_order_by) values ('a1', 1, true, true);
insert into reference
    (fingerprint, relation, alias, clause, column_name, role, operator, position, is_descending, is_nulls_first)
values
    ('a1', 'public.orders', 'o', 1, 'customer_id', 'equality', '=', null, null, null),
    ('a1', 'public.orders', 'o', 0, 'created_at', 'order', '', 1, true, true);
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 100000, 1000000, 20000, 0.2, 1200000);
-- finds: nothing

-- example: an export that returns all that it sorts, and a table too small to matter
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.orders', 'public.orders', 'public', 'orders', 'table', 1000000, 10000),
    ('public.category', 'public.category', 'public', 'category', 'table', 2000, 20);
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('a2', 'select');
insert into shape (fingerprint, relations, has_limit, has_order_by) values ('a1', 1, true, true), ('a2', 1, true, true);
insert into reference (fingerprint, relation, alias, column_name, role, position, is_descending, is_nulls_first) values
    ('a1', 'public.orders', 'orders', 'created_at', 'order', 1, false, false),
    ('a2', 'public.category', 'category', 'name', 'order', 1, false, false);
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 100, 50000000, 300000, 3000, 1000000),
    ('a2', 10000, 200000, 20000, 2, 200000);
-- finds: nothing

-- example: the planner was asked in the lab, and an index does not help
-- given: evidence
insert into relation (relation, root, schema, name, kind, tuple_rows, pages) values
    ('public.reviews', 'public.reviews', 'public', 'reviews', 'table', 90000, 2000);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations, has_limit, has_order_by) values ('a1', 1, true, true);
insert into reference (fingerprint, relation, alias, column_name, role, position, is_descending, is_nulls_first) values
    ('a1', 'public.reviews', 'reviews', 'created_at', 'order', 1, true, true);
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms, shared_blocks_hit) values
    ('a1', 1000, 20000, 30000, 30, 2000000);
insert into what_if (fingerprint, cost_before, cost_after) values ('a1', 25000, 25000);
-- finds: nothing
