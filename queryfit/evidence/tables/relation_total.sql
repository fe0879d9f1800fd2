-- Sizes and activity of whole tables: a partitioned table with all its partitions, any other by itself.
-- source: relation, relation_counter, counter_window, server
-- capture: derived
create table relation_total (
    database varchar not null,                  -- database
    relation varchar not null,                  -- relation.root: schema.name of the top-most partitioned table, or the table
    parts bigint not null,                      -- tables that hold its rows
    tuple_rows double,                          -- rows: the greater of the estimates of the catalog and of the counters; null when neither is known
    size_bytes bigint,                          -- main forks
    index_bytes bigint,                         -- all indexes
    scans bigint not null,                      -- sequential and index scans
    inserted_rows bigint not null,              -- rows inserted
    updated_rows bigint not null,               -- rows updated
    deleted_rows bigint not null,               -- rows deleted
    inserted_rows_per_day double,               -- over the window of the counters; null when that is unknown or under a day
    has_counters boolean not null               -- its writes are counted: counters were read, and not on a standby, which counts only reads
);

insert into relation_total
select
    relation.database,
    relation.root,
    count(*),
    sum(greatest(relation.tuple_rows, relation_counter.live_rows)),
    sum(relation.size_bytes)::bigint,
    sum(relation.index_bytes)::bigint,
    coalesce(sum(coalesce(sequential_scans, 0) + coalesce(index_scans, 0)), 0)::bigint,
    coalesce(sum(inserted_rows), 0)::bigint,
    coalesce(sum(updated_rows), 0)::bigint,
    coalesce(sum(deleted_rows), 0)::bigint,
    -- the first load of a table is no rate, and under a day there is no telling it apart
    sum(case when counter_window.window_days >= 1 then inserted_rows / counter_window.window_days end),
    count(relation_counter.relation) > 0 and not bool_or(server.is_standby)
from relation
cross join server
left join relation_counter using (database, relation)  -- LEFT JOIN: counters may not be readable
left join counter_window using (database)
where relation.kind in ('table', 'materialized_view')
group by relation.database, relation.root;
