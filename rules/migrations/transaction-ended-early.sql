-- rule: transaction-ended-early
-- title: Migration ends its runner's transaction
-- severity: warning
-- reads: migration_effect, migration_step
-- actions: commit, rollback
-- message: {command} ends the transaction that {runner} put around the file: {consequence}; take it out, or switch the
--     runner's transaction off for this file.
-- since: 0.1
--
-- ## Why it matters
-- The runner counts on one transaction for the whole file and its own note that the file has run. After a COMMIT in the
-- middle the rest runs statement by statement, a failure leaves half of it, and the file is applied but not noted, so
-- that the next run starts it again. After a ROLLBACK the runner notes a file as applied that did nothing.
--
-- ## What to do
-- Leave BEGIN and COMMIT to the runner. Where a part has to run outside a transaction (CREATE INDEX CONCURRENTLY), give
-- it a file of its own and use the runner's switch for that.
--
-- ## When to leave it
-- The runner does not wrap this file: say so with `--no-in-transaction`.

with ending as (
    select
        effect.effect,
        effect.action,
        step.runner,
        row_number() over (partition by step.file order by effect.effect) as place
    from migration_effect as effect
    join migration_step as step on step.step = effect.step
    where effect.action in ('commit', 'rollback')
        and effect.definition not like 'rollback to%'
        and effect.definition not like '%prepared'
        and step.transactions = 'file'
        and not step.is_nested
)
select
    effect,
    upper(action) as subject,
    upper(action) as command,
    case when runner in ('psql', 'plain') then 'the runner' else runner end as runner,
    case action when 'rollback' then 'error' else 'warning' end as severity,
    case action
        when 'rollback' then 'what came before is undone, and the file is noted as applied all the same'
        else 'a failure after it leaves half of the file applied'
    end as consequence
from ending
where place = 1;

-- example: a commit in the middle
-- given: migration, in a transaction
create table orders (id bigint primary key);
commit;
create index concurrently orders_id on orders (id);
-- finds: COMMIT

-- example: the file has begin and commit of its own: told once
-- given: migration, in a transaction
begin;
create table orders (id bigint primary key);
commit;
begin;
create table items (id bigint primary key);
commit;
-- finds: COMMIT

-- example: a rollback
-- given: migration, in a transaction
create table orders (id bigint primary key);
rollback;
-- finds: ROLLBACK

-- example: back to a savepoint
-- given: migration, in a transaction
savepoint before;
update settings set theme = 'dark' where id = 1;
rollback to savepoint before;
-- finds: nothing

-- example: nobody wraps the file
-- given: migration
begin;
create table orders (id bigint primary key);
commit;
-- finds: nothing

-- example: one batch
-- given: migration, as one batch
begin;
create table orders (id bigint primary key);
commit;
-- finds: nothing
