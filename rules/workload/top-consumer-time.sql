-- rule: top-consumer-time
-- title: One statement takes much of the database's time
-- severity: info
-- reads: workload
-- message: One statement takes {time_share} of the database's time ({execution_ms_per_day}): {calls} calls of
--     {mean_ms}; look here first.
-- param: least_share = 0.3 -- below this no single statement decides how busy the server is
-- param: least_ms_per_day = 600000 -- ten minutes a day: on an idle server some statement always leads
-- param: least_calls = 10 -- a migration or a report run by hand is no workload
-- since: 0.1
--
-- ## Why it matters
-- Where one statement takes a third of the time, nothing else is worth tuning first. It says nothing about a fault:
-- the statement may be as good as it gets, and simply be what the application does.
--
-- ## What to do
-- See what the other findings say about the same statement, then its plan. If neither helps: call it less often, cache
-- its result, or let it return less.
--
-- ## When to leave it
-- When the server does little else than this by design.

select
    database,
    'fingerprint:' || fingerprint as subject,
    'fingerprint:' || fingerprint as root,
    fingerprint,
    time_share,
    execution_ms_per_day,
    execution_ms_per_day as exposure_ms_per_day,
    calls,
    calls_per_day,
    mean_ms,
    rows_per_call,
    text
from workload
where kind in ('select', 'insert', 'update', 'delete', 'merge')
    and time_share >= $least_share
    and calls >= $least_calls
    and execution_ms_per_day >= $least_ms_per_day;

-- example: one statement out of two takes nearly all of the time
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('b2', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms) values
    ('a1', 100000, 9000000, 90), ('b2', 100000, 100000, 1);
-- finds: fingerprint:a1

-- example: on an idle server some statement always leads
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms) values ('a1', 1000, 60000, 60);
-- finds: nothing

-- example: a vacuum by hand, and a report that ran once
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'utility'), ('b2', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms) values
    ('a1', 20, 9000000, 450000), ('b2', 1, 9000000, 9000000);
-- finds: nothing
