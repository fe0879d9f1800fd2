-- rule: near-database-connection-limit
-- title: Database close to its connection limit
-- severity: warning
-- reads: activity, database
-- message: {connections} of the {connection_limit} connections that database {subject} allows are taken
--     ({idle_connections} idle): the next ones are refused although the server has room. Lower the pools or raise the
--     limit.
-- fix: alter database {database_sql} connection limit {raised_limit};
-- undo: alter database {database_sql} connection limit {connection_limit};
-- param: min_used_share = 0.8 -- bursts need a fifth of the connections in reserve
-- param: min_limit = 5 -- a limit of a few is meant to be reached
-- param: error_share = 0.95 -- the next deploy is refused
-- since: 0.1
--
-- ## Why it matters
-- The limit of a database is a wall of its own: sessions are refused with "too many connections for database" while
-- the server has room for others. Migrations and backups that connect to it count as well.
--
-- ## What to do
-- Add up the pools of everything that connects to this database; the limit has to be above the sum, with room for a
-- deployment during which the old and the new ones are both there.
--
-- ## When to leave it
-- The limit is there to keep a tenant within its share, and it does.

with held as (
    select database, sampled_at, count(*) as connections, 
        -- states are hidden from a weak role
        case when count(state) > 0 then count(*) filter (where state = 'idle') end as idle_connections
    from activity
    where not is_own and database is not null and coalesce(backend_type, 'client backend') = 'client backend'
    group by database, sampled_at
),
worst as (
    select *, row_number() over (partition by database order by connections desc, sampled_at desc) as rank
    from held
)

select
    db.database,
    db.database as subject,
    case when worst.connections >= $error_share * db.connection_limit then 'error' else 'warning' end as severity,
    1 - worst.connections / db.connection_limit as headroom_fraction,
    worst.connections,
    worst.idle_connections,
    db.connection_limit,
    (db.connection_limit * 3 + 1) // 2 as raised_limit,
    case
        when regexp_matches(db.database, '^[a-z_][a-z0-9_]*$') then db.database
        else '"' || replace(db.database, '"', '""') || '"'
    end as database_sql
from database as db
join worst on worst.database = db.database and worst.rank = 1
where db.connection_limit >= $min_limit
    and worst.connections >= $min_used_share * db.connection_limit;

-- example: 5 of 6
-- given: evidence
insert into database (database, connection_limit) values ('app', 6);
insert into activity (pid, role, backend_type, database) values
    (1, 'web', 'client backend', 'app'), (2, 'web', 'client backend', 'app'), (3, 'web', 'client backend', 'app'),
    (4, 'web', 'client backend', 'app'), (5, 'web', 'client backend', 'app');
-- finds: app

-- example: 4 of 6, and a database without a limit
-- given: evidence
insert into database (database, connection_limit) values ('app', 6), ('other', null);
insert into activity (pid, role, backend_type, database) values
    (1, 'web', 'client backend', 'app'), (2, 'web', 'client backend', 'app'), (3, 'web', 'client backend', 'app'),
    (4, 'web', 'client backend', 'app'), (5, 'web', 'client backend', 'other'), (6, 'web', 'walsender', 'app');
-- finds: nothing
