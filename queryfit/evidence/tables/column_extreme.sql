-- The least and the greatest value that leading columns of B-trees really hold, of the tables that matter most. Holds
-- values of rows: --redact does not read them.
-- source: the two ends of the index, where design and privileges allow a look
-- capture: full
create table column_extreme (
    database varchar not null,                  -- database
    relation varchar not null,                  -- schema.name; of a partitioned table its partitions
    column_name varchar not null,               -- leading plain column of the index, unquoted
    index varchar not null,                     -- schema.name of the B-tree that was asked
    base_type varchar not null,                 -- typname below any domain
    least_value varchar,                        -- smallest value that is not null, as text (ISO dates, UTC)
    greatest_value varchar                      -- greatest value that is not null, as text
);
