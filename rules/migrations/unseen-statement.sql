-- rule: unseen-statement
-- title: Part of a statement cannot be seen
-- severity: info
-- reads: migration_step
-- message: {not_checked_reason}
-- since: 0.1
--
-- ## Why it matters
-- Statements that are put together at run time, or run inside a function, can lock, rewrite or drop anything: what they
-- do is not judged by any rule, and is not known to what is judged after them.
--
-- ## What to do
-- Write the statements out in the migration. Where names are only known on the server, look at what it would run
-- (`raise notice`), or let `queryfit lint --trace` run it.
--
-- ## When to leave it
-- What it does is known and was looked at.

select
    step.step,
    step.statement as subject,
    step.unseen as not_checked_reason,
    'write the statement out, or let --trace run it' as hint
from migration_step as step
where step.unseen is not null;

-- example: a statement put together at run time
-- given: migration
do $$ begin execute 'drop table ' || current_setting('app.old_table'); end $$;
-- finds: not checked: do $$ begin execute 'drop table ' || current_setting('app.old_table'); end $$

-- example: a constant is seen
-- given: migration
do $$ begin execute 'create table scratch (id bigint)'; end $$;
-- finds: nothing

-- example: everything is seen
-- given: migration
create table orders (id bigint);
-- finds: nothing
