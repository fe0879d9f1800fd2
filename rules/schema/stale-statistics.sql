-- rule: stale-statistics
-- title: Statistics older than most of the rows
-- severity: warning
-- reads: relation, relation_counter, relation_use, setting, server
-- message: {relation} ({table_rows} rows) had {changed_rows} row changes since ANALYZE last saw it ({analyzed_at}): plans
--     are made for a table that is no more. Analyze it.
-- fix: {fix_sql}
-- param: min_factor = 3 -- autovacuum analyzes at one threshold; at three it is not coming
-- param: min_changed_share = 0.3 -- less moves few plans
-- param: min_rows = 10000 -- plans for a small table hardly differ
-- param: min_age_minutes = 30 -- right after a bulk load autovacuum may only just be on its way
-- since: 0.1
--
-- ## Why it matters
-- The planner chooses join order, join method and index by the statistics of the last ANALYZE. After most rows have
-- changed it expects few rows where there are many, takes a nested loop for a million of them, and puts newer values
-- outside the histogram at next to nothing.
--
-- ## What to do
-- Analyze now, and at the end of every bulk load. If autovacuum does not come by itself, find out why: disabled, out
-- of workers, or a scale factor that is too large for a large table.
--
-- ## When to leave it
-- A table that is filled and emptied all the time (a queue) is always in motion; analyze it when it is typically full.

with judged as (
    select
        rel.database,
        rel.relation,
        rel.size_bytes,
        rel.analyze_threshold_rows,
        rel.is_autovacuum_enabled,
        counter.rows_since_analyze as changed_rows,
        counter.live_rows as table_rows,
        counter.analyzed_at,
        use.execution_ms_per_day as exposure_ms_per_day,
        server.captured_at,
        coalesce(off.value = 'off', false) or coalesce(not rel.is_autovacuum_enabled, false) as is_left_alone
    from relation as rel
    cross join server
    join relation_counter as counter on counter.database = rel.database and counter.relation = rel.relation
    left join relation_use as use on use.database = rel.database and use.relation = rel.root
    left join setting as off on off.name = 'autovacuum'
    where rel.kind in ('table', 'materialized_view')
        and rel.extension is null
        -- one that was never analyzed is another fault
        and counter.analyzed_at is not null
)

select
    database,
    relation as subject,
    relation as root,
    -- where autovacuum is switched off for the table, that is the fault, and this is what came of it
    case when is_autovacuum_enabled = false then 'info' else 'warning' end as severity,
    relation,
    changed_rows,
    table_rows,
    changed_rows / table_rows as changed_share,
    analyzed_at,
    analyze_threshold_rows,
    is_autovacuum_enabled,
    size_bytes,
    exposure_ms_per_day,
    'analyze ' || relation || ';'
        || case
            when is_left_alone then ''
            else chr(10) || 'alter table ' || relation || ' set (autovacuum_analyze_scale_factor = 0.02);'
        end as fix_sql
from judged
where table_rows >= $min_rows
    and changed_rows >= $min_factor * analyze_threshold_rows
    and changed_rows >= $min_changed_share * table_rows
    and (is_left_alone or date_diff('minute', analyzed_at, captured_at) >= $min_age_minutes);

-- example: nine rows in ten came since
-- given: evidence
insert into relation (relation, root, kind, analyze_threshold_rows) values
    ('public.orders', 'public.orders', 'table', 1050);
insert into relation_counter (relation, live_rows, rows_since_analyze, analyzed_at) values
    ('public.orders', 100000, 90000, '2026-01-07');
-- finds: public.orders

-- example: a minute ago, but autovacuum will not come
-- given: evidence
insert into setting (name, value) values ('autovacuum', 'off');
insert into relation (relation, root, kind, analyze_threshold_rows) values
    ('public.orders', 'public.orders', 'table', 1050);
insert into relation_counter (relation, live_rows, rows_since_analyze, analyzed_at) values
    ('public.orders', 100000, 90000, '2026-01-07 23:59:00');
-- finds: public.orders

-- example: just loaded, a few changes, a small table, and one that was never analyzed
-- given: evidence
insert into setting (name, value) values ('autovacuum', 'on');
insert into relation (relation, root, kind, analyze_threshold_rows) values
    ('public.a', 'public.a', 'table', 1050), ('public.b', 'public.b', 'table', 10050),
    ('public.c', 'public.c', 'table', 550), ('public.d', 'public.d', 'table', 50);
insert into relation_counter (relation, live_rows, rows_since_analyze, analyzed_at) values
    ('public.a', 100000, 90000, '2026-01-07 23:45:00'), ('public.b', 100000, 25000, '2026-01-01'),
    ('public.c', 9000, 9000, '2026-01-01'), ('public.d', 100000, 100000, null);
-- finds: nothing
