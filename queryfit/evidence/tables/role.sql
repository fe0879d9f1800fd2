-- Roles that may log in, with their connection limits.
-- source: pg_roles
-- capture: full
create table role (
    role varchar not null,                      -- rolname
    is_superuser boolean not null,              -- rolsuper
    connection_limit integer,                   -- rolconnlimit; null for none
    is_replication boolean not null             -- rolreplication
);
