-- rule: statements-evicted
-- title: pg_stat_statements forgets statements
-- severity: warning
-- reads: statement_store, server
-- message: pg_stat_statements made room {evictions} times, so rare statements are missing from every report; raise
--     pg_stat_statements.max ({maximum_entries}).
-- fix: alter system set pg_stat_statements.max = {better_maximum};  -- takes effect at the next restart
-- undo: alter system reset pg_stat_statements.max;
-- param: least_per_day = 4 -- each drops a twentieth of the entries; four a day are a fifth of all
-- param: least_evictions = 4 -- fewer are the tail of a deployment
-- since: 0.1
--
-- ## Why it matters
-- The extension holds pg_stat_statements.max statements. When a new one comes it drops the least called twentieth,
-- with their counters. What is dropped and comes back starts from zero: totals, shares and trends are wrong, above all
-- for statements that run rarely but long. Dropping also rewrites its file and takes a lock.
--
-- ## What to do
-- Raise pg_stat_statements.max (an entry takes some hundred bytes of shared memory; a restart is needed), and see why
-- there are so many: statements with values written into them, lists of varying length (`= any($1)` has one entry),
-- names of temporary tables, SET and other utility statements (`pg_stat_statements.track_utility = off`).
--
-- ## When to leave it
-- When the counters are read and reset every few minutes by another tool.

with rate as (
    select
        store.*,
        case
            when server.captured_at > store.reset_at
                then evictions * 86400.0 / epoch(server.captured_at - store.reset_at)
        end as evictions_per_day
    from statement_store as store
    cross join server
)

select
    cast(null as varchar) as database,
    'pg_stat_statements.max' as subject,
    evictions,
    evictions_per_day,
    entries,
    maximum_entries,
    greatest(coalesce(maximum_entries, 5000) * 2, 10000)::bigint::varchar as better_maximum,
    reset_at
from rate
where evictions >= $least_evictions
    and coalesce(evictions_per_day, $least_per_day) >= $least_per_day;

-- example: a hundred evictions in a week
-- given: evidence
insert into statement_store (extension_version, entries, maximum_entries, evictions, reset_at) values
    ('1.12', 4900, 5000, 100, '2026-01-01');
-- finds: pg_stat_statements.max

-- example: a few in a week, after a deployment
-- given: evidence
insert into statement_store (extension_version, entries, maximum_entries, evictions, reset_at) values
    ('1.12', 4900, 5000, 5, '2026-01-01');
-- finds: nothing

-- example: none, and a version that does not count them
-- given: evidence
insert into statement_store (extension_version, entries, maximum_entries, evictions, reset_at) values
    ('1.8', 4900, 5000, null, null);
-- finds: nothing
