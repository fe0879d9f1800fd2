-- Standbys that stream from this server.
-- source: pg_stat_replication
-- capture: sample
create table replica (
    application varchar,                        -- application_name
    client varchar,                             -- client address
    state varchar,                              -- streaming, catchup …
    sync_state varchar,                         -- async, sync, quorum, potential
    replay_lag_bytes bigint,                    -- WAL sent from here and not replayed there
    replay_lag_ms double,                       -- replay_lag
    xmin_age_xids bigint                        -- age(backend_xmin) that its feedback holds
);
