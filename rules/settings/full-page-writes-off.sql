-- rule: full-page-writes-off
-- title: Torn pages cannot be repaired
-- severity: error
-- reads: setting, server
-- message: full_page_writes is off: a page that a crash leaves half written stays corrupt, because the WAL has no copy
--     of it. Switch it on.
-- fix: {fix_sql}
-- undo: {undo_sql}
-- since: 0.1
--
-- ## Why it matters
-- A page of 8 kB is not written in one piece by most disks and file systems. The first change of a page after a
-- checkpoint therefore puts the whole page into the WAL; without it, recovery applies changes to a page of which half
-- is old. Such damage is often found months later. pg_rewind and backups of a running server count on it as well.
--
-- ## What to do
-- Switch it on; a reload is enough. Where the WAL volume is the reason, `wal_compression` and a longer
-- `checkpoint_timeout` save most of it.
--
-- ## When to leave it
-- The file system writes pages of this size atomically and does so for sure, as ZFS does with a recordsize of 8 kB or
-- more.

select
    null::varchar as database,
    setting.name as subject,
    true as is_urgent,
    setting.value,
    setting.source,
    case
        when server.provider = 'self-hosted'
            then 'alter system set full_page_writes = on;' || chr(10) || 'select pg_reload_conf();'
        else '-- set full_page_writes = on in the parameters of the service'
    end as fix_sql,
    case when server.provider = 'self-hosted' then 'alter system reset full_page_writes;' end as undo_sql
from setting
cross join server
where setting.name = 'full_page_writes'
    and setting.value = 'off'
    -- Aurora writes to its own storage, whatever this says
    and server.provider <> 'aurora';

-- example: off
-- given: evidence
insert into setting (name, value) values ('full_page_writes', 'off');
-- finds: full_page_writes

-- example: on
-- given: evidence
insert into setting (name, value) values ('full_page_writes', 'on');
-- finds: nothing

-- example: a service with storage of its own
-- given: evidence
insert into server (provider) values ('aurora');
insert into setting (name, value) values ('full_page_writes', 'off');
-- finds: nothing
