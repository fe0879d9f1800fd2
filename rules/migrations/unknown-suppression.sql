-- rule: unknown-suppression
-- title: Suppression of a rule that is not there
-- severity: warning
-- reads: migration_suppression
-- message: This comment suppresses nothing: {cause}. Write `queryfit: ignore rule-name reason` with the name of a rule, or
--     remove it.
-- since: 0.1
--
-- ## Why it matters
-- Whoever reads the comment takes the finding for settled. A rule that was renamed or misspelt is not suppressed, and a
-- comment for another rule hides nothing today and confuses tomorrow.
--
-- ## What to do
-- Correct the name; `queryfit rules` lists all of them. Several stand behind one another with commas, the reason follows:
-- `-- queryfit: ignore index-not-concurrent, no-lock-timeout the table is empty`. `ignore-file` speaks of the whole file.
--
-- ## When to leave it
-- The rule is one of your own, and this run was not told where it lies (`--rules`).

select
    file,
    line,
    coalesce('ignore ' || rule, 'a comment that is not understood')
        || case when number > 1 then ' (' || number || ')' else '' end as subject,
    coalesce(problem, 'there is no rule ' || rule) as cause
from migration_suppression
where not is_known;

-- example: a name that no rule has, and a comment that says something else
-- given: evidence
insert into migration_suppression (file, line, number, rule, reason, problem, is_known) values
    ('1.sql', 3, 1, 'index-not-concurent', 'the table is empty', null, false),
    ('1.sql', 9, 1, null, null, '''disable all'' is not understood', false);
-- finds: ignore index-not-concurent
-- finds: a comment that is not understood

-- example: a rule that is there
-- given: evidence
insert into migration_suppression (file, line, number, rule, reason, is_known) values
    ('1.sql', 3, 1, 'index-not-concurrent', 'the table is empty', true);
-- finds: nothing
