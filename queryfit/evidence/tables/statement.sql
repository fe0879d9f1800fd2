-- Cumulative counters of pg_stat_statements: one row per queryid, role, database and top-level flag.
-- source: pg_stat_statements
-- capture: sample
create table statement (
    database varchar not null,                  -- database the statement ran in
    role varchar,                               -- role it ran as
    queryid bigint,                             -- null where the role may not see it
    is_toplevel boolean not null,               -- not called from a function (14+; before that true)
    fingerprint varchar not null,               -- 16 hex digits over the parsed text; statement_text has the text
    calls bigint not null,                      -- finished calls
    rows bigint not null,                       -- rows returned or changed
    plans bigint,                               -- times planned; 0 when track_planning is off
    planning_ms double,                         -- total planning time
    execution_ms double not null,               -- total execution time
    min_ms double,                              -- fastest call
    max_ms double,                              -- slowest call
    mean_ms double not null,                    -- mean of a call
    stddev_ms double,                           -- population standard deviation of a call
    shared_blocks_hit bigint not null,          -- 8 kB blocks
    shared_blocks_read bigint not null,         -- 8 kB blocks
    shared_blocks_dirtied bigint not null,      -- 8 kB blocks
    shared_blocks_written bigint not null,      -- 8 kB blocks
    local_blocks_read bigint not null,          -- 8 kB blocks, temporary tables
    local_blocks_written bigint not null,       -- 8 kB blocks, temporary tables
    temp_blocks_read bigint not null,           -- 8 kB blocks, spilled work
    temp_blocks_written bigint not null,        -- 8 kB blocks, spilled work
    read_ms double,                             -- time reading blocks; 0 when track_io_timing is off
    write_ms double,                            -- time writing blocks
    wal_bytes bigint,                           -- WAL generated
    wal_full_page_images bigint,                -- full-page images in it
    jit_functions bigint,                       -- functions compiled (1.10+)
    jit_ms double,                              -- time in JIT: generation, inlining, optimisation, emission, deform (1.10+)
    counted_since timestamp                     -- later of stats_since (1.11+) and the reset of pg_stat_statements, UTC; null when unknown
);
