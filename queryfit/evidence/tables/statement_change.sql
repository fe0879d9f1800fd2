-- Statements whose behaviour changed in a history, one row a change: a statement may have several.
-- source: statement_span, plan, relation_index, setting
-- capture: history
create table statement_change (
    database varchar not null,                  -- database
    fingerprint varchar not null,               -- statement_text.fingerprint
    change varchar not null,                    -- new, gone, slower, faster, busier, quieter
    changed_at timestamp,                       -- when it began, as near as the spans tell; null for a change over all of it
    calls_per_day_before double,                -- null for a new one
    calls_per_day double,                       -- null for one that is gone
    mean_ms_before double,                      -- execution time of a call before
    mean_ms double,                             -- and now
    blocks_per_call_before double,              -- shared blocks hit and read
    blocks_per_call double,                     -- and now
    rows_per_call_before double,                -- rows returned or changed by a call
    rows_per_call double,                       -- and now
    read_share_before double,                   -- of its blocks those that were not in shared buffers, 0 to 1
    read_share double,                          -- and now
    temp_blocks_per_call_before double,         -- temporary blocks written by a call
    temp_blocks_per_call double,                -- and now
    execution_ms_per_day_before double,         -- execution time a day before
    execution_ms_per_day double,                -- and now
    plan_before varchar,                        -- shape of its plan before, in one line
    plan_now varchar,                           -- and now; equal or null where it did not change or is not known
    reason varchar,                             -- what lies behind it, in words: index orders_customer_idx dropped; null where none is seen
    reason_kind varchar,                        -- index_dropped, index_added, setting_changed, table_grew, statistics, rows, spill, cache, plan; null where none is seen
    reason_subject varchar,                     -- that index, setting or relation
    reason_definition varchar                   -- CREATE INDEX of an index that was dropped or added
);
