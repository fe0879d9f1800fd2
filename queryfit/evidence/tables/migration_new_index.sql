-- An index that the migrations make on a table that is there already, and what captured statements do with it.
-- Only with --against and a lab.
-- source: the lab of the capture, after the migrations
-- capture: migration
create table migration_new_index (
    step integer not null,                      -- migration_step.step that makes it
    effect integer,                             -- migration_effect.effect of it
    index varchar not null,                     -- schema.name
    relation varchar not null,                  -- schema.name of its table
    definition varchar not null,                -- as PostgreSQL prints it
    size_bytes bigint,                          -- once it is built, estimated; null where nothing gives a size
    is_unique boolean not null,                 -- it keeps values apart, whoever reads it
    has_foreign_key boolean not null,           -- a foreign key leads with its first column: deletes from the other table use it
    statements bigint not null,                 -- captured statements that reach the table and were planned
    users bigint not null,                      -- those of them whose plans use it
    is_complete boolean not null                -- all captured statements that reach the table were planned
);
