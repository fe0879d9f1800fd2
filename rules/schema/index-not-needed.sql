-- rule: index-not-needed
-- title: Index that no captured statement's plan needs
-- severity: info
-- reads: index_candidate, counter_window
-- message: {index} ({size_bytes}) can go: {why}; writes pay {upkeep_ms_per_day} for it.
-- fix: {fix_sql}
-- undo: {undo_sql}
-- proof: planned
-- param: min_age_days = 14 -- month-end jobs aside, two weeks see every regular use
-- param: min_bytes = 10485760 -- below 10 MB neither the writes nor the room are worth a decision
-- since: 0.2
--
-- ## Why it matters
-- All captured statements were planned in the lab without it, together with the set of indexes that serves them best: none
-- gets slower. What stays is its cost: each insert, and each update that is not HOT, adds an entry, vacuum cleans it, and
-- it takes room in shared buffers, backups and the WAL.
--
-- ## What to do
-- Where an index replaces it, build that one first. Look at the counters of every standby: a scan there is counted there
-- and nowhere else. Then drop it concurrently; the undo builds it again.
--
-- ## When to leave it
-- It serves statements that the counters do not hold: a report that runs once a quarter, or what was evicted from
-- pg_stat_statements.

select
    candidate.database,
    candidate.candidate as subject,
    candidate.candidate as root,
    candidate.relation,
    candidate.index_name as index,
    candidate.why,
    candidate.size_bytes,
    candidate.upkeep_ms_per_day,
    candidate.fix_sql,
    candidate.undo_sql
from index_candidate as candidate
join counter_window on counter_window.database = candidate.database
where candidate.action = 'drop'
    and candidate.size_bytes >= $min_bytes
    and counter_window.window_days >= $min_age_days
order by candidate.size_bytes desc, candidate.candidate;

-- example: replaced by a longer one
-- given: evidence
insert into database (database, counters_since) values ('app', timestamp '2025-12-01 00:00:00');
insert into index_candidate (candidate, action, relation, leading_key, index_name, why, size_bytes) values
    ('public.orders_customer', 'drop', 'public.orders', 'customer_id', 'public.orders_customer',
    'replaced by public.orders (customer_id, created_at)', 40000000);
-- finds: public.orders_customer

-- example: the counters cover a week
-- given: evidence
insert into database (database, counters_since) values ('app', timestamp '2026-01-01 00:00:00');
insert into index_candidate (candidate, action, relation, leading_key, index_name, why, size_bytes) values
    ('public.orders_customer', 'drop', 'public.orders', 'customer_id', 'public.orders_customer', 'unused', 40000000);
-- finds: nothing

-- example: two megabytes
-- given: evidence
insert into database (database, counters_since) values ('app', timestamp '2025-12-01 00:00:00');
insert into index_candidate (candidate, action, relation, leading_key, index_name, why, size_bytes) values
    ('public.orders_customer', 'drop', 'public.orders', 'customer_id', 'public.orders_customer', 'unused', 2000000);
-- finds: nothing

-- example: an index to be added is no index to drop
-- given: evidence
insert into database (database, counters_since) values ('app', timestamp '2025-12-01 00:00:00');
insert into index_candidate (candidate, action, relation, leading_key, why, size_bytes) values
    ('public.orders (customer_id)', 'add', 'public.orders', 'customer_id', 'equality on customer_id', 40000000);
-- finds: nothing
