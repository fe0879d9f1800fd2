-- rule: table-bloat
-- title: Table with far more pages than its rows need
-- severity: warning
-- reads: relation, relation_column, column_statistics, relation_counter, relation_use
-- message: {relation} takes {size_bytes} for rows that need about {expected_bytes}: {wasted_bytes} ({wasted_share})
--     are free or dead space that scans read and the cache holds. Rewrite it, and find out why vacuum came late.
-- fix: {fix_sql}
-- param: min_wasted_bytes = 104857600 -- under 100 MB a rewrite is not worth its lock
-- param: min_wasted_share = 0.5 -- a third of free space is normal in a table that is updated
-- since: 0.1
--
-- ## Why it matters
-- Vacuum makes the room of dead rows free for new rows of the same table, but gives pages back only at the end of the
-- file. A table that once held twice its rows stays twice as large; every sequential scan reads the rest, and it fills
-- shared buffers.
--
-- ## What to do
-- `vacuum (full)` rewrites the table under an ACCESS EXCLUSIVE lock and needs its net size in free disk; pg_repack and
-- pg_squeeze do the same with a lock of moments. Then let vacuum come sooner, or the space comes back.
--
-- ## When to leave it
-- The table grows again to its old size, as after a yearly purge: it will reuse the space. The figure is an estimate
-- from the widths that ANALYZE found, on the cautious side; `pgstattuple_approx` measures.

with column_size as (
    select
        col.database,
        col.relation,
        col.position,
        stat.null_fraction,
        stat.average_width_bytes,
        -- alignment by type; a value of variable length up to 126 bytes is not aligned
        case
            when col.base_type in (
                'int8', 'timestamptz', 'timestamp', 'float8', 'time', 'timetz', 'interval', 'money', 'point', 'box',
                'lseg', 'circle', 'xid8', 'pg_lsn'
            ) then 8
            when col.base_type in ('int4', 'float4', 'date', 'oid', 'xid', 'cid', 'macaddr', 'macaddr8', 'regclass')
                or col.type_category = 'E' then 4
            when col.base_type = 'int2' then 2
            when col.base_type in ('bool', 'char', 'uuid', 'name') then 1
            when stat.average_width_bytes > 126 then 4
            else 1
        end as alignment,
        col.base_type in ('bool', 'char', 'uuid', 'name', 'int2', 'macaddr', 'timetz')
            or col.type_category not in ('N', 'D', 'T', 'E', 'B', 'G')
            or col.base_type = 'numeric' as is_end_unaligned,
        stat.relation is not null as has_statistics,
        coalesce(col.generated, '') = 'virtual' as is_virtual
    from relation_column as col
    left join column_statistics as stat
        on stat.database = col.database
        and stat.relation = col.relation
        and stat.column_name = col.column_name
        and not stat.is_inherited
),
padded as (
    select
        *,
        -- the most that alignment can add behind the column before it
        greatest(
            alignment - coalesce(
                lag(case when is_end_unaligned then 1 else alignment end)
                    over (partition by database, relation order by position),
                8
            ),
            0
        ) as padding
    from column_size
    where not is_virtual
),
width as (
    select
        database,
        relation,
        count(*) as columns,
        max(position) as last_position,
        bool_and(has_statistics) as is_known,
        ceil((23 + case when max(null_fraction) > 0 then ceil(count(*) / 8.0) else 0 end) / 8) * 8
            + sum((1 - null_fraction) * (average_width_bytes + padding)) as bytes,
        bool_or(is_end_unaligned) as is_uneven
    from padded
    group by database, relation
),
part as (
    select
        rel.database,
        rel.root,
        rel.size_bytes,
        counter.dead_rows,
        greatest(
            counter.live_rows,
            -- as the planner does: a table that grew since the last vacuum has grown in rows
            rel.tuple_rows * greatest(1, rel.size_bytes / (rel.pages * 8192.0))
        ) as rows,
        -- rows end on multiples of 8 bytes, half of which is lost on average, and have a line pointer of 4
        ceil((width.bytes + case when width.is_uneven then 4 else 0 end) / 8) * 8 + 4 as row_bytes,
        8168 * coalesce(rel.fill_factor, 100) / 100.0 as page_bytes,
        -- rows from before `drop column` still hold its values
        width.last_position > width.columns as has_dropped_columns
    from relation as rel
    join width on width.database = rel.database and width.relation = rel.relation
    left join relation_counter as counter on counter.database = rel.database and counter.relation = rel.relation
    where rel.kind in ('table', 'materialized_view')
        and rel.extension is null
        and width.is_known
        and rel.pages > 0
        and rel.tuple_rows > 0
        and not rel.is_size_estimated
),
whole as (
    select
        database,
        root as relation,
        count(*) as parts,
        sum(size_bytes)::bigint as size_bytes,
        sum(ceil(rows / greatest(floor(page_bytes / row_bytes), 1)) * 8192) as expected_bytes,
        sum(rows) as table_rows,
        sum(dead_rows) as dead_rows,
        bool_or(has_dropped_columns) as has_dropped_columns
    from part
    group by database, root
)

select
    whole.database,
    whole.relation as subject,
    whole.relation,
    whole.parts,
    whole.size_bytes,
    whole.expected_bytes::bigint as expected_bytes,
    (whole.size_bytes - whole.expected_bytes)::bigint as wasted_bytes,
    1 - whole.expected_bytes / whole.size_bytes as wasted_share,
    whole.table_rows,
    whole.dead_rows,
    use.execution_ms_per_day as exposure_ms_per_day,
    '-- in a quiet hour: nobody reads or writes the table while this runs; pg_repack needs no such hour' || chr(10)
        || 'vacuum (full, analyze) ' || whole.relation || ';' as fix_sql,
    case
        when whole.has_dropped_columns
            then 'it looks bloated, but rows from before a column was dropped may still hold it'
    end as not_checked_reason,
    case when whole.has_dropped_columns then 'pgstattuple_approx() measures the free space' end as hint
from whole
left join relation_use as use on use.database = whole.database and use.relation = whole.relation
where whole.size_bytes - whole.expected_bytes >= $min_wasted_bytes
    and whole.size_bytes - whole.expected_bytes >= $min_wasted_share * whole.size_bytes;

-- example: 1 GB for a million rows of 100 bytes
-- given: evidence
insert into relation (relation, root, kind, size_bytes, pages, tuple_rows) values
    ('public.carts', 'public.carts', 'table', 1073741824, 131072, 1000000);
insert into relation_column (relation, column_name, position, base_type, type_category) values
    ('public.carts', 'id', 1, 'int8', 'N'), ('public.carts', 'content', 2, 'text', 'S');
insert into column_statistics (relation, column_name, null_fraction, average_width_bytes) values
    ('public.carts', 'id', 0, 8), ('public.carts', 'content', 0, 60);
-- finds: public.carts

-- example: a third of free space is normal, and so is a low fill factor
-- given: evidence
insert into relation (relation, root, kind, size_bytes, pages, tuple_rows, fill_factor) values
    ('public.a', 'public.a', 'table', 200000000, 24414, 1300000, null),
    ('public.b', 'public.b', 'table', 500000000, 61035, 1100000, 25);
insert into relation_column (relation, column_name, position, base_type, type_category) values
    ('public.a', 'content', 1, 'text', 'S'), ('public.b', 'content', 1, 'text', 'S');
insert into column_statistics (relation, column_name, null_fraction, average_width_bytes) values
    ('public.a', 'content', 0, 68), ('public.b', 'content', 0, 68);
-- finds: nothing

-- example: without statistics of every column nothing can be said
-- given: evidence
insert into relation (relation, root, kind, size_bytes, pages, tuple_rows) values
    ('public.carts', 'public.carts', 'table', 1073741824, 131072, 1000000);
insert into relation_column (relation, column_name, position, base_type, type_category) values
    ('public.carts', 'id', 1, 'int8', 'N'), ('public.carts', 'content', 2, 'text', 'S');
insert into column_statistics (relation, column_name, null_fraction, average_width_bytes) values
    ('public.carts', 'id', 0, 8);
-- finds: nothing

-- example: rows may still hold a column that was dropped
-- given: evidence
insert into relation (relation, root, kind, size_bytes, pages, tuple_rows) values
    ('public.carts', 'public.carts', 'table', 1073741824, 131072, 1000000);
insert into relation_column (relation, column_name, position, base_type, type_category) values
    ('public.carts', 'id', 1, 'int8', 'N'), ('public.carts', 'content', 3, 'text', 'S');
insert into column_statistics (relation, column_name, null_fraction, average_width_bytes) values
    ('public.carts', 'id', 0, 8), ('public.carts', 'content', 0, 60);
-- finds: not checked: public.carts
