-- Indexes.
-- source: pg_index, pg_class, pg_am, pg_get_indexdef()
-- capture: full
create table relation_index (
    database varchar not null,                  -- database
    relation varchar not null,                  -- table, schema.name
    index varchar not null,                     -- schema.name of the index
    index_oid bigint not null,                  -- pg_class.oid
    access_method varchar not null,             -- btree, hash, gin, gist, spgist, brin …
    key_columns varchar not null,               -- key columns and expressions in order, as one text: customer_id, lower(email)
    included_columns varchar,                   -- INCLUDE columns, as one text
    key_signature varchar not null,             -- key columns with operator class, collation and direction: two indexes with one signature order rows alike
    predicate varchar,                          -- partial index condition
    is_unique boolean not null,                 -- indisunique
    is_nulls_distinct boolean not null,         -- false for NULLS NOT DISTINCT (15+)
    is_primary boolean not null,                -- indisprimary
    is_exclusion boolean not null,              -- indisexclusion
    is_valid boolean not null,                  -- indisvalid
    is_ready boolean not null,                  -- indisready
    is_replica_identity boolean not null,       -- indisreplident
    is_clustered boolean not null,              -- indisclustered
    has_expressions boolean not null,           -- any key is an expression
    constraint_name varchar,                    -- constraint that it backs, null for none
    is_referenced boolean not null,             -- a foreign key depends on it
    parent_index varchar,                       -- index of the parent table that it is attached to
    size_bytes bigint,                          -- main fork; relpages × 8 kB when the size function would wait
    pages bigint,                               -- relpages, 8 kB; of the last VACUUM, ANALYZE or build
    tuple_rows double,                          -- reltuples; null when unknown
    fill_factor integer,                        -- reloption fillfactor; null for the default
    options varchar,                            -- all reloptions as one text: fillfactor=70, deduplicate_items=off, pages_per_range=32
    tablespace varchar,                         -- tablespace, unquoted; null for the database's own
    extension varchar,                          -- extension that owns it, null for none
    definition varchar not null                 -- pg_get_indexdef()
);
