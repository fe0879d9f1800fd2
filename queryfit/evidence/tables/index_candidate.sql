-- Indexes of the best set for the captured statements: those to add, and those there that the set does without.
-- source: queryfit.advise, asked in the lab
-- capture: lab
create table index_candidate (
    database varchar not null,                  -- database
    candidate varchar not null,                 -- what it is, as findings name it: public.orders (customer_id); one that is there by its name, schema.name
    action varchar not null,                    -- add, drop
    relation varchar not null,                  -- table, schema.name
    leading_key varchar not null,               -- its first key: customer_id, lower(email)
    access_method varchar not null,             -- btree, hash, gin, gist, spgist, brin …
    index_name varchar not null,                -- schema.name that it will have, or has
    why varchar not null,                       -- what it is for, or why it may go
    replaces varchar,                           -- indexes that are not needed beside it, as one text
    size_bytes bigint,                          -- expected, or real for one that is there
    saving_ms_per_day double not null,          -- statement time that the set would lose without it, upkeep taken off
    upkeep_ms_per_day double not null,          -- what writes pay for it
    build_ms double,                            -- how long CREATE INDEX CONCURRENTLY may take
    disk_bytes bigint,                          -- that the build takes at its peak
    fix_sql varchar not null,                   -- statements that add or drop it
    undo_sql varchar not null,                  -- statements that take that back
    planner_version integer not null            -- major version of the PostgreSQL that planned
);
