-- rule: near-role-connection-limit
-- title: Role close to its connection limit
-- severity: warning
-- reads: activity, role
-- message: {role} holds {connections} of the {connection_limit} connections that it may open ({idle_connections}
--     idle): its next ones are refused although the server has room. Lower its pools or raise its limit.
-- fix: alter role {role_sql} connection limit {raised_limit};
-- undo: alter role {role_sql} connection limit {connection_limit};
-- param: min_used_share = 0.8 -- bursts need a fifth of the connections in reserve
-- param: min_limit = 5 -- a limit of a few is meant to be reached: one job, one connection
-- param: error_share = 0.95 -- the next deploy is refused
-- since: 0.1
--
-- ## Why it matters
-- The limit of a role is a wall of its own: its sessions are refused with "too many connections for role" while the
-- server has room for others.
--
-- ## What to do
-- Add up the pools of all the role's instances; the limit has to be above the sum, with room for a deployment during
-- which the old and the new ones are both there.
--
-- ## When to leave it
-- The limit is there to stop this role, and it does.

with held as (
    select role, sampled_at, count(*) as connections, 
        -- states are hidden from a weak role
        case when count(state) > 0 then count(*) filter (where state = 'idle') end as idle_connections
    from activity
    where not is_own and database is not null and coalesce(backend_type, 'client backend') = 'client backend'
    group by role, sampled_at
),
worst as (
    select *, row_number() over (partition by role order by connections desc, sampled_at desc) as rank
    from held
)

select
    null::varchar as database,
    role.role as subject,
    case when worst.connections >= $error_share * role.connection_limit then 'error' else 'warning' end as severity,
    1 - worst.connections / role.connection_limit as headroom_fraction,
    role.role,
    worst.connections,
    worst.idle_connections,
    role.connection_limit,
    (role.connection_limit * 3 + 1) // 2 as raised_limit,
    case
        when regexp_matches(role.role, '^[a-z_][a-z0-9_]*$') then role.role
        else '"' || replace(role.role, '"', '""') || '"'
    end as role_sql
from role
join worst on worst.role = role.role and worst.rank = 1
where role.connection_limit >= $min_limit
    -- limits do not hold superusers back
    and not role.is_superuser
    and worst.connections >= $min_used_share * role.connection_limit;

-- example: 4 of 5
-- given: evidence
insert into role (role, connection_limit) values ('web', 5);
insert into activity (pid, database, role, backend_type) values
    (1, 'app', 'web', 'client backend'), (2, 'app', 'web', 'client backend'),
    (3, 'app', 'web', 'client backend'), (4, 'app', 'web', 'client backend');
-- finds: web

-- example: 3 of 5, no limit, a limit of one that is meant, and a superuser
-- given: evidence
insert into role (role, connection_limit, is_superuser) values
    ('web', 5, false), ('api', null, false), ('job', 1, false), ('dba', 5, true);
insert into activity (pid, database, role, backend_type) values
    (1, 'app', 'web', 'client backend'), (2, 'app', 'web', 'client backend'), (3, 'app', 'web', 'client backend'),
    (4, 'app', 'api', 'client backend'), (5, 'app', 'job', 'client backend'), (6, 'app', 'dba', 'client backend'),
    (7, 'app', 'dba', 'client backend'), (8, 'app', 'dba', 'client backend'), (9, 'app', 'dba', 'client backend');
-- finds: nothing
