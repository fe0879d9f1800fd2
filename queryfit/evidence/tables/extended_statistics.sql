-- CREATE STATISTICS objects with what ANALYZE found for them: one row an object, and one more where it has found
-- something for the table alone and for its inheritance tree. Holds sample values: --redact drops them.
-- source: pg_statistic_ext, pg_statistic_ext_data or pg_stats_ext
-- capture: full
create table extended_statistics (
    database varchar not null,                  -- database
    relation varchar not null,                  -- schema.name
    statistics_name varchar not null,           -- schema.name of the object
    definition varchar not null,                -- pg_get_statisticsobjdef()
    kinds varchar,                              -- ndistinct, dependencies, mcv, expressions: those that it has, as one text
    columns varchar,                            -- its plain columns by attribute number, quoted where SQL needs it, as one text
    column_positions varchar,                   -- their attribute numbers in the same order: 2, 3 (relation_column.position)
    expressions varchar,                        -- its expressions in order as the text of an array: {lower(email),(a + b)} (14+)
    statistics_target integer,                  -- stxstattarget; null for the default
    is_inherited boolean,                       -- over the whole inheritance tree; null: nothing found yet, or not readable
    distinct_counts varchar,                    -- n_distinct as it prints: {"2, 3": 1000}; numbers are attribute numbers, -1 is the first expression, -2 the second
    dependencies varchar,                       -- dependencies as it prints: {"2 => 3": 0.98}; numbers likewise
    common_values varchar,                      -- most_common_vals as text: an array of rows, in the order of columns and then expressions
    common_nulls varchar,                       -- most_common_val_nulls as text: which of these values are null
    common_frequencies double[],                -- most_common_freqs: a share of the rows each
    common_base_frequencies double[]            -- most_common_base_freqs: what they would be if the columns were independent
);
