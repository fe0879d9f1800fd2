-- Extensions created in each captured database.
-- source: pg_extension
-- capture: full
create table extension (
    database varchar not null,                  -- database
    extension varchar not null,                 -- extname
    version varchar not null,                   -- extversion; it, not the server's, decides the columns of its views
    schema varchar not null,                    -- schema it lives in
    is_relocatable boolean                      -- extrelocatable: its schema can be changed
);
