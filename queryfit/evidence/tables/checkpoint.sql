-- Checkpoints since the counters were reset; one row.
-- source: pg_stat_checkpointer (17+), pg_stat_bgwriter
-- capture: sample
create table checkpoint (
    timed bigint,                               -- started by checkpoint_timeout
    requested bigint,                           -- started for another reason, above all WAL volume
    write_ms double,                            -- time writing
    sync_ms double,                             -- time syncing
    buffers bigint,                             -- blocks written
    counted_since timestamp                     -- stats_reset, UTC
);
