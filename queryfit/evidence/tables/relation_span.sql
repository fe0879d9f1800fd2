-- What happened to each table between two captures, and how large it was at the end.
-- source: relation_counter and relation of two captures
-- capture: history
create table relation_span (
    started_at timestamp not null,              -- span.started_at
    ended_at timestamp not null,                -- span.ended_at
    database varchar not null,                  -- database
    relation varchar not null,                  -- schema.name
    sequential_scans bigint,                    -- scans in it
    sequential_rows bigint,                     -- rows read by them
    index_scans bigint,                         -- index scans in it
    inserted_rows bigint,                       -- rows inserted in it
    updated_rows bigint,                        -- rows updated in it
    deleted_rows bigint,                        -- rows deleted in it
    hot_updated_rows bigint,                    -- heap-only updates among them
    live_rows bigint,                           -- at its end
    dead_rows bigint,                           -- at its end
    size_bytes bigint,                          -- main fork at its end; null where no full capture ends in it
    index_bytes bigint,                         -- all indexes at its end; null where no full capture ends in it
    is_lower_bound boolean not null             -- the counters were reset in it
);
