-- rule: not-allowed-in-transaction
-- title: Command that PostgreSQL refuses in a transaction
-- severity: error
-- reads: migration_step
-- message: PostgreSQL refuses {command} {where_it_is}; {cure}.
-- since: 0.1
--
-- ## Why it matters
-- Commands that commit on their own way (CONCURRENTLY, VACUUM, CREATE DATABASE, ALTER SYSTEM …) fail in a transaction
-- block, and the whole migration with them. Most runners open a transaction around every file, or send a file of
-- several statements as one batch, which PostgreSQL takes for a transaction as well; `psql -1` does the same.
--
-- ## What to do
-- Give the statement a file of its own, and tell the runner to run that file without a transaction. Where the runner
-- sends a file as one batch, the file has to hold nothing but this statement. What did not work halfway has to be
-- cleaned up by hand then (an INVALID index, for one), which is one more reason for one statement a file.
--
-- ## When to leave it
-- Never: it does not run. If the file is run in another way than was assumed, say so with `--in-transaction` or
-- `--runner`.

select
    step.step,
    step.refused_in_transaction as subject,
    step.refused_in_transaction as command,
    case
        when step.is_nested then 'inside a function or a DO block'
        when step.transactions = 'batch' then 'in a file that is sent as one batch, which runs as a transaction'
        else 'in a transaction'
    end as where_it_is,
    case
        when step.is_nested then 'make it a statement of its own, outside any block'
        when step.transactions = 'each' then 'take it out of BEGIN … COMMIT'
        when step.runner = 'goose' then 'put it in a file of its own, with the line -- +goose NO TRANSACTION'
        when step.runner = 'dbmate' then 'put it alone in a file of its own, with -- migrate:up transaction:false'
        when step.runner = 'flyway' then
            'put it in a file of its own, which Flyway then runs without a transaction'
            || ' (or set executeInTransaction=false in its .sql.conf)'
        when step.runner = 'diesel' then
            'put it alone in a migration of its own, with run_in_transaction = false in its metadata.toml'
        when step.runner = 'sqlx' then 'put it alone in a file of its own whose first line is -- no-transaction'
        when step.runner = 'sql-migrate' then 'put it in a file of its own, under -- +migrate Up notransaction'
        when step.runner = 'tern' then 'put it alone in a file of its own, with the line ---- tern: disable-tx ----'
        when step.runner = 'node-pg-migrate' then 'put it in a migration of its own that calls pgm.noTransaction()'
        when step.transactions = 'batch' then 'put it alone in a file of its own'
        else 'put it alone in a file of its own that runs without a transaction'
    end as cure
from migration_step as step
where step.refused_in_transaction is not null and (step.transaction is not null or step.is_nested);

-- example: CONCURRENTLY in a file that runs in a transaction
-- given: migration, in a transaction
create index concurrently on orders (customer_id);
-- finds: CREATE INDEX CONCURRENTLY

-- example: the same outside of one
-- given: migration
create index concurrently on orders (customer_id);
-- finds: nothing

-- example: between BEGIN and COMMIT
-- given: migration
begin;
drop index concurrently orders_customer;
commit;
vacuum orders;
-- finds: DROP INDEX CONCURRENTLY

-- example: several statements sent as one batch are a transaction
-- given: migration, as one batch
alter table orders add column state text;
vacuum orders;
-- finds: VACUUM

-- example: a batch of one statement is none
-- given: migration, as one batch
vacuum orders;
-- finds: nothing

-- example: behind a COMMIT in the file
-- given: migration, in a transaction
alter table orders add column state text;
commit;
vacuum orders;
-- finds: nothing

-- example: in a DO block, also without a transaction around it
-- given: migration
do $$ begin
    create index concurrently on orders (customer_id);
end $$;
-- finds: CREATE INDEX CONCURRENTLY

-- example: a concurrent refresh is allowed
-- given: migration, in a transaction
refresh materialized view concurrently totals;
-- finds: nothing

-- example: detaching concurrently, databases
-- given: migration, in a transaction
alter table events detach partition events_2020 concurrently;
create database reports;
-- finds: ALTER TABLE ... DETACH CONCURRENTLY
-- finds: CREATE DATABASE

-- example: the runner's own way out
-- given: evidence
insert into migration_step (
    step, file, line, kind, statement, transaction, refused_in_transaction, runner, transactions, server_version
)
values (1, '1_x.sql', 1, 'VacuumStmt', 'vacuum orders', 1, 'VACUUM', 'goose', 'file', 18);
-- finds: VACUUM
