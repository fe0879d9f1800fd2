-- Tables, partitioned tables, partitions, views, materialized views and foreign tables.
-- source: pg_class, pg_inherits, pg_partitioned_table, pg_relation_size()
-- capture: full
create table relation (
    database varchar not null,                  -- database
    relation varchar not null,                  -- schema.name, quoted where SQL needs it
    schema varchar not null,                    -- schema, unquoted
    name varchar not null,                      -- name, unquoted
    relation_oid bigint not null,               -- pg_class.oid
    kind varchar not null,                      -- table, partitioned_table, view, materialized_view, foreign_table
    persistence varchar not null,               -- permanent, unlogged, temporary
    owner varchar,                              -- owner role
    parent varchar,                             -- relation it is a partition (or inheritance child) of, null for none
    parents varchar,                            -- all relations it inherits from, in order, as one text: public.a, public.b; null for none
    root varchar not null,                      -- top-most partitioned ancestor, or itself
    is_partition boolean not null,              -- relispartition
    partition_strategy varchar,                 -- range, list or hash, for a partitioned table
    partition_key varchar,                      -- pg_get_partkeydef()
    partition_bound varchar,                    -- pg_get_expr(relpartbound)
    tuple_rows double,                          -- reltuples; null when never analyzed (-1)
    pages bigint,                               -- relpages, 8 kB
    all_visible_pages bigint,                   -- relallvisible
    size_bytes bigint,                          -- main fork; relpages × 8 kB when is_size_estimated
    toast_bytes bigint,                         -- TOAST table with its index; null when not readable
    index_bytes bigint,                         -- all indexes
    is_size_estimated boolean not null,         -- the size function would have waited for a lock, so relpages was used
    fill_factor integer,                        -- reloption fillfactor; null for the default
    parallel_workers integer,                   -- reloption parallel_workers; null when not set
    options varchar,                            -- all reloptions as one text: fillfactor=90, autovacuum_enabled=false; of a view security_barrier and the like
    tablespace varchar,                         -- tablespace, unquoted; null for the database's own
    table_access_method varchar,                -- table access method: heap; null where there is no storage
    row_type varchar,                           -- composite type of a typed table (CREATE TABLE … OF), schema.name; null for none
    foreign_server varchar,                     -- server of a foreign table, unquoted; null for others
    is_autovacuum_enabled boolean,              -- reloption autovacuum_enabled; null when not set
    vacuum_threshold_rows double,               -- dead rows at which autovacuum starts, from reloptions and settings
    analyze_threshold_rows double,              -- changed rows at which autoanalyze starts
    freeze_max_age_xids bigint,                 -- age at which an anti-wraparound vacuum is forced
    age_xids bigint,                            -- age(relfrozenxid); null where there is none
    age_multixacts bigint,                      -- mxid_age(relminmxid)
    replica_identity varchar,                   -- default, nothing, full, index
    has_row_security boolean not null,          -- relrowsecurity
    has_forced_row_security boolean,            -- relforcerowsecurity: the owner is bound too
    has_triggers boolean not null,              -- any trigger that is not internal
    extension varchar,                          -- extension that owns it, null for none
    definition varchar                          -- text of a view
);
