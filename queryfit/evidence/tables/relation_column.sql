-- Columns of relations.
-- source: pg_attribute, pg_type, pg_attrdef
-- capture: full
create table relation_column (
    database varchar not null,                  -- database
    relation varchar not null,                  -- schema.name
    column_name varchar not null,               -- attname, unquoted
    position integer not null,                  -- attnum
    type varchar not null,                      -- format_type(): character varying(20)
    base_type varchar not null,                 -- pg_type.typname below any domain: int4, text, timestamptz
    type_schema varchar not null,               -- schema of the declared type
    type_category varchar not null,             -- typcategory of the base type: N numeric, S string, D date and time, B boolean, A array …
    has_equal_images boolean,                   -- equal values are stored alike, so that a B-tree may keep one for many rows: function 4 of the type's default operator class; null in older captures
    collation_name varchar,                     -- collation when it is not the default
    collation_schema varchar,                   -- schema of that collation, unquoted
    is_not_null boolean not null,               -- attnotnull
    default_expression varchar,                 -- pg_get_expr() of the default or of the generation expression
    identity varchar,                           -- always, default; null for none
    generated varchar,                          -- stored, virtual; null for none
    statistics_target integer                   -- attstattarget; null for the default
);
