-- Types that the schema defines itself: what a migration that uses or changes them has to be judged by.
-- source: pg_type, pg_enum, pg_constraint
-- capture: full
create table data_type (
    database varchar not null,                  -- database
    type varchar not null,                      -- schema.name, quoted where SQL needs it
    kind varchar not null,                      -- enum, domain, composite, range
    definition varchar not null                 -- the CREATE TYPE or CREATE DOMAIN that makes it
);
