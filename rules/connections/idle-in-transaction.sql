-- rule: idle-in-transaction
-- title: Transaction left open by a client that does nothing
-- severity: warning
-- reads: activity, lock_wait
-- message: {sessions} session(s) of {subject} are idle in a transaction, the longest for {idle_ms}{blocked_words};
--     locks and the xmin horizon stay held. Commit sooner in the application, and let the server end such sessions.
-- fix: {fix_sql}
-- undo: {undo_sql}
-- param: min_idle_ms = 30000 -- an application that is alive sends its next statement within milliseconds
-- param: min_blocking_idle_ms = 5000 -- less when somebody waits for it
-- since: 0.1
--
-- ## Why it matters
-- The client began a transaction and went silent: it waits for a slow remote call, lost its thread, or a person left a
-- prompt open. All its row locks stay, every statement that needs them queues, the connection of the pool is taken,
-- and while it holds a snapshot vacuum can remove nothing that died since.
--
-- ## What to do
-- Find the code path: the last statement is in the evidence. No remote call or user think time between BEGIN and
-- COMMIT. `idle_in_transaction_session_timeout` ends what still gets stuck.
--
-- ## When to leave it
-- A migration or a two-phase job that is known to wait. Tools that hold a snapshot on purpose (pg_dump) are busy, not
-- idle.

with latest as (
    select *
    from activity
    where sampled_at = (select max(sampled_at) from activity)
        and not is_own
        and state in ('idle in transaction', 'idle in transaction (aborted)')
),
waiter as (
    select blocker_pid, count(distinct pid) as blocked, max(waited_ms) as waited_ms
    from lock_wait
    where sampled_at = (select max(sampled_at) from lock_wait)
    group by blocker_pid
),
forgotten as (
    select
        latest.*,
        coalesce(waiter.blocked, 0) as blocked,
        waiter.waited_ms,
        row_number() over (
            partition by latest.database, latest.role, latest.application
            order by coalesce(waiter.blocked, 0) desc, latest.state_ms desc
        ) as rank
    from latest
    left join waiter on waiter.blocker_pid = latest.pid
    where latest.state_ms >= $min_idle_ms
        or (waiter.blocked > 0 and latest.state_ms >= $min_blocking_idle_ms)
)

select
    database,
    role || '@' || coalesce(application, '') as subject,
    role || '@' || coalesce(application, '') as root,
    case when sum(blocked) > 0 then 'error' else 'warning' end as severity,
    role,
    application,
    count(*) as sessions,
    max(state_ms) as idle_ms,
    max(transaction_ms) as transaction_ms,
    max(xmin_age_xids) as xmin_age_xids,
    sum(blocked) as blocked_sessions,
    max(waited_ms) as waited_ms,
    max(case when rank = 1 then pid end) as pid,
    max(case when rank = 1 then client end) as client,
    max(case when rank = 1 then text end) as last_statement,
    case
        when sum(blocked) > 0 then ', and ' || sum(blocked) || ' other(s) wait for their locks'
        else ''
    end as blocked_words,
    'select pg_terminate_backend(' || max(case when rank = 1 then pid end)
        || ');  -- now, if it is still the same session' || chr(10)
        || 'alter role ' || role_sql || ' set idle_in_transaction_session_timeout = ''1min'';' as fix_sql,
    'alter role ' || role_sql || ' reset idle_in_transaction_session_timeout;' as undo_sql
from (
    select
        *,
        case
            when regexp_matches(role, '^[a-z_][a-z0-9_]*$') then role
            else '"' || replace(role, '"', '""') || '"'
        end as role_sql
    from forgotten
) as session
group by database, role, role_sql, application;

-- example: one that was forgotten, beside one that just works
-- given: evidence
insert into activity (pid, database, role, application, state, state_ms, text) values
    (1, 'app', 'web', 'shop', 'idle in transaction', 90000, 'update stock set amount = 3'),
    (2, 'app', 'api', 'shop', 'idle in transaction', 200, 'select 1');
-- finds: web@shop

-- example: six seconds are enough when somebody waits
-- given: evidence
insert into activity (pid, database, role, application, state, state_ms) values
    (1, 'app', 'web', 'shop', 'idle in transaction', 6000), (2, 'app', 'web', 'shop', 'active', 6000);
insert into lock_wait (pid, blocker_pid, waited_ms) values (2, 1, 5500);
-- finds: web@shop

-- example: sessions that are idle outside a transaction, or busy in one, or only just silent
-- given: evidence
insert into activity (pid, database, role, application, state, state_ms) values
    (1, 'app', 'web', 'shop', 'idle', 9000000), (2, 'app', 'web', 'shop', 'active', 900000),
    (3, 'app', 'web', 'shop', 'idle in transaction', 4000), (4, 'app', 'web', 'shop', null, null);
-- finds: nothing

-- example: it was so in an earlier sample only
-- given: evidence
insert into activity (sampled_at, pid, database, role, application, state, state_ms) values
    ('2026-01-08 00:00:00', 1, 'app', 'web', 'shop', 'idle in transaction', 90000),
    ('2026-01-08 00:00:05', 1, 'app', 'web', 'shop', 'idle', 1000);
-- finds: nothing
