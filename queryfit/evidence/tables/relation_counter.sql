-- Cumulative activity of tables.
-- source: pg_stat_all_tables, pg_statio_all_tables
-- capture: sample
create table relation_counter (
    database varchar not null,                  -- database
    relation varchar not null,                  -- schema.name
    sequential_scans bigint,                    -- seq_scan
    sequential_rows bigint,                     -- seq_tup_read
    index_scans bigint,                         -- idx_scan
    index_rows bigint,                          -- idx_tup_fetch
    inserted_rows bigint,                       -- n_tup_ins
    updated_rows bigint,                        -- n_tup_upd
    deleted_rows bigint,                        -- n_tup_del
    hot_updated_rows bigint,                    -- n_tup_hot_upd
    new_page_updated_rows bigint,               -- n_tup_newpage_upd (16+)
    live_rows bigint,                           -- n_live_tup
    dead_rows bigint,                           -- n_dead_tup
    rows_since_analyze bigint,                  -- n_mod_since_analyze
    rows_since_vacuum bigint,                   -- n_ins_since_vacuum
    vacuumed_at timestamp,                      -- later of last_vacuum and last_autovacuum, UTC
    analyzed_at timestamp,                      -- later of last_analyze and last_autoanalyze, UTC
    autovacuums bigint,                         -- autovacuum_count
    sequential_scanned_at timestamp,            -- last_seq_scan (16+), UTC
    index_scanned_at timestamp,                 -- last_idx_scan (16+), UTC
    heap_blocks_read bigint,                    -- heap_blks_read
    heap_blocks_hit bigint                      -- heap_blks_hit
);
