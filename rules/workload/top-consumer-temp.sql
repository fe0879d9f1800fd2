-- rule: top-consumer-temp
-- title: One statement writes much of the temporary files
-- severity: info
-- reads: workload, setting
-- message: One statement writes {temp_share} of all temporary data: {temp_per_call_bytes} a call over {calls}
--     calls, since it does not fit into work_mem ({work_mem_bytes}).
-- param: least_share = 0.2 -- of the few statements that spill; below this no single one decides
-- param: least_blocks = 4096 -- 32 MB written in all
-- param: least_blocks_per_call = 128 -- 1 MB a call: a small spill costs next to nothing
-- since: 0.1
--
-- ## Why it matters
-- A sort or hash that outgrows work_mem goes through temporary files: written, read back, merged. That takes disk
-- bandwidth from everybody, and at the worst fills the disk.
--
-- ## What to do
-- Sort less: an index that gives the order, a condition before the sort, fewer or narrower columns. Else give this
-- statement more memory, and only it: `set local work_mem = '64MB'` in its transaction, or for the role that runs it.
--
-- ## When to leave it
-- For a rare report whose spill nobody waits for. A larger work_mem for all sessions is taken several times by each.

with total as (
    select sum(temp_blocks_written) as temp_blocks_written
    from workload
)

select
    workload.database,
    'fingerprint:' || fingerprint as subject,
    'fingerprint:' || fingerprint as root,
    fingerprint,
    workload.temp_blocks_written::double / total.temp_blocks_written as temp_share,
    workload.temp_blocks_written * 8192 as temp_bytes,
    round(workload.temp_blocks_written * 8192.0 / calls) as temp_per_call_bytes,
    setting.value_bytes as work_mem_bytes,
    execution_ms_per_day as exposure_ms_per_day,
    calls,
    calls_per_day,
    mean_ms,
    text
from workload
cross join total
left join setting on setting.name = 'work_mem'  -- LEFT JOIN: settings may be from another source
where kind in ('select', 'insert', 'update', 'delete', 'merge')
    and workload.temp_blocks_written >= $least_blocks
    and workload.temp_blocks_written >= $least_share * total.temp_blocks_written
    and workload.temp_blocks_written >= $least_blocks_per_call * calls;

-- example: a report sorts on disk
-- given: evidence
insert into setting (name, value_bytes) values ('work_mem', 4194304);
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('b2', 'select');
insert into statement (fingerprint, calls, temp_blocks_written) values ('a1', 100, 100000), ('b2', 1000, 500);
-- finds: fingerprint:a1

-- example: small spills of a frequent statement
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into statement (fingerprint, calls, temp_blocks_written) values ('a1', 100000, 500000);
-- finds: nothing

-- example: an index build spills, and is no statement of the workload
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'utility');
insert into statement (fingerprint, calls, temp_blocks_written) values ('a1', 1, 500000);
-- finds: nothing
