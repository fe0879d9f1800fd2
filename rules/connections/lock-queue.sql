-- rule: lock-queue
-- title: Sessions that queue behind one lock
-- severity: warning
-- reads: activity, lock_wait, prepared_transaction
-- message: {waiting} session(s) wait, the longest for {waited_ms}, behind {blocker} that {doing}; it alone holds them
--     all up. Let it finish or end it.
-- fix: {fix_sql}
-- param: min_waited_ms = 5000 -- ordinary row locks are gone within milliseconds
-- param: many_waiting = 5 -- so many do not meet by chance
-- param: min_waited_many_ms = 1000 -- a queue of many is worth a word sooner
-- param: error_waited_ms = 30000 -- clients give up about now
-- since: 0.1
--
-- ## Why it matters
-- A lock queue is first come, first served: whoever waits for a strong lock blocks everybody behind it, also those
-- that would get along with the holder. The pool runs dry, and in the counters all looks well, because calls that do
-- not finish are not counted. One session at the root holds up all the others.
--
-- ## What to do
-- Deal with the root only; those in between are victims. If it is idle in a transaction, end it and mend the code; if
-- it is a schema change, cancel it and run it again with a `lock_timeout`; if it works, let it finish.
--
-- ## When to leave it
-- A maintenance window in which the wait is meant.

with recursive edge as (
    select distinct pid, blocker_pid, waited_ms, relation, lock_mode
    from lock_wait
    where sampled_at = (select max(sampled_at) from lock_wait)
        and pid <> blocker_pid
),
root as (
    select distinct blocker.blocker_pid as pid
    from edge as blocker
    left join edge as waiting on waiting.pid = blocker.blocker_pid
    where waiting.pid is null
),
-- UNION drops what is known already, so a cycle (a deadlock about to be broken) ends too
queue (root_pid, pid) as (
    select pid, pid from root
    union
    select queue.root_pid, edge.pid
    from queue
    join edge on edge.blocker_pid = queue.pid
),
line as (
    select
        queue.root_pid,
        count(distinct edge.pid) as waiting,
        max(edge.waited_ms) as waited_ms,
        min(edge.relation) as relation,
        min(case when edge.blocker_pid = queue.root_pid then edge.lock_mode end) as lock_mode
    from queue
    join edge on edge.pid = queue.pid
    group by queue.root_pid
),
session as (
    select * from activity where sampled_at = (select max(sampled_at) from activity)
),
prepared as (
    select min(gid) as gid, count(*) as transactions, min(database) as database
    from prepared_transaction
)

select
    case when line.root_pid = 0 then prepared.database else session.database end as database,
    case
        when line.root_pid = 0 then 'prepared transaction'
        else coalesce(session.role, '?') || '@' || coalesce(session.application, '')
    end as subject,
    case
        when line.root_pid = 0 then 'prepared transaction'
        else coalesce(session.role, '?') || '@' || coalesce(session.application, '')
    end as root,
    case
        when line.waiting >= $many_waiting and line.waited_ms >= $error_waited_ms then 'error'
        when session.state like 'idle in transaction%' then 'error'
        else 'warning'
    end as severity,
    -- others are refused or time out while you read this
    line.waiting >= $many_waiting and line.waited_ms >= $error_waited_ms as is_urgent,
    line.waiting,
    line.waited_ms,
    line.relation,
    line.lock_mode,
    line.root_pid as pid,
    session.state,
    session.client,
    session.state_ms,
    session.transaction_ms,
    session.text as statement,
    case
        when line.root_pid = 0 then 'a prepared transaction'
        else coalesce(session.role, 'an unknown role') || '@' || coalesce(session.application, '')
            || ' (pid ' || line.root_pid || ')'
    end as blocker,
    case
        when line.root_pid = 0 then 'was prepared and neither committed nor rolled back'
        when session.state like 'idle in transaction%' then 'is idle in its transaction'
        when session.state = 'active' then 'runs: ' || left(regexp_replace(session.text, '\s+', ' ', 'g'), 80)
        else 'shows no state to this role'
    end as doing,
    case
        when line.root_pid = 0 and prepared.transactions = 1
            then 'rollback prepared ''' || replace(prepared.gid, '''', '''''') || ''';  -- or commit prepared'
        when line.root_pid = 0 then 'select gid, prepared, owner, database from pg_prepared_xacts order by prepared;'
        when session.state = 'active' then 'select pg_cancel_backend(' || line.root_pid || ');  -- if it may not finish'
        else 'select pg_terminate_backend(' || line.root_pid || ');'
    end as fix_sql
from line
cross join prepared
left join session on session.pid = line.root_pid
where line.waited_ms >= $min_waited_ms
    or (line.waiting >= $many_waiting and line.waited_ms >= $min_waited_many_ms);

-- example: an idle transaction at the root of a chain
-- given: evidence
insert into activity (pid, database, role, application, state, text) values
    (1, 'app', 'web', 'shop', 'idle in transaction', 'update stock'),
    (2, 'app', 'dba', 'psql', 'active', 'alter table stock'), (3, 'app', 'api', 'shop', 'active', 'select');
insert into lock_wait (pid, blocker_pid, waited_ms) values (2, 1, 9000), (3, 2, 4000);
-- finds: web@shop

-- example: a prepared transaction that nobody ended
-- given: evidence
insert into activity (pid, database, role, application, state) values (3, 'app', 'api', 'shop', 'active');
insert into prepared_transaction (gid, age_ms) values ('tx1', 600000);
insert into lock_wait (pid, blocker_pid, waited_ms) values (3, 0, 9000);
-- finds: prepared transaction

-- example: short waits, and a circle that the server is about to break
-- given: evidence
insert into activity (pid, database, role, application, state) values
    (1, 'app', 'web', 'shop', 'active'), (2, 'app', 'web', 'shop', 'active'), (3, 'app', 'web', 'shop', 'active');
insert into lock_wait (pid, blocker_pid, waited_ms) values (2, 1, 900), (3, 1, 300);
insert into lock_wait (pid, blocker_pid, waited_ms) values (8, 9, 9000), (9, 8, 9000);
-- finds: nothing
