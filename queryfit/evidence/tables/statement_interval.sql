-- Counters of statements between two looks during `audit --for`; empty otherwise.
-- source: differences of pg_stat_statements
-- capture: sample
create table statement_interval (
    interval integer not null,                  -- number of the interval, from 1
    interval_ms double not null,                -- its length
    database varchar not null,                  -- database
    fingerprint varchar not null,               -- statement_text.fingerprint
    calls bigint not null,                      -- finished calls in it
    rows bigint not null,                       -- rows in it
    execution_ms double not null                -- execution time in it
);
