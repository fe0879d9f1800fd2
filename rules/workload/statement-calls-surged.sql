-- rule: statement-calls-surged
-- title: Statement that is called far more often
-- severity: info
-- reads: statement_change, statement_text
-- message: Since {began} it is called {calls_per_day} instead of {calls_before_per_day}, on every single day; a call costs
--     as much as before, and all of them {added_ms_per_day} more: {text}
-- param: least_factor = 3 -- twice is growth; three times at once is something new
-- param: least_added_ms_per_day = 60000 -- a minute a day is worth a look, whatever the share
-- since: 0.1
--
-- ## Why it matters
-- No plan changed and nothing is slow, and still the server does far more than it did: a cache in front of it is gone, a
-- page asks once for every row, something tries again and again.
--
-- ## What to do
-- Look at what was released that day. Where the calls come one for every row of another statement, see the finding on
-- N+1; where a cache was lost, bring it back.
--
-- ## When to leave it
-- The application has that many more users.

select
    change.database,
    'fingerprint:' || change.fingerprint as subject,
    'fingerprint:' || change.fingerprint as root,
    change.fingerprint,
    statement_text.text,
    strftime(change.changed_at, '%Y-%m-%d') as began,
    change.calls_per_day,
    change.calls_per_day_before as calls_before_per_day,
    change.mean_ms,
    change.execution_ms_per_day - change.execution_ms_per_day_before as added_ms_per_day,
    change.execution_ms_per_day - change.execution_ms_per_day_before as exposure_ms_per_day
from statement_change as change
left join statement_text on statement_text.fingerprint = change.fingerprint
where change.change = 'busier'
    and change.calls_per_day >= $least_factor * change.calls_per_day_before
    and change.execution_ms_per_day - change.execution_ms_per_day_before >= $least_added_ms_per_day;

-- example: ten times the calls from one day on
-- given: evidence
insert into statement_text (fingerprint, text, kind) values ('abc', 'select name from country where id = $1', 'select');
insert into statement_change (fingerprint, change, changed_at, calls_per_day_before, calls_per_day, mean_ms,
    execution_ms_per_day_before, execution_ms_per_day) values
    ('abc', 'busier', timestamp '2026-01-06', 100000, 1000000, 0.5, 50000, 500000);
-- finds: fingerprint:abc

-- example: twice the calls, more calls that cost nothing, fewer calls, and a statement that is new
-- given: evidence
insert into statement_change (fingerprint, change, changed_at, calls_per_day_before, calls_per_day,
    execution_ms_per_day_before, execution_ms_per_day) values
    ('a', 'busier', timestamp '2026-01-06', 100000, 200000, 50000, 500000),
    ('b', 'busier', timestamp '2026-01-06', 100, 1000, 10, 100),
    ('c', 'quieter', timestamp '2026-01-06', 1000000, 1000, 5000000, 5000),
    ('d', 'new', timestamp '2026-01-06', null, 1000000, null, 5000000);
-- finds: nothing
