-- Samples of sessions.
-- source: pg_stat_activity
-- capture: sample
create table activity (
    sampled_at timestamp not null,              -- server's clock, UTC
    pid integer not null,                       -- backend
    leader_pid integer,                         -- leader of a parallel worker
    backend_type varchar,                       -- client backend, autovacuum worker …
    database varchar,                           -- database
    role varchar,                               -- role
    application varchar,                        -- application_name
    client varchar,                             -- client address, or local
    state varchar,                              -- active, idle, idle in transaction …; null where hidden
    wait_type varchar,                          -- wait_event_type
    wait_event varchar,                         -- wait_event
    session_ms double,                          -- age of the session
    transaction_ms double,                      -- age of its transaction
    statement_ms double,                        -- age of its current or last statement
    state_ms double,                            -- time in this state
    xid_age_xids bigint,                        -- age(backend_xid)
    xmin_age_xids bigint,                       -- age(backend_xmin)
    queryid bigint,                             -- query_id (14+)
    fingerprint varchar,                        -- of its text, null where hidden
    text varchar,                               -- its current or last statement
    is_own boolean not null                     -- queryfit's own session
);
