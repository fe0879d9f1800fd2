-- Sequences, with the column each one feeds.
-- source: pg_sequence, pg_sequence_last_value(), pg_depend
-- capture: sample
create table relation_sequence (
    database varchar not null,                  -- database
    sequence varchar not null,                  -- schema.name
    type varchar not null,                      -- smallint, integer, bigint
    last_value bigint,                          -- null when never used or not readable (is_readable tells)
    is_readable boolean not null,               -- the role may read the value
    increment bigint not null,                  -- seqincrement
    minimum_value bigint not null,              -- seqmin
    maximum_value bigint not null,              -- seqmax
    is_cycling boolean not null,                -- seqcycle
    relation varchar,                           -- table whose column owns it, schema.name
    column_name varchar,                        -- that column, unquoted
    column_base_type varchar,                   -- typname of that column
    is_identity boolean not null                -- it is an identity's sequence
);
