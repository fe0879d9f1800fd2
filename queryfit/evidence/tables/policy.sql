-- Policies of row-level security.
-- source: pg_policy
-- capture: full
create table policy (
    database varchar not null,                  -- database
    relation varchar not null,                  -- schema.name
    policy_name varchar not null,               -- polname, unquoted
    command varchar not null,                   -- all, select, insert, update, delete
    is_permissive boolean not null,             -- polpermissive
    roles varchar not null,                     -- roles that it binds, quoted where SQL needs it, as one text; public for all
    using_expression varchar,                   -- condition on rows there; null for none, or where the relation is locked
    check_expression varchar                    -- condition on new rows; likewise
);
