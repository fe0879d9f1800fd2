-- rule: foreign-key-without-index
-- title: Foreign key without an index on its columns
-- severity: warning
-- reads: relation, relation_constraint, foreign_key_index, relation_total, relation_use
-- message: Each delete (or change of key) in {referenced_relation} reads the whole of {relation} ({table_rows} rows,
--     {table_bytes}) to look for rows that point to it, because no index leads with {columns}; {deletes_seen}
-- fix: create index {concurrently}{index} on {relation} ({columns});
-- undo: drop index {concurrently}{index_with_schema};
-- param: min_rows = 10000 -- a smaller referencing table is read in a few milliseconds
-- param: min_referenced_rows = 1000 -- a smaller table that nobody deletes from is a lookup table and stays as it is
-- since: 0.1
--
-- ## Why it matters
-- PostgreSQL indexes the referenced key, never the referencing column. When a referenced row is deleted, or its key
-- changes, a trigger looks for referencing rows: without an index that *leads* with these columns it scans the whole
-- table, once for every deleted row, while the row locks are held. EXPLAIN shows it only as trigger time. Joins from
-- the referenced side miss the index as well.
--
-- ## What to do
-- Build it concurrently. The columns may stand in any order, and more columns may follow; a partial index serves only
-- where its predicate is `column is not null`.
--
-- ## When to leave it
-- Referenced rows are never deleted, their keys never change, and no query joins from that side: then the index would
-- only cost writes. That case is reported as info, and not at all for small lookup tables.

with unsupported as (
    select
        fk.database,
        fk.relation,
        fk.constraint_name,
        fk.columns,
        fk.referenced_relation,
        fk.referenced_columns,
        fk.on_delete,
        rel.name,
        rel.schema,
        rel.root,
        rel.kind,
        coalesce(target.root, fk.referenced_relation) as referenced_root
    from relation_constraint as fk
    join relation as rel on rel.database = fk.database and rel.relation = fk.relation
    left join relation as target on target.database = fk.database and target.relation = fk.referenced_relation
    left join foreign_key_index as support
        on support.database = fk.database
        and support.relation = fk.relation
        and support.constraint_name = fk.constraint_name
    where fk.kind = 'foreign_key'
        and support.index is null
        -- the parent's constraint stands for those of its partitions
        and not fk.is_inherited
        and fk.is_enforced
        and fk.columns is not null
        and rel.extension is null
),
judged as (
    select
        unsupported.*,
        total.tuple_rows as table_rows,
        total.size_bytes as table_bytes,
        target.deleted_rows,
        target.tuple_rows as referenced_rows,
        coalesce(target.has_counters, false) as has_counters,
        use.delete_ms_per_day as exposure_ms_per_day,
        left(unsupported.name || '_' || replace(replace(unsupported.columns, ', ', '_'), '"', ''), 59) || '_idx'
            as plain_name,
        -- two foreign keys on the same columns are cured by one index
        row_number() over (
            partition by unsupported.database, unsupported.relation, unsupported.columns
            order by target.deleted_rows desc nulls last, unsupported.constraint_name
        ) as rank
    from unsupported
    join relation_total as total on total.database = unsupported.database and total.relation = unsupported.root
    left join relation_total as target
        on target.database = unsupported.database and target.relation = unsupported.referenced_root
    left join relation_use as use
        on use.database = unsupported.database and use.relation = unsupported.referenced_root
    where total.tuple_rows >= $min_rows
),
named as (
    select
        *,
        case
            when regexp_matches(plain_name, '^[a-z_][a-z0-9_]*$') then plain_name
            else '"' || replace(plain_name, '"', '""') || '"'
        end as index
    from judged
    where rank = 1
        and (deleted_rows > 0 or referenced_rows >= $min_referenced_rows)
)

select
    database,
    relation || ' (' || columns || ')' as subject,
    relation || ' (' || columns || ')' as root,
    case when deleted_rows > 0 then 'warning' else 'info' end as severity,
    relation,
    columns,
    constraint_name,
    referenced_relation,
    referenced_columns,
    on_delete,
    table_rows,
    table_bytes,
    referenced_rows,
    case when has_counters then deleted_rows end as deleted_rows,
    exposure_ms_per_day,
    case
        when deleted_rows = 1 then 'one row was deleted there so far. Build the index.'
        when deleted_rows > 1 then deleted_rows || ' rows were deleted there so far. Build the index.'
        when has_counters then 'none was deleted there so far: build the index before that changes.'
        else 'how many were deleted there is not counted here. Build the index unless it is none.'
    end as deletes_seen,
    kind,
    index,
    -- a partitioned table takes no concurrent build
    case when kind = 'partitioned_table' then '' else 'concurrently ' end as concurrently,
    case
        when regexp_matches(schema, '^[a-z_][a-z0-9_]*$') then schema
        else '"' || replace(schema, '"', '""') || '"'
    end || '.' || index as index_with_schema,
    -- 8 bytes a key, 12 of entry and line pointer, 90 % full
    (table_rows * (12 + 8 * (1 + length(columns) - length(replace(columns, ',', '')))) / 0.9)::bigint as fix_disk_bytes,
    table_bytes as fix_read_bytes
from named;

-- example: orders point to customers, which are deleted
-- given: evidence
insert into relation (relation, root, kind, name, schema, tuple_rows) values
    ('public.orders', 'public.orders', 'table', 'orders', 'public', 50000),
    ('public.customers', 'public.customers', 'table', 'customers', 'public', 500);
insert into relation_counter (relation, deleted_rows) values ('public.customers', 3);
insert into relation_constraint (relation, constraint_name, kind, columns, referenced_relation) values
    ('public.orders', 'orders_fk', 'foreign_key', 'customer_id', 'public.customers');
insert into constraint_column (relation, constraint_name, position, column_name) values
    ('public.orders', 'orders_fk', 1, 'customer_id');
-- finds: public.orders (customer_id)

-- example: an index that has the column, but does not lead with it; another that is partial
-- given: evidence
insert into relation (relation, root, kind, name, tuple_rows) values
    ('public.orders', 'public.orders', 'table', 'orders', 50000),
    ('public.customers', 'public.customers', 'table', 'customers', 5000);
insert into relation_counter (relation, deleted_rows) values ('public.customers', 3);
insert into relation_constraint (relation, constraint_name, kind, columns, referenced_relation) values
    ('public.orders', 'orders_fk', 'foreign_key', 'customer_id', 'public.customers');
insert into constraint_column (relation, constraint_name, position, column_name) values
    ('public.orders', 'orders_fk', 1, 'customer_id');
insert into relation_index (relation, index, predicate) values
    ('public.orders', 'public.a', null), ('public.orders', 'public.b', '(paid = true)');
insert into index_column (relation, index, position, column_name) values
    ('public.orders', 'public.a', 1, 'created_at'), ('public.orders', 'public.a', 2, 'customer_id'),
    ('public.orders', 'public.b', 1, 'customer_id');
-- finds: public.orders (customer_id)

-- example: any order of its columns will do, with more behind, and so does an index of all that is not null
-- given: evidence
insert into relation (relation, root, kind, name, tuple_rows) values
    ('public.items', 'public.items', 'table', 'items', 50000),
    ('public.orders', 'public.orders', 'table', 'orders', 50000);
insert into relation_counter (relation, deleted_rows) values ('public.orders', 300);
insert into relation_constraint (relation, constraint_name, kind, columns, referenced_relation) values
    ('public.items', 'items_fk', 'foreign_key', 'tenant, order_id', 'public.orders'),
    ('public.items', 'gift_fk', 'foreign_key', 'gift_id', 'public.orders');
insert into constraint_column (relation, constraint_name, position, column_name) values
    ('public.items', 'items_fk', 1, 'tenant'), ('public.items', 'items_fk', 2, 'order_id'),
    ('public.items', 'gift_fk', 1, 'gift_id');
insert into relation_index (relation, index, predicate) values
    ('public.items', 'public.a', null), ('public.items', 'public.b', '(gift_id IS NOT NULL)');
insert into index_column (relation, index, position, column_name) values
    ('public.items', 'public.a', 1, 'order_id'), ('public.items', 'public.a', 2, 'tenant'),
    ('public.items', 'public.a', 3, 'line'), ('public.items', 'public.b', 1, 'gift_id');
-- finds: nothing

-- example: a small referencing table, and a lookup table that nobody deletes from
-- given: evidence
insert into relation (relation, root, kind, name, tuple_rows) values
    ('public.orders', 'public.orders', 'table', 'orders', 5000000),
    ('public.status', 'public.status', 'table', 'status', 7),
    ('public.notes', 'public.notes', 'table', 'notes', 800);
insert into relation_counter (relation, deleted_rows) values ('public.orders', 900), ('public.status', 0);
insert into relation_constraint (relation, constraint_name, kind, columns, referenced_relation) values
    ('public.orders', 'status_fk', 'foreign_key', 'status', 'public.status'),
    ('public.notes', 'notes_fk', 'foreign_key', 'order_id', 'public.orders');
insert into constraint_column (relation, constraint_name, position, column_name) values
    ('public.orders', 'status_fk', 1, 'status'), ('public.notes', 'notes_fk', 1, 'order_id');
-- finds: nothing

-- example: a partitioned table once, its partitions not at all
-- given: evidence
insert into relation (relation, root, kind, name, tuple_rows) values
    ('public.log', 'public.log', 'partitioned_table', 'log', null),
    ('public.log_1', 'public.log', 'table', 'log_1', 40000), ('public.log_2', 'public.log', 'table', 'log_2', 40000),
    ('public.users', 'public.users', 'table', 'users', 4000);
insert into relation_counter (relation, deleted_rows) values ('public.users', 4);
insert into relation_constraint (relation, constraint_name, kind, columns, referenced_relation, is_inherited) values
    ('public.log', 'fk', 'foreign_key', 'user_id', 'public.users', false),
    ('public.log_1', 'fk', 'foreign_key', 'user_id', 'public.users', true),
    ('public.log_2', 'fk', 'foreign_key', 'user_id', 'public.users', true);
insert into constraint_column (relation, constraint_name, position, column_name) values
    ('public.log', 'fk', 1, 'user_id'), ('public.log_1', 'fk', 1, 'user_id'), ('public.log_2', 'fk', 1, 'user_id');
-- finds: public.log (user_id)
