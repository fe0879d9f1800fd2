-- What ANALYZE found in a column. Holds sample values: --redact drops them.
-- source: pg_stats
-- capture: full
create table column_statistics (
    database varchar not null,                  -- database
    relation varchar not null,                  -- schema.name
    column_name varchar not null,               -- attname, unquoted
    is_inherited boolean not null,              -- over the whole inheritance tree
    null_fraction double,                       -- null_frac, 0 to 1
    average_width_bytes integer,                -- avg_width
    distinct_values double,                     -- n_distinct as stored: negative means a share of the rows
    distinct_rows double,                       -- n_distinct turned into a number of values with the relation's tuple_rows
    correlation double,                         -- physical order against logical order, -1 to 1
    common_values varchar,                      -- most_common_vals as text
    common_frequencies double[],                -- most_common_freqs
    histogram_bounds varchar,                   -- histogram_bounds as text
    common_elements varchar,                    -- most_common_elems as text, of arrays and tsvectors
    common_element_frequencies double[],        -- most_common_elem_freqs: a share of the rows each, then the least, the greatest and (arrays) that of null elements
    element_count_histogram double[],           -- elem_count_histogram, of arrays; the last is the average
    range_length_histogram varchar,             -- range_length_histogram as text (17+)
    range_empty_fraction double,                -- range_empty_frac, 0 to 1 (17+)
    range_bounds_histogram varchar,             -- range_bounds_histogram as text (17+)
    least_value double,                         -- smallest value known from histogram and common values, numeric types only
    greatest_value double                       -- greatest value known from histogram and common values, numeric types only
);
