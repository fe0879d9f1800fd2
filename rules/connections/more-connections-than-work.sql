-- rule: more-connections-than-work
-- title: Far more connections than the work needs
-- severity: info
-- reads: activity, workload, setting
-- message: {connections} connections are open, {idle_connections} of them idle, but the workload keeps
--     {average_active} busy on average: about {needed_connections} would do. Lower the pools, or share a pooler.
-- param: min_idle = 50 -- fewer idle connections cost little
-- param: min_factor = 4 -- pools breathe: only a multiple is waste
-- param: min_idle_share = 0.7 -- most of them have nothing to do
-- param: burst_factor = 3 -- peaks are about three times the mean of a day
-- param: spare = 10 -- for jobs, deployments and people
-- param: warning_used_share = 0.5 -- from half of max_connections on they stand in the way of a burst
-- since: 0.1
--
-- ## Why it matters
-- By Little's law the number of busy connections is the execution time per second: 200 s of execution in 100 s of wall
-- time keep two connections busy. Every further one costs a process with a few MB of its own, is looked at by every
-- snapshot, and lets a burst start more work at once than the machine has cores for.
--
-- ## What to do
-- Size the pools by the number in the message, all instances together; or put PgBouncer in transaction mode in front,
-- so that clients may be many and server connections few.
--
-- ## When to leave it
-- The load of this hour or window is not the load of the peak, or sessions hold state (LISTEN, temporary tables,
-- advisory locks) and cannot share.

with sample as (
    select
        sampled_at,
        count(*) as connections,
        count(*) filter (where state = 'idle') as idle_connections,
        count(*) filter (where state is not null and state <> 'idle') as busy_connections,
        count(*) filter (where state is null) as hidden_connections
    from activity
    where not is_own and database is not null and coalesce(backend_type, 'client backend') = 'client backend'
    group by sampled_at
),
held as (
    select
        max(connections) as connections,
        min(idle_connections) as idle_connections,
        max(busy_connections) as busiest,
        max(hidden_connections) as hidden_connections
    from sample
),
work as (
    select
        sum(execution_ms_per_day) / 86400000 as average_active,
        count(*) as statements,
        count(execution_ms_per_day) as timed_statements,
        min(window_s) as window_s
    from workload
),
room as (
    select max(coalesce(value_number, try_cast(value as double))) as max_connections
    from setting
    where name = 'max_connections'
),
judged as (
    select
        *,
        -- what was seen busy at once is needed whatever the mean says
        greatest(ceil($burst_factor * average_active), busiest) + $spare as needed_connections,
        statements > 0 and timed_statements = statements as is_timed
    from held
    cross join work
    cross join room
)

select
    null::varchar as database,
    'connections' as subject,
    case when connections >= $warning_used_share * max_connections then 'warning' else 'info' end as severity,
    connections,
    idle_connections,
    round(average_active, 2) as average_active,
    busiest as busy_connections,
    needed_connections,
    max_connections,
    window_s,
    case
        when hidden_connections >= $min_idle then 'the states of other sessions are hidden from this role'
        when not is_timed then 'how long the counters of the statements run is not known, so neither is the load'
    end as not_checked_reason,
    case
        when hidden_connections >= $min_idle then 'grant pg_monitor to the role of the audit'
        when not is_timed then 'pg_stat_statements 1.9 or later, or audit a second time'
    end as hint
from judged
where hidden_connections >= $min_idle
    or (
        idle_connections >= $min_idle
        and idle_connections >= $min_idle_share * connections
        and (not is_timed or connections >= $min_factor * needed_connections)
    );

-- example: 60 idle connections for a load of a twentieth
-- given: evidence
insert into workload (fingerprint, calls, execution_ms, execution_ms_per_day, window_s) values
    ('a', 9, 9, 4320000, 86400);
insert into activity (pid, database, role, backend_type, state)
select i, 'app', 'web', 'client backend', 'idle' from range(1, 61) as pids (i);
-- finds: connections

-- example: the load needs them
-- given: evidence
insert into workload (fingerprint, calls, execution_ms, execution_ms_per_day, window_s) values
    ('a', 9, 9, 864000000, 86400);
insert into activity (pid, database, role, backend_type, state)
select i, 'app', 'web', 'client backend', 'idle' from range(1, 61) as pids (i);
-- finds: nothing

-- example: 40 idle ones are a pool, not a fault
-- given: evidence
insert into workload (fingerprint, calls, execution_ms, execution_ms_per_day, window_s) values
    ('a', 9, 9, 4320000, 86400);
insert into activity (pid, database, role, backend_type, state)
select i, 'app', 'web', 'client backend', 'idle' from range(1, 41) as pids (i);
-- finds: nothing

-- example: without the load there is no judgement
-- given: evidence
insert into activity (pid, database, role, backend_type, state)
select i, 'app', 'web', 'client backend', 'idle' from range(1, 61) as pids (i);
-- finds: not checked: connections

-- example: states are hidden
-- given: evidence
insert into activity (pid, database, role, backend_type, state)
select i, 'app', 'web', null, null from range(1, 61) as pids (i);
-- finds: not checked: connections
