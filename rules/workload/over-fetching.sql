-- rule: over-fetching
-- title: A frequent statement returns thousands of rows a call
-- severity: info
-- reads: workload, shape
-- message: {calls} calls each return {rows_per_call} rows, more than a page shows; add a LIMIT, or aggregate in the
--     database.
-- param: least_rows_per_call = 5000 -- no screen shows so many, and a batch of them takes a moment to send
-- param: least_calls = 50 -- fewer are reports
-- param: least_calls_per_day = 200 -- more than every eight minutes: no job
-- param: least_share = 0.01 -- of the time of all statements
-- since: 0.1
--
-- ## Why it matters
-- Rows that are returned are also sent, decoded and held in memory; the statement's own time shows only a part of
-- that. Mostly the application adds them up, filters them or shows the first twenty.
--
-- ## What to do
-- Put the condition, the LIMIT or the sum into the statement. For exports: COPY or a cursor.
--
-- ## When to leave it
-- When the rows are really used: a map, a calculation, a replication of your own.

select
    workload.database,
    'fingerprint:' || workload.fingerprint as subject,
    'fingerprint:' || workload.fingerprint as root,
    workload.fingerprint,
    execution_ms_per_day as exposure_ms_per_day,
    calls,
    calls_per_day,
    mean_ms,
    rows_per_call,
    rows_per_call * calls_per_day as rows_per_day,
    text
from workload
join shape on shape.fingerprint = workload.fingerprint
where workload.kind = 'select'
    -- a table fetched whole is full-table-read
    and not shape.is_full_read
    and rows_per_call >= $least_rows_per_call
    and calls >= $least_calls
    and coalesce(calls_per_day, $least_calls_per_day) >= $least_calls_per_day
    and time_share >= $least_share;

-- example: twenty thousand rows, every minute
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations, has_where) values ('a1', 1, true);
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms) values ('a1', 10080, 201600000, 403200, 40);
-- finds: fingerprint:a1

-- example: a page of fifty rows, and a nightly report of many
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('b2', 'select');
insert into shape (fingerprint, relations, has_where) values ('a1', 1, true), ('b2', 3, true);
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms) values
    ('a1', 1000000, 50000000, 403200, 0.4), ('b2', 70, 7000000, 70000, 1000);
-- finds: nothing

-- example: an insert of many rows at once is how it should be
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'insert');
insert into shape (fingerprint, relations) values ('a1', 1);
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms) values ('a1', 10080, 201600000, 403200, 40);
-- finds: nothing
