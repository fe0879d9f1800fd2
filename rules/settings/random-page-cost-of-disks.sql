-- rule: random-page-cost-of-disks
-- title: Random reads costed as on a turning disk
-- severity: info
-- reads: setting, database, io, server
-- message: random_page_cost is {random_page_cost}, against {sequential_page_cost} for a page in sequence: right for
--     turning disks{measured}, too high for SSD, where the planner then avoids indexes. Try 1.1.
-- fix: {fix_sql}
-- undo: {undo_sql}
-- param: min_ratio = 4 -- the default; who set something lower has thought about it
-- param: min_database_bytes = 104857600 -- under 100 MB all is in memory
-- param: disk_read_ms = 3 -- a read that takes so long on average comes from a turning disk
-- param: min_reads = 10000 -- fewer are no average
-- since: 0.1
--
-- ## Why it matters
-- The planner takes a random page for as dear as this many sequential ones. The default of 4 was measured on turning
-- disks. On SSD and network storage, and with data that is mostly cached, a random page costs hardly more than a
-- sequential one, so the planner takes sequential scans and hash joins where an index would have been faster.
--
-- ## What to do
-- Try `set random_page_cost = 1.1` in a session and compare the plans of slow statements first; then set it for the
-- server. It changes many plans at once, so do it when you can watch.
--
-- ## When to leave it
-- The data lies on turning disks, or you found 4 to be right here.

with cost as (
    select
        max(case when name = 'random_page_cost' then coalesce(value_number, try_cast(value as double)) end)
            as random_page_cost,
        max(case when name = 'random_page_cost' then source end) as source,
        coalesce(
            max(case when name = 'seq_page_cost' then coalesce(value_number, try_cast(value as double)) end), 1
        ) as sequential_page_cost
    from setting
    where name in ('random_page_cost', 'seq_page_cost')
),
reads as (
    select
        case when sum(reads) >= $min_reads and sum(read_ms) > 0 then sum(read_ms) / sum(reads) end as mean_read_ms
    from io
    where object = 'relation' and context = 'normal'
),
largest as (
    select max(size_bytes) as database_bytes from database
)

select
    null::varchar as database,
    'random_page_cost' as subject,
    cost.random_page_cost,
    cost.sequential_page_cost,
    cost.random_page_cost / nullif(cost.sequential_page_cost, 0) as ratio,
    cost.source,
    reads.mean_read_ms,
    largest.database_bytes,
    server.provider,
    case
        when reads.mean_read_ms is null then ''
        else ' (here a read takes ' || round(reads.mean_read_ms, 2) || ' ms on average)'
    end as measured,
    case
        when server.provider = 'self-hosted'
            then 'alter system set random_page_cost = 1.1;' || chr(10) || 'select pg_reload_conf();'
        else '-- set random_page_cost = 1.1 in the parameters of the service'
    end as fix_sql,
    case
        when server.provider <> 'self-hosted' then null
        when cost.source = 'default' then 'alter system reset random_page_cost;'
        else 'alter system set random_page_cost = ' || cost.random_page_cost || ';'
    end as undo_sql
from cost
cross join reads
cross join largest
cross join server
where cost.random_page_cost >= $min_ratio * cost.sequential_page_cost
    and largest.database_bytes >= $min_database_bytes
    and coalesce(reads.mean_read_ms, 0) < $disk_read_ms;

-- example: the default on a database of 20 GB
-- given: evidence
insert into setting (name, value_number, source) values
    ('random_page_cost', 4, 'default'),
    ('seq_page_cost', 1, 'default');
insert into database (database, size_bytes) values ('app', 20000000000);
-- finds: random_page_cost

-- example: somebody thought about it
-- given: evidence
insert into setting (name, value_number) values ('random_page_cost', 1.1), ('seq_page_cost', 1);
insert into database (database, size_bytes) values ('app', 20000000000);
-- finds: nothing

-- example: reads take as long as on a turning disk; and a database that is all in memory
-- given: evidence
insert into setting (name, value_number) values ('random_page_cost', 4), ('seq_page_cost', 1);
insert into database (database, size_bytes) values ('app', 20000000000);
insert into io (backend_type, object, context, reads, read_ms) values
    ('client backend', 'relation', 'normal', 90000, 600000);
-- finds: nothing

-- example: a small database
-- given: evidence
insert into setting (name, value_number) values ('random_page_cost', 4), ('seq_page_cost', 1);
insert into database (database, size_bytes) values ('app', 20000000);
-- finds: nothing
