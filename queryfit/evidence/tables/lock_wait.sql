-- Who waits for whom, one row a pair.
-- source: pg_blocking_pids(), pg_locks
-- capture: sample
create table lock_wait (
    sampled_at timestamp not null,              -- server's clock, UTC
    pid integer not null,                       -- backend that waits
    blocker_pid integer not null,               -- backend it waits for; 0 is a prepared transaction
    relation varchar,                           -- relation it wants to lock; null for a row or transaction lock
    lock_mode varchar,                          -- mode it wants
    waited_ms double                            -- how long so far (14+), else since its statement began
);
