-- rule: autovacuum-behind
-- title: Dead rows that nobody cleans up
-- severity: warning
-- reads: relation, relation_counter, vacuum_progress, setting, relation_use, server
-- message: {relation} has {dead_rows} dead rows beside {live_rows} living ones, {factor} times the number at which
--     autovacuum starts: {cause}. Vacuum it.
-- fix: {fix_sql}
-- param: min_factor = 2 -- autovacuum starts at one threshold; at two it is not keeping up
-- param: min_dead_rows = 10000 -- fewer cost nothing
-- param: min_dead_share = 0.1 -- of all rows; a thresholds of a few rows on a large table is no backlog
-- param: recent_minutes = 60 -- a vacuum within the hour that left them could not remove them
-- since: 0.1
--
-- ## Why it matters
-- Scans read dead rows and index entries point to them, until vacuum removes them; meanwhile new rows go into new
-- pages, and the table grows for good. Index-only scans fall back to the table.
--
-- ## What to do
-- Vacuum now; it blocks neither reads nor writes. Then find out why autovacuum did not: switched off, all workers
-- busy, its cost limit too low, or an old transaction or slot that holds the xmin horizon back, in which case no
-- vacuum helps before that is gone.
--
-- ## When to leave it
-- A large delete or update ran a moment ago and autovacuum is on its way.

with judged as (
    select
        rel.database,
        rel.relation,
        rel.size_bytes,
        rel.vacuum_threshold_rows,
        counter.dead_rows,
        counter.live_rows,
        counter.vacuumed_at,
        use.execution_ms_per_day as exposure_ms_per_day,
        counter.dead_rows / rel.vacuum_threshold_rows as factor,
        coalesce(off.value = 'off', false) as is_off,
        coalesce(not rel.is_autovacuum_enabled, false) as is_off_here,
        date_diff('minute', counter.vacuumed_at, server.captured_at) <= $recent_minutes as is_recent
    from relation as rel
    cross join server
    join relation_counter as counter on counter.database = rel.database and counter.relation = rel.relation
    left join vacuum_progress as running on running.database = rel.database and running.relation = rel.relation
    left join setting as off on off.name = 'autovacuum'
    left join relation_use as use on use.database = rel.database and use.relation = rel.root
    where rel.kind in ('table', 'materialized_view')
        and not server.is_standby
        and running.pid is null
        and rel.vacuum_threshold_rows > 0
)

select
    database,
    relation as subject,
    relation as root,
    -- where it is switched off for the table, that is the fault, and this is what came of it
    case when is_off_here then 'info' else 'warning' end as severity,
    relation,
    dead_rows,
    live_rows,
    round(factor, 1) as factor,
    vacuum_threshold_rows,
    vacuumed_at,
    size_bytes,
    exposure_ms_per_day,
    case
        when is_off then 'autovacuum is off on this server'
        when is_off_here then 'autovacuum is switched off for this table'
        when is_recent
            then 'a vacuum less than an hour ago could not remove them, so look for an old transaction or slot'
        else 'autovacuum does not keep up'
    end as cause,
    'vacuum (analyze) ' || relation || ';'
        || case
            when is_off or is_off_here or is_recent then ''
            else chr(10) || 'alter table ' || relation
                || ' set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);'
        end as fix_sql
from judged
where dead_rows >= $min_dead_rows
    and factor >= $min_factor
    and dead_rows >= $min_dead_share * (live_rows + dead_rows);

-- example: as many dead as living
-- given: evidence
insert into relation (relation, root, kind, vacuum_threshold_rows) values
    ('public.sessions', 'public.sessions', 'table', 10050);
insert into relation_counter (relation, live_rows, dead_rows) values ('public.sessions', 50000, 50000);
-- finds: public.sessions

-- example: below twice the threshold, few dead rows in a large table, and a vacuum that is running
-- given: evidence
insert into relation (relation, root, kind, vacuum_threshold_rows) values
    ('public.a', 'public.a', 'table', 10050),
    ('public.b', 'public.b', 'table', 1000),
    ('public.c', 'public.c', 'table', 10050),
    ('public.d', 'public.d', 'table', 50);
insert into relation_counter (relation, live_rows, dead_rows) values
    ('public.a', 50000, 15000), ('public.b', 5000000, 20000), ('public.c', 50000, 50000), ('public.d', 100, 9000);
insert into vacuum_progress (pid, database, relation, phase) values (7, 'app', 'public.c', 'scanning heap');
-- finds: nothing

-- example: a standby removes what its primary does
-- given: evidence
insert into server (is_standby) values (true);
insert into relation (relation, root, kind, vacuum_threshold_rows) values
    ('public.sessions', 'public.sessions', 'table', 10050);
insert into relation_counter (relation, live_rows, dead_rows) values ('public.sessions', 50000, 50000);
-- finds: nothing
