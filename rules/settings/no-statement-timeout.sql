-- rule: no-statement-timeout
-- title: Statements may run for ever
-- severity: info
-- reads: setting
-- message: statement_timeout is 0 for the server and for the role of this audit: a runaway statement holds its locks,
--     its snapshot and its connection until somebody notices. Set one for each application's role.
-- fix: alter role application_role set statement_timeout = '30s';
-- undo: alter role application_role reset statement_timeout;
-- since: 0.1
--
-- ## Why it matters
-- The client gave up long ago, the statement did not: retries pile up behind it. It holds its row locks and the xmin
-- horizon, and fills temporary files, for as long as it runs.
--
-- ## What to do
-- Set it for the roles of applications, a little above what their slowest page may take. Not for the whole server:
-- dumps, migrations and reports need longer.
--
-- ## When to leave it
-- Every application's role, or the application itself for each session, sets one: the audit sees only the value for
-- the server and for its own role.

select
    null::varchar as database,
    setting.name as subject,
    setting.value,
    setting.source
from setting
where setting.name = 'statement_timeout'
    and coalesce(setting.value_ms, try_cast(setting.value as double)) = 0
    -- a value of this role or database says nothing about the others, but shows that somebody thinks of it
    and coalesce(setting.source, 'default') not in ('user', 'database', 'database user');

-- example: none
-- given: evidence
insert into setting (name, value, value_ms, source) values ('statement_timeout', '0', 0, 'default');
-- finds: statement_timeout

-- example: one minute
-- given: evidence
insert into setting (name, value, value_ms, source) values ('statement_timeout', '60000', 60000, 'configuration file');
-- finds: nothing

-- example: switched off for the role of the audit on purpose
-- given: evidence
insert into setting (name, value, value_ms, source) values ('statement_timeout', '0', 0, 'user');
-- finds: nothing
