-- One statement of a migration as it would run; statements inside a DO block follow it as steps of their own.
-- source: the files given to `queryfit lint`, interpreted in their order
-- capture: migration
create table migration_step (
    step integer not null,                      -- number in the order of execution, over all files
    file varchar not null,                      -- name of the file as it was given
    line integer not null,                      -- where the statement begins, from 1
    kind varchar not null,                      -- parser's name of the statement (AlterTableStmt); `unparsed` for text that does not parse
    statement varchar not null,                 -- its beginning, on one line
    transaction integer,                        -- number of the transaction block that it runs in; null: in one of its own
    is_concurrent boolean not null,             -- CONCURRENTLY
    is_nested boolean not null,                 -- inside a DO block or a constant EXECUTE
    is_conditional boolean not null,            -- behind an IF, in a loop or an exception block
    lock_timeout_ms bigint,                     -- lock_timeout while it runs, as the file or (--against) the server sets it; 0: none; null: not known
    statement_timeout_ms bigint,                -- statement_timeout likewise
    refused_in_transaction varchar,             -- what PostgreSQL calls the command, where it refuses it in a transaction block
    refusal varchar,                            -- why PostgreSQL refuses the statement here for sure, in words
    unseen varchar,                             -- what of it could not be seen
    unfollowed varchar,                         -- why the model could not follow it
    runner varchar not null,                    -- what runs the file: psql, flyway, goose …
    transactions varchar not null,              -- how the runner sends the file: each statement alone, as one batch, or file in a transaction
    server_version integer not null             -- PostgreSQL's major version that it was interpreted for
);
