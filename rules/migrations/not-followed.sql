-- rule: not-followed
-- title: Statement that the model of the schema does not follow
-- severity: info
-- reads: migration_step
-- message: {not_checked_reason}
-- since: 0.1
--
-- ## Why it matters
-- queryfit knows of the schema what the migrations before a statement made of it. Where it could not follow one of
-- them, what comes after is judged with less knowledge, and this one is not judged.
--
-- ## What to do
-- `queryfit lint --trace` runs the statement and says what it locks. Please report the statement.
--
-- ## When to leave it
-- What it does is known and was looked at.

select
    step.step,
    step.statement as subject,
    step.unfollowed as not_checked_reason,
    'let --trace run it' as hint
from migration_step as step
where step.unfollowed is not null;

-- example: a statement that was not followed
-- given: evidence
insert into migration_step (step, file, line, kind, statement, unfollowed) values
    (1, 'a.sql', 3, 'AlterTableStmt', 'alter table orders do something', 'ALTER TABLE action AT_Something');
-- finds: not checked: alter table orders do something

-- example: everything is followed
-- given: migration
create table orders (id bigint);
alter table orders add column total numeric;
-- finds: nothing
