-- rule: shared-buffers-at-default
-- title: Cache at the default of 128 MB
-- severity: warning
-- reads: setting, database, server
-- message: shared_buffers is at its default of {shared_buffers_bytes} for {databases_bytes} of data: hot pages are
--     pushed out and read again all day. Give it about a quarter of the memory.
-- fix: {fix_sql}
-- undo: {undo_sql}
-- param: min_database_bytes = 1073741824 -- below 1 GB the cache of the operating system does well enough
-- param: default_bytes = 134217728 -- what initdb writes where it can
-- since: 0.1
--
-- ## Why it matters
-- Pages that are not in shared buffers have to come from the operating system's cache at best and from the disk at
-- worst, and dirty ones are written by whoever needs the room. The default lets PostgreSQL start on any machine; it is
-- no recommendation.
--
-- ## What to do
-- Set it to about 25 % of the memory of a machine that PostgreSQL has for itself, and `effective_cache_size` to about
-- 70 %. It takes a restart.
--
-- ## When to leave it
-- The machine has less than 1 GB, or shares its memory with other programs.

with size as (
    select
        sum(size_bytes) as databases_bytes,
        max(size_bytes) as largest_bytes
    from database
    where not is_template
)

select
    null::varchar as database,
    setting.name as subject,
    setting.value_bytes as shared_buffers_bytes,
    setting.source,
    size.databases_bytes,
    size.largest_bytes,
    case
        when server.provider = 'self-hosted'
            then '-- a quarter of the memory; 2GB suits a machine of 8 GB. Takes effect at the next restart.' || chr(10)
                || 'alter system set shared_buffers = ''2GB'';'
        else '-- set shared_buffers to a quarter of the memory in the parameters of the service'
    end as fix_sql,
    case when server.provider = 'self-hosted' then 'alter system reset shared_buffers;' end as undo_sql
from setting
cross join size
cross join server
where setting.name = 'shared_buffers'
    and setting.value_bytes <= $default_bytes
    and size.databases_bytes >= $min_database_bytes;

-- example: 128 MB for 20 GB
-- given: evidence
insert into setting (name, value_bytes) values ('shared_buffers', 134217728);
insert into database (database, size_bytes) values ('app', 20000000000);
-- finds: shared_buffers

-- example: 128 MB for 900 MB
-- given: evidence
insert into setting (name, value_bytes) values ('shared_buffers', 134217728);
insert into database (database, size_bytes) values ('app', 900000000), ('postgres', 8000000);
-- finds: nothing

-- example: 2 GB for 20 GB, and sizes that are not known
-- given: evidence
insert into setting (name, value_bytes) values ('shared_buffers', 2147483648);
insert into database (database, size_bytes) values ('app', 20000000000), ('other', null);
-- finds: nothing
