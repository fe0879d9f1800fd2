-- Columns of indexes, one row a column, keys before included columns.
-- source: pg_index, pg_attribute, pg_opclass
-- capture: full
create table index_column (
    database varchar not null,                  -- database
    relation varchar not null,                  -- table, schema.name
    index varchar not null,                     -- schema.name of the index
    position integer not null,                  -- 1 is the leading column
    is_key boolean not null,                    -- false for INCLUDE
    column_name varchar,                        -- plain column; null for an expression
    expression varchar,                         -- expression as PostgreSQL prints it; null for a plain column
    operator_class varchar,                     -- opcname of a key column
    is_descending boolean not null,             -- indoption bit 0
    is_nulls_first boolean not null,            -- indoption bit 1
    statistics_target integer                   -- attstattarget of an expression; null for the default
);
