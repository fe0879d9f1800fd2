-- rule: suppression-without-reason
-- title: Suppression without a reason
-- severity: warning
-- reads: migration_suppression
-- message: The suppression of {rule} does not count as long as it gives no reason: say behind the name why this is no fault
--     here.
-- since: 0.1
--
-- ## Why it matters
-- In a year nobody can tell whether the reason still holds, so nobody dares to remove the comment or to rely on it.
--
-- ## What to do
-- `-- queryfit: ignore index-not-concurrent the table is empty until the import of May`.
--
-- ## When to leave it
-- Never: a few words are enough.

select
    file,
    line,
    'ignore ' || rule || case when number > 1 then ' (' || number || ')' else '' end as subject,
    rule
from migration_suppression
where is_known and reason is null;

-- example: a name and nothing behind it
-- given: evidence
insert into migration_suppression (file, line, number, rule, is_known) values
    ('1.sql', 3, 1, 'index-not-concurrent', true);
-- finds: ignore index-not-concurrent

-- example: with a reason, or of a rule that is not there, which another rule says
-- given: evidence
insert into migration_suppression (file, line, number, rule, reason, is_known) values
    ('1.sql', 3, 1, 'index-not-concurrent', 'the table is empty', true),
    ('1.sql', 9, 1, 'index-not-concurent', null, false);
-- finds: nothing
