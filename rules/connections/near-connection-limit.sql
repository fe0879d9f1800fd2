-- rule: near-connection-limit
-- title: Server close to its last connection
-- severity: warning
-- reads: activity, setting, server
-- message: {connections} of {usable_connections} connections that ordinary roles may use are taken; the most by
--     {holders}. The next burst is refused ("too many clients"): find the leak, or pool.
-- fix: {fix_sql}
-- undo: {undo_sql}
-- param: min_used_share = 0.8 -- bursts need a fifth of the connections in reserve
-- param: error_share = 0.95 -- one deploy that connects before the old one left is enough
-- since: 0.1
--
-- ## Why it matters
-- `max_connections` is a wall: at the limit the server refuses everybody, the health check and the deployment
-- included. The connections reserved for superusers (and from 16 for roles with pg_use_reserved_connections) do not
-- count for applications.
--
-- ## What to do
-- See who holds them (`queryfit connections`). Many idle ones of one application are a pool that is too large or a
-- leak; lower the pool, or put a pooler in between. Raise `max_connections` only when they all work: each one costs
-- memory and makes every snapshot slower.
--
-- ## When to leave it
-- The number is the fixed sum of pools that cannot grow, and it includes all of them at their maximum.

with session as (
    select *
    from activity
    where sampled_at = (select max(sampled_at) from activity)
        and not is_own
        and database is not null
        and coalesce(backend_type, 'client backend') = 'client backend'
),
holder as (
    select
        role,
        coalesce(nullif(application, ''), '(no name)') as application,
        coalesce(client, 'unknown') as client,
        count(*) as connections,
        -- states are hidden from a weak role
        case when count(state) > 0 then count(*) filter (where state = 'idle') end as idle
    from session
    group by all
),
ranked as (
    select *, row_number() over (order by connections desc, role, application, client) as rank
    from holder
),
-- count every sample: the worst moment is the one that hurts
sample as (
    select sampled_at, count(*) as connections
    from activity
    where not is_own and database is not null and coalesce(backend_type, 'client backend') = 'client backend'
    group by sampled_at
),
room as (
    select
        sum(case when name = 'max_connections' then coalesce(value_number, try_cast(value as double)) end) as maximum,
        coalesce(sum(case when name <> 'max_connections' then coalesce(value_number, try_cast(value as double)) end), 0)
            as reserved
    from setting
    where name in ('max_connections', 'superuser_reserved_connections', 'reserved_connections')
)

select
    null::varchar as database,
    'max_connections' as subject,
    case when connections >= $error_share * usable_connections then 'error' else 'warning' end as severity,
    1 - connections / usable_connections as headroom_fraction,
    connections,
    usable_connections,
    maximum as max_connections,
    reserved as reserved_connections,
    idle_connections,
    holders,
    case
        when server.version_number < 140000 or server.provider <> 'self-hosted' then null
        else '-- ends what sits idle for half an hour; better is to lower the pools that hold the most' || chr(10)
            || 'alter system set idle_session_timeout = ''30min'';' || chr(10) || 'select pg_reload_conf();'
    end as fix_sql,
    'alter system reset idle_session_timeout;' as undo_sql
from (
    select
        room.maximum,
        room.reserved,
        room.maximum - room.reserved as usable_connections,
        (select max(connections) from sample) as connections,
        (select count(*) from session where state = 'idle') as idle_connections,
        (
            select string_agg(
                role || '@' || application || ' from ' || client
                    || ' (' || connections || coalesce(', ' || idle || ' idle', '') || ')',
                ', ' order by rank
            )
            from ranked
            where rank <= 3
        ) as holders
    from room
) as use
cross join server
where usable_connections > 0
    and connections >= $min_used_share * usable_connections;

-- example: 8 of 10 in use
-- given: evidence
insert into setting (name, value_number) values ('max_connections', 13), ('superuser_reserved_connections', 3);
insert into activity (pid, database, role, application, client, backend_type, state) values
    (1, 'app', 'web', 'shop', '10.0.0.1', 'client backend', 'idle'),
    (2, 'app', 'web', 'shop', '10.0.0.1', 'client backend', 'idle'),
    (3, 'app', 'web', 'shop', '10.0.0.1', 'client backend', 'idle'),
    (4, 'app', 'web', 'shop', '10.0.0.2', 'client backend', 'active'),
    (5, 'app', 'web', 'shop', '10.0.0.2', 'client backend', 'idle'),
    (6, 'app', 'job', 'cron', 'local', 'client backend', 'active'),
    (7, 'app', 'job', 'cron', 'local', null, null), (8, 'app', 'job', 'cron', 'local', 'client backend', 'idle');
-- finds: max_connections

-- example: 7 of 10, with background processes and our own session beside them
-- given: evidence
insert into setting (name, value_number) values
    ('max_connections', 15), ('superuser_reserved_connections', 3), ('reserved_connections', 2);
insert into activity (pid, database, role, application, backend_type, state, is_own) values
    (1, 'app', 'web', 'shop', 'client backend', 'idle', false),
    (2, 'app', 'web', 'shop', 'client backend', 'idle', false),
    (3, 'app', 'web', 'shop', 'client backend', 'idle', false),
    (4, 'app', 'web', 'shop', 'client backend', 'idle', false),
    (5, 'app', 'web', 'shop', 'client backend', 'idle', false),
    (6, 'app', 'web', 'shop', 'client backend', 'idle', false),
    (7, 'app', 'web', 'shop', 'client backend', 'idle', false),
    (8, 'app', null, '', 'autovacuum worker', 'active', false),
    (9, null, null, '', 'checkpointer', null, false), (10, 'app', 'web', '', 'parallel worker', 'active', false),
    (11, 'app', 'dba', 'queryfit', 'client backend', 'active', true);
-- finds: nothing
