-- What happened in each database between two captures, and its state at the end.
-- source: database of two captures
-- capture: history
create table database_span (
    started_at timestamp not null,              -- span.started_at
    ended_at timestamp not null,                -- span.ended_at
    database varchar not null,                  -- database
    commits bigint,                             -- in it
    rollbacks bigint,                           -- in it
    blocks_read bigint,                         -- in it, 8 kB
    blocks_hit bigint,                          -- in it, 8 kB
    temp_bytes bigint,                          -- written in it
    deadlocks bigint,                           -- in it
    sessions bigint,                            -- opened in it (14+)
    size_bytes bigint,                          -- at its end
    connections integer,                        -- at its end
    most_connections integer,                   -- the most of all captures in it
    age_xids bigint,                            -- age(datfrozenxid) at its end
    age_multixacts bigint,                      -- mxid_age(datminmxid) at its end
    is_lower_bound boolean not null             -- the counters were reset in it
);
