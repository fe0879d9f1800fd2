-- rule: fsync-off
-- title: Writes are not flushed to disk
-- severity: error
-- reads: setting, server
-- message: fsync is off: after a power cut or a crash of the machine the database can be beyond repair. Switch it on.
-- fix: {fix_sql}
-- undo: {undo_sql}
-- since: 0.1
--
-- ## Why it matters
-- With `fsync` off PostgreSQL never waits until its writes are on stable storage. The operating system may write them
-- in any order, so after a crash of the machine data files and WAL contradict each other. No replay mends that, only a
-- backup.
--
-- ## What to do
-- Switch it on; a reload is enough. Before, run `sync` or restart cleanly, so that what is in the cache is written.
-- Where commits are too slow, `synchronous_commit = off` loses the last moments and corrupts nothing.
--
-- ## When to leave it
-- The cluster can be thrown away: a test run, or the first load of one that starts again after any failure.

select
    null::varchar as database,
    setting.name as subject,
    true as is_urgent,
    setting.value,
    setting.source,
    case
        when server.provider = 'self-hosted'
            then 'alter system set fsync = on;' || chr(10) || 'select pg_reload_conf();'
        else '-- set fsync = on in the parameters of the service'
    end as fix_sql,
    case when server.provider = 'self-hosted' then 'alter system reset fsync;' end as undo_sql
from setting
cross join server
where setting.name = 'fsync'
    and setting.value = 'off'
    -- Aurora writes to its own storage, whatever this says
    and server.provider <> 'aurora';

-- example: off
-- given: evidence
insert into setting (name, value) values ('fsync', 'off');
-- finds: fsync

-- example: on
-- given: evidence
insert into setting (name, value) values ('fsync', 'on');
-- finds: nothing

-- example: a service with storage of its own
-- given: evidence
insert into server (provider) values ('aurora');
insert into setting (name, value) values ('fsync', 'off');
-- finds: nothing
