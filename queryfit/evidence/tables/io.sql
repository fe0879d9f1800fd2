-- Input and output by backend type, object and context (16+).
-- source: pg_stat_io
-- capture: sample
create table io (
    backend_type varchar not null,              -- client backend, checkpointer …
    object varchar not null,                    -- relation, temp relation, wal
    context varchar not null,                   -- normal, vacuum, bulkread, bulkwrite, init
    reads bigint,                               -- operations
    read_bytes bigint,                          -- bytes
    read_ms double,                             -- 0 when track_io_timing is off
    writes bigint,                              -- operations
    write_bytes bigint,                         -- bytes
    write_ms double,                            -- 0 when track_io_timing is off
    extends bigint,                             -- operations
    hits bigint,                                -- blocks found in shared buffers
    evictions bigint,                           -- blocks pushed out
    fsyncs bigint                               -- operations
);
