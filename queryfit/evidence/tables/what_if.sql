-- What the best set of indexes does to each statement that the lab has judged: a row for each index of the set that its plans use.
-- source: queryfit.advise, asked in the lab
-- capture: lab
create table what_if (
    database varchar not null,                  -- database
    fingerprint varchar not null,               -- statement_text.fingerprint
    candidate varchar,                          -- index_candidate.candidate; null where no index of the set serves the statement
    cost_before double not null,                -- planner's cost of a call today, mean over its variants
    cost_after double not null,                 -- with the whole set
    saved_ms_per_day double not null,           -- of its time, this index's part; negative where it gets slower
    execution_ms_per_day double,                -- its time today; null where the window is unknown
    measured_before_ms double,                  -- median of a call without these indexes, where it was measured on a copy
    measured_after_ms double,                   -- with them
    measured_ratio double                       -- median of the paired ratios, with over without; null where nobody measured
);
