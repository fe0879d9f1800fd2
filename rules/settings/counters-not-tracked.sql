-- rule: counters-not-tracked
-- title: Counters that are switched off
-- severity: warning
-- reads: setting, server
-- message: {subject} is off: {consequence}. Switch it on.
-- fix: {fix_sql}
-- undo: {undo_sql}
-- since: 0.1
--
-- ## Why it matters
-- `track_counts` feeds autovacuum: without it no table is ever vacuumed or analyzed by itself. `track_activities`
-- shows what sessions do, so locks and idle transactions stay anonymous without it. `track_io_timing` tells waiting
-- for the disk from computing, in EXPLAIN and in pg_stat_statements.
--
-- ## What to do
-- Switch it on; a reload is enough. `pg_test_timing` says what a look at the clock costs: below 100 ns, as on nearly
-- all machines, I/O timing is not felt.
--
-- ## When to leave it
-- Reading the clock is slow on this machine (only for track_io_timing).

with consequence (name, severity, consequence) as (
    values
        ('track_counts', 'error', 'autovacuum has nothing to go by, and the use of indexes is not known'),
        ('track_activities', 'warning', 'nobody can see what a session does, or which transaction was left open'),
        ('track_io_timing', 'info', 'waiting for the disk cannot be told from computing')
)

select
    null::varchar as database,
    setting.name as subject,
    consequence.severity,
    setting.value,
    setting.source,
    consequence.consequence,
    case
        when server.provider = 'self-hosted'
            then 'alter system set ' || setting.name || ' = on;' || chr(10) || 'select pg_reload_conf();'
        else '-- set ' || setting.name || ' = on in the parameters of the service'
    end as fix_sql,
    case when server.provider = 'self-hosted' then 'alter system reset ' || setting.name || ';' end as undo_sql
from setting
cross join server
join consequence on consequence.name = setting.name
where setting.value = 'off';

-- example: nobody counts
-- given: evidence
insert into setting (name, value) values
    ('track_counts', 'off'),
    ('track_activities', 'off'),
    ('track_io_timing', 'off');
-- finds: track_activities
-- finds: track_counts
-- finds: track_io_timing

-- example: all on
-- given: evidence
insert into setting (name, value) values ('track_counts', 'on'), ('track_activities', 'on'), ('track_io_timing', 'on');
-- finds: nothing

-- example: others may be off: they are a matter of taste
-- given: evidence
insert into setting (name, value) values
    ('track_wal_io_timing', 'off'),
    ('track_commit_timestamp', 'off'),
    ('jit', 'off');
-- finds: nothing
