-- rule: unused-index
-- title: Index that no query uses
-- severity: warning
-- reads: relation, relation_index, index_family, index_twin, index_counter, counter_window, relation_total,
--     foreign_key_index, server
-- message: {index} ({size_bytes}) has not been scanned once {counted_where} since {counted_since}, yet every write to
--     {relation} keeps it up; drop it.
-- fix: {fix_sql}
-- undo: {undo_sql};
-- param: min_age_days = 14 -- month-end jobs aside, two weeks see every regular use
-- param: min_bytes = 10485760 -- below 10 MB neither the writes nor the room are worth a decision
-- since: 0.1
--
-- ## Why it matters
-- Each insert, and each update that is not HOT, adds an entry to it; vacuum has to clean it; it takes room in shared
-- buffers, in backups and in the WAL. One index too many can also be what keeps updates from being HOT.
--
-- ## What to do
-- Look at the counters of every standby first: a scan there is counted there and nowhere else. Then drop it
-- concurrently; the undo builds it again.
--
-- ## When to leave it
-- It serves a report that runs once a quarter, or it was built after the date in the message: PostgreSQL does not
-- record when an index was made. An index on an expression also makes ANALYZE collect statistics of that expression,
-- which the planner uses without ever scanning it. Indexes that enforce a constraint, and the only index behind a
-- foreign key, are never reported here.

with use as (
    select
        family.database,
        family.top_index as index,
        sum(idx.size_bytes)::bigint as size_bytes,
        sum(counter.scans) as scans,
        count(*) filter (where idx.size_bytes is not null) as parts,
        count(counter.scans) as counted_parts,
        -- what one part needs, the whole keeps
        bool_or(
            idx.is_unique or idx.is_primary or idx.is_exclusion or idx.constraint_name is not null or idx.is_referenced
            or idx.is_replica_identity or idx.is_clustered or not idx.is_valid or idx.extension is not null
        ) as is_needed
    -- a partitioned index and all that is attached to it are one decision
    from index_family as family
    join relation_index as idx on idx.database = family.database and idx.index = family.index
    left join index_counter as counter on counter.database = family.database and counter.index = family.index
    group by family.database, family.top_index
),
-- a foreign key keeps the indexes behind it until one of them is seen to serve it
behind_foreign_key as (
    select distinct database, index
    from (
        select
            family.database,
            family.top_index as index,
            max(use.scans) over (
                partition by support.database, support.relation, support.constraint_name
            ) as scans
        from foreign_key_index as support
        join index_family as family on family.database = support.database and family.index = support.index
        join use on use.database = family.database and use.index = family.top_index
    ) as supporting
    where scans = 0
),
-- of two that are the same the planner may scan the one that has to go: its scans are those of the one that stays
stands_in as (
    select distinct twin.database, twin.kept_index as index
    from index_twin as twin
    join use on use.database = twin.database and use.index = twin.index
    where use.scans > 0
),
unscanned as (
    select
        idx.database,
        idx.index,
        idx.relation,
        rel.kind,
        idx.definition,
        use.size_bytes,
        use.parts,
        total.inserted_rows + total.updated_rows + total.deleted_rows as written_rows,
        win.counted_since,
        win.window_days
    from use
    join relation_index as idx on idx.database = use.database and idx.index = use.index
    join relation as rel on rel.database = idx.database and rel.relation = idx.relation
    left join relation_total as total on total.database = rel.database and total.relation = rel.root
    left join counter_window as win on win.database = use.database
    left join behind_foreign_key as fk on fk.database = use.database and fk.index = use.index
    left join stands_in on stands_in.database = use.database and stands_in.index = use.index
    where use.scans = 0
        and use.counted_parts = use.parts
        and not use.is_needed
        and fk.index is null
        and stands_in.index is null
        and rel.extension is null
        and use.size_bytes >= $min_bytes
)

select
    unscanned.database,
    unscanned.index as subject,
    unscanned.index as root,
    case when unscanned.written_rows > 0 then 'warning' else 'info' end as severity,
    unscanned.index,
    unscanned.relation,
    unscanned.size_bytes,
    unscanned.parts,
    unscanned.written_rows,
    unscanned.counted_since,
    unscanned.window_days,
    case
        when server.standbys > 0
            then 'on this server (standbys count their own scans, and it has ' || server.standbys || ': look there too)'
        when server.standbys is null
            then 'on this server (whether it has standbys, which count their own, is not readable)'
        else 'on this server'
    end as counted_where,
    -- the index of a partitioned table cannot be dropped concurrently
    case
        when unscanned.kind = 'partitioned_table' then 'drop index ' || unscanned.index || ';'
        else 'drop index concurrently ' || unscanned.index || ';'
    end as fix_sql,
    replace(unscanned.definition, ' ON ONLY ', ' ON ') as undo_sql,
    null::varchar as not_checked_reason,
    null::varchar as hint
from unscanned
cross join server
where unscanned.window_days >= $min_age_days
    and not server.is_standby

union all

select
    unscanned.database,
    unscanned.database,
    null, null, null, null, null, null, null, null, null, null, null, null,
    case
        when server.is_standby then 'this is a standby: it counts its own scans, not those of its primary'
        when unscanned.window_days is null then 'it is not known since when the counters run'
        else 'counters run only since ' || strftime(unscanned.counted_since, '%Y-%m-%d %H:%M')
    end,
    case
        when server.is_standby then 'audit the primary'
        else 'audit again when they have run for two weeks'
    end
from unscanned
cross join server
where server.is_standby or unscanned.window_days is null or unscanned.window_days < $min_age_days
group by unscanned.database, unscanned.window_days, unscanned.counted_since, server.is_standby;

-- example: a large index, never scanned in a month
-- given: evidence
insert into database (database, counters_since) values ('app', '2025-12-01');
insert into relation (relation, root, kind) values ('public.orders', 'public.orders', 'table');
insert into relation_counter (relation, inserted_rows) values ('public.orders', 5000);
insert into relation_index (relation, index, size_bytes) values ('public.orders', 'public.orders_note', 90000000);
insert into index_counter (relation, index, scans) values ('public.orders', 'public.orders_note', 0);
-- finds: public.orders_note

-- example: never reset counters are as old as those of the checkpointer
-- given: evidence
insert into database (database, counters_since) values ('app', null);
insert into checkpoint (counted_since) values ('2025-06-01');
insert into relation (relation, root, kind) values ('public.orders', 'public.orders', 'table');
insert into relation_index (relation, index, size_bytes) values ('public.orders', 'public.orders_note', 90000000);
insert into index_counter (relation, index, scans) values ('public.orders', 'public.orders_note', 0);
-- finds: public.orders_note

-- example: counters of a week say nothing yet
-- given: evidence
insert into database (database) values ('app');
insert into relation (relation, root, kind) values ('public.orders', 'public.orders', 'table');
insert into relation_index (relation, index, size_bytes) values ('public.orders', 'public.orders_note', 90000000);
insert into index_counter (relation, index, scans) values ('public.orders', 'public.orders_note', 0);
-- finds: not checked: app

-- example: counters whose age is unknown say nothing
-- given: evidence
insert into database (database, counters_since) values ('app', null);
insert into relation (relation, root, kind) values ('public.orders', 'public.orders', 'table');
insert into relation_index (relation, index, size_bytes) values ('public.orders', 'public.orders_note', 90000000);
insert into index_counter (relation, index, scans) values ('public.orders', 'public.orders_note', 0);
-- finds: not checked: app

-- example: a standby does not know the scans of its primary
-- given: evidence
insert into server (is_standby) values (true);
insert into database (database, counters_since) values ('app', '2025-12-01');
insert into relation (relation, root, kind) values ('public.orders', 'public.orders', 'table');
insert into relation_index (relation, index, size_bytes) values ('public.orders', 'public.orders_note', 90000000);
insert into index_counter (relation, index, scans) values ('public.orders', 'public.orders_note', 0);
-- finds: not checked: app

-- example: one scan is a use; small, unique and constraint-backing ones stay, and so does one with unread counters
-- given: evidence
insert into database (database, counters_since) values ('app', '2025-12-01');
insert into relation (relation, root, kind) values ('public.orders', 'public.orders', 'table');
insert into relation_index (relation, index, size_bytes, is_unique, constraint_name) values
    ('public.orders', 'public.used', 90000000, false, null),
    ('public.orders', 'public.small', 10000000, false, null),
    ('public.orders', 'public.uniq', 90000000, true, null),
    ('public.orders', 'public.excl', 90000000, false, 'excl'),
    ('public.orders', 'public.unread', 90000000, false, null);
insert into index_counter (relation, index, scans) values
    ('public.orders', 'public.used', 1), ('public.orders', 'public.small', 0),
    ('public.orders', 'public.uniq', 0), ('public.orders', 'public.excl', 0);
-- finds: nothing

-- example: the only index behind a foreign key waits for a delete
-- given: evidence
insert into database (database, counters_since) values ('app', '2025-12-01');
insert into relation (relation, root, kind) values ('public.orders', 'public.orders', 'table');
insert into relation_constraint (relation, constraint_name, kind) values
    ('public.orders', 'orders_customer_fkey', 'foreign_key');
insert into constraint_column (relation, constraint_name, position, column_name) values
    ('public.orders', 'orders_customer_fkey', 1, 'customer_id');
insert into relation_index (relation, index, size_bytes) values ('public.orders', 'public.orders_customer', 90000000);
insert into index_column (relation, index, position, column_name) values
    ('public.orders', 'public.orders_customer', 1, 'customer_id');
insert into index_counter (relation, index, scans) values ('public.orders', 'public.orders_customer', 0);
-- finds: nothing

-- example: a partitioned index is judged as one, by all of its parts
-- given: evidence
insert into database (database, counters_since) values ('app', '2025-12-01');
insert into relation (relation, root, kind) values
    ('public.log', 'public.log', 'partitioned_table'),
    ('public.log_1', 'public.log', 'table'), ('public.log_2', 'public.log', 'table');
insert into relation_index (relation, index, parent_index, size_bytes) values
    ('public.log', 'public.log_a', null, null), ('public.log', 'public.log_b', null, null),
    ('public.log_1', 'public.log_1_a', 'public.log_a', 9000000),
    ('public.log_1', 'public.log_1_b', 'public.log_b', 9000000),
    ('public.log_2', 'public.log_2_a', 'public.log_a', 9000000),
    ('public.log_2', 'public.log_2_b', 'public.log_b', 9000000);
insert into index_counter (relation, index, scans) values
    ('public.log_1', 'public.log_1_a', 0), ('public.log_2', 'public.log_2_a', 0),
    ('public.log_1', 'public.log_1_b', 0), ('public.log_2', 'public.log_2_b', 7);
-- finds: public.log_a

-- example: of two that are the same only the one that has to go is scanned
-- given: evidence
insert into database (database, counters_since) values ('app', '2025-12-01');
insert into relation (relation, root, kind) values ('public.orders', 'public.orders', 'table');
insert into relation_index (relation, index, index_oid, key_signature, size_bytes) values
    ('public.orders', 'public.orders_a', 1, 'note', 90000000),
    ('public.orders', 'public.orders_b', 2, 'note', 90000000);
insert into index_counter (relation, index, scans) values
    ('public.orders', 'public.orders_a', 0), ('public.orders', 'public.orders_b', 500);
-- finds: nothing

-- example: two indexes behind a foreign key, neither of them needed so far: none goes; a used one sets the other free
-- given: evidence
insert into database (database, counters_since) values ('app', '2025-12-01');
insert into relation (relation, root, kind) values ('public.orders', 'public.orders', 'table');
insert into relation_constraint (relation, constraint_name, kind) values
    ('public.orders', 'a_fkey', 'foreign_key'), ('public.orders', 'b_fkey', 'foreign_key');
insert into constraint_column (relation, constraint_name, position, column_name) values
    ('public.orders', 'a_fkey', 1, 'a'), ('public.orders', 'b_fkey', 1, 'b');
insert into relation_index (relation, index, key_signature, size_bytes) values
    ('public.orders', 'public.a1', 'a', 90000000), ('public.orders', 'public.a2', 'a, x', 90000000),
    ('public.orders', 'public.b1', 'b', 90000000), ('public.orders', 'public.b2', 'b, x', 90000000);
insert into index_column (relation, index, position, column_name) values
    ('public.orders', 'public.a1', 1, 'a'), ('public.orders', 'public.a2', 1, 'a'),
    ('public.orders', 'public.b1', 1, 'b'), ('public.orders', 'public.b2', 1, 'b');
insert into index_counter (relation, index, scans) values
    ('public.orders', 'public.a1', 0), ('public.orders', 'public.a2', 0),
    ('public.orders', 'public.b1', 7), ('public.orders', 'public.b2', 0);
-- finds: public.b2
