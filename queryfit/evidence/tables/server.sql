-- The audited server and the terms on which it was looked at; one row.
-- source: version(), pg_control_system(), pg_is_in_recovery(), pg_roles
-- capture: sample
create table server (
    system_identifier varchar not null,         -- pg_control_system(), or a stand-in made from address and database oids when it is not readable
    version_number integer not null,            -- server_version_num: 180001
    version varchar not null,                   -- server_version as the server words it
    provider varchar not null,                  -- self-hosted, rds, aurora, cloudsql, azure or supabase, recognised by settings and roles
    is_standby boolean not null,                -- pg_is_in_recovery()
    is_pooled boolean not null,                 -- the backend changed or the application name was rewritten: a pooler stands between
    started_at timestamp,                       -- pg_postmaster_start_time(), UTC
    captured_at timestamp not null,             -- the server's clock when the capture began, UTC
    counters_since timestamp,                   -- pg_stat_database.stats_reset of the captured database, UTC; null when never reset: the counters are as old as the cluster and that age is unknown
    role varchar not null,                      -- current_user of the capture
    is_superuser boolean not null,              -- that role is a superuser
    has_monitor boolean not null,               -- that role is a member of pg_monitor
    has_read_all_data boolean not null,         -- that role is a member of pg_read_all_data (14+)
    standbys integer                            -- rows of pg_stat_replication; null when not readable
);
