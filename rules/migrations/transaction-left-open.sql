-- rule: transaction-left-open
-- title: File ends inside a transaction
-- severity: error
-- reads: migration_effect, migration_step
-- actions: begin
-- message: The transaction that begins here never commits: when the session ends, all of it is rolled back without an
--     error; add COMMIT.
-- since: 0.1
--
-- ## Why it matters
-- psql ends with success although nothing of the transaction stays. A runner that keeps its connection goes on inside
-- the open transaction: with its locks held, and with the following files undone by the first failure.
--
-- ## What to do
-- End the file with COMMIT.
--
-- ## When to leave it
-- The file is a part that another one includes between its own BEGIN and COMMIT.

with bound as (
    select
        max(effect.effect) filter (where effect.action = 'begin') as begun,
        max(effect.effect) filter (
            where effect.action <> 'begin' and effect.definition not like 'rollback to%'
                and effect.definition not like '%prepared'
        ) as ended
    from migration_effect as effect
    join migration_step as step on step.step = effect.step
    where (effect.action in ('begin', 'commit', 'rollback') or effect.definition = 'prepare')
        and step.kind = 'TransactionStmt'
        and step.transactions <> 'file'
        and not step.is_nested
    group by step.file
)
select begun as effect, 'BEGIN' as subject
from bound
where begun is not null and (ended is null or ended < begun);

-- example: no commit
-- given: migration
begin;
create table orders (id bigint primary key);
-- finds: BEGIN

-- example: the second one lacks it
-- given: migration
begin;
create table orders (id bigint primary key);
commit;
start transaction;
create table items (id bigint primary key);
-- finds: BEGIN

-- example: only a savepoint is undone
-- given: migration
begin;
savepoint before;
rollback to before;
-- finds: BEGIN

-- example: committed
-- given: migration
begin;
create table orders (id bigint primary key);
end;
-- finds: nothing

-- example: rolled back on purpose
-- given: migration
begin;
select 1;
rollback;
-- finds: nothing

-- example: the runner commits
-- given: migration, in a transaction
begin;
create table orders (id bigint primary key);
-- finds: nothing

-- example: a BEGIN of PL/pgSQL is none of SQL
-- given: migration
do $$ begin perform 1; end $$;
-- finds: nothing
