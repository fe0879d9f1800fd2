-- Columns of constraints, one row a column.
-- source: pg_constraint, pg_attribute
-- capture: full
create table constraint_column (
    database varchar not null,                  -- database
    relation varchar not null,                  -- schema.name
    constraint_name varchar not null,           -- conname, unquoted
    position integer not null,                  -- 1 is the first column
    column_name varchar not null,               -- column, unquoted
    type varchar not null,                      -- its format_type()
    base_type varchar not null,                 -- its typname below any domain
    referenced_column varchar,                  -- column that a foreign key points to
    referenced_type varchar,                    -- format_type() of that column
    referenced_base_type varchar                -- typname of that column below any domain
);
