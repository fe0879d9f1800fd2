-- rule: missing-statistics
-- title: Table that was never analyzed
-- severity: warning
-- reads: relation, relation_counter, relation_total, relation_use, column_statistics, unread
-- message: {relation} ({size_bytes}, {table_rows} rows) was never analyzed: the planner guesses how many rows a
--     condition leaves. Analyze it.
-- fix: analyze {relation};
-- param: min_bytes = 1048576 -- below 1 MB any plan will do
-- param: min_rows = 1000 -- likewise
-- since: 0.1
--
-- ## Why it matters
-- Without statistics every equality is expected to leave a fixed share of the rows (0.5 %), every range a third, and
-- no column is known to be unique, null or skewed. Joins above such guesses go wrong by orders of magnitude.
--
-- ## What to do
-- Analyze it. Autovacuum does so by itself after enough changes, except for tables where it is switched off, and for
-- partitioned tables: their partitions are analyzed, the parent never is. Analyze the parent yourself after larger
-- changes.
--
-- ## When to leave it
-- The table was only just loaded, and autovacuum is on its way.

with analyzed as (
    select distinct database, relation from column_statistics
),
blind as (
    select distinct database, subject from unread where table_name = 'column_statistics'
),
candidate as (
    select
        rel.database,
        rel.relation,
        rel.kind,
        coalesce(rel.size_bytes, total.size_bytes) as size_bytes,
        coalesce(counter.live_rows, total.tuple_rows) as table_rows,
        rel.is_autovacuum_enabled,
        use.statements,
        use.execution_ms_per_day as exposure_ms_per_day,
        coalesce(counter.sequential_scans, 0) + coalesce(counter.index_scans, 0) as scans
    from relation as rel
    left join relation_counter as counter on counter.database = rel.database and counter.relation = rel.relation
    left join relation_total as total
        on total.database = rel.database and total.relation = rel.relation and rel.kind = 'partitioned_table'
    left join relation_use as use on use.database = rel.database and use.relation = rel.root
    left join analyzed on analyzed.database = rel.database and analyzed.relation = rel.relation
    left join blind as one on one.database = rel.database and one.subject = rel.relation
    left join blind as every on every.database = rel.database and every.subject is null
    where rel.kind in ('table', 'materialized_view', 'partitioned_table')
        and rel.extension is null
        and analyzed.relation is null
        and counter.analyzed_at is null
        -- hidden statistics are not missing ones
        and one.database is null
        and every.database is null
)

select
    database,
    relation as subject,
    relation as root,
    -- the planner has the statistics of the partitions, which serve most plans
    case when kind = 'partitioned_table' then 'info' else 'warning' end as severity,
    relation,
    kind,
    size_bytes,
    table_rows,
    scans,
    is_autovacuum_enabled,
    statements,
    exposure_ms_per_day
from candidate
where size_bytes >= $min_bytes
    and table_rows >= $min_rows
    and (scans > 0 or statements > 0);

-- example: loaded, read, never analyzed
-- given: evidence
insert into relation (relation, root, kind, size_bytes) values ('public.returns', 'public.returns', 'table', 4000000);
insert into relation_counter (relation, live_rows, sequential_scans) values ('public.returns', 50000, 3);
-- finds: public.returns

-- example: a partitioned table that statements name
-- given: evidence
insert into relation (relation, root, kind, size_bytes, tuple_rows) values
    ('public.log', 'public.log', 'partitioned_table', null, null),
    ('public.log_1', 'public.log', 'table', 90000000, 900000);
insert into column_statistics (relation, column_name) values ('public.log_1', 'at');
insert into workload (fingerprint, kind) values ('a', 'select');
insert into reference (fingerprint, relation) values ('a', 'public.log');
-- finds: public.log

-- example: analyzed, small, unused, or not readable
-- given: evidence
insert into relation (relation, root, kind, size_bytes) values
    ('public.a', 'public.a', 'table', 4000000), ('public.b', 'public.b', 'table', 400000),
    ('public.c', 'public.c', 'table', 4000000), ('public.d', 'public.d', 'table', 4000000);
insert into relation_counter (relation, live_rows, sequential_scans) values
    ('public.a', 50000, 3), ('public.b', 50000, 3), ('public.c', 50000, 0), ('public.d', 50000, 3);
insert into column_statistics (relation, column_name) values ('public.a', 'id');
insert into unread (table_name, database, subject, reason) values
    ('column_statistics', 'app', 'public.d', 'no privilege');
-- finds: nothing

-- example: a role that sees no statistics at all
-- given: evidence
insert into relation (relation, root, kind, size_bytes) values ('public.a', 'public.a', 'table', 4000000);
insert into relation_counter (relation, live_rows, sequential_scans) values ('public.a', 50000, 3);
insert into unread (table_name, database, reason) values ('column_statistics', 'app', 'no privilege');
-- finds: nothing
