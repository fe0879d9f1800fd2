-- rule: top-consumer-wal
-- title: One statement writes much of the WAL
-- severity: info
-- reads: workload
-- message: One statement writes {wal_share} of all WAL: {wal_bytes} in {calls} calls; replicas, archives and
--     checkpoints all follow it.
-- param: least_share = 0.3 -- below this no single statement decides
-- param: least_bytes = 8388608 -- half a segment in all
-- param: least_bytes_per_day = 1073741824 -- 1 GB a day: archives and replicas do not notice less
-- param: least_bytes_per_call = 65536 -- a frequent insert of single rows is the workload itself
-- since: 0.1
--
-- ## Why it matters
-- Every byte of WAL is written, flushed, sent to each standby and archived, and brings the next checkpoint nearer,
-- after which pages are logged whole again. Statements that change rows without need are the usual cause.
--
-- ## What to do
-- Change fewer rows (`where price is distinct from …`), leave indexed columns alone so that updates stay HOT, drop
-- indexes nobody uses, load with COPY, and spread mass updates over smaller batches.
--
-- ## When to leave it
-- When these writes are what the database is for.

with total as (
    select sum(wal_bytes) as wal_bytes
    from workload
)

select
    workload.database,
    'fingerprint:' || fingerprint as subject,
    'fingerprint:' || fingerprint as root,
    fingerprint,
    workload.wal_bytes::double / total.wal_bytes as wal_share,
    workload.wal_bytes,
    round(workload.wal_bytes::double / calls) as wal_per_call_bytes,
    workload.wal_bytes::double / calls * calls_per_day as wal_bytes_per_day,
    execution_ms_per_day as exposure_ms_per_day,
    calls,
    calls_per_day,
    rows_per_call,
    mean_ms,
    text
from workload
cross join total
where kind in ('insert', 'update', 'delete', 'merge', 'select')
    and workload.wal_bytes >= $least_bytes
    and workload.wal_bytes >= $least_share * total.wal_bytes
    and workload.wal_bytes >= $least_bytes_per_call * calls
    and coalesce(workload.wal_bytes::double / calls * calls_per_day, $least_bytes_per_day) >= $least_bytes_per_day;

-- example: an update of every row, again and again
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'update'), ('b2', 'insert');
insert into statement (fingerprint, calls, rows, wal_bytes) values
    ('a1', 1000, 12000000, 20000000000), ('b2', 100000, 100000, 20000000);
-- finds: fingerprint:a1

-- example: single rows, inserted all day
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'insert');
insert into statement (fingerprint, calls, rows, wal_bytes) values ('a1', 50000000, 50000000, 20000000000);
-- finds: nothing

-- example: a server that writes little
-- given: evidence
insert into statement_text (fingerprint, kind) values ('a1', 'update');
insert into statement (fingerprint, calls, rows, wal_bytes) values ('a1', 7, 70000, 20000000);
-- finds: nothing
