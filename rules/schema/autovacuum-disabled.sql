-- rule: autovacuum-disabled
-- title: Autovacuum switched off for a table
-- severity: warning
-- reads: relation, relation_counter, server
-- message: Autovacuum is switched off for {relation} ({size_bytes}): dead rows stay, its statistics age, and only the
--     forced vacuum against wraparound will ever clean it. Switch it on again.
-- fix: alter table {relation} reset (autovacuum_enabled);
-- undo: alter table {relation} set (autovacuum_enabled = false);
-- param: min_bytes = 1048576 -- below 1 MB nobody feels it
-- param: min_written_rows = 1 -- a table that is never written needs no cleaning
-- since: 0.1
--
-- ## Why it matters
-- It is usually switched off for an import and forgotten. From then on nothing removes dead rows or refreshes the
-- statistics, until an anti-wraparound vacuum comes, which no busy hour stops.
--
-- ## What to do
-- Reset the option. A table that is hard to vacuum needs more vacuum, not less: lower its scale factor instead.
--
-- ## When to leave it
-- A job vacuums and analyzes it after every load. Then the rule only says so, as info.

select
    rel.database,
    rel.relation as subject,
    rel.relation as root,
    -- somebody vacuums it within the week, and there is little to clean: a job does the work
    case
        when counter.vacuumed_at >= server_time.captured_at - interval 7 day
            and counter.analyzed_at >= server_time.captured_at - interval 7 day
            and counter.dead_rows < rel.vacuum_threshold_rows
            then 'info'
        else 'warning'
    end as severity,
    rel.relation,
    rel.size_bytes,
    counter.live_rows,
    counter.dead_rows,
    counter.rows_since_analyze,
    counter.vacuumed_at,
    counter.analyzed_at
from relation as rel
join relation_counter as counter on counter.database = rel.database and counter.relation = rel.relation
cross join (select max(captured_at) as captured_at from server) as server_time
where rel.is_autovacuum_enabled = false
    and rel.kind in ('table', 'materialized_view')
    and rel.extension is null
    and rel.size_bytes >= $min_bytes
    and counter.inserted_rows + counter.updated_rows + counter.deleted_rows >= $min_written_rows;

-- example: switched off and forgotten
-- given: evidence
insert into relation (relation, root, kind, is_autovacuum_enabled, size_bytes) values
    ('public.carts', 'public.carts', 'table', false, 40000000);
insert into relation_counter (relation, inserted_rows, updated_rows, deleted_rows, dead_rows) values
    ('public.carts', 300000, 0, 280000, 280000);
-- finds: public.carts

-- example: a small table, one that is never written, and those where nothing was said
-- given: evidence
insert into relation (relation, root, kind, is_autovacuum_enabled, size_bytes) values
    ('public.a', 'public.a', 'table', false, 40000), ('public.b', 'public.b', 'table', false, 40000000),
    ('public.c', 'public.c', 'table', true, 40000000), ('public.d', 'public.d', 'table', null, 40000000);
insert into relation_counter (relation, inserted_rows, updated_rows, deleted_rows) values
    ('public.a', 30, 0, 0), ('public.b', 0, 0, 0), ('public.c', 9, 9, 9), ('public.d', 9, 9, 9);
-- finds: nothing
