-- Collations that the schema defines itself.
-- source: pg_collation
-- capture: full
create table user_collation (
    database varchar not null,                  -- database
    collation_name varchar not null,            -- schema.name, quoted where SQL needs it
    provider varchar not null,                  -- libc, icu, builtin
    locale varchar,                             -- locale of icu and builtin, or of libc where both of its parts are one
    is_deterministic boolean not null,          -- collisdeterministic
    definition varchar not null                 -- the CREATE COLLATION that makes it
);
