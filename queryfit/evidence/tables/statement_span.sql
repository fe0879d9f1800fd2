-- What each statement did between two captures: differences of its counters over all roles and queryids.
-- source: statement of two captures
-- capture: history
create table statement_span (
    started_at timestamp not null,              -- span.started_at
    ended_at timestamp not null,                -- span.ended_at
    database varchar not null,                  -- database
    fingerprint varchar not null,               -- statement_text.fingerprint
    calls bigint not null,                      -- finished calls
    rows bigint not null,                       -- rows returned or changed
    execution_ms double not null,               -- execution time
    squared_ms double,                          -- sum of the squared times of its calls, ms²: what the deviation comes from
    planning_ms double,                         -- planning time; null when not tracked
    blocks_hit bigint not null,                 -- shared blocks, 8 kB
    blocks_read bigint not null,                -- shared blocks, 8 kB
    temp_blocks_written bigint not null,        -- 8 kB
    wal_bytes bigint,                           -- WAL generated
    is_lower_bound boolean not null             -- a reset or an eviction lies in it: it did at least this much
);
