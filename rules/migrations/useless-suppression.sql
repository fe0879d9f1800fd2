-- rule: useless-suppression
-- title: Suppression that suppresses nothing
-- severity: warning
-- reads: migration_suppression
-- message: There is nothing of {rule} to suppress here: {cause}. Remove the comment, or move it to its statement.
-- since: 0.1
--
-- ## Why it matters
-- A suppression that is left behind hides the next fault of its kind, which nobody has looked at.
--
-- ## What to do
-- Remove it. If it was meant for another statement, put it on a line of that statement or directly above it, without an
-- empty line between; a comment inside a string or the body of a function is none.
--
-- ## When to leave it
-- The rule finds something only for other versions or with `--against`, and this run was made without.

select
    file,
    line,
    'ignore ' || rule || case when number > 1 then ' (' || number || ')' else '' end as subject,
    rule,
    case
        when not has_statement then 'the comment stands neither on the line of a statement nor directly above one'
        when is_file then 'no statement of the file is at fault'
        else 'its statement is not at fault'
    end as cause
from migration_suppression
where is_known
    and reason is not null
    and not is_used
    -- a rule that did not judge this time may well have found something
    and (has_run or not has_statement);

-- example: a statement without fault, and a comment that belongs to no statement
-- given: evidence
insert into migration_suppression
    (file, line, number, rule, reason, is_known, has_run, has_statement, is_used) values
    ('1.sql', 3, 1, 'index-not-concurrent', 'the table is empty', true, true, true, false),
    ('1.sql', 9, 2, 'index-not-concurrent', 'the table is empty', true, false, false, false);
-- finds: ignore index-not-concurrent
-- finds: ignore index-not-concurrent (2)

-- example: it is of use; its rule did not judge; it lacks its reason, which another rule says; there is no such rule
-- given: evidence
insert into migration_suppression
    (file, line, number, rule, reason, is_known, has_run, has_statement, is_used) values
    ('1.sql', 3, 1, 'index-not-concurrent', 'the table is empty', true, true, true, true),
    ('1.sql', 9, 1, 'prefer-text', 'a contract', true, false, true, false),
    ('1.sql', 12, 2, 'index-not-concurrent', null, true, true, true, false),
    ('1.sql', 15, 1, 'index-not-concurent', 'the table is empty', false, false, true, false);
-- finds: nothing
