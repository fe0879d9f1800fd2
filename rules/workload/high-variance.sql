-- rule: high-variance
-- title: A statement is fast for most calls and slow for some
-- severity: info
-- reads: workload
-- message: Most calls take a fraction of the {mean_ms} mean, some up to {max_ms} (deviation {stddev_ms} without the
--     slowest call): skewed values, waits for locks, or a plan that does not fit all.
-- param: least_calls = 50 -- fewer calls have no distribution
-- param: least_deviation = 2 -- standard deviation over mean, the slowest call left out: a cold start is no pattern
-- param: least_deviation_ms = 1 -- below a millisecond the deviation is the machine's, not the statement's
-- param: least_max_ms = 5 -- what nobody notices is no matter
-- param: most_min_ratio = 0.1 -- fastest call over mean: there is a fast way
-- param: least_share = 0.001 -- of the time of all statements
-- since: 0.1
--
-- ## Why it matters
-- A mean hides that some users wait a hundred times longer than others: the customer with a tenth of all orders, the
-- call behind a lock, the plan made for another value. Averages look healthy while the slow calls hold their
-- connections.
--
-- ## What to do
-- Find a slow call's parameters (`auto_explain`, `log_min_duration_statement`) and compare its plan with a fast one's.
-- For skew: an index that serves the frequent value too, a LIMIT, or a summary table. For locks: see the lock
-- findings.
--
-- ## When to leave it
-- When the statement does different work by design: a report over one day or over one year.

with spread as (
    select
        workload.*,
        -- one call alone (a cold start, a lock) can make any deviation: n σ² = Σ (x − mean)², so take its part out
        sqrt(greatest(
            calls * stddev_ms * stddev_ms - (max_ms - mean_ms) * (max_ms - mean_ms), 0
        ) / nullif(calls - 1, 0)) as remaining_ms
    from workload
    -- an insert has no plan to vary
    where kind in ('select', 'update', 'delete', 'merge')
)

select
    database,
    'fingerprint:' || fingerprint as subject,
    'fingerprint:' || fingerprint as root,
    fingerprint,
    calls,
    calls_per_day,
    min_ms,
    mean_ms,
    max_ms,
    remaining_ms as stddev_ms,
    remaining_ms / mean_ms as deviation,
    execution_ms_per_day as exposure_ms_per_day,
    text
from spread
where calls >= $least_calls
    and mean_ms > 0
    and remaining_ms >= $least_deviation * mean_ms
    and remaining_ms >= $least_deviation_ms
    and max_ms >= $least_max_ms
    and min_ms <= $most_min_ratio * mean_ms
    and time_share >= $least_share;

-- example: a customer with a tenth of all orders
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms, stddev_ms, min_ms, max_ms) values
    ('a1', 2000, 4000, 2, 8, 0.05, 40);
-- finds: fingerprint:a1

-- example: the first call found cold caches
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms, stddev_ms, min_ms, max_ms) values
    ('a1', 1000, 200, 0.2, 3.157, 0.02, 100);
-- finds: nothing

-- example: an even statement, and few calls
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('b2', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms, stddev_ms, min_ms, max_ms) values
    ('a1', 2000, 40000, 20, 10, 1, 60),
    ('b2', 10, 100, 10, 30, 0.1, 50);
-- finds: nothing
