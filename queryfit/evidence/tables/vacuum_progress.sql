-- Vacuums that are running.
-- source: pg_stat_progress_vacuum
-- capture: sample
create table vacuum_progress (
    pid integer not null,                       -- backend
    database varchar,                           -- database
    relation varchar,                           -- schema.name where it is in a captured database
    phase varchar not null,                     -- scanning heap …
    heap_blocks bigint,                         -- blocks in all
    heap_blocks_scanned bigint                  -- blocks done
);
