-- rule: statements-without-index
-- title: Statements that an index would serve, as the planner itself says
-- severity: warning
-- reads: index_candidate, what_if, workload, relation, relation_extent
-- message: {statements} {plural} up to {factor} times cheaper with an index on {candidate}: {why}. It takes {size_bytes}
--     and costs writes {upkeep_ms_per_day}.
-- fix: {fix_sql}
-- undo: {undo_sql}
-- proof: planned
-- param: least_factor = 1.5 -- less is within what estimates are wrong by
-- param: least_mean_ms = 1 -- a call that is shorter spends its time on what no index shortens
-- param: least_ms_per_day = 10000 -- ten seconds a day are not worth an index, whatever the share
-- param: least_calls = 10 -- an index for a statement run by hand costs more than it saves …
-- param: worth_ms_per_day = 60000 -- … unless it saves a minute a day
-- since: 0.2
--
-- ## Why it matters
-- The statements were planned in the lab: a server with the captured schema, statistics and settings, in which the index
-- was made. The planner chose it by its own estimates, and the index belongs to the set that saves most over all
-- captured statements, with what writes pay for each index taken off. Without it every call reads more than it needs.
--
-- ## What to do
-- Build it concurrently: neither reads nor writes are locked out. `queryfit advise` shows the whole set, what each
-- statement gains, and what a smaller budget would leave out; `--measure` runs the statements on a copy with and without
-- the set.
--
-- ## When to leave it
-- The estimates come from statistics: where these are stale or the server's configuration is about to change, measure
-- first. And where the counters cover a time that is not like others, such as a migration or a holiday.

with used as (
    select
        what_if.*,
        candidate.relation,
        candidate.leading_key,
        candidate.index_name,
        candidate.why,
        candidate.size_bytes,
        candidate.upkeep_ms_per_day,
        candidate.saving_ms_per_day,
        candidate.disk_bytes,
        candidate.fix_sql,
        candidate.undo_sql,
        workload.text,
        workload.calls,
        workload.calls_per_day,
        workload.mean_ms,
        -- each statement bears its part of what the writes will cost
        candidate.upkeep_ms_per_day * greatest(what_if.saved_ms_per_day, 0)
            / nullif(sum(greatest(what_if.saved_ms_per_day, 0)) over each, 0) as upkeep_part_ms_per_day,
        sum(what_if.saved_ms_per_day) over each as all_saved_ms_per_day,
        sum(workload.calls) over each as all_calls,
        count(*) over each as statements,
        max(what_if.cost_before / nullif(what_if.cost_after, 0)) over each as greatest_factor,
        max(case when what_if.cost_before >= $least_factor * what_if.cost_after then workload.mean_ms end) over each
            as greatest_mean_ms
    from what_if
    join index_candidate as candidate
        on candidate.database = what_if.database
        and candidate.candidate = what_if.candidate
        and candidate.action = 'add'
    join workload on workload.database = what_if.database and workload.fingerprint = what_if.fingerprint
    window each as (partition by what_if.database, what_if.candidate)
)

select
    used.database,
    candidate as subject,
    used.relation || ' (' || leading_key || ')' as root,
    fingerprint,
    case when measured_ratio is not null then 'measured' else 'planned' end as proof,
    saved_ms_per_day - coalesce(upkeep_part_ms_per_day, 0) as impact_ms_per_day,
    saved_ms_per_day - coalesce(upkeep_part_ms_per_day, 0) as impact_low_ms_per_day,
    used.relation,
    candidate,
    case when statements = 1 then 'statement plans' else 'statements plan' end as plural,
    statements,
    why,
    case when greatest_factor >= 10 then round(greatest_factor) else round(greatest_factor, 1) end as factor,
    cost_before,
    cost_after,
    measured_before_ms,
    measured_after_ms,
    used.size_bytes,
    upkeep_ms_per_day,
    extent.pages * 8192 as fix_read_bytes,
    disk_bytes as fix_disk_bytes,
    calls,
    calls_per_day,
    mean_ms,
    text,
    fix_sql,
    undo_sql
from used
left join relation_extent as extent  -- LEFT JOIN: what is not a table of rows has no extent
    on extent.database = used.database and extent.relation = used.relation
where greatest_mean_ms >= $least_mean_ms
    and all_saved_ms_per_day - upkeep_ms_per_day >= $least_ms_per_day
    and (all_calls >= $least_calls or all_saved_ms_per_day >= $worth_ms_per_day)
order by all_saved_ms_per_day desc, candidate, fingerprint;

-- example: the planner takes an index that is not there
-- given: evidence
insert into statement_text (fingerprint, text, kind) values ('a1', 'select * from orders where customer_id = $1', 'select');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms) values ('a1', 70000, 70000, 7000000, 100);
insert into index_candidate (candidate, action, relation, leading_key, why, saving_ms_per_day, size_bytes) values
    ('public.orders (customer_id)', 'add', 'public.orders', 'customer_id', 'equality on customer_id', 990000, 18000000);
insert into what_if (fingerprint, candidate, cost_before, cost_after, saved_ms_per_day) values
    ('a1', 'public.orders (customer_id)', 25000, 8.4, 990000);
-- finds: public.orders (customer_id)

-- example: it was measured on a copy
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms) values ('a1', 70000, 7000000, 100);
insert into index_candidate (candidate, action, relation, leading_key, saving_ms_per_day) values
    ('public.orders (customer_id)', 'add', 'public.orders', 'customer_id', 990000);
insert into what_if (
    fingerprint, candidate, cost_before, cost_after, saved_ms_per_day, measured_before_ms, measured_after_ms, measured_ratio
) values ('a1', 'public.orders (customer_id)', 25000, 8.4, 940000, 96, 4.8, 0.05);
-- finds: public.orders (customer_id)

-- example: an index for two statements is one finding
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('b2', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms) values ('a1', 70000, 7000000, 100), ('b2', 7000, 700000, 100);
insert into index_candidate (candidate, action, relation, leading_key, saving_ms_per_day) values
    ('public.orders (customer_id, created_at)', 'add', 'public.orders', 'customer_id', 1080000);
insert into what_if (fingerprint, candidate, cost_before, cost_after, saved_ms_per_day) values
    ('a1', 'public.orders (customer_id, created_at)', 25000, 8.4, 990000),
    ('b2', 'public.orders (customer_id, created_at)', 25000, 12.7, 90000);
-- finds: public.orders (customer_id, created_at)

-- example: the lab says that no index helps
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms) values ('a1', 70000, 7000000, 100);
insert into what_if (fingerprint, candidate, cost_before, cost_after, saved_ms_per_day) values ('a1', null, 25000, 25000, 0);
-- finds: nothing

-- example: a plan that gets a tenth cheaper
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms) values ('a1', 70000, 7000000, 100);
insert into index_candidate (candidate, action, relation, leading_key, saving_ms_per_day) values
    ('public.orders (customer_id)', 'add', 'public.orders', 'customer_id', 90000);
insert into what_if (fingerprint, candidate, cost_before, cost_after, saved_ms_per_day) values
    ('a1', 'public.orders (customer_id)', 25000, 22500, 90000);
-- finds: nothing

-- example: a lookup of a third of a millisecond that would read fewer pages
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms) values ('a1', 7000000, 2100000, 0.3);
insert into index_candidate (candidate, action, relation, leading_key, saving_ms_per_day) values
    ('public.orders (customer_id, state)', 'add', 'public.orders', 'customer_id', 150000);
insert into what_if (fingerprint, candidate, cost_before, cost_after, saved_ms_per_day) values
    ('a1', 'public.orders (customer_id, state)', 24, 12, 150000);
-- finds: nothing

-- example: it saves three seconds a day
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms) values ('a1', 700, 28000, 40);
insert into index_candidate (candidate, action, relation, leading_key, saving_ms_per_day) values
    ('public.orders (customer_id)', 'add', 'public.orders', 'customer_id', 3000);
insert into what_if (fingerprint, candidate, cost_before, cost_after, saved_ms_per_day) values
    ('a1', 'public.orders (customer_id)', 25000, 8.4, 3000);
-- finds: nothing

-- example: a report that somebody ran by hand, three times
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms) values ('a1', 3, 210000, 70000);
insert into index_candidate (candidate, action, relation, leading_key, saving_ms_per_day) values
    ('public.orders (customer_id)', 'add', 'public.orders', 'customer_id', 29000);
insert into what_if (fingerprint, candidate, cost_before, cost_after, saved_ms_per_day) values
    ('a1', 'public.orders (customer_id)', 25000, 8.4, 29000);
-- finds: nothing
