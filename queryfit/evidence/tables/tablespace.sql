-- Tablespaces with what they change for the planner.
-- source: pg_tablespace
-- capture: full
create table tablespace (
    tablespace varchar not null,                -- spcname
    sequential_page_cost double,                -- its seq_page_cost; null: the setting's
    random_page_cost double,                    -- its random_page_cost; null: the setting's
    options varchar                             -- all its options as one text; null for none
);
