-- Cumulative use of indexes.
-- source: pg_stat_all_indexes
-- capture: sample
create table index_counter (
    database varchar not null,                  -- database
    relation varchar not null,                  -- table, schema.name
    index varchar not null,                     -- schema.name of the index
    scans bigint,                               -- idx_scan
    read_rows bigint,                           -- idx_tup_read
    fetched_rows bigint,                        -- idx_tup_fetch
    scanned_at timestamp                        -- last_idx_scan (16+), UTC
);
