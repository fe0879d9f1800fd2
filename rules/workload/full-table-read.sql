-- rule: full-table-read
-- title: A statement fetches a whole table each time
-- severity: warning
-- reads: workload, shape, reference, relation_extent
-- message: {calls} calls each fetch all of {relation}: {rows_per_call} rows in {mean_ms}, and the network and the
--     application have them all too; ask for what is needed, or only for what changed.
-- param: least_rows = 10000 -- a smaller table is what caches are filled with
-- param: least_share = 0.5 -- of the table's present rows: it may have grown since
-- param: least_calls = 10 -- fewer are an export
-- param: least_calls_per_day = 24 -- more than once an hour: no nightly job
-- since: 0.1
--
-- ## Why it matters
-- Reading a table whole is the least of it: every row is sent, decoded and held in the application's memory, and each
-- call takes longer as the table grows. Pages of other tables give way in shared buffers.
--
-- ## What to do
-- Add the condition that the application applies afterwards, or page by key (`where id > $1 order by id limit 1000`),
-- or fetch only what changed since the last time. Name the columns instead of `*`.
--
-- ## When to leave it
-- When a job really needs it all, at a time when nobody waits; COPY is then cheaper.

with fetched as (
    select distinct
        reference.database,
        reference.fingerprint,
        extent.root,
        extent.rows
    from reference
    join relation_extent as extent
        on extent.database = reference.database and extent.relation = reference.relation
)

select
    workload.database,
    'fingerprint:' || workload.fingerprint as subject,
    'fingerprint:' || workload.fingerprint as root,
    workload.fingerprint,
    workload.execution_ms_per_day as exposure_ms_per_day,
    fetched.root as relation,
    fetched.rows as table_rows,
    workload.calls,
    workload.calls_per_day,
    workload.mean_ms,
    workload.rows_per_call,
    (workload.blocks_hit + workload.blocks_read)::double / workload.calls as blocks_per_call,
    shape.has_star,
    workload.text
from workload
join shape on shape.fingerprint = workload.fingerprint
join fetched on fetched.database = workload.database and fetched.fingerprint = workload.fingerprint
where workload.kind = 'select'
    and shape.is_full_read
    and workload.rows_per_call >= $least_rows
    and workload.rows_per_call >= $least_share * coalesce(fetched.rows, 0)
    and workload.calls >= $least_calls
    and coalesce(workload.calls_per_day, $least_calls_per_day) >= $least_calls_per_day;

-- example: a feed of all products, all day
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.products', 'public.products', 'table', 12000, 500);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations, is_full_read, has_star) values ('a1', 1, true, true);
insert into reference (fingerprint, relation, alias, column_name, role) values
    ('a1', 'public.products', 'products', '*', 'select');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms) values ('a1', 2000, 24000000, 20000, 10);
-- finds: fingerprint:a1

-- example: a list of countries, and a nightly export
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.country', 'public.country', 'table', 250, 4),
    ('public.products', 'public.products', 'table', 12000, 500);
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('b2', 'select');
insert into shape (fingerprint, relations, is_full_read) values ('a1', 1, true), ('b2', 1, true);
insert into reference (fingerprint, relation, alias, column_name, role) values
    ('a1', 'public.country', 'country', '*', 'select'), ('b2', 'public.products', 'products', '*', 'select');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms) values
    ('a1', 100000, 25000000, 20000, 0.2), ('b2', 14, 168000, 140, 10);
-- finds: nothing

-- example: a cursor reads a table in parts
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.products', 'public.products', 'table', 1000000, 20000);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations, is_full_read) values ('a1', 1, true);
insert into reference (fingerprint, relation, alias, column_name, role) values
    ('a1', 'public.products', 'products', '*', 'select');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms) values ('a1', 2000, 20000000, 20000, 10);
-- finds: nothing
