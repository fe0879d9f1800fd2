-- rule: no-primary-key
-- title: Table without a primary key
-- severity: warning
-- reads: relation, relation_constraint, relation_index, index_column, relation_column, relation_total
-- message: {relation} ({table_rows} rows) has no primary key: {consequence}; {what_to_do}.
-- fix: {fix_sql}
-- param: min_rows = 1000 -- a table of a few rows is found by eye
-- since: 0.1
--
-- ## Why it matters
-- Without a key a duplicate row cannot be told from its twin, nor deleted alone. Logical replication refuses updates
-- and deletes on such a table when it is published (no replica identity), tools that copy or repack tables online need
-- one, and `group by` the key cannot stand for all the other columns.
--
-- ## What to do
-- Where a unique index on columns that are not null exists, promote it: that takes a moment. Otherwise choose the
-- natural key, build a unique index on it concurrently and promote that; a new identity column rewrites the table.
--
-- ## When to leave it
-- Rows are only ever appended and read by range (raw events, metrics), or the table is a staging area that is
-- truncated. Both are reported as info.

with keyed as (
    select distinct database, relation from relation_constraint where kind = 'primary_key'
),
-- unique, whole, and over columns that cannot be null: as good as a primary key
replacement as (
    select
        idx.database,
        idx.relation,
        idx.index,
        idx.key_columns,
        idx.constraint_name
    from relation_index as idx
    join index_column as part on part.database = idx.database and part.index = idx.index
    left join relation_column as col
        on col.database = part.database and col.relation = part.relation and col.column_name = part.column_name
    where idx.is_unique
        and idx.is_valid
        and idx.predicate is null
        and not idx.has_expressions
        and part.is_key
    group by idx.database, idx.relation, idx.index, idx.key_columns, idx.constraint_name
    having bool_and(coalesce(col.is_not_null, false))
),
best as (
    select
        *,
        -- one that is no constraint yet can become the key at once
        row_number() over (
            partition by database, relation order by constraint_name is not null, length(key_columns), index
        ) as rank
    from replacement
),
keyless as (
    select
        rel.database,
        rel.relation,
        rel.name,
        rel.kind,
        total.tuple_rows as table_rows,
        total.size_bytes,
        -- a standby counts no writes
        case when total.has_counters then total.updated_rows + total.deleted_rows end as changed_rows,
        best.index as unique_index,
        best.key_columns as unique_columns,
        best.constraint_name as unique_constraint
    from relation as rel
    join relation_total as total on total.database = rel.database and total.relation = rel.root
    left join keyed on keyed.database = rel.database and keyed.relation = rel.relation
    left join best on best.database = rel.database and best.relation = rel.relation and best.rank = 1
    where rel.kind in ('table', 'partitioned_table')
        -- partitions have the key of their parent
        and not rel.is_partition
        and rel.persistence = 'permanent'
        and rel.extension is null
        and keyed.relation is null
        and total.size_bytes > 0
)

select
    database,
    relation as subject,
    case
        when unique_index is not null or coalesce(changed_rows, 0) = 0 or coalesce(table_rows, 0) < $min_rows
            then 'info'
        else 'warning'
    end as severity,
    relation,
    table_rows,
    size_bytes,
    changed_rows,
    unique_index,
    case
        when unique_index is not null
            then 'its unique index on ' || unique_columns || ' does the work, but replication and tools ask for the key'
        when changed_rows is null
            then 'duplicates cannot be told apart, and logical replication would refuse updates and deletes'
        when changed_rows = 0 then 'nothing was ever updated or deleted, but duplicates cannot be told apart'
        else 'rows are updated or deleted, yet duplicates cannot be told apart and logical replication would refuse to'
    end as consequence,
    case when unique_index is not null then 'promote that index' else 'choose one' end as what_to_do,
    case
        when unique_constraint is not null then
            '-- it is a constraint already; logical replication can use it as well:' || chr(10)
            || 'alter table ' || relation || ' replica identity using index '
            || regexp_replace(unique_index, '^("([^"]|"")*"|[^".]*)\.', '') || ';'
        when unique_index is not null then
            'alter table ' || relation || ' add primary key using index '
            || regexp_replace(unique_index, '^("([^"]|"")*"|[^".]*)\.', '') || ';'
        else
            '-- rewrites the table; a natural key that exists needs no new column' || chr(10)
            || 'alter table ' || relation || ' add column id bigint generated always as identity primary key;'
    end as fix_sql
from keyless;

-- example: rows come, change and go, and nothing tells them apart
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, size_bytes) values
    ('public.orders', 'public.orders', 'table', 50000, 8000000);
insert into relation_counter (relation, deleted_rows) values ('public.orders', 10);
-- finds: public.orders

-- example: a partitioned table once
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, size_bytes, is_partition) values
    ('public.log', 'public.log', 'partitioned_table', null, null, false),
    ('public.log_1', 'public.log', 'table', 50000, 8000000, true),
    ('public.log_2', 'public.log', 'table', 50000, 8000000, true);
-- finds: public.log

-- example: on a standby, where writes are not counted
-- given: evidence
insert into server (is_standby) values (true);
insert into relation (relation, root, kind, tuple_rows, size_bytes) values
    ('public.orders', 'public.orders', 'table', 50000, 8000000);
insert into relation_counter (relation, deleted_rows) values ('public.orders', 0);
-- finds: public.orders

-- example: a primary key, an empty table, an unlogged one, a view, and one of an extension
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, size_bytes, persistence, extension) values
    ('public.orders', 'public.orders', 'table', 50000, 8000000, 'permanent', null),
    ('public.empty', 'public.empty', 'table', 0, 0, 'permanent', null),
    ('public.cache', 'public.cache', 'table', 50000, 8000000, 'unlogged', null),
    ('public.v', 'public.v', 'view', null, null, 'permanent', null),
    ('public.spatial', 'public.spatial', 'table', 50000, 8000000, 'permanent', 'postgis');
insert into relation_constraint (relation, constraint_name, kind) values
    ('public.orders', 'orders_pkey', 'primary_key');
-- finds: nothing

-- example: a unique index over what cannot be null (reported as info, to be promoted)
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, size_bytes) values
    ('public.orders', 'public.orders', 'table', 50000, 8000000);
insert into relation_counter (relation, deleted_rows) values ('public.orders', 10);
insert into relation_column (relation, column_name, is_not_null) values ('public.orders', 'number', true);
insert into relation_index (relation, index, is_unique) values ('public.orders', 'public.orders_number', true);
insert into index_column (relation, index, position, column_name) values
    ('public.orders', 'public.orders_number', 1, 'number');
-- finds: public.orders
