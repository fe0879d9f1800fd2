-- rule: connections-run-out
-- title: Connections that grow towards the limit
-- severity: warning
-- reads: trend
-- message: The most connections of a day grew from {connections_first} to {connections} in {watched_days} days; at that
--     rate the {usable_connections} that ordinary roles may use are taken in about {days_left} ({days_low} to
--     {days_high}). Find what leaks or grows before the next deploy is refused.
-- param: warning_days = 60 -- time to find a leak, or to put a pooler in between
-- param: error_days = 14 -- sooner than most people plan
-- param: min_used_share = 0.3 -- a few connections more of very many are no direction
-- since: 0.1
--
-- ## Why it matters
-- A pool that leaks, or an application that adds a worker with every release, does not show in a single look: the
-- server is far from its limit until the day on which it refuses everybody.
--
-- ## What to do
-- `queryfit connections` shows who holds them. Compare the applications' pools of today with those at the beginning; cap
-- them, or put a pooler in between. Raising `max_connections` moves the day, not the direction.
--
-- ## When to leave it
-- The growth was a move that is over, such as a second application that was rolled out step by step.

select
    null::varchar as database,
    'max_connections' as subject,
    -- the same fault as being close to the limit already
    'near-connection-limit: max_connections' as root,
    case when days_left <= $error_days then 'error' else 'warning' end as severity,
    days_left,
    floor(days_left_low)::bigint as days_low,
    ceil(days_left_high)::bigint as days_high,
    value as connections,
    greatest(round(value - per_day * epoch(last_at - first_at) / 86400), 0) as connections_first,
    round(epoch(last_at - first_at) / 86400) as watched_days,
    limit_value as usable_connections,
    per_day as connections_per_day,
    per_day_low as connections_low_per_day,
    per_day_high as connections_high_per_day,
    value / limit_value as used_share
from trend
where kind = 'connections'
    -- even at the slowest rate of the interval it gets there
    and days_left_high <= $warning_days
    and value >= $min_used_share * limit_value;

-- example: three more every day, and 40 left
-- given: evidence
insert into trend (kind, subject, first_at, last_at, value, per_day, per_day_low, per_day_high, limit_value, days_left,
    days_left_low, days_left_high) values
    ('connections', 'max_connections', timestamp '2026-01-01', timestamp '2026-01-08', 57, 3, 2.5, 3.5, 97, 13.3, 11.4, 16);
-- finds: max_connections

-- example: growth that may as well be none, growth from nearly nothing, and no limit known
-- given: evidence
insert into trend (kind, subject, value, per_day, per_day_low, per_day_high, limit_value, days_left, days_left_low,
    days_left_high) values
    ('connections', 'max_connections', 57, 1, -1, 3, 97, 40, 13.3, null),
    ('connections', 'max_connections', 12, 2, 1.8, 2.2, 97, 42, 38, 47),
    ('connections', 'max_connections', 57, 3, 2.5, 3.5, null, null, null, null);
-- finds: nothing
