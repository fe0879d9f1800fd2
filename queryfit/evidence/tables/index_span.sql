-- How each index was used between two captures.
-- source: index_counter and relation_index of two captures
-- capture: history
create table index_span (
    started_at timestamp not null,              -- span.started_at
    ended_at timestamp not null,                -- span.ended_at
    database varchar not null,                  -- database
    relation varchar not null,                  -- table, schema.name
    index varchar not null,                     -- schema.name of the index
    scans bigint,                               -- scans in it
    read_rows bigint,                           -- entries read by them
    size_bytes bigint,                          -- at its end; null where no full capture ends in it
    is_lower_bound boolean not null             -- the counters were reset in it
);
