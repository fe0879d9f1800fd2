-- rule: no-idle-in-transaction-timeout
-- title: Forgotten transactions may stay open for ever
-- severity: info
-- reads: setting, server
-- message: idle_in_transaction_session_timeout is 0: a client that forgets its transaction keeps its locks and holds
--     vacuum back until somebody notices. Set it to a few minutes.
-- fix: {fix_sql}
-- undo: {undo_sql}
-- since: 0.1
--
-- ## Why it matters
-- One client that hangs between BEGIN and COMMIT keeps its row locks, so others queue, and its snapshot, so vacuum
-- removes nothing. The server can end such a session by itself, and only what was idle is lost.
--
-- ## What to do
-- A few minutes for the server; less for the roles of web applications. From 17 on `transaction_timeout` also ends
-- long transactions that are not idle.
--
-- ## When to leave it
-- The roles of all applications set it for themselves, which this audit does not see.

select
    null::varchar as database,
    setting.name as subject,
    setting.value,
    setting.source,
    case
        when server.provider = 'self-hosted'
            then 'alter system set idle_in_transaction_session_timeout = ''5min'';' || chr(10)
                || 'select pg_reload_conf();'
        else '-- set idle_in_transaction_session_timeout = ''5min'' in the parameters of the service'
    end as fix_sql,
    case
        when server.provider = 'self-hosted' then 'alter system reset idle_in_transaction_session_timeout;'
    end as undo_sql
from setting
cross join server
left join setting as whole on whole.name = 'transaction_timeout'
where setting.name = 'idle_in_transaction_session_timeout'
    and coalesce(setting.value_ms, try_cast(setting.value as double)) = 0
    and coalesce(setting.source, 'default') not in ('user', 'database', 'database user')
    -- a limit for the whole transaction ends idle ones as well
    and coalesce(whole.value_ms, try_cast(whole.value as double), 0) = 0;

-- example: none
-- given: evidence
insert into setting (name, value, value_ms, source) values ('idle_in_transaction_session_timeout', '0', 0, 'default');
-- finds: idle_in_transaction_session_timeout

-- example: five minutes
-- given: evidence
insert into setting (name, value, value_ms, source) values
    ('idle_in_transaction_session_timeout', '300000', 300000, 'configuration file');
-- finds: nothing

-- example: a limit for whole transactions (17+)
-- given: evidence
insert into setting (name, value, value_ms, source) values
    ('idle_in_transaction_session_timeout', '0', 0, 'default'),
    ('transaction_timeout', '600000', 600000, 'configuration file');
-- finds: nothing
