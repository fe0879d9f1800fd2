-- rule: hot-updates-failing
-- title: Updates that write every index
-- severity: warning
-- reads: relation, relation_counter, relation_index, index_column, index_counter, reference, workload, server
-- message: Only {hot_share} of {updated_rows} updates of {relation} were HOT: {cause}. {what_to_do}
-- fix: {fix_sql}
-- undo: {undo_sql}
-- param: min_updated_rows = 10000 -- fewer write little
-- param: max_hot_share = 0.3 -- a busy table with good settings has 0.9
-- param: min_updates_per_row = 2 -- one update of the whole table finds no room in its pages, once
-- param: max_scans_share = 0.01 -- an index that is scanned more than once in a hundred updates earns its place
-- param: max_rows_per_call = 1000 -- for larger updates in one statement no fill factor leaves room enough
-- since: 0.1
--
-- ## Why it matters
-- An update that changes no indexed column, and finds room in the same page, is heap-only (HOT): it writes no index,
-- and its dead row goes at the next look at the page. One index on a column that every update sets, or a page that is
-- full, ends that for all indexes of the table: more WAL, more vacuum, bloat.
--
-- ## What to do
-- Drop the index on the column that always changes if it is hardly scanned. Where no such index is, leave room: a fill
-- factor of 90 or less takes effect as pages are written anew.
--
-- ## When to leave it
-- Indexes on the changing column that are in use stay, and are not reported: a queue needs the index on its state.

with table_updates as (
    select
        rel.database,
        rel.root as relation,
        min(coalesce(rel.fill_factor, 100)) as fill_factor,
        max(rel.fill_factor) as set_fill_factor,
        sum(counter.updated_rows) as updated_rows,
        sum(counter.hot_updated_rows) as hot_updated_rows,
        sum(greatest(counter.live_rows, rel.tuple_rows)) as table_rows,
        sum(rel.size_bytes) as size_bytes
    from relation as rel
    join relation_counter as counter on counter.database = rel.database and counter.relation = rel.relation
    where rel.kind = 'table'
        and rel.extension is null
    group by rel.database, rel.root
    having sum(counter.updated_rows) >= $min_updated_rows
        and sum(counter.hot_updated_rows) <= $max_hot_share * sum(counter.updated_rows)
        and sum(counter.updated_rows) >= $min_updates_per_row * sum(greatest(counter.live_rows, rel.tuple_rows))
),
-- columns that the captured updates set; a column set by few of the calls is not the cause
set_column as (
    select
        use.database,
        coalesce(rel.root, use.relation) as relation,
        use.column_name,
        sum(workload.rows) as set_rows,
        -- a statement that updates much of a table at once finds no room in any page, whatever the fill factor
        sum(case when workload.rows_per_call <= $max_rows_per_call then workload.rows else 0 end) as single_rows
    from (
        select distinct database, fingerprint, relation, column_name from reference where role = 'set'
    ) as use
    join workload on workload.database = use.database and workload.fingerprint = use.fingerprint
    left join relation as rel on rel.database = use.database and rel.relation = use.relation
    where workload.kind in ('update', 'insert', 'merge')
    group by use.database, coalesce(rel.root, use.relation), use.column_name
),
blocking as (
    select
        table_updates.database,
        table_updates.relation,
        idx.index,
        idx.definition,
        idx.is_unique or idx.constraint_name is not null or idx.is_replica_identity
            or idx.parent_index is not null as is_needed,
        max(coalesce(counter.scans, 0)) as scans,
        max(set_column.set_rows) as set_rows
    from table_updates
    cross join server
    join set_column on set_column.database = table_updates.database and set_column.relation = table_updates.relation
    join index_column as part
        on part.database = set_column.database
        and part.relation = set_column.relation
        and part.column_name = set_column.column_name
    join relation_index as idx on idx.database = part.database and idx.index = part.index
    left join index_counter as counter on counter.database = idx.database and counter.index = idx.index
    where not (idx.access_method = 'brin' and server.version_number >= 160000)
        and set_column.set_rows >= 0.1 * table_updates.updated_rows
    group by all
),
summary as (
    select
        database,
        relation,
        count(*) as indexes,
        count(*) filter (where not is_needed and scans <= $max_scans_share * set_rows) as idle_indexes,
        min(case when not is_needed and scans <= $max_scans_share * set_rows then index end) as idle_index,
        min(case when not is_needed and scans <= $max_scans_share * set_rows then definition end) as idle_definition
    from blocking
    group by database, relation
),
known as (
    select database, relation, max(single_rows) as single_rows
    from set_column
    group by database, relation
)

select
    table_updates.database,
    table_updates.relation as subject,
    -- where one index is to blame, its own finding is this one
    case when summary.idle_indexes = 1 and summary.indexes = 1 then summary.idle_index end as root,
    table_updates.relation,
    table_updates.updated_rows,
    table_updates.hot_updated_rows,
    table_updates.hot_updated_rows / table_updates.updated_rows as hot_share,
    table_updates.fill_factor,
    table_updates.table_rows,
    summary.idle_index as index,
    case
        when summary.idle_indexes > 0
            then 'they set a column of ' || summary.idle_index || ', which is hardly ever scanned'
        else 'its pages have no room for another version of a row'
    end as cause,
    case
        when summary.idle_indexes > 0 then 'Drop that index.'
        else 'Lower the fill factor.'
    end as what_to_do,
    case
        when summary.idle_indexes > 0 then 'drop index concurrently ' || summary.idle_index || ';'
        else 'alter table ' || table_updates.relation || ' set (fillfactor = 85);'
    end as fix_sql,
    case
        when summary.idle_indexes > 0 then summary.idle_definition || ';'
        when table_updates.set_fill_factor is not null
            then 'alter table ' || table_updates.relation
                || ' set (fillfactor = ' || table_updates.set_fill_factor || ');'
        else 'alter table ' || table_updates.relation || ' reset (fillfactor);'
    end as undo_sql
from table_updates
join known on known.database = table_updates.database and known.relation = table_updates.relation
left join summary on summary.database = table_updates.database and summary.relation = table_updates.relation
where summary.idle_indexes > 0
    or (
        -- the captured statements explain the updates, none sets an indexed column, and pages are packed
        summary.indexes is null
        and known.single_rows >= 0.5 * table_updates.updated_rows
        and table_updates.fill_factor > 85
    );

-- example: every sale sets updated_at, which has an index that nobody reads
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, fill_factor) values
    ('public.stock', 'public.stock', 'table', 5000, 70);
insert into relation_counter (relation, updated_rows, hot_updated_rows, live_rows) values
    ('public.stock', 90000, 900, 5000);
insert into relation_index (relation, index) values ('public.stock', 'public.stock_updated_at');
insert into index_column (relation, index, position, column_name) values
    ('public.stock', 'public.stock_updated_at', 1, 'updated_at');
insert into index_counter (relation, index, scans) values ('public.stock', 'public.stock_updated_at', 3);
insert into workload (fingerprint, kind, rows) values ('a', 'update', 90000);
insert into reference (fingerprint, relation, column_name, role) values
    ('a', 'public.stock', 'updated_at', 'set'), ('a', 'public.stock', 'amount', 'set');
-- finds: public.stock

-- example: no index is in the way, but the pages are full
-- given: evidence
insert into relation (relation, root, kind, tuple_rows) values ('public.stock', 'public.stock', 'table', 5000);
insert into relation_counter (relation, updated_rows, hot_updated_rows, live_rows) values
    ('public.stock', 90000, 900, 5000);
insert into workload (fingerprint, kind, rows) values ('a', 'update', 90000);
insert into reference (fingerprint, relation, column_name, role) values ('a', 'public.stock', 'amount', 'set');
-- finds: public.stock

-- example: a queue scans the index on the state that it sets
-- given: evidence
insert into relation (relation, root, kind, tuple_rows) values ('public.jobs', 'public.jobs', 'table', 5000);
insert into relation_counter (relation, updated_rows, hot_updated_rows, live_rows) values
    ('public.jobs', 90000, 900, 5000);
insert into relation_index (relation, index) values ('public.jobs', 'public.jobs_state');
insert into index_column (relation, index, position, column_name) values
    ('public.jobs', 'public.jobs_state', 1, 'state');
insert into index_counter (relation, index, scans) values ('public.jobs', 'public.jobs_state', 80000);
insert into workload (fingerprint, kind, rows) values ('a', 'update', 90000);
insert into reference (fingerprint, relation, column_name, role) values ('a', 'public.jobs', 'state', 'set');
-- finds: nothing

-- example: a statement that updates all rows at each call
-- given: evidence
insert into relation (relation, root, kind, tuple_rows) values ('public.prices', 'public.prices', 'table', 12000);
insert into relation_counter (relation, updated_rows, hot_updated_rows, live_rows) values
    ('public.prices', 72000, 0, 12000);
insert into workload (fingerprint, kind, rows, rows_per_call) values ('a', 'update', 72000, 12000);
insert into reference (fingerprint, relation, column_name, role) values ('a', 'public.prices', 'price', 'set');
-- finds: nothing

-- example: one update of a whole table, most updates HOT, and updates that no captured statement explains
-- given: evidence
insert into relation (relation, root, kind, tuple_rows) values
    ('public.a', 'public.a', 'table', 90000),
    ('public.b', 'public.b', 'table', 5000),
    ('public.c', 'public.c', 'table', 5000);
insert into relation_counter (relation, updated_rows, hot_updated_rows, live_rows) values
    ('public.a', 90000, 900, 90000), ('public.b', 90000, 80000, 5000), ('public.c', 90000, 900, 5000);
insert into workload (fingerprint, kind, rows) values ('a', 'update', 90000), ('b', 'update', 90000);
insert into reference (fingerprint, relation, column_name, role) values
    ('a', 'public.a', 'x', 'set'), ('b', 'public.b', 'x', 'set');
-- finds: nothing
