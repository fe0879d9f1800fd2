-- rule: index-bloat
-- title: Index with far more pages than its entries need
-- severity: warning
-- reads: relation, relation_index, index_family, index_column, column_statistics, relation_counter
-- message: {index} takes {size_bytes} for entries that need at most {expected_bytes} ({factor} times): lookups read
--     half-empty pages and the cache holds them. Rebuild it concurrently.
-- fix: reindex index concurrently {index};
-- param: min_factor = 3 -- a B-tree with random inserts is at 1.5, and the estimate is rough
-- param: min_wasted_bytes = 104857600 -- under 100 MB a rebuild saves little
-- since: 0.1
--
-- ## Why it matters
-- A page of a B-tree is freed only when its last entry goes. After mass deletes, or updates that move through the key,
-- pages with a few entries each are left: the index is larger than its table, and range scans read many pages for few
-- rows.
--
-- ## What to do
-- `reindex index concurrently` builds a new one beside it and swaps them; it needs the disk for both for a while.
--
-- ## When to leave it
-- Entries will come back in the same key range, as in a queue that empties every night. The estimate takes the widths
-- that ANALYZE found and no deduplication, so it errs on the quiet side; `pgstatindex` measures.

with key_size as (
    select
        part.database,
        part.index,
        bool_and(stat.relation is not null) as is_known,
        -- values end on multiples of 8 at worst; nulls need a bitmap
        sum(
            (1 - stat.null_fraction)
            * (stat.average_width_bytes + case when stat.average_width_bytes in (8, 16) then 0 else 3 end)
        ) as data_bytes,
        max(stat.null_fraction) > 0 as has_nulls
    from index_column as part
    left join column_statistics as stat
        on stat.database = part.database
        and stat.relation = part.relation
        and stat.column_name = part.column_name
        and not stat.is_inherited
    group by part.database, part.index
),
part as (
    select
        idx.database,
        idx.relation,
        family.top_index as index,
        family.top_relation,
        idx.size_bytes,
        case
            when idx.predicate is null then greatest(idx.tuple_rows, rel.tuple_rows, counter.live_rows)
            else idx.tuple_rows
        end as entries,
        -- 8 of header, 8 more with a bitmap, the values to the next multiple of 8, and a line pointer of 4
        8 + case when key_size.has_nulls then 8 else 0 end + ceil(key_size.data_bytes / 8) * 8 + 4 as entry_bytes,
        8152 * coalesce(idx.fill_factor, 90) / 100.0 as page_bytes
    from relation_index as idx
    join index_family as family on family.database = idx.database and family.index = idx.index
    join relation as rel on rel.database = idx.database and rel.relation = idx.relation
    join key_size on key_size.database = idx.database and key_size.index = idx.index
    left join relation_counter as counter on counter.database = idx.database and counter.relation = idx.relation
    where idx.access_method = 'btree'
        and idx.is_valid
        and not idx.has_expressions
        and idx.extension is null
        and rel.kind in ('table', 'materialized_view')
        and key_size.is_known
        -- the rows of a table that grew since the last vacuum are not known well enough
        and rel.size_bytes <= 1.25 * rel.pages * 8192
),
whole as (
    select
        database,
        index,
        min(top_relation) as relation,
        count(*) as parts,
        sum(size_bytes)::bigint as size_bytes,
        sum(entries) as entries,
        -- a metapage, and one page in a hundred for the levels above
        sum((ceil(entries * entry_bytes / page_bytes) * 1.01 + 1) * 8192) as expected_bytes
    from part
    where entries is not null
    group by database, index
)

select
    database,
    index as subject,
    index as root,
    index,
    relation,
    parts,
    size_bytes,
    expected_bytes::bigint as expected_bytes,
    (size_bytes - expected_bytes)::bigint as wasted_bytes,
    round(size_bytes / expected_bytes, 1) as factor,
    entries,
    expected_bytes::bigint as fix_disk_bytes
from whole
where size_bytes >= $min_factor * expected_bytes
    and size_bytes - expected_bytes >= $min_wasted_bytes;

-- example: 400 MB for a million bigints
-- given: evidence
insert into relation (relation, kind, size_bytes, pages, tuple_rows) values
    ('public.carts', 'table', 81920000, 10000, 1000000);
insert into relation_index (relation, index, size_bytes, tuple_rows) values
    ('public.carts', 'public.i', 400000000, 1000000);
insert into index_column (relation, index, position, column_name) values ('public.carts', 'public.i', 1, 'customer_id');
insert into column_statistics (relation, column_name, null_fraction, average_width_bytes) values
    ('public.carts', 'customer_id', 0, 8);
-- finds: public.i

-- example: twice what it needs, another method, an expression, and a column without statistics
-- given: evidence
insert into relation (relation, kind, size_bytes, pages, tuple_rows) values
    ('public.carts', 'table', 819200000, 100000, 10000000);
insert into relation_index (relation, index, size_bytes, tuple_rows, access_method, has_expressions) values
    ('public.carts', 'public.i', 500000000, 10000000, 'btree', false),
    ('public.carts', 'public.g', 900000000, 10000000, 'gin', false),
    ('public.carts', 'public.e', 900000000, 10000000, 'btree', true),
    ('public.carts', 'public.n', 900000000, 10000000, 'btree', false);
insert into index_column (relation, index, position, column_name) values
    ('public.carts', 'public.i', 1, 'customer_id'), ('public.carts', 'public.g', 1, 'customer_id'),
    ('public.carts', 'public.e', 1, 'customer_id'), ('public.carts', 'public.n', 1, 'other');
insert into column_statistics (relation, column_name, null_fraction, average_width_bytes) values
    ('public.carts', 'customer_id', 0, 8);
-- finds: nothing

-- example: a table that has grown a lot since vacuum counted it
-- given: evidence
insert into relation (relation, kind, size_bytes, pages, tuple_rows) values
    ('public.carts', 'table', 819200000, 10000, 1000000);
insert into relation_index (relation, index, size_bytes, tuple_rows) values
    ('public.carts', 'public.i', 400000000, 1000000);
insert into index_column (relation, index, position, column_name) values ('public.carts', 'public.i', 1, 'customer_id');
insert into column_statistics (relation, column_name, null_fraction, average_width_bytes) values
    ('public.carts', 'customer_id', 0, 8);
-- finds: nothing
