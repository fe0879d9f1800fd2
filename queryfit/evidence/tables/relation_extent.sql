-- How large a table is now: a partitioned table counts with all of its partitions, and has a row for each of them too.
-- source: relation, relation_counter
-- capture: derived
create table relation_extent (
    database varchar not null,                  -- database
    relation varchar not null,                  -- schema.name
    root varchar not null,                      -- relation.root: the partitioned table that it belongs to, or itself
    is_partitioned boolean not null,            -- the root is a partitioned table
    rows double,                                -- rows of the root now: those of the last ANALYZE scaled to the present size, as the planner does, but no more than the counters know of; null when never analyzed
    pages double not null,                      -- pages of the root, 8 kB
    part_pages double not null                  -- pages of a mean partition; of the table itself where it has none
);

insert into relation_extent
with sized as (
    select
        relation.database,
        relation.root,
        relation.tuple_rows,
        relation_counter.live_rows,
        greatest(coalesce(relation.pages, 0), coalesce(relation.size_bytes, 0) / 8192.0) as present_pages,
        case
            when tuple_rows is null or (tuple_rows = 0 and coalesce(pages, 0) = 0 and size_bytes > 0) then null
            when pages > 0 then tuple_rows * greatest(1, coalesce(size_bytes, 0) / 8192.0 / pages)
            else tuple_rows
        end as scaled_rows
    from relation
    left join relation_counter  -- LEFT JOIN: counters may not be readable
        on relation_counter.database = relation.database and relation_counter.relation = relation.relation
    where kind in ('table', 'materialized_view')
        and persistence <> 'temporary'
),
part as (
    select
        database,
        root,
        present_pages as pages,
        -- pages also grow by dead rows, which the counters of rows tell apart
        case
            when live_rows > 0 then least(scaled_rows, greatest(tuple_rows, live_rows))
            else scaled_rows
        end as rows
    from sized
),
whole as (
    select database, root, sum(rows) as rows, sum(pages) as pages, avg(pages) as part_pages
    from part
    group by database, root
)
select
    relation.database,
    relation.relation,
    relation.root,
    coalesce(top.kind = 'partitioned_table', false),
    whole.rows,
    whole.pages,
    whole.part_pages
from relation
join whole on whole.database = relation.database and whole.root = relation.root
left join relation as top -- LEFT JOIN: the root may be locked and unread
    on top.database = relation.database and top.relation = relation.root
where relation.kind in ('table', 'materialized_view', 'partitioned_table');
