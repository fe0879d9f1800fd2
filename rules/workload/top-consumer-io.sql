-- rule: top-consumer-io
-- title: One statement reads much of what is read from disk
-- severity: info
-- reads: workload
-- message: One statement causes {read_share} of all block reads: {read_bytes} in {calls} calls,
--     {read_per_call_bytes} each; it fills shared buffers with its pages at the expense of the others.
-- param: least_share = 0.3 -- below this no single statement decides what the disk does
-- param: least_blocks = 131072 -- 1 GB read in all: the first reads after a start are no burden
-- param: least_blocks_per_call = 128 -- 1 MB: below that it is the number of calls, not what each reads
-- since: 0.1
--
-- ## Why it matters
-- Blocks that are not in shared buffers come from the operating system's cache or from disk. A statement that reads
-- many pushes out what others need, so that they read from disk too and their times vary.
--
-- ## What to do
-- See whether it reads more than it returns: an index, a covering index (INCLUDE), or fewer columns of wide rows. If
-- it has to read it all, run it at a quiet time or on a standby.
--
-- ## When to leave it
-- For a nightly report or a batch that is meant to read everything.

with total as (
    select sum(blocks_read) as blocks_read
    from workload
)

select
    workload.database,
    'fingerprint:' || fingerprint as subject,
    'fingerprint:' || fingerprint as root,
    fingerprint,
    workload.blocks_read::double / total.blocks_read as read_share,
    workload.blocks_read * 8192 as read_bytes,
    round(workload.blocks_read * 8192.0 / calls) as read_per_call_bytes,
    workload.blocks_read::double / (workload.blocks_read + workload.blocks_hit) as miss_share,
    execution_ms_per_day as exposure_ms_per_day,
    calls,
    calls_per_day,
    mean_ms,
    text
from workload
cross join total
where kind in ('select', 'insert', 'update', 'delete', 'merge')
    and workload.blocks_read >= $least_blocks
    and workload.blocks_read >= $least_share * total.blocks_read
    and workload.blocks_read >= $least_blocks_per_call * calls;

-- example: a scan of a table larger than shared buffers
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('b2', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms, shared_blocks_read) values
    ('a1', 100, 9000, 90, 1000000), ('b2', 100000, 100000, 1, 1000);
-- finds: fingerprint:a1

-- example: a lookup that is called all the time reads a block now and then
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms, shared_blocks_read) values
    ('a1', 10000000, 900000, 0.09, 1000000);
-- finds: nothing

-- example: the first reads after a start
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, execution_ms, mean_ms, shared_blocks_read) values ('a1', 10, 900, 90, 10000);
-- finds: nothing
