-- The state of pg_stat_statements itself; one row, none where it is missing.
-- source: pg_stat_statements_info, pg_settings
-- capture: sample
create table statement_store (
    extension_version varchar not null,         -- extversion
    entries bigint not null,                    -- entries held now
    maximum_entries bigint,                     -- pg_stat_statements.max
    evictions bigint,                           -- dealloc since reset_at (14+)
    reset_at timestamp,                         -- stats_reset (14+), UTC
    tracks_planning boolean,                    -- pg_stat_statements.track_planning
    track varchar                               -- pg_stat_statements.track: none, top, all
);
