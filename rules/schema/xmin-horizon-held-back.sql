-- rule: xmin-horizon-held-back
-- title: Vacuum held back by an old transaction
-- severity: warning
-- reads: activity, replication_slot, prepared_transaction, replica
-- message: {holder} holds the xmin horizon {age_xids} transactions back{since_words}: vacuum can remove no row that
--     died since, in any table of its reach. {what_to_do}
-- fix: {fix_sql}
-- param: min_age_xids = 5000000 -- a busy server makes that many in an hour
-- param: min_transaction_ms = 3600000 -- an hour: reports and dumps are done by then
-- param: min_age_of_old_xids = 100000 -- with fewer transactions since then there is little to clean
-- param: min_prepared_ms = 600000 -- two-phase commit takes seconds
-- since: 0.1
--
-- ## Why it matters
-- Vacuum keeps every row version that the oldest snapshot might still read. One transaction, prepared transaction,
-- replication slot or standby with feedback that stays behind makes all vacuums run for nothing: tables and indexes
-- grow, and the transaction ids come nearer to wraparound.
--
-- ## What to do
-- End the holder: terminate the session, commit or roll back the prepared transaction, drop a slot that nobody reads,
-- or end the long query on the standby. Then vacuum what grew.
--
-- ## When to leave it
-- A dump or an index build of a large table that will end soon.

with session as (
    select
        database,
        coalesce(role, '?') || '@' || coalesce(application, '') as holder,
        pid,
        greatest(coalesce(xmin_age_xids, 0), coalesce(xid_age_xids, 0)) as age_xids,
        transaction_ms,
        state,
        text,
        row_number() over (
            partition by database, role, application
            order by greatest(coalesce(xmin_age_xids, 0), coalesce(xid_age_xids, 0)) desc
        ) as rank
    from activity
    where sampled_at = (select max(sampled_at) from activity)
        and not is_own
        and leader_pid is null
        -- vacuum ignores its own kind; a walsender passes on what a standby or slot holds
        and coalesce(backend_type, 'client backend') not in ('autovacuum worker', 'walsender')
),
held as (
    select
        database,
        holder as subject,
        holder as root,
        'Session ' || pid || ' of ' || holder || ' (' || coalesce(state, 'state hidden') || ')' as holder,
        age_xids,
        transaction_ms as held_ms,
        text as statement,
        'End it if it is not a dump or a build of an index that will be done soon.' as what_to_do,
        'select pg_terminate_backend(' || pid || ');' as fix_sql
    from session
    where rank = 1
        and (age_xids >= $min_age_xids or (transaction_ms >= $min_transaction_ms and age_xids >= $min_age_of_old_xids))

    union all

    select
        database,
        gid,
        gid,
        'Prepared transaction ' || gid || ' of ' || owner,
        xid_age_xids,
        age_ms,
        null,
        'Commit it or roll it back in its database.',
        'rollback prepared ''' || replace(gid, '''', '''''') || ''';  -- or commit prepared'
    from prepared_transaction
    where age_ms >= $min_prepared_ms
        or xid_age_xids >= $min_age_xids

    union all

    select
        database,
        slot,
        -- an inactive slot is the same fault as the one that its rule reports
        slot,
        case when is_active then 'Replication slot ' else 'Inactive replication slot ' end || slot,
        greatest(coalesce(xmin_age_xids, 0), coalesce(catalog_xmin_age_xids, 0)),
        null,
        null,
        case
            when is_active then 'Its reader is far behind, or its standby runs a long query: look there.'
            else 'Drop it if its reader will not come back.'
        end,
        case
            when not is_active then 'select pg_drop_replication_slot(''' || replace(slot, '''', '''''') || ''');'
        end
    from replication_slot
    where greatest(coalesce(xmin_age_xids, 0), coalesce(catalog_xmin_age_xids, 0)) >= $min_age_xids

    union all

    select
        null,
        coalesce(application, client, 'standby'),
        coalesce(application, client, 'standby'),
        'Standby ' || coalesce(application, client, '?') || ' (hot_standby_feedback)',
        xmin_age_xids,
        null,
        null,
        'End the long query there, or switch off its feedback and let such queries be cancelled.',
        null
    from replica
    where xmin_age_xids >= $min_age_xids
)

select
    database,
    subject,
    root,
    holder,
    age_xids,
    held_ms,
    statement,
    what_to_do,
    case
        when held_ms is null then ''
        when held_ms >= 172800000 then ', for ' || (held_ms / 86400000)::bigint || ' days'
        when held_ms >= 7200000 then ', for ' || (held_ms / 3600000)::bigint || ' hours'
        else ', for ' || (held_ms / 60000)::bigint || ' minutes'
    end as since_words,
    fix_sql
from held;

-- example: a transaction of two hours, a forgotten prepared one, a dead slot and a standby's report
-- given: evidence
insert into activity (pid, database, role, application, backend_type, state, xmin_age_xids, transaction_ms) values
    (1, 'app', 'report', 'psql', 'client backend', 'active', 400000, 7200000);
insert into prepared_transaction (gid, database, age_ms, xid_age_xids) values ('tx1', 'app', 3600000, 90);
insert into replication_slot (slot, kind, is_active, catalog_xmin_age_xids, xmin_age_xids) values
    ('debezium', 'logical', false, 9000000, null);
insert into replica (application, xmin_age_xids) values ('standby1', 6000000);
-- finds: report@psql
-- finds: tx1
-- finds: debezium
-- finds: standby1

-- example: a dump of ten minutes, an autovacuum worker, a young prepared transaction, and slots that follow
-- given: evidence
insert into activity (pid, database, role, application, backend_type, state, xmin_age_xids, transaction_ms) values
    (1, 'app', 'backup', 'pg_dump', 'client backend', 'active', 400000, 600000),
    (2, 'app', null, '', 'autovacuum worker', 'active', 9000000, 9000000),
    (3, 'app', 'night', 'psql', 'client backend', 'active', 50, 7200000);
insert into prepared_transaction (gid, database, age_ms, xid_age_xids) values ('tx1', 'app', 900, 9);
insert into replication_slot (slot, kind, is_active, xmin_age_xids) values ('standby1', 'physical', true, 200);
-- finds: nothing

-- example: nobody holds anything
-- given: evidence
insert into activity (pid, database, role, application, backend_type, state) values
    (1, 'app', 'web', 'shop', 'client backend', 'idle');
-- finds: nothing
