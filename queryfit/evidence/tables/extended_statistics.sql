-- CREATE STATISTICS objects.
-- source: pg_statistic_ext
-- capture: full
create table extended_statistics (
    database varchar not null,                  -- database
    relation varchar not null,                  -- schema.name
    statistics_name varchar not null,           -- schema.name of the object
    definition varchar not null                 -- pg_get_statisticsobjdef()
);
