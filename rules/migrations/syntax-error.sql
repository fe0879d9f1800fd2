-- rule: syntax-error
-- title: Statement that does not parse
-- severity: error
-- reads: migration_step
-- message: PostgreSQL does not take this: {reason}. Mend it; the rest of the file is judged without it.
-- since: 0.1
--
-- ## Why it matters
-- The migration stops here when it runs, with everything before it applied or rolled back, as the runner does it. What
-- the statement would have done is unknown to the checks of everything after it.
--
-- ## What to do
-- Mend the statement. Commands of psql (`\i`, `\set`) and placeholders of a runner are known where the runner is known:
-- see `--runner`.
--
-- ## When to leave it
-- The text is filled in by a tool that queryfit does not know; then keep the file out of its paths.

select
    step.step,
    coalesce(nullif(step.statement, ''), 'end of file') as subject,
    step.refusal as reason
from migration_step as step
where step.kind = 'unparsed';

-- example: a word too many
-- given: migration
create tabel orders (id bigint);
-- finds: tabel orders (id bigint)

-- example: the rest is judged
-- given: migration
create table orders (id bigint);
alter table orders add colum total numeric;
create table items (id bigint);
-- finds: numeric

-- example: it parses
-- given: migration
create table orders (id bigint);
-- finds: nothing

-- example: an empty file
-- given: migration
-- only a comment
-- finds: nothing
