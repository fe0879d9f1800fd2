-- Constraints of relations.
-- source: pg_constraint
-- capture: full
create table relation_constraint (
    database varchar not null,                  -- database
    relation varchar not null,                  -- schema.name
    constraint_name varchar not null,           -- conname, unquoted
    kind varchar not null,                      -- primary_key, foreign_key, unique, check, exclusion, not_null
    columns varchar,                            -- its columns in order, as one text
    referenced_relation varchar,                -- target of a foreign key, schema.name
    referenced_columns varchar,                 -- its columns there, as one text
    index varchar,                              -- index that enforces it (or, for a foreign key, the target's)
    is_validated boolean not null,              -- convalidated
    is_enforced boolean not null,               -- conenforced (18+), else true
    is_deferrable boolean not null,             -- condeferrable
    is_inherited boolean not null,              -- made by a constraint of the parent
    on_delete varchar,                          -- no action, restrict, cascade, set null, set default
    on_update varchar,                          -- likewise
    definition varchar not null                 -- pg_get_constraintdef()
);
