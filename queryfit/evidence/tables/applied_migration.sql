-- Migrations that a runner's own table says it has run.
-- source: the runner's table: flyway_schema_history, schema_migrations, goose_db_version, _prisma_migrations …
-- capture: full
create table applied_migration (
    database varchar not null,                  -- database
    relation varchar not null,                  -- the runner's table
    version varchar not null                    -- what the runner calls the migration
);
