-- What ANALYZE found in an expression of CREATE STATISTICS (14+). Those of index expressions are in column_statistics,
-- with the index as relation; what of them cannot be read is told as a gap in this table. Holds sample values:
-- --redact drops them.
-- source: pg_statistic_ext_data or pg_stats_ext_exprs
-- capture: full
create table extended_expression_statistics (
    database varchar not null,                  -- database
    relation varchar not null,                  -- schema.name
    statistics_name varchar not null,           -- schema.name of the object
    position integer not null,                  -- 1 is its first expression, as extended_statistics lists them
    expression varchar not null,                -- the expression as PostgreSQL prints it
    is_inherited boolean not null,              -- over the whole inheritance tree
    null_fraction double,                       -- null_frac, 0 to 1
    average_width_bytes integer,                -- avg_width
    distinct_values double,                     -- n_distinct as stored: negative means a share of the rows
    correlation double,                         -- physical order against logical order, -1 to 1
    common_values varchar,                      -- most_common_vals as text
    common_frequencies double[],                -- most_common_freqs
    histogram_bounds varchar,                   -- histogram_bounds as text
    common_elements varchar,                    -- most_common_elems as text
    common_element_frequencies double[],        -- most_common_elem_freqs
    element_count_histogram double[]            -- elem_count_histogram
);
