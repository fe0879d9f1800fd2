-- Databases of the server with their cumulative counters and wraparound age.
-- source: pg_database, pg_stat_database, pg_database_size()
-- capture: sample
create table database (
    database varchar not null,                  -- name
    is_captured boolean not null,               -- its catalog was read by this capture
    is_template boolean not null,               -- datistemplate
    encoding varchar,                           -- encoding: UTF8
    locale_provider varchar,                    -- libc, icu or builtin: what orders texts by default
    collate_locale varchar,                     -- datcollate: en_US.UTF-8, C
    character_locale varchar,                   -- datctype
    locale varchar,                             -- datlocale (icu and builtin; 15+): en-US, C.UTF-8
    tablespace varchar,                         -- default tablespace
    allows_connections boolean not null,        -- datallowconn
    connection_limit integer,                   -- datconnlimit; null for none
    connections integer,                        -- numbackends
    size_bytes bigint,                          -- pg_database_size(); null without CONNECT
    age_xids bigint,                            -- age(datfrozenxid), transactions
    age_multixacts bigint,                      -- mxid_age(datminmxid), multixacts
    commits bigint,                             -- xact_commit
    rollbacks bigint,                           -- xact_rollback
    blocks_read bigint,                         -- blks_read, 8 kB blocks
    blocks_hit bigint,                          -- blks_hit, 8 kB blocks
    temp_files bigint,                          -- temp_files
    temp_bytes bigint,                          -- temp_bytes
    deadlocks bigint,                           -- deadlocks
    sessions bigint,                            -- sessions (14+)
    sessions_abandoned bigint,                  -- sessions_abandoned (14+)
    sessions_fatal bigint,                      -- sessions_fatal (14+)
    sessions_killed bigint,                     -- sessions_killed (14+)
    active_ms double,                           -- active_time (14+)
    idle_in_transaction_ms double,              -- idle_in_transaction_time (14+)
    counters_since timestamp                    -- stats_reset, UTC; null when never reset
);
